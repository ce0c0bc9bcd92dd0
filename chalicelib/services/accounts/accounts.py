"""An account as a whole: read, logged out everywhere, disabled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.domain.denials import deny_until
from chalicelib.errors import InvalidToken, Unavailable

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account
    from chalicelib.domain.callers import Caller, Principal
    from chalicelib.ports import AuditLog, Clock
    from chalicelib.store.protocol import AccountStore

EPOCH_ATTEMPTS = 3


@dataclass(slots=True, eq=False, repr=False)
class Accounts:
    """The use cases of an account that need neither password nor session."""

    store: AccountStore
    clock: Clock
    audit: AuditLog

    def account(self, principal: Principal) -> Account:
        """The principal's account as it is now. InvalidToken where it is gone or disabled."""
        account = self.store.find_account(principal.sub)
        if account is None or account.disabled:
            raise InvalidToken(debug="no such account, or disabled")
        return account

    def log_out_everywhere(self, principal: Principal, caller: Caller) -> None:
        """End every session of the user at once, and deny every access token issued so far (ASVS V7.4.5)."""
        self._raise_epoch(principal.sub, disable=False)
        self.audit.record("logged_out_everywhere", caller, sub=principal.sub)

    def disable(self, sub: str, caller: Caller) -> None:
        """Disable an account: no login, no refresh, and every token and session of before is dead (ASVS V7.4.2)."""
        self._raise_epoch(sub, disable=True)
        self.audit.record("account_disabled", caller, sub=sub)

    def _raise_epoch(self, sub: str, *, disable: bool) -> None:
        for _ in range(EPOCH_ATTEMPTS):
            account = self.store.find_account(sub)
            if account is None:
                raise InvalidToken(debug="no such account")
            until = deny_until(self.clock.now())
            if self.store.raise_epoch(account, deny_until=until, disable=disable):
                return
        raise Unavailable(debug="account contended")
