"""How device tokens travel: by the session's own way, and what comes another way counts for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.crypto.device_tokens import ID_BYTES
from chalicelib.crypto.encoding import from_b64url
from tests.http.client import DEVICE_COOKIE, CheckedClient, Held, assert_problem, log_in, sign_up
from tests.world.browser import FROM_PAGE, REFRESH_COOKIE
from tests.world.constants import PASSWORD
from tests.world.own_request import own_code
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from tests.http.client import Headers
    from tests.http.server import Server
    from tests.world.client import Client, Reply

WRONG = "wrong horse battery"
CHANGED = "fresh horse battery"
CHANGE = {"current_password": PASSWORD, "new_password": CHANGED}


def attempt(client: Client, email: str, transport: str, headers: Headers = (), **members: Any) -> Reply:
    """A login."""
    body = {"email": email, "password": PASSWORD, "transport": transport, **members}
    return client.post("/login", body, [FROM_PAGE, *headers])


def fill(server: Server, email: str) -> None:
    """Strangers guess at the account until it makes everybody wait who is not known."""
    for _ in range(20):
        assert_problem(attempt(CheckedClient(server.url), email, "body", password=WRONG), 401, "invalid_credentials")
    assert_problem(attempt(CheckedClient(server.url), email, "body"), 429, "too_many_requests")


@pytest.mark.parametrize("transport", ["cookie", "session"])
def test_cookie_lets_its_browser_in(server: Server, client: Client, transport: str) -> None:
    """While strangers guess, the browser that has logged in before is let in, and keeps being known."""
    held = sign_up(client, transport)
    fill(server, held.email)
    reply = attempt(client, held.email, transport, [("Cookie", held.device_cookie)])
    assert reply.status == 200, reply
    renewed = Held(client, held.email, reply)
    assert renewed.device_cookie.startswith(f"{DEVICE_COOKIE}=kd2.")
    assert attempt(client, held.email, transport, [("Cookie", renewed.device_cookie)]).status == 200


def test_token_lets_its_app_in(server: Server, client: Client) -> None:
    """While strangers guess, the app that sends what it was given is let in."""
    held = sign_up(client)
    fill(server, held.email)
    reply = attempt(client, held.email, "body", device_token=held.reply.json["device_token"])
    assert reply.status == 200, reply
    assert attempt(client, held.email, "body", device_token=reply.json["device_token"]).status == 200
    assert not reply.all("Set-Cookie")


def test_token_that_comes_another_way_counts_for_nothing(server: Server, client: Client) -> None:
    """A stray cookie at a login by body, a member at one by cookie, two cookies: absent ones, whatever they hold."""
    held = sign_up(client, "cookie")
    name, _, token = held.device_cookie.partition("=")
    fill(server, held.email)
    assert_problem(attempt(client, held.email, "body", [("Cookie", held.device_cookie)]), 429, "too_many_requests")
    for transport in ("cookie", "session"):
        assert_problem(attempt(client, held.email, transport, device_token=token), 429, "too_many_requests")
    for doubled in (f"{name}={token}; {name}={token}", f"{name}=x; {name}={token}", f"{name.upper()}={token}"):
        assert_problem(attempt(client, held.email, "cookie", [("Cookie", doubled)]), 429, "too_many_requests")
    assert attempt(client, held.email, "body", device_token=token).status == 200


def test_token_opens_nothing(client: Client) -> None:
    """In the place of a refresh token, a session cookie or an access token it is none of ours."""
    token = sign_up(client).reply.json["device_token"]
    assert_problem(client.post("/refresh", {"refresh_token": token}), 401, "invalid_grant")
    assert_problem(
        client.post("/refresh", headers=[FROM_PAGE, ("Cookie", f"__Host-refresh={token}")]), 401, "invalid_grant"
    )
    for credential in (("Authorization", f"Bearer {token}"), ("Cookie", f"__Host-session={token}")):
        assert_problem(client.call("GET", "/me", headers=[credential]), 401, "invalid_token")


@pytest.mark.parametrize("value", ["", "x", "kd2.a.b", "a" * 200, '"', "%00", "\u00e9", "kd2." + "A" * 4000])
def test_spoilt_cookie_is_no_hindrance(client: Client, value: str) -> None:
    """A browser that has a malformed one can log in, and has a good one then."""
    email = sign_up(client).email
    reply = attempt(client, email, "cookie", [("Cookie", f"{DEVICE_COOKIE}={value}")])
    assert reply.status == 200, reply
    assert Held(client, email, reply).device_cookie.startswith(f"{DEVICE_COOKIE}=kd2.")


def test_doubled_cookie_does_not_stay(client: Client) -> None:
    """After a change of SameSite a browser holds two. The login sets the one and removes the other, partitioned one."""
    held = sign_up(client, "cookie")
    doubled = f"{held.device_cookie}; {held.device_cookie}"
    reply = attempt(client, held.email, "cookie", [("Cookie", doubled)])
    assert reply.status == 200, reply
    (removed,) = [cookie for cookie in reply.all("Set-Cookie") if "Max-Age=0" in cookie]
    assert removed == f"{DEVICE_COOKIE}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"


def test_logout_leaves_it(browser: Held) -> None:
    """Only the session's cookies go: the device stays known."""
    reply = browser.client.post("/logout", headers=browser.page)
    assert reply.status == 204
    assert not [cookie for cookie in reply.all("Set-Cookie") if cookie.startswith(DEVICE_COOKIE)]


def test_password_change_renews_it_as_it_came(server: Server, client: Client) -> None:
    """In the body beside a refresh token; where none came, or another account's, none is given."""
    held, other = sign_up(client), sign_up(client)
    own = {"device_token": held.reply.json["device_token"]}
    renewed = held.renewed("POST", "/password/change", {**CHANGE, **own})
    assert not renewed.reply.all("Set-Cookie")
    fill(server, held.email)
    token = renewed.reply.json["device_token"]
    assert attempt(client, held.email, "body", device_token=token, password=CHANGED).status == 200
    for members in (CHANGE, {**CHANGE, **own}):
        other = other.renewed("POST", "/password/change", members)
        assert "device_token" not in other.reply.json
        other = other.renewed("POST", "/password/change", {"current_password": CHANGED, "new_password": PASSWORD})


def test_password_change_renews_a_browsers_cookie(server: Server, client: Client) -> None:
    """Beside the next refresh cookie comes the device's, where the browser had one of this account."""
    held = sign_up(client, "cookie")
    cookies = ("Cookie", f"{held.cookie}; {held.device_cookie}")
    headers = [FROM_PAGE, held.bearer, cookies, ("X-CSRF-Token", held.csrf_token)]
    reply = client.post("/password/change", CHANGE, headers)
    assert reply.status == 200, reply
    renewed = Held(client, held.email, reply)
    fill(server, held.email)
    known = [("Cookie", renewed.device_cookie)]
    assert attempt(client, held.email, "cookie", known, password=CHANGED).status == 200
    assert len(sign_up(client, "cookie").renewed("POST", "/password/change", CHANGE).reply.all("Set-Cookie")) == 1


def test_sixth_new_device_of_an_hour_gets_no_token(server: Server, client: Client) -> None:
    """Strangers who know the password log in, and only five of their devices an hour become known."""
    held = sign_up(client)
    given = [log_in(CheckedClient(server.url), held.email).reply.json.get("device_token") for _ in range(6)]
    assert [bool(token) for token in given] == [True] * 5 + [False]
    known = attempt(client, held.email, "body", device_token=held.reply.json["device_token"])
    assert known.json["device_token"]


def test_session_cookie_renews_its_device(server: Server, client: Client) -> None:
    """Beside the next session cookie comes the device's."""
    held = sign_up(client, "session")
    cookies = ("Cookie", f"{held.cookie}; {held.device_cookie}")
    headers = [FROM_PAGE, cookies, ("X-CSRF-Token", held.csrf_token)]
    reply = client.post("/password/change", {"current_password": PASSWORD, "new_password": CHANGED}, headers)
    assert reply.status == 200, reply
    renewed = Held(client, held.email, reply)
    fill(server, held.email)
    known = [("Cookie", renewed.device_cookie)]
    assert attempt(client, held.email, "session", known, password=CHANGED).status == 200


def test_device_keeps_its_id_at_a_provider(server: Server, client: Client) -> None:
    """By the callback and by the exchange: nobody makes counters without end by going there and back."""
    surfer, person = server.browser(client), person_of(new_email())

    def id_after(reply: Reply) -> bytes:
        assert reply.status in {200, 303}, reply
        assert "error" not in str(reply.header("Location"))
        surfer.cookies.pop(REFRESH_COOKIE)  # else the exchange has to bring the session's CSRF token
        return from_b64url(surfer.cookies[DEVICE_COOKIE].rpartition(".")[2])[:ID_BYTES]

    first = id_after(surfer.log_in(person))
    assert id_after(surfer.log_in(person)) == first
    assert id_after(surfer.fetch("POST", "/login/google/exchange", own_code(server.provider, person))) == first
    surfer.cookies.clear()
    assert id_after(surfer.log_in(person)) != first


def test_limits_are_told(server: Server, client: Client) -> None:
    """A 429 says what refused and until when, for an address with an account and for one without."""
    told = []
    for email in (sign_up(client).email, new_email()):
        fill(server, email)
        reply = attempt(CheckedClient(server.url), email, "body")
        assert reply.header("RateLimit-Policy") == '"login-account";q=20;w=3600'
        wait = reply.header("Retry-After") or ""
        assert reply.header("RateLimit") == f'"login-account";r=0;t={wait}'
        assert 0 < int(wait) <= 30
        told.append({name for name, _ in reply.headers})
    assert told[0] == told[1]


def test_known_device_is_told_its_own_limit(client: Client) -> None:
    """Its guesses are counted, and nobody else waits for them."""
    held = sign_up(client)
    token = held.reply.json["device_token"]
    for _ in range(20):
        reply = attempt(client, held.email, "body", device_token=token, password=WRONG)
        assert_problem(reply, 401, "invalid_credentials")
    reply = attempt(client, held.email, "body", device_token=token)
    assert_problem(reply, 429, "too_many_requests")
    assert reply.header("RateLimit-Policy") == '"login-device";q=20;w=3600'
    log_in(client, held.email)
