"""Accounts: sign up, log in, change the password, end everything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.refresh_tokens import ID_BYTES
from chalicelib.domain.passwords import normalised
from chalicelib.domain.records import Account, Login
from chalicelib.domain.roles import NEW_ACCOUNT_ROLES
from chalicelib.emails import canonical_email, parse_email
from chalicelib.errors import (
    ConfigurationError,
    EmailTaken,
    InvalidCredentials,
    InvalidRequest,
    InvalidToken,
    Unavailable,
)
from chalicelib.services.sessions.begin import Authenticated
from chalicelib.services.sessions.renewals import ATTEMPTS as RENEWAL_ATTEMPTS
from chalicelib.store.outcomes import AccessChanged

if TYPE_CHECKING:
    from chalicelib.crypto.device_tokens import Device, DeviceTokens
    from chalicelib.crypto.refresh_tokens import RefreshToken
    from chalicelib.domain.records import Caller, Principal, Session, Transport
    from chalicelib.ports import AuditLog, Clock, PasswordHasher, TokenSource
    from chalicelib.services.accounts.new_passwords import Passwords
    from chalicelib.services.attempts import Attempt, Attempts
    from chalicelib.services.sessions.begin import NewSessions
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.services.sessions.renewals import Renewals
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.store.protocol import AccountsAndIdentities

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

    store: AccountsAndIdentities
    sessions: Sessions
    new_sessions: NewSessions
    renewals: Renewals
    clock: Clock
    source: TokenSource
    hasher: PasswordHasher
    passwords: Passwords
    attempts: Attempts
    devices: DeviceTokens
    audit: AuditLog

    def sign_up(self, credentials: Credentials, caller: Caller) -> Grant:
        """Make an account and its first session.

        EmailTaken after the same hash where the address has one; InvalidEmail, PasswordRejected, TooManyRequests.
        """
        typed = parse_email(credentials.email)
        email = typed.canonical
        password = normalised(credentials.password)
        self.passwords.accept_new(password, email)
        now = self.clock.now()
        attempt = self.attempts.sign_up(caller)
        self.passwords.require_unbreached(password, caller)
        sub = b64url(self.source.token(ID_BYTES))
        account = Account(sub, email, roles=NEW_ACCOUNT_ROLES, address=typed.other_spelling)
        who = self._authenticated(account, credentials, caller, now)
        new = self.new_sessions.prepare(who, now)
        if not self.store.create_account(Login(account, self._hash(password, attempt)), new.session):
            self.audit.record("signup_refused", caller, why="email_taken")
            raise EmailTaken
        self.audit.record("signed_up", caller, sub=account.sub, sid=new.session.sid)
        self.new_sessions.end_carried(who)
        return new.grant

    def log_in(self, credentials: Credentials, caller: Caller) -> Grant:
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
        attempts = [self.attempts.log_in_from(device, caller) if device else self.attempts.log_in(email, caller)]
        login = self.store.find_login(email)
        if device and not _is_known(device, login):
            attempts.append(self.attempts.log_in(email, caller))
        matches = self._verify(login, password, *attempts)
        if login is None or login.password_digest is None or not matches or login.account.disabled:
            self.audit.record("login_refused", caller, **_why_refused(login))
            raise InvalidCredentials
        new = self.new_sessions.prepare(self._authenticated(login.account, credentials, caller, now, device), now)
        digest = login.password_digest
        rehash = self.hasher.needs_rehash(digest)
        beside = (lambda: self._rehash(login, digest, password, caller)) if rehash else None
        grant = self.new_sessions.begin(new, beside)
        self.audit.record("logged_in", caller, sub=login.account.sub, sid=new.session.sid, method="pwd")
        return grant

    def change_password(
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
        now = self.clock.now()
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
        digest = self._hash(new, attempt)
        # The session moves to the next epoch, and with it the access token that is signed for it.
        moved = replace(login.account, epoch=login.account.epoch + 1)
        deny_until = self.sessions.deny_until(now)
        for _ in range(RENEWAL_ATTEMPTS):
            grant, renewal = self.renewals.prepare(moved, session, caller, now, amr=amr, auth_time=auth_time)
            with self.renewals.told("password_changed", session, caller):
                outcome = self.store.change_password(login, digest, renewal, deny_until=deny_until)
            if outcome is AccessChanged.CHANGED:
                self.audit.record("password_changed", caller, sub=principal.sub, sid=principal.sid)
                if device is None:
                    return grant
                return replace(grant, device_token=self.devices.issue(account.email, moved.epoch, now, device))
            if outcome is not AccessChanged.SESSION_MOVED:
                break
            # Another tab has turned the key meanwhile, or the session has ended.
            session, _ = self.renewals.asking(principal.sub, principal.sid, presented, caller, now)
        # Somebody else's change, or a logout everywhere, came first: whether `current` still fits is open.
        raise Unavailable(debug="account changed during a password change")

    def log_out_everywhere(self, principal: Principal, caller: Caller) -> None:
        """End every session of the user at once, and deny every access token issued so far (ASVS V7.4.5)."""
        self._raise_epoch(principal.sub, disable=False)
        self.audit.record("logged_out_everywhere", caller, sub=principal.sub)

    def disable(self, sub: str, caller: Caller) -> None:
        """Disable an account: no login, no refresh, and every token and session of before is dead (ASVS V7.4.2)."""
        self._raise_epoch(sub, disable=True)
        self.audit.record("account_disabled", caller, sub=sub)

    def account(self, principal: Principal) -> Account:
        """The principal's account as it is now. InvalidToken where it is gone or disabled."""
        account = self.store.find_account(principal.sub)
        if account is None or account.disabled:
            raise InvalidToken(debug="no such account, or disabled")
        return account

    def _authenticated(
        self, account: Account, credentials: Credentials, caller: Caller, now: int, device: Device | None = None
    ) -> Authenticated:
        return Authenticated(
            account=account,
            amr=PASSWORD,
            auth_time=now,
            transport=credentials.transport,
            caller=caller,
            carried=credentials.carried,
            device=device,
        )

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
            self.sessions.require_recent_login(principal)
            return session.amr, session.auth_time
        if not self._verify(login, current, attempt):
            self.audit.record("password_change_refused", caller, sub=principal.sub, why="invalid_credentials")
            raise InvalidCredentials
        return PASSWORD, now

    def _verify(self, login: Login | None, password: str, *attempts: Attempt) -> bool:
        """Whether the password is the login's, for which the attempts were counted. Unavailable gives them back."""
        with self.attempts.given_back_if_unavailable(*attempts):
            try:
                return self.hasher.verify(login.password_digest if login else None, password)
            except ConfigurationError as error:
                sub = login.account.sub if login else None
                raise ConfigurationError(debug=f"account {sub}: {error.debug}") from error

    def _hash(self, password: str, attempt: Attempt) -> str:
        """The digest of a new password, for which the attempt was counted. Unavailable gives it back."""
        with self.attempts.given_back_if_unavailable(attempt):
            return self.hasher.hash(password)

    def _raise_epoch(self, sub: str, *, disable: bool) -> None:
        for _ in range(EPOCH_ATTEMPTS):
            account = self.store.find_account(sub)
            if account is None:
                raise InvalidToken(debug="no such account")
            deny_until = self.sessions.deny_until(self.clock.now())
            if self.store.raise_epoch(account, deny_until=deny_until, disable=disable):
                return
        raise Unavailable(debug="account contended")

    def _rehash(self, login: Login, old_digest: str, password: str, caller: Caller) -> None:
        """Store the password under today's parameters. Where that fails the login goes on: the next one tries again."""
        try:
            self.store.replace_password_digest(login.account.email, old_digest, self.hasher.hash(password))
        except Unavailable as error:
            self.audit.record("rehash_failed", caller, sub=login.account.sub, why=error.debug)


def _is_known(device: Device, login: Login | None) -> bool:
    return login is not None and not login.account.disabled and login.account.epoch == device.epoch


def _why_refused(login: Login | None) -> dict[str, str]:
    """For the log alone: the caller is told one thing for all of them."""
    if login is None:
        return {"why": "unknown_address"}
    if login.account.disabled:
        return {"why": "disabled", "sub": login.account.sub}
    return {"why": "no_password" if login.password_digest is None else "wrong_password", "sub": login.account.sub}
