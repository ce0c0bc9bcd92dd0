"""Strings that are no access token of ours, however they are made, and that none breaks the verifier (ASVS V9.1)."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from chalicelib.crypto.encoding import b64url, from_b64url
from tests.unit.signing import ALGORITHMS, CLAIMS, Party
from tests.world.clock import START

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def party() -> Party:
    """Over ES256, which signs fastest."""
    return Party()


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


def test_longer_tokens_are_not_even_read(party: Party) -> None:
    """Beyond 4096 characters nothing is ours, not even under our own signature: work is bounded before any of it."""
    assert not party.refuses(party.signed(party.header, party.payload(scope="a" * 2000)))
    assert party.refuses(party.signed(party.header, party.payload(scope="a" * 4000)))


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
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"  # pragma: allowlist secret
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
