"""Stolen and forged refresh tokens."""

from __future__ import annotations

import pytest

from chalicelib.crypto.refresh_tokens import wrap
from chalicelib.errors import InvalidGrant, Unavailable
from tests.flows.steps import (
    ELSEWHERE,
    assert_dead,
    assert_works,
    decoded,
    device_token,
    log_in,
    log_out,
    refresh,
    sign_up,
    tampered,
)
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore


def test_thief_who_comes_late_ends_the_session(anywhere: Keyturn) -> None:
    """A replay after the window costs both the session, and every access token of it at once (RFC 9700 4.14.2)."""
    first = sign_up(anywhere.services)
    owner = refresh(anywhere.services, first)
    anywhere.clock.advance(21)
    with pytest.raises(InvalidGrant):
        refresh(anywhere.services, first, ELSEWHERE)
    assert_dead(anywhere, owner, first)
    sub, sid = first.account.sub, first.session_id
    assert anywhere.audit.events[-1] == ("refresh_token_reused", {"caller": ELSEWHERE, "sub": sub, "sid": sid})


def test_owner_of_a_stolen_token_ends_the_session(anywhere: Keyturn) -> None:
    """The thief was first: the owner's next refresh, after the window, takes the thief's tokens away."""
    owner = sign_up(anywhere.services)
    thief = refresh(anywhere.services, owner, ELSEWHERE)
    anywhere.clock.advance(600)
    with pytest.raises(InvalidGrant):
        refresh(anywhere.services, owner)
    assert_dead(anywhere, thief, owner)


@pytest.mark.parametrize("later", [0, 3600])
@pytest.mark.parametrize("turns", [2, 10])
def test_token_of_an_older_generation_ends_the_session(anywhere: Keyturn, turns: int, later: int) -> None:
    """Two generations back, or ten: no client has a reason to present it, window or not, from its own device or not."""
    first = sign_up(anywhere.services)
    grant = first
    for _ in range(turns):
        anywhere.clock.advance(21)
        grant = refresh(anywhere.services, grant)
    anywhere.clock.advance(later)
    with pytest.raises(InvalidGrant):
        refresh(anywhere.services, first, device_token=device_token(first))
    assert anywhere.audit.names()[-1] == "refresh_token_reused"
    assert_dead(anywhere, grant, first)


def test_older_secret_needs_not_be_known_to_the_table(anywhere: Keyturn) -> None:
    """Behind the predecessor no secret is held: a good MAC over any secret is a replay there, not a forgery."""
    grant = sign_up(anywhere.services)
    for _ in range(2):
        anywhere.clock.advance(21)
        grant = refresh(anywhere.services, grant)
    with pytest.raises(InvalidGrant):
        anywhere.services.refresh(tampered(anywhere, grant, generations=-2, secret=bytes(32)), ELSEWHERE)
    assert anywhere.audit.names()[-1] == "refresh_token_reused"
    assert_dead(anywhere, grant)


def test_theft_ends_one_session_and_no_other(anywhere: Keyturn) -> None:
    """Other devices of the user stay logged in."""
    first = sign_up(anywhere.services)
    other = log_in(anywhere.services)
    refresh(anywhere.services, first)
    anywhere.clock.advance(21)
    with pytest.raises(InvalidGrant):
        refresh(anywhere.services, first)
    assert_works(anywhere, other)


def test_theft_is_audited_although_its_answer_was_lost() -> None:
    """The table takes the session away, then fails: the trace is there, because no retry would find the theft again."""
    store = FaultyStore(FakeStore())
    keyturn = Keyturn(store)
    first = sign_up(keyturn.services)
    refresh(keyturn.services, first)
    keyturn.clock.advance(21)
    store.fail_after("delete_session")
    with pytest.raises(Unavailable):
        refresh(keyturn.services, first)
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, first)
    assert keyturn.audit.names().count("refresh_token_reused") == 1


@pytest.mark.parametrize("late", [0, 21])
@pytest.mark.parametrize("generations", [-2, -1, 0, 1])
@pytest.mark.parametrize("own_device", [False, True])
def test_forged_secret_raises_an_alarm_and_ends_nothing(
    anywhere: Keyturn,
    generations: int,
    late: int,
    own_device: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    """A good MAC over a wrong secret: somebody may know the MAC key, which must not be enough to end sessions.

    The held generation, its predecessor, what was answered late (two behind) and one to come; inside the window or not.
    """
    first = sign_up(anywhere.services)
    device = device_token(first)
    refresh(anywhere.services, first)
    anywhere.clock.advance(21)
    grant = refresh(anywhere.services, first, device_token=device)  # late: generation 2, and generation 0 its base
    anywhere.clock.advance(late)
    forged = tampered(anywhere, grant, generations=generations, secret=bytes(32))
    with pytest.raises(InvalidGrant):
        anywhere.services.refresh(forged, ELSEWHERE, device if own_device else None)
    assert anywhere.audit.names()[-1] == "refresh_token_forged"
    assert_works(anywhere, grant)


def test_successor_is_not_to_be_had_by_a_late_answers_pad(anywhere: Keyturn) -> None:
    """A secret wraps two successors under two labels: what the one wrapping shows does not open the other."""
    first = sign_up(anywhere.services)
    secret = decoded(anywhere.services, first).secret
    refresh(anywhere.services, first)
    before = anywhere.store.find_session(first.account.sub, first.session_id)
    anywhere.clock.advance(21)
    late = decoded(anywhere.services, refresh(anywhere.services, first, device_token=device_token(first))).secret
    after = anywhere.store.find_session(first.account.sub, first.session_id)
    assert before
    assert after
    assert wrap(after.late_wrapped, secret, first.session_id, 0, "late") == late
    assert wrap(after.late_wrapped, secret, first.session_id, 0) != late
    assert (after.late_base, len(after.late_wrapped), len(after.wrapped)) == (0, 32, 32)
    assert len({before.wrapped, after.wrapped, after.late_wrapped}) == 3


def test_right_secret_of_another_generation_is_a_forgery(keyturn: Keyturn) -> None:
    """Generation and secret belong together: the held secret under its neighbours' numbers turns nothing."""
    grant = refresh(keyturn.services, sign_up(keyturn.services))
    for generations in (-1, 1):
        with pytest.raises(InvalidGrant):
            keyturn.services.refresh(tampered(keyturn, grant, generations=generations), CLIENT)
    assert_works(keyturn, grant)


def test_forgeries_reach_no_table() -> None:
    """A token whose MAC is wrong, of another transport or of nobody's key is refused before any call."""
    store = FaultyStore(FakeStore())
    keyturn = Keyturn(store)
    text = keyturn.services.refresh_tokens.encode(
        decoded(keyturn.services, sign_up(keyturn.services)),
        keyturn.services.refresh_tokens.current_key_id(),
        "body",
    )
    calls = len(store.calls)
    prefix, _, payload = text.rpartition(".")
    flipped = f"{prefix}.{payload[:-2]}{'A' if payload[-2] != 'A' else 'E'}{payload[-1]}"
    for forged in (flipped, text.replace("kt1.", "kt1.x"), text + "A", text[:-1], "", "kt1..", "kt1.a." + "A" * 112):
        with pytest.raises(InvalidGrant):
            keyturn.services.refresh_tokens.decode(forged, "body")
    with pytest.raises(InvalidGrant):
        keyturn.services.refresh_tokens.decode(text, "cookie")
    assert len(store.calls) == calls


def test_tokens_of_an_ended_session_are_no_theft(anywhere: Keyturn) -> None:
    """A dead session's tokens are refused, of whatever generation, without an alarm."""
    first = sign_up(anywhere.services)
    second = refresh(anywhere.services, first)
    log_out(anywhere.services, second)
    anywhere.clock.advance(3600)
    assert_dead(anywhere, second, first)
    assert anywhere.audit.names()[-1] == "logged_out"
