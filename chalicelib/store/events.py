"""Users' security events on the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store import keys, requests
from chalicelib.store.calls import send, write_batch
from chalicelib.store.items.events import event_from, event_item
from chalicelib.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.events import Rank, SecurityEvent

_BATCH = 25  # items that BatchWriteItem takes


class EventVerbs(Table):
    """The EventStore (protocol.py) on the table."""

    def record_events(self, events: Sequence[SecurityEvent]) -> None:
        """Put 25 at a time, a write unit each."""
        kept = list({(event.sub, event.at, event.id): event_item(event) for event in events}.values())
        for start in range(0, len(kept), _BATCH):
            write_batch(self._client, requests.put_all(self._table, kept[start : start + _BATCH]))

    def list_events(self, sub: str, *, rank: Rank, now: int, limit: int) -> tuple[SecurityEvent, ...]:
        """Read the end of a range: half a unit for each 4 KB. Fifty of them are no second page (1 MB)."""
        bounds = keys.events_until(now, rank=rank)
        request = requests.read_range(self._table, keys.events(sub), bounds, limit, backwards=True)
        return tuple(event_from(item) for item in send(self._client.query, request)["Items"])
