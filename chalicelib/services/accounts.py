"""Accounts: sign up, log in, change the password, end everything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.refresh_tokens import ID_BYTES
from chalicelib.domain.passwords import normalised
from chalicelib.domain.records import Account, Login
from chalicelib.emails import canonical_email
from chalicelib.errors import EmailTaken, InvalidCredentials, InvalidRequest, InvalidToken, Unavailable
from chalicelib.services.together import together
from chalicelib.store.protocol import PasswordChanged

if TYPE_CHECKING:
    from chalicelib.config import Config
    from chalicelib.crypto.device_tokens import Device, DeviceTokens
    from chalicelib.crypto.refresh_tokens import RefreshToken, RefreshTokenCodec
    from chalicelib.domain.records import Client, Principal, Session, Transport
    from chalicelib.ports import AuditLog, Clock, PasswordHasher, TokenSource
    from chalicelib.services.attempts import Attempts
    from chalicelib.services.passwords import Passwords
    from chalicelib.services.sessions import Sessions
    from chalicelib.services.tokens import Grant, Tokens
    from chalicelib.store.protocol import Store

NEW_ACCOUNT_ROLES = ("user",)
PASSWORD = ("pwd",)  # RFC 8176 section 2
EPOCH_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What signup and login take, with the sessions that the browser came with, if any.

    `device_token` is what an earlier login left on the device, unverified.
    """

    email: str
    password: str
    transport: Transport
    carried: tuple[RefreshToken, ...] = ()
    device_token: str | None = None


@dataclass(slots=True, eq=False, repr=False)
class Accounts:
    """The use cases of an account and its password."""

    store: Store
    sessions: Sessions
    tokens: Tokens
    clock: Clock
    source: TokenSource
    hasher: PasswordHasher
    passwords: Passwords
    refresh_tokens: RefreshTokenCodec
    attempts: Attempts
    devices: DeviceTokens
    audit: AuditLog
    config: Config

    def sign_up(self, credentials: Credentials, client: Client) -> Grant:
        """Make an account and its first session.

        EmailTaken after the same hash where the address has one; InvalidEmail, PasswordRejected, TooManyRequests.
        """
        email = canonical_email(credentials.email)
        password = normalised(credentials.password)
        self.passwords.accept_new(password, email)
        now = self.clock.now()
        self.attempts.sign_up(client)
        self.passwords.require_unbreached(password, client)
        account = Account(b64url(self.source.token(ID_BYTES)), email, roles=NEW_ACCOUNT_ROLES)
        session, refresh_token = self.sessions.new(
            account,
            credentials.transport,
            self.refresh_tokens.current_key_id(),
            client,
            now,
            amr=PASSWORD,
            auth_time=now,
        )
        # Signed before it is written: a key that is away must not leave a session behind that nobody holds.
        grant = self.tokens.grant(account, session, refresh_token, now)
        grant = replace(grant, device_token=self.devices.issue(email, account.epoch, now))
        if not self.store.create_account(Login(account, self.hasher.hash(password)), session):
            self.audit.record("signup_refused", client, why="email_taken")
            raise EmailTaken
        self.sessions.end_carried(credentials.carried, client)
        self.audit.record("signed_up", client, sub=account.sub, sid=session.sid)
        return grant

    def log_in(self, credentials: Credentials, client: Client) -> Grant:
        """Begin a session of the account that the address and the password fit.

        InvalidCredentials for an unknown address, a wrong password and a disabled account alike: the same steps in the
        same order, with the same hash (ASVS V6.3.8). TooManyRequests before the hash.

        A known device counts by itself. It is one as long as the account is there and of the device's epoch, which only
        the account tells: else the attempt counts as a stranger's too, still before the hash.
        """
        email = canonical_email(credentials.email)
        password = normalised(credentials.password)
        now = self.clock.now()
        device = self.devices.verify(credentials.device_token, email, now)
        if device:
            self.attempts.log_in_from(device, client)
        else:
            self.attempts.log_in(email, client)
        login = self.store.find_login(email)
        if device and not _is_known(device, login):
            self.attempts.log_in(email, client)
        matches = self.hasher.verify(login.password_digest if login else None, password)
        if login is None or login.password_digest is None or not matches or login.account.disabled:
            self.audit.record("login_refused", client, **_why_refused(login))
            raise InvalidCredentials
        session, refresh_token = self.sessions.new(
            login.account,
            credentials.transport,
            self.refresh_tokens.current_key_id(),
            client,
            now,
            amr=PASSWORD,
            auth_time=now,
        )
        grant = self.tokens.grant(login.account, session, refresh_token, now)
        grant = replace(grant, device_token=self.devices.issue(email, login.account.epoch, now, device))
        self.sessions.end_carried(credentials.carried, client)
        digest = login.password_digest
        if self.hasher.needs_rehash(digest):
            together(
                lambda: self.store.create_session(session),
                lambda: self._rehash(login, digest, password, client),
            )
        else:
            self.store.create_session(session)
        self.audit.record("logged_in", client, sub=login.account.sub, sid=session.sid, method="pwd")
        return grant

    def change_password(
        self,
        principal: Principal,
        current: str | None,
        new: str,
        client: Client,
        *,
        cookie: RefreshToken | None = None,
        device_token: str | None = None,
    ) -> Grant:
        """Set a new password; every other session of every transport ends, this one goes on (ASVS V6.2.3, V7.4.3).

        `cookie` is the principal's genuine session cookie, if that is how it came: its secret is renewed in the same
        write, and the one of before is dead (ASVS V7.2.4).

        A wrong current password counts on the same limiter as a login's (regressions: CVE-2026-9798), except from a
        known device, which has one of its own: strangers' guesses are why somebody may want another password. An
        account that a provider has opened has none: its owner sets the first one without, soon after a login.

        Every device is unknown afterwards, except the one that asks, if its `device_token` is genuine.
        """
        now = self.clock.now()
        current, new = normalised(current) if current is not None else None, normalised(new)
        account, session = self._account_and_session(principal, cookie, now)
        self.passwords.accept_new(new, account.email)
        device = self.devices.verify(device_token, account.email, now)
        if device and device.epoch != account.epoch:
            device = None
        login = self.attempts.reauthenticate(account, device, client, lambda: self.store.find_login(account.email))
        amr, auth_time = self._reauthenticate(principal, login, current, client, now)
        if login is None:
            raise InvalidCredentials
        self.passwords.require_unbreached(new, client)
        # The session moves to the next epoch, and with it the access token that is signed here.
        moved = replace(login.account, epoch=login.account.epoch + 1)
        if session is None:
            grant, session_digest = self.tokens.grant_access(moved, principal.sid, now, amr, auth_time), None
        else:
            grant, session_digest = self.tokens.renew(moved, session, now)
        if device:
            grant = replace(grant, device_token=self.devices.issue(account.email, moved.epoch, now, device))
        outcome = self.store.change_password(
            login,
            self.hasher.hash(new),
            principal.sid,
            now=now,
            deny_until=self.sessions.deny_until(now),
            auth_time=auth_time,
            session_digest=session_digest,
        )
        if outcome is PasswordChanged.SESSION_GONE:
            raise InvalidToken(debug="the session ended meanwhile")
        if outcome is PasswordChanged.LOGIN_MOVED:
            # Somebody else's change, or a logout everywhere, came first: whether `current` still fits is open.
            raise Unavailable(debug="account changed during a password change")
        self.audit.record("password_changed", client, sub=principal.sub, sid=principal.sid)
        return grant

    def log_out_everywhere(self, principal: Principal, client: Client) -> None:
        """End every session of the user at once, and deny every access token issued so far (ASVS V7.4.5)."""
        self._raise_epoch(principal.sub, disable=False)
        self.audit.record("logged_out_everywhere", client, sub=principal.sub)

    def disable(self, sub: str, client: Client) -> None:
        """Disable an account: no login, no refresh, and every token and session of before is dead (ASVS V7.4.2)."""
        self._raise_epoch(sub, disable=True)
        self.audit.record("account_disabled", client, sub=sub)

    def account(self, principal: Principal) -> Account:
        """The principal's account as it is now. InvalidToken where it is gone or disabled."""
        account = self.store.find_account(principal.sub)
        if account is None or account.disabled:
            raise InvalidToken(debug="no such account, or disabled")
        return account

    def _account_and_session(
        self, principal: Principal, cookie: RefreshToken | None, now: int
    ) -> tuple[Account, Session | None]:
        """The principal's account and, where it came with this session cookie, its session."""
        if cookie is None:
            return self.account(principal), None
        session, account = self.store.find_session_and_account(cookie.sub, cookie.sid)
        if account is None or account.disabled:
            raise InvalidToken(debug="no such account, or disabled")
        if session is None or not session.lives(account.epoch, now) or session.generation != cookie.generation:
            raise InvalidToken(debug="the session ended meanwhile, or has another secret by now")
        return account, session

    def _reauthenticate(
        self, principal: Principal, login: Login | None, current: str | None, client: Client, now: int
    ) -> tuple[tuple[str, ...], int]:
        """How and when the person was authenticated, who is about to set a new password."""
        if current is None:
            if login is not None and login.password_digest is not None:
                detail = "current_password is missing."
                raise InvalidRequest(detail)
            session = self.sessions.require_recent_login(principal)
            return session.amr, session.auth_time
        if not self.hasher.verify(login.password_digest if login else None, current):
            self.audit.record("password_change_refused", client, sub=principal.sub, why="invalid_credentials")
            raise InvalidCredentials
        return PASSWORD, now

    def _raise_epoch(self, sub: str, *, disable: bool) -> None:
        for _ in range(EPOCH_ATTEMPTS):
            account = self.store.find_account(sub)
            if account is None:
                raise InvalidToken(debug="no such account")
            deny_until = self.sessions.deny_until(self.clock.now())
            if self.store.raise_epoch(account, deny_until=deny_until, disable=disable):
                return
        raise Unavailable(debug="account contended")

    def _rehash(self, login: Login, old_digest: str, password: str, client: Client) -> None:
        """Store the password under today's parameters. Where that fails the login goes on: the next one tries again."""
        try:
            self.store.replace_password_digest(login.account.email, old_digest, self.hasher.hash(password))
        except Unavailable as error:
            self.audit.record("rehash_failed", client, sub=login.account.sub, why=error.debug)


def _is_known(device: Device, login: Login | None) -> bool:
    return login is not None and not login.account.disabled and login.account.epoch == device.epoch


def _why_refused(login: Login | None) -> dict[str, str]:
    """For the log alone: the caller is told one thing for all of them."""
    if login is None:
        return {"why": "unknown_address"}
    if login.account.disabled:
        return {"why": "disabled", "sub": login.account.sub}
    return {"why": "no_password" if login.password_digest is None else "wrong_password", "sub": login.account.sub}
