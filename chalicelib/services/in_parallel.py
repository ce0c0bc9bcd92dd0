"""Calls that do not need each other's answers share one round trip."""

from __future__ import annotations

from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
U = TypeVar("U")


@overload
def in_parallel(here: Callable[[], T], beside: Callable[[], U], /) -> tuple[T, U]: ...
@overload
def in_parallel(here: Callable[[], T], /, *beside: Callable[[], T]) -> tuple[T, ...]: ...
def in_parallel(here: Callable[[], object], /, *beside: Callable[[], object]) -> tuple[object, ...]:
    """Run `here` on this thread and each call `beside` it on one of its own, in this context; return all answers.

    All have ended when this returns or raises: a Lambda container is frozen with the response, and what still ran then
    would go on during somebody else's request. Where several raise, the error of the first of them is raised.
    """
    answers: dict[int, object] = {}
    errors: dict[int, BaseException] = {}

    def run(place: int, call: Callable[[], object]) -> None:
        try:
            answers[place] = call()
        except BaseException as error:  # noqa: BLE001  # raised again below, on the caller's thread
            errors[place] = error

    threads = [Thread(target=copy_context().run, args=(run, place, call)) for place, call in enumerate(beside, start=1)]
    for thread in threads:
        thread.start()
    try:
        answers[0] = here()
    finally:
        for thread in threads:
            thread.join()
    if errors:
        raise errors[min(errors)]
    return tuple(answers[place] for place in range(len(answers)))
