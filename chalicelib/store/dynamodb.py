"""The store's verbs on one DynamoDB table. Each clause of a condition has a name that says when it holds."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.store import denials, epochs, identities, items, keys, limits, pending_logins, requests, sessions
from chalicelib.store.calls import ConditionFailed, TransactionRefused, send, send_batch, transact, write_batch
from chalicelib.store.outcomes import AccessChanged, NotRotated, Rotated
from chalicelib.store.values import binary, number, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from chalicelib.domain.denials import Denials
    from chalicelib.domain.events import Rank
    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.domain.records import (
        Account,
        LinkedIdentity,
        Login,
        PendingLogin,
        SecurityEvent,
        Session,
    )
    from chalicelib.store.outcomes import Renewal, Rotation
    from chalicelib.store.values import Item, Value

_BATCH = 25  # items that BatchWriteItem takes


class DynamoDBStore:
    """The Store (protocol.py) on the table that infra/table.py defines."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def count_attempt(self, policy: LimitPolicy, value: str, now: int) -> int:
        """Count in one write. A lost answer may count one attempt twice, or delay it by one spacing; never skip it."""
        try:
            send(self._client.update_item, limits.count(self._table, policy, value, now))
        except ConditionFailed as refused:
            attempts, last_at = items.attempts_from(refused.held)
            return policy.retry_after(attempts, last_at, now)
        return 0

    def return_attempt(self, policy: LimitPolicy, value: str, now: int) -> None:
        """Give it back in one write. A lost answer may give it back twice: one attempt more in that window."""
        with suppress(ConditionFailed):
            send(self._client.update_item, limits.give_back(self._table, policy, value, now))

    def create_account(self, login: Login, session: Session) -> bool:
        """Put login, state, session and markers, none of which may be there: 6 write units, and 2 an identity."""
        markers = (items.marker_item(login.account.sub, identity) for identity in login.identities)
        new = (items.login_item(login), items.state_item(login.account), items.session_item(session), *markers)
        try:
            transact(self._client, [{"Put": requests.put_new(self._table, item)} for item in new])
        except TransactionRefused as refused:
            # A sub is random: where ours is found, this very call has written it and its answer was lost.
            return bool(refused.held.get(0, {}).get("sub") == text(login.account.sub))
        return True

    def find_login(self, email: str) -> Login | None:
        """Read the login."""
        item = self._get(keys.login(email))
        return items.login_from(item) if item else None

    def find_account(self, sub: str) -> Account | None:
        """Read the state."""
        item = self._get(keys.state(sub))
        return items.account_from(item) if item else None

    def replace_password_digest(self, email: str, old_digest: str, new_digest: str) -> bool:
        """Swap the digest in one write."""
        unchanged = "#password_digest = :old"
        values = {":old": text(old_digest), ":new": text(new_digest)}
        try:
            self._update_if(keys.login(email), unchanged, "SET #password_digest = :new", values)
        except ConditionFailed as refused:
            # A digest is freshly salted: where ours is found, this very call has written it.
            return bool(refused.held.get("password_digest") == text(new_digest))
        return True

    def change_password(self, login: Login, new_digest: str, renewal: Renewal, *, deny_until: int) -> AccessChanged:
        """Update login, state, session and blacklist in one transaction: 8 write units."""
        writes = epochs.change_password(self._table, login, new_digest, renewal, deny_until=deny_until)
        try:
            transact(self._client, writes)
        except TransactionRefused as refused:
            if refused.held.get(epochs.LOGIN, {}).get("password_digest") == text(new_digest):
                return AccessChanged.CHANGED  # by this very call: a digest is freshly salted
            moved = set(refused.held) == {epochs.SESSION}
            return AccessChanged.SESSION_MOVED if moved else AccessChanged.LOGIN_MOVED
        return AccessChanged.CHANGED

    def raise_epoch(self, account: Account, *, deny_until: int, disable: bool = False) -> bool:
        """Update login, state and blacklist in one transaction: 6 write units.

        Another writer's next epoch looks like ours, but a password change spares a session: a refusal is never called
        our own lost write.
        """
        return self._all_hold(epochs.end_everything(self._table, account, deny_until=deny_until, disable=disable))

    def find_identity(self, issuer: str, subject: str) -> str | None:
        """Read the marker."""
        marker = self._get(keys.identity(issuer, subject))
        return marker["sub"]["S"] if marker else None

    def link_identity(
        self, login: Login, identity: LinkedIdentity, *, proves: str | None, session: Renewal | Session | None
    ) -> AccessChanged:
        """Put the marker and update login and, with a proof, state: 4 or 6 write units; 2 more for a session."""
        writes = identities.link(self._table, login, identity, proves=proves, session=session)
        try:
            transact(self._client, writes)
        except TransactionRefused as refused:
            if len(writes) + identities.MARKER in refused.held:
                return AccessChanged.IDENTITY_TAKEN
            return _moved(refused, asked=session is not None)
        return AccessChanged.CHANGED

    def take_over_account(self, login: Login, identity: LinkedIdentity, *, proves: str, deny_until: int) -> bool:
        """Update login, state and blacklist, write and delete markers: 8 write units, and 2 an identity of before."""
        return self._all_hold(identities.take_over(self._table, login, identity, proves=proves, deny_until=deny_until))

    def unlink_identity(self, login: Login, provider: str, renewal: Renewal) -> AccessChanged:
        """Update login and session and delete the marker in one transaction: 6 write units."""
        try:
            transact(self._client, identities.unlink(self._table, login, provider, renewal))
        except TransactionRefused as refused:
            return _moved(refused, asked=True)
        return AccessChanged.CHANGED

    def begin_login(self, digest: bytes, pending: PendingLogin) -> None:
        """Put the pending login. It is never put over one that is there: that one may be taken by now."""
        try:
            item = pending_logins.pending_login_item(digest, pending)
            send(self._client.put_item, requests.put_new(self._table, item))
        except ConditionFailed:
            return  # a digest is fresh: this very call has written it and its answer was lost

    def take_login(self, digest: bytes, attempt: str, now: int) -> PendingLogin | None:
        """Mark it as taken in one write. A deleted item could not tell a retry that the retry itself has deleted it."""
        not_taken = "attribute_not_exists(#taken_by)"
        in_time = "#expires_at > :now"  # holds for no item that is not there, so that none is made
        request = requests.update_if(
            self._table,
            keys.pending_login(digest),
            f"{not_taken} AND {in_time}",
            "SET #taken_by = :attempt",
            {":attempt": text(attempt), ":now": number(now)},
        )
        try:
            response = send(self._client.update_item, {**request, "ReturnValues": "ALL_NEW"})
        except ConditionFailed as refused:
            taken_by_this_call = refused.held.get("taken_by") == text(attempt)
            return pending_logins.pending_login_from(refused.held) if taken_by_this_call else None
        return pending_logins.pending_login_from(response["Attributes"])

    def create_session(self, session: Session) -> None:
        """Put the session. It is never put over one that is there: a late attempt would undo its first rotation."""
        try:
            send(self._client.put_item, requests.put_new(self._table, items.session_item(session)))
        except ConditionFailed:
            return  # a sid is random: this very call has written it and its answer was lost

    def renew_session(self, renewal: Renewal) -> bool:
        """Renew in one write."""
        try:
            send(self._client.update_item, sessions.renew(self._table, renewal, renewal.epoch))
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
            response = send(self._client.update_item, sessions.rotate(self._table, rotation))
        except ConditionFailed as refused:
            held = items.session_from(refused.held) if items.is_session(refused.held) else None
            # A secret is random: where the next one is held, this very call has written it and its answer was lost.
            return Rotated(held) if held and held.digest == rotation.next_digest else NotRotated(held)
        return Rotated(items.session_from(response["Attributes"]))

    def find_session(self, sub: str, sid: str) -> Session | None:
        """Read the session."""
        item = self._get(keys.session(sub, sid))
        return items.session_from(item) if items.is_session(item) else None

    def find_session_and_account(self, sub: str, sid: str) -> tuple[Session | None, Account | None]:
        """Read both in one call."""
        request = requests.read_all(self._table, [keys.session(sub, sid), keys.state(sub)])
        found = {keys.is_state(item): item for item in send_batch(self._client, request)}
        session, state = found.get(False, {}), found.get(True)
        return (
            items.session_from(session) if items.is_session(session) else None,
            items.account_from(state) if state else None,
        )

    def touch_session(self, sub: str, sid: str, *, now: int, unless_since: int) -> None:
        """Note the use in one write."""
        request = sessions.touch(self._table, sub, sid, now=now, unless_since=unless_since)
        with suppress(ConditionFailed):
            send(self._client.update_item, request)

    def list_sessions(self, sub: str, *, after: str | None, limit: int) -> tuple[tuple[Session, ...], str | None]:
        """Read a range of the user's partition: half a unit for each 4 KB. A hundred sessions are no second page."""
        request = requests.read_range(self._table, keys.user(sub), keys.sessions_after(after), limit)
        page = send(self._client.query, request)
        found = tuple(items.session_from(item) for item in page["Items"] if items.is_session(item))
        last = page.get("LastEvaluatedKey")
        return found, keys.sid_of(last) if last else None

    def delete_sessions(self, sub: str, sids: Sequence[str]) -> None:
        """Delete 25 at once, a write unit each."""
        write_batch(self._client, requests.delete_all(self._table, [keys.session(sub, sid) for sid in sids]))

    def deny_session(self, sub: str, sid: str, *, now: int) -> Denials | None:
        """Add the session to the blacklist's set in one write."""
        return self._deny(denials.deny_session(self._table, sub, sid, now=now))

    def deny_token(self, sub: str, jti: str, *, now: int) -> Denials | None:
        """Add the access token to the blacklist's set in one write."""
        return self._deny(denials.deny_token(self._table, sub, jti, now=now))

    def replace_denials(self, sub: str, seen: Denials, compacted: Denials) -> bool:
        """Replace both sets and the moment in one write."""
        held = self._deny(denials.replace_all(self._table, sub, seen, compacted))
        # Where the compacted list is found, this very call has written it, or another one the same.
        return held is None or (held.issued_before, held.sessions, held.tokens) == (
            compacted.issued_before,
            compacted.sessions,
            compacted.tokens,
        )

    def delete_session(self, sub: str, sid: str) -> None:
        """Delete the item."""
        send(self._client.delete_item, requests.delete(self._table, keys.session(sub, sid)))

    def find_denials(self, sub: str) -> Denials:
        """Read the blacklist and nothing else."""
        return items.denials_from(self._get(keys.deny(sub)))

    def record_events(self, events: Sequence[SecurityEvent]) -> None:
        """Put 25 at a time, a write unit each."""
        kept = list({(event.sub, event.at, event.id): items.event_item(event) for event in events}.values())
        for start in range(0, len(kept), _BATCH):
            write_batch(self._client, requests.put_all(self._table, kept[start : start + _BATCH]))

    def list_events(self, sub: str, *, rank: Rank, now: int, limit: int) -> tuple[SecurityEvent, ...]:
        """Read the end of a range: half a unit for each 4 KB. Fifty of them are no second page (1 MB)."""
        bounds = keys.events_until(now, rank=rank)
        request = requests.read_range(self._table, keys.events(sub), bounds, limit, backwards=True)
        return tuple(items.event_from(item) for item in send(self._client.query, request)["Items"])

    def _get(self, key: keys.Key) -> Item:
        return send(self._client.get_item, requests.read(self._table, key)).get("Item", {})

    def _deny(self, update: requests.Request) -> Denials | None:
        """None when done; the blacklist as it is where the condition does not hold."""
        try:
            send(self._client.update_item, update)
        except ConditionFailed as refused:
            return items.denials_from(refused.held)
        return None

    def _update_if(self, key: keys.Key, condition: str, change: str, values: Mapping[str, Value]) -> None:
        send(self._client.update_item, requests.update_if(self._table, key, condition, change, values))

    def _all_hold(self, writes: Sequence[requests.Request]) -> bool:
        try:
            transact(self._client, writes)
        except TransactionRefused:
            return False
        return True


def _moved(refused: TransactionRefused, *, asked: bool) -> AccessChanged:
    """What a refused change of identities has found moved: the session that asked alone, or the login."""
    # A session that is refused beside the login has moved along with a password change, maybe.
    session_alone = asked and set(refused.held) == {identities.SESSION}
    return AccessChanged.SESSION_MOVED if session_alone else AccessChanged.LOGIN_MOVED
