"""Refresh tokens: genuine for one transport under one root secret, or nothing; and the wrapping of successors."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.keyring import KEPT, KeyRing
from chalicelib.crypto.keys import SESSIONS
from chalicelib.crypto.refresh_tokens import RefreshToken, RefreshTokenCodec, digest, same, unwrap, wrap
from chalicelib.domain.records import TRANSPORTS, Transport
from chalicelib.errors import InvalidGrant
from tests.fakes import PREFIX, START, FrozenClock, MemoryParameters, parameters_with_keys

bounded = settings(max_examples=100, deadline=None)

ids = st.binary(min_size=16, max_size=16).map(b64url)
secrets = st.binary(min_size=32, max_size=32)
generations = st.integers(min_value=0, max_value=2**32 - 1)
refresh_tokens = st.builds(RefreshToken, ids, ids, generations, secrets)
transports = st.sampled_from(TRANSPORTS)

TOKEN = RefreshToken(b64url(bytes(range(16))), b64url(bytes(range(16, 32))), 7, bytes(range(32, 64)))


@lru_cache
def codec_over(parameters: MemoryParameters, clock: FrozenClock) -> RefreshTokenCodec:
    """The codec of one container."""
    return RefreshTokenCodec(KeyRing(parameters, PREFIX, clock, groups=(SESSIONS,)))


@lru_cache
def codec() -> RefreshTokenCodec:
    """The codec of a container whose keys stay as they are."""
    return codec_over(parameters_with_keys(), FrozenClock())


def issue(refresh_token: RefreshToken = TOKEN, transport: Transport = "body") -> str:
    """The token's string under the root secret of now."""
    return codec().encode(refresh_token, codec().current_key_id(), transport)


def refused(text: str, transport: Transport = "body") -> bool:
    """Whether the string is answered with InvalidGrant, and with nothing else."""
    try:
        codec().decode(text, transport)
    except InvalidGrant:
        return True
    return False


@bounded
@given(refresh_tokens, transports)
def test_round_trip(refresh_token: RefreshToken, transport: Transport) -> None:
    """What was encoded is what is decoded, to the byte."""
    text = issue(refresh_token, transport)
    assert codec().decode(text, transport) == refresh_token
    assert issue(codec().decode(text, transport), transport) == text


def test_form_is_documented() -> None:
    """kt1, the key's id, and 84 bytes: tokens live for months, so the form cannot change."""
    prefix, key_id, payload = issue().split(".")
    raw = from_b64url(payload)
    assert prefix == "kt1"
    assert key_id == codec().current_key_id()
    assert raw[:68] == bytes(range(32)) + (7).to_bytes(4, "big") + bytes(range(32, 64))
    assert len(raw) == 84


@bounded
@given(refresh_tokens, transports, st.integers(min_value=0, max_value=84 * 8 - 1))
def test_flipped_bit_is_refused(refresh_token: RefreshToken, transport: Transport, bit: int) -> None:
    """Ids, generation, secret and MAC are all covered by the MAC."""
    prefix, key_id, payload = issue(refresh_token, transport).split(".")
    changed = bytearray(from_b64url(payload))
    changed[bit // 8] ^= 1 << bit % 8
    assert refused(f"{prefix}.{key_id}.{b64url(bytes(changed))}", transport)


@bounded
@given(refresh_tokens)
def test_other_transport_is_refused(refresh_token: RefreshToken) -> None:
    """What was made for one way is a forgery on every other one."""
    for made_for, way in permutations(TRANSPORTS, 2):
        assert refused(issue(refresh_token, made_for), way)


def test_other_root_secret_is_refused() -> None:
    """A token of another stage, or with another live key's id, is a forgery."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    (held,) = json.loads(parameters.values[f"{PREFIX}/{SESSIONS}"])["secrets"]
    other = {"id": "other", "key": b64url(bytes(range(150, 182))), "activate_at": START - 10}
    parameters.values[f"{PREFIX}/{SESSIONS}"] = json.dumps({"secrets": [held, other]})
    ours = codec_over(parameters, clock)
    text = ours.encode(TOKEN, "other", "body")
    assert ours.current_key_id() == "other"
    assert ours.decode(text, "body") == TOKEN
    assert refused(text)
    with pytest.raises(InvalidGrant):
        ours.decode(text.replace("other", held["id"]), "body")


def test_older_live_secret_verifies_and_a_removed_one_does_not() -> None:
    """A rotated root secret goes on verifying; a removed one refuses within a minute, and encodes nothing."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    ours = codec_over(parameters, clock)
    old_id = ours.current_key_id()
    text = ours.encode(TOKEN, old_id, "body")
    (held,) = json.loads(parameters.values[f"{PREFIX}/{SESSIONS}"])["secrets"]
    new = {"id": "new", "key": b64url(bytes(range(150, 182))), "activate_at": START}
    parameters.values[f"{PREFIX}/{SESSIONS}"] = json.dumps({"secrets": [held, new]})
    clock.advance(KEPT)
    assert ours.current_key_id() == "new"
    assert ours.decode(text, "body") == TOKEN
    assert ours.encode(TOKEN, old_id, "body") == text
    parameters.values[f"{PREFIX}/{SESSIONS}"] = json.dumps({"secrets": [new]})
    clock.advance(KEPT)
    with pytest.raises(InvalidGrant):
        ours.decode(text, "body")
    with pytest.raises(InvalidGrant):
        ours.encode(TOKEN, old_id, "body")


def malformed() -> dict[str, str]:
    """Strings that are nearly a genuine token, by what is wrong with them."""
    genuine = issue()
    prefix, key_id, payload = genuine.split(".")
    return {
        "empty": "",
        "prefix alone": "kt1",
        "dots": "..",
        "no payload": f"{prefix}.{key_id}.",
        "no key": f"{prefix}..{payload}",
        "other prefix": f"kt2.{key_id}.{payload}",
        "upper-case prefix": f"KT1.{key_id}.{payload}",
        "unicode digit": f"kt\u0661.{key_id}.{payload}",
        "full-width digit": f"kt\uff11.{key_id}.{payload}",
        "fourth part": f"{genuine}.",
        "character short": genuine[:-1],
        "character long": genuine + "A",
        "block short": genuine[:-4],
        "block long": genuine + "AAAA",
        "padded": genuine + "=",
        "line after": genuine + "\n",
        "blank before": " " + genuine,
        "NUL": genuine + "\x00",
        "other alphabet": f"{prefix}.{key_id}.{payload[:-1]}+",
        "non-ASCII": f"{prefix}.{key_id}.{payload[:-1]}é",
        "lone surrogate": f"{prefix}.{key_id}.{payload[:-1]}\ud800",
        "quoted": f'"{genuine}"',
        "unknown key": f"{prefix}.unknown.{payload}",
        "key too long": f"{prefix}.{'k' * 33}.{payload}",
        "key with a dot": f"{prefix}.a.b.{payload}",
        "5 MB": genuine + "A" * 5_000_000,
        "5 MB of key": f"{prefix}.{'k' * 5_000_000}.{payload}",
        "a JWT": "eyJhbGciOiJub25lIn0.e30.",  # pragma: allowlist secret
    }


@pytest.mark.parametrize("fault", malformed())
def test_malformed_is_refused(fault: str) -> None:
    """There is one spelling of a token; every other string is an invalid grant, never a failure."""
    text = malformed()[fault]
    assert refused(text, "body")
    assert refused(text, "cookie")


@bounded
@given(st.one_of(st.text(max_size=150), st.from_regex(r"kt1\.[A-Za-z0-9_-]{1,32}\.[A-Za-z0-9_-]{112}", fullmatch=True)))
def test_no_string_breaks_the_codec(text: str) -> None:
    """Whatever comes is answered with InvalidGrant."""
    assert refused(text)


def test_records_show_no_secret() -> None:
    """A token's representation, which an error could quote, has no secret in it."""
    assert "secret" not in repr(TOKEN)


@bounded
@given(secrets, secrets, ids, generations)
def test_wrapped_successor_opens_to_its_predecessor(successor: bytes, secret: bytes, sid: str, generation: int) -> None:
    """The holder of the predecessor's secret gets the successor, byte for byte."""
    wrapped = wrap(successor, secret, sid, generation)
    assert len(wrapped) == 32
    assert unwrap(wrapped, secret, sid, generation) == successor


@bounded
@given(secrets, st.lists(secrets, min_size=2, max_size=2, unique=True), ids, generations)
def test_wrapped_successor_opens_to_nobody_else(successor: bytes, held: list[bytes], sid: str, generation: int) -> None:
    """Another secret, session or generation unwraps garbage, whose digest is not the successor's."""
    secret, wrong = held
    wrapped = wrap(successor, secret, sid, generation)
    tries = [
        wrapped,
        unwrap(wrapped, wrong, sid, generation),
        unwrap(wrapped, secret, sid[::-1] + "x", generation),
        unwrap(wrapped, secret, sid, (generation + 1) % 2**32),
    ]
    for got in tries:
        assert not same(digest(got), digest(successor))


def test_digests_are_sha_256() -> None:
    """The digest of a secret is SHA-256, of which the table holds 32 bytes."""
    known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # pragma: allowlist secret
    assert digest(b"").hex() == known
    assert same(digest(b"a"), digest(b"a"))
    assert not same(digest(b"a"), digest(b"b"))


@bounded
@given(st.binary(max_size=64))
def test_base64url_has_one_spelling(raw: bytes) -> None:
    """What was encoded decodes to itself, and no other spelling of it decodes."""
    text = b64url(raw)
    assert from_b64url(text) == raw
    for other in (text + "=", text + "\n", " " + text, text + "!", text + "é"):
        with pytest.raises(ValueError, match=r"base64url|ascii|padding|characters"):
            from_b64url(other)
