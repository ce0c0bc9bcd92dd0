"""An access token has one spelling: whatever is done to its text, or said twice or otherwise under our own signature.

GHSA-hxm8-2xgr-2p9m, RFC 7515 section 4, RFC 8725 section 3.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.crypto.encoding import b64url, from_b64url
from tests.unit.signing import ALGORITHMS, CLAIMS, Party, with_low_s, with_other_s
from tests.world.clock import START

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"  # pragma: allowlist secret
often = settings(max_examples=300, deadline=None)
TYPES = {
    **dict.fromkeys(("iss", "sub", "aud", "client_id", "jti", "sid", "scope"), str),
    **dict.fromkeys(("exp", "iat", "ver", "auth_time", "nbf"), int),
    **dict.fromkeys(("amr", "roles"), list),
    "email_verified": bool,
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@lru_cache
def genuine(algorithm: str = "ES256") -> tuple[Party, str]:
    """A party of the algorithm and a token of its making."""
    party = Party(algorithm)
    return party, party.codec.issue(CLAIMS)


@often
@given(st.data())
def test_changed_text_is_refused(data: st.DataObject) -> None:
    """Flipped, inserted, left out, doubled, in another case, padded, longer: no other text is the token."""
    party, token = genuine(data.draw(st.sampled_from(ALGORITHMS)))
    place = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.sampled_from(ALPHABET + ".=+/ ~\n\t\r\x00\x7f\u00e9\uff0e\ud800"))
    before, at, after = token[:place], token[place], token[place + 1 :]
    changed = data.draw(
        st.sampled_from(
            [
                before + character + after,
                before + character + at + after,
                before + after,
                before + at + at + after,
                before + at.swapcase() + after,
                before,
                token[place:] + before,
                token + character,
                token + character * 2,
                character + token,
                ".".join(part + "=" * (-len(part) % 4) for part in token.split(".")),
            ]
        )
    )
    assume(changed != token)
    assert party.refuses(changed)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("more", ["=", "==", "===", "====", ".", "..", "A", "AA", "AAAA", "\n", " ", "%3D", "\x00"])
def test_nothing_follows_a_token(algorithm: str, more: str) -> None:
    """A signature with padding, or with anything else behind it, is another text than ours and is refused."""
    party, token = genuine(algorithm)
    for place in range(3):
        parts = token.split(".")
        parts[place] += more
        assert party.refuses(".".join(parts))


def test_elliptic_signature_has_one_spelling() -> None:
    """Of (r, s) and (r, n - s), which both verify, only the lower s is signed, and only it is accepted."""
    party, _ = genuine()
    for _ in range(40):
        signing_input, _, signature = party.codec.issue(CLAIMS).rpartition(".")
        raw = from_b64url(signature)
        assert with_low_s(raw) == raw
        assert party.refuses(f"{signing_input}.{b64url(with_other_s(raw))}")


def test_elliptic_signature_has_its_length() -> None:
    """Zeros before r or s, DER, and halves of other lengths are no spelling of a signature."""
    party, token = genuine()
    signing_input, _, signature = token.rpartition(".")
    raw = from_b64url(signature)
    for other in (b"", raw[:63], raw + b"\x00", b"\x00" + raw, b"\x00" * 64, raw[:32] + b"\x00" * 32, raw * 2):
        assert party.refuses(f"{signing_input}.{b64url(other)}")


@often
@given(st.data())
def test_doubled_member_is_refused(data: st.DataObject) -> None:
    """Two members of one name, with one value or two, in header or claims: what is meant cannot be told."""
    party, _ = genuine()
    parts: list[dict[str, Any]] = [party.header, party.payload()]
    place = data.draw(st.integers(0, 1))
    name = data.draw(st.sampled_from(sorted(parts[place])))
    value = data.draw(st.just(parts[place][name]) | anything)
    spelled = data.draw(st.sampled_from([json.dumps(name), f'"\\u{ord(name[0]):04x}{name[1:]}"']))
    member, text = f"{spelled}:{json.dumps(value)}", json.dumps(parts[place])
    doubled = data.draw(st.sampled_from(["{" + member + "," + text[1:], text[:-1] + "," + member + "}"]))
    signed = [doubled.encode() if which == place else json.dumps(part).encode() for which, part in enumerate(parts)]
    assert party.refuses(party.signed(*signed))


@often
@given(st.sampled_from(sorted(TYPES)), anything)
def test_claim_of_another_type_is_refused(name: str, value: object) -> None:
    """A claim has the one type that we write, whatever else could be converted to it."""
    party, _ = genuine()
    assume(type(value) is not TYPES[name])
    assert party.refuses(party.signed(party.header, party.payload(**{name: value})))


@often
@given(st.sampled_from(sorted(TYPES)), anything)
def test_no_claim_breaks_the_verifier(name: str, value: object) -> None:
    """Whatever a claim says under our own signature, the answer is claims of the right types or InvalidToken."""
    party, _ = genuine()
    token = party.signed(party.header, party.payload(**{name: value}))
    if not party.refuses(token):
        json.dumps(party.codec.verify(token, START).roles).encode()
        party.codec.verify(token, START).sub.encode()


@often
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "x"]), anything, max_size=6))
def test_header_is_ours_or_refused(header: dict[str, object]) -> None:
    """A header with a member less, a member more or another value is not a header of ours."""
    party, _ = genuine()
    assume(header != party.header)
    assert party.refuses(party.signed(header, party.payload()))
    changed = {**party.header, **header}
    assume(changed != party.header)
    assert party.refuses(party.signed(changed, party.payload()))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "spelling",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.decode().encode("utf-16"),
        lambda text: text.decode().encode("utf-32-be"),
        lambda text: text + b"\x00",
        lambda text: text + b"{}",
        lambda text: text[:-1] + b',"x":NaN}',
        lambda text: text[:-1] + b',"x":-Infinity}',
        lambda text: text[:-1] + b',"x":1e999}',
        lambda text: text[:-1] + b',"x":{"y":[{"z":1,"z":1}]}}',
        lambda text: text[:-1] + b',"x":"\xff"}',
        lambda text: text[:-1] + b',"x":"\xed\xa0\x80"}',
        lambda text: text[:-1] + b',"x":' + b"[" * 1500 + b"}",
        lambda text: text[:-1] + b',"x":' + b"9" * 1500 + b"e}",
        lambda text: text[:-1] + b",}",
        lambda text: b"[" + text + b"]",
    ],
)
def test_json_that_parsers_read_differently_is_refused(place: int, spelling: Any) -> None:
    """Byte order marks, other encodings, NaN, numbers beyond all bounds and nested doubles, even in unknown members."""
    party, _ = genuine()
    parts = [json.dumps(part).encode() for part in (party.header, party.payload())]
    parts[place] = spelling(parts[place])
    assert party.refuses(party.signed(*parts))


def test_blanks_in_json_are_no_matter() -> None:
    """What we sign has no blanks; other spellings of the same claims need our private key, so they harm nobody."""
    party, _ = genuine()
    assert party.codec.verify(party.signed(party.header, party.payload()), START) == CLAIMS
