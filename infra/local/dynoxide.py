"""The persistent DynamoDB-compatible engine, run as a process of its own on a free port of this machine."""

from __future__ import annotations

import platform
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = Path(__file__).parents[1] / "npm" / "node_modules" / "@dynoxide"
START_SECONDS = 10

# Runs a command until it ends by itself or the caller is gone, however it goes: its end of the pipe then closes.
UNTIL_CALLER_ENDS = 'exec 3<&0; "$@" 3<&- & command=$!; { read -r _ <&3; kill "$command"; } & wait "$command"'


def binary() -> Path:
    """The engine for this platform. FileNotFoundError, with the remedy, where it is not installed."""
    systems = {"Linux": "linux", "Darwin": "darwin"}
    machines = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    name = f"{systems.get(platform.system(), 'unknown')}-{machines.get(platform.machine().lower(), 'unknown')}"
    path = PACKAGES / name / "dynoxide"
    if not path.exists():
        message = f"{path} does not exist: run `make dynoxide`"
        raise FileNotFoundError(message)
    return path


class Engine(NamedTuple):
    """The engine's process, which may not answer yet."""

    process: subprocess.Popen[bytes]
    port: int

    def wait(self) -> str:
        """Wait until the engine answers; return its endpoint URL. RuntimeError where it does not start."""
        end = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return f"http://127.0.0.1:{self.port}"
        message = "dynoxide did not start"
        raise RuntimeError(message)


@contextmanager
def running(database: Path | None = None) -> Iterator[Engine]:
    """Start the engine; it ends with the block. Without a database file it keeps nothing."""
    port = _free_port()
    command = [str(binary()), "serve", "--host", "127.0.0.1", "--port", str(port)]
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
        command += ["--db-path", str(database)]
    # A session of its own: Ctrl-C reaches the caller, who ends the engine after its last request.
    process = subprocess.Popen(  # noqa: S603  # the binary named above, with arguments made here
        ["/bin/sh", "-c", UNTIL_CALLER_ENDS, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Engine(process, port)
    finally:
        process.communicate(timeout=START_SECONDS)  # closes the pipe and waits for the end


@contextmanager
def serve(database: Path | None = None) -> Iterator[str]:
    """As `running`; yields the endpoint URL once the engine answers."""
    with running(database) as engine:
        yield engine.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
