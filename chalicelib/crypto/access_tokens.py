"""Access tokens: signed JWTs as RFC 9068 profiles them, each in one spelling only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import jwt

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.jws import json_object
from chalicelib.domain import access_tokens
from chalicelib.domain.access_tokens import (
    LARGEST_NUMBER,
    MAX_LENGTH,
    SIGNATURE_BYTES,
    AccessTokenClaims,
    encoded_length,
    serialised,
)
from chalicelib.domain.moments import CLOCKS_DIFFER
from chalicelib.domain.requirements import is_role
from chalicelib.errors import ConfigurationError, InvalidToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.crypto.keyring import KeyRing
    from chalicelib.crypto.keys import SigningKey, VerificationKey

FUTURE_LEEWAY = CLOCKS_DIFFER  # seconds that another container's clock may be ahead

# PyJWT makes and verifies signatures, and nothing else: its parser takes padding, two members of one name, and times
# that are strings.
ALGORITHMS = jwt.PyJWS(["RS256", "ES256", "EdDSA"])

# The order of P-256's group (NIST SP 800-186 section 3.2.1.3), and how many bytes each half of a signature has.
P256_ORDER = 0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551
P256_BYTES = 32


class JwtAccessTokenCodec:
    """ports.AccessTokenCodec over PyJWT's signatures."""

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def prepare(self) -> None:
        """Have the signing key at hand. Unavailable where it cannot be read, ConfigurationError where there is none."""
        self._keys.signing_key()

    def issue(self, claims: AccessTokenClaims) -> str:
        """Sign the claims (RFC 9068 section 2.2) with the key that is active now.

        ConfigurationError where `verify` would refuse the token: for its length, or for a role that is no role's name.
        """
        key = self._keys.signing_key()
        signing_input = self._signing_input(claims, key)
        signature = ALGORITHMS.get_algorithm_by_name(key.algorithm).sign(signing_input.encode(), key.key)
        if key.algorithm == "ES256":
            signature = _with_low_s(signature)
        return f"{signing_input}.{b64url(signature)}"

    def require_issuable(self, claims: AccessTokenClaims) -> None:
        """ConfigurationError where `issue` would raise it. Nothing is signed."""
        self._signing_input(claims, self._keys.signing_key())

    def _signing_input(self, claims: AccessTokenClaims, key: SigningKey) -> str:
        if not all(is_role(role) for role in claims.roles):
            message = f"account {claims.sub} has a role with a blank or a control character; rename the role"
            raise ConfigurationError(debug=message)
        header = access_tokens.header(key.algorithm, key.kid)
        payload = access_tokens.payload(claims, issuer=self._issuer, audience=self._audience)
        signing_input = f"{b64url(serialised(header))}.{b64url(serialised(payload))}"
        length = len(signing_input) + 1 + encoded_length(SIGNATURE_BYTES[key.algorithm])
        if length > MAX_LENGTH:
            message = (
                f"the access token of account {claims.sub} has {length} characters, and at most {MAX_LENGTH}"
                " are accepted; give the account fewer roles, or KEYTURN_ROLE_SCOPES fewer scopes"
            )
            raise ConfigurationError(debug=message)
        return signing_input

    def verify(self, access_token: str, now: int, *, accept_expired: bool = False) -> AccessTokenClaims:
        """Claims of a token that we signed for this audience and that has not expired.

        InvalidToken for anything else, also for another spelling of the same token. `accept_expired` is for logout
        alone: an old token may still end its session. Additional claims are ignored: while functions are deployed, a
        newer version may have signed them.
        """
        # RecursionError: json's decoder on a text that is nothing but brackets.
        try:
            payload = self._verified_payload(access_token)
            claims = self._claims(payload)
            # We never set `nbf`. If a token has one, it is honoured (ASVS V9.2.1).
            begins = max(claims.iat, _number(payload, "nbf") if "nbf" in payload else 0)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidToken(debug=f"unreadable: {type(error).__name__}") from error
        if begins > now + FUTURE_LEEWAY:
            raise InvalidToken(debug="of the future")
        # RFC 7519 section 4.1.4: the current date/time MUST be before the expiration date/time.
        if now >= claims.exp and not accept_expired:
            raise InvalidToken(debug="expired")
        return claims

    def _verified_payload(self, access_token: str) -> dict[str, Any]:
        if len(access_token) > MAX_LENGTH or not access_token.isascii():
            _refuse("not a token's length or alphabet")
        signing_input, _, signature = access_token.rpartition(".")
        header, _, payload = signing_input.partition(".")
        key = self._key(json_object(from_b64url(header)))
        # A fourth segment is no base64url either: a dot is not of its alphabet. All of it is decoded before the
        # signature is verified, which takes ten times as long.
        decoded, raw_signature = from_b64url(payload), from_b64url(signature)
        if key.algorithm == "ES256" and int.from_bytes(raw_signature[P256_BYTES:], "big") > P256_ORDER // 2:
            _refuse("a signature's other spelling")
        if not ALGORITHMS.get_algorithm_by_name(key.algorithm).verify(signing_input.encode(), key.key, raw_signature):
            _refuse("a signature that does not verify")
        return json_object(decoded)

    def _key(self, header: Mapping[str, Any]) -> VerificationKey:
        """The key that the header names, if the header is exactly as we make it.

        Other members ask a verifier to trust what they bring (`jwk`, `jku`, `x5u`: CVE-2026-27962), or to understand
        what it does not (`crit`, RFC 7515 section 4.1.11). RFC 9068 section 4: another `typ` MUST be rejected.
        """
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or not isinstance(kid, str) or header != access_tokens.header(algorithm, kid):
            _refuse("not an access token's header")
        key = self._keys.verification_key(kid)
        if key is None or algorithm != key.algorithm:
            _refuse("not signed with a key of ours")
        return key

    def _claims(self, payload: Mapping[str, Any]) -> AccessTokenClaims:
        if (payload["iss"], payload["aud"], payload["client_id"]) != (self._issuer, self._audience, self._audience):
            _refuse("another issuer, audience or client")
        return AccessTokenClaims(
            sub=_text(payload["sub"], "sub"),
            sid=_text(payload["sid"], "sid"),
            jti=_text(payload["jti"], "jti"),
            ver=_number(payload, "ver"),
            iat=_number(payload, "iat"),
            exp=_number(payload, "exp"),
            auth_time=_number(payload, "auth_time"),
            amr=tuple(_text(method, "amr") for method in _list(payload, "amr")),
            roles=tuple(_role(role) for role in _list(payload, "roles")),
            scope=_scope(payload["scope"]),
            email_verified=_truth(payload["email_verified"]),
        )


def _text(value: object, name: str) -> str:
    # Printable: a lone surrogate, which JSON's escapes can make, would break whatever encodes it later.
    if not isinstance(value, str) or not value or not value.isprintable():
        _refuse(f"no usable {name}")
    return value


def _scope(value: object) -> str:
    return "" if value == "" else _text(value, "scope")


def _role(value: object) -> str:
    if not isinstance(value, str) or not is_role(value):
        _refuse("no usable roles")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        _refuse("no usable email_verified")
    return value


def _number(payload: Mapping[str, Any], name: str) -> int:
    """A whole number as we write it. True, 1.0 and "1" are of other types."""
    value = payload[name]
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        _refuse(f"no usable {name}")
    return value


def _list(payload: Mapping[str, Any], name: str) -> list[object]:
    value = payload[name]
    if not isinstance(value, list):
        _refuse(f"no usable {name}")
    return value


def _with_low_s(signature: bytes) -> bytes:
    """The spelling of an ECDSA signature that `verify` accepts: of (r, s) and (r, n - s), both good, the lower s."""
    s = int.from_bytes(signature[P256_BYTES:], "big")
    return signature[:P256_BYTES] + min(s, P256_ORDER - s).to_bytes(P256_BYTES, "big")


def _refuse(reason: str) -> NoReturn:
    raise InvalidToken(debug=reason)
