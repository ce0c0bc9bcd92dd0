"""Calls that do not need each other's answers share one round trip."""

from __future__ import annotations

from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
U = TypeVar("U")


def together(here: Callable[[], T], beside: Callable[[], U]) -> tuple[T, U]:
    """Run `here` on this thread and `beside` on another one, in this context; return both answers.

    Both have ended when this returns or raises: a Lambda container is frozen with the response, and what still ran then
    would go on during somebody else's request. Where both raise, `here`'s error is raised.
    """
    answers: list[U] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(beside())
        except BaseException as error:  # noqa: BLE001  # raised again below, on the caller's thread
            errors.append(error)

    thread = Thread(target=copy_context().run, args=(run,))
    thread.start()
    try:
        answer = here()
    finally:
        thread.join()
    if errors:
        raise errors[0]
    return answer, answers[0]
