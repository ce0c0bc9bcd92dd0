"""Keys of ID tokens: which key of a provider's set is meant, which are passed over, and when the set is read again."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448

from chalicelib.errors import ProviderError, Unavailable
from tests.unit.identity_provider import ABSENT, ISSUER, Provider, jwk, private_key


@pytest.fixture
def provider() -> Provider:
    """Over ES256, which signs fastest."""
    return Provider()


# Which key is meant ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kid", [ABSENT, "key-1"])
def test_token_without_key_id(provider: Provider, kid: object) -> None:
    """Without `kid` the one key of the algorithm is meant, named or not, whatever other keys there are."""
    provider.published = [
        jwk(private_key("RS256"), "RS256", kid="rsa"),
        jwk(private_key("ES256", 1), "ES256", kid="encrypts", use="enc"),
        jwk(provider.key, "ES256", kid=kid),
    ]
    assert not provider.refuses(provider.signed(header={"alg": "ES256"}))
    assert provider.newer_reads == 0


def test_token_without_key_id_among_several_keys(provider: Provider) -> None:
    """Without `kid`, two keys of the algorithm cannot be told apart (OpenID Connect Core section 10.1)."""
    provider.published = [*provider.published, jwk(private_key("ES256", 1), "ES256", kid="key-2")]
    assert provider.refuses(provider.signed(header={"alg": "ES256"}))
    assert not provider.refuses(provider.signed())


def test_key_without_id_is_not_meant_by_one(provider: Provider) -> None:
    """A token that names its key is not verified with one that has no name."""
    provider.published = [jwk(provider.key, "ES256")]
    assert provider.refuses(provider.signed())


def test_new_key_is_read_once(provider: Provider) -> None:
    """A `kid` that the set does not know makes it be read again, once; the new set is used."""
    provider.newer = provider.published
    provider.published = [jwk(private_key("ES256", 1), "ES256", kid="key-0")]
    assert not provider.refuses(provider.signed())
    assert (provider.reads, provider.newer_reads) == (1, 1)


@pytest.mark.parametrize("kid", [ABSENT, "key-1"])
def test_key_that_took_anothers_place_is_read(provider: Provider, kid: object) -> None:
    """A signature that fails has the keys read again: a provider may name no keys, or give a new key the old name."""
    header = {name: value for name, value in {**provider.header, "kid": kid}.items() if value is not ABSENT}
    provider.newer = [jwk(provider.key, "ES256", kid=kid)]
    provider.published = [jwk(private_key("ES256", 1), "ES256", kid=kid)]
    assert not provider.refuses(provider.signed(header=header))
    assert (provider.reads, provider.newer_reads) == (1, 1)


def test_signature_that_fails_reads_once(provider: Provider) -> None:
    """A signature that the newer keys do not verify either is refused after that one read."""
    assert provider.refuses(provider.signed(key=private_key("ES256", 1)))
    assert (provider.reads, provider.newer_reads) == (1, 1)


@pytest.mark.parametrize(
    "again",
    [
        {},
        {"kid": "key-2"},
        {"kid": ABSENT},
        {"use": ABSENT},
        {"alg": ABSENT},
        {"alg": None, "use": None},
        {"key_ops": ["verify"]},
        {"x5t": "AAAA"},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_key_that_is_listed_twice_is_one_key(algorithm: str, again: dict[str, Any]) -> None:
    """The same key again, described alike or differently, is one key (panva/jose #392, authlib #785)."""
    provider = Provider(algorithm)
    provider.published = [*provider.published, jwk(provider.key, algorithm, **{"kid": "key-1", **again})]
    for published in (provider.published, provider.published[::-1]):
        provider.published = published
        for header in (provider.header, {"alg": algorithm}):
            assert not provider.refuses(provider.signed(header=header))
    assert provider.newer_reads == 0


def test_empty_set_is_read_again(provider: Provider) -> None:
    """A set without any key is one that does not know the `kid`."""
    provider.newer, provider.published = provider.published, []
    assert not provider.refuses(provider.signed())


def test_unknown_key_is_read_once(provider: Provider) -> None:
    """A `kid` that no set knows is refused after one more read, and not taken for the only key there is."""
    assert provider.refuses(provider.signed(header={**provider.header, "kid": "key-2"}))
    assert (provider.reads, provider.newer_reads) == (1, 1)


def test_removed_key_is_refused(provider: Provider) -> None:
    """A key that the provider has withdrawn from the set verifies nothing any more."""
    id_token = provider.signed()
    provider.published = [jwk(private_key("ES256", 1), "ES256", kid="key-2")]
    assert provider.refuses(id_token)


def test_two_keys_of_one_id_are_told_apart_by_algorithm() -> None:
    """Of two keys with one `kid` the one for the token's algorithm is meant."""
    provider, other = Provider("ES256"), Provider("RS256")
    provider.published = [*other.published, *provider.published]
    other.published = provider.published
    assert not provider.refuses(provider.signed())
    assert not other.refuses(other.signed())


def test_mislabelled_keys_are_passed_over() -> None:
    """A key that says to be for what its type cannot do does not hide the good one of its `kid`."""
    provider = Provider("ES384")
    provider.published = [jwk(private_key("ES256"), "ES384", kid="key-1"), *provider.published]
    assert not provider.refuses(provider.signed())


@pytest.mark.parametrize("first", [True, False])
def test_two_keys_of_one_id_and_algorithm_are_none(provider: Provider, first: bool) -> None:  # noqa: FBT001
    """Where `kid` and algorithm fit two keys, neither is tried."""
    other = jwk(private_key("ES256", 1), "ES256", kid="key-1")
    provider.published = [*provider.published, other] if first else [other, *provider.published]
    assert provider.refuses(provider.signed())
    assert provider.newer_reads == 1


UNUSABLE: dict[str, Any] = {
    "not an object": "key",
    "null": None,
    "a list": ["kid"],
    "empty": {},
    "a symmetric key": {"kty": "oct", "kid": "key-1", "k": "c2VjcmV0"},
    "a symmetric key for ours": {"kty": "oct", "kid": "key-1", "k": "c2VjcmV0", "alg": "ES256", "crv": "P-256"},
    "unknown type": {"kty": "AKP", "kid": "key-1", "alg": "ML-DSA-44", "pub": "AAAA"},
    "type that is no string": {"kty": ["EC"], "kid": "key-1", "crv": "P-256"},
    "no curve": {"kty": "EC", "kid": "key-1", "x": "AAAA", "y": "AAAA"},
    "curve that is no string": {"kty": "EC", "kid": "key-1", "crv": ["P-256"], "x": "AAAA", "y": "AAAA"},
    "unknown curve": {"kty": "EC", "kid": "key-1", "crv": "BP-256", "x": "AAAA", "y": "AAAA"},
    "no coordinates": {"kty": "EC", "kid": "key-1", "crv": "P-256"},
    "coordinates that are no strings": {"kty": "EC", "kid": "key-1", "crv": "P-256", "x": 1, "y": None},
    "short coordinates": {"kty": "EC", "kid": "key-1", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
    "a point off the curve": {"kty": "EC", "kid": "key-1", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
    "coordinates of another alphabet": {"kty": "EC", "kid": "key-1", "crv": "P-256", "x": "é", "y": "é"},
    "key id that is no string": {"kty": "EC", "kid": 1, "crv": "P-256"},
}


@pytest.mark.parametrize("unusable", UNUSABLE)
@pytest.mark.parametrize("kid", ["key-1", ABSENT])
def test_unusable_keys_are_passed_over(provider: Provider, unusable: str, kid: object) -> None:
    """A broken or unknown entry neither fails nor hides the good key beside it, under the same `kid` too."""
    header = {name: value for name, value in {**provider.header, "kid": kid}.items() if value is not ABSENT}
    good = provider.published
    provider.published = [UNUSABLE[unusable], *good, UNUSABLE[unusable]]
    assert not provider.refuses(provider.signed(header=header))
    provider.published = [UNUSABLE[unusable]]
    assert provider.refuses(provider.signed(header=header))


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": ["sig"]},
        {"key_ops": ["encrypt", "wrapKey"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"alg": ""},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"alg": "ECDH-ES"},
        {"alg": ["ES256"]},
        {"d": "AAAA"},
        {"crv": "P-384"},
        {"kty": "RSA"},
        {"kid": "KEY-1"},
        {"kid": ["key-1"]},
    ],
)
def test_keys_for_something_else(provider: Provider, members: dict[str, Any]) -> None:
    """The signer's own key verifies nothing where it is said to be for something else, or is no secret."""
    provider.published = [jwk(provider.key, "ES256", **{"kid": "key-1", **members})]
    assert provider.refuses(provider.signed())


@pytest.mark.parametrize("members", [{"use": ABSENT}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}])
def test_keys_may_say_what_they_are_for(provider: Provider, members: dict[str, Any]) -> None:
    """`use` and `key_ops` are optional (RFC 7517 sections 4.2 and 4.3)."""
    provider.published = [jwk(provider.key, "ES256", **{"kid": "key-1", **members})]
    assert not provider.refuses(provider.signed())


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
@pytest.mark.parametrize("bits", [1024, 2040])
def test_short_rsa_keys_are_refused(algorithm: str, bits: int) -> None:
    """An RSA key of fewer than 2048 bits verifies nothing (RFC 7518 section 3.3), without a warning of the library."""
    provider = Provider(algorithm)
    provider.key = private_key(algorithm, 1, bits)
    provider.published = [jwk(provider.key, algorithm, kid="key-1")]
    assert provider.refuses(provider.signed())


@pytest.mark.parametrize("error", [Unavailable(debug="away"), ProviderError(debug="no set")])
def test_what_the_keys_raise_goes_through(provider: Provider, error: Unavailable) -> None:
    """A provider that is away is not a bad token: its source's own error arrives."""
    provider.fails = error
    with pytest.raises(type(error)) as raised:
        provider.verify(provider.signed())
    assert raised.value is error


# What a key is for ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["use", "key_ops", "alg", "d", "n", "x5c"])
def test_keys_member_that_is_null_is_absent(provider: Provider, member: str) -> None:
    """A JWK's member that is null is one that the provider left out, a private half's too."""
    provider.published = [jwk(provider.key, "ES256", **{"kid": "key-1", member: None})]
    assert not provider.refuses(provider.signed())


def test_key_id_that_is_null_is_absent(provider: Provider) -> None:
    """A key whose `kid` is null is meant by a token without `kid`, and by no token that has one."""
    provider.published = [jwk(provider.key, "ES256", kid=None)]
    assert provider.refuses(provider.signed())
    assert not provider.refuses(provider.signed(header={"alg": "ES256"}))
    assert not provider.refuses(provider.signed(header={"alg": "ES256", "kid": None}))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_key_without_algorithm_is_for_its_types_first(algorithm: str) -> None:
    """A JWK without `alg`, as Entra publishes them, is for RS256, its curve's algorithm or EdDSA."""
    provider = Provider(algorithm)
    provider.published = [
        jwk(provider.key, algorithm, kid="key-1", alg=ABSENT, x5t="key-1", x5c=["AAAA"], issuer=ISSUER)
    ]
    assert not provider.refuses(provider.signed())


@pytest.mark.parametrize("other", ["RS384", "RS512", "PS256", "PS384", "PS512"])
def test_key_without_algorithm_is_for_no_other(other: str) -> None:
    """The same RSA key under any other algorithm is refused: a token's header chooses nothing."""
    provider = Provider("RS256")
    provider.published = [jwk(provider.key, "RS256", kid="key-1", alg=ABSENT)]
    claims = provider.claims(at_hash=ABSENT)
    assert provider.refuses(provider.signed(claims, header={**provider.header, "alg": other}, algorithm=other))


@pytest.mark.parametrize("header", ["EdDSA", "Ed25519"])
@pytest.mark.parametrize("published", ["EdDSA", "Ed25519", None, ABSENT])
def test_new_name_of_eddsa(header: str, published: object) -> None:
    """`Ed25519` and `EdDSA` are one algorithm, in a token's header and in a JWK (RFC 9864 section 2.2).

    (pyjwt #1190, rauthy #1663.)
    """
    provider = Provider("EdDSA")
    provider.published = [jwk(provider.key, "EdDSA", kid="key-1", alg=published)]
    assert not provider.refuses(provider.signed(header={**provider.header, "alg": header}))
    assert provider.refuses(provider.signed(header={**provider.header, "alg": header}), access_token="another")


@pytest.mark.parametrize("header", ["EdDSA", "Ed25519", "Ed448"])
@pytest.mark.parametrize("published", ["EdDSA", "Ed25519", "Ed448", ABSENT])
def test_ed448_is_refused(header: str, published: object) -> None:
    """A key of the other Edwards curve verifies nothing, whichever name it or the token has."""
    provider = Provider("EdDSA")
    key = ed448.Ed448PrivateKey.generate()
    provider.published = [jwk(key, "EdDSA", kid="key-1", alg=published)]
    assert provider.refuses(provider.signed(header={**provider.header, "alg": header}, key=key))
