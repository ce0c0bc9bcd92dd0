"""Two calls in one round trip: both end, in the caller's context, whatever happens."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import NoReturn

import pytest

from chalicelib.services.together import together

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
    assert together(lambda: 1, lambda: "two") == (1, "two")
    assert together(lambda: None, lambda: None) == (None, None)


def test_calls_overlap() -> None:
    """Each waits for the other: in turn they would never end."""
    barrier = threading.Barrier(2, timeout=10)
    assert sorted(together(barrier.wait, barrier.wait)) == [0, 1]


def test_one_runs_on_this_thread() -> None:
    """The first call stays on the caller's thread."""
    here, beside = together(threading.get_ident, threading.get_ident)
    assert here == threading.get_ident() != beside


def test_context_is_shared() -> None:
    """The other thread sees what this request has set, its deadline included, and sets nothing here."""
    before = marked.set("this request")
    try:
        assert together(marked.get, lambda: (marked.get(), marked.set("changed"))[0]) == ("this request",) * 2
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
        together(here, beside)
    assert ended == ["beside"]


def test_error_beside_is_raised_here() -> None:
    """An error of the other thread is the caller's, after this one's call has ended."""
    ended: list[str] = []
    with pytest.raises(Beside):
        together(lambda: ended.append("here"), fail_beside)
    assert ended == ["here"]


def test_of_two_errors_this_threads_counts() -> None:
    """Where both fail, the caller's own error is raised."""
    with pytest.raises(Here):
        together(fail_here, fail_beside)
