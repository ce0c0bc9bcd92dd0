"""`make run`: the whole of Keyturn on this machine, in one process, with moto inside it as AWS. Ctrl-C ends everything.

Beside it, 1000 ports above, runs a stand-in for Google; a small page at / logs in there. With ENGINE=dynoxide the table
and the keys are kept under .local/, so that accounts and sessions survive a restart.

The main thread does nothing but wait for signals, so that Ctrl-C meets no half of an import and no half of a write. All
work is a second thread's, which imports what takes seconds. PORT, ENGINE and the rest of the settings:
infra/local/settings.py.
"""

from __future__ import annotations

# As little as there can be: until main() runs, Ctrl-C is a traceback.
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack


def main() -> None:
    """Serve until SIGINT or SIGTERM, which end it with a line and status 0. A line and status 1 where it cannot."""
    _on_signals(_leave)
    from contextlib import ExitStack, suppress  # noqa: PLC0415  # once signals are heard, as the next
    from threading import Thread  # noqa: PLC0415

    from infra.failure import INTERRUPTED, Failure, one_line  # noqa: PLC0415

    children = ExitStack()  # the processes beside this one: the stand-in and the engine
    failed: list[Exception] = []
    reading, writing = os.pipe()

    def end(*_: object) -> None:
        # Where ending takes too long, the next signal ends this process at once. The children notice, and end too.
        _on_signals(lambda *_: os._exit(INTERRUPTED))
        with suppress(Exception):
            children.close()
        _leave()

    _on_signals(end)
    # Each signal writes a byte, whichever thread the kernel hands it to: a lock would go on waiting in this thread.
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    Thread(target=_work, args=(children, failed, writing), daemon=True).start()
    while not failed:
        os.read(reading, 1)
    (error,) = failed
    children.close()
    if isinstance(error, Failure | OSError):
        sys.exit(one_line(error))
    raise error


def _on_signals(handler: Callable[..., object]) -> None:
    # Said for SIGINT too, because a shell starts what runs in its background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _leave(*_: object) -> None:
    """Say that it has ended, and end, whatever the other threads are doing."""
    try:
        os.write(1, b"\nKeyturn has ended.\n")
    finally:
        os._exit(0)


def _work(children: ExitStack, failed: list[Exception], writing: int) -> None:
    try:
        from infra.local import settings  # noqa: PLC0415  # once signals are heard

        chosen = settings.read(os.environ)
        from infra.local import stage  # noqa: PLC0415  # once the shell's variables are gone, which moto would read

        stage.serve(chosen, children)
    except Exception as error:  # noqa: BLE001  # the main thread says it
        failed.append(error)
        os.write(writing, b"\0")


if __name__ == "__main__":
    main()
