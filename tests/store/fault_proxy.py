"""A bad network and a busy DynamoDB: stands before an engine and does to chosen requests what those do."""

from __future__ import annotations

import json
from collections import deque
from contextlib import contextmanager
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Iterator


class Fault(Enum):
    """What happens to one request."""

    NONE = auto()
    THROTTLED = auto()  # refused without effect, by DynamoDB
    THROTTLED_WITH_A_WAIT = auto()  # and told to come again in 4 s
    UNAVAILABLE = auto()  # HTTP 500 without effect, by DynamoDB
    LOST = auto()  # done, and the connection is gone before the answer
    STALLED = auto()  # neither done nor answered
    STALLED_ANSWER = auto()  # done and not answered


_ERRORS = {
    Fault.THROTTLED: (400, "ProvisionedThroughputExceededException"),
    Fault.THROTTLED_WITH_A_WAIT: (400, "ProvisionedThroughputExceededException"),
    Fault.UNAVAILABLE: (500, "InternalServerError"),
}


class FaultProxy:
    """Forwards to `engine`. Each request takes the next of `faults`; where none is left, none happens."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.faults: deque[Fault] = deque()
        self.requests: list[bytes] = []
        self.over = Event()

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve on loopback; yields the endpoint."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proxy.requests.append(body)
                fault = proxy.faults.popleft() if proxy.faults else Fault.NONE
                if fault in _ERRORS:
                    status, code = _ERRORS[fault]
                    self._answer(
                        fault, status, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}).encode()
                    )
                    return
                if fault is not Fault.STALLED:
                    status, answer = proxy.forward(body, dict(self.headers))
                if fault in {Fault.STALLED, Fault.STALLED_ANSWER}:
                    proxy.over.wait()
                if fault is Fault.NONE:
                    self._answer(fault, status, answer)
                self.close_connection = fault is not Fault.NONE

            def _answer(self, fault: Fault, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(body)))
                if fault is Fault.THROTTLED_WITH_A_WAIT:
                    self.send_header("x-amz-retry-after", "4000")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: a test's output is its own."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                self.over.set()
                server.shutdown()
                thread.join()

    def forward(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Have the engine do it; its status and answer."""
        request = Request(self.engine, body, headers)  # noqa: S310 - http on loopback
        try:
            with build_opener().open(request) as response:
                return response.status, response.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()
