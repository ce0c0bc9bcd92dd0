"""A plain HTTP client: no redirects, no cookie jar, every header as it came."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


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
        """The header's one value, or None; two of one name are an error."""
        values = self.all(name)
        assert len(values) <= 1, values
        return values[0] if values else None


class Client:
    """Requests to one base URL, from one of this machine's own addresses: limiters count by address."""

    def __init__(self, base: str, address: str = "127.0.0.1") -> None:
        self._base, self._address = urlsplit(base), address

    def call(
        self,
        method: str,
        path: str,
        members: dict[str, Any] | None = None,
        *,
        bearer: str | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Send `members` as JSON, or `body` as it is."""
        sent = {"User-Agent": "rehearsal", **(headers or {})}
        if members is not None:
            body = json.dumps(members).encode()
            sent["Content-Type"] = "application/json"
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer}"
        connection = http.client.HTTPConnection(
            self._base.hostname or "", self._base.port, timeout=40, source_address=(self._address, 0)
        )
        try:
            connection.request(method, self._base.path + path, body=body, headers=sent)
            response = connection.getresponse()
            return Reply(response.status, response.getheaders(), response.read())
        finally:
            connection.close()
