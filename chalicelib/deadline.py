"""How long a request may wait for what it depends on: 2.5 s overall, so that its answer goes out within 3 s.

    0 s        start()                    1.5 s                 2.5 s
    |  attempts may begin                 |  none begins         |  the last attempt has ended
    |-------------------------------------|----------------------|

API Gateway gives up after 29 s and botocore waits 60 s by default, so every client made here is bounded: each attempt
by its timeouts, and all attempts of one request by the deadline that the handlers start. Threads that run in a copy of
the request's context share its deadline. Outside a request (deployment) there is none.

Waiting for an identity provider, which is slower than AWS and another company's, has a budget of its own: `elsewhere`.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, Protocol

from chalicelib.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUEST_SECONDS = 2.5
CONNECT_SECONDS = 0.5
READ_SECONDS = 1.0
ATTEMPTS = 2
PROVIDER_SECONDS = 2.3  # for all calls to an identity provider in one request: with our own 2.5 under 5 s
ONE_ATTEMPT_SECONDS = 1.1  # for what a request can do without: one attempt, and time left for the rest

# What an attempt needs to be worth beginning: time to connect, and as long again to hear the answer.
_ATTEMPT_SECONDS = 1.0

# Seconds that the current request has spent on identity providers; None outside a request.
_spent: ContextVar[float | None] = ContextVar("spent", default=None)

# The monotonic moment at which the current request must be done waiting. The machine's own stopwatch, not the Clock:
# it measures how long something takes and never says what time it is.
_end: ContextVar[float] = ContextVar("deadline", default=math.inf)


class Events(Protocol):
    """The part of a botocore client's event system that is used here."""

    def register_first(self, event_name: str, handler: Callable[..., Any]) -> None:
        """Call `handler` at the event, before every handler that was registered without this wish."""


@contextmanager
def start(seconds: float = REQUEST_SECONDS) -> Iterator[None]:
    """Give everything inside `seconds` from now to spend on dependencies, and no more than is left outside."""
    outer = _end.set(min(_end.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _end.reset(outer)


@contextmanager
def request() -> Iterator[None]:
    """Give everything inside a request's time, and a provider's beside it."""
    outer = _spent.set(0)
    try:
        with start():
            yield
    finally:
        _spent.reset(outer)


@contextmanager
def outside(seconds: float | None = None) -> Iterator[None]:
    """Give everything inside the rest of the provider's time. The request's own time stays as it is.

    `seconds` is a provider's own setting, for all its calls in one request; without it, PROVIDER_SECONDS.
    """
    began, outer, spent_before = time.monotonic(), _end.get(), _spent.get()
    token = _end.set(began + (seconds or PROVIDER_SECONDS) - (spent_before or 0))
    try:
        yield
    finally:
        spent = time.monotonic() - began
        _end.reset(token)
        _end.set(outer + spent)
        if spent_before is not None:
            _spent.set(spent_before + spent)


def remaining() -> float:
    """Seconds until everything inside must be done waiting; negative once that is past."""
    return _end.get() - time.monotonic()


def attempt_allowed() -> bool:
    """Whether one more attempt could begin now and end in time."""
    return remaining() >= _ATTEMPT_SECONDS


def bound(events: Events, service: str) -> None:
    """Keep each attempt of a botocore client of `service` (its event name, as `dynamodb`) within the deadline.

    Calls then raise Unavailable where no attempt could end in time.
    """
    events.register_first(f"before-send.{service}", _before_send)
    events.register_first(f"needs-retry.{service}", _needs_retry)


def _before_send(request: Any, event_name: str, **_: object) -> None:  # noqa: ANN401 - botocore's prepared request
    """Refuse an attempt that could not end in time, and make one that begins late give up early.

    What is raised here is not retried: botocore retries its own connection errors only.
    """
    if not attempt_allowed():
        raise Unavailable(debug=f"{event_name}: the request's time is spent")
    request.context["read_timeout"] = min(READ_SECONDS, remaining() - CONNECT_SECONDS)


def _needs_retry(response: Any, **_: object) -> Literal[False] | None:  # noqa: ANN401 - (HTTP response, parsed) or None
    """Answer 503 now where botocore would sleep first and find no time left afterwards.

    It sleeps up to 1 s when throttled, and up to 6 s when the service names a wait.
    """
    if _end.get() == math.inf:
        return None
    told_to_wait = response is not None and "x-amz-retry-after" in response[0].headers
    return False if told_to_wait or not attempt_allowed() else None
