"""Revoking one token, asked by whoever holds it (RFC 7009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.domain.callers import TRANSPORTS
from chalicelib.errors import InvalidGrant, InvalidToken

if TYPE_CHECKING:
    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.domain.callers import Caller
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.ports import AccessTokenCodec, AuditLog, Clock
    from chalicelib.services.sessions.sessions import Sessions


@dataclass(slots=True, eq=False, repr=False)
class Revocation:
    """Clients are public: the token itself is what gives the right to revoke it."""

    sessions: Sessions
    clock: Clock
    access_tokens: AccessTokenCodec
    refresh_tokens: RefreshTokenCodec
    audit: AuditLog

    def revoke(self, token: str, caller: Caller) -> None:
        """End what the token stands for. Safe to repeat; a string that is no living token of ours changes nothing.

        What a cookie holds is taken too: whoever has found one may end it, and no page sends it in a body by itself.
        """
        for transport in TRANSPORTS:
            try:
                presented = self.refresh_tokens.decode(token, transport)
            except InvalidGrant:
                continue
            self._revoke_session(presented, caller)
            return
        self._revoke_access_token(token, caller)

    def _revoke_session(self, presented: RefreshToken, caller: Caller) -> None:
        # A session that is over has no valid access token, and a token under the floor must not act. Were they put
        # on the blacklist all the same, enough old tokens would fill it.
        if not self.sessions.standing(presented):
            return
        # RFC 7009 section 2.1: with a refresh token the access tokens of the same grant SHOULD be invalidated too.
        self.sessions.end(presented.sub, presented.sid)
        self.audit.record("token_revoked", caller, sub=presented.sub, sid=presented.sid, kind="refresh_token")

    def _revoke_access_token(self, token: str, caller: Caller) -> None:
        now = self.clock.now()
        try:
            claims = self.access_tokens.verify(token, now, accept_expired=True)
        except InvalidToken:
            return  # RFC 7009 section 2.2: invalid tokens do not cause an error
        if not self.sessions.standing(claims):
            return
        if now >= claims.exp:
            # Nothing is left of the token to revoke: whoever sends it wants its session to be over, as at `/logout`.
            self.sessions.end(claims.sub, claims.sid)
        else:
            # By its `jti`: the string of a JWT can be spelled in more than one way.
            self.sessions.deny_token(claims.sub, claims.sid, claims.jti)
        self.audit.record("token_revoked", caller, sub=claims.sub, sid=claims.sid, jti=claims.jti, kind="access_token")
