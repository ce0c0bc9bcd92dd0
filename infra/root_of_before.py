"""The root secrets of the version before: one set for all purposes, which the two groups of this version take over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chalicelib.crypto.keys import LOGINS, SESSIONS, parse_login_secrets, parse_session_secrets
from chalicelib.errors import ConfigurationError
from infra.failure import Failure
from infra.key_parameters import put, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_ssm import SSMClient

    from infra.key_parameters import Names

PARSERS: dict[str, Callable[[str], object]] = {SESSIONS: parse_session_secrets, LOGINS: parse_login_secrets}


def require_groups(ssm: SSMClient, names: Names) -> None:
    """Failure where the stage has the root secrets of the version before, and no copy of them in one of the groups.

    The functions of before are deployed then, and they know the old parameter alone. Without it, an interruption would
    leave in a group what the version before has replaced. Where the old parameter cannot be read, there is no copy of
    it, and both groups are enough.
    """
    before = read(ssm, names.root)
    if before is None:
        return
    held = {group: read(ssm, names.group(group)) for group in PARSERS}
    readable = _is_readable(before)
    waiting = [
        names.group(group)
        for group, document in held.items()
        if document is None or (readable and not _is_copy(document, before))
    ]
    if waiting:
        message = (
            f"The stage has its keys from the version before ({names.root}, and no copy of it in "
            f"{' and '.join(waiting)}): run `make deploy STAGE=...` first, which copies them"
        )
        raise Failure(message)


def delete(ssm: SSMClient, names: Names) -> list[str]:
    """Delete the root secrets of the version before, where they are still there. Both groups exist.

    Before anything is written: an interruption must not leave a leaked secret where a rollback would accept it again,
    and where `ensure` would copy it over the new ones.
    """
    if read(ssm, names.root) is None:
        return []
    ssm.delete_parameter(Name=names.root)
    return [names.root]


def copy(ssm: SSMClient, names: Names, group: str, held: str | None, before: str) -> list[str]:
    """Copy the root secrets of the version before into a group that holds something else, or nothing yet.

    The times of activation stay: functions of before go by them, and whoever reads the copy decides as they do.
    """
    if not _is_readable(before):
        raise Failure(_unreadable_root(ssm, names))
    if held is not None and _is_copy(held, before):
        return []
    put(ssm, names.group(group), json.loads(before), "SecureString", first=held is None)
    return [names.group(group)]


def _is_readable(before: str) -> bool:
    try:
        for parse in PARSERS.values():
            parse(before)
    except ConfigurationError:
        return False
    return True


def _is_copy(held: str, before: str) -> bool:
    """Whether a group holds what the readable document `before` says; not where the group cannot be read."""
    try:
        return bool(json.loads(held) == json.loads(before))
    except ValueError:
        return False


def _unreadable_root(ssm: SSMClient, names: Names) -> str:
    """How to go on. Whether the groups hold leaked secrets cannot be told, so they go as well."""
    groups = [name for name in map(names.group, PARSERS) if read(ssm, name) is not None]
    if len(groups) == len(PARSERS):
        remedy = "Run `make rotate-keys STAGE=... LEAKED=yes`, which replaces every key, and deploy again"
    else:
        # `make rotate-keys` waits for this deployment.
        remedy = f"Delete them and deploy again: aws ssm delete-parameters --names {' '.join([names.root, *groups])}"
    return (
        f"The root secrets of the version before ({names.root}) cannot be read, and everybody has to log in again. "
        f"{remedy}"
    )
