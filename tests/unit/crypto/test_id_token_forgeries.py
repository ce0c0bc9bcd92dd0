"""Strings that no provider of ours signed, however they are made, and that none breaks the verifier (ASVS V9.1)."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.id_tokens import MAX_LENGTH
from chalicelib.errors import InvalidCode, ProviderError
from tests.unit.identity_provider import ABSENT, Provider, jwk, private_key

if TYPE_CHECKING:
    from collections.abc import Callable

EACH_TYPE = ("RS256", "PS256", "ES256", "ES384", "EdDSA")


@pytest.fixture
def provider() -> Provider:
    """Over ES256, which signs fastest."""
    return Provider()


# Algorithms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", EACH_TYPE)
@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None])
def test_unsigned_is_refused(algorithm: str, name: str | None) -> None:
    """`alg: none`, however it is spelled, is no signature (CVE-2015-9235); OpenID Connect would allow it."""
    provider = Provider(algorithm)
    signing_input = provider.signed(header={**provider.header, "alg": name}).rpartition(".")[0]
    for signature in ("", "AAAA", provider.signed().rpartition(".")[2]):
        assert provider.refuses(f"{signing_input}.{signature}")
        provider.published = [{"kty": "none", "kid": "key-1", "alg": name}, *provider.published]
        assert provider.refuses(f"{signing_input}.{signature}")
    assert provider.reads == 0, "no key is looked for"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("family", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("named", ["as published", "without alg", "for the HMAC"])
def test_public_key_is_no_secret(algorithm: str, family: str, named: str) -> None:
    """An HMAC keyed with the public key, as PEM, JWK or any of its members, is refused (CVE-2022-29217)."""
    provider = Provider(algorithm)
    alg = {"as published": algorithm, "without alg": ABSENT, "for the HMAC": family}[named]
    published = jwk(provider.key, algorithm, kid="key-1", alg=alg)
    provider.published = [published]
    pem = provider.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    members = [published[name] for name in ("n", "x", "y") if name in published]
    secrets = [
        *(pem, pem.strip(), b""),
        *(json.dumps(published).encode(), json.dumps(published, separators=(",", ":")).encode()),
        *(member.encode() for member in members),
        *(from_b64url(member) for member in members),
    ]
    signing_input = provider.signed(header={**provider.header, "alg": family}).rpartition(".")[0]
    for secret in secrets:
        mac = hmac.digest(secret, signing_input.encode(), "sha" + family[2:])
        assert provider.refuses(f"{signing_input}.{b64url(mac)}")
    assert provider.reads == 0, "no key is looked for"


@pytest.mark.parametrize("family", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("alg", [ABSENT, "same", "ES256"])
def test_symmetric_key_in_the_set_is_no_key(provider: Provider, family: str, alg: object) -> None:
    """A published symmetric key verifies no HMAC, under the `kid` of a good key or alone: everybody has it."""
    secret = b"k" * 64
    symmetric = {"kty": "oct", "kid": "key-1", "k": b64url(secret), "alg": family if alg == "same" else alg}
    symmetric = {name: value for name, value in symmetric.items() if value is not ABSENT}
    signing_input = provider.signed(header={**provider.header, "alg": family}).rpartition(".")[0]
    mac = hmac.digest(secret, signing_input.encode(), "sha" + family[2:])
    for published in ([symmetric], [symmetric, *provider.published]):
        provider.published = published
        assert provider.refuses(f"{signing_input}.{b64url(mac)}")


@pytest.mark.parametrize(
    ("keys", "tokens"),
    [
        ("RS256", "RS384"),
        ("RS256", "RS512"),
        ("RS256", "PS256"),
        ("PS256", "RS256"),
        ("RS512", "RS256"),
        ("ES256", "ES256K"),
        ("ES384", "ES256"),
    ],
)
def test_one_algorithm_a_key(keys: str, tokens: str) -> None:
    """A good signature by the provider's own key under another algorithm than the key's is refused (CVE-2026-48523)."""
    provider = Provider(keys)
    claims = provider.claims(at_hash=ABSENT)
    assert not provider.refuses(provider.signed(claims))
    assert provider.refuses(provider.signed(claims, header={**provider.header, "alg": tokens}, algorithm=tokens))


@pytest.mark.parametrize("algorithm", EACH_TYPE)
@pytest.mark.parametrize(
    "named", ["RS256", "PS256", "ES256", "ES384", "ES256K", "EdDSA", "Ed25519", "es256", ["ES256"], 1]
)
def test_header_does_not_choose_the_algorithm(algorithm: str, named: object) -> None:
    """A header that names another algorithm than the key's is refused; the key decides (CVE-2022-29217)."""
    provider = Provider(algorithm)
    same = {algorithm, "Ed25519"} if algorithm == "EdDSA" else {algorithm}  # one algorithm, by RFC 9864
    assert provider.refuses(provider.signed(header={**provider.header, "alg": named})) is (named not in list(same))


@pytest.mark.parametrize("curve", ["ES256K", "ES384", "ES512"])
def test_other_curves_are_refused(provider: Provider, curve: str) -> None:
    """A key of another curve that is said to be for ES256 verifies nothing."""
    provider.key = private_key(curve)
    provider.published = [jwk(provider.key, "ES256", kid="key-1")]
    assert provider.refuses(provider.signed())


def test_algorithm_is_named(provider: Provider) -> None:
    """A header without `alg` is refused (RFC 7515 section 4.1.1)."""
    assert provider.refuses(provider.signed(header={"typ": "JWT", "kid": "key-1"}))


@pytest.mark.parametrize("algorithm", EACH_TYPE)
@pytest.mark.parametrize("header", [{}, {"kid": "key-1"}])
def test_strangers_key(algorithm: str, header: dict[str, str]) -> None:
    """A `kid` names a key, or there is one key only: neither vouches for the signature."""
    provider = Provider(algorithm)
    id_token = provider.signed(header={"alg": algorithm, **header}, key=private_key(algorithm, 1))
    assert provider.refuses(id_token)


# Headers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"])
@pytest.mark.parametrize("kid", [ABSENT, "key-1", "stranger"])
def test_keys_are_never_read_from_the_header(provider: Provider, member: str, kid: object) -> None:
    """`jwk`, `jku`, `x5u`, `x5c` are not read (CVE-2026-27962, CVE-2018-0114): a stranger's key stays a stranger's."""
    stranger = private_key("ES256", 1)
    brought = {
        "jwk": jwk(stranger, "ES256", kid="stranger"),
        "jku": "http://127.0.0.1:9/jwks.json",
        "x5u": "http://127.0.0.1:9/cert.pem",
        "x5c": ["AAAA"],
    }.get(member, "AAAA")
    header = {"alg": "ES256", "kid": kid, member: brought}
    header = {name: value for name, value in header.items() if value is not ABSENT}
    assert provider.refuses(provider.signed(header=header, key=stranger))


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "x5t", "cty", "com.example"])
def test_header_members_that_are_not_understood_are_ignored(provider: Provider, member: str) -> None:
    """What is not critical is ignored (RFC 7515 section 4), so that a provider may add to its headers."""
    assert not provider.refuses(provider.signed(header={**provider.header, member: "http://127.0.0.1:9/"}))


@pytest.mark.parametrize("crit", [["exp"], ["b64"], ["http://example.com/x"], [], {}, "", "alg", ["alg", "kid", "typ"]])
def test_critical_extensions_are_refused(provider: Provider, crit: object) -> None:
    """`crit` asks for what we do not understand, and is never ignored (CVE-2026-32597, RFC 7515 section 4.1.11)."""
    assert provider.refuses(provider.signed(header={**provider.header, "crit": crit}))
    assert provider.refuses(provider.signed(header={**provider.header, "crit": crit, "exp": 1, "b64": True}))
    assert provider.reads == 0, "no key is looked for"


@pytest.mark.parametrize("crit", [ABSENT, ["b64"]])
def test_unencoded_payload_is_refused(provider: Provider, crit: object) -> None:
    """`b64: false` (RFC 7797) is refused, detached or not."""
    header = {**provider.header, "b64": False, "crit": crit}
    id_token = provider.signed(header={name: value for name, value in header.items() if value is not ABSENT})
    first, _, last = id_token.split(".")
    assert provider.refuses(id_token)
    assert provider.refuses(f"{first}..{last}")
    assert provider.refuses(f"{first}.{json.dumps(provider.claims())}.{last}")


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "JWT ", "", 1, ["JWT"], {}])
def test_other_kinds_of_token_are_refused(provider: Provider, typ: object) -> None:
    """An access or logout token of the same provider and key is no ID token (RFC 8725 section 3.11)."""
    assert provider.refuses(provider.signed(header={**provider.header, "typ": typ}))


@pytest.mark.parametrize("kid", [0, 1, 1.5, True, [], {}, ["key-1"], {"key-1": "key-1"}])
def test_key_id_is_a_string(provider: Provider, kid: object) -> None:
    """A `kid` that is no string is refused, and not read as if there were none; so it is where a key has the same."""
    assert provider.refuses(provider.signed(header={**provider.header, "kid": kid}))
    provider.published = [{**provider.published[0], "kid": kid}]
    assert provider.refuses(provider.signed(header={**provider.header, "kid": kid}))
    assert provider.reads == 0


@pytest.mark.parametrize(
    "kid", ["", " ", "key-1 ", "KEY-1", "key-", "../key-1", "' OR '1'='1", "\x00", "é", "\ud800", "k" * 5000]
)
def test_key_id_is_compared_and_nothing_else(provider: Provider, kid: str) -> None:
    """Paths, SQL, other spellings and unknown ids find no key."""
    assert provider.refuses(provider.signed(header={**provider.header, "kid": kid}))


@pytest.mark.parametrize(
    "doubled",
    [b'"alg":"ES256"', b'"alg":"none"', b'"kid":"key-1"', b'"typ":"JWT"', b'"x":1,"x":1', b'"x":{"y":1,"y":1}'],
)
def test_doubled_header_members_are_refused(provider: Provider, doubled: bytes) -> None:
    """Which of two members of one name counts is not guessed (RFC 7515 section 4)."""
    header = json.dumps(provider.header).encode()
    assert provider.refuses(provider.signed(header=header[:-1] + b"," + doubled + b"}"))
    assert provider.refuses(provider.signed(header=b"{" + doubled + b"," + header[1:]))


@pytest.mark.parametrize(
    "claim", ["iss", "aud", "azp", "sub", "nonce", "at_hash", "exp", "iat", "email", "email_verified"]
)
@pytest.mark.parametrize("first", [True, False])
def test_doubled_claims_are_refused(provider: Provider, claim: str, first: bool) -> None:  # noqa: FBT001
    """The same of claims (RFC 7519 section 4), in whichever order the two come."""
    genuine = provider.claims()
    two = [genuine[claim], "another"] if first else ["another", genuine[claim]]
    members = ", ".join(
        f"{json.dumps(name)}: {json.dumps(value)}"
        for name, values in genuine.items()
        for value in (two if name == claim else [values])
    )
    assert provider.refuses(provider.signed(f"{{{members}}}".encode()))


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
    "padded header": lambda genuine: genuine.replace(".", "=.", 1),
    "non-ASCII": lambda genuine: genuine + "é",
    "full-width dots": lambda genuine: genuine.replace(".", "\uff0e"),
    "lone surrogate": lambda genuine: genuine + "\ud800",
    "with scheme": lambda genuine: "Bearer " + genuine,
    "5 MB": lambda genuine: genuine + "A" * 5_000_000,
    "16 kB of dots": lambda _: "." * 16_000,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_are_refused(provider: Provider, shape: str) -> None:
    """No string but the one that was issued is taken, and none breaks the verifier."""
    assert provider.refuses(SHAPES[shape](provider.signed()))


def test_longer_tokens_are_not_even_read(provider: Provider) -> None:
    """Beyond 256 KiB, as many as an answer has, nothing is taken under a good signature, and no key is looked for."""

    def padded(claim: int, member: int) -> str:
        return provider.signed(provider.claims(groups="g" * claim), header={**provider.header, "x": "x" * member})

    room = (MAX_LENGTH - len(padded(0, 0))) * 3 // 4
    sizes = [(claim, member) for claim in range(room - 3, room + 3) for member in range(3)]
    tokens = {len(id_token): id_token for id_token in (padded(*size) for size in sizes)}
    assert not provider.refuses(tokens[MAX_LENGTH])
    assert provider.reads == 1
    assert provider.refuses(tokens[MAX_LENGTH + 1])
    assert provider.refuses(provider.signed(provider.claims(groups="g" * MAX_LENGTH)))
    assert provider.reads == 1


@pytest.mark.parametrize("place", [0, 10, -10, -1])
def test_only_ascii_is_read(provider: Provider, place: int) -> None:
    """A token has base64url's alphabet and dots: a letter of another is refused before a key is looked for."""
    genuine = provider.signed()
    assert provider.refuses(genuine[:place] + "\N{CYRILLIC SMALL LETTER A}" + genuine[place:])
    assert provider.reads == 0


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "list of pairs": b'[["alg", "ES256"], ["kid", "key-1"]]',
    "number": b"1",
    "string": b'"ES256"',
    "unfinished": b"{",
    "two": b"{} {}",
    "bad UTF-8": b'{"\xff": 1}',
    "bytes": b"\xff\xfe",
    "brackets": b"[" * 11_000,
    "nested objects": b'{"alg":' * 1500 + b"1" + b"}" * 1500,
    "nested inside": b'{"alg":"ES256","kid":"key-1","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "NaN": b'{"alg":NaN}',
    "endless number": b"9" * 11_000,
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_no_object_is_refused(provider: Provider, broken: str) -> None:
    """Nesting, NaN, endless numbers and bad UTF-8 in header or claims are a refusal, under a good signature too."""
    assert provider.refuses(provider.signed(header=BROKEN[broken]))
    assert provider.refuses(provider.signed(BROKEN[broken]))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_are_refused(provider: Provider, encoding: str) -> None:
    """Header and claims are UTF-8 (RFC 7515 section 4, RFC 7519 section 7.2); JSON in any other is not looked for."""
    assert provider.refuses(provider.signed(header=json.dumps(provider.header).encode(encoding)))
    assert provider.refuses(provider.signed(json.dumps(provider.claims()).encode(encoding)))


def test_nesting_near_pythons_limit(provider: Provider) -> None:
    """Values that are nested just so deep that the parser manages break nothing afterwards."""
    for depth in range(700, 1000, 2):
        deep = b"[" * depth + b"]" * depth
        for member in ("typ", "kid", "alg"):
            header = {name: value for name, value in provider.header.items() if name != member}
            assert provider.refuses(provider.signed(header=with_member(header, member, deep)))
        for claim in ("aud", "sub", "exp", "at_hash"):
            assert provider.refuses(provider.signed(with_member(provider.claims(**{claim: ABSENT}), claim, deep)))


def with_member(members: dict[str, Any], name: str, value: bytes) -> bytes:
    """A JSON object with one more member, whose value is text that no serialiser would make."""
    return json.dumps(members).encode()[:-1] + b', "' + name.encode() + b'": ' + value + b"}"


@pytest.mark.parametrize("algorithm", EACH_TYPE)
def test_every_flipped_bit_is_refused(algorithm: str) -> None:
    """A token with any one bit changed is refused: header, claims and signature are covered."""
    provider = Provider(algorithm)
    parts = [from_b64url(part) for part in provider.signed().split(".")]
    for which, part in enumerate(parts):
        for place in range(0, len(part), 7):
            changed = bytearray(part)
            changed[place] ^= 1 << place % 8
            flipped = [*parts[:which], bytes(changed), *parts[which + 1 :]]
            assert provider.refuses(".".join(b64url(part) for part in flipped))


PLACES = st.integers(min_value=0, max_value=2000)
GARBAGE = st.one_of(
    st.text(max_size=200),
    st.lists(st.binary(max_size=60).map(b64url), min_size=3, max_size=3).map(".".join),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)
CLAIMS = st.sampled_from(["iss", "aud", "azp", "sub", "exp", "iat", "nbf", "nonce", "at_hash"])
MEMBERS = st.sampled_from(["alg", "typ", "kid", "crit", "jwk", "b64"])


@settings(max_examples=150, deadline=None)
@given(GARBAGE)
def test_no_string_breaks_the_verifier(text: str) -> None:
    """Whatever comes is answered with ProviderError."""
    assert Provider().refuses(text)


@settings(max_examples=150, deadline=None)
@given(PLACES, st.characters())
def test_no_changed_character_is_taken(place: int, character: str) -> None:
    """A genuine token with another character anywhere is refused."""
    provider = Provider()
    genuine = provider.signed()
    place %= len(genuine)
    changed = genuine[:place] + character + genuine[place + 1 :]
    assert provider.refuses(changed) is (changed != genuine)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(CLAIMS, JSON, min_size=1, max_size=2), st.dictionaries(MEMBERS, JSON, max_size=2))
def test_no_signed_value_breaks_the_verifier(claims: dict[str, Any], members: dict[str, Any]) -> None:
    """A provider that signs anything at all in any claim and header causes a refusal at most."""
    provider = Provider()
    id_token = provider.signed(provider.claims(**claims), header={**provider.header, **members})
    assert provider.refusal(id_token) in {None, ProviderError, InvalidCode}


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid", "d"]), JSON, min_size=1
    )
)
def test_no_published_key_breaks_the_verifier(members: dict[str, Any]) -> None:
    """Whatever a provider publishes beside its key, the key goes on verifying what it signed."""
    provider = Provider()
    provider.published = [members, {**provider.published[0], "kid": "key-0", **members}, *provider.published]
    assert provider.refusal(provider.signed()) is None
