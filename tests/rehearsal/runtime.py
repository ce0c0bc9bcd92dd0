"""Runs a deployed zip as Lambda does: awslambdaric in a fresh interpreter that has the zip and nothing else."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

API = "/2018-06-01/runtime"
PYTHON = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"

# -I and -S: no variables, no user's and no installed packages. -B: Lambda's task root cannot be written to.
# The runtime client comes last on the path, as Lambda's own directory does.
# REHEARSAL_CLOCK sets the wall clock so many seconds ahead, or back.
START = """
import os, sys, time
shift, wall = int(os.environ.get("REHEARSAL_CLOCK", "0")), time.time
time.time = lambda: wall() + shift
task_root, client, handler = sys.argv[1:]
sys.path.insert(0, task_root)
sys.path.append(client)
sys.argv = ["awslambdaric", handler]
from awslambdaric.__main__ import main
main(sys.argv)
"""


class FunctionDied(Exception):
    """The process ended, or was ended after its time, before it answered."""


@dataclass(frozen=True, slots=True)
class FunctionConfig:
    """What Lambda knows of a function. Times in seconds, memory in MB."""

    name: str
    arn: str
    handler: str
    timeout: int
    memory: int
    environment: Mapping[str, str]
    task_root: Path
    log_group: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an invocation gave: the result, or Lambda's error document (errorType, errorMessage)."""

    result: Any = None
    error: Mapping[str, Any] | None = None


class Invocable(Protocol):
    """What an ARN of a function names: the function, or one of its aliases."""

    def invoke(self, event: Any) -> Outcome:
        """Run one event. FunctionDied where there is no answer."""


class LocalServer(ThreadingHTTPServer):
    """An HTTP server on loopback, on a port of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A process that was ended hangs up: that is no error here."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


CLIENT = ("awslambdaric", "snapshot-restore-py", "simplejson")
SDK = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")


def runtime_client(directory: Path, packages: tuple[str, ...] = CLIENT) -> Path:
    """Lay out awslambdaric and what it needs in an empty directory, with other packages if Lambda has them too."""
    for name in packages:
        tops = {file.parts[0] for file in metadata.files(name) or () if file.parts[0] not in {"..", "__pycache__"}}
        for top in tops:
            (directory / top).symlink_to(Path(str(metadata.distribution(name).locate_file(top))))
    return directory


class LambdaProcess:
    """One container: a process of the function and the Runtime API that it asks for work."""

    def __init__(self, config: FunctionConfig, client: Path, aws: Mapping[str, str], logs: Path) -> None:
        """Start the process. `client` is the directory of `runtime_client`, `aws` the variables that reach AWS."""
        self.config = config
        self._work: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        self._invoked = config.arn
        self._answers: queue.Queue[Outcome] = queue.Queue()
        self._ready = threading.Event()
        self._server = LocalServer(self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.started = time.monotonic()
        with logs.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and arguments
                [str(PYTHON), "-I", "-S", "-B", "-c", START, str(config.task_root), str(client), config.handler],
                env=self._environment(aws),
                cwd=config.task_root,
                stdout=log,
                stderr=log,
            )

    def wait_until_ready(self) -> None:
        """Wait for the end of the cold start: the first request for work. FunctionDied if it fails."""
        deadline = time.monotonic() + 10  # as long as Lambda gives the start
        while not self._ready.wait(timeout=0.01):
            if self._process.poll() is not None or not self._answers.empty() or time.monotonic() > deadline:
                raise FunctionDied(self._answers.get().error if not self._answers.empty() else "no start")

    def invoke(self, event: Any, arn: str | None = None) -> Outcome:
        """Run one event to its end. FunctionDied where the process ends or its time is over.

        `arn` is what the function was invoked by, where that is not its own ARN.
        """
        self._invoked = arn or self.config.arn
        self._work.put((str(uuid.uuid4()), json.dumps(event).encode()))
        deadline = time.monotonic() + self.config.timeout + (0 if self._ready.is_set() else 10)
        while time.monotonic() < deadline:
            try:
                return self._answers.get(timeout=0.2)
            except queue.Empty:
                if self._process.poll() is not None:
                    break
        message = f"{self.config.name} gave no answer; its exit code is {self._process.poll()}"
        raise FunctionDied(message)

    def cpu_seconds(self) -> float:
        """CPU time that the process has used since it was started."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._work.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _environment(self, aws: Mapping[str, str]) -> dict[str, str]:
        """The function's own variables and Lambda's, and nothing of this machine's."""
        config = self.config
        return {
            **aws,
            **config.environment,
            "AWS_REGION": aws["AWS_DEFAULT_REGION"],
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": config.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": config.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": "rehearsal",
            "LAMBDA_TASK_ROOT": str(config.task_root),
            "_HANDLER": config.handler,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        process = self

        class Handler(BaseHTTPRequestHandler):
            """The Runtime API, for this process alone."""

            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: the second of two waits 40 ms for the first one's receipt

            def do_GET(self) -> None:  # the method's name is the library's
                """invocation/next: wait for work, and hand it over."""
                process._ready.set()
                work = process._work.get()
                if work is None:
                    return
                request_id, event = work
                deadline = int((time.time() + process.config.timeout) * 1000)
                headers = {
                    "Content-Type": "application/json",  # the client crashes without
                    "Lambda-Runtime-Aws-Request-Id": request_id,
                    "Lambda-Runtime-Deadline-Ms": str(deadline),
                    "Lambda-Runtime-Invoked-Function-Arn": process._invoked,
                    "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
                }
                self._send(200, event, headers)

            def do_POST(self) -> None:  # the method's name is the library's
                """invocation/{id}/response, invocation/{id}/error, init/error."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
                failed = self.path.endswith("/error")
                self._send(202, b'{"status":"OK"}', {})
                process._answers.put(Outcome(error=body) if failed else Outcome(result=body))

            def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
                """Say nothing."""

        return Handler


class Function:
    """A function with as many containers as there are requests at once, each reused when it is free."""

    def __init__(self, config: FunctionConfig, client: Path, aws: Mapping[str, str], logs: Path) -> None:
        self.config = config
        self._start = (client, aws, logs)
        self._lock = threading.Lock()
        self._idle: list[LambdaProcess] = []
        self._all: set[LambdaProcess] = set()

    def invoke(self, event: Any, arn: str | None = None) -> Outcome:
        """Run one event. FunctionDied as LambdaProcess.invoke, and that container is not used again."""
        with self._lock:
            process = self._idle.pop() if self._idle else None
        if process is None:
            process = self.cold()
        try:
            outcome = process.invoke(event, arn)
        except FunctionDied:
            self._end(process)
            raise
        with self._lock:
            self._idle.append(process)
        return outcome

    def cold(self) -> LambdaProcess:
        """A fresh container, which the caller keeps until `close`."""
        process = LambdaProcess(self.config, *self._start)
        with self._lock:
            self._all.add(process)
        return process

    def close(self) -> None:
        """End every container: what the function keeps in memory is gone."""
        with self._lock:
            processes, self._idle, self._all = list(self._all), [], set()
        for process in processes:
            process.close()

    def _end(self, process: LambdaProcess) -> None:
        with self._lock:
            self._all.discard(process)
        process.close()


@dataclass(frozen=True, slots=True)
class Alias:
    """A function by another ARN. The same containers serve it: it points at the same code."""

    function: Function
    arn: str

    def invoke(self, event: Any) -> Outcome:
        """As Invocable."""
        return self.function.invoke(event, self.arn)


def log_tail(path: Path, lines: int = 40) -> str:
    """The end of what functions wrote, for a failure's message."""
    return os.linesep.join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""
