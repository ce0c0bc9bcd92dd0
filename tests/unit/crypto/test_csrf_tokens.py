"""CSRF tokens: one for each session, under any live root secret."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.crypto.csrf_tokens import CsrfTokens
from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.keyring import KEPT, KeyRing
from chalicelib.crypto.keys import SESSIONS
from tests.world.clock import START, FrozenClock
from tests.world.parameters import PREFIX, parameters_with_keys

SID = b64url(bytes(range(16)))
OTHER_SID = b64url(bytes(range(1, 17)))
ROOT = f"{PREFIX}/{SESSIONS}"


@pytest.fixture(scope="module")
def csrf_tokens() -> CsrfTokens:
    """Over keys that stay as they are."""
    return CsrfTokens(KeyRing(parameters_with_keys(), PREFIX, FrozenClock(), groups=(SESSIONS,)))


def test_token_is_the_sessions(csrf_tokens: CsrfTokens) -> None:
    """A session's token is the same each time, and no other session's."""
    csrf_token = csrf_tokens.issue(SID)
    assert csrf_token == csrf_tokens.issue(SID)
    assert csrf_tokens.verify(csrf_token, SID)
    assert not csrf_tokens.verify(csrf_token, OTHER_SID)


def test_token_survives_rotation_of_the_root_secret() -> None:
    """A token of a live older secret verifies; one of a removed secret does not."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    csrf_tokens = CsrfTokens(KeyRing(parameters, PREFIX, clock, groups=(SESSIONS,)))
    old = csrf_tokens.issue(SID)
    (held,) = json.loads(parameters.values[ROOT])["secrets"]
    new = {"id": "new", "key": b64url(bytes(range(150, 182))), "activate_at": START}
    parameters.values[ROOT] = json.dumps({"secrets": [held, new]})
    clock.advance(KEPT)
    assert csrf_tokens.issue(SID) != old
    assert csrf_tokens.verify(old, SID)
    assert csrf_tokens.verify(csrf_tokens.issue(SID), SID)
    parameters.values[ROOT] = json.dumps({"secrets": [new]})
    clock.advance(KEPT)
    assert not csrf_tokens.verify(old, SID)


def test_near_misses_are_refused(csrf_tokens: CsrfTokens) -> None:
    """A token that is cut, longer, padded, in another case or of other characters is none."""
    genuine = csrf_tokens.issue(SID)
    for other in (
        "",
        genuine[:-1],
        genuine + "A",
        genuine + "=",
        genuine.swapcase(),
        genuine + "\n",
        genuine + "\ud800",
    ):
        assert not csrf_tokens.verify(other, SID)


@settings(max_examples=100, deadline=None)
@given(csrf_token=st.text(max_size=60), sid=st.binary(min_size=16, max_size=16).map(b64url))
def test_no_string_breaks_the_check(csrf_tokens: CsrfTokens, csrf_token: str, sid: str) -> None:
    """Whatever a header holds is compared and refused, never a failure."""
    assert not csrf_tokens.verify(csrf_token, sid)
