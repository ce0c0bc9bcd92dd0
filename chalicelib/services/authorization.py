"""Whether an access token is accepted now: what every guarded route asks first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.errors import InvalidToken

if TYPE_CHECKING:
    from chalicelib.domain.records import AccessTokenClaims
    from chalicelib.ports import AccessTokenCodec, Clock
    from chalicelib.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Authorization:
    """One signature check, then one read of the blacklist."""

    access_tokens: AccessTokenCodec
    store: Store
    clock: Clock

    def authorize(self, access_token: str) -> AccessTokenClaims:
        """Claims of a genuine token that nothing has revoked.

        InvalidToken otherwise; a forgery costs no read. Unavailable where the blacklist does not answer: what cannot be
        checked is not let in (ASVS V16.5.3).
        """
        claims = self.access_tokens.verify(access_token, self.clock.now())
        if self.store.find_denials(claims.sub).deny(claims):
            raise InvalidToken(debug="revoked")
        return claims
