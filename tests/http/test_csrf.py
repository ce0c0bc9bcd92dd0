"""Which pages may do what: Origin, Sec-Fetch-Site and X-CSRF-Token at each route that can take or set a cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http.client import CheckedClient, Held, assert_problem, log_in, sign_up
from tests.world.browser import FROM_PAGE
from tests.world.constants import ORIGIN, PASSWORD, SECOND_ORIGIN
from tests.world.person import new_email

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.client import Headers
    from tests.http.server import Server
    from tests.world.client import Client, Reply

    Action = Callable[[Held, Held, Headers], Reply]


def enter(path: str, transport: str, *, carrying: bool = False) -> Action:
    """Sign up anew, or log in as the browser's user."""

    def act(browser: Held, _: Held, headers: Headers) -> Reply:
        email = browser.email if path == "/login" else new_email()
        cookie = [("Cookie", browser.cookie)] if carrying else []
        members = {"email": email, "password": PASSWORD, "transport": transport}
        return browser.client.post(path, members, [*cookie, *headers])

    return act


def by_cookie(path: str) -> Action:
    """Refresh or log out as the browser."""
    return lambda browser, _, headers: browser.client.post(path, headers=[("Cookie", browser.cookie), *headers])


def by_body(path: str) -> Action:
    """Refresh or log out with a refresh token in the body."""
    return lambda _, app_user, headers: app_user.client.post(path, {"refresh_token": app_user.refresh_token}, headers)


def by_bearer(_: Held, app_user: Held, headers: Headers) -> Reply:
    """Log out with an access token."""
    return app_user.client.post("/logout", headers=[app_user.bearer, *headers])


def new_password(_: Held, app_user: Held, headers: Headers) -> Reply:
    """Change the password, with the refresh token in the body beside the bearer token."""
    members = {
        "current_password": PASSWORD,
        "new_password": "fresh horse battery",
        "refresh_token": app_user.refresh_token,
    }
    return app_user.client.post("/password/change", members, [app_user.bearer, *headers])


# What carries or would set a cookie.
WITH_COOKIE: dict[str, Action] = {
    "signup-cookie": enter("/signup", "cookie"),
    "login-cookie": enter("/login", "cookie"),
    "signup-session": enter("/signup", "session"),
    "login-session": enter("/login", "session"),
    "signup-carrying": enter("/signup", "body", carrying=True),
    "login-carrying": enter("/login", "body", carrying=True),
    "refresh-cookie": by_cookie("/refresh"),
    "logout-cookie": by_cookie("/logout"),
}
# What does neither: a program's requests.
WITHOUT_COOKIE: dict[str, Action] = {
    "signup-body": enter("/signup", "body"),
    "login-body": enter("/login", "body"),
    "refresh-body": by_body("/refresh"),
    "logout-body": by_body("/logout"),
    "logout-bearer": by_bearer,
    "password-change-body": new_password,
}
# What a session's own CSRF token is needed for.
WITH_SESSION = ("signup-carrying", "login-carrying", "refresh-cookie", "logout-cookie")

REFUSED_ORIGINS = [
    "https://evil.example",
    "null",
    "",
    "*",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://evilapp.example.com",
    "https://www.app.example.com",
    "https://example.com",
    "https://APP.example.com",
    "HTTPS://app.example.com",
    "http://app.example.com",
    "https://app.example.com:443",
    "https://app.example.com:8443",
    "https://admin.example.com",
    "https://app.example.com/",
    "https://app.example.com/login",
    "https://app.example.com.",
    "https://app.example.com@evil.example",
    "https://evil.example#https://app.example.com",
    "https://app.example.com, https://evil.example",
    "https://app.example.com https://evil.example",
    "https://\u0430pp.example.com",
    "app.example.com",
    "file://",
]
REFUSED_SITES = ["cross-site", "same-site", "none", "", "Same-Origin", "same-origin, cross-site", "?"]
REFUSED_PAGES: list[Headers] = [
    *([("Origin", origin)] for origin in REFUSED_ORIGINS),
    *([("Sec-Fetch-Site", site)] for site in REFUSED_SITES),
    [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")],
    [("Origin", "null"), ("Sec-Fetch-Site", "none")],
    [FROM_PAGE, ("Origin", "https://evil.example")],
    [("Origin", "https://evil.example"), FROM_PAGE],
    [FROM_PAGE, FROM_PAGE],
    *([FROM_PAGE, ("Sec-Fetch-Site", site)] for site in ("none", "", "Cross-Site", "cross-site, same-site", "?")),
    [FROM_PAGE, ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "cross-site")],
    [FROM_PAGE, FROM_PAGE, ("Sec-Fetch-Site", "same-origin")],
    [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
    [("Referer", f"{ORIGIN}/"), ("Origin", "https://evil.example")],
    [("X-Forwarded-Host", "app.example.com"), ("Origin", "https://evil.example")],
]
ALLOWED_PAGES: list[Headers] = [
    [FROM_PAGE],
    [("Origin", SECOND_ORIGIN)],
    [("origin", ORIGIN)],
    [FROM_PAGE, ("Sec-Fetch-Site", "cross-site")],
    [FROM_PAGE, ("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "same-origin")],
    # What a browser says for a form of our own host under `Referrer-Policy: no-referrer`.
    [("Origin", "null"), ("Sec-Fetch-Site", "same-origin")],
]


def csrf_headers(browser: Held) -> Headers:
    """The browser's right token."""
    return [("X-CSRF-Token", browser.csrf_token)]


@pytest.mark.parametrize("page", REFUSED_PAGES, ids=str)
def test_refused_page(browser: Held, app_user: Held, page: Headers) -> None:
    """A page of no allowed origin does nothing with a cookie, even with the right CSRF token; and nothing changes."""
    for act in WITH_COOKIE.values():
        assert_problem(act(browser, app_user, [*page, *csrf_headers(browser)]), 403, "origin_refused")
    browser.assert_lives()


PACKAGED = ["capacitor://localhost", "ionic://localhost", "tauri://localhost", "app://-", "chrome-extension://abcd"]
OF_PACKAGED: list[Headers] = [
    *([("Origin", origin)] for origin in PACKAGED),
    *([("Origin", origin), ("Sec-Fetch-Site", "cross-site")] for origin in PACKAGED),
    [("Origin", "chrome-extension://abcd"), ("Sec-Fetch-Site", "none")],
]


@pytest.mark.parametrize(
    "page",
    [
        *(pytest.param(page, id=str(page)) for page in [*OF_PACKAGED, *REFUSED_PAGES[:2]]),
        *(pytest.param(page, id=str(page), marks=pytest.mark.slow) for page in REFUSED_PAGES[2:]),
    ],
)
@pytest.mark.parametrize("action", WITHOUT_COOKIE)
def test_body_asks_for_no_origin(browser: Held, app_user: Held, action: str, page: Headers) -> None:
    """Where no cookie is carried or set, the request's own credential decides: native HTTP sends an Origin too.

    (appwrite #13514, capacitor-community/http #45.)
    """
    reply = WITHOUT_COOKIE[action](browser, app_user, page)
    assert reply.status < 300, reply
    assert not reply.all("Set-Cookie")


@pytest.mark.parametrize("page", OF_PACKAGED, ids=str)
def test_packaged_app_with_cookies(server: Server, page: Headers) -> None:
    """Its origin may use cookies and read answers where it is on the list, byte for byte; else it may not."""
    client, origin = CheckedClient(server.url), str(dict(page)["Origin"])
    members = {"email": new_email(), "password": PASSWORD}
    assert_problem(client.post("/signup", members, page), 403, "origin_refused")
    with server.cold({"KEYTURN_ALLOWED_ORIGINS": f"{ORIGIN},{origin}"}):
        reply = client.post("/signup", members, page)
        assert (reply.status, reply.header("Access-Control-Allow-Origin")) == (201, origin)
        browser = Held(client, members["email"], reply)
        headers = [*page, ("Cookie", browser.cookie), *csrf_headers(browser)]
        assert client.post("/refresh", headers=headers).status == 200
        preflight = client.send("OPTIONS", "/refresh", [*page, ("Access-Control-Request-Method", "POST")])
        assert preflight.header("Access-Control-Allow-Origin") == origin
        for other in (origin.upper(), f"{origin}/", f"{origin}.evil.example"):
            refused = client.post("/refresh", headers=[("Origin", other), *headers[len(page) :]])
            assert_problem(refused, 403, "origin_refused")
            assert refused.header("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("action", WITH_COOKIE)
def test_neither_header(browser: Held, app_user: Held, action: str) -> None:
    """What carries or would set a cookie needs one of the two headers."""
    assert_problem(WITH_COOKIE[action](browser, app_user, csrf_headers(browser)), 403, "origin_refused")
    browser.assert_lives()


def test_refusal_names_the_way_out(browser: Held, app_user: Held) -> None:
    """A first curl without `transport` learns what to send instead, a frontend which setting it needs: and no more."""
    for act in WITH_COOKIE.values():
        detail = act(browser, app_user, csrf_headers(browser)).json["detail"]
        assert '"transport": "body"' in detail
        assert "KEYTURN_ALLOWED_ORIGINS" in detail
        assert act(browser, app_user, [("Origin", "https://evil.example")]).json["detail"] == detail
    assert ORIGIN not in detail


@pytest.mark.parametrize("action", WITHOUT_COOKIE)
def test_neither_header_of_a_program(browser: Held, app_user: Held, action: str) -> None:
    """A program, which sends neither header, needs none where no cookie is involved; nor any CSRF token."""
    assert WITHOUT_COOKIE[action](browser, app_user, []).status < 300


@pytest.mark.parametrize("page", ALLOWED_PAGES, ids=str)
@pytest.mark.parametrize("action", WITH_COOKIE | WITHOUT_COOKIE)
def test_allowed_page(browser: Held, app_user: Held, action: str, page: Headers) -> None:
    """A page of an allowed origin, or of the API's own, may do everything."""
    act = (WITH_COOKIE | WITHOUT_COOKIE)[action]
    assert act(browser, app_user, [*page, *csrf_headers(browser)]).status < 300


def test_csrf_token(browser: Held, app_user: Held) -> None:
    """No CSRF token but the session's own is good, to the letter; nothing has changed after any other."""
    own = browser.csrf_token
    stranger = sign_up(browser.client, "cookie").csrf_token
    same_user = log_in(browser.client, browser.email, "cookie").csrf_token
    wrong: list[Headers] = [
        [],
        *(
            [("X-CSRF-Token", value)]
            for value in ("", "x", stranger, same_user, own[:-1], own + "A", own + "=", own.swapcase(), f'"{own}"')
        ),
        *([("X-CSRF-Token", value)] for value in ("\u00e9", "a" * 8192, f"{own},{own}", app_user.refresh_token)),
        [("X-CSRF-Token", own), ("X-CSRF-Token", own)],
        [("X-CSRF-Token", own), ("X-CSRF-Token", stranger)],
        [("X-XSRF-Token", own)],
        [("Cookie", f"X-CSRF-Token={own}")],
    ]
    for headers in wrong:
        for action in WITH_SESSION:
            reply = WITH_COOKIE[action](browser, app_user, [FROM_PAGE, *headers])
            assert_problem(reply, 403, "csrf_token_invalid")
    browser.assert_lives().assert_lives()


# What may not ask for a CSRF token: a page elsewhere, and what a browser would not say.
NOT_FOR_CSRF: list[Headers] = [
    [("Origin", "https://evil.example")],
    [("Origin", "null")],
    [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "?")],
    [FROM_PAGE, FROM_PAGE],
]
FOR_CSRF: list[Headers] = [
    [],
    [("Sec-Fetch-Site", "none")],
    [("Sec-Fetch-Site", "same-origin")],
    [FROM_PAGE],
    [FROM_PAGE, ("Sec-Fetch-Site", "cross-site")],
]


@pytest.mark.parametrize("headers", NOT_FOR_CSRF, ids=str)
def test_csrf_token_is_for_allowed_pages(client: Client, browser: Held, headers: Headers) -> None:
    """A page elsewhere is refused the token, and learns not even whether the browser has a session."""
    with_cookie = client.call("GET", "/csrf", headers=[("Cookie", browser.cookie), *headers])
    without = client.call("GET", "/csrf", headers=headers)
    assert_problem(with_cookie, 403, "origin_refused")
    assert without.body == with_cookie.body


@pytest.mark.parametrize("headers", FOR_CSRF, ids=str)
def test_who_gets_the_csrf_token(client: Client, browser: Held, headers: Headers) -> None:
    """An allowed page gets the token, and so does a program or a typed address, which no page can read."""
    reply = client.call("GET", "/csrf", headers=[("Cookie", browser.cookie), *headers])
    assert (reply.status, reply.json["csrf_token"]) == (200, browser.csrf_token)
