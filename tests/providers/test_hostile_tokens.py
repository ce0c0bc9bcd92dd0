"""A provider that signs what it must not: each token ends in a clear error, and the next honest login works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.crypto.encoding import b64url
from chalicelib.errors import InvalidCode, ProviderError, Unavailable
from chalicelib.providers.metadata import KEYS_COOLDOWN
from tests.world.clock import START
from tests.world.forgery import ABSENT, Forgery, rsa_key
from tests.world.misdeeds import KEYS, Fault

if TYPE_CHECKING:
    from tests.providers.party import Party


def refused(party: Party, expected: type[Exception] = ProviderError) -> None:
    """The login ends in this error, exactly; once the provider is honest again, one works."""
    with pytest.raises(expected) as caught:
        party.log_in()
    assert caught.type is expected
    party.stand_in.recover()
    assert party.log_in().subject == "person-1"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.com"},
        {"iss": ABSENT},
        {"aud": "another-client"},
        {"aud": ["web-client", "another-client"]},
        {"azp": "another-client"},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"exp": START - 61},
        {"iat": START + 61},
        {"sub": ABSENT},
        {"sub": ""},
        {"sub": None},
        {"sub": 1},
    ],
    ids=str,
)
def test_wrong_claims(party: Party, claims: dict[str, Any]) -> None:
    """A token of another issuer, audience, time or access token, or about nobody, is not believed."""
    party.log_in()
    party.stand_in.forgery.claims = claims
    refused(party)


@pytest.mark.parametrize("nonce", ["of another login", "", ABSENT, None])
def test_wrong_nonce(party: Party, nonce: Any) -> None:
    """A token of another login belongs to no code of this one."""
    party.stand_in.forgery.claims = {"nonce": nonce}
    refused(party, InvalidCode)


def test_no_algorithm(party: Party) -> None:
    """`alg: none` is no signature (CVE-2022-29217)."""
    parts = ({"alg": "none", "typ": "JWT"}, {"iss": party.stand_in.url, "sub": "person-1"})
    party.stand_in.forgery.token = ".".join(b64url(json.dumps(part).encode()) for part in parts) + "."
    refused(party)


@pytest.mark.parametrize("secret", ["pem", "modulus"])
def test_hmac_with_the_public_key(party: Party, secret: str) -> None:
    """HS256 under what everybody can know signs nothing (CVE-2022-29217)."""
    stand_in = party.stand_in
    known = stand_in.public_pem() if secret == "pem" else stand_in.jwk(0)["n"].encode()
    stand_in.forgery = Forgery(algorithm="HS256", key=known)
    refused(party)


def test_hmac_with_a_published_secret(party: Party) -> None:
    """A symmetric key in the key set is no key, whoever published it."""
    known = b"k" * 32
    party.stand_in.extra_keys = [{"kty": "oct", "k": b64url(known), "kid": "shared", "alg": "HS256"}]
    party.stand_in.forgery = Forgery(algorithm="HS256", key=known, header={"kid": "shared"})
    refused(party)


def test_key_of_the_header(party: Party) -> None:
    """A key that the token brings itself is never read (CVE-2026-27962)."""
    party.stand_in.forgery = Forgery(key=rsa_key(7), header={"jwk": party.stand_in.jwk(7), "kid": ABSENT})
    refused(party)


def test_token_that_is_none(party: Party) -> None:
    """Strings that are no JWT are refused as such."""
    for token in ("", "a.b.c", "." * 9000, "ü.ü.ü"):
        party.stand_in.forgery.token = token
        refused(party)


def test_broken_keys_are_passed_over(party: Party) -> None:
    """What is no key in the key set stops nobody."""
    party.stand_in.extra_keys = [None, 1, [], "key", {}, {"kty": "NEW", "kid": "key-0"}]
    assert party.log_in().subject == "person-1"


# Key rotation --------------------------------------------------------------------------------------------------------


def test_rotated_keys_are_found(party: Party) -> None:
    """The first token under a new key logs in, for the keys are read again at once; the old key is dead then."""
    party.log_in()
    party.stand_in.rotate()
    assert party.log_in().subject == "person-1"
    assert party.stand_in.fetches[KEYS] == 2
    party.stand_in.forgery = Forgery(key=rsa_key(0), header={"kid": "key-0"})
    refused(party)


@pytest.mark.parametrize("kid", [ABSENT, None, "the-same"])
def test_rotated_keys_without_a_name(party: Party, kid: Any) -> None:
    """A provider that names no keys, or all of them alike, may change its key too (auth0/jwks-rsa-java #277)."""

    def publish(number: int) -> None:
        named = {**party.stand_in.jwk(number), "kid": kid}
        party.stand_in.key_set = {"keys": [{name: value for name, value in named.items() if value is not ABSENT}]}
        party.stand_in.forgery = Forgery(key=rsa_key(number), header={"kid": kid})

    publish(0)
    party.log_in()
    publish(1)
    assert party.log_in().subject == "person-1"
    assert party.stand_in.fetches[KEYS] == 2
    party.stand_in.forgery.key = rsa_key(0)
    with pytest.raises(ProviderError):
        party.log_in()
    party.stand_in.forgery.key = rsa_key(1)
    assert party.log_in().subject == "person-1"
    assert party.stand_in.fetches[KEYS] == 2, "within a cooldown"


UNUSABLE: dict[str, Any] = {
    "empty": {"keys": []},
    "no list": {"keys": {}},
    "no keys": {},
    "no object": [],
    "null": {"keys": None},
    "broken": {"keys": [{"kty": "RSA", "kid": "key-0"}]},
    "encryption": {"keys": [{"kty": "RSA", "kid": "key-0", "use": "enc", "n": "AQAB", "e": "AQAB"}]},
    "page": b"<!doctype html>",
}


@pytest.mark.parametrize("before", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize("unusable", [*UNUSABLE, "another key", "two keys of one name", "HTTP 500"])
def test_key_set_that_was_unusable(party: Party, unusable: str, before: bool) -> None:  # noqa: FBT001
    """A provider that has published what verifies nothing is asked again seconds after it has mended that."""
    if before:
        party.log_in()
        party.stand_in.rotate()
    if unusable == "HTTP 500":
        party.stand_in.faults[KEYS] = Fault.ERROR_500
    elif unusable in UNUSABLE:
        party.stand_in.key_set = UNUSABLE[unusable]
    else:
        wrong = {**party.stand_in.jwk(9), "kid": f"key-{party.stand_in.key}"}
        also = [party.stand_in.jwk(party.stand_in.key)] if unusable.startswith("two") else []
        party.stand_in.key_set = {"keys": [wrong, *also]}
    for _ in range(3):
        with pytest.raises(Unavailable):
            party.log_in()
    assert party.stand_in.fetches[KEYS] <= 1 + before + 1
    party.stand_in.recover()
    party.clock.advance(KEYS_COOLDOWN)
    assert party.log_in().subject == "person-1"


def test_storm_of_unknown_keys(party: Party) -> None:
    """Random `kid` cause one fetch a cooldown, and leave the good keys where they are (CVE-2026-48524)."""
    party.log_in()
    for number in range(30):
        party.stand_in.forgery.header = {"kid": f"unknown-{number}"}
        with pytest.raises(ProviderError):
            party.log_in()
    assert party.stand_in.fetches[KEYS] == 2
    party.clock.advance(KEYS_COOLDOWN)
    refused(party)
    assert party.stand_in.fetches[KEYS] == 3
