"""Security events: what was decided about an account, for its owner to read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.services.in_parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Principal
    from chalicelib.domain.events import Rank, SecurityEvent
    from chalicelib.ports import Clock
    from chalicelib.store.protocol import EventStore

SHOWN = 50


@dataclass(slots=True, eq=False, repr=False)
class SecurityEvents:
    """The one use case: the owner's own events."""

    store: EventStore
    clock: Clock

    def list(self, principal: Principal) -> list[SecurityEvent]:
        """50 of the principal's events that have not expired, the newest first.

        Changes of who may get in are chosen first, then other alarms, then all others, and the last ones of each.
        Whoever can make 50 alarms, or 50 logins, hides no change of access behind them.

        What is not shown yet changes nothing here: a list that told of a refresh at once would tell a thief when the
        key was turned.
        """
        now = self.clock.now()

        def last(rank: Rank) -> Callable[[], tuple[SecurityEvent, ...]]:
            return partial(self.store.list_events, principal.sub, rank=rank, now=now, limit=SHOWN)

        changes, alarms, others = in_parallel(last("access"), last("alarm"), last("other"))
        living = [event for event in (*changes, *alarms, *others) if event.expires_at > now]
        return sorted(living[:SHOWN], key=lambda event: (event.at, event.id), reverse=True)
