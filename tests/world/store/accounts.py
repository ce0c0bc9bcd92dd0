"""Accounts in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store.outcomes import AccessChanged
from tests.world.store.table import FakeTable

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account, Login
    from chalicelib.domain.sessions import Session
    from chalicelib.store.outcomes import Renewal


class FakeAccounts(FakeTable):
    """The AccountStore of chalicelib/store/protocol.py."""

    def create_account(self, login: Login, session: Session) -> bool:
        """Make all of them, or none where the address or an identity is taken."""
        with self._lock:
            held = self.logins.get(login.account.email)
            if held:
                return held.account.sub == login.account.sub
            if any((identity.issuer, identity.subject) in self.markers for identity in login.identities):
                return False
            for identity in login.identities:
                self._mark(login.account.sub, identity)
            self.logins[login.account.email] = login
            self.accounts[login.account.sub] = login.account
            self._write_session(session)
            return True

    def find_login(self, email: str) -> Login | None:
        """Read the login."""
        with self._lock:
            return self.logins.get(email)

    def find_account(self, sub: str) -> Account | None:
        """Read the account."""
        with self._lock:
            return self.accounts.get(sub)

    def replace_password_digest(self, email: str, old_digest: str, new_digest: str) -> bool:
        """Swap the digest if it is the old one."""
        with self._lock:
            login = self.logins.get(email)
            if login is None or login.password_digest != old_digest:
                return login is not None and login.password_digest == new_digest
            self.logins[email] = login._replace(password_digest=new_digest)
            return True

    def change_password(self, login: Login, new_digest: str, renewal: Renewal, *, deny_until: int) -> AccessChanged:
        """Change login, account, session and blacklist together."""
        account = login.account
        with self._lock:
            held = self.logins.get(account.email)
            if held and held.password_digest == new_digest:
                return AccessChanged.CHANGED
            if held is None or held.password_digest != login.password_digest or not self._at_epoch(account):
                return AccessChanged.LOGIN_MOVED
            if not self._may_renew(renewal, account.epoch):
                return AccessChanged.SESSION_MOVED
            self._raise_epoch(account, deny_until, disabled=held.account.disabled)
            self.logins[account.email] = self.logins[account.email]._replace(password_digest=new_digest)
            self._renew(renewal)
            return AccessChanged.CHANGED

    def raise_epoch(self, account: Account, *, deny_until: int, disable: bool = False) -> bool:
        """Change login, account and blacklist together."""
        with self._lock:
            if not self._at_epoch(account):
                return False
            self._raise_epoch(account, deny_until, disabled=disable or self.accounts[account.sub].disabled)
            return True
