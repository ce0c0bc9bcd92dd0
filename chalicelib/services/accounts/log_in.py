"""Logging in with a password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.domain.passwords import normalised
from chalicelib.emails import canonical_email
from chalicelib.errors import InvalidCredentials, Unavailable

if TYPE_CHECKING:
    from chalicelib.crypto.device_tokens import DeviceTokens
    from chalicelib.domain.accounts import Login
    from chalicelib.domain.callers import Caller
    from chalicelib.domain.sessions import Device
    from chalicelib.services.accounts.credentials import Credentials
    from chalicelib.services.accounts.hashing import Hashing
    from chalicelib.services.attempts import Attempts
    from chalicelib.services.sessions.begin import NewSessions
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.services.surroundings import Surroundings
    from chalicelib.store.protocol import AccountStore


@dataclass(slots=True, eq=False, repr=False)
class LogIn:
    """The use case."""

    store: AccountStore
    new_sessions: NewSessions
    hashing: Hashing
    attempts: Attempts
    devices: DeviceTokens
    around: Surroundings

    def __call__(self, credentials: Credentials, caller: Caller) -> Grant:
        """Begin a session of the account that the address and the password fit.

        InvalidCredentials for an unknown address, a wrong password and a disabled account alike: the same steps in the
        same order, with the same hash (ASVS V6.3.8). TooManyRequests before the hash.

        A known device counts by itself. It is one as long as the account is there and of the device's epoch, which only
        the account tells: else the attempt counts as a stranger's too, still before the hash.
        """
        email = canonical_email(credentials.email)
        password = normalised(credentials.password)
        now = self.around.clock.now()
        device = self.devices.verify(credentials.device_token, email, now)
        attempts = [self.attempts.log_in_from(device, caller) if device else self.attempts.log_in(email, caller)]
        login = self.store.find_login(email)
        if device and not _is_known(device, login):
            attempts.append(self.attempts.log_in(email, caller))
        matches = self.hashing.verify(login, password, *attempts)
        if login is None or login.password_digest is None or not matches or login.account.disabled:
            self.around.audit.record("login_refused", caller, **_why_refused(login))
            raise InvalidCredentials
        new = self.new_sessions.prepare(credentials.authenticated(login.account, caller, now, device), now)
        digest = login.password_digest
        rehash = self.hashing.hasher.needs_rehash(digest)
        beside = (lambda: self._rehash(login, digest, password, caller)) if rehash else None
        grant = self.new_sessions.begin(new, beside)
        self.around.audit.record("logged_in", caller, sub=login.account.sub, sid=new.session.sid, method="pwd")
        return grant

    def _rehash(self, login: Login, old_digest: str, password: str, caller: Caller) -> None:
        """Store the password under today's parameters. Where that fails the login goes on: the next one tries again."""
        try:
            self.store.replace_password_digest(login.account.email, old_digest, self.hashing.hasher.hash(password))
        except Unavailable as error:
            self.around.audit.record("rehash_failed", caller, sub=login.account.sub, why=error.debug)


def _is_known(device: Device, login: Login | None) -> bool:
    return login is not None and not login.account.disabled and login.account.epoch == device.epoch


def _why_refused(login: Login | None) -> dict[str, str]:
    """For the log alone: the caller is told one thing for all of them."""
    if login is None:
        return {"why": "unknown_address"}
    if login.account.disabled:
        return {"why": "disabled", "sub": login.account.sub}
    return {"why": "no_password" if login.password_digest is None else "wrong_password", "sub": login.account.sub}
