"""A store that lets another request run whole at a chosen call."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

from tests.world.faults import FaultyStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.store.protocol import Store


class RacedStore(FaultyStore):
    """Runs `rival` whole before or after the chosen call; notes each call as done in `timeline`, which both share."""

    def __init__(self, inner: Store, side: str, timeline: list[tuple[str, str]]) -> None:
        super().__init__(inner)
        self.side, self.timeline = side, timeline
        self.before: int | None = None
        self.after: int | None = None
        self.rival: Callable[[], None] = lambda: None
        self._turn = RLock()

    def _call(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._turn:  # calls that are made at once are raced one by one
            position = len(self.calls)
            if position == self.before:
                self.rival()
            outcome = super()._call(verb, *args, **kwargs)
            self.timeline.append((self.side, verb.__name__))
            if position == self.after:
                self.rival()
            return outcome
