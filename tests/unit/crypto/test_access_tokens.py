"""Access tokens: what ours are, claim by claim (ASVS V9.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import pytest

from chalicelib.crypto.access_tokens import FUTURE_LEEWAY
from chalicelib.domain.access_tokens import LARGEST_NUMBER, MAX_KEY_ID, MAX_LENGTH, longest
from chalicelib.errors import ConfigurationError, InvalidToken
from tests.unit.signing import ALGORITHMS, AUDIENCE, CLAIMS, ISSUER, Party
from tests.world.clock import START

if TYPE_CHECKING:
    from chalicelib.domain.access_tokens import AccessTokenClaims

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


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_longest_token_is_known_before_it_is_signed(algorithm: str) -> None:
    """The length that settings are checked against is reached by no token, and missed by few characters."""
    party = Party(algorithm)
    roles, scope = ("user", "ad\u00efn", 'ro"le'), " ".join(f"resource-{number}:read" for number in range(40))
    number = LARGEST_NUMBER
    claims = CLAIMS._replace(ver=number, iat=number, exp=number, auth_time=number, amr=("a" * 16, "a" * 13))
    claims = claims._replace(roles=roles, scope=scope, email_verified=False)
    real = len(party.codec.issue(claims)) + (0 if algorithm == "RS256" else (512 - 86))
    real += (MAX_KEY_ID - len(party.kid)) * 4 // 3
    reckoned = longest(issuer=ISSUER, audience=AUDIENCE, roles=roles, scope=scope)
    assert real <= reckoned <= real + 4


def test_token_that_would_be_refused_is_not_signed(party: Party) -> None:
    """An account whose roles make its token too long is told to the operator, with the remedy."""
    roles = tuple(f"role-{number}" for number in range(1000))
    fitting = next(n for n in range(1000, 0, -1) if not refuses_to_sign(party, CLAIMS._replace(roles=roles[:n])))
    most = CLAIMS._replace(roles=roles[:fitting])
    assert party.codec.verify(party.codec.issue(most), START) == most
    assert len(party.codec.issue(most)) > MAX_LENGTH - 20
    message = refuses_to_sign(party, CLAIMS._replace(roles=roles[: fitting + 1]))
    assert CLAIMS.sub in message
    assert "fewer roles" in message


@pytest.mark.parametrize("role", ["store manager", "a\tb", "", "\u00a0", "a\u2003b", "\ud800", "a\x00"])
def test_role_that_guarded_functions_could_misread_is_not_signed(party: Party, role: str) -> None:
    """Guarded functions get roles between blanks: a name with a blank would be two roles (`not admin`)."""
    assert "rename the role" in refuses_to_sign(party, CLAIMS._replace(roles=("user", role)))


def refuses_to_sign(party: Party, claims: AccessTokenClaims) -> str:
    """What the operator is told where the codec refuses to sign the claims; empty where it signs them."""
    try:
        party.codec.issue(claims)
    except ConfigurationError as error:
        return error.debug
    return ""


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


@pytest.mark.parametrize("name", REQUIRED)
def test_no_claim_may_be_null(party: Party, name: str) -> None:
    """`null` is not a value that a check passes over (CVE-2026-34574)."""
    assert party.refuses(party.signed(party.header, party.payload(**{name: None})))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("exp", "soon"),
        ("exp", str(START + 900)),
        ("exp", START + 900.0),
        ("exp", -1),
        ("exp", 2**53 + 1),
        ("iat", float(START)),
        ("iat", True),
        ("ver", "3"),
        ("ver", True),
        ("ver", 3.0),
        ("ver", -1),
        ("auth_time", str(START)),
        ("nbf", str(START)),
        ("nbf", float(START)),
        ("nbf", False),
        ("nbf", None),
        ("sub", ""),
        ("sub", "\ud800"),
        ("sid", "\x00"),
        ("scope", 5),
        ("scope", ["orders:read"]),
        ("scope", "\udfff"),
        ("client_id", [AUDIENCE]),
        ("client_id", "https://other.example.com"),
        ("amr", "pwd"),
        ("amr", ["pwd", 5]),
        ("amr", {"pwd": True}),
        ("roles", "admin"),
        ("roles", [["admin"]]),
        ("roles", ["user admin"]),
        ("roles", ["user", ""]),
        ("roles", ["\ud800"]),
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
    """Each claim has exactly the type that we write; no other type is read, and none breaks the verifier."""
    assert party.refuses(party.signed(party.header, party.payload(**{name: wrong})))


def test_additional_claims_are_ignored(party: Party) -> None:
    """While functions are deployed, a newer version may sign claims that this version does not know."""
    assert party.codec.verify(party.signed(party.header, party.payload(acr="2", act={"sub": [1.5]})), START) == CLAIMS


@pytest.mark.parametrize("truthy", ["true", "false", 1, 0, "yes", [1], None])
def test_only_a_boolean_says_whether_an_address_is_verified(party: Party, truthy: object) -> None:
    """`email_verified` is the JSON value `true` or `false`; a token with any other is refused (CVE-2026-34574)."""
    assert party.refuses(party.signed(party.header, party.payload(email_verified=truthy)))
    unverified = party.signed(party.header, party.payload(email_verified=False))
    assert party.codec.verify(unverified, START) == CLAIMS._replace(email_verified=False)


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


@pytest.mark.parametrize(("name", "wrong"), [("exp", str(START)), ("sub", 5), ("roles", "admin"), ("ver", True)])
def test_expired_token_is_read_as_strictly(party: Party, name: str, wrong: object) -> None:
    """Logout takes an expired token and no malformed token."""
    forged = party.signed(party.header, party.payload(**{name: wrong}))
    with pytest.raises(InvalidToken):
        party.codec.verify(forged, START + 10**6, accept_expired=True)
    with pytest.raises(InvalidToken):
        party.codec.verify(party.codec.issue(CLAIMS) + "==", START + 10**6, accept_expired=True)


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
