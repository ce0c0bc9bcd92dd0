"""What is fetched is kept while it is fresh, and longer while its source is away."""

from __future__ import annotations

import threading
import time

import pytest

from chalicelib import deadline
from chalicelib.errors import ConfigurationError, ProviderError, Unavailable
from chalicelib.providers.remembered import COOLDOWN, FAILING, Remembered
from tests.world.clock import FrozenClock

FRESH = 100
OUTLIVES = 1000


class Source:
    """Counts what it is asked, and answers with the number of times."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.asked = 0
        self.failure: Exception | None = None
        self.left: list[float] = []
        self.remembered = Remembered(self.fetch, self.clock, outlives=OUTLIVES)

    def fetch(self) -> tuple[int, int]:
        """Answer, or fail."""
        self.asked += 1
        self.left.append(deadline.remaining())
        if self.failure is not None:
            raise self.failure
        return self.asked, FRESH


@pytest.fixture
def source() -> Source:
    """A source that nobody has asked yet."""
    return Source()


def test_fresh_is_not_fetched(source: Source) -> None:
    """Within its lifetime everybody gets what was fetched; afterwards it is fetched again."""
    for _ in range(FRESH):
        assert source.remembered.get() == 1
        source.clock.advance(1)
    assert source.remembered.get() == 2
    assert source.asked == 2


@pytest.mark.parametrize("failure", [Unavailable(debug="away"), ProviderError(debug="broken")])
def test_last_good_goes_on(source: Source, failure: Exception) -> None:
    """While the source is away, what it said last goes on until it is too old, and is then no more."""
    source.remembered.get()
    source.failure = failure
    source.clock.advance(FRESH)
    while source.clock.now() < FrozenClock().now() + OUTLIVES:
        assert source.remembered.get() == 1
        assert source.remembered.newer() == 1
        source.clock.advance(10)
    for read in (source.remembered.get, source.remembered.newer):
        with pytest.raises(type(failure)):
            read()


def test_failing_source_is_asked_once_a_cooldown(source: Source) -> None:
    """With something at hand, a source that fails is not asked at every request: it would slow all of them."""
    source.remembered.get()
    source.failure = Unavailable()
    source.clock.advance(FRESH)
    for _ in range(2 * COOLDOWN):
        source.remembered.get()
        source.remembered.newer()
        source.clock.advance(1)
    assert source.asked == 1 + 2


def test_end_of_an_outage_is_noticed(source: Source) -> None:
    """Once the source answers again, what it says now is what counts, and its lifetime begins anew."""
    source.remembered.get()
    source.failure = Unavailable()
    source.clock.advance(FRESH)
    source.remembered.get()
    source.failure = None
    source.clock.advance(COOLDOWN)
    assert source.remembered.get() == 3
    source.clock.advance(FRESH - 1)
    assert source.remembered.get() == 3


def test_failure_answers_for_a_moment(source: Source) -> None:
    """With nothing at hand, a failure answers for 2 s in its own class: a crowd must not wait one after the other."""
    source.failure = ProviderError(debug="broken")
    for _ in range(5):
        for read in (source.remembered.get, source.remembered.newer):
            with pytest.raises(ProviderError, match="broken"):
                read()
    assert source.asked == 1
    source.clock.advance(FAILING - 1)
    with pytest.raises(ProviderError):
        source.remembered.get()
    assert source.asked == 1
    source.failure = None
    source.clock.advance(1)
    assert source.remembered.get() == 2


def test_failure_counts_from_its_end(source: Source) -> None:
    """A fetch that hangs for longer than a failure is remembered still answers for those who waited."""

    def hang() -> tuple[int, int]:
        source.asked += 1
        source.clock.advance(FAILING)
        raise Unavailable

    remembered = Remembered(hang, source.clock, outlives=OUTLIVES)
    for _ in range(3):
        with pytest.raises(Unavailable):
            remembered.get()
    assert source.asked == 1


def test_newer_is_fetched_once_a_cooldown(source: Source) -> None:
    """Somebody who needs a newer one gets it at once, and a storm of them causes one fetch a cooldown."""
    assert source.remembered.get() == 1
    for _ in range(10):
        assert source.remembered.newer() == 2
    source.clock.advance(COOLDOWN - 1)
    assert source.remembered.newer() == 2
    source.clock.advance(1)
    assert source.remembered.newer() == 3
    assert source.remembered.get() == 3


def test_cooldown_of_its_own(source: Source) -> None:
    """A shorter cooldown is that of `newer` alone, also while the source fails: `get` goes on with what is at hand."""
    remembered = Remembered(source.fetch, source.clock, outlives=OUTLIVES, cooldown=5)
    remembered.get()
    source.failure = ProviderError(debug="broken")
    for _ in range(3):
        for _ in range(5):
            assert remembered.newer() == 1
            source.clock.advance(1)
    assert source.asked == 1 + 3
    source.clock.advance(FRESH)
    remembered.get()
    source.clock.advance(5)
    remembered.get()
    assert source.asked == 1 + 3 + 1
    source.failure = None
    assert remembered.newer() == 6


def test_failure_is_forgotten(source: Source) -> None:
    """A failure that is over holds nobody up who needs a newer one."""
    source.failure = Unavailable()
    with pytest.raises(Unavailable):
        source.remembered.get()
    source.failure = None
    source.clock.advance(FAILING)
    assert source.remembered.get() == 2
    assert source.remembered.newer() == 3


def test_newer_without_any(source: Source) -> None:
    """The first one is new."""
    assert source.remembered.newer() == 1
    assert source.remembered.newer() == 1


def test_other_errors_go_through(source: Source) -> None:
    """What only an operator can mend is told every time, and hides behind nothing that was good before."""
    source.remembered.get()
    source.failure = ConfigurationError(debug="missing")
    source.clock.advance(FRESH)
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            source.remembered.get()
    assert source.asked == 3


def test_source_that_hangs_leaves_time(source: Source) -> None:
    """With something at hand the source gets a part of the request's time; without, all of it."""
    with deadline.start(2.0):
        source.remembered.get()
        source.clock.advance(FRESH)
        source.remembered.get()
    assert source.left[0] > 1.5
    assert source.left[1] <= deadline.ONE_ATTEMPT_SECONDS


def test_nobody_waits_beyond_the_deadline(source: Source) -> None:
    """A request whose time ends while another one fetches is answered then, and the fetch goes on."""
    fetching, over = threading.Event(), threading.Event()

    def slow() -> tuple[int, int]:
        fetching.set()
        over.wait(10)
        return 1, FRESH

    remembered = Remembered(slow, source.clock, outlives=OUTLIVES)
    first = threading.Thread(target=remembered.get)
    first.start()
    fetching.wait(5)
    began = time.monotonic()
    with deadline.start(0.05), pytest.raises(Unavailable):
        remembered.get()
    assert time.monotonic() - began < 2
    over.set()
    first.join()
    assert remembered.get() == 1
