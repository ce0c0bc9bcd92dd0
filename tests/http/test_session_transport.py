"""The transport `session` over HTTP: one opaque cookie, on Keyturn's own guarded routes too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http.client import (
    NO_SESSION,
    SESSION_COOKIE,
    Held,
    assert_answer,
    assert_no_content,
    assert_problem,
    log_in,
    sign_up,
)
from tests.http.test_csrf import ALLOWED_PAGES, REFUSED_PAGES, enter
from tests.world.browser import FROM_PAGE, REFRESH_COOKIE
from tests.world.constants import PASSWORD
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.client import Headers
    from tests.http.server import Server
    from tests.world.client import Client, Reply

    Action = Callable[[Held, Headers], Reply]

NEW_PASSWORD = "fresh horse battery"
CHANGE = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
MEMBERS = {"expires_in", "session_id", "csrf_token", "user"}
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
NINETY_DAYS = 90 * 86400


def cleared(name: str) -> list[str]:
    """How the cookie is removed, as it is set and as it might have been."""
    return [f"{name}=; Max-Age=0; {ATTRIBUTES}", f"{name}=; Max-Age=0; {ATTRIBUTES[:-3]}None; Partitioned"]


def value_of(held: Held) -> str:
    """What the cookie holds."""
    return held.cookie.partition("=")[2]


def changed(held: Held) -> Held:
    """The session after a password change, which must work."""
    reply = held.client.post("/password/change", CHANGE, held.page)
    assert_answer(reply, 200, MEMBERS)
    return Held(held.client, held.email, reply)


@pytest.mark.parametrize("path", ["/signup", "/login"])
def test_nothing_but_a_cookie_is_given_out(page: Held, path: str) -> None:
    """No token is in the body; the cookie lasts as long as the session can, whose idle limit is the table's matter."""
    email = page.email if path == "/login" else new_email()
    members = {"email": email, "password": PASSWORD, "transport": "session"}
    reply = page.client.post(path, members, [FROM_PAGE])
    assert_answer(reply, 200 if path == "/login" else 201, MEMBERS)
    assert reply.json["expires_in"] == NINETY_DAYS
    cookie, device = reply.all("Set-Cookie")
    assert device.startswith("__Host-device=")
    held = Held(page.client, email, reply)
    assert cookie == f"{SESSION_COOKIE}={value_of(held)}; Max-Age={NINETY_DAYS}; {ATTRIBUTES}"
    assert value_of(held) not in reply.body.decode()


def test_guarded_routes_take_the_cookie(page: Held) -> None:
    """They know the user by it alone, and the list tells how the session travels; reading needs no CSRF token."""
    me = page.me()
    assert_answer(me, 200, {"sub", "email", "email_verified", "roles", "session_id"})
    assert (me.json["email"], me.json["session_id"]) == (page.email, page.session_id)
    listed = page.client.call("GET", "/sessions", headers=[("Cookie", page.cookie)]).json["sessions"]
    assert [(session["transport"], session["current"]) for session in listed] == [("session", True)]
    assert page.client.call("GET", "/identities", headers=[("Cookie", page.cookie)]).status == 200


def test_reloaded_page_gets_its_csrf_token(page: Held) -> None:
    """The same one again, from the cookie alone."""
    reply = page.client.call("GET", "/csrf", headers=[("Cookie", page.cookie)])
    assert reply.status == 200
    assert (reply.json["csrf_token"], reply.json["session_id"]) == (page.csrf_token, page.session_id)


def test_there_is_nothing_to_refresh(page: Held) -> None:
    """`/refresh` refuses the cookie, alive or dead, and leaves it where it is."""
    for _ in range(2):
        reply = page.client.post("/refresh", headers=page.page)
        assert_problem(reply, 401, "invalid_grant")
        page.assert_lives()
    page.client.post("/logout", headers=page.page)
    assert_problem(page.client.post("/refresh", headers=page.page), 401, "invalid_grant")


def test_logout(page: Held) -> None:
    """The session is over with the answer, and the cookie goes as it came. Twice is as good."""
    other = log_in(page.client, page.email, "session")
    for _ in range(2):
        reply = page.client.post("/logout", headers=page.page)
        assert_no_content(reply)
        assert reply.all("Set-Cookie") == cleared(SESSION_COOKIE)
    page.assert_dead()
    other.assert_lives()


def test_logout_clears_whatever_came(page: Held, browser: Held) -> None:
    """Both cookies go, and both sessions are over; a cookie that is worth nothing goes too."""
    both = ("Cookie", f"{browser.cookie}; {page.cookie}")
    reply = page.client.post("/logout", headers=[FROM_PAGE, both, ("X-CSRF-Token", page.csrf_token)])
    assert_no_content(reply)
    assert sorted(reply.all("Set-Cookie")) == sorted(cleared(SESSION_COOKIE) + cleared(REFRESH_COOKIE))
    page.assert_dead()
    browser.assert_dead()
    reply = page.client.post("/logout", headers=[FROM_PAGE, ("Cookie", f"{SESSION_COOKIE}=nonsense")])
    assert reply.all("Set-Cookie") == cleared(SESSION_COOKIE)


@pytest.mark.parametrize("by", ["logout/all", "sessions"])
def test_session_ends_itself(page: Held, by: str) -> None:
    """By ending everything, or from the list. Only /logout clears a cookie: this one is dead where it lies."""
    other = log_in(page.client, page.email)
    method, path = ("POST", "/logout/all") if by == "logout/all" else ("DELETE", f"/sessions/{page.session_id}")
    reply = page.client.call(method, path, headers=page.page)
    assert_no_content(reply)
    assert not reply.all("Set-Cookie")
    page.assert_dead()
    if by == "sessions":
        other.assert_lives()
    else:
        other.assert_dead()


def test_password_change_renews_the_cookie(page: Held) -> None:
    """A new cookie of the same session; the one of before is dead at once, and so is every other session."""
    other, bearer = log_in(page.client, page.email, "session"), log_in(page.client, page.email)
    after = changed(page)
    assert after.session_id == page.session_id
    assert value_of(after) != value_of(page)
    assert after.csrf_token == page.csrf_token
    for dead in (page, other, bearer):
        dead.assert_dead()
    after.assert_lives()
    log_in(page.client, page.email, "session", NEW_PASSWORD).assert_lives()


def test_cookie_of_before_a_password_change_changes_nothing(page: Held) -> None:
    """Who has a copy of the old cookie cannot change the password back, nor end another session."""
    after = changed(page)
    back = {"current_password": NEW_PASSWORD, "new_password": PASSWORD}
    assert_problem(page.client.post("/password/change", back, page.page), 401, "invalid_token")
    assert_problem(page.client.post("/logout/all", headers=page.page), 401, "invalid_token")
    after.assert_lives()


LOGINS = {"session": SESSION_COOKIE, "cookie": REFRESH_COOKIE}


@pytest.mark.parametrize("now", [*LOGINS, "body"])
@pytest.mark.parametrize("before", LOGINS)
def test_browser_never_holds_two(client: Client, before: str, now: str) -> None:
    """A login ends the session that came, and removes the cookie that it does not set over itself."""
    former = sign_up(client, before)
    members = {"email": former.email, "password": PASSWORD, "transport": now}
    reply = client.post("/login", members, former.page)
    assert reply.status == 200, reply
    former.assert_dead()
    set_cookies = reply.all("Set-Cookie")
    fresh = [cookie for cookie in set_cookies if "Max-Age=0" not in cookie]
    assert [cookie.partition("=")[0] for cookie in fresh] == ([LOGINS[now], "__Host-device"] if now in LOGINS else [])
    left = now in LOGINS and now != before
    assert [cookie for cookie in set_cookies if cookie not in fresh] == (cleared(LOGINS[before]) if left else [])
    Held(client, former.email, reply).assert_lives()


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_login_removes_a_cookie_that_cannot_be_read(page: Held, path: str) -> None:
    """A spoilt cookie of the other name needs no CSRF token, ends nothing, and does not stay."""
    email = page.email if path == "/login" else new_email()
    members = {"email": email, "password": PASSWORD, "transport": "cookie"}
    spoilt = ("Cookie", f"{page.cookie}x; {page.cookie}")
    reply = page.client.post(path, members, [FROM_PAGE, spoilt])
    assert reply.status < 300, reply
    assert [cookie for cookie in reply.all("Set-Cookie") if "Max-Age=0" in cookie] == cleared(SESSION_COOKIE)
    page.assert_lives()


def test_refused_login_leaves_everything(page: Held) -> None:
    """Neither the session nor its cookie goes with a login that fails."""
    members = {"email": page.email, "password": "wrong horse battery", "transport": "cookie"}
    assert_problem(page.client.post("/login", members, page.page), 401, "invalid_credentials")
    page.assert_lives()


@pytest.mark.parametrize("before", [None, *LOGINS])
def test_login_at_a_provider(server: Server, client: Client, before: str | None) -> None:
    """The browser comes back with a session cookie; what it came with is over, and a cookie of the other name gone."""
    surfer = server.browser(client)
    former = sign_up(client, before) if before else None
    if former:
        surfer.keep(former.reply)
    email = new_email()
    reply = surfer.come_back(surfer.agree(surfer.begin(transport="session"), person_of(email)))
    assert reply.status == 303
    assert reply.body == b""
    held = surfer.cookies
    assert SESSION_COOKIE in held
    assert REFRESH_COOKIE not in held
    gone = [cookie for cookie in reply.all("Set-Cookie") if "Max-Age=0" in cookie]
    removed = [cookie for cookie in gone if not cookie.startswith("__Host-login-")]
    assert len(gone) == len(removed) + 1  # the login's own cookie
    assert removed == (cleared(REFRESH_COOKIE) if before == "cookie" else [])
    me = surfer.get("/me")
    assert (me.status, me.json["email"]) == (200, email)
    if former:
        former.assert_dead()


def test_credential_is_refused_on_another_way_than_its_own(page: Held, browser: Held, app_user: Held) -> None:
    """By every way but the one that it was made for, each of them is nothing; no session is touched."""
    client = page.client
    for held in (browser, app_user):
        wrong = [("Cookie", f"{SESSION_COOKIE}={held.refresh_token}")]
        assert_problem(client.call("GET", "/me", headers=wrong), 401, "invalid_token")
        assert client.call("GET", "/csrf", headers=wrong).json == NO_SESSION
        assert_no_content(client.post("/logout", headers=[FROM_PAGE, *wrong]))
    wrong = [FROM_PAGE, ("Cookie", f"{REFRESH_COOKIE}={value_of(page)}"), ("X-CSRF-Token", page.csrf_token)]
    assert_problem(client.post("/refresh", headers=wrong), 401, "invalid_grant")
    assert_problem(client.call("GET", "/me", headers=wrong), 401, "invalid_token")
    assert_problem(client.post("/refresh", {"refresh_token": value_of(page)}), 401, "invalid_grant")
    assert_no_content(client.post("/logout", {"refresh_token": value_of(page)}))
    for scheme in ("Bearer ", "", "Session "):
        headers = [("Authorization", f"{scheme}{value_of(page)}")]
        assert_problem(client.call("GET", "/me", headers=headers), 401, "invalid_token")
    for held in (page, browser, app_user):
        held.assert_lives()


def test_cookie_and_body_together_are_refused(page: Held, app_user: Held) -> None:
    """Which of two credentials is meant cannot be told."""
    for path in ("/refresh", "/logout"):
        reply = page.client.post(path, {"refresh_token": app_user.refresh_token}, page.page)
        assert_problem(reply, 400, "invalid_request")
    page.assert_lives()
    app_user.assert_lives()


HOSTILE = [
    "",
    "{0}; __Host-session={0}",
    "{0}; __Host-session=x",
    "x; __Host-session={0}",
    '"{0}"',
    "{0}=",
    "{0}A",
    "{0}.",
    "kt1",
    "kt1..",
    "kt1.x." + "A" * 112,
    "kt2{0}",
    "KT1.{0}",
    "%6bt1.x.y",
    "null",
    "A" * 6000,
    "\u00e9\u4e2d",
    "{0},{0}",
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_cookie(page: Held, value: str) -> None:
    """A cookie that is malformed, forged or doubled is an absent one, never a pass (CVE-2026-25748); nothing ends."""
    cookie = ("Cookie", f"{SESSION_COOKIE}={value.format(value_of(page))}")
    for method, path in (("GET", "/me"), ("GET", "/sessions"), ("DELETE", f"/sessions/{page.session_id}")):
        headers = [FROM_PAGE, cookie, ("X-CSRF-Token", page.csrf_token)]
        assert_problem(page.client.call(method, path, headers=headers), 401, "invalid_token")
    assert page.client.call("GET", "/csrf", headers=[cookie]).json == NO_SESSION
    assert_no_content(page.client.post("/logout", headers=[FROM_PAGE, cookie]))
    page.assert_lives()


@pytest.mark.parametrize(
    "name", ["__host-session", "__Host-Session", "Host-session", "session", "\u2000__Host-session"]
)
def test_cookie_of_another_name(page: Held, name: str) -> None:
    """The prefix is what browsers guard: no other spelling is read as ours."""
    reply = page.client.call("GET", "/me", headers=[("Cookie", f"{name}={value_of(page)}")])
    assert_problem(reply, 401, "invalid_token")


def carrying(path: str, transport: str) -> Action:
    """Sign up or log in with the cookie along."""
    act = enter(path, transport, carrying=True)
    return lambda page, headers: act(page, page, headers)


def asking(method: str, path: str, members: dict[str, str] | None = None) -> Action:
    """A request of the page with its cookie."""
    return lambda page, headers: page.client.call(
        method, path.format(page.session_id), members, [("Cookie", page.cookie), *headers]
    )


BY_HANDLER: dict[str, Action] = {
    "signup-body": carrying("/signup", "body"),
    "signup-session": carrying("/signup", "session"),
    "login-body": carrying("/login", "body"),
    "login-session": carrying("/login", "session"),
    "logout": asking("POST", "/logout"),
}
# What the guard refuses before Keyturn's function is asked.
BY_GUARD: dict[str, Action] = {
    "logout-all": asking("POST", "/logout/all"),
    "end-session": asking("DELETE", "/sessions/{}"),
    "password-change": asking("POST", "/password/change", CHANGE),
    "unlink": asking("DELETE", "/identities/google"),
}
ACTIONS = BY_HANDLER | BY_GUARD


@pytest.mark.parametrize("headers", [*REFUSED_PAGES, []], ids=str)
def test_refused_page(page: Held, headers: Headers) -> None:
    """A page of no allowed origin, or of none, does nothing with the cookie, even with the right CSRF token."""
    for act in BY_HANDLER.values():
        assert_problem(act(page, [*headers, ("X-CSRF-Token", page.csrf_token)]), 403, "origin_refused")
    for act in BY_GUARD.values():
        assert act(page, [*headers, ("X-CSRF-Token", page.csrf_token)]).status == 403
    page.assert_lives()


def test_csrf_token(page: Held) -> None:
    """No CSRF token but the session's own is good; nothing has changed after any other."""
    stranger = sign_up(page.client, "session").csrf_token
    same_user = log_in(page.client, page.email, "session").csrf_token
    own = page.csrf_token
    wrong: list[Headers] = [
        [],
        *([("X-CSRF-Token", value)] for value in ("", stranger, same_user, own[:-1], own.swapcase(), value_of(page))),
        [("X-CSRF-Token", own), ("X-CSRF-Token", own)],
    ]
    for headers in wrong:
        for act in BY_HANDLER.values():
            assert_problem(act(page, [FROM_PAGE, *headers]), 403, "csrf_token_invalid")
        for act in BY_GUARD.values():
            assert act(page, [FROM_PAGE, *headers]).status == 403
    page.assert_lives()


@pytest.mark.parametrize("headers", ALLOWED_PAGES, ids=str)
@pytest.mark.parametrize("action", ACTIONS)
def test_allowed_page(page: Held, action: str, headers: Headers) -> None:
    """A page of an allowed origin, or of the API's own, may do everything."""
    reply = ACTIONS[action](page, [*headers, ("X-CSRF-Token", page.csrf_token)])
    assert reply.status == 404 if action == "unlink" else reply.status < 300, reply
