"""ID tokens: which are taken, and which claim, key or header each of the others is refused for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.errors import InvalidCode, ProviderError
from tests.unit.identity_provider import ABSENT, ACCESS_TOKEN, ALGORITHMS, CLIENT_ID, ISSUER, Provider, at_hash
from tests.world.clock import START
from tests.world.constants import NONCE

NO_STRINGS: list[Any] = [True, False, 0, 1, 1.5, [], {}]


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
        {"name": "Zoë \N{FACE WITH TEARS OF JOY}", "roles": ["x", None], "address": {"country": None}},
    ],
)
def test_other_honest_claims(provider: Provider, changes: dict[str, Any]) -> None:
    """What providers may say differently, and claims that are not known, are taken as they are."""
    assert provider.verify(provider.signed(provider.claims(**changes))) == provider.claims(**changes)


@pytest.mark.parametrize("claim", ["azp", "at_hash", "nbf", "email_verified", "hd"])
def test_claim_that_is_null_is_absent(provider: Provider, claim: str) -> None:
    """An optional claim that is null is one that the provider left out."""
    verified = provider.verify(provider.signed(provider.claims(**{claim: None})))
    assert verified == provider.claims(**{claim: ABSENT})


@pytest.mark.parametrize("member", ["kid", "typ", "crit", "x5t", "b64"])
def test_header_member_that_is_null_is_absent(provider: Provider, member: str) -> None:
    """A header's member that is null is one that the provider left out: without `kid` the one key is meant."""
    assert not provider.refuses(provider.signed(header={**provider.header, member: None}))


@pytest.mark.parametrize("typ", [ABSENT, "JWT", "jwt", "Jwt"])
def test_type_may_be_left_out(provider: Provider, typ: object) -> None:
    """`typ` is optional and knows no case (RFC 7515 section 4.1.9, RFC 7519 section 5.1)."""
    header = {name: value for name, value in {**provider.header, "typ": typ}.items() if value is not ABSENT}
    assert not provider.refuses(provider.signed(header=header))


# Claims ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp"])
@pytest.mark.parametrize("missing", [ABSENT, None])
def test_required_claims(provider: Provider, claim: str, missing: object) -> None:
    """A token without one of them, or with null in its place, is refused (OpenID Connect Core section 2)."""
    assert provider.refuses(provider.signed(provider.claims(**{claim: missing})))


@pytest.mark.parametrize("value", NO_STRINGS)
@pytest.mark.parametrize("claim", ["iss", "aud", "azp", "sub", "at_hash"])
def test_strings_are_strings(provider: Provider, claim: str, value: object) -> None:
    """Numbers, lists and objects are never taken for a string, optional claims' included."""
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
        # Non-integer values can be represented (RFC 7519 section 2).
        ({"iat": START + 0.25, "exp": START + 300.75}, True),
        ({"iat": START - 0.123456, "exp": START + 3600}, True),
        ({"exp": START - 59.5}, True),
        ({"exp": START - 60.5}, False),
        ({"iat": START + 59.5}, True),
        ({"iat": START + 60.5}, False),
        ({"iat": START - 659.5}, True),
        ({"iat": START - 660.5}, False),
        ({"nbf": START + 59.5}, True),
        ({"nbf": START + 60.5}, False),
        ({"nbf": 0.5}, True),
    ],
)
def test_times_and_their_leeway(provider: Provider, claims: dict[str, float], taken: bool) -> None:  # noqa: FBT001
    """A minute's leeway for clocks, ten minutes and that for a login; each to the second, and to its fraction."""
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
    *("true", "false", '""', f'"{START}"', "[]", f"[{START}]", "{}"),
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "1" + "0" * 400, "9" * 5000, str(2**53 + 1)),
    *("-1", "-0.5", f"{-START}", f"{-START}.5"),
)


@pytest.mark.parametrize("text", NO_MOMENTS)
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_times_are_numbers(provider: Provider, claim: str, text: str) -> None:
    """Strings, booleans, NaN, infinities and numbers without end are no time, and break nothing."""
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
    "nonce", [*NO_STRINGS, None, ABSENT, "", NONCE + "x", NONCE[:-1], NONCE.upper(), "é", "\ud800", [NONCE]]
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
