"""`make run` and requests whose end is in doubt: nothing of a body is ever taken for the connection's next request.

Bytes go over a connection as they stand here. Who sends what must be answered once sees one answer alone.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import struct
from contextlib import contextmanager
from http.client import HTTPResponse
from io import BytesIO
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.http.make_run import free_port, make_run, said_before_serving

if TYPE_CHECKING:
    from collections.abc import Iterator

# A body that the app reads to its end: the answer is 401 where the whole of it has come, and 400 where it has not.
BODY = json.dumps({"email": "nobody@example.com", "password": "wrong", "transport": "body"}).encode()
JSON = b"Host: localhost\r\nContent-Type: application/json\r\n"
LOGIN = b"POST /login HTTP/1.1\r\n" + JSON
HIDDEN = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def length(value: object) -> bytes:
    """The field that says how long a body is."""
    return f"Content-Length: {value}\r\n".encode()


def in_chunks(size: int, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """The body in chunks of this size."""
    chunks = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    return (
        b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"
    )


class Answer(NamedTuple):
    """An answer as its client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes

    def assert_refusal(self, status: int) -> None:
        """It has the form of every other error, and says that the connection ends."""
        assert self.status == status
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["connection"] == "close"
        assert self.headers["cache-control"] == "no-store"
        problem = json.loads(self.body)
        assert (problem["type"], problem["status"]) == ("about:blank", status)
        assert problem.keys() == {"type", "title", "status", "code"}


class Source(BytesIO):
    """What HTTPResponse reads several answers from: it takes a socket, and closes what it gets."""

    def makefile(self, _mode: str) -> Source:
        """The bytes themselves."""
        return self

    def close(self) -> None:
        """Stay open for the next answer."""


class Server(NamedTuple):
    """A `make run` that serves."""

    port: int

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection to it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            yield connection

    def answers(self, sent: bytes, methods: tuple[str, ...] = (), *, leaving: bool = False) -> list[Answer]:
        """All that comes back, until the server ends the connection, where this is sent. Its end must be no reset.

        `methods` are those of the answers whose request is HEAD. `leaving`: the client sends nothing more.
        """
        with self.connected() as connection:
            connection.sendall(sent)
            if leaving:
                connection.shutdown(socket.SHUT_WR)
            received = Source(b"".join(iter(lambda: connection.recv(65536), b"")))
        found: list[Answer] = []
        while received.tell() < len(received.getvalue()):
            method = methods[len(found)] if len(found) < len(methods) else "GET"
            response = HTTPResponse(received, method=method)  # type: ignore[arg-type]  # as a socket, it has makefile
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            found.append(Answer(response.status, headers, response.read()))
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One process for all tests. None of them may have it print a traceback."""
    port, printed = free_port(), list[str]()
    with make_run(port) as process:
        assert "rm " in said_before_serving(process)
        assert process.stdout
        reading = Thread(target=printed.extend, args=(process.stdout,), daemon=True)
        reading.start()
        yield Server(port)
        process.send_signal(signal.SIGINT)
        reading.join(20)
    # Beside the lines of the audit log
    assert [line for line in printed if line.strip() and not line.startswith("{")] == ["Keyturn has ended.\n"]


@pytest.mark.parametrize(
    "request_",
    [
        LOGIN + length(len(BODY)) + b"\r\n" + BODY,
        LOGIN + length(f"000{len(BODY)}") + b"\r\n" + BODY,
        b"\r\n" + LOGIN + length(len(BODY)) + b"\r\n" + BODY,
        (LOGIN + length(len(BODY)) + b"\r\n").replace(b"\r\n", b"\n") + BODY,
        LOGIN + CHUNKED + b"\r\n" + in_chunks(len(BODY)),
        LOGIN + CHUNKED + b"\r\n" + in_chunks(1),
        LOGIN + CHUNKED + b"\r\n" + in_chunks(13, b';a="b;c" ; d'),
        LOGIN + CHUNKED + b"Trailer: X\r\n\r\n" + in_chunks(30, b" ;", b"X: y\r\nContent-Length: 999\r\n"),
        LOGIN + b"transfer-ENCODING: \t CHUNKED \t\r\n\r\n" + in_chunks(10).replace(b"a\r\n", b"A\r\n", 1),
        LOGIN + b"Transfer-Encoding: , chunked\r\n\r\n" + in_chunks(11),
    ],
    ids=range(10),
)
def test_whole_body_is_read(server: Server, request_: bytes) -> None:
    """Length or chunks: the app gets the body, whole, and the next two requests of the connection their answers."""
    statuses = [answer.status for answer in server.answers(request_ + HIDDEN + LAST)]
    assert statuses == [401, 200, 200]


@pytest.mark.parametrize("framing", [length(len(HIDDEN)) + b"\r\n" + HIDDEN, None], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /", 200),
        ("GET /page.js", 200),
        ("HEAD /page.css", 200),
        ("GET /health", 200),
        ("HEAD /health", 200),
        ("POST /", 404),
        ("OPTIONS /me", 204),
        ("PUT /nothing", 404),
        ("DELETE /me", 405),
        ("PATCH /login", 405),
    ],
)
def test_body_that_no_route_wants_is_read(server: Server, line: str, status: int, framing: bytes | None) -> None:
    """The page, unknown paths and unfitting methods: their bodies are read, and a request that is in one is none."""
    body = framing or CHUNKED + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    sent = f"{line} HTTP/1.1\r\nHost: localhost\r\n".encode() + body + LAST
    answers = server.answers(sent, (line.partition(" ")[0],))
    assert [answer.status for answer in answers] == [status, 200]


REFUSED = {
    400: (
        # Two ways to tell the end (RFC 9112 section 6.3)
        CHUNKED + length(len(HIDDEN)) + b"\r\n0\r\n\r\n",
        length(5) + CHUNKED + b"\r\n0\r\n\r\n",
        length(0) + CHUNKED + b"\r\n0\r\n\r\n",
        length(5) + length(6) + b"\r\nhello",
        length(0) + length(len(HIDDEN)) + b"\r\n",
        length("5, 6") + b"\r\nhello",
        # No number that everybody reads
        *(
            length(value) + b"\r\nhello"
            for value in ("", "+5", "-5", "5_0", "0x5", "5 5", "\u0665", "\xb2", "abc", "5;")
        ),
        # Field lines that are read in two ways (sections 2.2, 5.1 and 5.2)
        b"Content-Length : 5\r\n\r\nhello",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
        b"X : y\r\n\r\n",
        b" X: y\r\n\r\n",
        b"X: y\r\n Content-Length: 5\r\n\r\nhello",
        b"X: y\r\n\tz\r\n\r\n",
        b"X: y\rContent-Length: 5\r\n\r\nhello",
        b"X: y\x00\r\n\r\n",
        b"X\xff: y\r\n\r\n",
        b"no colon\r\n" + length(5) + b"\r\nhello",
        b": y\r\n\r\n",
        # Codings (section 6.1)
        b"Transfer-Encoding: gzip\r\n\r\n",
        b"Transfer-Encoding: identity\r\n\r\n",
        b"Transfer-Encoding:\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        # Chunks (section 7.1)
        *(CHUNKED + b"\r\n" + size + b"\r\n" for size in (b"", b"+5", b"-1", b"0x5", b"5_", b" 5", b"5 ", b"g", b";a")),
        CHUNKED + b"\r\n5\r\nhello world\r\n0\r\n\r\n",
        CHUNKED + b"\r\n5\nhello\r\n0\r\n\r\n",
        CHUNKED + b"\r\n5;a\rb\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"\r\n" + b"0" * 5000,
        CHUNKED + b"\r\n0\r\nX : y\r\n\r\n",
    ),
    413: (
        length(10 * 1024 * 1024 + 1) + b"\r\n",
        length("9" * 5000) + b"\r\n",
        CHUNKED + b"\r\na00001\r\n",
        CHUNKED + b"\r\nffffffffffffffff\r\n",
    ),
    431: (b"X: " + b"y" * 70000 + b"\r\n\r\n", b"X: y\r\n" * 200 + b"\r\n", CHUNKED + b"\r\n0\r\n" + b"X: y\r\n" * 200),
    501: (
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
}


@pytest.mark.parametrize(
    ("status", "rest"),
    [
        pytest.param(status, rest, id=f"{status}-{number}")
        for status, all_ in REFUSED.items()
        for number, rest in enumerate(all_)
    ],
)
def test_request_in_doubt_is_refused(server: Server, status: int, rest: bytes) -> None:
    """It gets one answer, in the form of every error; the connection ends, and the request behind it is none."""
    (answer,) = server.answers(LOGIN + rest + HIDDEN)
    answer.assert_refusal(status)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /login HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (b"BREW /me HTTP/1.1\r\n" + length(len(HIDDEN)) + b"\r\n", 501),
        (b"get /health HTTP/1.1\r\n\r\n", 501),
        (b"GET /health HTTP/2.0\r\n\r\n", 505),
        (b"GET /health HTTP/0.9\r\n\r\n", 505),
        (b"GET /health\r\n", 400),
        (b"GET /health HTTP/1.\xb2\r\n\r\n", 400),
        (b"GET  /health HTTP/1.1\r\n\r\n", 400),
        (b" GET /health HTTP/1.1\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", 414),
    ],
    ids=range(13),
)
def test_request_line_in_doubt_is_refused(server: Server, head: bytes, status: int) -> None:
    """As above, where http.server itself would refuse, or read what is no HTTP/1.1."""
    (answer,) = server.answers(head + HIDDEN)
    answer.assert_refusal(status)


def test_refusal_of_head_has_no_content(server: Server) -> None:
    """RFC 9110 section 9.3.2."""
    (answer,) = server.answers(b"HEAD / HTTP/1.1\r\n" + length("x") + b"\r\n" + HIDDEN, ("HEAD",))
    assert (answer.status, answer.body) == (400, b"")


@pytest.mark.parametrize(
    "begun",
    [
        LOGIN + length(len(BODY) + 1) + b"\r\n" + BODY,
        LOGIN + length(len(BODY)) + b"\r\n",
        LOGIN + length(len(BODY)),
        LOGIN + CHUNKED + b"\r\n" + in_chunks(7)[:-2],
        LOGIN + CHUNKED + b"\r\n" + in_chunks(7)[:-7],
        LOGIN + CHUNKED + b"\r\n" + in_chunks(7)[:20],
        LOGIN + CHUNKED + b"\r\n5",
        b"GET /heal",
        b"",
    ],
    ids=range(9),
)
def test_client_that_leaves_has_asked_nothing(server: Server, begun: bytes) -> None:
    """A body that is shorter than announced is never handed on: the connection ends, without an answer."""
    assert server.answers(begun, leaving=True) == []


def test_client_that_breaks_off_leaves_no_trace(server: Server) -> None:
    """A reset before, in or after a request is no error of the server, which says nothing and goes on."""
    for sent in (
        b"",
        LOGIN + length(50) + b"\r\nhalf",
        b"GET /openapi.json HTTP/1.1\r\n\r\n" * 20,
        LOGIN + length("x"),
    ):
        with server.connected() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(sent)
    assert [answer.status for answer in server.answers(LAST)] == [200]


def test_large_body_gets_its_answer(server: Server) -> None:
    """Who sends 12 MB before they read sees 413 and no reset; 10 MB are read whole, and no route takes them."""
    (answer,) = server.answers(LOGIN + length(12 * 1024 * 1024) + b"\r\n" + bytes(12 * 1024 * 1024))
    answer.assert_refusal(413)
    within = LOGIN + length(10 * 1024 * 1024) + b"\r\n" + bytes(10 * 1024 * 1024)
    assert [answer.status for answer in server.answers(within + LAST)] == [413, 200]


def test_slow_bodies_hold_nobody_up(server: Server) -> None:
    """While bodies are on their way, other connections get their answers; the slow ones get theirs in the end."""
    bodies = {length(len(BODY)) + b"\r\n": BODY, CHUNKED + b"\r\n": in_chunks(20)}
    for head, body in bodies.items():
        with server.connected() as slow:
            slow.sendall(LOGIN + b"Connection: close\r\n" + head + body[:30])
            assert [answer.status for answer in server.answers(LAST)] == [200]
            slow.sendall(body[30:])
            assert b"".join(iter(lambda: slow.recv(65536), b"")).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("head", "body"),
    [(length(len(BODY)), BODY), (CHUNKED, in_chunks(16)), (b"Connection: x, CLOSE\r\n" + length(len(BODY)), BODY)],
    ids=["length", "chunked", "closing"],
)
def test_client_is_told_to_continue(server: Server, head: bytes, body: bytes) -> None:
    """100 Continue comes before the body and the answer after it."""
    with server.connected() as connection:
        connection.sendall(LOGIN + head + b"Expect: 100-Continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body if b"CLOSE" in head else body + LAST)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"401"] + [b"200"] * (b"CLOSE" not in head)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (length(10 * 1024 * 1024 + 1), 413),
        (length("x"), 400),
        (length(5) + CHUNKED, 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
    ],
)
def test_refused_client_is_not_told_to_continue(server: Server, head: bytes, status: int) -> None:
    """Where the head alone is enough to refuse, the refusal comes first."""
    (answer,) = server.answers(LOGIN + head + b"Expect: 100-continue\r\n\r\n")
    answer.assert_refusal(status)


def test_http_1_0_is_answered_and_ended(server: Server) -> None:
    """A body by its length is known to HTTP/1.0; without a length there is none."""
    for version_and_rest in (length(len(BODY)) + b"\r\n" + BODY, b"\r\n"):
        (answer,) = server.answers(LOGIN.replace(b"1.1", b"1.0") + version_and_rest + HIDDEN)
        assert answer.status == (401 if BODY in version_and_rest else 400)


def test_refusal_is_readable_by_pages(server: Server) -> None:
    """An allowed page reads a refusal as it reads every other error."""
    origin = f"http://localhost:{server.port}"
    (answer,) = server.answers(LOGIN + f"Origin: {origin}\r\n".encode() + length("x") + b"\r\n")
    assert answer.headers["access-control-allow-origin"] == origin
