"""Refusals from memory: they cost nothing, and hold nobody back whom the table would let through."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.callers import Caller
from chalicelib.domain.limits import HOUR, LimitPolicy
from chalicelib.domain.moments import Moment
from chalicelib.domain.sessions import Device
from chalicelib.errors import TooManyRequests
from chalicelib.services.attempts import REMEMBERED, Attempts, Refusals
from tests.flows.steps import EMAIL
from tests.world.clock import START, FrozenClock
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import RecordingAudit
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

POLICY = LimitPolicy("test", HOUR, ((1, 0),), 300)


class Forgetful(Refusals):
    """No memory at all."""

    def wait(self, policy: LimitPolicy, value: str, now: Moment) -> int:
        """Ask the table."""
        del policy, value, now
        return 0


@dataclass
class World:
    """Some containers over one table, with few free attempts."""

    memory: type[Refusals] = Refusals
    containers: int = 1
    clock: FrozenClock = field(default_factory=FrozenClock)
    audit: RecordingAudit = field(default_factory=RecordingAudit)

    def __post_init__(self) -> None:
        self.store = FaultyStore(FakeStore())
        few = {"login_attempts": 2, "address_attempts": 4, "signup_attempts": 2}
        self.attempts = [Attempts(self.store, self.clock, self.audit, **few) for _ in range(self.containers)]
        for attempts in self.attempts:
            attempts._refusals = self.memory()

    def passes(self, attempt: Callable[[], object]) -> bool:
        """Whether it is let through."""
        try:
            attempt()
        except TooManyRequests:
            return False
        return True


moves = st.tuples(
    st.sampled_from([0, 0, 0, 1, 7, 30, 59, 120, 299, 300, 1800, -1, -40, -HOUR]),  # seconds, also of a clock set back
    st.integers(0, 2),  # which container
    st.sampled_from(["one", "other"]),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(start=st.integers(START, START + HOUR), script=st.lists(moves, max_size=60))
def test_memory_changes_nothing_but_the_cost(start: int, script: list[tuple[int, int, str, bool]]) -> None:
    """With it and without it, the same attempts at the same times are let through, by however many containers."""
    outcomes: list[list[bool]] = []
    calls = []
    for memory in (Refusals, Forgetful):
        world = World(memory, containers=3, clock=FrozenClock(start))
        passed = []
        for seconds, container, who, by_device in script:
            world.clock.advance(seconds)
            attempts = world.attempts[container]
            if by_device:
                passed.append(world.passes(lambda: attempts.log_in_from(Device(who, 0), CLIENT)))  # noqa: B023
            else:
                passed.append(world.passes(lambda: attempts.sign_up(Caller(who, ""))))  # noqa: B023
        outcomes.append(passed)
        calls.append(len(world.store.calls))
    assert outcomes[0] == outcomes[1]
    assert calls[0] <= calls[1]


@settings(max_examples=200, deadline=None)
@given(
    script=st.lists(
        st.tuples(st.sampled_from([0, 0, 1, 2, 30, 300, HOUR]), st.integers(0, 2), st.integers(0, 1)), max_size=60
    )
)
def test_whatever_passes_was_counted(script: list[tuple[int, int, int]]) -> None:
    """A login that is let through has been counted by account and by address, and neither counter had refused it."""
    world = World(containers=2)
    for seconds, account, address in script:
        world.clock.advance(seconds)
        inner = world.store.inner
        assert isinstance(inner, FakeStore)
        before = dict(inner.attempts)
        client = Caller(f"192.0.2.{address}", "")
        if world.passes(lambda: world.attempts[0].log_in(f"n{account}@example.com", client)):  # noqa: B023
            changed = {key[0] for key, counter in inner.attempts.items() if before.get(key) != counter}
            counted = {key[0] for key in inner.attempts if key not in before} | changed
            assert counted == {"login-account", "login-address"}


def test_refusal_from_memory_costs_nothing() -> None:
    """One that the table has told is not asked for again until it may have changed, and the wait told gets shorter."""
    world = World()
    for _ in range(2):
        world.attempts[0].sign_up(CLIENT)
    waits = []
    for _ in range(10):
        with pytest.raises(TooManyRequests) as refused:
            world.attempts[0].sign_up(CLIENT)
        waits.append(refused.value.retry_after)
        world.clock.advance(1)
    assert waits == list(range(10, 0, -1))
    assert len(world.store.calls) == 3
    facts = [facts for _, facts in world.audit.events]
    assert [fact["from_memory"] for fact in facts] == [False] + [True] * 9
    assert {fact["what"] for fact in facts} == {"signup-address"}
    world.attempts[0].sign_up(CLIENT)


def test_refusal_ends_with_its_window() -> None:
    """A new window is a new counter: nobody is refused from memory of the last one."""
    world = World(clock=FrozenClock(START - START % HOUR + HOUR - 3))
    for _ in range(2):
        world.attempts[0].sign_up(CLIENT)
    with pytest.raises(TooManyRequests) as refused:
        world.attempts[0].sign_up(CLIENT)
    assert refused.value.retry_after == 3
    world.clock.advance(3)
    world.attempts[0].sign_up(CLIENT)


@pytest.mark.parametrize("back", [1, 299, HOUR, 25 * HOUR])
def test_clock_that_is_set_back_holds_nobody_up(back: int) -> None:
    """A refusal is not remembered for longer because the clock is corrected: the table is asked again."""
    world = World(clock=FrozenClock(START - START % HOUR + 1800))
    for _ in range(2):
        world.attempts[0].sign_up(CLIENT)
    assert not world.passes(lambda: world.attempts[0].sign_up(CLIENT))
    asked = len(world.store.calls)
    world.clock.step(-back)
    world.passes(lambda: world.attempts[0].sign_up(CLIENT))
    assert len(world.store.calls) == asked + 1


@pytest.mark.parametrize("pass_time", ["advance", "step", "sleep", "steadily"])
def test_refusal_ends_by_whichever_clock_says_so(pass_time: str) -> None:
    """The wait that was told is over when either clock has seen it pass: the table is asked then."""
    refusals, clock = Refusals(), FrozenClock()
    refusals.remember(POLICY, "first", clock.moment(), 10)
    for seconds, left in ((4, 6), (5, 1), (1, 0)):
        if pass_time == "steadily":
            clock.steady_ahead += seconds
        else:
            getattr(clock, pass_time)(seconds)
        assert refusals.wait(POLICY, "first", clock.moment()) == left


def test_account_keeps_its_slot() -> None:
    """An address that is known to be refused does not use up the slot of the account that it guesses at."""
    world = World()
    guesser = Caller("203.0.113.1", "")
    for number in range(4):
        world.attempts[0].log_in(f"n{number}@example.com", guesser)
    assert not world.passes(lambda: world.attempts[0].log_in("fresh@example.com", guesser))
    for _ in range(20):
        assert not world.passes(lambda: world.attempts[0].log_in(EMAIL, guesser))
    assert isinstance(world.store.inner, FakeStore)
    assert all(value != EMAIL for _, value, _ in world.store.inner.attempts)
    assert world.passes(lambda: world.attempts[0].log_in(EMAIL, CLIENT))


def test_longer_wait_is_told() -> None:
    """Where account and address both refuse, the caller hears of the one that takes longer."""
    world = World()
    for _ in range(2):
        world.attempts[0].log_in(EMAIL, CLIENT)
    for number in range(2):
        world.attempts[0].log_in(f"n{number}@example.com", CLIENT)
    for _ in range(2):  # by the table, then from memory
        with pytest.raises(TooManyRequests) as refused:
            world.attempts[0].log_in(EMAIL, CLIENT)
        assert (refused.value.policy, refused.value.retry_after) == ("login-account", 30)


def test_what_goes_beside_is_not_done_for_a_refusal_from_memory() -> None:
    """A login at a provider that is refused so keeps nothing, and a password change reads nothing."""
    world, done = World(), []
    for _ in range(4):
        world.attempts[0].log_in_at_provider(CLIENT, None, lambda: done.append("counted"))
    for _ in range(3):
        assert not world.passes(
            lambda: world.attempts[0].log_in_at_provider(CLIENT, None, lambda: done.append("refused"))
        )
    assert done == ["counted"] * 4 + ["refused"]


def test_memory_is_bounded() -> None:
    """The oldest goes first; one that is told again is young again."""
    refusals = Refusals()
    now, later = Moment(START, 0), Moment(START + 1, 1)
    refusals.remember(POLICY, "first", now, 300)
    refusals.remember(POLICY, "second", now, 300)
    refusals.remember(POLICY, "first", later, 299)
    for number in range(REMEMBERED - 1):
        refusals.remember(POLICY, f"n{number}", now, 300)
    assert refusals.wait(POLICY, "second", later) == 0
    assert refusals.wait(POLICY, "first", later) == 299
    assert len(refusals._refused) == REMEMBERED


def test_memory_is_safe_between_threads() -> None:
    """Threads that fill it, read it and let it forget do not break it."""
    refusals, broken = Refusals(), []

    def work(number: int) -> None:
        try:
            for turn in range(3000):
                refusals.remember(POLICY, f"{number}-{turn}", Moment(START, 0), 1 + turn % 3)
                refusals.wait(POLICY, f"{number}-{turn - turn % 7}", Moment(START + turn % 5, 0))
        except Exception as error:  # noqa: BLE001  # told on the main thread
            broken.append(error)

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    assert len(refusals._refused) <= REMEMBERED
