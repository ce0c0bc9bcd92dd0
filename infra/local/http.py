"""HTTP of `make run`: chalice's request handler, with API Gateway's manners where chalice's are others."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from http.client import HTTPMessage
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from chalice.local import ChaliceRequestHandler, LocalGatewayException

from chalicelib.web.boundary import FRAMEWORK
from infra import gateway
from infra.local import framing
from infra.local.events import LocalLog
from infra.local.guard import LocalGuard

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGES = Path(__file__).resolve().parent / "page"
SILENCE = 30  # seconds without a byte from the client, or without room for a byte to it, until its connection ends
LINGER = 2  # seconds for what a client still sends after its request was refused

# What a deployment does not have: the page to see a login on. Scripts and styles come from here, nothing is inline.
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
LOG_INS = "/page.json"  # what the page asks for: with whom there is a login
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

# Refusals of requests that do not reach the app, beside those that FRAMEWORK has.
REFUSALS = {
    **FRAMEWORK,
    414: ("uri_too_long", "The path is too long"),
    431: ("headers_too_large", "The headers are too large"),
    501: ("not_implemented", "The method or the transfer coding is not known here"),
    505: ("http_version_not_supported", "The version of HTTP is not known here"),
}


class Handler(ChaliceRequestHandler):
    """Answers the requests of a connection, one after another."""

    # One request at a time: the app holds the request that it answers, and moto's transactions put back a copy of the
    # table, so that two at once would undo each other. Neither reading a request nor sending an answer takes the turn.
    turn = Lock()
    audit = LocalLog()
    gateway_responses: ClassVar[Mapping[str, Any]]
    log_ins: ClassVar[Mapping[str, Any]]
    timeout: float = SILENCE
    body = b""

    def setup(self) -> None:
        """Put our guard where chalice's own would let everybody through."""
        self.local_gateway._authorizer = LocalGuard(self.local_gateway._app_object)  # noqa: SLF001  # chalice has no other way
        super().setup()

    def handle(self) -> None:
        """Answer until the connection ends. A client that leaves is no error."""
        with suppress(ConnectionError, TimeoutError):
            super().handle()

    def handle_one_request(self) -> None:
        """Read a request and answer it, with nothing left of the connection's last one."""
        self.command, self.requestline, self.request_version = "", "", "HTTP/1.1"
        self.headers, self.body = HTTPMessage(), b""
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Read the whole request, whatever its method and path are; False where it was refused or the client left."""
        self.close_connection = True
        try:
            self._read_request()
        except framing.Refused as refused:
            self.send_error(refused.status)
        except framing.Gone:
            pass
        else:
            return True
        return False

    def _read_request(self) -> None:
        line = self.raw_requestline
        if line in framing.BLANK:  # RFC 9112 section 2.2: an empty line before a request is ignored
            line = self.rfile.readline(framing.MAX_LINE)
        self.command, target, minor = framing.parse_request_line(line)
        # A client would read //host/path as another host, where an answer repeats it.
        self.path = "/" + target.lstrip("/") if target.startswith("//") else target
        fields = framing.read_fields(self.rfile)
        for name, value in fields:
            self.headers[name] = value
        length = framing.length_of_body(minor, fields)
        if length != 0 and minor > 0 and "100-continue" in framing.list_of("expect", fields):
            self.handle_expect_100()
        self.body = framing.read_body(self.rfile, length)
        if length is None:  # RFC 9112 section 7.1.3
            del self.headers["Transfer-Encoding"], self.headers["Trailer"]
            self.headers["Content-Length"] = str(len(self.body))
        self.close_connection = minor == 0 or "close" in framing.list_of("connection", fields)

    def _generic_handle(self) -> None:
        try:
            with self.turn:
                try:
                    response = self.local_gateway.handle_request(
                        method=self.command, path=self.path, headers=dict(self.headers), body=self.body or None
                    )
                finally:
                    self.audit.deliver()  # before the next request, so that its events are in the table for it
        except LocalGatewayException as error:
            self._send_error_response(error)
        except Exception as error:  # noqa: BLE001  # what an authorizer raises, as API Gateway reads it
            unauthorized = str(error) == "Unauthorized"
            self._answer("UNAUTHORIZED" if unauthorized else "AUTHORIZER_FAILURE")
        else:
            body = self._handle_binary(response)["body"]
            self._send_http_response(
                response["statusCode"], {**response["headers"], **response["multiValueHeaders"]}, body
            )

    # The base class binds each method to its own _generic_handle.
    do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = _generic_handle  # noqa: N815  # http.server's names

    def do_GET(self) -> None:  # noqa: N802  # as above
        """Serve a part of the page, or what the app has."""
        path = self.path.partition("?")[0]
        if path == LOG_INS:
            self._send_part("application/json", json.dumps(self.log_ins).encode())
        elif path in PAGE:
            name, content_type = PAGE[path]
            self._send_part(content_type, (PAGES / name).read_bytes())
        else:
            self._generic_handle()

    def _send_part(self, content_type: str, content: bytes) -> None:
        self._send_http_response(200, {"Content-Type": content_type, **PAGE_HEADERS}, content)

    do_HEAD = do_GET  # noqa: N815  # as above

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002  # http.server's
        """Refuse a request that the app does not get, in the form of every other error, and end the connection."""
        name, title = REFUSALS.get(code, REFUSALS[400])
        headers = gateway.headers_for(self.gateway_responses["DEFAULT_4XX"], self.headers.get("Origin"))
        body = {"type": "about:blank", "title": title, "status": int(code), "code": name}
        self._send_http_response(int(code), {**headers, "Connection": "close"}, json.dumps(body))
        self._linger()

    def _linger(self) -> None:
        """Take in for a moment what the client still sends: it would see a reset in place of the answer.

        (RFC 9112 section 9.6.)
        """
        end = time.monotonic() + LINGER
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while (left := end - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(65536):
                    return

    def _send_error_response(self, error: LocalGatewayException) -> None:
        kind = str(error.headers.get("x-amzn-ErrorType", ""))
        # chalice says UnauthorizedException of an unknown path too, with another status.
        kinds = {
            (401, "UnauthorizedException"): "UNAUTHORIZED",
            (403, "AccessDeniedException"): "ACCESS_DENIED",
            (403, "UnauthorizedException"): "MISSING_AUTHENTICATION_TOKEN",
        }
        self._answer(kinds.get((error.CODE, kind), kind))

    def _answer(self, kind: str) -> None:
        response = self.gateway_responses.get(kind, self.gateway_responses["DEFAULT_4XX"])
        headers = gateway.headers_for(response, self.headers.get("Origin"))
        body = response["responseTemplates"]["application/json"]
        self._send_http_response(int(response["statusCode"]), headers, body)

    def _send_http_response(self, code: int, headers: Any, body: str | bytes | None) -> None:  # noqa: ANN401  # chalice's types
        if self.command != "HEAD":
            super()._send_http_response(code, headers, body)
            return
        # No content may come, or the connection's next answer would begin with it, and Content-Length is that of GET
        # (RFC 9110 sections 8.6 and 9.3.2).
        content = body.encode() if isinstance(body, str) else body or b""
        self.send_response(code)
        self._send_headers({"Content-Type": "application/json", **headers, "Content-Length": str(len(content))})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  # the base class's names
        """Nothing: every request that matters has its line in the audit log, and a query may hold a code."""
