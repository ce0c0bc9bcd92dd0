"""The limiter's counters in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world.store.table import FakeTable

if TYPE_CHECKING:
    from chalicelib.domain.limits import LimitPolicy


class FakeLimits(FakeTable):
    """The LimitStore of chalicelib/store/protocol.py."""

    def count_attempt(self, policy: LimitPolicy, value: str, now: int) -> int:
        """Count if the spacing has passed; else the seconds to wait."""
        key = (policy.kind, value, policy.window_start(now))
        with self._lock:
            attempts, last_at = self.attempts.get(key, (0, 0))
            spacing = policy.spacing(attempts) if attempts else 0
            if spacing and now - last_at < spacing:  # without a spacing, a clock that went back holds nobody up
                return policy.retry_after(attempts, last_at, now)
            self.attempts[key] = (attempts + 1, now)
            return 0

    def return_attempt(self, policy: LimitPolicy, value: str, now: int) -> None:
        """Count one less, and free the slot that it had used."""
        key = (policy.kind, value, policy.window_start(now))
        with self._lock:
            attempts, _ = self.attempts.get(key, (0, 0))
            if attempts:
                self.attempts[key] = (attempts - 1, now - policy.final_spacing)
