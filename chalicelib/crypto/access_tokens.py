"""Access tokens: signed JWTs as RFC 9068 profiles them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from chalicelib.domain.records import AccessTokenClaims
from chalicelib.errors import InvalidToken

if TYPE_CHECKING:
    from chalicelib.crypto.keyring import KeyRing

MAX_LENGTH = 4096  # characters; ours are about 1,200
TYPE = "at+jwt"  # RFC 9068 section 2.1
HEADER = {"alg", "kid", "typ"}
FUTURE_LEEWAY = 60  # seconds that another container's clock may be ahead

# PyJWT reads the system clock; time is checked below, on the injected one. What it does not require, we do.
VERIFY: dict[str, Any] = {
    "require": ["iss", "sub", "aud", "client_id", "exp", "iat", "jti", "sid", "ver", "auth_time"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "strict_aud": True,
}


class JwtAccessTokenCodec:
    """ports.AccessTokenCodec over PyJWT."""

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def prepare(self) -> None:
        """Have the signing key at hand. Unavailable where it cannot be read, ConfigurationError where there is none."""
        self._keys.signing_key()

    def issue(self, claims: AccessTokenClaims) -> str:
        """Sign the claims (RFC 9068 section 2.2) with the key that is active now."""
        key = self._keys.signing_key()
        payload = {
            "iss": self._issuer,
            "sub": claims.sub,
            "aud": self._audience,
            "client_id": self._audience,
            "exp": claims.exp,
            "iat": claims.iat,
            "jti": claims.jti,
            "sid": claims.sid,
            "ver": claims.ver,
            "auth_time": claims.auth_time,
            "amr": claims.amr,
            "roles": claims.roles,
            "scope": claims.scope,
            "email_verified": claims.email_verified,
        }
        return jwt.encode(payload, key.key, key.algorithm, headers={"typ": TYPE, "kid": key.kid})

    def verify(self, access_token: str, now: int, *, accept_expired: bool = False) -> AccessTokenClaims:
        """Claims of a token that we signed for this audience and that has not expired.

        InvalidToken for anything else. `accept_expired` is for logout alone: an old token may still end its session.
        """
        # RecursionError: json's decoder on a header that is nothing but brackets.
        try:
            payload = self._verified_payload(access_token)
            claims = _claims(payload)
            # Ours say no `nbf`. One that says it is not read as if it did not (ASVS V9.2.1).
            begins = max(claims.iat, int(payload.get("nbf", 0)))
        except (jwt.PyJWTError, ArithmeticError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidToken(debug=f"{type(error).__name__}") from error
        if begins > now + FUTURE_LEEWAY:
            raise InvalidToken(debug="of the future")
        # RFC 7519 section 4.1.4: the current date/time MUST be before the expiration date/time.
        if now >= claims.exp and not accept_expired:
            raise InvalidToken(debug="expired")
        return claims

    def _verified_payload(self, access_token: str) -> dict[str, Any]:
        if len(access_token) > MAX_LENGTH or not access_token.isascii():
            message = "not a token's length or alphabet"
            raise ValueError(message)
        header = jwt.get_unverified_header(access_token)
        # Ours have these three members. Others ask a verifier to trust what they bring (`jwk`, `jku`, `x5u`), or to
        # understand what it does not (`crit`, RFC 7515 section 4.1.11): such a token is not ours (CVE-2026-27962).
        # RFC 9068 section 4: a token whose typ is another MUST be rejected.
        if header.keys() != HEADER or header["typ"] != TYPE:
            message = "not an access token's header"
            raise ValueError(message)
        key = self._keys.verification_key(header["kid"])
        if key is None or header["alg"] != key.algorithm:
            message = "not signed with a key of ours"
            raise ValueError(message)
        payload: dict[str, Any] = jwt.decode(
            access_token,
            key.key,
            algorithms=[key.algorithm],
            audience=self._audience,
            issuer=self._issuer,
            options=VERIFY,  # type: ignore[arg-type]  # PyJWT types its options as a private TypedDict
        )
        return payload


def _claims(payload: dict[str, Any]) -> AccessTokenClaims:
    return AccessTokenClaims(
        sub=payload["sub"],
        sid=payload["sid"],
        jti=payload["jti"],
        ver=int(payload["ver"]),
        iat=int(payload["iat"]),
        exp=int(payload["exp"]),
        auth_time=int(payload["auth_time"]),
        amr=tuple(payload["amr"]),
        roles=tuple(payload["roles"]),
        scope=payload["scope"],
        email_verified=payload["email_verified"] is True,
    )
