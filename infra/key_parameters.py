"""The key parameters of a stage, read and written so that two operators at once lose nothing of each other's.

PutParameter has no condition. It answers the version that it wrote, and each version can still be read for a while:

    we read version 4      another command writes 5      we write 6: not 5 + our own, so 5 lies under ours
    we read 5, put what it holds beside ours, and write 7

Why withdrawn ids are written down: docs/decisions/0023-withdrawn-keys.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.crypto.keys import parse_withdrawn
from chalicelib.domain.sessions import LONGEST_SESSION
from chalicelib.errors import ConfigurationError
from infra.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from types_boto3_ssm import SSMClient

TRIES = 5  # writes of one parameter, each after another command's write was found under the last
LARGEST = 4096  # bytes of a standard parameter
# Seconds that an id stays withdrawn: as long as any token under a key can live.
WITHDRAWN_FOR = LONGEST_SESSION
# The name of a set's list, and the member that names each entry.
MEMBERS = {"keys": "kid", "secrets": "id"}  # pragma: allowlist secret


@dataclass(frozen=True, slots=True)
class Names:
    """The parameters under a stage's prefix."""

    prefix: str

    @property
    def public(self) -> str:
        """The public key set."""
        return f"{self.prefix}/public"

    @property
    def withdrawn(self) -> str:
        """The ids of leaked keys."""
        return f"{self.prefix}/withdrawn"

    def group(self, group: str) -> str:
        """The root-secret set of one group."""
        return f"{self.prefix}/{group}"

    @property
    def root(self) -> str:
        """The root-secret set of the version before, which had one set for all purposes."""
        return f"{self.prefix}/root"

    def signing(self, kid: str) -> str:
        """One private key."""
        return f"{self.prefix}/signing/{kid}"


def read(ssm: SSMClient, name: str) -> str | None:
    """The parameter's value, None where there is no such parameter. `name:version` reads an earlier value."""
    return _read_with_version(ssm, name)[0]


def put(ssm: SSMClient, name: str, document: dict[str, Any], kind: Any, *, first: bool = False) -> None:  # noqa: ANN401  # a Literal of boto3's
    """Write a document over what is there."""
    # A first document is never written over another: two first deployments at once would each lose the other's key.
    ssm.put_parameter(Name=name, Value=_dump(document), Type=kind, Overwrite=not first)


def update(ssm: SSMClient, name: str, kind: Any, change: Callable[[Sequence[str]], dict[str, Any]]) -> None:  # noqa: ANN401  # as above
    """Write the document that `change` makes of the documents that are there; it is asked again where others wrote.

    Failure where other commands write all the time.
    """
    held, version = _read_with_version(ssm, name)
    documents = [] if held is None else [held]
    for _ in range(TRIES):
        document = _dump(change(documents))
        written = ssm.put_parameter(Name=name, Value=document, Type=kind, Overwrite=True)["Version"]
        if written == version + 1:
            return
        between = (read(ssm, f"{name}:{number}") for number in range(version + 1, written))
        documents = [document, *(other for other in between if other is not None)]
        version = written
    message = f"{name} is written by another command again and again: wait until that has ended, and run this one again"
    raise Failure(message)


def entries_of(document: str | None, member: str) -> list[dict[str, Any]]:
    """The entries of a set as far as they can be read: those that have an id."""
    try:
        entries = json.loads(document or "{}")[member]
    except (KeyError, TypeError, ValueError):
        return []
    found = entries if isinstance(entries, list) else []
    return [entry for entry in found if isinstance(entry, dict) and isinstance(entry.get(MEMBERS[member]), str)]


def withdrawn(ssm: SSMClient, names: Names) -> dict[str, int]:
    """The withdrawn ids, with their times. ConfigurationError where the list cannot be read."""
    return parse_withdrawn(read(ssm, names.withdrawn))


def withdraw(ssm: SSMClient, names: Names, ids: Iterable[str], now: int) -> None:
    """Withdraw ids. Those whose time is over leave the list, and the oldest where it has no room."""
    new = dict.fromkeys(ids, now + WITHDRAWN_FOR)

    def change(documents: Sequence[str]) -> dict[str, Any]:
        listed: dict[str, int] = {}
        for document in documents:
            listed |= _readable(document)
        live = {key_id: until for key_id, until in (listed | new).items() if until > now}
        newest_first = sorted(live, key=lambda key_id: live[key_id], reverse=True)
        while len(_dump({"withdrawn": {key_id: live[key_id] for key_id in newest_first}})) > LARGEST:
            newest_first.pop()
        return {"withdrawn": {key_id: live[key_id] for key_id in newest_first}}

    update(ssm, names.withdrawn, "String", change)


def signing_parameters(ssm: SSMClient, names: Names) -> set[str]:
    """The names of all private keys."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=names.signing("").rstrip("/"))
    return {parameter["Name"] for page in pages for parameter in page["Parameters"]}


def _readable(document: str) -> dict[str, int]:
    # A damaged list is replaced: the rotation after a leak must need nothing of what was there.
    try:
        return parse_withdrawn(document)
    except ConfigurationError:
        return {}


def _read_with_version(ssm: SSMClient, name: str) -> tuple[str | None, int]:
    try:
        parameter = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    except (ssm.exceptions.ParameterNotFound, ssm.exceptions.ParameterVersionNotFound):
        return None, 0
    return parameter["Value"], parameter["Version"]


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
