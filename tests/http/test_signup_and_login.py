"""POST /signup and POST /login."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.limits import LimitPolicy
from tests.http.client import DEVICE_COOKIE, CheckedClient, Held, assert_answer, assert_problem, log_in, sign_up
from tests.world.browser import FROM_PAGE, REFRESH_COOKIE
from tests.world.constants import PASSWORD
from tests.world.person import new_email

if TYPE_CHECKING:
    from tests.http.server import Server
    from tests.world.client import Client

TOKEN_RESPONSE = {"access_token", "token_type", "expires_in", "session_id", "user"}
DEVICE_TOKEN = r"kd2\.[\w-]{1,32}\.[\w-]{75}"
REFRESH_TOKEN = r"kt1\.[\w-]{1,32}\.[\w-]{112}"
ROUTES = [("/signup", 201), ("/login", 200)]


def account(client: Client, path: str) -> dict[str, str]:
    """Members that this route takes and answers with success."""
    email = new_email() if path == "/signup" else sign_up(client).email
    return {"email": email, "password": PASSWORD}


@pytest.mark.parametrize(("path", "status"), ROUTES)
@pytest.mark.parametrize("named", [{}, {"transport": "cookie"}], ids=["by-default", "named"])
def test_cookie_transport(client: Client, path: str, status: int, named: dict[str, str]) -> None:
    """The refresh token travels in a cookie with every attribute, and never in the body; it is the default."""
    members = account(client, path)
    reply = client.post(path, members | named, [FROM_PAGE])
    assert_answer(reply, status, TOKEN_RESPONSE | {"csrf_token"})
    assert (reply.json["token_type"], reply.json["expires_in"]) == ("Bearer", 900)
    cookie, device = reply.all("Set-Cookie")
    attributes = "; Max-Age=1209600; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert re.fullmatch(REFRESH_COOKIE + "=" + REFRESH_TOKEN + re.escape(attributes), cookie)
    attributes = "; Max-Age=15552000; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert re.fullmatch(DEVICE_COOKIE + "=" + DEVICE_TOKEN + re.escape(attributes), device)
    assert cookie.partition("=")[2][:20].encode() not in reply.body


@pytest.mark.parametrize(("path", "status"), ROUTES)
def test_body_transport(client: Client, path: str, status: int) -> None:
    """The refresh token and the device token travel in the body, and no cookie is set."""
    reply = client.post(path, account(client, path) | {"transport": "body"})
    assert_answer(reply, status, TOKEN_RESPONSE | {"refresh_token", "device_token"})
    assert re.fullmatch(REFRESH_TOKEN, reply.json["refresh_token"])
    assert re.fullmatch(DEVICE_TOKEN, reply.json["device_token"])
    assert not reply.all("Set-Cookie")


def test_user(app_user: Held) -> None:
    """The token response says who has logged in, and a new account has nothing that was not given to it."""
    user = app_user.reply.json["user"]
    assert user == {"sub": user["sub"], "email": app_user.email, "email_verified": False, "roles": ["user"]}
    again = log_in(app_user.client, app_user.email)
    assert again.reply.json["user"] == user
    assert again.session_id != app_user.session_id


def test_address_is_told_as_it_was_typed(client: Client) -> None:
    """Sign-up, login in another spelling, refresh and `/me` name the address as the account holds it."""
    held = sign_up(client, "body", new_email().title())
    local, _, domain = held.email.partition("@")
    told = f"{local}@{domain.lower()}"
    again = log_in(client, held.email.lower())
    replies = [held.reply, again.reply, again.refresh(), again.me()]
    emails = [reply.json.get("user", reply.json)["email"] for reply in replies]
    assert emails == [told] * 4


@pytest.mark.parametrize("spelling", [str, str.upper, str.title])
def test_known_address(app_user: Held, spelling: type[str]) -> None:
    """A second account with an address is refused, however it is spelled, and the first one's password stays."""
    members = {"email": spelling(app_user.email), "password": "another password", "transport": "body"}
    assert_problem(app_user.client.post("/signup", members), 409, "email_taken")
    assert_problem(app_user.client.post("/login", members), 401, "invalid_credentials")
    log_in(app_user.client, members["email"])


@pytest.mark.parametrize(
    "email", ["", "@", "alice", "alice@", "@example.com", "a@b@example.com", "a@example.com,b@example.com", "a b@c.de"]
)
@pytest.mark.parametrize("path", ["/signup", "/login"])
def test_no_address(client: Client, path: str, email: str) -> None:
    """What cannot be an address is said to be none."""
    members = {"email": email, "password": PASSWORD, "transport": "body"}
    assert_problem(client.post(path, members), 400, "invalid_email")


def test_password_policy(client: Client) -> None:
    """A refused password is told why; one that no account can have is malformed."""
    email = new_email()
    for password in ("", "seven77", email, email.upper()):
        reply = client.post("/signup", {"email": email, "password": password, "transport": "body"})
        assert_problem(reply, 400, "password_rejected")
        assert reply.json["detail"]
    for path in ("/signup", "/login"):
        reply = client.post(path, {"email": email, "password": "x" * 257, "transport": "body"})
        assert_problem(reply, 400, "invalid_request")


@pytest.mark.parametrize("transport", ["", "Cookie", "Session", "header", "body "])
@pytest.mark.parametrize("path", ["/signup", "/login"])
def test_unknown_transport(client: Client, path: str, transport: str) -> None:
    """A transport that there is not is refused."""
    members = {"email": new_email(), "password": PASSWORD, "transport": transport}
    assert_problem(client.post(path, members, [FROM_PAGE]), 400, "invalid_request")


@pytest.mark.parametrize("path", ["/signup", "/login"])
@pytest.mark.parametrize("member", ["email", "password"])
def test_missing_member(client: Client, path: str, member: str) -> None:
    """Each required member is asked for by its name, `null` included (CVE-2026-34574)."""
    members = {"email": new_email(), "password": PASSWORD, "transport": "body"}
    for without in ({name: value for name, value in members.items() if name != member}, {**members, member: None}):
        reply = client.post(path, without)
        assert_problem(reply, 400, "invalid_request")
        assert member in reply.json["detail"]


@pytest.mark.parametrize("member", ["roles", "email_verified", "epoch", "disabled", "sub", "__proto__", "constructor"])
@pytest.mark.parametrize("path", ["/signup", "/login"])
def test_self_set_rights(client: Client, path: str, member: str) -> None:
    """Nobody sets roles or the like for oneself: an unknown member is refused (CVE-2026-27946)."""
    members = {"email": new_email(), "password": PASSWORD, "transport": "body", member: "admin"}
    assert_problem(client.post(path, members), 400, "invalid_request")


def test_wrong_login_says_one_thing(app_user: Held) -> None:
    """An unknown address and a wrong password get one answer, byte for byte."""
    unknown = app_user.client.post("/login", {"email": new_email(), "password": PASSWORD, "transport": "body"})
    wrong = app_user.client.post("/login", {"email": app_user.email, "password": "wrong battery", "transport": "body"})
    assert_problem(unknown, 401, "invalid_credentials")
    assert unknown.body == wrong.body
    assert {name for name, _ in unknown.headers} == {name for name, _ in wrong.headers}


def test_too_many_wrong_passwords(app_user: Held) -> None:
    """After 20 wrong passwords the account has to wait, the right password included; no other account has."""
    other = sign_up(app_user.client)
    for _ in range(20):
        wrong = {"email": app_user.email, "password": "wrong battery", "transport": "body"}
        assert_problem(app_user.client.post("/login", wrong), 401, "invalid_credentials")
    right = {"email": app_user.email.upper(), "password": PASSWORD, "transport": "body"}
    reply = app_user.client.post("/login", right)
    assert_problem(reply, 429, "too_many_requests")
    assert 0 < int(reply.header("Retry-After") or 0) <= 300
    log_in(app_user.client, other.email)
    app_user.assert_lives()


@pytest.mark.parametrize("path", ["/signup", "/login"])
def test_limiter_goes_by_the_connection(
    server: Server, client: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No header and no spelling of the path is another address to the limiter (CVE-2023-36456, GHSA-x732-6j76-qmhm)."""
    name = {"/signup": "by_signup", "/login": "by_address"}[path]
    policy = LimitPolicy(f"{path[1:]}-address", 3600, ((3, 0),), 300)
    monkeypatch.setattr(server.services.log_in.attempts, name, policy)

    def attempt(*headers: tuple[str, str], at: str = path) -> int:
        return client.post(at, {"email": new_email(), "password": PASSWORD, "transport": "body"}, headers).status

    assert 429 not in {attempt() for _ in range(3)}
    forged = "203.0.113.9"
    names = ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP")
    assert {attempt((name, forged)) for name in names} == {429}
    assert attempt(("Forwarded", f"for={forged}"), ("X-Forwarded-For", forged)) == 429
    # API Gateway reads one slash at the end as none; what it does not know is no way around.
    assert attempt(at=f"{path}/") == 429
    assert {attempt(at=at) for at in (f"/{path}", f"{path}//", f"/.{path}", f"{path}?x=1#y")} <= {404, 429}


def test_limiter_takes_ipv6_by_network(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses of one /64 are one party, those of another are another (CVE-2026-45364)."""
    policy = LimitPolicy("signup-network", 3600, ((1, 0),), 300)
    monkeypatch.setattr(server.services.log_in.attempts, "by_signup", policy)

    def attempt(address: str) -> int:
        members = {"email": new_email(), "password": PASSWORD, "transport": "body"}
        return CheckedClient(server.url, address).post("/signup", members).status

    network = CheckedClient(server.url).address.removesuffix("::1")
    assert attempt(f"{network}::1") == 201
    assert attempt(f"{network}:ffff:ffff:ffff:ffff") == 429
    assert attempt(CheckedClient(server.url).address) == 201


@pytest.mark.parametrize(("path", "status"), ROUTES)
def test_session_that_the_browser_came_with_ends(browser: Held, path: str, status: int) -> None:
    """A browser's new login ends its session of before (ASVS V7.2.4)."""
    email = browser.email if path == "/login" else new_email()
    reply = browser.client.post(path, {"email": email, "password": PASSWORD}, browser.page)
    assert reply.status == status
    browser.assert_dead()
    Held(browser.client, email, reply).assert_lives()


@pytest.mark.parametrize("path", ["/signup", "/login"])
@pytest.mark.parametrize("transport", ["cookie", "body"])
def test_session_of_the_browser_is_not_ended_without_its_csrf_token(browser: Held, path: str, transport: str) -> None:
    """A login that carries a session's cookie needs its CSRF token, whichever transport it asks for; none is made."""
    email = browser.email if path == "/login" else new_email()
    members = {"email": email, "password": PASSWORD, "transport": transport}
    carried = [FROM_PAGE, ("Cookie", browser.cookie)]
    other = sign_up(browser.client, "cookie")
    for csrf_token in ([], [("X-CSRF-Token", other.csrf_token)]):
        assert_problem(browser.client.post(path, members, [*carried, *csrf_token]), 403, "csrf_token_invalid")
    browser.assert_lives()
    if path == "/signup":
        sign_up(browser.client, email=email)


@pytest.mark.parametrize("cookie", ["", "x", "kt1.a.b", "a" * 200, '"', "%00", "\u00e9"])
def test_cookie_that_names_no_session_is_no_hindrance(client: Client, cookie: str) -> None:
    """A malformed cookie is an absent one: a browser that has one can still log in."""
    members = {"email": new_email(), "password": PASSWORD}
    reply = client.post("/signup", members, [FROM_PAGE, ("Cookie", f"{REFRESH_COOKIE}={cookie}")])
    assert reply.status == 201
