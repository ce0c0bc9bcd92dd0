"""`make run`: the whole of it on this machine, and nothing left when it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.http.client import Client, assert_no_content, assert_problem, sign_up
from tests.http.server import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def make_run(port: int) -> Iterator[subprocess.Popen[str]]:
    """What `make run` runs, in a process group of its own."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("KEYTURN_", "AWS_", "COV_"))
    }
    environment |= {"PORT": str(port), "KEYTURN_ARGON2_PROFILE": "testing", "KEYTURN_SIGNING_ALGORITHM": "ES256"}
    environment["KEYTURN_ALLOWED_ORIGINS"] = ORIGIN
    with subprocess.Popen(
        [sys.executable, "-m", "infra.local"],
        cwd=ROOT,
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


def said_before_the_session(process: subprocess.Popen[str]) -> str:
    """What it prints until it serves: the last line of the curl session comes right before."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("rm "):
            break
    return "".join(lines)


def answers_to_unreadable_length(port: int, length: str) -> list[bytes]:
    """Statuses of what comes back where a second request hides in a body that cannot be read: its own and no other."""
    hidden = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    request = f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{hidden}"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.encode())
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass  # closed with the hidden request unread, which is the point
    return re.findall(rb"^HTTP/1\.1 (\d+)", answer, re.MULTILINE)


def test_make_run() -> None:
    """It prints the curl session, serves it, refuses in our form what API Gateway would, and ends with Ctrl-C."""
    port = free_port()
    with make_run(port) as process:
        printed = said_before_the_session(process)
        assert f"API=http://localhost:{port}\n" in printed
        client = Client(f"http://localhost:{port}")
        held = sign_up(client)
        assert held.me().status == 200
        held = held.refreshed()
        assert_no_content(client.post("/logout", {"refresh_token": held.refresh_token}))
        assert_problem(held.me(), 401, "invalid_token")
        assert_problem(client.call("GET", "/me"), 401, "invalid_token")
        assert_problem(client.call("GET", "/nothing"), 404, "not_found")
        assert_problem(client.call("DELETE", "/me"), 405, "method_not_allowed")
        assert answers_to_unreadable_length(port, "abc") == [b"400"]
        assert answers_to_unreadable_length(port, "99999999999") == [b"413"]
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Keyturn has ended." in rest
    assert "Traceback" not in rest
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    with pytest.raises(ConnectionRefusedError):
        held.me()
