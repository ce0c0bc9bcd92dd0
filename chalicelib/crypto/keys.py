"""Key material as the parameter store holds it: what each document means, and which key does what at a given time.

`{prefix}/public`        {"keys": [public JWK + "alg", "kid", "activate_at"]}
`{prefix}/signing/{kid}` PKCS8 PEM of the private key
`{prefix}/sessions`      {"secrets": [{"id", "key" (base64url, 32 bytes), "activate_at"}]}: refresh MAC, CSRF tokens
`{prefix}/logins`        the same: login states, device tokens
`{prefix}/withdrawn`     {"withdrawn": {id: seconds since the epoch}}: keys that have leaked, of every kind

`sessions` and `logins` are root-secret sets, each of one group of purposes: a function may read the groups that it
needs and no other. The version before had a single set for all purposes, `{prefix}/root`, which infra/keys.py copies
into both groups. So the labels of HKDF are those of before, and they cannot change: tokens live for months.

A key in a set verifies. The key activated last signs. Each new key is published ten minutes before its `activate_at`,
so that every container has read it by the time that the first container uses it. Where no key is active yet, the oldest
signs: the clock of the container or of the operator is wrong then (docs/decisions/0024-keys-and-wrong-clocks.md).

A withdrawn id is refused in every set, until the operator's next rotation after its time removes it from the list. A
stage of before has no such parameter, and no withdrawn key (docs/decisions/0023-withdrawn-keys.md).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chalicelib.crypto.encoding import from_b64url
from chalicelib.domain.access_tokens import MAX_KEY_ID
from chalicelib.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jwt.algorithms import AllowedPrivateKeys, AllowedPublicKeys

MINIMUM_RSA_BITS = 3072  # 128 bits of strength (ASVS V11.2.3)
ROOT_SECRET_BYTES = 32
# The groups are parts of parameters' names. The purposes are labels of HKDF, in the order of the group's record below.
SESSIONS = "sessions"
LOGINS = "logins"
PURPOSES = {SESSIONS: ("refresh-token mac", "csrf token"), LOGINS: ("login state", "device token")}
# What the forms of refresh tokens and device tokens leave room for, and the longest access token is reckoned with.
KEY_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_KEY_ID}}}")
PUBLISHED_MEMBERS = ("kty", "use", "alg", "kid", "n", "e", "crv", "x", "y")
REMEDY = "run `make deploy` (locally: `make run`), which makes what is missing"
REPLACE = "run `make rotate-keys LEAKED=yes`, which replaces every key"


class VerificationKey(NamedTuple):
    """A public key with the one algorithm it is for: taken from the key, never from a token's header."""

    kid: str
    algorithm: str
    activate_at: int
    key: AllowedPublicKeys
    jwk: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, the id of its public half, and their algorithm."""

    kid: str
    algorithm: str
    key: AllowedPrivateKeys = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionSecret:
    """A root secret of the group `sessions`: the keys that are derived from it. The secret itself is never used."""

    id: str
    activate_at: int
    refresh_key: bytes = field(repr=False)
    csrf_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoginSecret:
    """A root secret of the group `logins`: the keys that are derived from it. The secret itself is never used."""

    id: str
    activate_at: int
    state_key: bytes = field(repr=False)
    device_key: bytes = field(repr=False)


RootSecret = TypeVar("RootSecret", SessionSecret, LoginSecret)
Activated = TypeVar("Activated", VerificationKey, SessionSecret, LoginSecret)


def parse_public_keys(document: str) -> tuple[VerificationKey, ...]:
    """The public set, oldest first. ConfigurationError where it holds no key, or one that is too weak or odd."""
    entries = _entries(document, "keys", "public")
    keys = []
    for entry in entries:
        try:
            kid, algorithm, activate_at = _key_id(entry["kid"]), str(entry["alg"]), int(entry["activate_at"])
            key = jwt.PyJWK.from_dict(entry, algorithm).key
        except (ArithmeticError, KeyError, NotImplementedError, TypeError, ValueError, jwt.PyJWTError) as error:
            message = f"the public key set holds an entry that is no key ({type(error).__name__}); {REPLACE}"
            raise ConfigurationError(debug=message) from error
        if not _fits(key, algorithm):
            message = f"public key {kid} is not for {algorithm}, or weaker than 128 bits; {REPLACE}"
            raise ConfigurationError(debug=message)
        jwk = {name: entry[name] for name in PUBLISHED_MEMBERS if name in entry}
        keys.append(VerificationKey(kid, algorithm, activate_at, key, jwk))
    _require_distinct("public", [key.kid for key in keys])
    return tuple(sorted(keys, key=lambda key: key.activate_at))


def parse_signing_key(pem: str, public: VerificationKey) -> SigningKey:
    """The private half of `public`. ConfigurationError where the PEM is another key's, or none."""
    try:
        # The check that is skipped costs 50 to 100 ms for RSA. It guards against keys from strangers; this one is ours,
        # and a wrong one is found below and by whoever verifies.
        key = load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    except (TypeError, ValueError) as error:
        message = f"the signing key {public.kid} is no PKCS8 PEM; {REPLACE}"
        raise ConfigurationError(debug=message) from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) or (
        key.public_key() != public.key
    ):
        message = f"the signing key {public.kid} is not the private half of the published key; {REPLACE}"
        raise ConfigurationError(debug=message)
    return SigningKey(public.kid, public.algorithm, key)


def parse_session_secrets(document: str) -> tuple[SessionSecret, ...]:
    """The root secrets of `sessions`, oldest first. ConfigurationError where a secret is short or a placeholder."""
    return _parse_root_secrets(document, SESSIONS, SessionSecret)


def parse_login_secrets(document: str) -> tuple[LoginSecret, ...]:
    """The root secrets of `logins`, oldest first. ConfigurationError as `parse_session_secrets`."""
    return _parse_root_secrets(document, LOGINS, LoginSecret)


def parse_withdrawn(document: str | None) -> dict[str, int]:
    """The withdrawn ids, each with the time until which it must be listed. A missing parameter (None) lists no id.

    ConfigurationError where the document cannot be read: a leaked key must not be accepted because its mark is damaged.
    """
    if document is None:
        return {}
    try:
        return {str(key_id): int(until) for key_id, until in json.loads(document)["withdrawn"].items()}
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"the parameter `withdrawn` holds no list of ids ({type(error).__name__}); {REPLACE}"
        raise ConfigurationError(debug=message) from error


def newest_active_key(keys: Sequence[VerificationKey], now: int) -> VerificationKey:
    """The key that signs at `now`; the oldest where all of them are still to come. Unavailable where no key is left."""
    if not keys:
        raise Unavailable(debug=f"every signing key is withdrawn; {REPLACE}")
    return _newest_active(keys, now)


def newest_active_secret(secrets: Sequence[RootSecret], now: int) -> RootSecret:
    """The root secret that new tokens are made with at `now`, as `newest_active_key`."""
    if not secrets:
        raise Unavailable(debug=f"every root secret is withdrawn; {REPLACE}")
    return _newest_active(secrets, now)


def _newest_active(keys: Sequence[Activated], now: int) -> Activated:
    # Keys that come first by the operator's clock: no other key can sign, so a clock that is behind must not stop them.
    active = [key for key in keys if key.activate_at <= now]
    return active[-1] if active else min(keys, key=lambda key: key.activate_at)


def _parse_root_secrets(document: str, group: str, make: Callable[..., RootSecret]) -> tuple[RootSecret, ...]:
    secrets = []
    for entry in _entries(document, "secrets", group):
        try:
            identifier, key, activate_at = _key_id(entry["id"]), from_b64url(entry["key"]), int(entry["activate_at"])
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            message = (
                f"the parameter `{group}` holds an entry that is no root secret ({type(error).__name__}); {REPLACE}"
            )
            raise ConfigurationError(debug=message) from error
        # 32 random bytes are ASCII once in four thousand million keys; zeros, counting and typed text always are.
        if len(key) != ROOT_SECRET_BYTES or key.isascii() or len(set(key)) < ROOT_SECRET_BYTES // 2:
            message = (
                f"root secret {identifier} of `{group}` is a placeholder or not {ROOT_SECRET_BYTES} random bytes; "
                f"{REPLACE}"
            )
            raise ConfigurationError(debug=message)
        secrets.append(make(identifier, activate_at, *(_derive(key, purpose) for purpose in PURPOSES[group])))
    _require_distinct(group, [secret.id for secret in secrets])
    return tuple(sorted(secrets, key=lambda secret: secret.activate_at))


def _entries(document: str, member: str, name: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(document)[member]
    except (KeyError, TypeError, ValueError):
        entries = None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        message = f"the parameter `{name}` holds no key set (a placeholder?); {REPLACE}"
        raise ConfigurationError(debug=message)
    return entries


def _key_id(value: object) -> str:
    """ValueError for an id that no token could name."""
    if not isinstance(value, str) or not KEY_ID.fullmatch(value):
        message = f"a key id has 1 to {MAX_KEY_ID} characters of A-Z a-z 0-9 - _"
        raise ValueError(message)
    return value


def _require_distinct(name: str, ids: list[str]) -> None:
    # The newest key signs, and the first of its id would verify: every token would be dead at birth.
    if len(set(ids)) != len(ids):
        raise ConfigurationError(debug=f"the parameter `{name}` holds two keys of one id; {REPLACE}")


def _fits(key: object, algorithm: str) -> bool:
    match algorithm:
        case "RS256":
            return isinstance(key, rsa.RSAPublicKey) and key.key_size >= MINIMUM_RSA_BITS
        case "ES256":
            return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        case "EdDSA":
            return isinstance(key, ed25519.Ed25519PublicKey)
    return False


def _derive(key: bytes, purpose: str) -> bytes:
    # One key, one purpose (RFC 5869): whoever learns one of them learns nothing of the others.
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"keyturn {purpose} v1".encode()).derive(key)
