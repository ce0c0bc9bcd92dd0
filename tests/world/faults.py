"""Faults at chosen calls of any store, and a record of the verbs that were called."""

from __future__ import annotations

from collections import Counter
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from chalicelib.errors import Unavailable
from chalicelib.store.protocol import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = tuple[str, int]

# Read from the Protocol, so that a new verb is passed on, counted and failed without a line here.
VERBS = frozenset(name for protocol in Store.__mro__ for name in vars(protocol) if not name.startswith("_"))

Arguments = ParamSpec("Arguments")
Outcome = TypeVar("Outcome")


class FaultyStore:
    """`inner`, with each call recorded, announced and, where asked for, failed.

    A call is known by its verb and how many calls of that verb there were, itself included: ("find_login", 1). `calls`
    lists them in order. `at_call` is run at the start of each, and may do to `inner` what a racing request would.
    """

    def __init__(self, inner: Store, *, at_call: Callable[[str, int], None] | None = None) -> None:
        self.inner = inner
        self.at_call = at_call
        self.calls: list[Call] = []
        self._counts: Counter[str] = Counter()
        self._before: set[Call] = set()
        self._after: set[Call] = set()
        self._lock = Lock()

    @property
    def verbs(self) -> list[str]:
        """The verbs that were called, in order."""
        return [verb for verb, _ in self.calls]

    def fail_before(self, verb: str, nth: int = 1) -> None:
        """Make the nth call of the verb fail without any effect."""
        self._before.add(_call_of(verb, nth))

    def fail_after(self, verb: str, nth: int = 1) -> None:
        """Make the nth call of the verb fail after its effect, as when an answer is lost."""
        self._after.add(_call_of(verb, nth))

    def __getattr__(self, verb: str) -> Any:
        """The inner store's verb, as recorded, announced and failed here. Nothing else of it is passed on."""
        if verb not in VERBS:
            raise AttributeError(verb, name=verb, obj=self)
        return partial(self._call, getattr(self.inner, verb))

    def _call(self, verb: Callable[Arguments, Outcome], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Outcome:
        name = verb.__name__
        with self._lock:
            self._counts[name] += 1
            call = (name, self._counts[name])
            self.calls.append(call)
        if self.at_call:
            self.at_call(*call)
        if call in self._before:
            raise Unavailable(debug=f"{name} failed before its effect")
        outcome = verb(*args, **kwargs)
        if call in self._after:
            raise Unavailable(debug=f"{name} failed after its effect")
        return outcome


def _call_of(verb: str, nth: int) -> Call:
    """The call, of a verb that there is: a fault at a misspelt one would never happen, and its test would pass."""
    assert verb in VERBS, verb
    return verb, nth
