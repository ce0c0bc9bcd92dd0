"""Refresh tokens: genuine for one transport under one root secret, or nothing; and the wrapping of successors."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from itertools import permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.keyring import KEPT, KeyRing
from chalicelib.crypto.keys import SESSIONS
from chalicelib.crypto.refresh_tokens import (
    Label,
    RefreshTokenCodec,
    answered_to,
    digest,
    held_secret,
    same,
    unwrap,
    wrap,
)
from chalicelib.domain.callers import TRANSPORTS, Transport
from chalicelib.domain.rotation import Place
from chalicelib.domain.sessions import RefreshToken
from chalicelib.errors import InvalidGrant
from tests.unit.domain.test_rotation import HELD
from tests.world.clock import START, FrozenClock
from tests.world.parameters import PREFIX, MemoryParameters, parameters_with_keys

bounded = settings(max_examples=100, deadline=None)

ids = st.binary(min_size=16, max_size=16).map(b64url)
secrets = st.binary(min_size=32, max_size=32)
generations = st.integers(min_value=0, max_value=2**32 - 1)
refresh_tokens = st.builds(RefreshToken, ids, ids, generations, secrets)
transports = st.sampled_from(TRANSPORTS)
LABELS: tuple[Label, ...] = ("wrap", "late")
labels = st.sampled_from(LABELS)

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
@given(secrets, refresh_tokens, labels)
def test_wrapped_successor_opens_to_its_predecessor(successor: bytes, presented: RefreshToken, label: Label) -> None:
    """The holder of the predecessor's secret gets the successor, byte for byte."""
    wrapped = wrap(successor, presented.secret, presented.sid, presented.generation, label)
    assert len(wrapped) == 32
    assert unwrap(wrapped, presented, digest(successor), label) == successor


@bounded
@given(secrets, refresh_tokens, secrets, labels)
def test_wrapped_successor_opens_to_nobody_else(
    successor: bytes, presented: RefreshToken, other: bytes, label: Label
) -> None:
    """Another secret, session, generation, label or held digest unwraps nothing."""
    assume(len({other, presented.secret, successor}) == 3)
    wrapped = wrap(successor, presented.secret, presented.sid, presented.generation, label)
    held = digest(successor)
    next_generation = (presented.generation + 1) % 2**32
    for wrong in (
        replace(presented, secret=other),
        replace(presented, secret=successor),
        replace(presented, sid=presented.sid[::-1] + "x"),
        replace(presented, generation=next_generation),
    ):
        assert unwrap(wrapped, wrong, held, label) is None
    assert unwrap(wrapped, presented, held, "late" if label == "wrap" else "wrap") is None
    assert unwrap(wrapped, presented, digest(other), label) is None
    assert not same(digest(wrapped), held)


@bounded
@given(refresh_tokens, st.binary(max_size=80), secrets, labels)
def test_whatever_is_wrapped_is_a_secret_or_none(
    presented: RefreshToken, wrapped: bytes, held: bytes, label: Label
) -> None:
    """Bytes that hold no secret of this token, however many they are, are None and no error."""
    assert unwrap(wrapped, presented, held, label) is None


@pytest.mark.parametrize("label", ["wrap", "late"])
def test_nothing_wrapped_is_none(label: Label) -> None:
    """Before the first turn, and after a renewal, nothing is wrapped: the answer is None for every digest."""
    for held in (b"", bytes(32), digest(b""), digest(TOKEN.secret)):
        for wrapped in (b"", bytes(31), bytes(33)):
            assert unwrap(wrapped, TOKEN, held, label) is None


@bounded
@given(refresh_tokens, secrets, secrets)
def test_one_pad_never_covers_two_secrets(presented: RefreshToken, first: bytes, second: bytes) -> None:
    """A turn and a late answer wrap different secrets under one: both wraps together must not tell how they differ."""
    assume(first != second)
    by_turn = wrap(first, presented.secret, presented.sid, presented.generation)
    late = wrap(second, presented.secret, presented.sid, presented.generation, "late")
    assert by_turn == wrap(first, presented.secret, presented.sid, presented.generation, "wrap")
    assert xor(by_turn, late) != xor(first, second)
    # Equal secrets would show the pads: they differ by label, by generation, by session and by secret.
    nothing = bytes(32)
    pads = {
        wrap(nothing, secret, sid, generation, label)
        for secret in (presented.secret, xor(presented.secret, b"\x01" * 32))
        for sid in (presented.sid, b64url(bytes(16)) if presented.sid != b64url(bytes(16)) else b64url(b"1" * 16))
        for generation in (presented.generation, (presented.generation + 1) % 2**32)
        for label in LABELS
    }
    assert len(pads) == 16


def xor(left: bytes, right: bytes) -> bytes:
    """The two, bit by bit."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


@bounded
@given(st.lists(secrets, min_size=4, max_size=4, unique=True))
def test_held_secret_is_told_by_the_tokens_that_have_it(given_out: list[bytes]) -> None:
    """The held token's own; the predecessor's and the late base's by unwrapping each its own wrap; no other place's."""
    late_base, predecessor, held, wrong = given_out
    session = HELD._replace(
        digest=digest(held),
        wrapped=wrap(held, predecessor, HELD.sid, 4),
        late_base=3,
        late_wrapped=wrap(held, late_base, HELD.sid, 3, "late"),
    )
    right = {
        Place.HELD: RefreshToken(HELD.sub, HELD.sid, 5, held),
        Place.PREDECESSOR: RefreshToken(HELD.sub, HELD.sid, 4, predecessor),
        Place.LATE_BASE: RefreshToken(HELD.sub, HELD.sid, 3, late_base),
    }
    for found, token in right.items():
        assert held_secret(found, session, token) == held
        for secret in {*given_out} - {token.secret}:
            assert held_secret(found, session, replace(token, secret=secret)) is None
        for other in {*Place} - {found}:
            assert held_secret(other, session, token) is None
    never_turned = session._replace(wrapped=b"", late_base=None, late_wrapped=b"")
    for found in (Place.PREDECESSOR, Place.LATE_BASE):
        assert held_secret(found, never_turned, right[found]) is None
    swapped = session._replace(wrapped=session.late_wrapped, late_wrapped=session.wrapped)
    for found in (Place.PREDECESSOR, Place.LATE_BASE):
        assert held_secret(found, swapped, right[found]) is None
    assert wrong not in {held_secret(found, session, token) for found, token in right.items()}


def test_client_that_is_answered_is_kept_as_two_digests() -> None:
    """Eight bytes each: which half differs says what has changed. The same client is another one for each session."""
    kept = answered_to("sid", "192.0.2.1", "agent")
    assert len(kept) == 16
    assert answered_to("sid", "192.0.2.1", "agent") == kept
    address, agent = answered_to("sid", "192.0.2.2", "agent"), answered_to("sid", "192.0.2.1", "other")
    assert (address[:8] != kept[:8], address[8:] == kept[8:]) == (True, True)
    assert (agent[:8] == kept[:8], agent[8:] != kept[8:]) == (True, True)
    for other in (answered_to("sid2", "192.0.2.1", "agent"), answered_to("sid", "agent", "192.0.2.1")):
        assert other[:8] != kept[:8]
        assert other[8:] != kept[8:]
    same_text = answered_to("sid", "x", "x")
    assert same_text[:8] != same_text[8:]


@bounded
@given(st.text(st.characters(), max_size=40), st.text(st.characters(codec=None), max_size=200))
def test_client_of_any_characters_is_kept(address: str, user_agent: str) -> None:
    """Both are the caller's, lone surrogates included."""
    assert len(answered_to("sid", address, user_agent)) == 16


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
