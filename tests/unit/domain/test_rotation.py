"""What a presented refresh token comes to: every row of the design's table, each edge of the window, every number."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.rotation import OFTEN_SECONDS, Answer, Place, answer, is_inside, late_answers, place
from chalicelib.domain.sessions import Session
from tests.world.clock import START

WINDOW = 20
DAY = 86400

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
# Generation 3 has got a late answer when 4 was held, and 5 is held since.
LATE = HELD._replace(late_base=3, late_wrapped=b"l" * 32, late_at=(START,))


@pytest.mark.parametrize(
    ("generation", "found", "after_a_late_answer"),
    [
        (0, Place.OLDER, Place.OLDER),
        (2, Place.OLDER, Place.OLDER),
        (3, Place.OLDER, Place.LATE_BASE),
        (4, Place.PREDECESSOR, Place.PREDECESSOR),
        (5, Place.HELD, Place.HELD),
        (6, Place.NEWER, Place.NEWER),
        (2**32 - 1, Place.NEWER, Place.NEWER),
    ],
)
def test_places_on_the_line(generation: int, found: Place, after_a_late_answer: Place) -> None:
    """The generation alone says which place a living session's token has; the time does not matter."""
    for now in (START - 5, START, START + WINDOW, START + WINDOW + 1, START + 999):
        assert place(HELD, generation, 2, now) is found
        assert place(LATE, generation, 2, now) is after_a_late_answer


@pytest.mark.parametrize("generation", [0, 3, 4, 5, 6])
@pytest.mark.parametrize(
    ("held", "now"),
    [
        (None, START),
        (HELD._replace(epoch=1), START),
        (HELD, START + 1000),
        (HELD, START + 1001),
        (HELD._replace(absolute_expires_at=START + 10), START + 10),
        (HELD._replace(absolute_expires_at=START + 10), START + 11),
        (HELD._replace(epoch=3), START + 1000),  # a limit ends a session, whatever its epoch
    ],
)
def test_dead_sessions_are_not_stolen(held: Session | None, now: int, generation: int) -> None:
    """Gone, of a revoked epoch or over a limit: nothing is left to steal, so no token of it is theft."""
    assert place(held, generation, epoch=2, now=now) is Place.DEAD


@pytest.mark.parametrize("generation", [3, 4, 5, 6])
def test_newer_epoch_is_not_theft(generation: int) -> None:
    """A session that a password change has moved along is judged after the account was read again."""
    assert place(HELD._replace(epoch=3), generation, epoch=2, now=START) is Place.EPOCH_MOVED


@pytest.mark.parametrize("held", [HELD, LATE])
@pytest.mark.parametrize("floor", [1, 3, 4, 5])
def test_floor_comes_first(held: Session, floor: int) -> None:
    """What stands under the floor is dead, whatever it would be otherwise; the floor itself has its place."""
    renewed = held._replace(floor=floor)
    for generation in range(7):
        unfloored = place(held, generation, 2, START)
        assert place(renewed, generation, 2, START) is (Place.DEAD if generation < floor else unfloored)
    # In another epoch too: the account that is read again makes nothing of it.
    assert place(renewed._replace(epoch=3), floor - 1, 2, START) is Place.DEAD


@pytest.mark.parametrize(
    ("found", "own", "held", "inside", "after"),
    [
        # the generation held: itself again; the key is turned
        (Place.HELD, True, HELD, Answer.ITSELF, Answer.TURN),
        (Place.HELD, False, HELD, Answer.ITSELF, Answer.TURN),
        (Place.HELD, True, LATE, Answer.ITSELF, Answer.TURN),
        (Place.HELD, False, LATE, Answer.ITSELF, Answer.TURN),
        # its predecessor: the same successor; a late answer to its own device, once until the held token turns
        (Place.PREDECESSOR, True, HELD, Answer.SUCCESSOR, Answer.LATE),
        (Place.PREDECESSOR, False, HELD, Answer.SUCCESSOR, Answer.THEFT),
        (Place.PREDECESSOR, True, LATE, Answer.SUCCESSOR, Answer.THEFT),
        (Place.PREDECESSOR, False, LATE, Answer.SUCCESSOR, Answer.THEFT),
        # the token that got the late answer: the same successor, to its own device alone
        (Place.LATE_BASE, True, LATE, Answer.SUCCESSOR, Answer.SUCCESSOR),
        (Place.LATE_BASE, False, LATE, Answer.THEFT, Answer.THEFT),
        # everything older is theft
        (Place.OLDER, True, HELD, Answer.THEFT, Answer.THEFT),
        (Place.OLDER, False, HELD, Answer.THEFT, Answer.THEFT),
        (Place.OLDER, True, LATE, Answer.THEFT, Answer.THEFT),
    ],
)
@pytest.mark.parametrize("window", [10, 20, 60])
def test_rows_of_the_table(found: Place, own: bool, held: Session, inside: Answer, after: Answer, window: int) -> None:  # noqa: FBT001  # a column of the table above
    """Each row, with the window's exact ends: its last second is inside, and so is a clock that is behind."""
    for age in (-5, 0, 1, window - 1, window):
        assert answer(found, held, START + age, window, own_device=own) is inside, age
    for age in (window + 1, 10 * window, 90 * DAY):
        assert answer(found, held, START + age, window, own_device=own) is after, age


@pytest.mark.parametrize("age", [-5, 0, 1, 9, 10, 61])
@pytest.mark.parametrize("own", [True, False])
def test_window_of_0_turns_always_and_answers_nobody_twice(age: int, *, own: bool) -> None:
    """Nothing is inside it, not even at once, and there is no late answer."""
    for held in (HELD, LATE):
        assert answer(Place.HELD, held, START + age, 0, own_device=own) is Answer.TURN
        for found in (Place.PREDECESSOR, Place.LATE_BASE, Place.OLDER):
            assert answer(found, held, START + age, 0, own_device=own) is Answer.THEFT


@pytest.mark.parametrize("age", [-5, 0, 1, WINDOW, WINDOW + 1])
def test_session_that_was_never_turned_turns_at_once(age: int) -> None:
    """The first refresh may come a moment after the login: no turn has begun a window."""
    new = HELD._replace(generation=0)
    assert not is_inside(new, START + age, WINDOW)
    assert answer(Place.HELD, new, START + age, WINDOW, own_device=False) is Answer.TURN


def test_renewal_begins_a_window() -> None:
    """A session that a renewal alone has turned answers its new token with itself: two tabs need not differ."""
    renewed = HELD._replace(generation=1, floor=1, wrapped=b"")
    assert place(renewed, 1, 2, START) is Place.HELD
    assert answer(Place.HELD, renewed, START, WINDOW, own_device=False) is Answer.ITSELF
    assert place(renewed, 0, 2, START) is Place.DEAD


@pytest.mark.parametrize("found", [Place.DEAD, Place.EPOCH_MOVED, Place.NEWER])
def test_no_answer_where_no_secret_is_right(found: Place) -> None:
    """Asking for it is a fault of the caller's: it raises, and never comes to an answer."""
    with pytest.raises(ValueError, match=found.value):
        answer(found, HELD, START, WINDOW, own_device=True)


@pytest.mark.parametrize(
    ("before", "kept", "often"),
    [
        ((), (0,), False),
        ((-1,), (-1, 0), False),
        ((-2, -1), (-1, 0), True),
        ((-OFTEN_SECONDS, -1), (-1, 0), True),
        ((-OFTEN_SECONDS - 1, -1), (-1, 0), False),
        ((-OFTEN_SECONDS - 1, -OFTEN_SECONDS), (-OFTEN_SECONDS, 0), False),
        ((0, 0), (0, 0), True),
        ((5, 5), (5, 0), True),  # this container's clock is behind
    ],
)
def test_third_late_answer_within_7_days_is_often(before: tuple[int, ...], kept: tuple[int, ...], often: bool) -> None:  # noqa: FBT001  # a column of the table above
    """To the second; the times of the last two are kept, which is all that the next one needs."""
    held = HELD._replace(late_at=tuple(START + second for second in before))
    assert late_answers(held, START) == (tuple(START + second for second in kept), often)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=4 * DAY), max_size=12))
def test_series_of_late_answers(gaps: list[int]) -> None:
    """Each that is the third within 7 days is told, and no other; never more than two times are kept."""
    held, at, all_times = HELD, START, []
    for gap in gaps:
        at += gap
        all_times.append(at)
        kept, often = late_answers(held, at)
        assert kept == tuple(all_times[-2:])
        assert often is (sum(at - OFTEN_SECONDS <= time <= at for time in all_times) >= 3)
        held = held._replace(late_at=kept)


@settings(max_examples=1000, deadline=None)
@given(
    generation=st.integers(min_value=0, max_value=9),
    held=st.integers(min_value=0, max_value=8),
    floor=st.integers(min_value=0, max_value=8),
    late=st.booleans(),
    epoch=st.integers(min_value=0, max_value=4),
    now=st.one_of(st.integers(START - 10, START + 70), st.integers(START - 100, START + 2100)),
    window=st.sampled_from([0, 10, 20, 60]),
    own=st.booleans(),
)
def test_who_goes_on_and_what_is_theft(
    generation: int, held: int, floor: int, epoch: int, now: int, window: int, *, late: bool, own: bool
) -> None:
    """Whatever the numbers: nothing of a dead session goes on or is theft, and who comes too late must be at home."""
    session = HELD._replace(generation=held, floor=min(floor, held))
    if late and held - 2 >= session.floor:
        session = session._replace(late_base=held - 2, late_wrapped=b"l" * 32, late_at=(START,))
    found = place(session, generation, epoch, now)
    lives = epoch <= session.epoch and now < session.idle_expires_at and now < session.absolute_expires_at
    dead = not lives or session.epoch < epoch or generation < session.floor
    assert (found is Place.DEAD) is dead
    if found in {Place.DEAD, Place.EPOCH_MOVED, Place.NEWER}:
        assert dead or session.epoch > epoch or generation > held
        return
    assert session.epoch == epoch
    assert session.floor <= generation <= held
    came_to = answer(found, session, now, window, own_device=own)
    inside = window > 0 and held > 0 and now - session.rotated_at <= window
    behind = held - generation
    # The held token always goes on, and nothing is written for it inside the window.
    assert (came_to in {Answer.ITSELF, Answer.TURN}) is (behind == 0)
    assert (came_to is Answer.ITSELF) is (behind == 0 and inside)
    # What is given twice goes to the predecessor inside the window, and to the owner's device that was answered late.
    answered_late = behind == 2 and session.late_base == generation and own and window > 0
    assert (came_to is Answer.SUCCESSOR) is ((behind == 1 and inside) or answered_late)
    # A late answer is to the session's own device, after the window, and never follows another one.
    assert (came_to is Answer.LATE) is (behind == 1 and not inside and own and window > 0 and session.late_base is None)
    # Everything else is theft. None of it is the held token, or its predecessor inside the window.
    if came_to is Answer.THEFT:
        assert behind >= 1
        assert not (behind == 1 and inside)
