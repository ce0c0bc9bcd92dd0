"""What an access token says, and how long it may be: what is signed, what is read and what is configured agree here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# Characters. A usual token has about 1,100. API Gateway takes 10,240 of all headers together.
MAX_LENGTH = 4096
MAX_PARTY = 512  # characters of an issuer and of an audience, as JSON has them: both together leave room for the rest
MAX_KEY_ID = 32  # characters of a `kid`
LARGEST_NUMBER = 2**53  # beyond it a JSON number is not exact (RFC 7493 section 2.2)

_ID = "A" * 22  # base64url of 128 bits: `sub`, `sid`, `jti`
# What the names in `amr` may come to in all. A provider that is switched off has sessions still: its name counts, too.
LONGEST_AMR = ("A" * 32,)
SIGNATURE_BYTES = {"RS256": 3072 // 8, "ES256": 64, "EdDSA": 64}  # RS256: docs/decisions/0004-rsa-3072.md


class AccessTokenClaims(NamedTuple):
    """The claims of an access token (RFC 9068 section 2.2) that Keyturn decides by."""

    sub: str
    sid: str
    jti: str
    ver: int
    iat: int
    exp: int
    auth_time: int
    amr: tuple[str, ...]
    roles: tuple[str, ...]
    scope: str
    email_verified: bool


def header(algorithm: str, kid: str) -> dict[str, str]:
    """The token's header (RFC 9068 section 2.1): these three members and no other."""
    return {"alg": algorithm, "kid": kid, "typ": "at+jwt"}


def payload(claims: AccessTokenClaims, *, issuer: str, audience: str) -> dict[str, Any]:
    """The token's claims (RFC 9068 section 2.2). `client_id` is the audience."""
    return {
        "iss": issuer,
        "sub": claims.sub,
        "aud": audience,
        "client_id": audience,
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


def serialised(members: dict[str, Any]) -> bytes:
    """JSON as it is signed: without blanks, in ASCII."""
    return json.dumps(members, separators=(",", ":")).encode()


def longest(*, issuer: str, audience: str, roles: Iterable[str], scope: str) -> int:
    """How many characters an access token has at most whose account has all of these roles, with their scope.

    Under RS256, whichever algorithm is set: its signatures are the longest, and a key of the setting of before signs
    for ten minutes more.
    """
    number = LARGEST_NUMBER
    claims = AccessTokenClaims(
        sub=_ID,
        sid=_ID,
        jti=_ID,
        ver=number,
        iat=number,
        exp=number,
        auth_time=number,
        amr=LONGEST_AMR,
        roles=tuple(roles),
        scope=scope,
        email_verified=False,
    )
    parts = (
        len(serialised(header("RS256", "A" * MAX_KEY_ID))),
        len(serialised(payload(claims, issuer=issuer, audience=audience))),
        SIGNATURE_BYTES["RS256"],
    )
    return sum(encoded_length(length) for length in parts) + len(parts) - 1


def encoded_length(length: int) -> int:
    """How many characters so many bytes have in base64url without padding."""
    return (4 * length + 2) // 3
