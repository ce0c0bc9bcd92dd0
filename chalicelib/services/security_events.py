"""Security events: what was decided about an account, for its owner to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.services.together import together

if TYPE_CHECKING:
    from chalicelib.domain.records import Principal, SecurityEvent
    from chalicelib.ports import Clock
    from chalicelib.store.protocol import Store

SHOWN = 50


@dataclass(slots=True, eq=False, repr=False)
class SecurityEvents:
    """The one use case: the owner's own events."""

    store: Store
    clock: Clock

    def list(self, principal: Principal) -> list[SecurityEvent]:
        """The principal's last pinned and other events that have not expired, 50 together, the newest first.

        What is not shown yet changes nothing here: a list that told of a refresh at once would tell a thief when the
        key was turned.
        """
        now = self.clock.now()
        pinned, others = together(
            lambda: self.store.list_events(principal.sub, pinned=True, now=now, limit=SHOWN),
            lambda: self.store.list_events(principal.sub, pinned=False, now=now, limit=SHOWN),
        )
        events = [event for event in (*pinned, *others)[:SHOWN] if event.expires_at > now]
        return sorted(events, key=lambda event: (event.at, event.id), reverse=True)
