"""One HTTP call to an outside service, which is somebody else's machine: bounded in time and size, and not followed.

urllib3 comes with botocore, so it costs the package nothing. What reads its answers is used here without its pools,
retries, redirects and proxies: none of them is wanted, and a connection that is used once cannot be found dead.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import ssl
import zlib
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException, HTTPResponse
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from chalicelib import deadline
from chalicelib.errors import ProviderError, Unavailable
from chalicelib.providers import addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

# It repeats what a server sent where that is malformed; the log has events of ours alone.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

CALL_SECONDS = 2.0  # for all of one call, however its answer is dripped
MAX_ANSWER = 256 * 1024  # bytes; the largest honest one, a key set with certificates, is about a tenth
MAX_URL = 8000  # characters of an endpoint's URL: what everybody should support (RFC 9110 section 4.1)

MAX_INTERIM = 20  # interim answers before the final one

SWITCHING_PROTOCOLS = 101
OK = 200
BAD_REQUEST = 400
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500

# Printable ASCII with a plain authority: neither user nor fragment, and nothing that two parsers read in two ways.
URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>[/?][!-\"$-\[\]-~]*)?"
)

# JSON is preferred and nothing is excluded: a strict server that knows JSON by another type would answer 406 (RFC 9110
# section 12.5.1).
HEADERS = {"Accept": "application/json, */*;q=0.1", "Accept-Encoding": "identity", "User-Agent": "keyturn"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]  # by name in any case
    body: bytes

    def require_ok(self, what: str) -> None:
        """Unavailable where the service fails or asks to come later, ProviderError for any other status but 200."""
        self.require_served(what)
        if self.status != OK:
            raise ProviderError(debug=f"{what}: HTTP {self.status}")

    def require_served(self, what: str) -> None:
        """Unavailable where the service fails or asks to come later, whatever else it says."""
        if self.status == TOO_MANY_REQUESTS or self.status >= SERVER_ERROR:
            raise Unavailable(debug=f"{what}: HTTP {self.status}")

    def json(self) -> dict[str, Any]:
        """The members of the JSON object that the body is, less those that are null or empty strings.

        A null or empty member says no more than an absent member. The media type is not read: the URL is configured or
        published by the provider, and servers name the same bytes `text/json`, `text/javascript` or not at all. A page
        of HTML is no JSON object. ProviderError where the body is none.
        """
        value = self.parsed()
        if not isinstance(value, dict):
            raise ProviderError(debug=f"HTTP {self.status} is no JSON object")
        return {name: member for name, member in value.items() if member is not None and member != ""}

    def parsed(self) -> Any:  # noqa: ANN401  # whatever JSON holds
        """The JSON value that the body is. ProviderError where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise ProviderError(debug=f"HTTP {self.status} is not JSON") from error


def call(
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    patience: float | None = None,
) -> Answer:
    """GET the URL, or POST the form to it. `patience` are seconds for the call; without it, CALL_SECONDS.

    Unavailable where no whole answer came in time, within the request's deadline. ProviderError for what is no HTTP and
    for more than 256 KiB.
    """
    seconds = min(patience or CALL_SECONDS, deadline.remaining())
    host = url.split("/")[2]
    if seconds <= 0:
        raise Unavailable(debug=f"{host}: the time for outside services is spent")
    line, done = _Line(), Future[Answer]()

    def run() -> None:
        try:
            done.set_result(_exchange(line, url, form, {**HEADERS, **(headers or {})}, seconds))
        except BaseException as error:  # noqa: BLE001  # raised again below, on the caller's thread
            done.set_exception(error)

    # On a thread of its own, because nothing else bounds a name server that does not answer, or an answer of which a
    # byte comes at a time: a socket's timeout begins anew with each.
    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        answer = done.result(seconds)
    except OSError as error:  # refused, reset, too slow, no such name, no trusted certificate
        line.cut()
        raise Unavailable(debug=f"{host}: {type(error).__name__}") from error
    except HTTPError as error:  # the answer broke off
        raise Unavailable(debug=f"{host}: {type(error).__name__}") from error
    except (HTTPException, ValueError) as error:
        raise ProviderError(debug=f"{host}: {type(error).__name__}") from error
    if len(answer.body) > MAX_ANSWER:
        raise ProviderError(debug=f"{host}: more than {MAX_ANSWER} bytes")
    return answer


class _Line:
    """The socket of one call, which the caller's thread can cut while another one waits for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._over = False

    def hold(self, connected: socket.socket) -> None:
        """Let the caller cut this socket. TimeoutError where it has given up already."""
        with self._lock:
            if self._over:
                raise TimeoutError
            self._socket = connected

    def cut(self) -> None:
        """End whatever the other thread waits for."""
        with self._lock:
            self._over = True
            if self._socket is not None:
                # The plain socket's: ssl's own shutdown first drops the state that the other thread is reading with.
                # OSError: the other thread has closed it by itself.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _exchange(line: _Line, url: str, form: Mapping[str, str] | None, headers: dict[str, str], seconds: float) -> Answer:
    match = URL.fullmatch(url)
    if match is None:
        message = "not a URL that is called"
        raise ValueError(message)
    secure, host = match["scheme"] == "https", match["host"].strip("[]")
    connection = (HTTPSConnection if secure else HTTPConnection)(
        host, int(match["port"] or (443 if secure else 80)), timeout=seconds
    )
    connection.response_class = _FinalResponse
    # The socket is made here and not by urllib3, which would try the host's addresses one after the other.
    connected = addresses.connect(host, connection.port, _tls() if secure else None, seconds)
    connection.sock = connected
    try:
        line.hold(connected)
        return _ask(connection, match["target"] or "/", form, headers)
    finally:
        connection.close()


def _ask(connection: HTTPConnection, target: str, form: Mapping[str, str] | None, headers: dict[str, str]) -> Answer:
    body = None
    if form is not None:
        body, headers["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
    if target.startswith("?"):
        target = "/" + target
    connection.request(
        "GET" if body is None else "POST", target, body, headers, preload_content=False, decode_content=False
    )
    response = connection.getresponse()
    try:
        # An answer that breaks off is noticed by the read after its last byte alone.
        content = b""
        while len(content) <= MAX_ANSWER and (part := response.read(MAX_ANSWER + 1 - len(content))):
            content += part
        return Answer(response.status, response.headers, _decoded(content, response.headers))
    finally:
        response.close()


def _decoded(content: bytes, headers: Mapping[str, str]) -> bytes:
    """The content without its coding: servers and the boxes before them send gzip though `identity` was asked for.

    ValueError for another coding, for broken gzip, and for gzip that is cut short. At most MAX_ANSWER + 1 bytes are
    unpacked, so that a small answer cannot become a large one.
    """
    coding = headers.get("Content-Encoding", "").strip().lower()
    if coding in {"", "identity"}:
        return content
    if coding not in {"gzip", "x-gzip"}:  # RFC 9110 section 8.4.1.3: the same
        message = "a content coding that was not asked for"
        raise ValueError(message)
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacking.decompress(content, MAX_ANSWER + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacking.eof and len(unpacked) <= MAX_ANSWER:
        message = "gzip that breaks off"
        raise ValueError(message)
    return unpacked


class _FinalResponse(HTTPResponse):
    """The final answer: "a client MUST be able to parse one or more 1xx responses received prior to a final response".

    RFC 9110 section 15.2. http.client passes over 100 (Continue) alone. 101 is final: nothing follows it that is HTTP.
    """

    def begin(self) -> None:
        """Read the head of the answer, after those of interim answers."""
        super().begin()
        for _ in range(MAX_INTERIM):
            if self.status >= OK or self.status == SWITCHING_PROTOCOLS:
                return
            self.headers = self.msg = None  # type: ignore[assignment]  # what http.client knows an unread head by
            super().begin()


@cache
def _tls() -> ssl.SSLContext:
    """The system's certificate authorities. Made when first needed: reading them takes 15 ms."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
