"""`make run`: the whole of Keyturn on this machine, in one process, with moto inside it as AWS. Ctrl-C ends everything.

Beside it, 1000 ports above, runs a stand-in for Google; a small page at / logs in there. With ENGINE=dynoxide the table
and the keys are kept under .local/, so that accounts and sessions survive a restart.

The main thread does nothing but wait for signals, so that Ctrl-C meets no half of an import and no half of a write. All
work is a second thread's, which imports what takes seconds. PORT, ENGINE and the rest of the settings:
infra/local_settings.py.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, suppress
from queue import SimpleQueue
from threading import Thread

from infra.failure import INTERRUPTED, Failure, one_line


def main() -> None:
    """Serve until SIGINT or SIGTERM, which end it with a line and status 0. A line and status 1 where it cannot."""
    children = ExitStack()  # the processes beside this one: the stand-in and the engine
    failed: SimpleQueue[Exception] = SimpleQueue()

    def end(*_: object) -> None:
        # Where ending takes too long, the next signal ends this process at once. The children notice, and end too.
        _on_signals(lambda *_: os._exit(INTERRUPTED))
        with suppress(Exception):
            children.close()
        with suppress(OSError):
            os.write(1, b"\nKeyturn has ended.\n")
        os._exit(0)  # whatever the other threads are doing

    _on_signals(end)
    Thread(target=_work, args=(children, failed), daemon=True).start()
    error = failed.get()
    children.close()
    if isinstance(error, Failure | OSError):
        sys.exit(one_line(error))
    raise error


def _on_signals(handler: object) -> None:
    # Said for SIGINT too, because a shell starts what runs in its background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)  # type: ignore[arg-type]  # a handler is a callable


def _work(children: ExitStack, failed: SimpleQueue[Exception]) -> None:
    try:
        from infra import local_settings  # noqa: PLC0415  # once signals are heard

        settings = local_settings.read(os.environ)
        from infra import local_stage  # noqa: PLC0415  # once the shell's variables are gone, which moto would read

        local_stage.serve(settings, children)
    except Exception as error:  # noqa: BLE001  # the main thread says it
        failed.put(error)


if __name__ == "__main__":
    main()
