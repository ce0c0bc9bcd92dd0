"""Signing up: an account and its first session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.refresh_tokens import ID_BYTES
from chalicelib.domain.accounts import Account, Login
from chalicelib.domain.passwords import normalised
from chalicelib.domain.requirements import NEW_ACCOUNT_ROLES
from chalicelib.emails import parse_email
from chalicelib.errors import EmailTaken

if TYPE_CHECKING:
    from chalicelib.domain.callers import Caller
    from chalicelib.services.accounts.credentials import Credentials
    from chalicelib.services.accounts.hashing import Hashing
    from chalicelib.services.accounts.new_passwords import NewPasswords
    from chalicelib.services.attempts import Attempts
    from chalicelib.services.sessions.begin import NewSessions
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.services.surroundings import Surroundings
    from chalicelib.store.protocol import AccountStore


@dataclass(slots=True, eq=False, repr=False)
class SignUp:
    """The use case."""

    store: AccountStore
    new_sessions: NewSessions
    hashing: Hashing
    passwords: NewPasswords
    attempts: Attempts
    around: Surroundings

    def __call__(self, credentials: Credentials, caller: Caller) -> Grant:
        """Make an account and its first session.

        EmailTaken after the same hash where the address has one; InvalidEmail, PasswordRejected, TooManyRequests.
        """
        typed = parse_email(credentials.email)
        email = typed.canonical
        password = normalised(credentials.password)
        self.passwords.accept_new(password, email)
        now = self.around.clock.now()
        attempt = self.attempts.sign_up(caller)
        self.passwords.require_unbreached(password, caller)
        sub = b64url(self.around.source.token(ID_BYTES))
        account = Account(sub, email, roles=NEW_ACCOUNT_ROLES, address=typed.other_spelling)
        who = credentials.authenticated(account, caller, now)
        new = self.new_sessions.prepare(who, now)
        if not self.store.create_account(Login(account, self.hashing.hash(password, attempt)), new.session):
            self.around.audit.record("signup_refused", caller, why="email_taken")
            raise EmailTaken
        self.around.audit.record("signed_up", caller, sub=account.sub, sid=new.session.sid)
        self.new_sessions.end_carried(who)
        return new.grant
