"""The contract of count_attempt and return_attempt: the policy's delays, as one condition of one write each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.limits import LimitPolicy
from tests.store.samples import NOW, identifier

if TYPE_CHECKING:
    from chalicelib.store.protocol import Store

HOUR = 3600
START = NOW - NOW % HOUR
POLICY = LimitPolicy("test", HOUR, ((3, 0), (5, 30)), 300)


def let_through(store: Store, value: str, moments: list[int], policy: LimitPolicy = POLICY) -> None:
    """Count an attempt at each moment; all of them must pass."""
    for moment in moments:
        assert store.count_attempt(policy, value, moment) == 0


def test_first_attempts_pass_at_once(store: Store) -> None:
    """As many as the first tier allows may come in one second; the next one waits its spacing."""
    value = identifier()
    let_through(store, value, [START] * 3)
    assert store.count_attempt(POLICY, value, START) == 30


@pytest.mark.parametrize(("waited", "answer"), [(0, 30), (1, 29), (29, 1), (30, 0), (31, 0)])
def test_spacing_is_exact(store: Store, waited: int, answer: int) -> None:
    """A refusal names the seconds that are left, and exactly then the attempt passes."""
    value = identifier()
    let_through(store, value, [START] * 3)
    assert store.count_attempt(POLICY, value, START + waited) == answer


def test_delays_grow_up_to_the_final_one(store: Store) -> None:
    """After the last tier every attempt waits the final spacing, and no more."""
    value = identifier()
    let_through(store, value, [START, START, START, START + 30, START + 60])
    assert store.count_attempt(POLICY, value, START + 90) == 270
    let_through(store, value, [START + 360, START + 660, START + 960])
    assert store.count_attempt(POLICY, value, START + 961) == 299


def test_refused_attempts_are_not_counted(store: Store) -> None:
    """Whoever hammers neither lengthens the wait nor moves to the next tier."""
    value = identifier()
    let_through(store, value, [START] * 3)
    for second in range(1, 30):
        assert store.count_attempt(POLICY, value, START + second) == 30 - second
    let_through(store, value, [START + 30, START + 60])


def test_window_ends_every_delay(store: Store) -> None:
    """Nobody is locked out for good: the next window starts from nothing, and no wait reaches beyond it."""
    value = identifier()
    let_through(store, value, [START] * 3 + [START + 30, START + HOUR - 10])
    assert store.count_attempt(POLICY, value, START + HOUR - 9) == 9
    let_through(store, value, [START + HOUR] * 3)


def test_values_and_kinds_are_counted_apart(store: Store) -> None:
    """One value's attempts delay no other value, and no other limiter."""
    value, other = identifier(), identifier()
    let_through(store, value, [START] * 3)
    let_through(store, other, [START] * 3)
    let_through(store, value, [START] * 3, LimitPolicy("other", HOUR, ((3, 0),), 300))


def test_policy_without_tiers_spaces_every_attempt(store: Store) -> None:
    """The first one passes; each further one waits the final spacing."""
    value = identifier()
    policy = LimitPolicy("bare", HOUR, (), 60)
    let_through(store, value, [START], policy)
    assert store.count_attempt(policy, value, START + 1) == 59
    let_through(store, value, [START + 60], policy)


def test_clock_that_runs_behind_passes_nothing_early(store: Store) -> None:
    """A container whose clock is behind the last attempt's refuses within the window."""
    value = identifier()
    let_through(store, value, [START + 100] * 3)
    assert store.count_attempt(POLICY, value, START + 95) == 35


# Attempts that are given back ----------------------------------------------------------------------------------------


def test_attempt_given_back_was_not_made(store: Store) -> None:
    """As many as are given back pass again, and not one more."""
    value = identifier()
    let_through(store, value, [START] * 3)
    for _ in range(2):
        store.return_attempt(POLICY, value, START)
    let_through(store, value, [START] * 2)
    assert store.count_attempt(POLICY, value, START) == 30


@pytest.mark.parametrize("before", [3, 4, 5, 7])
def test_slot_of_an_attempt_given_back_is_free(store: Store, before: int) -> None:
    """Beyond the free attempts the next one need not wait again, and takes the slot for the same spacing as before."""
    value, moment = identifier(), START
    let_through(store, value, [START] * 3)
    for number in range(3, before):
        moment += POLICY.spacing(number)
        let_through(store, value, [moment])
    moment += POLICY.spacing(before)
    let_through(store, value, [moment])
    wait = store.count_attempt(POLICY, value, moment)
    store.return_attempt(POLICY, value, moment)
    let_through(store, value, [moment])
    assert store.count_attempt(POLICY, value, moment) == wait > 0


def test_no_more_is_given_back_than_was_counted(store: Store) -> None:
    """Neither an attempt too many, nor one where no attempt was counted, gives anybody a free attempt."""
    value = identifier()
    store.return_attempt(POLICY, value, START)
    let_through(store, value, [START])
    for _ in range(5):
        store.return_attempt(POLICY, value, START)
    let_through(store, value, [START] * 3)
    assert store.count_attempt(POLICY, value, START) == 30


def test_other_counters_keep_what_they_have_counted(store: Store) -> None:
    """What is given back is of one value, one limiter and the window in which it was counted."""
    value, other = identifier(), identifier()
    another = LimitPolicy("other", HOUR, ((3, 0), (5, 30)), 300)
    let_through(store, value, [START + HOUR - 1] * 3 + [START + HOUR] * 3)
    let_through(store, other, [START + HOUR] * 3)
    let_through(store, value, [START + HOUR] * 3, another)
    store.return_attempt(POLICY, value, START + HOUR - 1)
    assert store.count_attempt(POLICY, value, START + HOUR) == 30
    assert store.count_attempt(POLICY, other, START + HOUR) == 30
    assert store.count_attempt(another, value, START + HOUR) == 30


def test_policy_without_tiers_frees_its_slot(store: Store) -> None:
    """Where every attempt is spaced, one that was given back holds nobody up."""
    value = identifier()
    policy = LimitPolicy("bare", HOUR, (), 60)
    let_through(store, value, [START], policy)
    store.return_attempt(policy, value, START)
    let_through(store, value, [START], policy)
    assert store.count_attempt(policy, value, START + 1) == 59
