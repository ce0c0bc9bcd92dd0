"""An HTTP client that sends exactly what it is told: no redirects, no cookies, every header as it came."""

from __future__ import annotations

import ipaddress
import json
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any, Self
from urllib.parse import urlsplit

Headers = Mapping[str, str] | Sequence[tuple[str, str | bytes]]

# Tells tests/http/server.py which address a request comes from. A real connection says it by itself.
ADDRESS = "X-Test-Address"
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The header's single value, or None; two of the same name are an error."""
        values = self.all(name)
        assert len(values) <= 1, values
        return values[0] if values else None


class Client:
    """Requests to one base URL, from one address: limiters count by address.

    An address of this machine is the connection's own. Every other address is told by the header `ADDRESS`.
    """

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        self.url, self.address = url, address
        self._base = urlsplit(url)
        self._local = ipaddress.ip_address(address).is_loopback

    def at(self, url: str) -> Self:
        """The same client of another API."""
        return type(self)(url, self.address)

    def send(self, method: str, path: str, headers: Headers = (), body: bytes = b"") -> Reply:
        """Send the request as it is, with Host (unless given), Connection, the body's length and the address added."""
        given = pairs(headers)
        host = [] if any(name == "Host" for name, _ in given) else [("Host", self._base.netloc)]
        told = [] if self._local else [(ADDRESS, self.address)]
        length = [("Content-Length", str(len(body)))] if body else []
        lines = [f"{method} {self._base.path}{path} HTTP/1.1".encode()]
        added = [*host, ("Connection", "close"), *told, *length]
        lines += [name.encode() + b": " + _bytes(value) for name, value in [*added, *given]]
        with socket.create_connection(
            (self._base.hostname or "", self._base.port or 80),
            timeout=40,
            source_address=(self.address, 0) if self._local else None,
        ) as connection:
            connection.sendall(b"\r\n".join([*lines, b"", body]))
            with HTTPResponse(connection, method=method) as response:
                response.begin()
                return Reply(response.status, response.getheaders(), response.read())

    def call(
        self,
        method: str,
        path: str,
        members: Any = None,
        headers: Headers = (),
        *,
        bearer: str | None = None,
        body: bytes = b"",
    ) -> Reply:
        """Send `members` as JSON, if there are any, or else `body` as it is."""
        sent = pairs(headers)
        if bearer is not None:
            sent.append(("Authorization", f"Bearer {bearer}"))
        if members is None:
            return self.send(method, path, sent, body)
        return self.send(method, path, [JSON, *sent], json.dumps(members).encode())

    def post(self, path: str, members: Any = None, headers: Headers = ()) -> Reply:
        """POST."""
        return self.call("POST", path, members, headers)


def pairs(headers: Headers) -> list[tuple[str, str | bytes]]:
    """The headers as a list, which may have a name twice."""
    return [*headers.items()] if isinstance(headers, Mapping) else [*headers]


def new_address() -> str:
    """An address in a network that no other client is in."""
    prefix = uuid.uuid4().hex
    return f"2001:db8:{prefix[:4]}:{prefix[4:8]}::1"


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
