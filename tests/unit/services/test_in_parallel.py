"""Several calls in one round trip: all of them end, in the caller's context, whatever happens."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from functools import partial
from typing import Any, NoReturn

import pytest

from chalicelib.services.in_parallel import in_parallel

marked: ContextVar[str] = ContextVar("marked", default="")


class Here(Exception):
    """Raised on the caller's thread."""


class Beside(BaseException):
    """Raised on the other thread; not even an Exception."""


def fail_here() -> NoReturn:
    """Raise."""
    raise Here


def fail_beside() -> NoReturn:
    """Raise."""
    raise Beside


def test_both_answers_come() -> None:
    """Each call's answer stands at its place, None included."""
    assert in_parallel(lambda: 1, lambda: "two") == (1, "two")
    assert in_parallel(lambda: None, lambda: None) == (None, None)


def test_calls_overlap() -> None:
    """Each waits for the other: in turn they would never end."""
    barrier = threading.Barrier(2, timeout=10)
    assert sorted(in_parallel(barrier.wait, barrier.wait)) == [0, 1]


def test_one_runs_on_this_thread() -> None:
    """The first call stays on the caller's thread."""
    here, beside = in_parallel(threading.get_ident, threading.get_ident)
    assert here == threading.get_ident() != beside


def test_context_is_shared() -> None:
    """The other thread sees what this request has set, its deadline included, and sets nothing here."""
    before = marked.set("this request")
    try:
        assert in_parallel(marked.get, lambda: (marked.get(), marked.set("changed"))[0]) == ("this request",) * 2
        assert marked.get() == "this request"
    finally:
        marked.reset(before)


def test_error_here_waits_for_the_other() -> None:
    """A container is frozen with its answer: nothing may still run then."""
    ended: list[str] = []
    failed = threading.Event()

    def beside() -> None:
        failed.wait(10)
        ended.append("beside")

    def here() -> NoReturn:
        failed.set()
        raise Here

    with pytest.raises(Here):
        in_parallel(here, beside)
    assert ended == ["beside"]


def test_error_beside_is_raised_here() -> None:
    """An error of the other thread is the caller's, after this one's call has ended."""
    ended: list[str] = []
    with pytest.raises(Beside):
        in_parallel(lambda: ended.append("here"), fail_beside)
    assert ended == ["here"]


def test_of_two_errors_this_threads_counts() -> None:
    """Where both fail, the caller's own error is raised."""
    with pytest.raises(Here):
        in_parallel(fail_here, fail_beside)


@pytest.mark.parametrize("beside", range(5))
def test_any_number_may_be_beside(beside: int) -> None:
    """None at all too; each answer stands at its call's place, and all of them run at once."""
    barrier = threading.Barrier(beside + 1, timeout=10)

    def call(place: int) -> tuple[int, int]:
        barrier.wait()
        return place, threading.get_ident()

    answers: tuple[Any, ...] = in_parallel(lambda: call(0), *(partial(call, place) for place in range(1, beside + 1)))
    assert [place for place, _ in answers] == list(range(beside + 1))
    threads = {thread for _, thread in answers}
    assert len(threads) == beside + 1
    assert answers[0] == (0, threading.get_ident())


@pytest.mark.parametrize("failing", [{1}, {3}, {1, 2}, {2, 3}, {1, 2, 3}])
def test_of_several_errors_beside_the_first_counts(failing: set[int]) -> None:
    """By the calls' order, not by the clock; every call has ended before it is raised."""
    ended: list[int] = []

    def beside(place: int) -> None:
        threading.Event().wait(0.03 * (4 - place))
        ended.append(place)
        if place in failing:
            raise Numbered(place)

    with pytest.raises(Numbered) as raised:
        in_parallel(lambda: ended.append(0), *(partial(beside, place) for place in (1, 2, 3)))
    assert raised.value.place == min(failing)
    assert sorted(ended) == [0, 1, 2, 3]


@pytest.mark.parametrize("here", [True, False])
def test_error_leaves_no_call_running(*, here: bool) -> None:
    """Whichever of several calls fails first, the slowest one has ended when the error is raised."""
    ended: list[str] = []

    def slow() -> None:
        threading.Event().wait(0.1)
        ended.append("slow")

    with pytest.raises(Here if here else Beside):
        in_parallel(fail_here if here else (lambda: None), slow if here else fail_beside, slow)
    assert ended == (["slow", "slow"] if here else ["slow"])


class Numbered(Exception):
    """Raised by the call at this place."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place
