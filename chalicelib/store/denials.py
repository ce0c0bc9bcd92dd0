"""The writes to a user's token blacklist, as plain values.

An item that both sets fill, with the longest numbers, stays within the 1 KB that one write unit covers: an id is 22
characters. The sessions have the larger part, because logouts are what the list is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store import keys, requests
from chalicelib.store.items import number, text, text_set

if TYPE_CHECKING:
    from chalicelib.domain.records import Denials
    from chalicelib.store.items import Value
    from chalicelib.store.requests import Request

DENIED_SESSIONS = 25
DENIED_TOKENS = 10


def deny_session(table: str, sub: str, sid: str, *, deny_until: int) -> Request:
    """Add the session to its set, if it is on it or there is room; see Store.deny_session."""
    return _add(table, sub, "sessions", sid, DENIED_SESSIONS, deny_until)


def deny_token(table: str, sub: str, jti: str, *, deny_until: int) -> Request:
    """Add the access token to its set, if it is on it or there is room; see Store.deny_token."""
    return _add(table, sub, "tokens", jti, DENIED_TOKENS, deny_until)


def deny_issued_before(table: str, sub: str, seen: Denials, moment: int, *, deny_until: int) -> Request:
    """Put the moment in the place of both sets; see Store.deny_issued_before."""
    values = {":moment": number(moment), ":expires_at": number(deny_until)}
    nothing_new = []
    for name, members in (("sessions", seen.sessions), ("tokens", seen.tokens)):
        if members:
            nothing_new.append(f"#{name} = :{name}")
            values[f":{name}"] = text_set(members)
        else:
            nothing_new.append(f"attribute_not_exists(#{name})")
    never_earlier = "(attribute_not_exists(#issued_before) OR #issued_before <= :moment)"
    return requests.update_if(
        table,
        keys.deny(sub),
        " AND ".join([*nothing_new, never_earlier]),
        "SET #issued_before = :moment, #expires_at = :expires_at REMOVE #sessions, #tokens",
        values,
    )


def _add(table: str, sub: str, name: str, member: str, room: int, deny_until: int) -> Request:
    none_listed = f"attribute_not_exists(#{name})"
    room_left = f"size(#{name}) < :room"
    listed_already = f"contains(#{name}, :member)"
    values: dict[str, Value] = {
        ":room": number(room),
        ":member": text(member),
        ":members": text_set([member]),
        ":expires_at": number(deny_until),
    }
    return requests.update_if(
        table,
        keys.deny(sub),
        f"{none_listed} OR {room_left} OR {listed_already}",
        f"ADD #{name} :members SET #expires_at = :expires_at",
        values,
    )
