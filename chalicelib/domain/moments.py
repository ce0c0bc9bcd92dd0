"""Moments between which an age is measured: by two clocks, because each of them alone lies about an age.

    the wall clock     steps when it is corrected. What was read while it was a day ahead would be fresh for a day.
    the steady clock   never steps back, but Lambda stops it while it freezes a container. What was read before an
                       hour of sleep would be a moment old.

So an age is what the clock says that saw more pass, and what comes from the wall clock's future has no age at all: it
is older than anything (docs/decisions/0022-ages.md).
"""

from __future__ import annotations

import math
from typing import NamedTuple

CLOCKS_DIFFER = 60  # seconds that the clock of another container may be ahead


class Moment(NamedTuple):
    """A moment of this process. `wall`: seconds since the epoch; `steady`: seconds since any moment before."""

    wall: int
    steady: float

    def since(self, earlier: Moment) -> float:
        """Seconds since the earlier moment of this process; infinite where the wall clock was set back behind it."""
        if self.wall < earlier.wall:
            return math.inf
        return max(self.wall - earlier.wall, self.steady - earlier.steady)


def is_recent(then: int, now: int, seconds: int) -> bool:
    """Whether `then`, which some container wrote down, is at most `seconds` before `now` (seconds since the epoch).

    A time that lies ahead by more than clocks differ was written by a wrong clock: it is not recent, or it would be for
    as long as that clock was ahead.
    """
    return -CLOCKS_DIFFER <= now - then <= seconds
