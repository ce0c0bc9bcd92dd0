"""ID tokens: what an identity provider says about a login (OpenID Connect Core sections 2 and 3.1.3.7)."""

from __future__ import annotations

import hmac
from hashlib import sha256, sha384, sha512
from typing import TYPE_CHECKING, Any, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.jws import json_object
from chalicelib.errors import InvalidCode, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jwt.algorithms import AllowedPublicKeys

    from chalicelib.ports import Jwk, JwkSource

MAX_LENGTH = 16 * 1024  # characters; Google's and Entra's are under 2,000
MAX_SUBJECT = 255  # characters (OpenID Connect Core section 2)
LEEWAY = 60  # seconds that the provider's clock may be ahead of ours, or behind
MAX_AGE = 600 + LEEWAY  # seconds since `iat`: no login transaction lives longer than ten minutes
LAST_MOMENT = 2**53  # seconds; beyond it a JSON number is not exact (RFC 7493 section 2.2)
MINIMUM_RSA_BITS = 2048  # RFC 7518 section 3.3; what Google and Entra use

# Every algorithm that is accepted, and the hash that `at_hash` is made with under it (OpenID Connect Core section
# 3.1.3.6; Ed25519's own hash is SHA-512, RFC 8032 section 5.1). No HMAC: a provider's public key must be no secret.
HASHES = {
    **dict.fromkeys(("RS256", "PS256", "ES256"), sha256),
    **dict.fromkeys(("RS384", "PS384", "ES384"), sha384),
    **dict.fromkeys(("RS512", "PS512", "ES512", "EdDSA"), sha512),
}

# What a key of each type and curve can be for. Where a JWK does not say `alg`, as Entra's do not, it is for the first.
FITTING: dict[tuple[object, object], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}

# PyJWT verifies the signature and nothing else here. Of two members of one name it reads the last, and it reads the
# system clock: the payload is parsed and judged below.
JWS = jwt.PyJWS(list(HASHES))


class JwtIdTokenVerifier:
    """ports.IdTokenVerifier over PyJWT. It remembers nothing: keys are kept by their source."""

    def verify(
        self,
        id_token: str,
        keys: JwkSource,
        *,
        issuers: frozenset[str],
        client_id: str,
        nonce: str,
        access_token: str,
        now: int,
    ) -> Mapping[str, Any]:
        """Claims of an ID token that one of `issuers` made for this client, this nonce and this access token.

        `access_token` is what came with it, empty where nothing did. InvalidCode where only the nonce is wrong or
        missing: the code is of another login then. ProviderError otherwise. What the keys raise goes through.
        """
        header = _header(id_token)
        claims = _verified_claims(id_token, _key(header, keys), header["alg"])
        _check_parties(claims, issuers, client_id)
        _check_times(claims, now)
        _check_subject(claims)
        if "at_hash" in claims:
            _check_access_token_hash(claims, access_token, header["alg"])
        # An empty nonce would fit every login that was begun without one.
        if not nonce or not _is_same(claims.get("nonce"), nonce):
            raise InvalidCode(debug="ID token: another nonce, or none")
        return claims


def _header(id_token: str) -> dict[str, Any]:
    """The header: of the members, only `alg`, `kid`, `typ` and `crit` are read (RFC 8725 section 3.10).

    Keys and addresses of keys that a token brings (`jwk`, `jku`, `x5u`, `x5c`) are not (CVE-2026-27962).
    """
    if len(id_token) > MAX_LENGTH or not id_token.isascii():
        _refuse("not a token's length or alphabet")
    try:
        header = json_object(from_b64url(id_token.partition(".")[0]))
    # RecursionError: json's decoder on what is nothing but brackets.
    except (TypeError, ValueError, RecursionError) as error:
        _refuse("unreadable header", error)
    # RFC 7515 section 4.1.11: whoever does not understand a critical extension must refuse. We understand none.
    if "crit" in header:
        _refuse("critical extensions")
    # A token of another kind, such as a logout token, is no ID token (RFC 8725 section 3.11).
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.upper() != "JWT":
        _refuse("another type of token")
    if not isinstance(header.get("alg"), str) or header["alg"] not in HASHES:
        _refuse("an algorithm that is not accepted")
    if not isinstance(header.get("kid", ""), str):
        _refuse("a key id that is no string")
    return header


def _key(header: dict[str, Any], keys: JwkSource) -> AllowedPublicKeys:
    """The one key that fits the header. A set in which none does, or not just one, is read again, once."""
    fitting = _fitting_keys(keys.jwks(), header)
    if len(fitting) != 1:
        fitting = _fitting_keys(keys.newer_jwks(), header)
    if len(fitting) != 1:
        _refuse("signed with none of the provider's keys, or with one that cannot be told from others")
    return fitting[0]


def _fitting_keys(jwks: Sequence[Jwk], header: dict[str, Any]) -> list[AllowedPublicKeys]:
    """Keys of the header's `kid` that are for its algorithm. Without `kid`, all that are for the algorithm.

    So a token without `kid` needs a set with one such key (OpenID Connect Core section 10.1), and two keys of one `kid`
    are told apart by their algorithms, or not at all. Keys that are broken or of types unknown to us are passed over:
    providers publish what other clients need.
    """
    keys = []
    for jwk in jwks:
        try:
            if "kid" in header and jwk["kid"] != header["kid"]:
                continue
            if _algorithm(jwk) == header["alg"]:
                # Members that are read, and no others: one more could make a private key of it.
                public = {name: jwk[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in jwk}
                key = jwt.PyJWK.from_dict(public, header["alg"]).key
                if not isinstance(key, rsa.RSAPublicKey) or key.key_size >= MINIMUM_RSA_BITS:
                    keys.append(key)
        except (AttributeError, KeyError, TypeError, ValueError, jwt.PyJWTError):
            continue
    return keys


def _algorithm(jwk: Jwk) -> str | None:
    """The one algorithm that the key is for: taken from the key, never from a token. None where it is not for ours."""
    # RFC 7517 sections 4.2 and 4.3: a key for encryption verifies nothing. One whose private half is published proves
    # nothing.
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations or "d" in jwk:
        return None
    fitting = FITTING.get((jwk.get("kty"), jwk.get("crv")), (None,))
    named = jwk.get("alg", fitting[0])
    return named if named in fitting else None


def _verified_claims(id_token: str, key: AllowedPublicKeys, algorithm: str) -> dict[str, Any]:
    try:
        return json_object(JWS.decode(id_token, key, algorithms=[algorithm]))
    except (TypeError, ValueError, RecursionError, jwt.PyJWTError) as error:
        _refuse("a signature that does not verify, or unreadable claims", error)


def _check_parties(claims: dict[str, Any], issuers: frozenset[str], client_id: str) -> None:
    """Who made it and for whom (OpenID Connect Core section 3.1.3.7, items 2 to 5)."""
    if not isinstance(claims.get("iss"), str) or claims["iss"] not in issuers:
        _refuse("another issuer")
    # Item 3: an audience that is not trusted makes the token worthless. Nobody but this client is.
    if claims.get("aud") not in (client_id, [client_id]):
        _refuse("another audience")
    if claims.get("azp", client_id) != client_id:
        _refuse("another authorized party")


def _check_times(claims: dict[str, Any], now: int) -> None:
    """Whether it is valid at `now` and was made for a login of these minutes (the same section, items 9 and 10)."""
    issued_at, expires_at = _moment(claims, "iat"), _moment(claims, "exp")
    begins_at = _moment(claims, "nbf") if "nbf" in claims else issued_at
    if now >= expires_at + LEEWAY:
        _refuse("expired")
    if max(issued_at, begins_at) > now + LEEWAY:
        _refuse("of the future")
    if issued_at < now - MAX_AGE:
        _refuse("issued too long ago")


def _check_subject(claims: dict[str, Any]) -> None:
    """`sub` is what accounts are found by, so it must be one string exactly (OpenID Connect Core section 2)."""
    sub = claims.get("sub")
    if not isinstance(sub, str) or not 0 < len(sub) <= MAX_SUBJECT or not (sub.isascii() and sub.isprintable()):
        _refuse("no usable subject")


def _check_access_token_hash(claims: dict[str, Any], access_token: str, algorithm: str) -> None:
    """The access token is the one that the ID token was made with (OpenID Connect Core section 3.1.3.8)."""
    digest = HASHES[algorithm](access_token.encode("utf-8", "surrogatepass")).digest()
    if not access_token or not _is_same(claims["at_hash"], b64url(digest[: len(digest) // 2])):
        _refuse("another access token's hash")


def _moment(claims: dict[str, Any], name: str) -> int:
    """A NumericDate (RFC 7519 section 2) of whole seconds."""
    value = claims.get(name)
    # A bool is an int to Python. 1e3 and 1000.0 are integers to JSON.
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(f"no usable {name}")
    if not 0 <= value <= LAST_MOMENT or value != int(value):
        _refuse(f"no usable {name}")
    return int(value)


def _is_same(claimed: object, expected: str) -> bool:
    """Whether a claim is this string, compared in constant time."""
    # json makes lone surrogates of escapes, which plain UTF-8 cannot encode.
    return isinstance(claimed, str) and hmac.compare_digest(
        claimed.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")
    )


def _refuse(reason: str, cause: Exception | None = None) -> NoReturn:
    raise ProviderError(debug=f"ID token: {reason}") from cause
