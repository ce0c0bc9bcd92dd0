"""Something fetched from elsewhere: kept while it is fresh, kept longer while its source is away.

read      fresh until                        outlives
|---------|----------------------------------|
| kept    | fetched again; where that fails, | where that fails, so does the request
|         | kept, and not tried for COOLDOWN |
"""

from __future__ import annotations

from threading import TIMEOUT_MAX, Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from chalicelib import deadline
from chalicelib.domain.moments import Moment
from chalicelib.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.ports import Clock

T = TypeVar("T")

COOLDOWN = 60  # seconds between two fetches that a failing source can cause, and `newer` where nothing else is said
FAILING = 2  # seconds that a failure answers for, where nothing is at hand: a crowd must not wait in turn


class Remembered(Generic[T]):
    """Remembers what `fetch` returns with the seconds that it stays fresh. Safe to share between threads.

    Unavailable, which ProviderError is too, means that the source is away: what it answered last goes on for
    `outlives` seconds after it was read. Any other error goes through. `cooldown` are the seconds between two fetches
    that `newer` can cause.
    """

    def __init__(
        self, fetch: Callable[[], tuple[T, int]], clock: Clock, *, outlives: int, cooldown: int = COOLDOWN
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._outlives = outlives
        self._cooldown = cooldown
        self._lock = Lock()
        self._held: tuple[T] | None = None
        self._read_at = Moment(0, 0)
        self._fresh_for = 0
        self._failure: Unavailable | None = None
        self._failed_at = Moment(0, 0)
        self._forced_at: Moment | None = None

    def get(self) -> T:
        """What is remembered, fetched first where it must be. Raises what `fetch` raises."""
        with _Turn(self._lock):
            now = self._clock.moment()
            if self._held is not None and now.since(self._read_at) < self._fresh_for:
                return self._held[0]
            return self._refetch(now, COOLDOWN)

    def newer(self) -> T:
        """The same, fetched again even if it is fresh: at most once a cooldown, so that a storm causes one fetch."""
        with _Turn(self._lock):
            now = self._clock.moment()
            cold = self._forced_at is None or now.since(self._forced_at) >= self._cooldown
            if self._held is not None and now.since(self._read_at) < self._fresh_for and not cold:
                return self._held[0]
            self._forced_at = now
            return self._refetch(now, self._cooldown)

    def _refetch(self, now: Moment, patience: int) -> T:
        """Fetch, if the source has not failed within `patience` seconds or nothing is at hand."""
        failing = now.since(self._failed_at) if self._failure is not None else None
        if self._held is None or now.since(self._read_at) >= self._outlives:
            if self._failure is not None and failing is not None and failing < FAILING:
                # A new one: raising the same object on many threads would chain their tracebacks.
                raise type(self._failure)(debug=f"{self._failure.debug} (a moment ago)")
            return self._read(now)
        if failing is not None and failing < patience:
            return self._held[0]
        try:
            # The request goes on with what is at hand: a source that hangs must not use its time up.
            with deadline.start(deadline.ONE_ATTEMPT_SECONDS):
                return self._read(now)
        except Unavailable:
            return self._held[0]

    def _read(self, now: Moment) -> T:
        try:
            value, lifetime = self._fetch()
        except Unavailable as error:
            # When it failed, and not when it was asked: a source that hangs has used FAILING up by then.
            self._failure, self._failed_at = error, self._clock.moment()
            raise
        self._held, self._read_at, self._fresh_for, self._failure = (value,), now, lifetime, None
        return value


class _Turn:
    """Waits for the lock no longer than the request may."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=min(max(deadline.remaining(), 0), TIMEOUT_MAX)):
            raise Unavailable(debug="somebody else's fetch takes too long")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
