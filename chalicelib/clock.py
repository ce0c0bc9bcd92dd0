"""The system's clocks."""

from __future__ import annotations

import time

from chalicelib.domain.moments import Moment


class SystemClock:
    """ports.Clock."""

    def now(self) -> int:
        """Whole seconds since the epoch, in UTC."""
        return int(time.time())

    def moment(self) -> Moment:
        """Read the time by the wall clock and by the clock that never steps back."""
        return Moment(self.now(), time.monotonic())
