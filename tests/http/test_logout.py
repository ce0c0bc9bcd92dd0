"""POST /logout and POST /logout/all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.http.client import Held, assert_no_content, assert_problem, log_in, sign_up
from tests.world.browser import FROM_PAGE, REFRESH_COOKIE

if TYPE_CHECKING:
    from tests.http.client import Headers
    from tests.http.server import Server
    from tests.world.client import Client

# As it is set now, and as it was set if the setting was once another: browsers keep a partitioned cookie apart.
CLEARED = [
    f"{REFRESH_COOKIE}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
    f"{REFRESH_COOKIE}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
]


def expired_bearer(server: Server, held: Held) -> Headers:
    """The header of an access token of this session that has expired an hour ago."""
    access_tokens = server.services.access_tokens
    claims = access_tokens.verify(held.bearer[1].removeprefix("Bearer "), int(time.time()))
    hour_ago = int(time.time()) - 3600
    expired = claims._replace(iat=hour_ago - 900, auth_time=hour_ago - 900, exp=hour_ago)
    return [("Authorization", f"Bearer {access_tokens.issue(expired)}")]


def test_by_cookie(browser: Held) -> None:
    """The session is over, its access token is denied at once, and the cookie goes as it came. Twice is as good."""
    for _ in range(2):
        reply = browser.client.post("/logout", headers=browser.page)
        assert_no_content(reply)
        assert reply.all("Set-Cookie") == CLEARED
    browser.assert_dead()


def test_by_body(app_user: Held) -> None:
    """The session is over, its access token is denied at once, and no cookie is touched. Twice is as good."""
    for _ in range(2):
        reply = app_user.client.post("/logout", {"refresh_token": app_user.refresh_token})
        assert_no_content(reply)
        assert not reply.all("Set-Cookie")
    app_user.assert_dead()


@pytest.mark.parametrize("members", [None, {}])
def test_by_bearer(app_user: Held, members: dict[str, str] | None) -> None:
    """An access token ends its session too. Twice is as good."""
    for _ in range(2):
        reply = app_user.client.post("/logout", members, [app_user.bearer])
        assert_no_content(reply)
        assert not reply.all("Set-Cookie")
    app_user.assert_dead()


@pytest.mark.parametrize(
    "content_types",
    [
        ["application/x-www-form-urlencoded"],
        ["application/x-www-form-urlencoded; charset=UTF-8"],
        ["multipart/form-data; boundary=x"],
        ["text/plain;charset=UTF-8"],
        ["application/json", "text/plain"],
        ["*/*"],
        [""],
    ],
    ids=str,
)
def test_type_of_no_body(browser: Held, app_user: Held, content_types: list[str]) -> None:
    """Axios and jQuery send the type of a form with an empty POST: without a body it says nothing (axios #861)."""
    types = [("Content-Type", value) for value in content_types]
    assert_no_content(app_user.client.post("/logout", headers=[app_user.bearer, *types]))
    app_user.assert_dead()
    refreshed = browser.client.post("/refresh", headers=[*browser.page, *types])
    assert refreshed.status == 200
    assert_no_content(browser.client.post("/logout", headers=[*browser.page, *types, ("Content-Length", "0")]))
    browser.assert_dead()


def test_type_of_a_body(app_user: Held) -> None:
    """A body of another type is refused at a logout too, and ends nothing."""
    form = [app_user.bearer, ("Content-Type", "application/x-www-form-urlencoded")]
    assert_problem(app_user.client.send("POST", "/logout", form, b"{}"), 415, "unsupported_media_type")
    app_user.assert_lives()


def test_by_expired_bearer(server: Server, app_user: Held) -> None:
    """A client that comes late can still log out: an expired access token names its session (ASVS V7.4.4)."""
    bearer = expired_bearer(server, app_user)
    assert_problem(app_user.client.call("GET", "/me", headers=bearer), 401, "invalid_token")
    assert_no_content(app_user.client.post("/logout", headers=bearer))
    app_user.assert_dead()


def test_old_refresh_token(browser: Held, app_user: Held) -> None:
    """Any genuine refresh token of a session ends it, also one that was turned long ago."""
    for first, headers in ((browser, browser.page), (app_user, [])):
        third = first.refreshed().refreshed()
        members = None if headers else {"refresh_token": first.refresh_token}
        assert_no_content(first.client.post("/logout", members, headers))
        third.assert_dead()


def test_several_credentials(browser: Held, app_user: Held) -> None:
    """Every session that the request names is over."""
    reply = browser.client.post("/logout", headers=[*browser.page, app_user.bearer])
    assert reply.all("Set-Cookie") == CLEARED
    browser.assert_dead()
    app_user.assert_dead()


def test_without_any_credential(client: Client) -> None:
    """There is nothing to end, and that is no error."""
    reply = client.post("/logout")
    assert_no_content(reply)
    assert not reply.all("Set-Cookie")


@pytest.mark.parametrize("cookie", ["", "forged", "kt1.x.y", "{0}x", "{0}; __Host-refresh=x", '"{0}"'])
def test_cookie_that_names_no_session(browser: Held, cookie: str) -> None:
    """A cookie that is worth nothing is cleared all the same; the session of a good one that was spoilt goes on."""
    value = cookie.format(browser.refresh_token)
    reply = browser.client.post("/logout", headers=[FROM_PAGE, ("Cookie", f"{REFRESH_COOKIE}={value}")])
    assert_no_content(reply)
    assert reply.all("Set-Cookie") == CLEARED
    browser.assert_lives()


def test_forged_credentials(app_user: Held, browser: Held) -> None:
    """What was not given out, or came another way, ends nothing."""
    client, signature = app_user.client, app_user.bearer[1].rpartition(".")[2]
    other = sign_up(client).bearer[1].rpartition(".")[0]
    for members, headers in (
        ({"refresh_token": app_user.refresh_token[:-4] + "AAAA"}, []),
        ({"refresh_token": browser.refresh_token}, []),
        (None, [("Authorization", f"{other}.{signature}")]),
        (None, [("Authorization", "Basic eDp5")]),
        (None, [("Authorization", app_user.refresh_token)]),
        (None, [FROM_PAGE, ("Cookie", f"{REFRESH_COOKIE}={app_user.refresh_token}")]),
        (None, [app_user.bearer, app_user.bearer]),
    ):
        assert_no_content(client.post("/logout", members, headers))
    app_user.assert_lives()
    browser.assert_lives()


def test_other_sessions_go_on(app_user: Held) -> None:
    """A logout ends one session of the user and no other."""
    other = log_in(app_user.client, app_user.email)
    app_user.client.post("/logout", headers=[app_user.bearer])
    app_user.assert_dead()
    other.assert_lives()


def test_everywhere(app_user: Held) -> None:
    """Every session of the user is over, of every transport; nobody else's is, and the user can log in again."""
    other = log_in(app_user.client, app_user.email, "cookie")
    stranger = sign_up(app_user.client)
    reply = app_user.client.post("/logout/all", headers=[app_user.bearer])
    assert_no_content(reply)
    assert not reply.all("Set-Cookie")
    app_user.assert_dead()
    other.assert_dead()
    stranger.assert_lives()
    log_in(app_user.client, app_user.email).assert_lives()


def test_everywhere_needs_a_living_session(app_user: Held) -> None:
    """A refresh token, a dead access token or none does not end everything."""
    other = log_in(app_user.client, app_user.email)
    app_user.client.post("/logout", headers=[app_user.bearer])
    for headers in ([], [app_user.bearer], [("Authorization", f"Bearer {other.refresh_token}")]):
        assert_problem(app_user.client.post("/logout/all", headers=headers), 401, "invalid_token")
    reply = app_user.client.post("/logout/all", {"refresh_token": other.refresh_token}, [other.bearer])
    assert_problem(reply, 400, "invalid_request")
    other.assert_lives()
