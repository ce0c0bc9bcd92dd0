"""What the fake holds in the place of the table, and the steps that verbs of several aggregates share."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from chalicelib.domain.denials import Denials
from chalicelib.store.items.values import user_agent

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account, LinkedIdentity, Login
    from chalicelib.domain.events import SecurityEvent
    from chalicelib.domain.federation import PendingLogin
    from chalicelib.domain.sessions import Session
    from chalicelib.store.outcomes import Renewal


class FakeTable:
    """Dictionaries, into which tests may look, under one lock, which is held while a step below is taken.

    Nothing expires, because the table's TTL may lag for days.
    """

    def __init__(self) -> None:
        self.attempts: dict[tuple[str, str, int], tuple[int, int]] = {}
        self.logins: dict[str, Login] = {}
        self.accounts: dict[str, Account] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.markers: dict[tuple[str, str], tuple[str, int]] = {}
        self.pending_logins: dict[bytes, PendingLogin] = {}
        self.taken_by: dict[bytes, str] = {}
        self.denials: dict[str, Denials] = {}
        self.events: dict[tuple[str, int, str], SecurityEvent] = {}
        self._lock = Lock()

    def _at_epoch(self, account: Account) -> bool:
        login, state = self.logins.get(account.email), self.accounts.get(account.sub)
        return (
            login is not None
            and state is not None
            and login.account.sub == account.sub
            and login.account.epoch == state.epoch == account.epoch
        )

    def _raise_epoch(self, account: Account, deny_until: int, *, disabled: bool) -> None:
        raised = account.epoch + 1
        login, state = self.logins[account.email], self.accounts[account.sub]
        self.logins[account.email] = login._replace(account=login.account._replace(epoch=raised, disabled=disabled))
        self.accounts[account.sub] = state._replace(epoch=raised, disabled=disabled)
        held = self.denials.get(account.sub, Denials())
        self.denials[account.sub] = replace(held, before_epoch=raised, expires_at=deny_until)

    def _mark(self, sub: str, identity: LinkedIdentity) -> None:
        self.markers[identity.issuer, identity.subject] = (sub, identity.linked_at)

    def _may_renew(self, renewal: Renewal, epoch: int) -> bool:
        read, held = renewal.session, self.sessions.get((renewal.session.sub, renewal.session.sid))
        return (
            held is not None
            and (held.generation, held.digest, held.epoch) == (read.generation, read.digest, epoch)
            and renewal.now < held.absolute_expires_at
        )

    def _renew(self, renewal: Renewal) -> None:
        held = self.sessions[renewal.session.sub, renewal.session.sid]
        self._write_session(
            held._replace(
                generation=held.generation + 1,
                floor=held.generation + 1,
                digest=renewal.next_digest,
                wrapped=b"",
                key_id=renewal.key_id,
                epoch=renewal.epoch,
                rotated_at=renewal.now,
                idle_expires_at=renewal.idle_expires_at,
                answered=renewal.answered,
                auth_time=renewal.auth_time,
                amr=renewal.amr,
                late_base=None,
                late_wrapped=b"",
            )
        )

    def _write_session(self, session: Session) -> Session:
        stored = session._replace(user_agent=user_agent(session.user_agent)["S"])
        self.sessions[session.sub, session.sid] = stored
        return stored
