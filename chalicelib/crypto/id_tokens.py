"""ID tokens: what an identity provider says about a login (OpenID Connect Core sections 2 and 3.1.3.7)."""

from __future__ import annotations

import hmac
import re
from hashlib import sha256, sha384, sha512
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.jws import json_object, present
from chalicelib.errors import InvalidCode, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jwt.algorithms import AllowedPublicKeys

    from chalicelib.ports import Jwk, JwkSource

MAX_LENGTH = 256 * 1024  # characters, as many as the whole answer may have: no standard limits a token's length
MAX_SUBJECT = 255  # characters (OpenID Connect Core section 2)
LEEWAY = 60  # seconds that the provider's clock may be ahead of ours, or behind
MAX_AGE = 600 + LEEWAY  # seconds since `iat`: no pending login lives longer than ten minutes
LAST_MOMENT = 2**53  # seconds; beyond it a JSON number is not exact (RFC 7493 section 2.2)
MINIMUM_RSA_BITS = 2048  # RFC 7518 section 3.3; what Google and Entra use

# Every algorithm that is accepted, and the hash that `at_hash` is made with under it (OpenID Connect Core section
# 3.1.3.6; Ed25519's own hash is SHA-512, RFC 8032 section 5.1). No HMAC: a provider's public key must be no secret.
HASHES = {
    **dict.fromkeys(("RS256", "PS256", "ES256"), sha256),
    **dict.fromkeys(("RS384", "PS384", "ES384"), sha384),
    **dict.fromkeys(("RS512", "PS512", "ES512", "EdDSA"), sha512),
}

TENANT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)  # a tenant of Microsoft's

# RFC 9864 section 2.2: `Ed25519` is the new name of what `EdDSA` means here. Ed448 is refused by either name.
NEW_NAMES = {"Ed25519": "EdDSA"}

# What a key of each type and curve can be for. Where a JWK does not say `alg`, as Entra's do not, it is for the first.
FITTING: dict[tuple[object, object], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}

# PyJWT verifies the signature and nothing else here. Of two members of one name it reads the last, it refuses members
# that are null, and it reads the system clock: header and payload are parsed and judged below.
ALGORITHMS = jwt.PyJWS(list(HASHES))


class _Token(NamedTuple):
    """An ID token in parts, before its signature is verified."""

    header: dict[str, Any]
    algorithm: str  # by its name in HASHES
    signing_input: bytes
    claims: dict[str, Any]  # a claim that is null is an absent one
    signature: bytes


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
        trusted_audiences: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Claims of an ID token that one of `issuers` made for this client, this nonce and this access token.

        An issuer with `{tenantid}` stands for each of its tenants. `trusted_audiences` may stand beside the client.

        `access_token` is what came with it, empty where nothing did. InvalidCode where only the nonce is wrong or
        missing: the code is of another login then. ProviderError otherwise. What the keys raise goes through.
        """
        token = _parse(id_token)
        _require_signature(token, keys)
        claims = token.claims
        _check_parties(claims, issuers, client_id, trusted_audiences)
        _check_times(claims, now)
        _check_subject(claims)
        if "at_hash" in claims:
            _check_access_token_hash(claims, access_token, token.algorithm)
        # An empty nonce would fit every login that was begun without one.
        if not nonce or not _is_same(claims.get("nonce"), nonce):
            raise InvalidCode(debug="ID token: another nonce, or none")
        return claims


def _parse(id_token: str) -> _Token:
    """The token in parts: of the header, only `alg`, `kid`, `typ` and `crit` are read (RFC 8725 section 3.10).

    Keys and addresses of keys that a token brings (`jwk`, `jku`, `x5u`, `x5c`) are not (CVE-2026-27962).
    """
    if len(id_token) > MAX_LENGTH or not id_token.isascii():
        _refuse("not a token's length or alphabet")
    signing_input, _, signature = id_token.rpartition(".")
    first, _, payload = signing_input.partition(".")
    try:
        # A fourth part is no base64url: a dot is not of its alphabet.
        header = present(json_object(from_b64url(first)))
        decoded, raw_signature = from_b64url(payload), from_b64url(signature)
    # RecursionError: json's decoder on what is nothing but brackets.
    except (TypeError, ValueError, RecursionError) as error:
        _refuse("unreadable header, or no base64url", error)
    # RFC 7515 section 4.1.11: whoever does not understand a critical extension must refuse. We understand none.
    if "crit" in header:
        _refuse("critical extensions")
    # RFC 7797: a payload that is not encoded. Its header must say so in `crit`, and one that does not is no better.
    if header.get("b64", True) is not True:
        _refuse("a payload that is not encoded")
    # A token of another kind, such as a logout token, is no ID token (RFC 8725 section 3.11).
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.upper() != "JWT":
        _refuse("another type of token")
    named = header.get("alg")
    algorithm = NEW_NAMES.get(named, named) if isinstance(named, str) else ""
    if algorithm not in HASHES:
        _refuse("an algorithm that is not accepted")
    if not isinstance(header.get("kid", ""), str):
        _refuse("a key id that is no string")
    try:
        claims = present(json_object(decoded))
    except (TypeError, ValueError, RecursionError) as error:
        _refuse("unreadable claims", error)
    return _Token(header, algorithm, signing_input.encode(), claims, raw_signature)


def _require_signature(token: _Token, keys: JwkSource) -> None:
    """Refuse a token that the provider's keys do not verify, after they were read again once.

    They are read again where no key fits or not just one, and where the fitting key does not verify: a provider that
    names no keys, or gives a new key the old name, may have changed it.
    """
    fault = _signature_fault(token, keys.jwks()) and _signature_fault(token, keys.newer_jwks())
    if fault:
        _refuse(fault)


def _signature_fault(token: _Token, jwks: Sequence[Jwk]) -> str | None:
    """Why the set does not verify the token; None where it does, by the one key that fits the header."""
    fitting = _fitting_keys(jwks, token)
    if len(fitting) != 1:
        return "signed with none of the provider's keys, or with one that cannot be told from others"
    algorithm = ALGORITHMS.get_algorithm_by_name(token.algorithm)
    if not algorithm.verify(token.signing_input, fitting[0], token.signature):
        return "a signature that does not verify"
    return None


def _fitting_keys(jwks: Sequence[Jwk], token: _Token) -> list[AllowedPublicKeys]:
    """Keys of the header's `kid` that are for its algorithm. Without `kid`, all that are for the algorithm.

    So a token without `kid` needs a set with one such key (OpenID Connect Core section 10.1), and two keys of one `kid`
    are told apart by their algorithms, or not at all. A key that is listed twice is one key.
    """
    kid = token.header.get("kid")
    found: dict[bytes, AllowedPublicKeys] = {}
    for jwk in jwks:
        key = _public_key(jwk, kid, token.algorithm)
        if key is not None and _signs_for(jwk, token.claims):
            found[key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)] = key
    return list(found.values())


def _public_key(jwk: Jwk, kid: str | None, algorithm: str) -> AllowedPublicKeys | None:
    """The key, where it has this `kid` (any, where that is None) and is for this algorithm; None for every other.

    Keys that are broken or of types unknown to us are passed over: providers publish what other clients need.
    """
    try:
        members = present(jwk)
        if (kid is not None and members.get("kid") != kid) or _algorithm(members) != algorithm:
            return None
        # Members that are read, and no others: one more could make a private key of it.
        public: dict[str, Any] = {name: members[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in members}
        key = jwt.PyJWK.from_dict(public, algorithm).key
    except (AttributeError, KeyError, TypeError, ValueError, jwt.PyJWTError):
        return None
    return key if not isinstance(key, rsa.RSAPublicKey) or key.key_size >= MINIMUM_RSA_BITS else None


def _algorithm(jwk: Jwk) -> str | None:
    """The one algorithm that the key is for: taken from the key, never from a token. None where it is not for ours."""
    # RFC 7517 sections 4.2 and 4.3: a key for encryption verifies nothing. One whose private half is published proves
    # nothing.
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations or "d" in jwk:
        return None
    fitting = FITTING.get((jwk.get("kty"), jwk.get("crv")), (None,))
    named = jwk.get("alg", fitting[0])
    named = NEW_NAMES.get(named, named)
    return named if named in fitting else None


def _signs_for(jwk: Jwk, claims: dict[str, Any]) -> bool:
    """Whether the key may sign for the token's issuer. Microsoft's keys of many tenants name theirs; other keys do not.

    Without this, a key of personal accounts would speak for every organisation.
    """
    issuer = jwk.get("issuer")
    return not isinstance(issuer, str) or _is_issued_by(claims, issuer)


def _check_parties(
    claims: dict[str, Any], issuers: frozenset[str], client_id: str, trusted_audiences: frozenset[str]
) -> None:
    """Who made it and for whom (OpenID Connect Core section 3.1.3.7, items 2 to 5)."""
    if not any(_is_issued_by(claims, issuer) for issuer in issuers):
        _refuse("another issuer")
    # Item 3: an audience that is not trusted makes the token worthless.
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or client_id not in named:
        _refuse("another audience")
    trusted = {client_id, *trusted_audiences}
    if not all(isinstance(name, str) and name in trusted for name in named) or len(named) > len(trusted):
        _refuse("an audience that is not trusted")
    # Items 4 and 5: with several audiences, `azp` must say that this client asked for the token.
    if claims.get("azp", client_id if len(named) == 1 else None) != client_id:
        _refuse("another authorized party")


def _is_issued_by(claims: dict[str, Any], issuer: str) -> bool:
    """Whether `iss` is this issuer or, where the issuer has `{tenantid}`, a tenant of it, and the same as `tid`.

    Entra ID leaves `tid` out of tokens that were asked for without the scope `profile`, so `iss` names the tenant.
    """
    iss, (prefix, many, suffix) = claims.get("iss"), issuer.partition("{tenantid}")
    if not many or not isinstance(iss, str):
        return bool(iss == issuer)
    tenant = iss.removeprefix(prefix).removesuffix(suffix)
    return bool(TENANT.fullmatch(tenant)) and iss == prefix + tenant + suffix and claims.get("tid", tenant) == tenant


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


def _moment(claims: dict[str, Any], name: str) -> float:
    """A NumericDate: seconds, and "non-integer values can be represented" (RFC 7519 section 2)."""
    value = claims.get(name)
    # A bool is an int to Python.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST_MOMENT:
        _refuse(f"no usable {name}")
    return value


def _is_same(claimed: object, expected: str) -> bool:
    """Whether a claim is this string, compared in constant time."""
    # json makes lone surrogates of escapes, which plain UTF-8 cannot encode.
    return isinstance(claimed, str) and hmac.compare_digest(
        claimed.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")
    )


def _refuse(reason: str, cause: Exception | None = None) -> NoReturn:
    raise ProviderError(debug=f"ID token: {reason}") from cause
