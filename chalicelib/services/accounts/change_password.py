"""Changing the password, and setting the first one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.domain.denials import deny_until
from chalicelib.domain.passwords import normalised
from chalicelib.errors import InvalidCredentials, InvalidRequest, Unavailable
from chalicelib.services.accounts.credentials import PASSWORD
from chalicelib.services.sessions.renewals import ATTEMPTS
from chalicelib.store.outcomes import AccessChanged

if TYPE_CHECKING:
    from chalicelib.crypto.device_tokens import DeviceTokens
    from chalicelib.domain.accounts import Login
    from chalicelib.domain.callers import Caller, Principal
    from chalicelib.domain.sessions import RefreshToken, Session
    from chalicelib.services.accounts.hashing import Hashing
    from chalicelib.services.accounts.new_passwords import NewPasswords
    from chalicelib.services.attempts import Attempt, Attempts
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.services.sessions.renewals import Renewals
    from chalicelib.services.surroundings import Surroundings
    from chalicelib.store.protocol import AccountStore


@dataclass(slots=True, eq=False, repr=False)
class ChangePassword:
    """The use case."""

    store: AccountStore
    renewals: Renewals
    hashing: Hashing
    passwords: NewPasswords
    attempts: Attempts
    devices: DeviceTokens
    around: Surroundings

    def __call__(
        self,
        principal: Principal,
        current: str | None,
        new: str,
        presented: RefreshToken | None,
        caller: Caller,
        *,
        device_token: str | None = None,
    ) -> Grant:
        """Set a new password; every other session of every transport ends, this one goes on (ASVS V6.2.3, V7.4.3).

        `presented` is the session's genuine long-lived credential. It is renewed in the same write, and every earlier
        credential is dead (ASVS V7.2.4). CredentialRequired, InvalidGrant, InvalidToken as Renewals.asking.

        A wrong current password counts on the same limiter as a login's (regressions: CVE-2026-9798), except from a
        known device, which has one of its own: strangers' guesses are why somebody may want another password. An
        account that a provider has opened has none: its owner sets the first one without, soon after a login.

        Every device is unknown afterwards, except the one that asks, if its `device_token` is genuine.
        """
        now = self.around.clock.now()
        current, new = normalised(current) if current is not None else None, normalised(new)
        session, account = self.renewals.asking(principal.sub, principal.sid, presented, caller, now)
        self.passwords.accept_new(new, account.email)
        device = self.devices.verify(device_token, account.email, now)
        if device and device.epoch != account.epoch:
            device = None
        attempt, login = self.attempts.reauthenticate(
            account, device, caller, lambda: self.store.find_login(account.email)
        )
        amr, auth_time = self._reauthenticate(principal, session, login, current, caller, now, attempt)
        if login is None:
            raise InvalidCredentials
        self.passwords.require_unbreached(new, caller)
        digest = self.hashing.hash(new, attempt)
        # The session moves to the next epoch, and with it the access token that is signed for it.
        moved = login.account._replace(epoch=login.account.epoch + 1)
        until = deny_until(now)
        for _ in range(ATTEMPTS):
            grant, renewal = self.renewals.prepare(moved, session, caller, now, amr=amr, auth_time=auth_time)
            with self.renewals.told("password_changed", session, caller):
                outcome = self.store.change_password(login, digest, renewal, deny_until=until)
            if outcome is AccessChanged.CHANGED:
                self.around.audit.record("password_changed", caller, sub=principal.sub, sid=principal.sid)
                if device is None:
                    return grant
                return grant._replace(device_token=self.devices.issue(account.email, moved.epoch, now, device))
            if outcome is not AccessChanged.SESSION_MOVED:
                break
            # Another tab has turned the key meanwhile, or the session has ended.
            session, _ = self.renewals.asking(principal.sub, principal.sid, presented, caller, now)
        # Somebody else's change, or a logout everywhere, came first: whether `current` still fits is open.
        raise Unavailable(debug="account changed during a password change")

    def _reauthenticate(
        self,
        principal: Principal,
        session: Session,
        login: Login | None,
        current: str | None,
        caller: Caller,
        now: int,
        attempt: Attempt,
    ) -> tuple[tuple[str, ...], int]:
        """How and when the person was authenticated, who is about to set a new password."""
        if current is None:
            if login is not None and login.password_digest is not None:
                detail = "current_password is missing."
                raise InvalidRequest(detail)
            self.renewals.sessions.require_recent_login(principal)
            return session.amr, session.auth_time
        if not self.hashing.verify(login, current, attempt):
            self.around.audit.record("password_change_refused", caller, sub=principal.sub, why="invalid_credentials")
            raise InvalidCredentials
        return PASSWORD, now
