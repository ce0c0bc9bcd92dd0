"""The main job over HTTP, against the zips that were deployed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.web.boundary import SECURITY_HEADERS
from tests.rehearsal.gateway_responses import Kind, gateway_response
from tests.world.ageing import age

if TYPE_CHECKING:
    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.stack import RunningStack
    from tests.world.client import Client, Reply


def assert_problem(reply: Reply, status: int, code: str) -> None:
    """The answer is a problem of this code, with every security header once."""
    assert (reply.status, reply.json.get("code"), reply.json.get("status")) == (status, code, status), reply
    assert reply.header("Content-Type") == "application/problem+json"
    assert reply.header("Cache-Control") == "no-store"
    for name, value in SECURITY_HEADERS.items():
        assert reply.header(name) == value


def test_session_from_signup_to_logout(client: Client, credentials: dict[str, Any]) -> None:
    """Sign up, log in, see oneself, refresh, log out; after it neither token is good for anything."""
    assert client.call("POST", "/signup", credentials).status == 201
    login = client.call("POST", "/login", credentials)
    assert login.status == 200, login
    assert login.header("Cache-Control") == "no-store"

    me = client.call("GET", "/me", bearer=login.json["access_token"])
    assert (me.status, me.json["email"]) == (200, credentials["email"])
    assert me.json["session_id"] == login.json["session_id"]

    refreshed = client.call("POST", "/refresh", {"refresh_token": login.json["refresh_token"]})
    assert refreshed.status == 200
    assert refreshed.json["refresh_token"] != login.json["refresh_token"]
    assert client.call("GET", "/me", bearer=refreshed.json["access_token"]).status == 200

    assert client.call("POST", "/logout", {"refresh_token": refreshed.json["refresh_token"]}).status == 204
    assert_problem(client.call("GET", "/me", bearer=refreshed.json["access_token"]), 401, "invalid_token")
    dead = client.call("POST", "/refresh", {"refresh_token": refreshed.json["refresh_token"]})
    assert_problem(dead, 401, "invalid_grant")


def test_replay_converges_once_and_then_ends_the_session(
    dev: RunningStack, client: Client, credentials: dict[str, Any]
) -> None:
    """A repeated refresh gets the same successor; after the window the old token ends the session, all of it."""
    first = client.call("POST", "/signup", credentials).json
    second = client.call("POST", "/refresh", {"refresh_token": first["refresh_token"]}).json
    for token in (first, second):
        again = client.call("POST", "/refresh", {"refresh_token": token["refresh_token"]}).json
        assert again["refresh_token"] == second["refresh_token"]
    age(dev.aws.client("dynamodb"), dev.table_name, first, 60)
    assert_problem(client.call("POST", "/refresh", {"refresh_token": first["refresh_token"]}), 401, "invalid_grant")
    assert_problem(client.call("POST", "/refresh", {"refresh_token": second["refresh_token"]}), 401, "invalid_grant")
    assert_problem(client.call("GET", "/me", bearer=second["access_token"]), 401, "invalid_token")


def test_lost_answer_is_given_late(dev: RunningStack, client: Client, credentials: dict[str, Any]) -> None:
    """The session's own device goes on after an answer that was lost, however long it slept."""
    first = client.call("POST", "/signup", credentials).json
    client.call("POST", "/refresh", {"refresh_token": first["refresh_token"]})
    age(dev.aws.client("dynamodb"), dev.table_name, first, 3 * 86400)
    members = {name: first[name] for name in ("refresh_token", "device_token")}
    late = client.call("POST", "/refresh", members)
    assert late.status == 200, late
    again = client.call("POST", "/refresh", members)
    assert again.json["refresh_token"] == late.json["refresh_token"]
    assert client.call("GET", "/me", bearer=late.json["access_token"]).status == 200


def test_cookie_transport(client: Client, credentials: dict[str, Any]) -> None:
    """A browser's session: the cookie comes and goes through the gateway, and needs the CSRF token."""
    origin = {"Origin": "http://localhost:3000"}
    signup = client.call("POST", "/signup", {**credentials, "transport": "cookie"}, headers=origin)
    cookie, device_cookie = (cookie.partition(";")[0] for cookie in signup.all("Set-Cookie"))
    assert cookie.startswith("__Host-refresh=")
    assert device_cookie.startswith("__Host-device=kd2.")
    assert "refresh_token" not in signup.json

    carried = {**origin, "Cookie": cookie}
    assert client.call("POST", "/refresh", headers=carried).status == 403
    carried["X-CSRF-Token"] = signup.json["csrf_token"]
    refreshed = client.call("POST", "/refresh", headers=carried)
    assert refreshed.status == 200, refreshed
    assert len(refreshed.all("Set-Cookie")) == 1


def test_revocation_outlives_containers(dev: RunningStack, client: Client, credentials: dict[str, Any]) -> None:
    """A container that was never told denies a revoked token (CVE-2026-9802)."""
    signup = client.call("POST", "/signup", credentials).json
    assert client.call("POST", "/logout", bearer=signup["access_token"]).status == 204
    dev.restart()
    assert_problem(client.call("GET", "/me", bearer=signup["access_token"]), 401, "invalid_token")


@pytest.mark.parametrize("authorization", [None, "", "Bearer x.y.z", "Basic eDp5", "Bearer"])
def test_no_good_token(client: Client, authorization: str | None) -> None:
    """A guarded route without a good token: 401, with the challenge under its own name."""
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = client.call("GET", "/me", headers=headers)
    assert_problem(reply, 401, "invalid_token")
    assert reply.header("WWW-Authenticate") == "Bearer"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing"), ("DELETE", "/me"), ("GET", "/signup"), ("PATCH", "/"), ("POST", "/me/me")]
)
def test_nothing_there(client: Client, method: str, path: str) -> None:
    """A path or method that no route has: 404, whatever API Gateway says by default."""
    assert_problem(client.call(method, path), 404, "not_found")


def test_large_body(client: Client) -> None:
    """A body over the gateway's and over Lambda's limit is told so."""
    for megabytes in (7, 11):
        reply = client.call("POST", "/login", body=b"a" * megabytes * 1024 * 1024)
        assert_problem(reply, 413, "payload_too_large")


def test_denied(dev: RunningStack) -> None:
    """What the gateway says where an authorizer's policy denies: 403 in our form."""
    answer = gateway_response(dev.aws.live_document(dev.api_id, "api"), Kind.ACCESS_DENIED)
    assert answer.status == 403
    assert b'"access_denied"' in answer.body


def test_table_away(aws: LocalAws, client: Client, credentials: dict[str, Any]) -> None:
    """Without its table a guarded route and a login answer 503 within 3 s, say when to come again, and then work."""
    signup = client.call("POST", "/signup", credentials).json
    with aws.away("DynamoDB"):
        for method, path, members in (
            ("GET", "/me", None),
            ("POST", "/login", credentials),
            ("POST", "/refresh", {"refresh_token": signup["refresh_token"]}),
        ):
            began = time.monotonic()
            reply = client.call(method, path, members, bearer=signup["access_token"])
            assert time.monotonic() - began < 3.5  # the 3 s of the contract, and this machine's own
            assert_problem(reply, 503, "unavailable")
            assert reply.header("Retry-After")
    assert client.call("GET", "/me", bearer=signup["access_token"]).status == 200
    assert client.call("POST", "/refresh", {"refresh_token": signup["refresh_token"]}).status == 200


def test_keys_away_at_a_cold_start(dev: RunningStack, aws: LocalAws, client: Client) -> None:
    """A container that starts while the parameter store is away answers 503, and asks again at the next request."""
    dev.restart()
    with aws.away("AmazonSSM"):
        assert_problem(client.call("GET", "/.well-known/jwks.json"), 503, "unavailable")
    assert client.call("GET", "/.well-known/jwks.json").status == 200


def test_task_root_stays_as_it_was_deployed(dev: RunningStack, client: Client) -> None:
    """Functions write nothing where their code is: on Lambda they cannot."""
    before = {name: _listing(dev, name) for name in dev.functions}
    assert client.call("GET", "/health").status == 200
    client.call("GET", "/me", bearer="x")
    assert {name: _listing(dev, name) for name in dev.functions} == before


def _listing(stack: RunningStack, function: str) -> set[str]:
    return {str(path) for path in stack.functions[function].config.task_root.rglob("*")}
