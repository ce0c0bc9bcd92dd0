"""The system's clock."""

from __future__ import annotations

import time


class SystemClock:
    """ports.Clock."""

    def now(self) -> int:
        """Whole seconds since the epoch, in UTC."""
        return int(time.time())
