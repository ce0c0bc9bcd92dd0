"""Access tokens: what ours are, claim by claim (ASVS V9.2)."""

from __future__ import annotations

from dataclasses import replace

import jwt
import pytest

from chalicelib.crypto.access_tokens import FUTURE_LEEWAY
from chalicelib.errors import InvalidToken
from tests.fakes import START
from tests.unit.signing import ALGORITHMS, AUDIENCE, CLAIMS, ISSUER, Party

REQUIRED = (
    *("iss", "sub", "aud", "client_id", "exp", "iat", "jti", "sid", "ver"),
    *("auth_time", "amr", "roles", "scope", "email_verified"),
)


@pytest.fixture
def party() -> Party:
    """Over ES256, which signs fastest."""
    return Party()


def test_harness_signs_what_is_accepted(party: Party) -> None:
    """What the tests below sign is refused for what they change, not for how they sign."""
    assert party.codec.verify(party.signed(party.header, party.payload()), START) == CLAIMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_round_trip(algorithm: str) -> None:
    """What was issued is what is verified, under each algorithm."""
    party = Party(algorithm)
    party.codec.prepare()
    assert party.codec.verify(party.codec.issue(CLAIMS), START) == CLAIMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_form_is_rfc_9068s(algorithm: str) -> None:
    """Header and claims are exactly those documented, and anybody can verify them with the published JWK alone."""
    party = Party(algorithm)
    access_token = party.codec.issue(CLAIMS)
    assert jwt.get_unverified_header(access_token) == {"alg": algorithm, "typ": "at+jwt", "kid": party.kid}
    claims = jwt.decode(
        access_token,
        jwt.PyJWK.from_dict(party.jwk),
        algorithms=[algorithm],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == {
        "iss": ISSUER,
        "sub": CLAIMS.sub,
        "aud": AUDIENCE,
        "client_id": AUDIENCE,
        "exp": START + 900,
        "iat": START,
        "jti": CLAIMS.jti,
        "sid": CLAIMS.sid,
        "ver": 3,
        "auth_time": START - 100,
        "amr": ["pwd"],
        "roles": ["user", "admin"],
        "scope": "orders:read orders:write",
        "email_verified": True,
    }


def test_length_leaves_room() -> None:
    """A usual token under RS256 stays far below the longest that is read."""
    assert len(Party("RS256").codec.issue(CLAIMS)) < 1400


# Claims ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REQUIRED)
def test_no_claim_may_be_missing(party: Party, name: str) -> None:
    """PyJWT alone takes a token without `exp`, `sub` or `jti`; here each claim must be there."""
    payload = party.payload()
    del payload[name]
    assert party.refuses(party.signed(party.header, payload))


@pytest.mark.parametrize("name", [name for name in REQUIRED if name not in {"scope", "email_verified"}])
def test_no_claim_may_be_null(party: Party, name: str) -> None:
    """`null` is not a value that a check passes over (CVE-2026-34574)."""
    assert party.refuses(party.signed(party.header, party.payload(**{name: None})))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("exp", "soon"),
        ("exp", {}),
        ("exp", [START + 900]),
        ("exp", float("inf")),
        ("exp", float("nan")),
        ("iat", "now"),
        ("nbf", "later"),
        ("ver", "first"),
        ("sub", 5),
        ("sub", ["a"]),
        ("jti", 5),
        ("amr", 5),
        ("roles", True),
        ("auth_time", []),
    ],
)
def test_claims_of_a_wrong_type_are_refused(party: Party, name: str, wrong: object) -> None:
    """No type in a claim is a failure of the server's."""
    assert party.refuses(party.signed(party.header, party.payload(**{name: wrong})))


@pytest.mark.parametrize("truthy", ["true", 1, "yes", [1], None])
def test_only_true_is_a_verified_address(party: Party, truthy: object) -> None:
    """`email_verified` is true by the JSON value `true` alone (CVE-2026-34574)."""
    access_token = party.signed(party.header, party.payload(email_verified=truthy))
    assert party.codec.verify(access_token, START) == replace(CLAIMS, email_verified=False)


@pytest.mark.parametrize(
    "audience",
    [
        "https://other.example.com",
        "https://api.example.com/",
        "https://api.example.com.evil.test",
        "https://api.example",
        "HTTPS://API.EXAMPLE.COM",
        "https://api.example.com https://other.example.com",
        "",
        "*",
        [],
        [AUDIENCE],
        [AUDIENCE, "https://other.example.com"],
        {AUDIENCE: True},
        0,
        True,
    ],
)
def test_audience_is_one_exact_string(party: Party, audience: object) -> None:
    """Another service's token is refused, also by prefix, and a list is too (ASVS V9.2.3)."""
    assert party.refuses(party.signed(party.header, party.payload(aud=audience)))


@pytest.mark.parametrize(
    "issuer",
    [
        "https://auth.example.com",
        "https://auth.example.com/",
        "https://auth.example.com/pro",
        "https://auth.example.com/prod/",
        "https://auth.example.com/production",
        "h",
        "",
        "https://auth.example.com/dev",
        "HTTPS://auth.example.com/prod",
        [ISSUER],
        {ISSUER: 1},
        0,
    ],
)
def test_issuer_is_compared_whole(party: Party, issuer: object) -> None:
    """A part of our issuer is not our issuer (CVE-2024-53861, GHSA-75c5-xw7c-p5pm)."""
    assert party.refuses(party.signed(party.header, party.payload(iss=issuer)))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "logout+jwt", "id+jwt", "dpop+jwt", "at+jwt ", "", None, 1, ["at+jwt"]])
def test_other_types_are_not_access_tokens(party: Party, kind: object) -> None:
    """What the same key signs for another purpose is no access token (RFC 9068 section 4, ASVS V9.2.2)."""
    assert party.refuses(party.signed({**party.header, "typ": kind}, party.payload()))


def test_id_token_is_not_an_access_token(party: Party) -> None:
    """An ID token of the same issuer, for the same client, opens nothing (ASVS V9.2.2, RFC 9068 section 5)."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": CLAIMS.sub, "iat": START, "exp": START + 900, "nonce": "n"}
    assert party.refuses(party.signed({**party.header, "typ": "JWT"}, claims))
    assert party.refuses(party.signed(party.header, claims))


# Time -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "accepted"), [(0, True), (899, True), (900, False), (901, False), (10**6, False)])
def test_expiry_is_exact(party: Party, age: int, accepted: bool) -> None:  # noqa: FBT001  # a column of the table above
    """A token lives before `exp` and not at it (RFC 7519 section 4.1.4, ASVS V9.2.1)."""
    assert party.refuses(party.codec.issue(CLAIMS), START + age) is not accepted


def test_expired_token_still_names_its_session(party: Party) -> None:
    """Logout reads an expired token, and every other check holds for it too."""
    old = START + 10**6
    assert party.codec.verify(party.codec.issue(CLAIMS), old, accept_expired=True) == CLAIMS
    forged = party.signed(party.header, party.payload(aud="https://other.example.com"))
    with pytest.raises(InvalidToken):
        party.codec.verify(forged, old, accept_expired=True)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize(("ahead", "accepted"), [(0, True), (FUTURE_LEEWAY, True), (FUTURE_LEEWAY + 1, False)])
def test_future_begins_after_the_leeway(
    party: Party,
    claim: str,
    ahead: int,
    accepted: bool,  # noqa: FBT001  # a column of the table above
) -> None:
    """A container whose clock is a minute ahead is believed, and no more (ASVS V9.2.1)."""
    access_token = party.signed(party.header, party.payload(**{claim: START + ahead}))
    assert party.refuses(access_token) is not accepted
