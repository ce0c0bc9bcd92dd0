"""Makes the key material that chalicelib/crypto/keys.py reads, and puts it into the parameter store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chalicelib.crypto.device_tokens import LIFE
from chalicelib.crypto.keys import (
    LOGINS,
    SESSIONS,
    newest_active_key,
    parse_public_keys,
)
from chalicelib.domain.denials import LONGEST_ACCESS_TTL
from chalicelib.domain.sessions import LONGEST_SESSION
from infra import new_keys, root_of_before
from infra.failure import Failure
from infra.key_parameters import (
    MEMBERS,
    Names,
    entries_of,
    put,
    read,
    signing_parameters,
    update,
    withdraw,
    withdrawn,
)
from infra.root_of_before import PARSERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_ssm import SSMClient

    from infra.new_keys import SigningKey

PUBLISHED_AHEAD = 600  # seconds: every container has read a key set by then, whatever its cache did
# Seconds: the longest access TTL that Config takes, clocks that differ, and what `_at_once` dates a key back by.
KEPT_AFTER_SUCCESSOR = LONGEST_ACCESS_TTL + 300 + PUBLISHED_AHEAD
# Seconds by group: the longest absolute session lifetime that Config takes; a device token's life, and clocks.
SECRET_KEPT_AFTER_SUCCESSOR = {SESSIONS: LONGEST_SESSION, LOGINS: LIFE + 300}


def ensure(ssm: SSMClient, prefix: str, algorithm: str, now: int) -> list[str]:
    """Make what is missing; return the names of what was written. Safe to repeat, and to interrupt at any point.

    A first key works at once, and so does one in the place of a key whose private half is lost. A key of another
    algorithm than the newest key's is published ahead, as a rotation is. Where every key of a set is withdrawn, because
    a rotation after a leak was interrupted, a new key works at once. What is there but cannot be read is an error
    (ConfigurationError; Failure for the root secrets of the version before), never overwritten.

    A stage of the version before keeps its root secrets: both groups get a copy, so every token of before verifies. The
    old parameter stays until the next rotation: functions of before read it until they are replaced, and after a
    rollback. A group that differs from it gets a copy again: rotations of this version delete the old parameter, so
    while it is there the version before was the last to write root secrets, and may have replaced leaked ones.
    """
    names = Names(prefix)
    made = []
    document, leaked = read(ssm, names.public), withdrawn(ssm, names)
    if document is None:
        made += _add_signing_key(ssm, names, algorithm, activate_at=now, first=True)
    else:
        public = [key for key in parse_public_keys(document) if key.kid not in leaked]
        signer = newest_active_key(public, now) if public else None
        if signer is None:
            made += _add_signing_key(ssm, names, algorithm, activate_at=now)
        elif read(ssm, names.signing(signer.kid)) is None:
            made += _add_signing_key(ssm, names, algorithm, activate_at=_at_once(signer.activate_at, now))
        elif public[-1].algorithm != algorithm:
            made += _add_signing_key(ssm, names, algorithm, activate_at=now + PUBLISHED_AHEAD)
    for group, parse in PARSERS.items():
        # The group is read first. A rotation deletes the old parameter before it writes to a group: where the old
        # parameter is still there afterwards, no rotation at the same time has made the difference.
        held = read(ssm, names.group(group))
        before = read(ssm, names.root)
        if before is not None:
            made += root_of_before.copy(ssm, names, group, held, before)
        elif held is None:
            made += _add_root_secret(ssm, names, group, activate_at=now, first=True)
        else:
            parse(held)
            if all(entry["id"] in leaked for entry in entries_of(held, "secrets")):
                made += _add_root_secret(ssm, names, group, activate_at=now)
    return made


def rotate(ssm: SSMClient, prefix: str, algorithm: str, now: int) -> list[str]:
    """Publish a new signing key and root secrets, to be used in ten minutes; drop those that nothing needs any more.

    Returns the names of what was written and deleted. Failure where this version was never deployed, or not since the
    version before last wrote root secrets.
    """
    names = Names(prefix)
    root_of_before.require_groups(ssm, names)
    ensured = ensure(ssm, prefix, algorithm, now)
    if ensured:
        return ensured
    activate_at = now + PUBLISHED_AHEAD
    changed = root_of_before.delete(ssm, names)
    changed += _add_signing_key(ssm, names, algorithm, activate_at=activate_at, keep=(now, KEPT_AFTER_SUCCESSOR))
    for group, needed in SECRET_KEPT_AFTER_SUCCESSOR.items():
        changed += _add_root_secret(ssm, names, group, activate_at=activate_at, keep=(now, needed))
    return changed + _delete_unpublished(ssm, names)


def replace(ssm: SSMClient, prefix: str, algorithm: str, now: int) -> list[str]:
    """Replace every key at once, after a leak or damage: what was made before is accepted for a minute more, at most.

    The ids of before are withdrawn before anything new is published, so that a rotation at the same time, which has
    read the old sets, cannot bring them back. Needs nothing of what it replaces; safe to repeat. Returns the names of
    what was written and deleted. Failure as `rotate`: the functions of the version before would have no root secrets.
    """
    names = Names(prefix)
    root_of_before.require_groups(ssm, names)
    leaked = _ids_in_use(ssm, names)
    changed = root_of_before.delete(ssm, names)
    # Made before the old keys are withdrawn: between that and the next line but one, no container can sign.
    signing = new_keys.signing_key(algorithm)
    secrets = {group: {**new_keys.root_secret(), "activate_at": now} for group in PARSERS}
    ssm.put_parameter(Name=names.signing(signing.kid), Value=signing.pem, Type="SecureString")
    withdraw(ssm, names, leaked, now)
    put(ssm, names.public, {"keys": [{**signing.entry, "activate_at": now}]}, "String")
    for group, secret in secrets.items():
        put(ssm, names.group(group), {"secrets": [secret]}, "SecureString")
    changed += [names.signing(signing.kid), names.withdrawn, names.public, *map(names.group, secrets)]
    changed += _delete_unpublished(ssm, names)
    _keep_private_half(ssm, names, signing)
    _require_accepted(ssm, names, {signing.kid, *(str(secret["id"]) for secret in secrets.values())})
    return changed


def _at_once(lost: int, now: int) -> int:
    """When a key becomes active that signs at once in place of one that was lost: before now by any clock, after it."""
    return max(lost + 1, now - PUBLISHED_AHEAD)


def _ids_in_use(ssm: SSMClient, names: Names) -> set[str]:
    """The ids of all keys, unpublished private keys included. Of a damaged set, those that can be read."""
    groups = [*map(names.group, PARSERS), names.root]
    found = {entry["id"] for name in groups for entry in entries_of(read(ssm, name), "secrets")}
    found |= {entry["kid"] for entry in entries_of(read(ssm, names.public), "keys")}
    return found | {name.removeprefix(names.signing("")) for name in signing_parameters(ssm, names)}


def _require_accepted(ssm: SSMClient, names: Names, ids: set[str]) -> None:
    """Failure where a new key is withdrawn already: a rotation after a leak has run at the same time.

    Asked after the new key was written, so that this write has put back what the other rotation had published.
    """
    if ids & withdrawn(ssm, names).keys():
        message = (
            "A rotation after a leak has run at the same time and withdrawn a new key: "
            "wait until it has ended, and run this one again"
        )
        raise Failure(message)


def _delete_unpublished(ssm: SSMClient, names: Names) -> list[str]:
    """Delete private keys whose public half is published no more, those that an interrupted run left behind too."""
    unpublished = sorted(signing_parameters(ssm, names) - _published(ssm, names))
    for name in unpublished:
        value = read(ssm, name)
        with suppress(ssm.exceptions.ParameterNotFound):
            ssm.delete_parameter(Name=name)
        # Another command has published it meanwhile, and may have looked for it before it was deleted.
        if value is not None and name in _published(ssm, names):
            ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    return unpublished


def _published(ssm: SSMClient, names: Names) -> set[str]:
    """The parameters of the private keys whose public half verifies."""
    leaked = withdrawn(ssm, names)
    kids = {entry["kid"] for entry in entries_of(read(ssm, names.public), "keys")}
    return {names.signing(kid) for kid in kids - leaked.keys()}


def _keep_private_half(ssm: SSMClient, names: Names, key: SigningKey) -> None:
    """Write a private key again, where another command deleted it before its public half was published."""
    if read(ssm, names.signing(key.kid)) is None:
        ssm.put_parameter(Name=names.signing(key.kid), Value=key.pem, Type="SecureString", Overwrite=True)


def _unexpired(entries: list[dict[str, Any]], now: int, kept: int) -> list[dict[str, Any]]:
    """Entries whose successor has not been in use for `kept` seconds yet, oldest first."""
    ordered = sorted(entries, key=lambda entry: int(entry["activate_at"]))
    successors = [*ordered[1:], *([None] if ordered else [])]
    return [
        entry
        for entry, successor in zip(ordered, successors, strict=True)
        if successor is None or int(successor["activate_at"]) + kept > now
    ]


def _add_signing_key(
    ssm: SSMClient,
    names: Names,
    algorithm: str,
    *,
    activate_at: int,
    first: bool = False,
    keep: tuple[int, int] | None = None,
) -> list[str]:
    """Add a key to the public set. `keep`: the time, and for how long entries stay after their successor's."""
    key = new_keys.signing_key(algorithm)
    # The private half first: a published key that nobody can sign with would stop every login once it is active.
    ssm.put_parameter(Name=names.signing(key.kid), Value=key.pem, Type="SecureString")
    entry = {**key.entry, "activate_at": activate_at}
    if first:
        put(ssm, names.public, {"keys": [entry]}, "String", first=True)
    else:
        update(ssm, names.public, "String", lambda held: _with_entry(ssm, names, held, "keys", entry, keep))
        _require_accepted(ssm, names, {key.kid})
        _keep_private_half(ssm, names, key)
    return [names.signing(key.kid), names.public]


def _add_root_secret(
    ssm: SSMClient,
    names: Names,
    group: str,
    *,
    activate_at: int,
    first: bool = False,
    keep: tuple[int, int] | None = None,
) -> list[str]:
    """Add a root secret to a group, as `_add_signing_key` adds a key."""
    name, entry = names.group(group), {**new_keys.root_secret(), "activate_at": activate_at}
    if first:
        put(ssm, name, {"secrets": [entry]}, "SecureString", first=True)
    else:
        update(ssm, name, "SecureString", lambda held: _with_entry(ssm, names, held, "secrets", entry, keep))
        _require_accepted(ssm, names, {entry["id"]})
    return [name]


def _with_entry(
    ssm: SSMClient,
    names: Names,
    documents: Sequence[str],
    member: str,
    entry: dict[str, Any],
    keep: tuple[int, int] | None,
) -> dict[str, Any]:
    """A set of all that the documents hold, and the entry, without withdrawn keys.

    The set is never empty, which could not be read: where all keys are withdrawn, the entry is in it all the same.
    """
    identifier, leaked = MEMBERS[member], withdrawn(ssm, names)
    held = {other[identifier]: other for document in documents for other in entries_of(document, member)}
    held.pop(entry[identifier], None)
    kept = [other for key_id, other in held.items() if key_id not in leaked]
    kept = kept if keep is None else _unexpired(kept, *keep)
    return {member: [*kept, *([] if kept and entry[identifier] in leaked else [entry])]}
