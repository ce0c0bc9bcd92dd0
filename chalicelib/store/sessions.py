"""The requests that turn and touch a session, as plain values. A condition that does not hold leaves it as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store import items, keys, requests
from chalicelib.store.items import binary, number, text

if TYPE_CHECKING:
    from chalicelib.domain.records import Client, Session
    from chalicelib.store.protocol import Rotation
    from chalicelib.store.requests import Request

_LIVE_SECRET = "#digest = :digest"  # noqa: S105 - an expression
_NOT_REVOKED = "#epoch = :epoch"


def rotate(table: str, rotation: Rotation) -> Request:
    """Hold the next generation; see Store.rotate_refresh_token.

    The TTL follows the idle limit alone, because the absolute one is not at hand; garbage may lie a little longer.
    """
    live_generation = "#generation = :generation"
    request = requests.update_if(
        table,
        keys.session(rotation.sub, rotation.sid),
        f"{live_generation} AND {_LIVE_SECRET} AND {_NOT_REVOKED} AND {requests.WITHIN_LIMITS}",
        "SET #generation = :next_generation, #digest = :next_digest, #wrapped = :wrapped, #key_id = :key_id, "
        "#rotated_at = :now, #idle_expires_at = :idle, #expires_at = :idle, "
        "#address = :address, #user_agent = :user_agent",
        {
            ":generation": number(rotation.generation),
            ":digest": binary(rotation.digest),
            ":epoch": number(rotation.epoch),
            ":now": number(rotation.now),
            ":next_generation": number(rotation.generation + 1),
            ":next_digest": binary(rotation.next_digest),
            ":wrapped": binary(rotation.wrapped),
            ":key_id": text(rotation.key_id),
            ":idle": number(rotation.idle_expires_at),
            ":address": text(rotation.client.address),
            ":user_agent": items.user_agent(rotation.client.user_agent),
        },
    )
    return {**request, "ReturnValues": "ALL_NEW"}


def touch(table: str, session: Session, *, idle_expires_at: int, now: int, visitor: Client) -> Request:
    """Note that the session is in use; see Store.touch_session."""
    first_since_read = "#rotated_at = :seen"  # of requests that come at once one writes, or their clocks would fight
    return requests.update_if(
        table,
        keys.session(session.sub, session.sid),
        f"{_LIVE_SECRET} AND {_NOT_REVOKED} AND {first_since_read} AND {requests.WITHIN_LIMITS}",
        "SET #rotated_at = :now, #idle_expires_at = :idle, #expires_at = :expires_at, "
        "#address = :address, #user_agent = :user_agent",
        {
            ":digest": binary(session.digest),
            ":epoch": number(session.epoch),
            ":seen": number(session.rotated_at),
            ":now": number(now),
            ":idle": number(idle_expires_at),
            ":expires_at": number(min(idle_expires_at, session.absolute_expires_at)),
            ":address": text(visitor.address),
            ":user_agent": items.user_agent(visitor.user_agent),
        },
    )
