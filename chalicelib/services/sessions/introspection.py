"""What a token is worth now, for services that are allowed to ask (RFC 7662). Asking changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.crypto.refresh_tokens import digest, same
from chalicelib.domain.callers import TRANSPORTS
from chalicelib.errors import InvalidGrant, InvalidToken

if TYPE_CHECKING:
    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.domain.access_tokens import AccessTokenClaims
    from chalicelib.domain.sessions import RefreshToken, Session
    from chalicelib.services.sessions.authorization import Authorization
    from chalicelib.services.sessions.sessions import Sessions


@dataclass(slots=True, eq=False, repr=False)
class Introspection:
    """One consistent look at the table for a token of ours; none for what cannot be genuine."""

    authorization: Authorization
    refresh_tokens: RefreshTokenCodec
    sessions: Sessions

    def introspect(self, token: str) -> AccessTokenClaims | Session | None:
        """The claims of an access token that is accepted, the session of a refresh token that is live; else None.

        Unavailable where the table does not answer: "inactive" would be an answer.
        """
        presented = self._refresh_token(token)
        if presented is not None:
            return self._live_session(presented)
        try:
            return self.authorization.authorize(token)
        except InvalidToken:
            return None

    def _refresh_token(self, token: str) -> RefreshToken | None:
        for transport in TRANSPORTS:
            try:
                return self.refresh_tokens.decode(token, transport)
            except InvalidGrant:
                continue
        return None

    def _live_session(self, presented: RefreshToken) -> Session | None:
        """The session, if the token is its live one. A predecessor that `/refresh` still answers is none any more."""
        session, _ = self.sessions.find_living(presented.sub, presented.sid)
        if session is None:
            return None
        live = presented.generation == session.generation and same(digest(presented.secret), session.digest)
        return session if live else None
