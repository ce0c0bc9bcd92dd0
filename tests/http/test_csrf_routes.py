"""Every route of the table, as a page of another origin would use it: with the browser's own genuine cookies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import app
from chalicelib.web.endpoint import Credential, Page
from chalicelib.web.origins import SAFE_METHODS
from tests.http.client import Held, log_in, sign_up
from tests.http.hostile import SIGNATURE, filled
from tests.world.browser import FROM_PAGE
from tests.world.client import FORM
from tests.world.constants import PAGE, PASSWORD
from tests.world.own_request import own_code
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.web.endpoint import Route
    from tests.http.client import Headers
    from tests.http.server import Containers, Server
    from tests.world.client import Client, Reply

    Members = Callable[[Server, Held], dict[str, str] | None]

COOKIES = ("cookie", "session")


@dataclass(frozen=True)
class Entry:
    """How a browser uses a route rightly: the transports whose cookie it takes, the body, and what it answers."""

    transports: tuple[str, ...]
    members: Members
    status: int
    guarded: bool = False
    needs_identity: bool = False


def nothing(_server: Server, _victim: Held) -> None:
    """No body."""


def code(server: Server, _victim: Held) -> dict[str, str]:
    """A fresh code of somebody whom nobody has seen."""
    return own_code(server.provider, person_of(new_email()))


def new_account(_server: Server, _victim: Held) -> dict[str, str]:
    """An account that there is not."""
    return {"email": new_email(), "password": PASSWORD}


def own_account(_server: Server, victim: Held) -> dict[str, str]:
    """The victim's own account."""
    return {"email": victim.email, "password": PASSWORD}


def new_password(_server: Server, _victim: Held) -> dict[str, str]:
    """Another password."""
    return {"current_password": PASSWORD, "new_password": "fresh horse battery"}


def return_to(_server: Server, _victim: Held) -> dict[str, str]:
    """Where to come back to."""
    return {"return_to": PAGE}


def guarded(members: Members, status: int, *, needs_identity: bool = False) -> Entry:
    """A route behind the authorizer, which of both cookies takes the session's alone."""
    return Entry(("session",), members, status, guarded=True, needs_identity=needs_identity)


ENTRIES = {
    ("POST", "/signup"): Entry(COOKIES, new_account, 201),
    ("POST", "/login"): Entry(COOKIES, own_account, 200),
    ("POST", "/refresh"): Entry(("cookie",), nothing, 200),
    ("POST", "/logout"): Entry(COOKIES, nothing, 204),
    ("POST", "/logout/all"): guarded(nothing, 204),
    ("DELETE", "/sessions/{session_id}"): guarded(nothing, 204),
    ("POST", "/password/change"): guarded(new_password, 200),
    ("POST", "/login/{provider}/exchange"): Entry(COOKIES, code, 200),
    ("POST", "/identities/{provider}"): guarded(code, 200),
    ("DELETE", "/identities/{provider}"): guarded(nothing, 200, needs_identity=True),
    ("POST", "/identities/{provider}/authorization"): guarded(return_to, 200),
}
CASES = [(method, path, transport) for (method, path), entry in ENTRIES.items() for transport in entry.transports]
every_use_of_a_cookie = pytest.mark.parametrize(
    ("method", "path", "transport"), CASES, ids=[" ".join(case) for case in CASES]
)

ELSEWHERE: dict[str, Headers] = {
    "another origin": [("Origin", "https://evil.example")],
    "null": [("Origin", "null")],
    "neither header": [],
    "cross-site": [("Sec-Fetch-Site", "cross-site")],
    "same-site": [("Sec-Fetch-Site", "same-site")],
    "another origin, cross-site": [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")],
    "null, cross-site": [("Origin", "null"), ("Sec-Fetch-Site", "cross-site")],
    "no page": [FROM_PAGE, ("Sec-Fetch-Site", "none")],
    "two origins": [FROM_PAGE, FROM_PAGE],
}


@pytest.fixture(scope="module")
def containers(one_server: Server) -> Containers:
    """Containers over a table of this module's own: to read one that all tests fill takes longer than the tests."""
    return one_server.apart()


def victim_of(server: Server, client: Client, entry: Entry, transport: str) -> Held:
    """Somebody with a browser, in which there is a living session of this transport."""
    held = sign_up(client, transport)
    if entry.needs_identity:
        other = log_in(client, held.email)
        code = own_code(server.provider, person_of(new_email()))
        other.renewed("POST", "/identities/google", code)
    return held


def send(server: Server, victim: Held, case: tuple[str, str, str], headers: Headers) -> Reply:
    """Use the route with the victim's cookie, and these headers beside it."""
    method, path, transport = case
    members = ENTRIES[method, path].members(server, victim)
    if members is not None and path in {"/signup", "/login", "/login/{provider}/exchange"}:
        members = {**members, "transport": transport}
    path = filled(path, victim.session_id)
    return victim.client.call(method, path, members, [("Cookie", victim.cookie), *headers])


def takes_cookies(route: Route) -> bool:
    """Whether the route declares that it takes or sets a cookie."""
    without = {Credential.NONE, Credential.AWS}
    return route.endpoint.credential not in without or route.endpoint.page is Page.NAVIGATION


def test_every_route_has_an_entry() -> None:
    """A route that takes or sets a cookie and changes something stands above: the tests below go through all."""
    unsafe = {
        (route.method, route.path) for route in app.ROUTES if takes_cookies(route) and route.method not in SAFE_METHODS
    }
    assert unsafe == set(ENTRIES)
    guards = {
        (route.method, route.path) for route in app.ROUTES if route.authorizer is not None and takes_cookies(route)
    }
    assert {route for route, entry in ENTRIES.items() if entry.guarded} == guards & unsafe


@every_use_of_a_cookie
def test_from_elsewhere(server: Server, client: Client, method: str, path: str, transport: str) -> None:
    """With genuine cookies, and even the right CSRF token, no page elsewhere gets anything done; nothing is written."""
    entry, case = ENTRIES[method, path], (method, path, transport)
    victim = victim_of(server, client, entry, transport)
    csrf_token = ("X-CSRF-Token", victim.csrf_token)
    before = server.rows()
    for name, headers in ELSEWHERE.items():
        reply = send(server, victim, case, [*headers, csrf_token])
        assert (reply.status, reply.json["code"]) == (403, "access_denied" if entry.guarded else "origin_refused"), name
        assert not reply.all("Set-Cookie"), name
    assert server.rows() == before
    victim = victim.assert_lives()
    assert send(server, victim, case, [FROM_PAGE, csrf_token]).status == entry.status


@every_use_of_a_cookie
def test_without_the_sessions_token(server: Server, client: Client, method: str, path: str, transport: str) -> None:
    """An allowed page without this session's CSRF token gets nothing done with its cookie; nothing is written."""
    entry, case = ENTRIES[method, path], (method, path, transport)
    victim = victim_of(server, client, entry, transport)
    own, strangers = victim.csrf_token, sign_up(client, transport).csrf_token
    own_other = log_in(client, victim.email, transport).csrf_token
    before = server.rows()
    for values in ((), ("",), (strangers,), (own_other,), (own, own), (own, strangers), (own[:-1],), (f"{own}=",)):
        reply = send(server, victim, case, [FROM_PAGE, *(("X-CSRF-Token", value) for value in values)])
        code = "access_denied" if entry.guarded else "csrf_token_invalid"
        assert (reply.status, reply.json["code"]) == (403, code), values
        assert not reply.all("Set-Cookie"), values
    assert server.rows() == before
    victim = victim.assert_lives()
    assert send(server, victim, case, [FROM_PAGE, ("X-CSRF-Token", own)]).status == entry.status


# What a route without cookies is sent, so that it does what it is for.
TOKEN = b"token=nobodys"
PLAIN: dict[tuple[str, str], tuple[Headers, bytes]] = {
    ("POST", "/login/{provider}/callback"): ([FORM], b"state=s&code=c"),
    ("POST", "/token/introspect"): ([FORM, SIGNATURE], TOKEN),
    ("POST", "/token/revoke"): ([FORM], TOKEN),
    ("GET", "/.well-known/openid-configuration"): ([], b""),
    ("GET", "/.well-known/jwks.json"): ([], b""),
    ("GET", "/openapi.json"): ([], b""),
    ("GET", "/health"): ([], b""),
}


def test_every_route_without_cookies_is_named() -> None:
    """A route that says that it takes no cookie stands above, and the test below holds it to that."""
    assert {(route.method, route.path) for route in app.ROUTES if not takes_cookies(route)} == set(PLAIN)


@pytest.mark.parametrize(("method", "path"), PLAIN)
def test_route_without_cookies(server: Server, browser: Held, page: Held, method: str, path: str) -> None:
    """It answers the same with genuine cookies and without, whoever asks, and does nothing to their sessions."""
    headers, body = PLAIN[method, path]
    cookies = ("Cookie", f"{browser.cookie}; {page.cookie}")
    before = server.rows()
    more: list[Headers] = [[], [FROM_PAGE], [FROM_PAGE, ("X-CSRF-Token", browser.csrf_token)]]
    for sent in more:
        url = path.format(provider="google")
        without = browser.client.send(method, url, [*headers, *sent], body)
        with_cookies = browser.client.send(method, url, [*headers, *sent, cookies], body)
        assert said(with_cookies) == said(without)
        assert without.status == (303 if "callback" in path else 200)
    assert server.rows() == before
    browser.assert_lives()
    page.assert_lives()


def said(reply: Reply) -> tuple[int, list[tuple[str, str]], bytes]:
    """An answer without what is different each time."""
    own = [(name, value) for name, value in reply.headers if name not in {"Date", "x-amzn-RequestId"}]
    return reply.status, own, reply.body
