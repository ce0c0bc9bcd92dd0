"""The requests that turn, renew and touch a session, as plain values. A refused one leaves it as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store import items, keys, requests
from chalicelib.store.values import binary, number, number_list, text, text_list

if TYPE_CHECKING:
    from chalicelib.store.outcomes import Renewal, Rotation
    from chalicelib.store.requests import Request
    from chalicelib.store.values import Value

_LIVE_GENERATION = "#generation = :generation"
_LIVE_SECRET = "#digest = :digest"  # noqa: S105 - an expression
_NOT_REVOKED = "#epoch = :epoch"


def rotate(table: str, rotation: Rotation) -> Request:
    """Hold the next generation; see Store.rotate_refresh_token.

    The TTL follows the idle limit alone, because the absolute one is not at hand; garbage may lie a little longer.
    """
    clauses = [_LIVE_GENERATION, _LIVE_SECRET, _NOT_REVOKED, requests.WITHIN_LIMITS]
    values = {
        ":generation": number(rotation.generation),
        ":digest": binary(rotation.digest),
        ":epoch": number(rotation.epoch),
        ":now": number(rotation.now),
        ":next_generation": number(rotation.generation + 1),
        ":next_digest": binary(rotation.next_digest),
        ":wrapped": binary(rotation.wrapped),
        ":key_id": text(rotation.key_id),
        ":idle": number(rotation.idle_expires_at),
        ":answered": binary(rotation.answered),
    }
    if rotation.turned_before is not None:
        # The key turns once a window: of tabs that refresh one after the other, none gets two generations ahead.
        clauses.append("#rotated_at < :turned_before")
        values[":turned_before"] = number(rotation.turned_before)
    change = (
        "SET #generation = :next_generation, #digest = :next_digest, #wrapped = :wrapped, #key_id = :key_id, "
        "#rotated_at = :now, #idle_expires_at = :idle, #expires_at = :idle, #from = :answered"
    )
    if rotation.late is None:
        change += " REMOVE #late_base, #late_wrapped"
    else:
        change += ", #late_base = :late_base, #late_wrapped = :late_wrapped, #late_at = :late_at"
        values |= {
            ":late_base": number(rotation.late.late_base),
            ":late_wrapped": binary(rotation.late.late_wrapped),
            ":late_at": number_list(rotation.late.late_at),
        }
    request = requests.update_if(table, keys.session(rotation.sub, rotation.sid), " AND ".join(clauses), change, values)
    return {**request, "ReturnValues": "ALL_NEW"}


def renew(table: str, renewal: Renewal, epoch: int) -> Request:
    """Hold the next generation and no way from the one before to it; see outcomes.Renewal.

    `epoch` is the account's before the change: a session that is not of it is dead, and must not be taken along.

    The idle limit was judged when the session was read: it moves with every use, and nothing else has changed.
    """
    session = renewal.session
    not_over = "#absolute_expires_at > :now"
    values: dict[str, Value] = {
        ":generation": number(session.generation),
        ":digest": binary(session.digest),
        ":epoch": number(epoch),
        ":now": number(renewal.now),
        ":next_generation": number(session.generation + 1),
        ":next_digest": binary(renewal.next_digest),
        ":nothing": binary(b""),
        ":key_id": text(renewal.key_id),
        ":next_epoch": number(renewal.epoch),
        ":idle": number(renewal.idle_expires_at),
        ":expires_at": number(
            items.session_ttl(session.transport, renewal.idle_expires_at, session.absolute_expires_at)
        ),
        ":answered": binary(renewal.answered),
        ":auth_time": number(renewal.auth_time),
        ":amr": text_list(renewal.amr),
    }
    return requests.update_if(
        table,
        keys.session(session.sub, session.sid),
        f"{_LIVE_GENERATION} AND {_LIVE_SECRET} AND {_NOT_REVOKED} AND {not_over}",
        "SET #generation = :next_generation, #floor = :next_generation, #digest = :next_digest, #wrapped = :nothing, "
        "#key_id = :key_id, #epoch = :next_epoch, #rotated_at = :now, #idle_expires_at = :idle, "
        "#expires_at = :expires_at, #from = :answered, #auth_time = :auth_time, #amr = :amr "
        "REMOVE #late_base, #late_wrapped",
        values,
    )


def touch(table: str, sub: str, sid: str, *, now: int, unless_since: int) -> Request:
    """Note that the session is in use; see Store.touch_session.

    The guard's policy lets it name these attributes and no other one, in conditions too: a right to name `digest` or
    `epoch` would be a right to write it.
    """
    is_there = "attribute_exists(#pk)"
    first_of_its_minute = "(attribute_not_exists(#used_at) OR #used_at < :unless_since)"
    return requests.update_if(
        table,
        keys.session(sub, sid),
        f"{is_there} AND {first_of_its_minute}",
        "SET #used_at = :now",
        {":now": number(now), ":unless_since": number(unless_since)},
    )
