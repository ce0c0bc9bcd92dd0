"""The clock of the tests: it stands until a test moves it."""

from __future__ import annotations

import time

from chalicelib.domain.moments import Moment

START = 1_800_000_000  # a moment at which every test's clock stands


class FrozenClock:
    """Clocks that move when told to: together, or the wall clock or the steady clock alone."""

    def __init__(self, now: int = START) -> None:
        self.time = now
        self.steady_ahead = 0.0

    def now(self) -> int:
        """The time it was set to."""
        return self.time

    def moment(self) -> Moment:
        """The time it was set to, by both clocks."""
        return Moment(self.now(), self.now() + self.steady_ahead)

    def advance(self, seconds: int) -> None:
        """Time passes."""
        self.time += seconds

    def step(self, seconds: int) -> None:
        """The wall clock is corrected by so many seconds, or back where they are negative. No time passes."""
        self.time += seconds
        self.steady_ahead -= seconds

    def sleep(self, seconds: int) -> None:
        """Time passes while the container is frozen, and its steady clock with it."""
        self.step(seconds)


def wall_clock() -> FrozenClock:
    """A clock that stands at the machine's time, for engines that look at expiry themselves."""
    return FrozenClock(int(time.time()))
