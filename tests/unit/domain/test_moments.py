"""Ages (regressions 37: msal-js #3786): no clock that is set, and none that sleeps, keeps anything fresh."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.crypto.keyring import COOLDOWN, KEPT, OUTLIVES
from chalicelib.domain.moments import CLOCKS_DIFFER, Moment, is_recent
from chalicelib.errors import ProviderError, Unavailable
from chalicelib.providers import remembered
from chalicelib.providers.remembered import FAILING, Remembered
from tests.world.clock import START, FrozenClock

if TYPE_CHECKING:
    from tests.unit.key_containers import Container

DAY = 86400
STEPS = [1, 59, 60, 3600, DAY, 400 * DAY]  # seconds that a clock is corrected by

# The rule -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall", "steady", "age"),
    [
        (0, 0, 0),
        (10, 10, 10),
        (10, 0.5, 10),  # frozen for most of the time
        (10, 95.5, 95.5),  # set back by 85 s, and still later than it was
        (DAY, 1, DAY),  # set ahead
        (-1, 95, math.inf),
        (-DAY, 0, math.inf),
    ],
)
def test_age_is_the_larger_one(wall: int, steady: float, age: float) -> None:
    """An age is by the clock that saw more pass. What comes from the wall clock's future is older than anything."""
    assert Moment(START + wall, 100 + steady).since(Moment(START, 100)) == age


@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans(), st.integers(-DAY, DAY)), max_size=8))
def test_no_age_is_less_than_what_passed_awake(passed: list[tuple[int, bool, int]]) -> None:
    """Whatever the wall clock is set to: an age is never less than the seconds that the container was awake."""
    clock = FrozenClock()
    began, awake = clock.moment(), 0
    for seconds, frozen, correction in passed:
        if frozen:
            clock.sleep(seconds)
        else:
            clock.advance(seconds)
            awake += seconds
        clock.step(correction)
        assert clock.moment().since(began) >= awake


@pytest.mark.parametrize(
    ("age", "recent"), [(-DAY, False), (-61, False), (-60, True), (0, True), (300, True), (301, False)]
)
def test_time_of_the_future_is_not_recent(age: int, recent: bool) -> None:  # noqa: FBT001  # a table's column
    """A time that another container wrote down may lie ahead by as much as clocks differ, and no more."""
    assert CLOCKS_DIFFER == 60
    assert is_recent(START, START + age, 300) is recent


# Keys -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", STEPS)
def test_leaked_keys_go_although_the_clock_was_ahead(container: Container, ahead: int) -> None:
    """Keys that were read while the clock was ahead are refused a minute after the leak, once it is corrected."""
    container.clock.step(ahead)
    leaked, (session,), (login,) = container.kid, container.ring.session_secrets(), container.ring.login_secrets()
    container.clock.step(-ahead)
    container.rotate(leaked=True)
    container.clock.advance(KEPT)
    assert container.ring.verification_key(leaked) is None
    assert container.ring.find_session_secret(session.id) is None
    assert login not in container.ring.login_secrets()


def test_leaked_keys_go_although_the_container_slept(container: Container) -> None:
    """Lambda freezes a container between requests, and its steady clock with it: that makes no key younger."""
    leaked = container.kid
    assert container.ring.verification_key(leaked) is not None
    container.rotate(leaked=True)
    container.clock.sleep(KEPT)
    assert container.ring.verification_key(leaked) is None


@pytest.mark.parametrize("ahead", STEPS)
def test_keys_of_a_corrected_clock_are_read_once(container: Container, ahead: int) -> None:
    """A correction costs one read, and the set is fresh for a minute again."""
    container.clock.step(ahead)
    container.ring.public_keys()
    container.clock.step(-ahead)
    for _ in range(3):
        container.ring.public_keys()
        assert container.parameters.fetches == 2


@pytest.mark.parametrize("ahead", STEPS)
def test_unknown_key_is_looked_for_although_the_clock_was_ahead(container: Container, ahead: int) -> None:
    """The cooldown between two reads is not longer by what the clock was ahead: a key that is new is found."""
    container.clock.step(ahead)
    container.ring.public_keys()
    assert container.ring.verification_key("unknown") is None
    container.clock.step(-ahead)
    container.clock.advance(COOLDOWN)
    container.rotate()
    assert container.ring.verification_key(container.published()[-1]["kid"]) is not None


@pytest.mark.parametrize("ahead", STEPS)
def test_outage_ends_the_set_although_the_clock_was_ahead(container: Container, ahead: int) -> None:
    """A set outlives an outage by an hour at most, and by nothing that the clock was ahead."""
    container.clock.step(ahead)
    container.ring.public_keys()
    container.clock.step(-ahead)
    container.parameters.away = True
    container.clock.advance(OUTLIVES)
    with pytest.raises(Unavailable):
        container.ring.public_keys()
    container.parameters.away = False
    assert container.ring.public_keys()


# Providers ------------------------------------------------------------------------------------------------------------


class Source:
    """What `Remembered` fetches: the number of times that it was asked, fresh for 100 s; or a failure."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.asked = 0
        self.fails = False
        self.remembered = Remembered(self.fetch, self.clock, outlives=1000)

    def fetch(self) -> tuple[int, int]:
        """Answer, or fail."""
        self.asked += 1
        if self.fails:
            raise ProviderError(debug="away")
        return self.asked, 100


@pytest.mark.parametrize("ahead", STEPS)
def test_provider_that_failed_once_is_back(ahead: int) -> None:
    """A failure answers for 2 s, with nothing at hand, and not for as long as the clock was ahead."""
    source = Source()
    source.fails = True
    source.clock.step(ahead)
    with pytest.raises(ProviderError):
        source.remembered.get()
    source.fails = False
    source.clock.step(-ahead)
    source.clock.advance(FAILING)
    assert source.remembered.get() == 2


@pytest.mark.parametrize("ahead", STEPS)
@pytest.mark.parametrize("read", ["get", "newer"])
def test_provider_is_asked_again_although_the_clock_was_ahead(ahead: int, read: str) -> None:
    """What was read under a clock that was ahead is fresh no longer than it would have been, nor is a forced read."""
    source = Source()
    source.clock.step(ahead)
    first = getattr(source.remembered, read)()
    source.clock.step(-ahead)
    source.clock.advance(100)
    assert getattr(source.remembered, read)() == first + 1


@pytest.mark.parametrize("ahead", STEPS)
def test_failing_provider_is_asked_again_although_the_clock_was_ahead(ahead: int) -> None:
    """With something at hand, a failure is over after its cooldown, whatever the clock did."""
    source = Source()
    source.remembered.get()
    source.clock.advance(100)
    source.fails = True
    source.clock.step(ahead)
    if ahead < 900:
        assert source.remembered.get() == 1
    else:
        with pytest.raises(ProviderError):
            source.remembered.get()
    source.fails = False
    source.clock.step(-ahead)
    source.clock.advance(remembered.COOLDOWN)
    assert source.remembered.get() == 3


def test_provider_is_asked_again_after_a_sleep() -> None:
    """A container that was frozen while the provider changed its keys asks for them."""
    source = Source()
    assert source.remembered.get() == 1
    source.clock.sleep(100)
    assert source.remembered.get() == 2
