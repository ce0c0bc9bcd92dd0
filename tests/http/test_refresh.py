"""POST /refresh."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.http.client import Held, assert_answer, assert_problem, sign_up
from tests.world.browser import FROM_PAGE, REFRESH_COOKIE

if TYPE_CHECKING:
    from tests.http.server import Server
    from tests.world.client import Client

TOKEN_RESPONSE = {"access_token", "token_type", "expires_in", "session_id", "user"}


def test_by_cookie(browser: Held) -> None:
    """The next refresh token comes as the first one did, with the same attributes; the CSRF token stays as it is."""
    reply = browser.refresh()
    assert_answer(reply, 200, TOKEN_RESPONSE | {"csrf_token"})
    (cookie,) = reply.all("Set-Cookie")
    name_and_value, _, attributes = cookie.partition("; ")
    assert name_and_value != browser.cookie
    assert re.fullmatch(r"Max-Age=12096\d\d; Path=/; Secure; HttpOnly; SameSite=Lax", attributes)
    assert reply.json["csrf_token"] == browser.csrf_token
    assert reply.json["session_id"] == browser.session_id
    assert reply.json["user"] == browser.reply.json["user"]
    assert reply.json["access_token"] != browser.reply.json["access_token"]


def test_by_body(app_user: Held) -> None:
    """The next refresh token comes in the body, and no cookie is set."""
    reply = app_user.refresh()
    assert_answer(reply, 200, TOKEN_RESPONSE | {"refresh_token"})
    assert reply.json["refresh_token"] != app_user.refresh_token
    assert reply.json["session_id"] == app_user.session_id
    assert not reply.all("Set-Cookie")


def test_chain(app_user: Held, browser: Held) -> None:
    """Each refresh token gives the next one, and each access token on the way works."""
    for held in (app_user, browser):
        held.assert_lives().assert_lives().assert_lives()


def test_wrong_way_in_body(browser: Held) -> None:
    """A cookie's refresh token is refused in a body, and the session goes on."""
    reply = browser.client.post("/refresh", {"refresh_token": browser.refresh_token}, [FROM_PAGE])
    assert_problem(reply, 401, "invalid_grant")
    browser.assert_lives()


def test_wrong_way_in_cookie(app_user: Held, browser: Held) -> None:
    """A body's refresh token is refused in a cookie, whatever CSRF token comes along, and the session goes on."""
    for csrf_token in ("", browser.csrf_token):
        cookie = f"{REFRESH_COOKIE}={app_user.refresh_token}"
        headers = [FROM_PAGE, ("Cookie", cookie), ("X-CSRF-Token", csrf_token)]
        assert_problem(app_user.client.post("/refresh", headers=headers), 401, "invalid_grant")
    app_user.assert_lives()


@pytest.mark.parametrize("path", ["/refresh", "/logout"])
def test_cookie_and_body_together(app_user: Held, browser: Held, path: str) -> None:
    """Which of the two is meant cannot be told: 400, and both sessions go on. A dead or doubled cookie counts too."""
    for headers in (
        browser.page,
        [FROM_PAGE, ("Cookie", f"{REFRESH_COOKIE}=dead")],
        [FROM_PAGE, ("Cookie", f"{browser.cookie}; {browser.cookie}")],
    ):
        reply = app_user.client.post(path, {"refresh_token": app_user.refresh_token}, headers)
        assert_problem(reply, 400, "invalid_request")
        assert "not both" in reply.json["detail"]
    app_user.assert_lives()
    browser.assert_lives()


@pytest.mark.parametrize("headers", [[], [FROM_PAGE]], ids=["program", "page"])
def test_without_any_refresh_token(client: Client, headers: list[tuple[str, str]]) -> None:
    """A request without a refresh token gets what a dead one gets."""
    assert_problem(client.post("/refresh", headers=headers), 401, "invalid_grant")
    assert_problem(client.post("/refresh", {}, headers), 401, "invalid_grant")


@pytest.mark.parametrize(
    "cookies",
    [
        ["{0}; {0}"],
        ["{0}; __Host-refresh=x"],
        ["__Host-refresh=; {0}"],
        ["{0}", "{0}"],
        ["{0}", "__Host-refresh=other"],
        ["__HOST-REFRESH{1}"],
        ["__Host-refresh%3D{1}"],
        ["\u2000{0}"],
        ["\u00a0{0}"],
        ["\x0b{0}"],
        ["a,{0}"],
        ["{0},"],
        ['__Host-refresh="{1}"'],
        ["__Host-refresh=={1}"],
        ["__Host-refresh=%6b{1}"],
        ["{0}x"],
        ["{0}="],
        ["__Host-refresh"],
        ["__Host-refresh="],
        ["__Host-refresh=" + "a" * 8192],
        ["x" * 4096 + "; __Host-refresh=x"],
        [";;;=;=="],
    ],
)
def test_cookie_that_is_not_exactly_ours(browser: Held, cookies: list[str]) -> None:
    """A doubled, quoted, misspelled or malformed cookie is an absent one: 401, nothing cleared, the session goes on."""
    value = browser.cookie.partition("=")[2]
    headers = [("Cookie", cookie.format(browser.cookie, value)) for cookie in cookies]
    reply = browser.client.post("/refresh", headers=[FROM_PAGE, ("X-CSRF-Token", browser.csrf_token), *headers])
    assert_problem(reply, 401, "invalid_grant")
    browser.assert_lives()


@pytest.mark.parametrize("form", ["{0}", "a=b; {0}", "{0}; a=b", "{0};", " {0} ", "a={0}x; {0}", "b;{0};c"])
def test_cookie_among_others(browser: Held, form: str) -> None:
    """Other cookies are no matter."""
    headers = [FROM_PAGE, ("X-CSRF-Token", browser.csrf_token), ("Cookie", form.format(browser.cookie))]
    assert browser.client.post("/refresh", headers=headers).status == 200


@pytest.mark.parametrize("transport", ["app_user", "browser"])
def test_loser_of_a_race_gets_the_same_successor(transport: str, request: pytest.FixtureRequest) -> None:
    """Parallel refreshes of one token all succeed with one successor, and none clears a cookie (auth-js #213)."""
    held: Held = request.getfixturevalue(transport)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: held.refresh(), range(16)))
    assert {reply.status for reply in replies} == {200}
    successors = {Held(held.client, held.email, reply).refresh_token for reply in replies}
    assert len(successors) == 1
    assert all("Max-Age=0" not in cookie for reply in replies for cookie in reply.all("Set-Cookie"))
    after = Held(held.client, held.email, held.refresh())
    assert {after.refresh_token} == successors
    after.assert_lives()


@pytest.mark.parametrize("transport", ["app_user", "browser"])
def test_replay_ends_the_session(server: Server, transport: str, request: pytest.FixtureRequest) -> None:
    """A superseded token ends the session after the window; every answer is 401 without a cookie, all is denied."""
    first: Held = request.getfixturevalue(transport)
    second = first.refreshed()
    with server.later(21):
        assert_problem(first.refresh(), 401, "invalid_grant")
    second.assert_dead()


def test_inside_the_window_the_key_turns_once(app_user: Held) -> None:
    """Whoever refreshes again at once gets the same refresh token, and so does a tab that comes with the one before."""
    second = app_user.refreshed()
    assert second.refreshed().refresh_token == second.refresh_token
    assert app_user.refreshed().refresh_token == second.refresh_token
    assert second.refreshed().refreshed().refresh_token == second.refresh_token


@pytest.mark.parametrize("transport", ["body", "cookie"])
def test_lost_answer_is_given_late_to_the_sessions_own_device(server: Server, client: Client, transport: str) -> None:
    """A device that slept over a lost answer goes on, by cookie or `device_token`; without, its session is over."""
    first = sign_up(client, transport)
    first.refreshed()
    with server.later(3600):
        if transport == "body":
            device = {"device_token": first.reply.json["device_token"]}
            reply = client.post("/refresh", {"refresh_token": first.refresh_token, **device})
        else:
            cookies = ("Cookie", f"{first.cookie}; {first.device_cookie}")
            reply = client.post("/refresh", headers=[FROM_PAGE, cookies, ("X-CSRF-Token", first.csrf_token)])
        assert reply.status == 200, reply
        late = Held(client, first.email, reply)
        again = late.refreshed()
        assert again.refresh_token == late.refresh_token
    with server.later(7200):
        assert_problem(first.refresh(), 401, "invalid_grant")
        late.assert_dead()


@pytest.mark.parametrize("device_token", ["", "x", "kd2.x.y", "é", "A" * 256])
def test_strange_device_token(app_user: Held, device_token: str) -> None:
    """A device token that is none changes nothing where nothing is late; one that is too long is refused."""
    body = {"refresh_token": app_user.refresh_token, "device_token": device_token}
    assert app_user.client.post("/refresh", body).status == 200
    too_long = {"refresh_token": app_user.refresh_token, "device_token": "A" * 257}
    assert_problem(app_user.client.post("/refresh", too_long), 400, "invalid_request")


def test_ended_session(app_user: Held, browser: Held) -> None:
    """After a logout the refresh token is dead, and the answer is the one that a forged one gets."""
    for held in (app_user, browser):
        headers = held.page if held is browser else []
        held.client.post("/logout", None if headers else {"refresh_token": held.refresh_token}, headers)
        held.assert_dead()
    forged = app_user.client.post("/refresh", {"refresh_token": "kt1.forged"})
    assert app_user.refresh().body == forged.body


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token + "=",
        lambda token: token.upper(),
        lambda token: token.replace("kt1", "kt2"),
        lambda token: token.replace(".", "..", 1),
        lambda token: token[:-1] + ("B" if token[-1] == "A" else "A"),
        lambda token: token[:-40] + "!" * 40,
        lambda token: token[:-4] + "\x00\x00\x00\x00",
        lambda token: " " + token,
        lambda token: token + "\n",
        lambda token: "kt1." + "x" * 33 + "." + token.rpartition(".")[2],
        lambda token: token.replace(token[4], "\u0430", 1),
        lambda _: "kt1." + "A" * 4000,
        lambda token: "\ufeff" + token,
    ],
)
def test_refresh_token_that_is_not_ours(app_user: Held, spoil: object) -> None:
    """Whatever is not, to the letter, a token that was given out is a forgery, and no session is ended for it."""
    assert callable(spoil)
    reply = app_user.client.post("/refresh", {"refresh_token": spoil(app_user.refresh_token)})
    assert_problem(reply, 401, "invalid_grant")
    app_user.assert_lives()


@pytest.mark.parametrize(("samesite", "attributes"), [("Strict", "Strict"), ("None", "None; Partitioned")])
def test_samesite_by_configuration(server: Server, browser: Held, samesite: str, attributes: str) -> None:
    """Setting carries the configured attributes; clearing covers what another setting set (supertokens-node #826)."""
    with server.cold({"KEYTURN_COOKIE_SAMESITE": samesite}) as containers:
        containers.services()
        (cookie,) = browser.refresh().all("Set-Cookie")
        cleared = browser.client.post("/logout", headers=browser.page).all("Set-Cookie")
    fixed = "Path=/; Secure; HttpOnly; SameSite="
    assert cookie.endswith(f"; {fixed}{attributes}")
    assert cleared == [f"{REFRESH_COOKIE}=; Max-Age=0; {fixed}{same}" for same in (samesite, "None; Partitioned")]
