"""The HTTP side of the stand-in: what its endpoints do instead of answering."""

from __future__ import annotations

import json
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.world.stand_in import StandIn

METADATA = "/.well-known/openid-configuration"
KEYS = "/keys"
TOKEN = "/token"
USERINFO = "/userinfo"
ENDPOINTS = (METADATA, KEYS, TOKEN, USERINFO)

HUGE = 5 * 1024 * 1024  # bytes
DRIP = 0.02  # seconds between two bytes


class Fault(Enum):
    """What an endpoint does instead of answering."""

    ERROR_500 = auto()
    ERROR_503 = auto()
    BUSY_429 = auto()
    NOT_FOUND = auto()
    HANG = auto()  # says nothing until the test is over
    CLOSE = auto()  # closes the connection without a word
    REDIRECT = auto()  # to the same answer, elsewhere
    HUGE = auto()  # 5 MB of good JSON
    ENDLESS = auto()  # chunks without end
    DRIP_HEADERS = auto()  # a byte at a time, without end
    DRIP_BODY = auto()
    TRUNCATED = auto()  # ends before its Content-Length
    TRUNCATED_CHUNKS = auto()  # ends before its last chunk
    HTML_TYPE = auto()  # good JSON that says it is a page
    NO_TYPE = auto()
    PAGE = auto()  # a page that says it is JSON
    ARRAY = auto()
    BRACKETS = auto()  # deeper than a parser goes
    GZIP = auto()  # bytes that say they are packed
    NOT_HTTP = auto()


class Server(ThreadingHTTPServer):
    """Serves one stand-in on loopback."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stand_in = stand_in

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients here hang up in the middle of an answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def stand_in(self) -> StandIn:
        return cast("Server", self.server).stand_in

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
        form = parse_qs(body, keep_blank_values=True, strict_parsing=True)
        assert all(len(values) == 1 for values in form.values())
        self._serve({name: values[0] for name, values in form.items()})

    def _serve(self, form: dict[str, str]) -> None:
        path = self.path.partition("?")[0]
        with self.stand_in.lock:
            self.stand_in.fetches[path] += 1
            self.stand_in.requests.append((path, dict(self.headers), form))
        status, value = self.stand_in.answer(path.removeprefix("/elsewhere"), self.headers, form)
        self.close_connection = True
        fault = self.stand_in.faults.get(path)
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        if self.stand_in.interim:
            self.wfile.write(self.stand_in.interim)
        strict = self.stand_in.strict.get(path)
        if strict is not None and not _accepts(self.headers.get("Accept", ""), strict):
            self.answer(406, b"", {"Content-Type": "text/plain"})
        elif strict is not None:
            self.answer(status, body, {"Content-Type": strict})
        elif fault is None:
            self.answer(status, body, self.stand_in.headers.get(path, {}))
        elif fault in _STREAMED:
            _STREAMED[fault](self, body)
        elif fault in _REFUSED:
            refusal, headers = _REFUSED[fault]
            self.answer(refusal, body, headers)
        else:
            self.answer(200, *_SENT[fault](body))

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Send an answer; an empty header is left out."""
        self.send_response(status)
        given = {"Content-Type": "application/json;charset=UTF-8", "Content-Length": str(len(body)), **headers}
        for name, text in given.items():
            if text:
                self.send_header(name, text)
        if status == 307:
            self.send_header("Location", f"{self.stand_in.url}/elsewhere{self.path}")
        self.end_headers()
        self.wfile.write(body)

    def begin(self, framing: str) -> None:
        """Send the head of an answer that comes in a way of its own."""
        self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n\r\n".encode())

    def log_message(self, *_: object) -> None:
        """Say nothing: a test's output is its own."""


def _accepts(header: str, media_type: str) -> bool:
    """Whether the type is among those that an Accept header names, by itself alone: strictly, `*/*` is none."""
    return media_type in (part.partition(";")[0].strip() for part in header.split(","))


def _hang(handler: _Handler, _: bytes) -> None:
    handler.stand_in.over.wait()


def _close(_: _Handler, __: bytes) -> None:
    pass


def _endless(handler: _Handler, _: bytes) -> None:
    handler.begin("Transfer-Encoding: chunked")
    while not handler.stand_in.over.is_set():
        handler.wfile.write(b"1000\r\n" + b" " * 4096 + b"\r\n")


def _drip_headers(handler: _Handler, _: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while not handler.stand_in.over.wait(DRIP):
        handler.wfile.write(b"a")


def _drip_body(handler: _Handler, _: bytes) -> None:
    handler.begin("Content-Length: 100000")
    while not handler.stand_in.over.wait(DRIP):
        handler.wfile.write(b" ")


def _truncated_chunks(handler: _Handler, body: bytes) -> None:
    handler.begin("Transfer-Encoding: chunked")
    handler.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))


def _not_http(handler: _Handler, _: bytes) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")


_STREAMED: dict[Fault, Callable[[_Handler, bytes], None]] = {
    Fault.HANG: _hang,
    Fault.CLOSE: _close,
    Fault.ENDLESS: _endless,
    Fault.DRIP_HEADERS: _drip_headers,
    Fault.DRIP_BODY: _drip_body,
    Fault.TRUNCATED_CHUNKS: _truncated_chunks,
    Fault.NOT_HTTP: _not_http,
}

_REFUSED: dict[Fault, tuple[int, dict[str, str]]] = {
    Fault.ERROR_500: (500, {}),
    Fault.ERROR_503: (503, {"Content-Type": "text/plain", "Retry-After": "9000"}),
    Fault.BUSY_429: (429, {"Retry-After": "9000"}),
    Fault.NOT_FOUND: (404, {"Content-Type": "text/html"}),
    Fault.REDIRECT: (307, {}),
}

_SENT: dict[Fault, Callable[[bytes], tuple[bytes, dict[str, str]]]] = {
    Fault.HUGE: lambda body: (body[:-1] + b', "more": "' + b"A" * HUGE + b'"}', {}),
    Fault.TRUNCATED: lambda body: (body, {"Content-Length": str(len(body) + 1)}),
    Fault.HTML_TYPE: lambda body: (body, {"Content-Type": "text/html"}),
    Fault.NO_TYPE: lambda body: (body, {"Content-Type": ""}),
    Fault.PAGE: lambda _: (b"<!doctype html><p>Log in to the network", {}),
    Fault.ARRAY: lambda body: (b"[" + body + b"]", {}),
    Fault.BRACKETS: lambda _: (b"[" * 100_000, {}),
    Fault.GZIP: lambda _: (b"\x1f\x8b\x08\x00packed", {"Content-Encoding": "gzip"}),
}
