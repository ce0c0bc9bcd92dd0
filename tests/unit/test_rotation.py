"""The verdict on a refused rotation: every place on the line, and every way off it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.records import Session
from chalicelib.domain.rotation import Verdict, judge
from tests.fakes import START

HELD = Session(
    sub="AAAAAAAAAAAAAAAAAAAAAA",
    sid="BBBBBBBBBBBBBBBBBBBBBB",
    generation=5,
    digest=b"d" * 32,
    wrapped=b"w" * 32,
    key_id="k",
    epoch=2,
    created_at=START - 1000,
    rotated_at=START,
    idle_expires_at=START + 1000,
    absolute_expires_at=START + 2000,
    transport="body",
    auth_time=START - 1000,
    amr=("pwd",),
    address="192.0.2.1",
    user_agent="tests",
)


@pytest.mark.parametrize(
    ("generation", "verdict"),
    [
        (0, Verdict.REPLAYED),
        (3, Verdict.REPLAYED),
        (4, Verdict.PREDECESSOR),
        (5, Verdict.CURRENT),
        (6, Verdict.UNKNOWN),
        (2**32 - 1, Verdict.UNKNOWN),
    ],
)
def test_places_on_the_line(generation: int, verdict: Verdict) -> None:
    """Inside the window, the generation alone says which place it is."""
    assert judge(HELD, generation, epoch=2, now=START, window=20) is verdict


@pytest.mark.parametrize(
    ("window", "age", "verdict"),
    [
        (20, -5, Verdict.PREDECESSOR),  # this container's clock is behind the one that rotated
        (20, 0, Verdict.PREDECESSOR),
        (20, 19, Verdict.PREDECESSOR),
        (20, 20, Verdict.PREDECESSOR),
        (20, 21, Verdict.LATE),
        (60, 60, Verdict.PREDECESSOR),
        (60, 61, Verdict.LATE),
        (1, 1, Verdict.PREDECESSOR),
        (1, 2, Verdict.LATE),
        (0, -1, Verdict.LATE),
        (0, 0, Verdict.LATE),
        (0, 1, Verdict.LATE),
    ],
)
def test_window_has_exact_ends(window: int, age: int, verdict: Verdict) -> None:
    """The predecessor is let in up to the window's last second; a window of 0 lets none in, not even at once."""
    assert judge(HELD, 4, epoch=2, now=START + age, window=window) is verdict


@pytest.mark.parametrize("generation", [3, 4, 5, 6])
@pytest.mark.parametrize(
    ("held", "now"),
    [
        (None, START),
        (replace(HELD, epoch=1), START),
        (HELD, START + 1000),
        (replace(HELD, absolute_expires_at=START + 10), START + 10),
        (replace(HELD, absolute_expires_at=START + 10), START + 11),
    ],
)
def test_dead_sessions_are_not_stolen(held: Session | None, now: int, generation: int) -> None:
    """Gone, of a revoked epoch or over a limit: nothing is left to steal, so no token of it is theft."""
    assert judge(held, generation, epoch=2, now=now, window=20) is Verdict.DEAD


@pytest.mark.parametrize("generation", [3, 4, 5, 6])
def test_newer_epoch_is_not_theft(generation: int) -> None:
    """A session that a password change has moved along is judged after the account was read again."""
    assert judge(replace(HELD, epoch=3), generation, epoch=2, now=START, window=20) is Verdict.EPOCH_MOVED


def test_limits_end_before_epochs_matter() -> None:
    """A session over its limit is dead, whatever its epoch."""
    assert judge(replace(HELD, epoch=3), 5, epoch=2, now=START + 1000, window=20) is Verdict.DEAD


@settings(max_examples=300, deadline=None)
@given(
    generation=st.integers(min_value=0, max_value=12),
    epoch=st.integers(min_value=0, max_value=4),
    now=st.integers(min_value=START - 100, max_value=START + 2100),
    window=st.integers(min_value=0, max_value=60),
)
def test_accepted_only_where_it_may_be(generation: int, epoch: int, now: int, window: int) -> None:
    """Whatever the numbers: only this generation or its predecessor, this epoch, inside limits and window, goes on."""
    verdict = judge(HELD, generation, epoch, now, window)
    if verdict in {Verdict.CURRENT, Verdict.PREDECESSOR}:
        assert epoch == HELD.epoch
        assert now < HELD.idle_expires_at
        assert generation in {4, 5}
    if verdict is Verdict.PREDECESSOR:
        assert generation == 4
        assert now - HELD.rotated_at <= window
        assert window > 0
