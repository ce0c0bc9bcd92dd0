"""GET /me, /sessions, POST /password/change, and how every guarded route is guarded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

import app
from chalicelib.functions.request_authorizer import guard
from tests.http.client import CheckedClient, Held, assert_answer, assert_no_content, assert_problem, log_in, sign_up
from tests.http.hostile import filled
from tests.world.constants import PAGE, PASSWORD

if TYPE_CHECKING:
    from tests.http.server import Server
    from tests.world.client import Client

NEW_PASSWORD = "fresh horse battery"
CHANGE = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
SESSION = {"session_id", "created_at", "user_agent", "address", "transport", "current"}
GUARDED = [
    (method, path)
    for path, methods in app.app.routes.items()
    for method, entry in methods.items()
    if entry.authorizer is guard
]


def sessions(held: Held) -> list[dict[str, Any]]:
    """The user's sessions."""
    reply = held.client.call("GET", "/sessions", headers=[held.bearer])
    assert_answer(reply, 200, {"sessions"})
    listed: list[dict[str, Any]] = reply.json["sessions"]
    return listed


def end(held: Held, session_id: str) -> Any:
    """Ask to end a session."""
    return held.client.call("DELETE", f"/sessions/{session_id}", headers=[held.bearer])


def change_password(held: Held, current: str = PASSWORD, new: str = NEW_PASSWORD) -> Any:
    """Ask for another password."""
    return held.renew("POST", "/password/change", {"current_password": current, "new_password": new})


def test_guarded_routes() -> None:
    """These are the routes that need an access token; the rest is open on purpose."""
    assert set(GUARDED) == {
        ("GET", "/me"),
        ("GET", "/security-events"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions/{session_id}"),
        ("POST", "/password/change"),
        ("POST", "/logout/all"),
        ("GET", "/identities"),
        ("POST", "/identities/{provider}"),
        ("DELETE", "/identities/{provider}"),
        ("POST", "/identities/{provider}/authorization"),
    }


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic eDp5", "Bearer x.y.z", "{0}"])
def test_no_good_token(app_user: Held, method: str, path: str, authorization: str | None) -> None:
    """Without a good access token: 401 with the challenge, and nothing is done."""
    headers = [] if authorization is None else [("Authorization", authorization.format(app_user.refresh_token))]
    reply = app_user.client.call(method, filled(path, app_user.session_id), headers=headers)
    assert_problem(reply, 401, "invalid_token")
    assert reply.header("WWW-Authenticate") == "Bearer"
    app_user.assert_lives()


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_route_that_nobody_guards(server: Server, app_user: Held, method: str, path: str) -> None:
    """Deployed without its authorizer a guarded route serves nobody, not even with a good token."""
    document = server.copy_of_document()
    document["paths"][path][method.lower()].pop("security")
    with server.deployed_as(document) as url:
        path = filled(path, app_user.session_id)
        assert_problem(app_user.client.at(url).call(method, path, headers=[app_user.bearer]), 401, "invalid_token")
    app_user.assert_lives()


def test_cached_authorizer_answer_serves_every_route(server: Server, app_user: Held) -> None:
    """An answer that was cached for one route neither shuts the others nor lets other tokens in (serverless #6176)."""
    document = server.copy_of_document()
    definition = document["securityDefinitions"]["guard"]["x-amazon-apigateway-authorizer"]
    assert definition["authorizerResultTtlInSeconds"] == 0
    definition |= {"authorizerResultTtlInSeconds": 300, "identitySource": "method.request.header.Authorization"}
    other = log_in(app_user.client, app_user.email)
    with server.deployed_as(document) as url:
        client = app_user.client.at(url)
        assert_problem(client.call("DELETE", "/sessions/a:b*", headers=[app_user.bearer]), 404, "session_not_found")
        assert client.call("GET", "/me", headers=[app_user.bearer]).status == 200
        assert_problem(client.call("GET", "/me", headers=[("Authorization", "Bearer x")]), 401, "invalid_token")
        assert_no_content(client.call("DELETE", f"/sessions/{other.session_id}", headers=[app_user.bearer]))
        assert_no_content(client.post("/logout/all", headers=[app_user.bearer]))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_scheme_in_any_case(app_user: Held, scheme: str) -> None:
    """The scheme's case does not matter (RFC 9110 section 11.1)."""
    access_token = app_user.bearer[1].removeprefix("Bearer ")
    assert app_user.client.call("GET", "/me", headers=[("Authorization", f"{scheme} {access_token}")]).status == 200


def test_me(app_user: Held) -> None:
    """Who the user is, and through which session they ask."""
    reply = app_user.me()
    assert_answer(reply, 200, {"sub", "email", "email_verified", "roles", "session_id"})
    user = app_user.reply.json["user"]
    assert reply.json == {**user, "session_id": app_user.session_id}


def test_sessions(server: Server, app_user: Held) -> None:
    """The user's own living sessions with what tells them apart, and no secret; the one that asks is marked."""
    agent = ("User-Agent", "Pocket Browser/1.0 \u00e9 " + "x" * 300)
    elsewhere = CheckedClient(server.url, "203.0.113.7")
    members = {"email": app_user.email, "password": PASSWORD, "transport": "body"}
    other = Held(elsewhere, app_user.email, elsewhere.post("/login", members, [agent]))
    sign_up(app_user.client)
    listed = {session["session_id"]: session for session in sessions(other)}
    assert all(set(session) == SESSION for session in listed.values())
    assert {name: session["current"] for name, session in listed.items()} == {
        app_user.session_id: False,
        other.session_id: True,
    }
    own = listed[other.session_id]
    assert (own["address"], own["transport"]) == ("203.0.113.7", "body")
    assert own["user_agent"].startswith("Pocket Browser/1.0")
    assert len(own["user_agent"].encode()) <= 160
    assert abs(time.time() - own["created_at"]) < 60


def test_no_refresh_is_told(server: Server, client: Client) -> None:
    """Where and when a session was refreshed is on no list: address and user agent are the login's."""
    owner = sign_up(client)
    before = sessions(owner)
    phone = CheckedClient(server.url, "203.0.113.8")
    reply = phone.post("/refresh", {"refresh_token": owner.refresh_token}, [("User-Agent", "somewhere else")])
    assert reply.status == 200
    after = Held(client, owner.email, reply)
    assert sessions(after) == before
    server.log.deliver()
    events = client.call("GET", "/security-events", headers=[after.bearer]).json["events"]
    assert [event["event"] for event in events] == ["signed_up"]


def test_pages_of_sessions(client: Client) -> None:
    """A cursor goes on behind the session that it names; behind the last one is an empty page. A wrong one is 400."""
    owner = sign_up(client)
    others = {log_in(client, owner.email).session_id for _ in range(18)}
    assert {session["session_id"] for session in sessions(owner)} == {owner.session_id, *others}
    for cursor in ("x", "A" * 23, "A" * 21 + "!", "%00"):
        reply = client.call("GET", f"/sessions?cursor={cursor}", headers=[owner.bearer])
        assert_problem(reply, 400, "invalid_request")
    last = max(others | {owner.session_id})
    reply = client.call("GET", f"/sessions?cursor={last}", headers=[owner.bearer])
    assert reply.json == {"sessions": []}


def test_end_one(app_user: Held) -> None:
    """A user ends one of their sessions from another one; its access token is denied at once."""
    other = log_in(app_user.client, app_user.email, "cookie")
    assert_no_content(end(app_user, other.session_id))
    other.assert_dead()
    assert_problem(end(app_user, other.session_id), 404, "session_not_found")
    assert [session["session_id"] for session in sessions(app_user)] == [app_user.session_id]


def test_end_the_current_one(app_user: Held) -> None:
    """The session that asks may be the one that ends."""
    assert_no_content(end(app_user, app_user.session_id))
    app_user.assert_dead()


def test_session_of_somebody_else(app_user: Held, browser: Held) -> None:
    """Somebody else's session is not there: the answer is the one for no session at all, and it goes on (V8.2.2)."""
    strangers = end(app_user, browser.session_id)
    nobodys = end(app_user, "A" * 22)
    assert_problem(strangers, 404, "session_not_found")
    assert strangers.body == nobodys.body
    browser.assert_lives()


@pytest.mark.parametrize("transport", ["body", "cookie", "session"])
def test_password_change(client: Client, transport: str) -> None:
    """Every other session is over; this one goes on by the answer, and each credential of before is dead."""
    owner = sign_up(client, transport)
    others = [log_in(client, owner.email, other) for other in ("cookie", "body", "session")]
    changed = owner.renewed("POST", "/password/change", CHANGE)
    assert changed.session_id == owner.session_id
    for former in (*others, owner):
        former.assert_dead()
    changed.assert_lives()
    members = {"email": owner.email, "password": PASSWORD, "transport": "body"}
    assert_problem(client.post("/login", members), 401, "invalid_credentials")
    log_in(client, owner.email, password=NEW_PASSWORD).assert_lives()


def test_copied_bearer_gains_nothing_by_its_owners_login(server: Server, client: Client) -> None:
    """What takes a recent login asks when the presented token's was: not when its owner last gave the password."""
    owner = sign_up(client)
    with server.later(601):
        owner = owner.refreshed()
        changed = owner.renewed("POST", "/password/change", CHANGE)
        code = {"code": "c", "code_verifier": "v" * 43, "redirect_uri": PAGE, "nonce": "n"}
        body = {**code, "refresh_token": changed.refresh_token}
        assert_problem(client.post("/identities/google", body, [owner.bearer]), 401, "invalid_token")
        assert_problem(client.post("/identities/google", body, [changed.bearer]), 401, "invalid_code")


def test_refused_password_change(app_user: Held) -> None:
    """A wrong current password or a bad new one changes nothing and ends nothing."""
    other = log_in(app_user.client, app_user.email)
    assert_problem(change_password(app_user, current="wrong battery"), 401, "invalid_credentials")
    for new in ("short", app_user.email):
        reply = change_password(app_user, new=new)
        assert_problem(reply, 400, "password_rejected")
        assert reply.json["detail"]
    assert_problem(change_password(app_user, new="x" * 257), 400, "invalid_request")
    app_user.assert_lives()
    other.assert_lives()
    log_in(app_user.client, app_user.email)


def test_password_guesses_count_on_one_limiter(app_user: Held) -> None:
    """Whoever has a session guesses the password no more often than at the login (CVE-2026-9798)."""
    for number in range(20):
        if number % 2:
            assert_problem(change_password(app_user, current="wrong battery"), 401, "invalid_credentials")
        else:
            wrong = {"email": app_user.email, "password": "wrong battery", "transport": "body"}
            assert_problem(app_user.client.post("/login", wrong), 401, "invalid_credentials")
    reply = change_password(app_user)
    assert_problem(reply, 429, "too_many_requests")
    assert int(reply.header("Retry-After") or 0) > 0
