"""Whether a credential is accepted now: what every guarded route asks first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib import deadline
from chalicelib.crypto.refresh_tokens import digest, same
from chalicelib.domain.callers import Principal
from chalicelib.domain.requirements import scope_of
from chalicelib.errors import InvalidToken, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.access_tokens import AccessTokenClaims
    from chalicelib.domain.callers import Caller
    from chalicelib.domain.sessions import RefreshToken, Session
    from chalicelib.ports import AccessTokenCodec, AuditLog, Clock
    from chalicelib.store.protocol import SessionsAndDenials

TOUCH_SECONDS = 60


@dataclass(slots=True, eq=False, repr=False)
class Authorization:
    """What decides about an access token: a signature and the blacklist; about a session cookie: a MAC and its item."""

    access_tokens: AccessTokenCodec
    store: SessionsAndDenials
    clock: Clock
    audit: AuditLog
    role_scopes: Mapping[str, tuple[str, ...]]

    def authorize(self, access_token: str) -> AccessTokenClaims:
        """Claims of a genuine token that nothing has revoked.

        InvalidToken otherwise; a forgery costs no read. Unavailable where the blacklist does not answer: what cannot be
        checked is not let in (ASVS V16.5.3).
        """
        claims = self.access_tokens.verify(access_token, self.clock.now())
        if self.store.find_denials(claims.sub).deny(claims):
            raise InvalidToken(debug="revoked")
        return claims

    def authorize_session(self, presented: RefreshToken, caller: Caller) -> Principal:
        """Whom the session cookie stands for: its MAC was verified, its session lives and has this secret.

        Roles and the rest are the account's as they are now. InvalidToken otherwise, Unavailable where the table does
        not answer. A use is noted once a minute at most, so that most requests only read.
        """
        now = self.clock.now()
        session, account = self.store.find_session_and_account(presented.sub, presented.sid)
        if session is None or account is None or account.disabled or not session.lives(account.epoch, now):
            raise InvalidToken(debug="session is over")
        self._require_live_secret(presented, session, caller)
        if now - session.last_used_at >= TOUCH_SECONDS:
            # The verdict stands, whatever becomes of the note: the next request makes it. It is not written down
            # either, because a table that takes no writes would fill the log with what other lines say already.
            with suppress(Unavailable), deadline.start(deadline.ONE_ATTEMPT_SECONDS):
                self.store.touch_session(session.sub, session.sid, now=now, unless_since=now - TOUCH_SECONDS + 1)
        return Principal(
            sub=account.sub,
            sid=session.sid,
            roles=account.roles,
            scope=scope_of(account.roles, self.role_scopes),
            email_verified=account.email_verified,
            auth_time=session.auth_time,
        )

    def _require_live_secret(self, presented: RefreshToken, session: Session, caller: Caller) -> None:
        if presented.generation < session.generation:
            # Given out, and renewed since: another tab's request that was under way, or a copy. It opens nothing.
            raise InvalidToken(debug="the session has another secret by now")
        if presented.generation > session.generation or not same(digest(presented.secret), session.digest):
            # As for refresh tokens: somebody may know the MAC key, or the table was restored from a backup.
            self.audit.record("session_cookie_forged", caller, sub=session.sub, sid=session.sid)
            raise InvalidToken(debug="wrong secret under a good MAC")


def principal_of(claims: AccessTokenClaims) -> Principal:
    """Whom the access token stands for, as it was when the token was issued."""
    return Principal(
        sub=claims.sub,
        sid=claims.sid,
        roles=claims.roles,
        scope=claims.scope,
        email_verified=claims.email_verified,
        auth_time=claims.auth_time,
    )
