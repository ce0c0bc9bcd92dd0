"""Key material: what a container refuses to start with."""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.keyring import KeyRing
from tests.unit.key_containers import LOGINS, PUBLIC, SESSIONS, Container, refusal
from tests.world.clock import START, FrozenClock
from tests.world.parameters import GROUPS, PREFIX, MemoryParameters


@pytest.mark.parametrize("name", [PUBLIC, SESSIONS, LOGINS])
def test_missing_set_is_named(container: Container, name: str) -> None:
    """A parameter that does not exist is named, with the remedy."""
    del container.parameters.values[name]
    assert name in refusal(container.ring.public_keys)


def test_all_missing_sets_are_named_at_once() -> None:
    """Where all are missing, one message names all of them."""
    ring = KeyRing(MemoryParameters(), PREFIX, FrozenClock(), groups=GROUPS)
    message = refusal(ring.public_keys)
    assert all(name in message for name in (PUBLIC, SESSIONS, LOGINS))


@pytest.mark.parametrize("name", [PUBLIC, SESSIONS, LOGINS])
@pytest.mark.parametrize(
    "placeholder",
    [
        *("", "changeme", "null", "[]", "{}", "1", '{"keys":[],"secrets":[]}'),
        *('{"keys":{},"secrets":"x"}', '{"keys":[1],"secrets":[null]}', '{"keys":[{}],"secrets":[{}]}'),
    ],
)
def test_placeholder_of_a_set_refuses(container: Container, name: str, placeholder: str) -> None:
    """What is no set of keys refuses with the remedy."""
    container.parameters.values[name] = placeholder
    refusal(container.ring.public_keys)


SECRET = bytes(range(200, 232))
each_group = pytest.mark.parametrize("name", [SESSIONS, LOGINS])


@each_group
@pytest.mark.parametrize(
    "key",
    [
        "",
        "changeme",
        b64url(bytes(32)),
        b64url(b"\xff" * 32),
        b64url(b"\x80\x81" * 16),
        b64url(bytes(range(32))),
        b64url(b"replace-this-by-32-random-bytes!"),
        b64url(SECRET[:31]),
        b64url(SECRET + b"\x80"),
        b64url(SECRET) + "=",
        b64url(SECRET)[:-1] + "+",
        None,
        5,
        ["A"],
    ],
)
def test_placeholder_of_a_secret_refuses(container: Container, key: object, name: str) -> None:
    """A root secret that is missing, short, zero, repeated, counted or typed refuses with the remedy (ASVS V13.3.1)."""
    container.set_secrets({"id": "a", "key": key, "activate_at": START}, name=name)
    message = refusal(container.ring.session_secrets)
    assert "secret" in message
    assert f"`{name.rpartition('/')[2]}`" in message


@each_group
@pytest.mark.parametrize("member", ["id", "key", "activate_at"])
def test_incomplete_secret_refuses(container: Container, member: str, name: str) -> None:
    """Every member of a root secret is needed."""
    secret = {"id": "a", "key": b64url(SECRET), "activate_at": START}
    del secret[member]
    container.set_secrets(secret, name=name)
    refusal(container.ring.session_secrets)


def test_messages_and_records_show_no_secret(container: Container) -> None:
    """Neither a refusal nor the records' representation shows key material."""
    text = "replace-this-by-32-random-bytes!"
    container.set_secrets({"id": "a", "key": b64url(text.encode()), "activate_at": START})
    assert b64url(text.encode()) not in refusal(container.ring.session_secrets)
    container.set_secrets({"id": "a", "key": b64url(SECRET), "activate_at": START})
    assert "_key" not in repr((container.ring.session_secret(), container.ring.login_secret()))
    assert "key=" not in repr(container.ring.signing_key())


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "HS256", "kty": "oct", "k": "AAAA"},
        {"alg": "RS256"},
        {"alg": "ES384"},
        {"alg": "EdDSA"},
        {"alg": None},
        {"kty": "RSA"},
        {"kty": None},
        {"crv": "P-384"},
        {"x": "AAAA"},
        {"x": 5},
        {"activate_at": "soon"},
        {"activate_at": None},
        {"activate_at": float("inf")},
    ],
)
def test_odd_public_key_refuses(container: Container, changes: dict[str, object]) -> None:
    """A public key that is not for its algorithm, or none at all, refuses with the remedy."""
    container.publish([{**container.published()[0], **changes}])
    refusal(container.ring.public_keys)


@pytest.mark.parametrize("member", ["kid", "alg", "activate_at", "kty", "x"])
def test_incomplete_public_key_refuses(container: Container, member: str) -> None:
    """Every member of a public key is needed."""
    entry = container.published()[0]
    del entry[member]
    container.publish([entry])
    refusal(container.ring.public_keys)


def test_curves_are_not_mixed(container: Container) -> None:
    """A P-384 key is not taken for ES256, though PyJWT would verify with it."""
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    container.publish([{**jwk, "kid": "a", "alg": "ES256", "activate_at": START}])
    refusal(container.ring.public_keys)


@lru_cache
def weak_jwk() -> dict[str, Any]:
    """An RSA key of 2048 bits, which stands for less than 128 bits of strength."""
    return RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True)


def test_weak_rsa_key_refuses(container: Container) -> None:
    """RSA keys of fewer than 3072 bits are refused; PyJWT would take 1024 (ASVS V11.2.3)."""
    container.publish([{**weak_jwk(), "kid": "a", "alg": "RS256", "activate_at": START}])
    assert "128 bits" in refusal(container.ring.public_keys)


def test_private_key_in_the_public_set_refuses(container: Container) -> None:
    """Somebody who published a private key learns it at once, and the JWKS endpoint does not show it."""
    private = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    container.publish([{**private, "kid": "a", "alg": "ES256", "activate_at": START}])
    refusal(container.ring.public_keys)


def test_published_members_are_public(container: Container) -> None:
    """What is published of a key has the members of RFC 7517 and no other."""
    container.publish([{**container.published()[0], "note": "of the operator", "key_ops": ["verify"]}])
    (key,) = container.ring.public_keys()
    assert set(key.jwk) == {"kty", "use", "alg", "kid", "crv", "x", "y"}


def test_missing_private_key_refuses(container: Container) -> None:
    """A published key without its private half is named, with the remedy."""
    del container.parameters.values[f"{PREFIX}/signing/{container.kid}"]
    assert container.kid in refusal(container.ring.signing_key)


def _pem(key: ec.EllipticCurvePrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def test_wrong_private_key_refuses(container: Container) -> None:
    """Another key's private half is refused before it signs anything."""
    name = f"{PREFIX}/signing/{container.kid}"
    container.parameters.values[name] = _pem(ec.generate_private_key(ec.SECP256R1()))
    assert "private half" in refusal(container.ring.signing_key)
    container.parameters.values[name] = _pem(ec.generate_private_key(ec.SECP384R1()))
    assert "private half" in refusal(container.ring.signing_key)


BROKEN_PEM = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"  # pragma: allowlist secret


@pytest.mark.parametrize("pem", ["", "changeme", BROKEN_PEM, "é"])
def test_broken_private_key_refuses(container: Container, pem: str) -> None:
    """What is no PEM refuses with the remedy, and shows nothing of it."""
    container.parameters.values[f"{PREFIX}/signing/{container.kid}"] = pem
    message = refusal(container.ring.signing_key)
    assert "PKCS8" in message
    assert not pem or pem not in message


def test_purposes_have_keys_of_their_own(container: Container) -> None:
    """Each purpose has its own key, by HKDF-SHA256 (RFC 5869). Tokens live for months: it cannot change any more."""
    for name in (SESSIONS, LOGINS):
        container.set_secrets({"id": "a", "key": b64url(SECRET), "activate_at": START}, name=name)
    session, login = container.ring.session_secret(), container.ring.login_secret()

    def derived(purpose: bytes) -> bytes:
        extracted = hmac.digest(bytes(32), SECRET, sha256)
        return hmac.digest(extracted, b"keyturn " + purpose + b" v1\x01", sha256)

    assert session.refresh_key == derived(b"refresh-token mac")
    assert session.csrf_key == derived(b"csrf token")
    assert login.state_key == derived(b"login state")
    assert login.device_key == derived(b"device token")
