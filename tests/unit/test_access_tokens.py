"""Access tokens: what ours are, and that nothing else is one (ASVS V9)."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, get_default_algorithms

from chalicelib.crypto.access_tokens import FUTURE_LEEWAY, JwtAccessTokenCodec
from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.keyring import KeyRing
from chalicelib.domain.records import AccessTokenClaims
from chalicelib.errors import InvalidToken
from tests.fakes import PREFIX, START, FrozenClock, MemoryParameters, parameters_with_keys

if TYPE_CHECKING:
    from collections.abc import Callable

ISSUER = "https://auth.example.com/prod"
AUDIENCE = "https://api.example.com"
ALGORITHMS = ("RS256", "ES256", "EdDSA")
CLAIMS = AccessTokenClaims(
    sub="AAAAAAAAAAAAAAAAAAAAAA",
    sid="BBBBBBBBBBBBBBBBBBBBBB",
    jti="CCCCCCCCCCCCCCCCCCCCCC",
    ver=3,
    iat=START,
    exp=START + 900,
    auth_time=START - 100,
    amr=("pwd",),
    roles=("user", "admin"),
    scope="orders:read orders:write",
    email_verified=True,
)
REQUIRED = (
    *("iss", "sub", "aud", "client_id", "exp", "iat", "jti", "sid", "ver"),
    *("auth_time", "amr", "roles", "scope", "email_verified"),
)


class Party:
    """The codec over its keys, and what somebody with the private key could make of them."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm = algorithm
        self.clock = FrozenClock()
        self.parameters: MemoryParameters = parameters_with_keys(algorithm)
        keyring = KeyRing(self.parameters, PREFIX, self.clock, with_secrets=False)
        self.codec = JwtAccessTokenCodec(keyring, issuer=ISSUER, audience=AUDIENCE)
        self.jwk: dict[str, Any] = json.loads(self.parameters.values[f"{PREFIX}/public"])["keys"][0]
        self.kid: str = self.jwk["kid"]
        self.header = {"alg": algorithm, "typ": "at+jwt", "kid": self.kid}

    @property
    def private_key(self) -> Any:
        """The private half of the published key."""
        return load_pem_private_key(self.parameters.values[f"{PREFIX}/signing/{self.kid}"].encode(), password=None)

    @property
    def public_pem(self) -> bytes:
        """The public key as everybody can have it."""
        return cast(
            "bytes", self.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )

    def payload(self, **changes: Any) -> dict[str, Any]:
        """A genuine token's payload, with changes."""
        genuine = json.loads(from_b64url(self.codec.issue(CLAIMS).split(".")[1]))
        return {**genuine, **changes}

    def signed(self, header: object, payload: object, *, algorithm: str | None = None, key: Any = None) -> str:
        """A token with a good signature of our own key over whatever is given, as JSON or as bytes."""
        parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
        signing_input = ".".join(b64url(part) for part in parts)
        signer = get_default_algorithms()[algorithm or self.algorithm]
        signature = signer.sign(signing_input.encode(), key or self.private_key)
        return f"{signing_input}.{b64url(signature)}"

    def refuses(self, access_token: str, now: int = START) -> bool:
        """Whether the token is answered with InvalidToken, and with nothing else."""
        try:
            self.codec.verify(access_token, now)
        except InvalidToken:
            return True
        return False


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


# Algorithms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_unsigned_is_refused(party: Party, name: str | None, signature: str) -> None:
    """`alg: none`, however it is spelled, is no signature (CVE-2015-9235, ASVS V9.1.2)."""
    header = b64url(json.dumps({**party.header, "alg": name}).encode())
    payload = b64url(json.dumps(party.payload()).encode())
    assert party.refuses(f"{header}.{payload}.{signature}")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("family", ["HS256", "HS384", "HS512"])
def test_public_key_is_no_secret(algorithm: str, family: str) -> None:
    """An HMAC keyed with the public key, as PEM, JWK or raw, is refused (CVE-2022-29217, CVE-2026-48523)."""
    party = Party(algorithm)
    secrets = [
        party.public_pem,
        party.public_pem.strip(),
        json.dumps(party.jwk).encode(),
        json.dumps(party.jwk, separators=(",", ":")).encode(),
        b"",
    ]
    header = b64url(json.dumps({**party.header, "alg": family}).encode())
    payload = b64url(json.dumps(party.payload()).encode())
    for secret in secrets:
        mac = hmac.digest(secret, f"{header}.{payload}".encode(), "sha" + family[2:])
        assert party.refuses(f"{header}.{payload}.{b64url(mac)}")


@pytest.mark.parametrize(
    ("ours", "other"), [("RS256", "RS384"), ("RS256", "RS512"), ("RS256", "PS256"), ("RS256", "PS512")]
)
def test_one_algorithm_a_key(ours: str, other: str) -> None:
    """A good signature by our own key under another algorithm of its family is refused (CVE-2026-48523)."""
    party = Party(ours)
    assert party.refuses(party.signed({**party.header, "alg": other}, party.payload(), algorithm=other))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "named", ["RS256", "PS256", "ES256", "ES384", "ES256K", "EdDSA", "Ed25519", "es256", ["ES256"], 1]
)
def test_header_does_not_choose_the_algorithm(algorithm: str, named: object) -> None:
    """A header that names another algorithm than the key's is refused; the key decides (CVE-2022-29217)."""
    party = Party(algorithm)
    access_token = party.signed({**party.header, "alg": named}, party.payload())
    assert party.refuses(access_token) is (named != algorithm)


def test_strangers_key_under_our_kid(party: Party) -> None:
    """The `kid` names a key; it does not vouch for the signature."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert party.refuses(party.signed(party.header, party.payload(), key=stranger))


# Keys that the token brings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signer", ["stranger", "ours"])
@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "cty", "zip", "enc"])
def test_keys_are_never_read_from_the_header(party: Party, member: str, signer: str) -> None:
    """`jwk`, `jku`, `x5u`, `x5c` are not read: nothing but our three members is (CVE-2026-27962, CVE-2018-0114)."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    brought = {
        "jwk": ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True),
        "jku": "http://127.0.0.1:9/jwks.json",
        "x5u": "http://127.0.0.1:9/cert.pem",
        "x5c": ["AAAA"],
    }.get(member, "x")
    key = stranger if signer == "stranger" else None
    access_token = party.signed({**party.header, member: brought}, party.payload(), key=key)
    fetches = party.parameters.fetches
    assert party.refuses(access_token)
    assert party.parameters.fetches == fetches


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/dev/null",
        "..\\..\\nul",
        "' OR '1'='1",
        "x' UNION SELECT 'key' --",
        "| id",
        "",
        " ",
        "\x00",
        "unknown",
        "é",
        "k" * 2000,
        0,
        1,
        1.5,
        True,
        None,
        [],
        {},
        ["kid"],
    ],
)
def test_kid_is_compared_and_nothing_else(party: Party, kid: object) -> None:
    """Paths, SQL, numbers and unknown ids find no key (ASVS V9.1.3)."""
    assert party.refuses(party.signed({**party.header, "kid": kid}, party.payload()))


@pytest.mark.parametrize("member", ["alg", "kid", "typ"])
def test_header_has_all_its_members(party: Party, member: str) -> None:
    """A header without one of the three is not ours."""
    header = {name: value for name, value in party.header.items() if name != member}
    assert party.refuses(party.signed(header, party.payload()))


@pytest.mark.parametrize("crit", [["exp"], ["b64"], ["http://example.com/x"], [], None, "alg", ["alg", "kid", "typ"]])
def test_critical_extensions_are_refused(party: Party, crit: object) -> None:
    """`crit` asks for what we do not understand, and is never ignored (CVE-2026-32597, RFC 7515 section 4.1.11)."""
    assert party.refuses(party.signed({**party.header, "crit": crit}, party.payload()))


def test_unencoded_payload_is_refused(party: Party) -> None:
    """`b64: false` (RFC 7797) is refused, detached or not (CVE-2026-32597)."""
    header = {**party.header, "b64": False, "crit": ["b64"]}
    access_token = party.signed(header, party.payload())
    first, _, last = access_token.split(".")
    assert party.refuses(access_token)
    assert party.refuses(f"{first}..{last}")
    assert party.refuses(f"{first}.{json.dumps(party.payload())}.{last}")


@pytest.mark.parametrize(("first", "last"), [("none", "ES256"), ("ES256", "none"), ("HS256", "ES256")])
def test_doubled_header_members_hide_nothing(party: Party, first: str, last: str) -> None:
    """Whichever of two `alg` is read, a signature that is not the key's is refused (RFC 7515 section 4)."""
    header = f'{{"alg":"{first}","typ":"at+jwt","kid":"{party.kid}","alg":"{last}"}}'.encode()
    head, body = b64url(header), b64url(json.dumps(party.payload()).encode())
    mac = hmac.digest(party.public_pem, f"{head}.{body}".encode(), sha256)
    assert party.refuses(f"{head}.{body}.")
    assert party.refuses(f"{head}.{body}.{b64url(mac)}")


def test_random_kids_cause_one_read(party: Party) -> None:
    """A storm of unknown `kid`s reads the key set once a cooldown and loses no key (CVE-2026-48524)."""
    genuine = party.codec.issue(CLAIMS)
    party.clock.advance(30)
    before = party.parameters.fetches
    for number in range(500):
        head = b64url(json.dumps({**party.header, "kid": f"random-{number}"}).encode())
        assert party.refuses(f"{head}.{genuine.partition('.')[2]}")
    assert party.parameters.fetches == before + 1
    assert party.codec.verify(genuine, START) == CLAIMS


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


# Anything else --------------------------------------------------------------------------------------------------------

SHAPES: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "dots": lambda _: "..",
    "more dots": lambda _: "....",
    "two parts": lambda genuine: genuine.rpartition(".")[0],
    "no signature": lambda genuine: genuine.rpartition(".")[0] + ".",
    "four parts": lambda genuine: genuine + ".AAAA",
    "five parts, as JWE": lambda genuine: genuine + ".AAAA.AAAA",
    "JSON serialisation": lambda genuine: json.dumps(
        dict(zip(("protected", "payload", "signature"), genuine.split("."), strict=True))
    ),
    "blank before": lambda genuine: " " + genuine,
    "line after": lambda genuine: genuine + "\n",
    "NUL after": lambda genuine: genuine + "\x00",
    "non-ASCII": lambda genuine: genuine + "é",
    "full-width dots": lambda genuine: genuine.replace(".", "\uff0e"),
    "lone surrogate": lambda genuine: genuine + "\ud800",
    "with scheme": lambda genuine: "Bearer " + genuine,
    "10 kB": lambda genuine: genuine + "A" * 10_000,
    "5 MB": lambda genuine: genuine + "A" * 5_000_000,
    "10 kB of dots": lambda _: "." * 10_000,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_are_refused(party: Party, shape: str) -> None:
    """No string but the one that was issued is taken, and none breaks the verifier."""
    assert party.refuses(SHAPES[shape](party.codec.issue(CLAIMS)))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"ES256"',
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 2900,
        b'{"alg":' * 400 + b"1" + b"}" * 400,
        b'{"alg":NaN}',
        b'{"alg":1e999}',
        b"9" * 2900,
    ],
)
def test_headers_that_are_no_objects_are_refused(party: Party, header: bytes) -> None:
    """Nesting, NaN, endless numbers and bad UTF-8 in a header are a refusal, not a failure."""
    assert party.refuses(party.signed(header, party.payload()))


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"{", b"[" * 2500, b"\xff", b"9" * 2500])
def test_payloads_that_are_no_objects_are_refused(party: Party, payload: bytes) -> None:
    """The same of payloads, even under a good signature."""
    assert party.refuses(party.signed(party.header, payload))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_flipped_bit_is_refused(algorithm: str) -> None:
    """A token with any one bit changed is refused: header, claims and signature are covered (ASVS V9.1.1)."""
    party = Party(algorithm)
    parts = [from_b64url(part) for part in party.codec.issue(CLAIMS).split(".")]
    for which, part in enumerate(parts):
        for place in range(0, len(part), 7):
            changed = bytearray(part)
            changed[place] ^= 1 << place % 8
            flipped = [*parts[:which], bytes(changed), *parts[which + 1 :]]
            assert party.refuses(".".join(b64url(part) for part in flipped))


def test_other_spellings_of_the_signature_are_refused(party: Party) -> None:
    """Unused bits of the last character, padding and other alphabets make no second token (GHSA-hxm8-2xgr-2p9m)."""
    genuine = party.codec.issue(CLAIMS)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    neighbour = alphabet[alphabet.index(genuine[-1]) ^ 1]
    for other in (genuine[:-1] + neighbour, genuine[:-1] + "!" + genuine[-1], genuine.replace(".", "..", 1)):
        assert party.refuses(other)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(max_size=200), st.lists(st.binary(max_size=60).map(b64url), min_size=3, max_size=3).map(".".join))
)
def test_no_string_breaks_the_verifier(text: str) -> None:
    """Whatever comes is answered with InvalidToken."""
    assert Party().refuses(text)
