"""`make run` as a process of its own, for tests that drive it from outside."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent.parent
STAND_IN_OFFSET = 1000
NOTHING: Mapping[str, str] = MappingProxyType({})


def free_port() -> int:
    """A port that nobody has now, nor the one that the stand-in for Google takes above it."""
    for _ in range(100):
        with socket.socket() as probe, socket.socket() as above:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            try:
                above.bind(("127.0.0.1", port + STAND_IN_OFFSET))
            except (OSError, OverflowError):
                continue
            return port
    message = "no two free ports"
    raise RuntimeError(message)


@contextmanager
def make_run(
    port: int | str, settings: Mapping[str, str] = NOTHING, project: Path = ROOT
) -> Iterator[subprocess.Popen[str]]:
    """What `make run` runs, in a process group of its own. `project`: a copy of the project, as `copy` makes it."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("KEYTURN_", "AWS_", "COV_"))
    }
    environment |= {"PORT": str(port), "KEYTURN_ARGON2_PROFILE": "testing", "KEYTURN_SIGNING_ALGORITHM": "ES256"}
    environment |= settings
    with subprocess.Popen(
        [sys.executable, "-m", "infra.local"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said_before_serving(process: subprocess.Popen[str]) -> str:
    """What it prints until it serves: the last line of the curl session comes right before."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("rm "):
            break
    return "".join(lines)


def forget_its_log(process: subprocess.Popen[str]) -> None:
    """Read what it prints from now on, to nowhere: a pipe that nobody empties fills up, and the server waits for it."""
    Thread(target=deque, args=(process.stdout, 0), daemon=True).start()


def copy(project: Path) -> Path:
    """Make a copy of what `make run` runs, with a .local of its own; return it."""
    shutil.copytree(ROOT / "infra", project / "infra", ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    for name in ("app.py", "chalicelib", "README.md", ".chalice"):
        (project / name).symlink_to(ROOT / name)
    return project


def ended(process: subprocess.Popen[str], by: signal.Signals = signal.SIGINT) -> str:
    """End it with a signal; return what it has printed since it was last read, and its status must be 0."""
    process.send_signal(by)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said
    return said
