"""Grants: the tokens for a client at a login, at a refresh and at a renewal of its session's credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.refresh_tokens import ID_BYTES
from chalicelib.domain.access_tokens import LONGEST_AMR, AccessTokenClaims
from chalicelib.domain.requirements import scope_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.crypto.csrf_tokens import CsrfTokens
    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.domain.accounts import Account
    from chalicelib.domain.callers import Transport
    from chalicelib.domain.sessions import RefreshToken, Session
    from chalicelib.ports import AccessTokenCodec, TokenSource


class RefreshGrant(NamedTuple):
    """The long-lived half of a grant, and how it travels: a refresh token, or what a session cookie holds."""

    refresh_token: str
    expires_in: int  # seconds until it is of no use any more, if it is not used meanwhile; a session's: in any case
    transport: Transport
    csrf_token: str


class Grant(NamedTuple):
    """What a client gets: the token response before it is JSON and cookies."""

    account: Account
    session_id: str
    access_token: str | None  # None where the session's cookie is looked up at every request
    expires_in: int  # seconds
    refresh: RefreshGrant
    device_token: str | None = None  # what the device is known by at its next login; None where it keeps what it has


@dataclass(slots=True, eq=False, repr=False)
class Grants:
    """Makes grants. Nothing is written here."""

    source: TokenSource
    access_tokens: AccessTokenCodec
    refresh_tokens: RefreshTokenCodec
    csrf_tokens: CsrfTokens
    access_ttl: int  # seconds
    role_scopes: Mapping[str, tuple[str, ...]]

    def prepare(self) -> None:
        """Make sure that `grant` will work: Unavailable where a key is away. Ask before anything is written."""
        self.access_tokens.prepare()

    def grant(self, account: Account, session: Session, refresh_token: RefreshToken, now: int) -> Grant:
        """The grant for a session that is, or is about to be, in the table with this refresh token.

        A session of the transport `session` gets no access token, and nothing is signed for it.
        """
        refresh = RefreshGrant(
            refresh_token=self.refresh_tokens.encode(refresh_token, session.key_id, session.transport),
            expires_in=_outlasts(session) - now,
            transport=session.transport,
            csrf_token=self.csrf_tokens.issue(session.sid),
        )
        if session.transport == "session":
            return Grant(account, session.sid, None, refresh.expires_in, refresh)
        jti = b64url(self.source.token(ID_BYTES))
        claims = self._claims(account, session.sid, jti, session.auth_time, session.amr, now)
        return Grant(account, session.sid, self.access_tokens.issue(claims), self.access_ttl, refresh)

    def require_issuable(self, account: Account, sid: str, now: int) -> None:
        """ConfigurationError where the account has more roles than an access token can hold, or one that it cannot.

        Ask before the session's key is turned: a grant that cannot be signed would cost the session its refresh token.
        """
        self.access_tokens.require_issuable(self._claims(account, sid, sid, now, LONGEST_AMR, now))

    def _claims(
        self, account: Account, sid: str, jti: str, auth_time: int, amr: tuple[str, ...], now: int
    ) -> AccessTokenClaims:
        # `now` is when the request began, so that `iat` is never later than the write that may end the session.
        return AccessTokenClaims(
            sub=account.sub,
            sid=sid,
            jti=jti,
            ver=account.epoch,
            iat=now,
            exp=now + self.access_ttl,
            auth_time=auth_time,
            amr=amr,
            roles=account.roles,
            scope=scope_of(account.roles, self.role_scopes),
            email_verified=account.email_verified,
        )


def _outlasts(session: Session) -> int:
    """The moment at which what the client keeps is of no use any more (seconds since the epoch).

    A cookie of the transport `session` is set once and not at each use, so that it must outlast every idle limit.
    """
    if session.transport == "session":
        return session.absolute_expires_at
    return min(session.idle_expires_at, session.absolute_expires_at)
