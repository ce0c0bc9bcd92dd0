"""HEAD: what GET answers, without the content (RFC 9110 sections 9.1 and 9.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import app
from chalicelib.web.endpoint import Page
from chalicelib.web.origins import SAFE_METHODS
from tests.http.hostile import filled
from tests.world.browser import FROM_PAGE
from tests.world.constants import PAGE

if TYPE_CHECKING:
    from chalicelib.web.endpoint import Route
    from tests.http.client import Headers, Held
    from tests.world.client import Client, Reply

READ = [
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/csrf",
    "/health",
    "/openapi.json",
]
WRITING = ["/login/{provider}", "/login/{provider}/callback"]
FROM: list[Headers] = [[], [FROM_PAGE], [("Origin", "https://evil.example")], [("Sec-Fetch-Site", "cross-site")]]


def said(reply: Reply) -> tuple[int, list[tuple[str, str]]]:
    """Status and headers, Content-Length included, without what is different each time."""
    return reply.status, [header for header in reply.headers if header[0] not in {"Date", "x-amzn-RequestId"}]


def test_every_public_get_is_here() -> None:
    """A public GET that is added must say whether it changes something."""
    public = {route.path for route in app.ROUTES if route.method == "GET" and route.authorizer is None}
    assert public == {*READ, *WRITING}


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_content(client: Client, browser: Held, path: str) -> None:
    """Status and headers are those of GET, refusals included, and no content comes."""
    for headers in FROM:
        for cookies in ([], [("Cookie", browser.cookie)]):
            head, got = (client.call(method, path, headers=[*headers, *cookies]) for method in ("HEAD", "GET"))
            assert said(head) == said(got)
            assert head.header("Content-Length") == str(len(got.body))
            assert (head.body, bool(got.body)) == (b"", True)


@pytest.mark.parametrize("path", READ)
def test_405_names_head(client: Client, path: str) -> None:
    """Whoever asks with a method that the path lacks is told of HEAD too."""
    assert set((client.send("get", path).header("Allow") or "").split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("path", WRITING)
def test_head_begins_and_finishes_no_login(client: Client, path: str) -> None:
    """A link checker that asks with HEAD starts nothing: the gateway does not know the method there."""
    reply = client.send("HEAD", f"{filled(path)}?return_to={PAGE}")
    assert (reply.status, reply.all("Set-Cookie"), reply.header("Location")) == (404, [], None)


@pytest.mark.parametrize("route", app.ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_methods_of_a_route(route: Route) -> None:
    """Nothing that changes something, or that an authorizer guards, takes HEAD."""
    changes = route.method not in SAFE_METHODS or route.endpoint.page is Page.NAVIGATION
    assert ("HEAD" in route.methods) == (not changes and route.authorizer is None)
