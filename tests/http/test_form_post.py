"""POST /login/{provider}/callback: the answer of a provider that posts a form, as Apple does."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.world.browser import ACROSS
from tests.world.client import FORM

if TYPE_CHECKING:
    from tests.http.server import Server
    from tests.world.client import Client


def test_form_becomes_the_query(server: Server, client: Client) -> None:
    """The answer goes on to the GET of Keyturn's own address; nothing else of the form does, and no cookie is set."""
    body = b"state=a%26b&code=c%0d%0aX-Evil%3a+1&iss=https%3A%2F%2Fx&user=%7B%22name%22%3A1%7D&id_token=secret&error="
    reply = client.send("POST", "/login/google/callback", [FORM, *ACROSS], body)
    assert (reply.status, reply.body) == (303, b"")
    url = urlsplit(reply.header("Location") or "")
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{server.url}/login/google/callback"
    assert parse_qs(url.query) == {"state": ["a&b"], "code": ["c\r\nX-Evil: 1"], "iss": ["https://x"]}
    assert reply.header("Set-Cookie") is None
    assert reply.header("Cache-Control") == "no-store"


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/login/facebook/callback", [FORM], b"state=s", 404),
        ("/login/google/callback", [("Content-Type", "application/json")], b"{}", 415),
        ("/login/google/callback", [FORM], b"state=a&state=b", 400),
        ("/login/google/callback", [FORM], b"state=%ff", 400),
        ("/login/google/callback", [FORM], b"state=" + b"%00" * 4000, 400),
    ],
)
def test_form_that_is_refused(
    client: Client, path: str, headers: list[tuple[str, str]], body: bytes, status: int
) -> None:
    """A provider that is off, another content type, and forms that are doubled, no text, or too long to send on."""
    assert client.send("POST", path, headers, body).status == status
