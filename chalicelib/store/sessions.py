"""Sessions on the table, and the requests that turn, renew and touch one. A refused request leaves it as it is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.store import keys, requests
from chalicelib.store.calls import ConditionFailed, send, send_batch, write_batch
from chalicelib.store.items.accounts import account_from
from chalicelib.store.items.sessions import is_session, session_from, session_item, session_ttl
from chalicelib.store.items.values import binary, number, number_list, text, text_list
from chalicelib.store.outcomes import NotRotated, Rotated
from chalicelib.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.accounts import Account
    from chalicelib.domain.sessions import Session
    from chalicelib.store.items.values import Value
    from chalicelib.store.outcomes import Renewal, Rotation
    from chalicelib.store.requests import Request

_LIVE_GENERATION = "#generation = :generation"
_LIVE_SECRET = "#digest = :digest"  # noqa: S105 - an expression
_NOT_REVOKED = "#epoch = :epoch"
# A session with a refresh token at `:now`; see Session.lives. A use of a session cookie moves its idle limit elsewhere.
_WITHIN_LIMITS = "#idle_expires_at > :now AND #absolute_expires_at > :now"


class SessionVerbs(Table):
    """The SessionStore (protocol.py) on the table."""

    def create_session(self, session: Session) -> None:
        """Put the session. It is never put over one that is there: a late attempt would undo its first rotation."""
        try:
            send(self._client.put_item, requests.put_new(self._table, session_item(session)))
        except ConditionFailed:
            return  # a sid is random: this very call has written it and its answer was lost

    def renew_session(self, renewal: Renewal) -> bool:
        """Renew in one write."""
        try:
            send(self._client.update_item, renew(self._table, renewal, renewal.epoch))
        except ConditionFailed as refused:
            # A secret is random: where the next one is held, this very call has written it and its answer was lost.
            return bool(refused.held.get("digest") == binary(renewal.next_digest))
        return True

    def rotate_refresh_token(self, rotation: Rotation) -> Rotated | NotRotated:
        """Turn the key in one write.

        held before        g (digest)    -> Rotated, and held afterwards: g + 1 (next_digest)
        held before        g, too new    -> NotRotated: the key was turned in this window
        held before        g + 1         -> NotRotated: another call has turned it; or Rotated: this one has, unheard
        held before        anything else -> NotRotated
        """
        try:
            response = send(self._client.update_item, _rotate(self._table, rotation))
        except ConditionFailed as refused:
            held = session_from(refused.held) if is_session(refused.held) else None
            # A secret is random: where the next one is held, this very call has written it and its answer was lost.
            return Rotated(held) if held and held.digest == rotation.next_digest else NotRotated(held)
        return Rotated(session_from(response["Attributes"]))

    def find_session(self, sub: str, sid: str) -> Session | None:
        """Read the session."""
        item = self._get(keys.session(sub, sid))
        return session_from(item) if is_session(item) else None

    def find_session_and_account(self, sub: str, sid: str) -> tuple[Session | None, Account | None]:
        """Read both in one call."""
        request = requests.read_all(self._table, [keys.session(sub, sid), keys.state(sub)])
        found = {keys.is_state(item): item for item in send_batch(self._client, request)}
        session, state = found.get(False, {}), found.get(True)
        return (
            session_from(session) if is_session(session) else None,
            account_from(state) if state else None,
        )

    def touch_session(self, sub: str, sid: str, *, now: int, unless_since: int) -> None:
        """Note the use in one write."""
        request = _touch(self._table, sub, sid, now=now, unless_since=unless_since)
        with suppress(ConditionFailed):
            send(self._client.update_item, request)

    def list_sessions(self, sub: str, *, after: str | None, limit: int) -> tuple[tuple[Session, ...], str | None]:
        """Read a range of the user's partition: half a unit for each 4 KB. A hundred sessions are no second page."""
        request = requests.read_range(self._table, keys.user(sub), keys.sessions_after(after), limit)
        page = send(self._client.query, request)
        found = tuple(session_from(item) for item in page["Items"] if is_session(item))
        last = page.get("LastEvaluatedKey")
        return found, keys.sid_of(last) if last else None

    def delete_session(self, sub: str, sid: str) -> None:
        """Delete the item."""
        send(self._client.delete_item, requests.delete(self._table, keys.session(sub, sid)))

    def delete_sessions(self, sub: str, sids: Sequence[str]) -> None:
        """Delete 25 at once, a write unit each."""
        write_batch(self._client, requests.delete_all(self._table, [keys.session(sub, sid) for sid in sids]))


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
        ":expires_at": number(session_ttl(session.transport, renewal.idle_expires_at, session.absolute_expires_at)),
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


def _rotate(table: str, rotation: Rotation) -> Request:
    """Hold the next generation; see Store.rotate_refresh_token.

    The TTL follows the idle limit alone, because the absolute one is not at hand; garbage may lie a little longer.
    """
    clauses = [_LIVE_GENERATION, _LIVE_SECRET, _NOT_REVOKED, _WITHIN_LIMITS]
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


def _touch(table: str, sub: str, sid: str, *, now: int, unless_since: int) -> Request:
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
