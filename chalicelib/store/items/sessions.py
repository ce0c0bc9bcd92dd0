"""Sessions: an item each, in the partition of the account's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.sessions import Session
from chalicelib.store import keys
from chalicelib.store.items.values import (
    binary,
    bytes_from,
    number,
    number_from,
    number_list,
    text,
    text_list,
    user_agent,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.callers import Transport
    from chalicelib.store.items.values import Item


def session_ttl(transport: Transport, idle_expires_at: int, absolute_expires_at: int) -> int:
    """When a session's item may be collected: when one of its limits is reached.

    The idle limit of a session cookie moves with notes of its use, whose writer may not move the TTL.
    """
    return absolute_expires_at if transport == "session" else min(idle_expires_at, absolute_expires_at)


def session_item(session: Session) -> Item:
    """A session: at most 1,024 bytes, or every write of it would cost two units. What is not there has no attribute."""
    expires_at = session_ttl(session.transport, session.idle_expires_at, session.absolute_expires_at)
    late: Item = {}
    if session.late_base is not None:
        late |= {"late_base": number(session.late_base), "late_wrapped": binary(session.late_wrapped)}
    if session.late_at:
        late["late_at"] = number_list(session.late_at)
    return {
        **keys.session(session.sub, session.sid),
        "generation": number(session.generation),
        "digest": binary(session.digest),
        "wrapped": binary(session.wrapped),
        "key_id": text(session.key_id),
        "epoch": number(session.epoch),
        "created_at": number(session.created_at),
        "rotated_at": number(session.rotated_at),
        "idle_expires_at": number(session.idle_expires_at),
        "absolute_expires_at": number(session.absolute_expires_at),
        "expires_at": number(expires_at),
        "transport": text(session.transport),
        "auth_time": number(session.auth_time),
        "amr": text_list(session.amr),
        "address": text(session.address),
        "user_agent": user_agent(session.user_agent),
        "from": binary(session.answered),
        **({"floor": number(session.floor)} if session.floor else {}),
        **({"device": binary(session.device)} if session.device else {}),
        **({"used_at": number(session.used_at)} if session.used_at else {}),
        **late,
    }


def is_session(item: Mapping[str, Any]) -> bool:
    """Whether the item holds a session. The note of a use makes an item of its own where its writer means harm."""
    return "digest" in item


def session_from(item: Mapping[str, Any]) -> Session:
    """The session that the item holds.

    An item of an older version has no `from`: `address` and `user_agent` take its place. It has no `floor` either: a
    session cookie's generation always is its floor.
    """
    transport: Transport = item["transport"]["S"]
    generation = int(item["generation"]["N"])
    return Session(
        sub=keys.sub_of(item),
        sid=keys.sid_of(item),
        generation=generation,
        digest=item["digest"]["B"],
        wrapped=item["wrapped"]["B"],
        key_id=item["key_id"]["S"],
        epoch=int(item["epoch"]["N"]),
        created_at=int(item["created_at"]["N"]),
        rotated_at=int(item["rotated_at"]["N"]),
        idle_expires_at=int(item["idle_expires_at"]["N"]),
        absolute_expires_at=int(item["absolute_expires_at"]["N"]),
        transport=transport,
        auth_time=int(item["auth_time"]["N"]),
        amr=tuple(value["S"] for value in item["amr"]["L"]),
        address=item["address"]["S"],
        user_agent=item["user_agent"]["S"],
        answered=bytes_from(item, "from"),
        floor=generation if transport == "session" else number_from(item, "floor"),
        device=bytes_from(item, "device"),
        late_base=int(item["late_base"]["N"]) if "late_base" in item else None,
        late_wrapped=bytes_from(item, "late_wrapped"),
        late_at=tuple(int(value["N"]) for value in item["late_at"]["L"]) if "late_at" in item else (),
        used_at=_note_of_use(item),
    )


def _note_of_use(item: Mapping[str, Any]) -> int:
    """`used_at`, or 0 where it is no whole number: its writer is trusted with nothing else, and not with its form."""
    try:
        return int(item["used_at"]["N"])
    except (KeyError, ValueError):
        return 0
