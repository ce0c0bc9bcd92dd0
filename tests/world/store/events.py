"""Security events in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store.items.values import user_agent
from tests.world.store.table import FakeTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.events import Rank, SecurityEvent


class FakeEvents(FakeTable):
    """The EventStore of chalicelib/store/protocol.py."""

    def record_events(self, events: Sequence[SecurityEvent]) -> None:
        """Keep each under its key."""
        with self._lock:
            for event in events:
                kept = event._replace(user_agent=user_agent(event.user_agent)["S"])
                self.events[event.sub, event.at, event.id] = kept

    def list_events(self, sub: str, *, rank: Rank, now: int, limit: int) -> tuple[SecurityEvent, ...]:
        """The last ones by their keys, the last one first."""
        with self._lock:
            owned = [event for event in self.events.values() if event.sub == sub and event.rank == rank]
            shown = [event for event in owned if event.shown_at <= now]
            shown.sort(key=lambda event: (event.shown_at, event.id), reverse=True)
            return tuple(shown[:limit])
