"""ID tokens: which are taken, and which claim, key or header each of the others is refused for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.errors import InvalidCode, ProviderError, Unavailable
from tests.fakes import START
from tests.unit.identity_provider import (
    ABSENT,
    ACCESS_TOKEN,
    ALGORITHMS,
    CLIENT_ID,
    ISSUER,
    NONCE,
    Provider,
    at_hash,
    jwk,
    private_key,
)

NO_STRINGS: list[Any] = [None, True, False, 0, 1, 1.5, [], {}]


@pytest.fixture
def provider() -> Provider:
    """Over ES256, which signs fastest."""
    return Provider()


# What is taken --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_genuine_token_gives_its_claims(algorithm: str) -> None:
    """Under each algorithm a genuine token is taken, with all its claims, by one read of the keys."""
    provider = Provider(algorithm)
    assert provider.verify(provider.signed()) == provider.claims()
    assert (provider.reads, provider.newer_reads) == (1, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "accounts.example.com"},
        {"aud": [CLIENT_ID]},
        {"azp": ABSENT},
        {"at_hash": ABSENT},
        {"sub": "s" * 255},
        {"sub": "a|b c~!"},
        {"iat": float(START), "exp": START + 3600.0},
        {"nbf": START + 60},
        {"name": "Zoë \N{FACE WITH TEARS OF JOY}", "hd": None, "roles": ["x"], "address": {"country": "NL"}},
    ],
)
def test_other_honest_claims(provider: Provider, changes: dict[str, Any]) -> None:
    """What providers may say differently, and claims that are not known, are taken as they are."""
    assert provider.verify(provider.signed(provider.claims(**changes))) == provider.claims(**changes)


@pytest.mark.parametrize("typ", [ABSENT, "JWT", "jwt", "Jwt"])
def test_type_may_be_left_out(provider: Provider, typ: object) -> None:
    """`typ` is optional and knows no case (RFC 7515 section 4.1.9, RFC 7519 section 5.1)."""
    header = {name: value for name, value in {**provider.header, "typ": typ}.items() if value is not ABSENT}
    assert not provider.refuses(provider.signed(header=header))


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


# Keys -----------------------------------------------------------------------------------------------------------------


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
        {"use": None},
        {"use": ["sig"]},
        {"key_ops": ["encrypt", "wrapKey"]},
        {"key_ops": []},
        {"key_ops": None},
        {"key_ops": "verify"},
        {"alg": None},
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


# Claims ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp"])
def test_required_claims(provider: Provider, claim: str) -> None:
    """A token without one of them is refused (OpenID Connect Core section 2)."""
    assert provider.refuses(provider.signed(provider.claims(**{claim: ABSENT})))


@pytest.mark.parametrize("value", NO_STRINGS)
@pytest.mark.parametrize("claim", ["iss", "aud", "azp", "sub", "at_hash"])
def test_strings_are_strings(provider: Provider, claim: str, value: object) -> None:
    """null, numbers, lists and objects are never taken for a string, optional claims' included."""
    assert provider.refuses(provider.signed(provider.claims(**{claim: value})))


@pytest.mark.parametrize(
    "iss",
    [
        "",
        ISSUER + "/",
        ISSUER + ".evil.example",
        ISSUER[:-1],
        "https://accounts.example.co",
        "http://accounts.example.com",
        "HTTPS://accounts.example.com",
        "https://Accounts.example.com",
        ISSUER + "\x00",
        " " + ISSUER,
        ISSUER + ",accounts.example.com",
        "https://evil.example/?" + ISSUER,
        [ISSUER],
        {ISSUER: ISSUER},
    ],
)
def test_issuer_is_one_of_the_configured(provider: Provider, iss: object) -> None:
    """No part, prefix or other spelling of an issuer is it (CVE-2026-31813, GHSA-75c5-xw7c-p5pm)."""
    assert provider.refuses(provider.signed(provider.claims(iss=iss)))


@pytest.mark.parametrize(
    "aud",
    [
        "",
        "client-2.apps.example.com",
        CLIENT_ID[:-1],
        CLIENT_ID + "x",
        CLIENT_ID.upper(),
        [],
        [[CLIENT_ID]],
        ["client-2.apps.example.com"],
        [CLIENT_ID, "client-2.apps.example.com"],
        ["client-2.apps.example.com", CLIENT_ID],
        [CLIENT_ID, CLIENT_ID],
        [CLIENT_ID, None],
        {CLIENT_ID: CLIENT_ID},
        f"{CLIENT_ID} client-2.apps.example.com",
    ],
)
def test_audience_is_this_client_alone(provider: Provider, aud: object) -> None:
    """Another audience, or one beside this client, is refused (OpenID Connect Core section 3.1.3.7, item 3)."""
    assert provider.refuses(provider.signed(provider.claims(aud=aud)))


@pytest.mark.parametrize("azp", ["", "client-2.apps.example.com", CLIENT_ID + "x", [CLIENT_ID]])
def test_authorized_party_is_this_client(provider: Provider, azp: object) -> None:
    """A token that was issued to another client is refused (items 4 and 5)."""
    assert provider.refuses(provider.signed(provider.claims(azp=azp)))


@pytest.mark.parametrize(
    ("claims", "taken"),
    [
        ({"exp": START - 59}, True),
        ({"exp": START - 60}, False),
        ({"exp": START - 61}, False),
        ({"exp": 0}, False),
        ({"iat": START + 60}, True),
        ({"iat": START + 61}, False),
        ({"iat": START - 660}, True),
        ({"iat": START - 661}, False),
        ({"iat": 0}, False),
        ({"nbf": START + 60}, True),
        ({"nbf": START + 61}, False),
        ({"nbf": 0}, True),
        ({"iat": START + 61, "nbf": START}, False),
        ({"exp": START + 100_000_000}, True),
        ({"exp": 2**53}, True),
    ],
)
def test_times_and_their_leeway(provider: Provider, claims: dict[str, int], taken: bool) -> None:  # noqa: FBT001
    """A minute's leeway for clocks, ten minutes and that for a login; each to the second."""
    assert provider.refuses(provider.signed(provider.claims(**claims))) is not taken


def test_time_is_the_callers(provider: Provider) -> None:
    """The moment that counts is the one that is passed in: the system's clock is never read."""
    for now in (1000, START, 40_000_000_000):
        id_token = provider.signed(provider.claims(iat=now, exp=now + 300))
        assert not provider.refuses(id_token, now=now)
        assert provider.refuses(id_token, now=now + 360)
        assert provider.refuses(id_token, now=now - 61)


# As JSON text: some of them no serialiser makes.
NO_MOMENTS = (
    *("null", "true", "false", '""', f'"{START}"', "[]", f"[{START}]", "{}"),
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "1" + "0" * 400, "9" * 5000, str(2**53 + 1)),
    *(f"{START}.5", "-1", "-0.5", "0.5", f"{-START}"),
)


@pytest.mark.parametrize("text", NO_MOMENTS)
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_times_are_whole_seconds(provider: Provider, claim: str, text: str) -> None:
    """Strings, booleans, fractions, NaN, infinities and numbers without end are no time, and break nothing."""
    members = json.dumps(provider.claims(**{claim: ABSENT}))
    assert provider.refuses(provider.signed(f'{members[:-1]}, "{claim}": {text}}}'.encode()))


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e400", "-1e400"])
def test_no_claim_is_an_endless_number(provider: Provider, text: str) -> None:
    """Claims that others read afterwards, `auth_time` for one, are numbers that they can reckon with."""
    members = json.dumps(provider.claims())
    assert provider.refuses(provider.signed(f'{members[:-1]}, "auth_time": {text}}}'.encode()))
    assert provider.refuses(provider.signed(f'{members[:-1]}, "more": [{{"deep": {text}}}]}}'.encode()))


@pytest.mark.parametrize(
    "sub",
    [
        "",
        "s" * 256,
        "s" * 8000,
        "1\n",
        "\n",
        "1\x00",
        "1\x7f",
        "\t1",
        "é",
        "\N{CYRILLIC SMALL LETTER A}",
        "\ud800",
        "1\u200b",
        110169484474386276334,
    ],
)
def test_subject_is_a_short_printable_string(provider: Provider, sub: object) -> None:
    """`sub` is 1 to 255 printable ASCII characters (OpenID Connect Core section 2): accounts are found by it."""
    assert provider.refuses(provider.signed(provider.claims(sub=sub)))


@pytest.mark.parametrize(
    "nonce", [*NO_STRINGS, ABSENT, "", NONCE + "x", NONCE[:-1], NONCE.upper(), "é", "\ud800", [NONCE]]
)
def test_another_nonce_is_another_logins_code(provider: Provider, nonce: object) -> None:
    """A nonce that is another, missing or no string is InvalidCode (OpenID Connect Core section 3.1.3.7, item 11)."""
    assert provider.refusal(provider.signed(provider.claims(nonce=nonce))) is InvalidCode


def test_no_nonce_is_expected_of_nobody(provider: Provider) -> None:
    """A caller without a nonce is refused, also where the token has just as little of one."""
    for nonce in ("", ABSENT):
        assert provider.refusal(provider.signed(provider.claims(nonce=nonce)), nonce="") is InvalidCode


@pytest.mark.parametrize("expected", ["é", "\ud800", "n" * 5000])
def test_any_nonce_can_be_expected(provider: Provider, expected: str) -> None:
    """Whatever string a caller names as its nonce is compared, and breaks nothing."""
    assert provider.refusal(provider.signed(), nonce=expected) is InvalidCode
    assert not provider.refuses(provider.signed(provider.claims(nonce=expected)), nonce=expected)


@pytest.mark.parametrize("claims", [{"exp": START - 61}, {"aud": "client-2"}, {"at_hash": "AAAA"}])
def test_nonce_is_judged_last(provider: Provider, claims: dict[str, Any]) -> None:
    """InvalidCode says that all but the nonce is right: a token with more faults is the provider's."""
    assert provider.refuses(provider.signed(provider.claims(nonce="another", **claims)))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_access_token_is_the_one_it_was_made_with(algorithm: str) -> None:
    """`at_hash` is the left half of the algorithm's own hash of the access token; no other half, hash or token fits."""
    provider = Provider(algorithm)
    right = at_hash(ACCESS_TOKEN, algorithm)
    assert provider.refuses(provider.signed(), access_token="another")
    wrong = {at_hash(ACCESS_TOKEN, other) for other in ALGORITHMS} - {right}
    for claim in (*wrong, "", right[:-1], right + "A", right + "=", at_hash("another", algorithm)):
        assert provider.refuses(provider.signed(provider.claims(at_hash=claim)))


def test_access_token_hash_without_access_token(provider: Provider) -> None:
    """An `at_hash` where no access token came is refused, the empty string's own hash too."""
    assert provider.refuses(provider.signed(), access_token="")
    assert provider.refuses(provider.signed(provider.claims(at_hash=at_hash("", "ES256"))), access_token="")
    assert not provider.refuses(provider.signed(provider.claims(at_hash=ABSENT)), access_token="")


def test_access_token_of_any_alphabet(provider: Provider) -> None:
    """An access token that no provider should issue is a refusal, not a failure."""
    assert provider.refuses(provider.signed(), access_token="\ud800é")


# The log --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ["iss", "aud", "azp", "sub", "at_hash", "nonce", "exp", "iat"])
def test_refusals_tell_nothing_of_the_token(provider: Provider, claim: str) -> None:
    """What goes into the log names the fault and holds nothing that was signed (ASVS V16.2.5)."""
    with pytest.raises((ProviderError, InvalidCode)) as raised:
        provider.verify(provider.signed(provider.claims(**{claim: "marker\n"})))
    assert raised.value.debug.startswith("ID token: ")
    assert "marker" not in raised.value.debug
    assert raised.value.detail is None
