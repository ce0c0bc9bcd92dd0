"""Only navigations begin and finish a login at a provider: what browsers send for anything else has no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from chalicelib.domain.limits import LimitPolicy
from tests.http.client import CheckedClient, assert_problem, log_in, sign_up
from tests.world.browser import FROM_PAGE, LOGIN_COOKIE, Browser
from tests.world.constants import PAGE
from tests.world.own_request import own_code
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from tests.http.client import Headers
    from tests.http.server import Containers, Server
    from tests.world.client import Client

BEGIN = f"/login/google?{urlencode({'return_to': PAGE})}"


def fetched(mode: str | None, dest: str | None, *more: tuple[str, str], site: str = "cross-site") -> Headers:
    """Fetch Metadata as a browser sends it, with what else comes along."""
    named = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    return [*((name, value) for name, value in named.items() if value is not None), *more]


def ahead(*more: tuple[str, str]) -> Headers:
    """A navigation that the browser makes ahead of the person, as Chromium sends it."""
    return fetched("navigate", "document", *more)


# What browsers send for what no person has sent a tab to.
PARTS_OF_A_PAGE: dict[str, Headers] = {
    "img": fetched("no-cors", "image"),
    "img with crossorigin": fetched("cors", "image", ("Origin", "https://evil.example")),
    "img of the API's own page": fetched("no-cors", "image", site="same-origin"),
    "img of a page of the same site": fetched("no-cors", "image", site="same-site"),
    "script": fetched("no-cors", "script"),
    "module": fetched("cors", "script", ("Origin", "https://evil.example")),
    "style": fetched("no-cors", "style"),
    "font": fetched("cors", "font"),
    "audio": fetched("no-cors", "audio"),
    "video": fetched("no-cors", "video"),
    "track": fetched("same-origin", "track", site="same-origin"),
    "worker": fetched("same-origin", "worker", site="same-origin"),
    "manifest": fetched("cors", "manifest"),
    "ping": fetched("no-cors", "empty"),
    "fetch": fetched("cors", "empty", ("Origin", "https://evil.example")),
    "fetch no-cors": fetched("no-cors", "empty"),
    "fetch of the API's own page": fetched("same-origin", "empty", site="same-origin"),
    "iframe": fetched("navigate", "iframe"),
    "frame": fetched("navigate", "frame"),
    "fencedframe": fetched("navigate", "fencedframe"),
    "object": fetched("navigate", "object"),
    "embed": fetched("navigate", "embed"),
    "embed, as older browsers": fetched("no-cors", "embed"),
    "iframe, as older browsers": fetched("nested-navigate", "nested-document"),
    "websocket": fetched("websocket", "empty"),
}
AHEAD_OF_THE_PERSON: dict[str, Headers] = {
    "link rel=prefetch, Chromium": fetched("no-cors", "empty", ("Sec-Purpose", "prefetch"), ("Purpose", "prefetch")),
    "link rel=prefetch, Firefox": fetched("no-cors", "empty", ("Sec-Purpose", "prefetch"), ("X-Moz", "prefetch")),
    "link rel=prefetch, older Firefox": [("X-Moz", "prefetch")],
    "link rel=prefetch, older Safari": [("Purpose", "prefetch")],
    "preview, older Safari": [("X-Purpose", "preview")],
    "speculation rules, prefetch": ahead(("Sec-Purpose", "prefetch")),
    "speculation rules, anonymous": ahead(("Sec-Purpose", "prefetch;anonymous-client-ip")),
    "speculation rules, prerender": ahead(("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch")),
    "prerender of the address bar": fetched(
        "navigate", "document", ("Sec-Purpose", "prefetch;prerender"), ("Sec-Fetch-User", "?1"), site="none"
    ),
    "page preview": ahead(("Sec-Purpose", "prefetch;prerender;preview")),
    "a frontend's router": fetched("cors", "empty", ("Purpose", "prefetch"), ("Next-Router-Prefetch", "1")),
    "a frontend's router, older browser": [("purpose", "prefetch")],
    "capitals": [("PURPOSE", "PreFetch")],
    "a list": [("Purpose", "other, prefetch")],
    "two purposes": [("Purpose", "other"), ("Purpose", "prefetch")],
    "a purpose to come": ahead(("Sec-Purpose", "something-to-come")),
}
NEITHER: dict[str, Headers] = {
    "empty mode": fetched("", "document"),
    "empty destination": fetched("navigate", ""),
    "empty purpose": ahead(("Sec-Purpose", "")),
    "other capitals": fetched("Navigate", "Document"),
    "a mode with parameters": fetched("navigate;x=y", "document"),
    "two modes in one": fetched("navigate, no-cors", "document"),
    "two destinations in one": fetched("navigate", "document, image"),
    "doubled mode": fetched("navigate", "document", ("Sec-Fetch-Mode", "navigate")),
    "doubled destination": fetched("navigate", "document", ("Sec-Fetch-Dest", "document")),
    "two modes": fetched("navigate", "document", ("Sec-Fetch-Mode", "no-cors")),
    "two destinations": fetched("navigate", "document", ("sec-fetch-dest", "image")),
    "mode alone": fetched("no-cors", None),
    "destination alone": fetched(None, "image"),
    "no navigation of a document": fetched("no-cors", "document"),
}
REFUSED = {**PARTS_OF_A_PAGE, **AHEAD_OF_THE_PERSON, **NEITHER}

ALLOWED: dict[str, Headers] = {
    "curl": [],
    "address bar": fetched("navigate", "document", ("Sec-Fetch-User", "?1"), site="none"),
    "link": fetched("navigate", "document", ("Sec-Fetch-User", "?1"), ("Referer", "https://app.example.com/")),
    "link of a page of the same site": fetched("navigate", "document", ("Sec-Fetch-User", "?1"), site="same-site"),
    "location.assign": fetched("navigate", "document"),
    "form": fetched("navigate", "document", ("Sec-Fetch-User", "?1"), ("Upgrade-Insecure-Requests", "1")),
    "window of its own": fetched("navigate", "document", site="same-origin"),
    "mode alone": fetched("navigate", None),
    "destination alone": fetched(None, "document"),
    "site alone": fetched(None, None),
    "another purpose": fetched("navigate", "document", ("Purpose", "navigation")),
}

each = pytest.mark.parametrize


@pytest.fixture(scope="module")
def containers(one_server: Server) -> Containers:
    """Containers over a table of this module's own: to read one that all tests fill takes longer than the tests."""
    return one_server.apart()


@pytest.fixture
def surfer(server: Server) -> Browser:
    """A browser of its own."""
    return server.browser()


@each("what", REFUSED)
def test_login_is_begun_by_nothing_else(server: Server, surfer: Browser, what: str) -> None:
    """403 before any count, row or cookie, and a person's link works afterwards (next.js #38128)."""
    before = server.rows()
    reply = surfer.get("/login/google", {"return_to": PAGE}, REFUSED[what])
    assert_problem(reply, 403, "navigation_required")
    assert "location.assign()" in reply.json["detail"]
    assert (reply.all("Set-Cookie"), reply.header("Location")) == ([], None)
    assert server.rows() == before
    assert surfer.cookies == {}


@each("what", REFUSED)
def test_callback_is_loaded_by_nothing_else(server: Server, surfer: Browser, what: str) -> None:
    """403, with nothing consumed, ended or told: the person's own navigation there still finishes the login."""
    former = sign_up(surfer.client, "cookie")
    surfer.keep(former.reply)
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    held, before, asked = surfer.cookies.copy(), server.rows(), server.provider.fetches.total()
    reply = surfer.come_back(callback, REFUSED[what])
    assert_problem(reply, 403, "navigation_required")
    assert reply.header("Location") is None
    assert (surfer.cookies, server.rows(), server.provider.fetches.total()) == (held, before, asked)
    former.assert_lives()
    assert surfer.come_back(callback, ALLOWED["link"]).header("Location") == PAGE
    assert surfer.logged_in()


@each("what", ALLOWED)
def test_navigations_go_there_and_back(surfer: Browser, what: str) -> None:
    """A link, a form, the address bar, a browser too old to say, and programs."""
    reply = surfer.get("/login/google", {"return_to": PAGE}, ALLOWED[what])
    assert reply.status == 303, reply
    assert LOGIN_COOKIE in surfer.cookies
    callback = surfer.agree(str(reply.header("Location")), person_of(new_email()))
    assert surfer.come_back(callback, ALLOWED[what]).header("Location") == PAGE
    assert surfer.logged_in()


@each("path", ["/login/facebook", "/login/facebook/callback", "/login/google", "/login/google/callback"])
def test_refusal_does_not_tell_what_is_switched_on(surfer: Browser, path: str) -> None:
    """One answer for a provider that is on and for one that is not, whatever else is missing."""
    reply = surfer.client.call("GET", path, headers=REFUSED["img"])
    assert_problem(reply, 403, "navigation_required")


def test_pictures_take_no_login_away(server: Server, surfer: Browser) -> None:
    """300 pictures of a page that many visit: from that address passwords, providers and codes go on as before."""
    client, email = surfer.client, sign_up(CheckedClient(server.url)).email
    before = server.rows()
    assert {client.call("GET", BEGIN, headers=REFUSED["img"]).status for _ in range(300)} == {403}
    assert server.rows() == before
    log_in(client, email)
    assert surfer.log_in(person_of(new_email())).header("Location") == PAGE
    members = {**own_code(server.provider, person_of(new_email())), "transport": "body"}
    assert client.post("/login/google/exchange", members, [FROM_PAGE]).status == 200


@pytest.fixture
def crowded(server: Server, containers: Containers, monkeypatch: pytest.MonkeyPatch) -> Client:
    """An address from which so many logins at providers were begun, by browsers that do not say how, that all wait."""
    policy = LimitPolicy("provider-address", 3600, ((1, 0),), 300)
    monkeypatch.setattr(containers.services().begin_login.attempts, "at_provider_by_address", policy)
    client = CheckedClient(server.url)
    assert client.call("GET", BEGIN).status == 303
    refused = client.call("GET", BEGIN)
    assert_problem(refused, 429, "too_many_requests")
    assert refused.header("RateLimit-Policy") == '"provider-address";q=1;w=3600'
    return client


def test_crowd_takes_no_password_away(server: Server, crowded: Client) -> None:
    """Logins at providers count by themselves: whoever has a password is let in from the same address."""
    log_in(crowded, sign_up(CheckedClient(server.url)).email)


@each("transport", ["cookie", "session"])
def test_known_browser_is_not_held_up_by_the_crowd(server: Server, crowded: Client, transport: str) -> None:
    """Its device cookie says that somebody has logged in with it: by whichever transport, at the provider or here."""
    held = sign_up(CheckedClient(server.url), transport)
    known = server.browser(crowded)
    known.keep(held.reply)
    assert known.log_in(person_of(new_email())).header("Location") == PAGE
    # The login left a token of the other account, of a browser that is known as well.
    assert known.log_in(person_of(new_email())).header("Location") == PAGE
    members = {**own_code(server.provider, person_of(new_email())), "transport": transport}
    headers = [FROM_PAGE, ("Cookie", held.device_cookie)]
    assert crowded.post("/login/google/exchange", members, headers).status == 200
    assert_problem(crowded.post("/login/google/exchange", members, [FROM_PAGE]), 429, "too_many_requests")
    name, _, value = held.device_cookie.partition("=")
    for spoilt in (f"{name}={value[:-1]}", f"{name}={value}; {name}={value}", f"x{name}={value}"):
        assert_problem(crowded.call("GET", BEGIN, headers=[("Cookie", spoilt)]), 429, "too_many_requests")


def test_known_app_is_not_held_up_by_the_crowd(server: Server, crowded: Client) -> None:
    """It sends `device_token`, with a code that it exchanges and with one that it links."""
    token = sign_up(CheckedClient(server.url)).reply.json["device_token"]
    email = new_email()
    members = {**own_code(server.provider, person_of(email)), "transport": "body"}
    assert_problem(crowded.post("/login/google/exchange", members), 429, "too_many_requests")
    reply = crowded.post("/login/google/exchange", {**members, "device_token": token})
    assert reply.status == 200, reply
    held = sign_up(CheckedClient(server.url))
    linked = {**own_code(server.provider, person_of(new_email())), "refresh_token": held.refresh_token}
    assert_problem(crowded.post("/identities/google", linked, [held.bearer]), 429, "too_many_requests")
    known = {**linked, "device_token": held.reply.json["device_token"]}
    assert crowded.post("/identities/google", known, [held.bearer]).status == 200


def test_known_browser_links_whatever_the_crowd_does(server: Server, crowded: Client) -> None:
    """By its cookie, beside a bearer token."""
    held = sign_up(CheckedClient(server.url), "cookie")
    path, members = "/identities/google/authorization", {"return_to": PAGE}
    headers = [FROM_PAGE, held.bearer, ("X-CSRF-Token", held.csrf_token)]
    assert_problem(crowded.post(path, members, [*headers, ("Cookie", held.cookie)]), 429, "too_many_requests")
    headers.append(("Cookie", f"{held.cookie}; {held.device_cookie}"))
    assert crowded.post(path, members, headers).status == 200
    code = own_code(server.provider, person_of(new_email()))
    assert crowded.post("/identities/google", code, headers).status == 200
