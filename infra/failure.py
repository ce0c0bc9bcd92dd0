"""How an operator's command fails: in a single line, without a traceback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130  # the exit status that shells give to a command that Ctrl-C has ended: 128 + SIGINT


class Failure(Exception):
    """What went wrong and the remedy, in words for the operator: one line, no traceback."""


def one_line(error: BaseException) -> str:
    """What an error says, without line breaks: libraries write some of their messages over several lines."""
    return " ".join(str(error).split()) or type(error).__name__


def command(name: str, run: Callable[[], object], *expected: type[Exception]) -> int:
    """Run an operator's command; return its exit status, which is 0 where `run` returns.

    1, and a line on standard error, where `run` raises Failure or an `expected` error. 130, and a line, after Ctrl-C:
    every command can be repeated. Any other error is a fault of the command, and keeps its traceback.
    """
    told: tuple[type[Exception], ...] = (Failure, *expected)
    try:
        run()
    except told as error:
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted; it is safe to run it again", file=sys.stderr)
        return INTERRUPTED
    return 0
