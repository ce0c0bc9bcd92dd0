"""Makes the key material that chalicelib/crypto/keys.py reads, and puts it into the parameter store."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from chalicelib.crypto.device_tokens import LIFE
from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.keys import (
    LOGINS,
    MINIMUM_RSA_BITS,
    ROOT_SECRET_BYTES,
    SESSIONS,
    newest_active_key,
    parse_login_secrets,
    parse_public_keys,
    parse_session_secrets,
)
from chalicelib.errors import ConfigurationError
from infra.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_ssm import SSMClient

PUBLISHED_AHEAD = 600  # seconds: every container has read a key set by then, whatever its cache did
KEPT_AFTER_SUCCESSOR = 3600 + 300  # seconds: the longest access TTL that Config takes, and clocks that differ
# Seconds by group: the longest absolute session lifetime that Config takes; a device token's life, and clocks.
SECRET_KEPT_AFTER_SUCCESSOR = {SESSIONS: 400 * 86400, LOGINS: LIFE + 300}
PARSERS: dict[str, Callable[[str], object]] = {SESSIONS: parse_session_secrets, LOGINS: parse_login_secrets}


@dataclass(frozen=True, slots=True)
class Names:
    """The parameters under a stage's prefix."""

    prefix: str

    @property
    def public(self) -> str:
        """The public key set."""
        return f"{self.prefix}/public"

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


def ensure(ssm: SSMClient, prefix: str, algorithm: str, now: int) -> list[str]:
    """Make what is missing; return the names of what was written. Safe to repeat, and to interrupt at any point.

    A first key works at once, and so does one in the place of a key whose private half is lost. A key of another
    algorithm than the newest key's is published ahead, as a rotation is. What is there but cannot be read is an error
    (ConfigurationError; Failure for the root secrets of the version before), never overwritten.

    A stage of the version before keeps its root secrets: both groups get a copy, so every token of before verifies. The
    old parameter stays until the next rotation: functions of before read it until they are replaced, and after a
    rollback. A group that differs from it gets a copy again: rotations of this version delete the old parameter, so
    while it is there the version before was the last to write root secrets, and may have replaced leaked ones.
    """
    names = Names(prefix)
    made = []
    document = _read(ssm, names.public)
    if document is None:
        made += _add_signing_key(ssm, names, [], algorithm, activate_at=now, first=True)
    else:
        public = parse_public_keys(document)
        entries = json.loads(document)["keys"]
        if _read(ssm, names.signing(newest_active_key(public, now).kid)) is None:
            made += _add_signing_key(ssm, names, entries, algorithm, activate_at=now)
        elif public[-1].algorithm != algorithm:
            made += _add_signing_key(ssm, names, entries, algorithm, activate_at=now + PUBLISHED_AHEAD)
    for group, parse in PARSERS.items():
        # The group is read first. A rotation deletes the old parameter before it writes to a group: where the old
        # parameter is still there afterwards, no rotation at the same time has made the difference.
        held = _read(ssm, names.group(group))
        before = _read(ssm, names.root)
        if before is not None:
            made += _copy_root(ssm, names, group, held, before)
        elif held is None:
            made += _add_root_secret(ssm, names, group, [], activate_at=now, first=True)
        else:
            parse(held)
    return made


def rotate(ssm: SSMClient, prefix: str, algorithm: str, now: int) -> list[str]:
    """Publish a new signing key and root secrets, to be used in ten minutes; drop those that nothing needs any more.

    Returns the names of what was written and deleted. Failure where this version was never deployed, or not since the
    version before last wrote root secrets.
    """
    names = Names(prefix)
    _require_groups(ssm, names)
    ensured = ensure(ssm, prefix, algorithm, now)
    if ensured:
        return ensured
    activate_at = now + PUBLISHED_AHEAD
    published = json.loads(_read(ssm, names.public) or "{}")["keys"]
    kept = _unexpired(published, now, KEPT_AFTER_SUCCESSOR)
    changed = _delete_root(ssm, names)
    changed += _add_signing_key(ssm, names, kept, algorithm, activate_at=activate_at)
    for group, needed in SECRET_KEPT_AFTER_SUCCESSOR.items():
        held = json.loads(_read(ssm, names.group(group)) or "{}")["secrets"]
        changed += _add_root_secret(ssm, names, group, _unexpired(held, now, needed), activate_at=activate_at)
    return changed + _delete_unpublished(ssm, names)


def replace(ssm: SSMClient, prefix: str, algorithm: str, now: int) -> list[str]:
    """Replace every key at once, after a leak or damage: what was made before is accepted for a minute more, at most.

    Needs nothing of what it replaces; safe to repeat. Returns the names of what was written and deleted. Failure
    as `rotate`: the functions of the version before would have no root secrets.
    """
    names = Names(prefix)
    _require_groups(ssm, names)
    changed = _delete_root(ssm, names)
    changed += _add_signing_key(ssm, names, [], algorithm, activate_at=now)
    for group in PARSERS:
        changed += _add_root_secret(ssm, names, group, [], activate_at=now)
    return changed + _delete_unpublished(ssm, names)


def _require_groups(ssm: SSMClient, names: Names) -> None:
    """Failure where the stage has the root secrets of the version before, and no copy of them in one of the groups.

    The functions of before are deployed then, and they know the old parameter alone. Without it, an interruption would
    leave in a group what the version before has replaced. Where the old parameter cannot be read, there is no copy of
    it, and both groups are enough.
    """
    before = _read(ssm, names.root)
    if before is None:
        return
    held = {group: _read(ssm, names.group(group)) for group in PARSERS}
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


def _delete_root(ssm: SSMClient, names: Names) -> list[str]:
    """Delete the root secrets of the version before, where they are still there. Both groups exist.

    Before anything is written: an interruption must not leave a leaked secret where a rollback would accept it again,
    and where `ensure` would copy it over the new ones.
    """
    if _read(ssm, names.root) is None:
        return []
    ssm.delete_parameter(Name=names.root)
    return [names.root]


def _delete_unpublished(ssm: SSMClient, names: Names) -> list[str]:
    """Delete private keys whose public half is published no more, those that an interrupted run left behind too."""
    published = {names.signing(entry["kid"]) for entry in json.loads(_read(ssm, names.public) or "{}")["keys"]}
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=names.signing("").rstrip("/"))
    unpublished = sorted({parameter["Name"] for page in pages for parameter in page["Parameters"]} - published)
    for name in unpublished:
        ssm.delete_parameter(Name=name)
    return unpublished


def _unexpired(entries: list[dict[str, Any]], now: int, kept: int) -> list[dict[str, Any]]:
    """Entries whose successor has not been in use for `kept` seconds yet, oldest first."""
    ordered = sorted(entries, key=lambda entry: int(entry["activate_at"]))
    successors = [*ordered[1:], None]
    return [
        entry
        for entry, successor in zip(ordered, successors, strict=True)
        if successor is None or int(successor["activate_at"]) + kept > now
    ]


def _add_signing_key(
    ssm: SSMClient,
    names: Names,
    published: list[dict[str, Any]],
    algorithm: str,
    *,
    activate_at: int,
    first: bool = False,
) -> list[str]:
    kid = b64url(secrets.token_bytes(9))
    pem, jwk = _generate(algorithm)
    # The private half first: a published key that nobody can sign with would stop every login once it is active.
    ssm.put_parameter(Name=names.signing(kid), Value=pem, Type="SecureString")
    entry = {**jwk, "kid": kid, "use": "sig", "alg": algorithm, "activate_at": activate_at}
    _write(ssm, names.public, {"keys": [*published, entry]}, "String", first=first)
    return [names.signing(kid), names.public]


def _copy_root(ssm: SSMClient, names: Names, group: str, held: str | None, before: str) -> list[str]:
    """Copy the root secrets of the version before into a group that holds something else, or nothing yet.

    The times of activation stay: functions of before go by them, and whoever reads the copy decides as they do.
    """
    if not _is_readable(before):
        raise Failure(_unreadable_root(ssm, names))
    if held is not None and _is_copy(held, before):
        return []
    _write(ssm, names.group(group), json.loads(before), "SecureString", first=held is None)
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
    groups = [name for name in map(names.group, PARSERS) if _read(ssm, name) is not None]
    if len(groups) == len(PARSERS):
        remedy = "Run `make rotate-keys STAGE=... LEAKED=yes`, which replaces every key, and deploy again"
    else:
        # `make rotate-keys` waits for this deployment.
        remedy = f"Delete them and deploy again: aws ssm delete-parameters --names {' '.join([names.root, *groups])}"
    return (
        f"The root secrets of the version before ({names.root}) cannot be read, and everybody has to log in again. "
        f"{remedy}"
    )


def _add_root_secret(
    ssm: SSMClient, names: Names, group: str, held: list[dict[str, Any]], *, activate_at: int, first: bool = False
) -> list[str]:
    key = b64url(secrets.token_bytes(ROOT_SECRET_BYTES))
    entry = {"id": b64url(secrets.token_bytes(6)), "key": key, "activate_at": activate_at}
    _write(ssm, names.group(group), {"secrets": [*held, entry]}, "SecureString", first=first)
    return [names.group(group)]


def _generate(algorithm: str) -> tuple[str, dict[str, Any]]:
    """A fresh private key as PKCS8 PEM, and its public half as JWK."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    match algorithm:
        case "RS256":
            private = rsa.generate_private_key(public_exponent=65537, key_size=MINIMUM_RSA_BITS)
            jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
            jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case _:
            private = ed25519.Ed25519PrivateKey.generate()
            jwk = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem, {name: value for name, value in jwk.items() if name != "key_ops"}


def _read(ssm: SSMClient, name: str) -> str | None:
    try:
        return ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None


def _write(ssm: SSMClient, name: str, document: dict[str, Any], kind: Any, *, first: bool) -> None:  # noqa: ANN401  # a Literal of boto3's
    # A first document is never written over another: two first deployments at once would each lose the other's key.
    ssm.put_parameter(Name=name, Value=json.dumps(document, separators=(",", ":")), Type=kind, Overwrite=not first)
