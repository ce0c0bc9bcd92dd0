"""`state` and what is bound to a browser: forgeries, key rotation, and secrets that do not tell one another."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.keyring import KEPT, KeyRing
from chalicelib.crypto.keys import LOGINS
from chalicelib.crypto.login_states import (
    BROWSER_SECRET_BYTES,
    EXPIRY_BYTES,
    IDENTIFIER_BYTES,
    MAC_BYTES,
    PAGE_BYTES,
    LoginStates,
    bind,
    page_tag,
    parse_browser_secret,
)
from chalicelib.errors import LoginExpired
from tests.world.clock import START, FrozenClock
from tests.world.constants import PAGE
from tests.world.parameters import PREFIX, parameters_with_keys

IDENTIFIER = bytes(range(16))
SECRET = bytes(range(100, 132))
ROOT = f"{PREFIX}/{LOGINS}"
EXPIRES = START + 600


@pytest.fixture(scope="module")
def states() -> LoginStates:
    """Over keys that stay as they are."""
    return LoginStates(KeyRing(parameters_with_keys(), PREFIX, FrozenClock(), groups=(LOGINS,)))


def assert_refused(states: LoginStates, state: str, provider: str = "google") -> None:
    """It is no state of a login at this provider."""
    with pytest.raises(LoginExpired):
        states.verify(state, provider)


def test_state_tells_its_login_and_its_page(states: LoginStates) -> None:
    """What was issued is taken apart again; nothing but identifier, page, expiry and MAC is in it."""
    state = states.issue("google", IDENTIFIER, PAGE, EXPIRES)
    verified = states.verify(state, "google")
    assert (verified.identifier, verified.page, verified.expires_at) == (IDENTIFIER, page_tag(PAGE), EXPIRES)
    assert from_b64url(state)[:-MAC_BYTES] == IDENTIFIER + page_tag(PAGE) + EXPIRES.to_bytes(EXPIRY_BYTES, "big")
    assert len(from_b64url(state)) == IDENTIFIER_BYTES + PAGE_BYTES + EXPIRY_BYTES + MAC_BYTES


def test_every_byte_counts(states: LoginStates) -> None:
    """A state with any bit of any byte changed is refused."""
    raw = from_b64url(states.issue("google", IDENTIFIER, PAGE, EXPIRES))
    for position in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[position] ^= 1 << bit
            assert_refused(states, b64url(bytes(changed)))


def test_every_other_spelling_is_refused(states: LoginStates) -> None:
    """One state has one spelling: cut, longer, padded, in the other alphabet or with spare bits set it is none."""
    genuine = states.issue("google", IDENTIFIER, PAGE, EXPIRES)
    alphabet = f"{ascii_letters}{digits}-_"
    spare = [genuine[:-1] + letter for letter in alphabet if letter != genuine[-1]]
    for other in (
        "",
        genuine[:-1],
        genuine[1:],
        genuine + "A",
        genuine + "=",
        genuine + "==",
        genuine + "\n",
        " " + genuine,
        genuine[:-1] + "\u0661",
        genuine[:-1] + "+",
        genuine[:-1] + "/",
        genuine.swapcase(),
        *spare,
    ):
        assert_refused(states, other)


@given(st.text(max_size=80) | st.text("ABCabc012-_", min_size=59, max_size=59))
def test_no_text_is_more_than_refused(states: LoginStates, text: str) -> None:
    """Whatever a caller sends as a state, LoginExpired is all that comes of it."""
    assert_refused(states, text)


def test_state_is_one_providers(states: LoginStates) -> None:
    """A state of one provider is none at another, nor at one whose name is longer or shorter."""
    state = states.issue("google", IDENTIFIER, PAGE, EXPIRES)
    for provider in ("oidc", "googl", "google2", "Google", ""):
        assert_refused(states, state, provider)


def test_providers_name_does_not_reach_into_the_state(states: LoginStates) -> None:
    """Where one provider's name ends as another's, moving its beginning into the state makes no state of the other."""
    raw = from_b64url(states.issue("my-oidc", IDENTIFIER, PAGE, EXPIRES))
    body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
    assert_refused(states, b64url(body + b"my-" + mac), "oidc")


def test_state_of_another_key_is_refused(states: LoginStates) -> None:
    """Another deployment's secret makes other states."""
    parameters = parameters_with_keys()
    (held,) = json.loads(parameters.values[ROOT])["secrets"]
    parameters.values[ROOT] = json.dumps({"secrets": [{**held, "key": b64url(bytes(range(150, 182)))}]})
    others = LoginStates(KeyRing(parameters, PREFIX, FrozenClock(), groups=(LOGINS,)))
    assert_refused(states, others.issue("google", IDENTIFIER, PAGE, EXPIRES))


def test_state_survives_rotation_of_the_root_secret() -> None:
    """A login that began under an older live secret can be finished; under a removed one it cannot."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    states = LoginStates(KeyRing(parameters, PREFIX, clock, groups=(LOGINS,)))
    old = states.issue("google", IDENTIFIER, PAGE, EXPIRES)
    (held,) = json.loads(parameters.values[ROOT])["secrets"]
    new = {"id": "new", "key": b64url(bytes(range(150, 182))), "activate_at": START}
    parameters.values[ROOT] = json.dumps({"secrets": [held, new]})
    clock.advance(KEPT)
    newer = states.issue("google", IDENTIFIER, PAGE, EXPIRES)
    assert newer != old
    assert states.verify(old, "google") == states.verify(newer, "google")
    parameters.values[ROOT] = json.dumps({"secrets": [new]})
    clock.advance(KEPT)
    assert states.verify(newer, "google").identifier == IDENTIFIER
    assert_refused(states, old)


def test_pages_are_told_apart() -> None:
    """Pages that differ by one character have different tags."""
    pages = [PAGE, PAGE + "/", PAGE[:-1], PAGE.upper(), PAGE + "?"]
    assert len({page_tag(page) for page in pages}) == len(pages)
    assert {len(page_tag(page)) for page in pages} == {PAGE_BYTES}


def test_binding_differs_by_purpose_identifier_and_secret() -> None:
    """Each of the three outputs is one login's and one browser's, and none is another one of them."""
    bindings = [
        bind(IDENTIFIER, SECRET),
        bind(IDENTIFIER[:-1] + b"\xff", SECRET),
        bind(IDENTIFIER, SECRET[:-1] + b"\xff"),
    ]
    outputs = [
        output
        for made in bindings
        for output in (made.digest, from_b64url(made.nonce), from_b64url(made.code_verifier))
    ]
    assert len(set(outputs)) == len(outputs)
    assert bind(IDENTIFIER, SECRET) == bindings[0]
    assert SECRET not in outputs


def test_verifier_and_challenge_have_their_standard_form() -> None:
    """RFC 7636: the verifier is 43 to 128 unreserved characters; the challenge is its SHA-256 in base64url."""
    binding = bind(IDENTIFIER, SECRET)
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", binding.code_verifier)
    assert binding.code_challenge == b64url(sha256(binding.code_verifier.encode("ascii")).digest())


def test_binding_does_not_show_its_secrets() -> None:
    """A binding that somebody prints or logs tells neither nonce nor verifier."""
    binding = bind(IDENTIFIER, SECRET)
    assert binding.nonce not in repr(binding)
    assert binding.code_verifier not in repr(binding)


def test_cookie_is_read_back() -> None:
    """What begin hands out is what callback reads."""
    cookie = b64url(SECRET)
    assert parse_browser_secret(cookie) == SECRET
    assert len(SECRET) == BROWSER_SECRET_BYTES


@pytest.mark.parametrize(
    "cookie",
    [
        None,
        "",
        b64url(SECRET)[:-1],
        b64url(SECRET) + "A",
        b64url(SECRET) + "=",
        b64url(SECRET) + "\n",
        b64url(SECRET)[:-1] + "+",
        b64url(SECRET)[:-1] + "\u0661",
        b64url(SECRET)[:-1] + "_",  # bits that stand for nothing
        f'"{b64url(SECRET)}"',
        " " * 43,
    ],
)
def test_malformed_cookie_is_an_absent_one(cookie: str | None) -> None:
    """It fails closed: no secret comes of it (CVE-2026-25748)."""
    assert parse_browser_secret(cookie) is None
