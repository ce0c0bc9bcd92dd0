"""Identities in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store.outcomes import AccessChanged, Renewal
from tests.world.store.table import FakeTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.domain.accounts import Account, LinkedIdentity, Login
    from chalicelib.domain.sessions import Session


class FakeIdentities(FakeTable):
    """The IdentityStore of chalicelib/store/protocol.py."""

    def find_identity(self, issuer: str, subject: str) -> str | None:
        """Read the marker."""
        with self._lock:
            marker = self.markers.get((issuer, subject))
            return marker[0] if marker else None

    def link_identity(
        self, login: Login, identity: LinkedIdentity, *, proves: str | None, session: Renewal | Session | None
    ) -> AccessChanged:
        """Change marker, login and session, and the account where its address is proven, together."""
        account = login.account
        with self._lock:
            if (identity.issuer, identity.subject) in self.markers:
                return AccessChanged.IDENTITY_TAKEN
            if not self._as_read(login):
                return AccessChanged.LOGIN_MOVED
            if isinstance(session, Renewal):
                if not self._may_renew(session, account.epoch):
                    return AccessChanged.SESSION_MOVED
                self._renew(session)
            elif session is not None:
                there = self.sessions.get((session.sub, session.sid))
                if there is None or (there.epoch, there.floor) != (account.epoch, session.floor):
                    return AccessChanged.SESSION_MOVED
            self._mark(account.sub, identity)
            held = self.logins[account.email]
            given_up = tuple(name for name in held.given_up if name != identity.provider)
            self.logins[account.email] = held._replace(identities=(*held.identities, identity), given_up=given_up)
            if proves is not None:
                self._prove_address(account, proves)
            return AccessChanged.CHANGED

    def take_over_account(self, login: Login, identity: LinkedIdentity, *, proves: str, deny_until: int) -> bool:
        """Change login, account, blacklist and markers together."""
        account = login.account
        with self._lock:
            opens, _ = self.markers.get((identity.issuer, identity.subject), (None, 0))
            if account.email_verified or not self._as_read(login) or opens not in {None, account.sub}:
                return False
            self._unmark(login.identities)
            self._mark(account.sub, identity)
            self._raise_epoch(account, deny_until, disabled=self.accounts[account.sub].disabled)
            held = self.logins[account.email]
            self.logins[account.email] = held._replace(password_digest=None, identities=(identity,), given_up=())
            self._prove_address(account, proves)
            return True

    def unlink_identity(self, login: Login, provider: str, renewal: Renewal) -> AccessChanged:
        """Change login, session and marker together."""
        with self._lock:
            if not self._as_read(login):
                return AccessChanged.LOGIN_MOVED
            if not self._may_renew(renewal, login.account.epoch):
                return AccessChanged.SESSION_MOVED
            self._renew(renewal)
            left = tuple(identity for identity in login.identities if identity.provider != provider)
            self._unmark(identity for identity in login.identities if identity not in left)
            held = self.logins[login.account.email]
            given_up = tuple(sorted({*held.given_up, *(gone.provider for gone in held.identities if gone not in left)}))
            self.logins[login.account.email] = held._replace(identities=left, given_up=given_up)
            return AccessChanged.CHANGED

    def _as_read(self, login: Login) -> bool:
        held = self.logins.get(login.account.email)
        return (
            held is not None
            and self._at_epoch(login.account)
            and held.account.email_verified == login.account.email_verified
            and held.identities == login.identities
        )

    def _unmark(self, identities: Iterable[LinkedIdentity]) -> None:
        for identity in identities:
            del self.markers[identity.issuer, identity.subject]

    def _prove_address(self, account: Account, address: str) -> None:
        login, state = self.logins[account.email], self.accounts[account.sub]
        self.logins[account.email] = login._replace(account=login.account.proven(address))
        self.accounts[account.sub] = state.proven(address)
