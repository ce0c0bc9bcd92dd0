"""Where each item lives: the only place in which the table's keys are made and taken apart.

The strings are stored, so none of them can change. Each prefix is followed by one value that runs to the end of the
string (a limiter's kind and an issuer never hold a `#`), so that no value can reach into another prefix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from chalicelib.domain.events import Rank

Key = dict[str, dict[str, str]]

_USER = "user#"
_LOGIN = "login#"
_SESSION = "session#"
_STATE = "state"
_EVENTS = "events#"
# A range of sort keys for each rank of events. Letters come after digits, so that no range reaches into another.
# Changes of access that the version before kept are in the range of alarms, and stay there.
_RANGES: Mapping[Rank, str] = {"access": "access#", "alarm": "alarm#", "other": ""}


def _key(pk: str, sk: str) -> Key:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def login(email: str) -> Key:
    """The login of a canonical address; the key itself makes the address unique."""
    return _key(_LOGIN + email, "login")


def state(sub: str) -> Key:
    """The account's state, in one partition with its sessions."""
    return _key(_USER + sub, _STATE)


def session(sub: str, sid: str) -> Key:
    """One session of the account."""
    return _key(_USER + sub, _SESSION + sid)


def user(sub: str) -> dict[str, str]:
    """The partition that holds the account's state and its sessions."""
    return {"S": _USER + sub}


def sessions_after(sid: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """The first and last sort key that a session can have, all of them or those behind this session id."""
    # The one character that stands between an id and its successors is less than every character of an id.
    first = _SESSION if sid is None else f"{_SESSION}{sid}!"
    return {"S": first}, {"S": f"{_SESSION}~"}


def deny(sub: str) -> Key:
    """The user's token blacklist: a partition of its own, so that the authorizer may be allowed nothing else."""
    return _key(f"deny#{sub}", "deny")


def limit(kind: str, value: str, window_start: int) -> Key:
    """The counter of one limiter for one value in one window (seconds since the epoch)."""
    return _key(f"limit#{kind}#{value}", str(window_start))


def identity(issuer: str, subject: str) -> Key:
    """The marker of an identity; the key itself lets an identity open one account. The configured issuer has no `#`."""
    return _key(f"identity#{issuer}#{subject}", "identity")


def pending_login(digest: bytes) -> Key:
    """A login that has begun, under the digest of what its browser holds."""
    return _key(f"once#{digest.hex()}", "login")


def event(sub: str, shown_at: int, event_id: str, *, rank: Rank) -> Key:
    """One security event. Twelve digits keep the order of time until the year 33658."""
    return _key(_EVENTS + sub, f"{_RANGES[rank]}{shown_at:012d}#{event_id}")


def events_until(now: int, *, rank: Rank) -> tuple[dict[str, str], dict[str, str]]:
    """The first and last sort key that an event of the rank can have which is shown at `now`."""
    prefix = _RANGES[rank]
    return {"S": f"{prefix}{0:012d}"}, {"S": f"{prefix}{now + 1:012d}"}


def events(sub: str) -> dict[str, str]:
    """The partition that holds the user's security events: of its own, so that their writer may be allowed no other."""
    return {"S": _EVENTS + sub}


def email_of(item: Mapping[str, Any]) -> str:
    """The address that a login item belongs to."""
    pk: str = item["pk"]["S"]
    return pk.removeprefix(_LOGIN)


def sub_of(item: Mapping[str, Any]) -> str:
    """The account that a state or session item belongs to."""
    pk: str = item["pk"]["S"]
    return pk.removeprefix(_USER)


def sid_of(item: Mapping[str, Any]) -> str:
    """The session that a session item is."""
    sk: str = item["sk"]["S"]
    return sk.removeprefix(_SESSION)


def is_state(item: Mapping[str, Any]) -> bool:
    """Whether an item of a user's partition is the account's state, and not a session."""
    return bool(item["sk"]["S"] == _STATE)


def event_of(item: Mapping[str, Any]) -> tuple[str, int, str, Rank]:
    """Whose event an item is, from when on it is shown (seconds since the epoch), its id, and its rank."""
    pk: str = item["pk"]["S"]
    sk: str = item["sk"]["S"]
    rank = next(rank for rank, prefix in _RANGES.items() if sk.startswith(prefix))  # the empty prefix is the last one
    shown_at, _, event_id = sk.removeprefix(_RANGES[rank]).partition("#")
    return pk.removeprefix(_EVENTS), int(shown_at), event_id, rank
