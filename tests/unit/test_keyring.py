"""The key ring: what a container knows of the keys, for how long, and what it refuses to start with."""

from __future__ import annotations

import hmac
import json
import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from chalicelib import deadline
from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.keyring import COOLDOWN, KEPT, OUTLIVES, KeyRing
from chalicelib.errors import ConfigurationError, Unavailable
from infra import keys as infra_keys
from infra.keys import PUBLISHED_AHEAD
from tests.fakes import PREFIX, START, FrozenClock, MemoryParameters, parameters_with_keys

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC = f"{PREFIX}/public"
ROOT = f"{PREFIX}/root"


class Container:
    """A key ring over a parameter store and a clock."""

    def __init__(self, *, with_secrets: bool = True) -> None:
        self.clock = FrozenClock()
        self.parameters = parameters_with_keys()
        self.ring = KeyRing(self.parameters, PREFIX, self.clock, with_secrets=with_secrets)

    @property
    def kid(self) -> str:
        """The id of the key that `parameters_with_keys` holds."""
        return self.published()[0]["kid"]  # type: ignore[no-any-return]  # JSON

    def published(self) -> list[dict[str, Any]]:
        """The public set's entries."""
        return json.loads(self.parameters.values[PUBLIC])["keys"]  # type: ignore[no-any-return]  # JSON

    def publish(self, entries: list[dict[str, Any]]) -> None:
        """Replace the public set."""
        self.parameters.values[PUBLIC] = json.dumps({"keys": entries})

    def rotate(self, *, leaked: bool = False) -> None:
        """What `make rotate-keys` does."""
        renew = infra_keys.replace if leaked else infra_keys.rotate
        renew(self.parameters, PREFIX, "ES256", self.clock.now())  # type: ignore[arg-type]  # what it calls of boto3's client

    def set_secrets(self, *secrets: object) -> None:
        """Replace the root-secret set."""
        self.parameters.values[ROOT] = json.dumps({"secrets": list(secrets)})


@pytest.fixture
def container() -> Container:
    """A cold container of the API's function."""
    return Container()


def refusal(read: Callable[[], object]) -> str:
    """The message of the ConfigurationError that reading raises; it names the remedy."""
    with pytest.raises(ConfigurationError) as raised:
        read()
    assert re.search("make deploy|make rotate-keys", raised.value.debug)
    return raised.value.debug


# Caching --------------------------------------------------------------------------------------------------------------


def test_sets_are_read_once_a_minute(container: Container) -> None:
    """Every use within 60 s is answered from memory; the next one reads both sets in one call."""
    for _ in range(KEPT):
        container.ring.public_keys()
        container.ring.root_secrets()
        assert container.parameters.fetches == 1
        container.clock.advance(1)
    container.ring.public_keys()
    assert container.parameters.fetches == 2


def test_signing_key_is_read_once(container: Container) -> None:
    """A private key is read when it is first needed, and not again while it signs."""
    first = container.ring.signing_key()
    reads = container.parameters.fetches
    assert container.ring.signing_key() is first
    container.clock.advance(KEPT)
    assert container.ring.signing_key() is first
    assert container.parameters.fetches == reads + 1  # the public set alone


def test_authorizer_reads_the_public_set_alone() -> None:
    """A container without secrets never asks for the root secrets: its policy lets it read the public set only."""
    container = Container(with_secrets=False)
    del container.parameters.values[ROOT]
    assert [key.kid for key in container.ring.public_keys()] == [container.kid]
    assert container.ring.root_secrets() == ()


def test_removed_key_is_refused_within_a_minute(container: Container) -> None:
    """A key that was taken out of the set verifies for 60 s more at most: that bounds the answer to a leak."""
    old = container.kid
    assert container.ring.verification_key(old) is not None
    container.rotate(leaked=True)
    container.clock.advance(KEPT - 1)
    assert container.ring.verification_key(old) is not None
    container.clock.advance(1)
    assert container.ring.verification_key(old) is None


def test_removed_secret_is_refused_within_a_minute(container: Container) -> None:
    """The same of root secrets."""
    (old,) = container.ring.root_secrets()
    container.rotate(leaked=True)
    container.clock.advance(KEPT)
    (new,) = container.ring.root_secrets()
    assert old.id != new.id
    assert old.refresh_key != new.refresh_key


def test_unknown_kid_is_looked_for_once_a_cooldown(container: Container) -> None:
    """A key that another container has just published is found; random ids cause no more reads (CVE-2026-48524)."""
    container.ring.public_keys()
    container.clock.advance(COOLDOWN)
    container.rotate()
    newest = container.published()[-1]["kid"]
    found = container.ring.verification_key(newest)
    assert found is not None
    assert found.kid == newest
    reads = container.parameters.fetches
    for number in range(100):
        assert container.ring.verification_key(f"unknown-{number}") is None
    assert container.parameters.fetches == reads
    container.clock.advance(COOLDOWN)
    assert container.ring.verification_key("unknown") is None
    assert container.parameters.fetches == reads + 1


def test_unknown_kid_during_an_outage_is_no_verdict(container: Container) -> None:
    """While the store is away an unknown id is no verdict, within the cooldown either; known ones go on verifying."""
    container.ring.public_keys()
    container.clock.advance(COOLDOWN)
    container.parameters.away = True
    for find in (container.ring.verification_key, container.ring.find_root_secret):
        with pytest.raises(Unavailable):
            find("unknown")
    assert container.ring.verification_key(container.kid) is not None
    container.parameters.away = False
    container.clock.advance(COOLDOWN)
    assert container.ring.verification_key("unknown") is None


# Outages --------------------------------------------------------------------------------------------------------------


def test_last_good_set_outlives_an_outage_by_an_hour(container: Container) -> None:
    """With the store away, the set that was read last verifies for an hour, and then nothing does."""
    container.ring.public_keys()
    container.parameters.away = True
    for _ in range(OUTLIVES // 30 - 1):
        container.clock.advance(30)
        assert container.ring.verification_key(container.kid) is not None
    container.clock.advance(30)
    for _ in range(2):  # within the cooldown too
        with pytest.raises(Unavailable):
            container.ring.verification_key(container.kid)


def test_outage_is_asked_about_once_a_cooldown(container: Container) -> None:
    """A store that is away is not asked at every request: its timeouts would slow all of them."""
    container.ring.public_keys()
    container.parameters.away = True
    container.clock.advance(KEPT)
    before = container.parameters.fetches
    for _ in range(COOLDOWN * 3):
        container.ring.public_keys()
        container.clock.advance(1)
    assert container.parameters.fetches == before + 3


def test_store_that_hangs_leaves_time_for_the_table(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that is at hand is read again by one attempt at most: what the request waits for next still fits."""
    container.ring.public_keys()
    left: list[float] = []

    def hang(_names: object) -> NoReturn:
        left.append(deadline._remaining())
        raise Unavailable

    monkeypatch.setattr(container.parameters, "fetch", hang)
    container.clock.advance(KEPT)
    with deadline.start():
        assert container.ring.verification_key(container.kid) is not None
    assert len(left) == 1
    assert deadline.REQUEST_SECONDS - left[0] > 1.0


def test_end_of_an_outage_is_noticed(container: Container) -> None:
    """Once the store answers again, what it holds now is what counts."""
    container.ring.public_keys()
    container.parameters.away = True
    container.clock.advance(KEPT)
    container.ring.public_keys()
    container.rotate(leaked=True)
    container.parameters.away = False
    container.clock.advance(COOLDOWN)
    assert [key.kid for key in container.ring.public_keys()] == [container.kid]


def test_outage_at_the_start_is_not_remembered(container: Container) -> None:
    """A cold container whose store is away answers Unavailable, and asks again at the next request."""
    container.parameters.away = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            container.ring.signing_key()
    assert container.parameters.fetches == 2
    container.parameters.away = False
    assert container.ring.signing_key().kid == container.kid


def test_outage_before_the_private_key_was_read(container: Container) -> None:
    """A container that has the public set alone does not sign while the store is away, and does afterwards."""
    container.ring.public_keys()
    container.parameters.away = True
    codec = JwtAccessTokenCodec(container.ring, issuer="https://auth.example.com", audience="api")
    with pytest.raises(Unavailable):
        codec.prepare()
    container.parameters.away = False
    codec.prepare()


def test_broken_set_refuses_within_a_minute(container: Container) -> None:
    """What the store answers counts, a broken set too: the last good one is for when it does not answer."""
    container.ring.public_keys()
    container.parameters.values[PUBLIC] = "{}"
    container.clock.advance(KEPT)
    with pytest.raises(ConfigurationError):
        container.ring.public_keys()


def test_secret_that_is_new_is_looked_for(container: Container) -> None:
    """A refresh token under a root secret that this container has not read yet is genuine, as an access token is."""
    container.ring.public_keys()
    container.clock.advance(COOLDOWN)
    container.rotate(leaked=True)
    newest = json.loads(container.parameters.values[ROOT])["secrets"][-1]["id"]
    assert container.ring.find_root_secret(newest) is not None


def test_signing_goes_on_while_the_new_private_key_cannot_be_read(container: Container) -> None:
    """A store that is away when the next key becomes active stops no login: the key before signs on."""
    old = container.ring.signing_key().kid
    container.rotate()
    container.clock.advance(KEPT)
    container.ring.public_keys()
    container.clock.advance(PUBLISHED_AHEAD)
    container.parameters.away = True
    assert container.ring.signing_key().kid == old
    container.parameters.away = False
    assert container.ring.signing_key().kid != old


# Rotation -------------------------------------------------------------------------------------------------------------


def test_new_key_signs_when_it_is_active(container: Container) -> None:
    """A key verifies once it is published and signs ten minutes later, by the clock; the old one goes on verifying."""
    old = container.kid
    container.rotate()
    new = container.published()[-1]["kid"]
    assert container.ring.signing_key().kid == old
    assert container.ring.verification_key(new) is not None
    container.clock.advance(infra_keys.PUBLISHED_AHEAD - 1)
    assert container.ring.signing_key().kid == old
    container.clock.advance(1)
    assert container.ring.signing_key().kid == new
    assert container.ring.verification_key(old) is not None


def test_new_secret_is_used_when_it_is_active(container: Container) -> None:
    """The same of root secrets; both are live meanwhile."""
    (old,) = container.ring.root_secrets()
    container.rotate()
    container.clock.advance(KEPT)
    assert container.ring.root_secret().id == old.id
    assert len(container.ring.root_secrets()) == 2
    container.clock.advance(infra_keys.PUBLISHED_AHEAD - KEPT)
    assert container.ring.root_secret().id != old.id
    assert container.ring.root_secrets()[0] == old


def test_order_in_the_document_means_nothing(container: Container) -> None:
    """The newest active key signs, wherever it stands in the set."""
    container.rotate()
    container.clock.advance(infra_keys.PUBLISHED_AHEAD)
    newest = container.published()[-1]["kid"]
    container.publish(container.published()[::-1])
    assert container.ring.signing_key().kid == newest


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [PUBLIC, ROOT])
def test_missing_set_is_named(container: Container, name: str) -> None:
    """A parameter that does not exist is named, with the remedy."""
    del container.parameters.values[name]
    assert name in refusal(container.ring.public_keys)


def test_both_missing_sets_are_named_at_once() -> None:
    """Where both are missing, one message names both."""
    ring = KeyRing(MemoryParameters(), PREFIX, FrozenClock(), with_secrets=True)
    message = refusal(ring.public_keys)
    assert PUBLIC in message
    assert ROOT in message


@pytest.mark.parametrize("name", [PUBLIC, ROOT])
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
def test_placeholder_of_a_secret_refuses(container: Container, key: object) -> None:
    """A root secret that is missing, short, zero, repeated, counted or typed refuses with the remedy (ASVS V13.3.1)."""
    container.set_secrets({"id": "a", "key": key, "activate_at": START})
    assert "secret" in refusal(container.ring.root_secrets)


@pytest.mark.parametrize("member", ["id", "key", "activate_at"])
def test_incomplete_secret_refuses(container: Container, member: str) -> None:
    """Every member of a root secret is needed."""
    secret = {"id": "a", "key": b64url(SECRET), "activate_at": START}
    del secret[member]
    container.set_secrets(secret)
    refusal(container.ring.root_secrets)


def test_messages_and_records_show_no_secret(container: Container) -> None:
    """Neither a refusal nor the records' representation shows key material."""
    text = "replace-this-by-32-random-bytes!"
    container.set_secrets({"id": "a", "key": b64url(text.encode()), "activate_at": START})
    assert b64url(text.encode()) not in refusal(container.ring.root_secrets)
    container.set_secrets({"id": "a", "key": b64url(SECRET), "activate_at": START})
    root = container.ring.root_secret()
    assert "refresh_key" not in repr(root)
    assert "csrf_key" not in repr(root)
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


def test_nothing_active_yet_refuses(container: Container) -> None:
    """Keys that are all still to come sign nothing, and make no tokens."""
    container.publish([{**container.published()[0], "activate_at": START + 1}])
    container.set_secrets({"id": "a", "key": b64url(SECRET), "activate_at": START + 1})
    assert "active" in refusal(container.ring.signing_key)
    assert "active" in refusal(container.ring.root_secret)
    container.clock.advance(1)
    assert container.ring.signing_key().kid == container.kid
    assert container.ring.root_secret().id == "a"


def test_purposes_have_keys_of_their_own(container: Container) -> None:
    """Each purpose has its own key, by HKDF-SHA256 (RFC 5869). Tokens live for months: it cannot change any more."""
    container.set_secrets({"id": "a", "key": b64url(SECRET), "activate_at": START})
    root = container.ring.root_secret()

    def derived(purpose: bytes) -> bytes:
        extracted = hmac.digest(bytes(32), SECRET, sha256)
        return hmac.digest(extracted, b"keyturn " + purpose + b" v1\x01", sha256)

    assert root.refresh_key == derived(b"refresh-token mac")
    assert root.csrf_key == derived(b"csrf token")
