"""What Keyturn answers while something that it depends on is away, or its configuration is wrong."""

from __future__ import annotations

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from chalicelib.crypto.encoding import b64url
from chalicelib.deadline import REQUEST_SECONDS
from tests.http.client import JWKS, METADATA, OPENAPI, CheckedClient, Held, assert_no_content, assert_problem, log_in
from tests.http.hostile import ROUTES, Route, every_route, filled, form_for, members_for
from tests.http.server import NO_PROVIDER
from tests.store.fault_proxy import Fault, FaultProxy
from tests.world.browser import LOGIN_COOKIE
from tests.world.client import FORM, JSON
from tests.world.constants import PAGE, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.http.server import Server
    from tests.world.client import Reply

SECONDS = 3.5  # the 3 s of the contract, and this machine's own
OPEN = [route for route in ROUTES if not route.guarded]
NEEDS_NO_TABLE = {"/csrf", JWKS, METADATA, OPENAPI, "/health"}
PASSES_ON = "POST /login/{provider}/callback"  # a form, to the GET of the same path, which needs the table


@contextmanager
def closed_port() -> Iterator[str]:
    """An endpoint that refuses connections."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextmanager
def stalled_port() -> Iterator[str]:
    """An endpoint that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as held:
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


AWAY = pytest.mark.parametrize("away", [closed_port, stalled_port], ids=["closed", "stalled"])


def query_for(server: Server, route: Route) -> str:
    """A right query for the route."""
    right = {
        "/login/{provider}": {"return_to": PAGE},
        "/login/{provider}/callback": {
            "state": server.services.begin_login.states.issue("google", bytes(16), PAGE, 2**32 - 1),
            "code": "code",
        },
    }
    return f"?{urlencode(right[route.path])}" if route.path in right else ""


def ask(server: Server, route: Route, held: Held) -> Reply:
    """A right request to the route, of this account's session."""
    members, form = members_for(route, held), form_for(route, held)
    headers = route.allowed(held)
    path = filled(route.path, held.session_id) + query_for(server, route)
    if form is not None:
        return held.client.send(route.method, path, [*headers, FORM], form)
    if members is None:
        cookie = ("Cookie", f"{LOGIN_COOKIE}={b64url(bytes(32))}")
        return held.client.send(route.method, path, [*headers, cookie])
    return held.client.send(route.method, path, [JSON, *headers], json.dumps(members).encode())


def assert_all_unavailable(calls: list[Callable[[], Reply]]) -> None:
    """Each of these calls, all made at once, is answered in time with 503 and when to come again."""

    def timed(call: Callable[[], Reply]) -> tuple[float, Reply]:
        began = time.monotonic()
        reply = call()
        return time.monotonic() - began, reply

    with ThreadPoolExecutor(len(calls)) as pool:
        for seconds, reply in pool.map(timed, calls):
            assert_problem(reply, 503, "unavailable")
            assert int(reply.header("Retry-After") or 0) > 0
            assert seconds < SECONDS


@AWAY
def test_table_away(server: Server, app_user: Held, browser: Held, away: Any) -> None:
    """Every route that needs the table is 503 in time, the others are as ever; afterwards nobody has lost anything."""
    with (
        away() as endpoint,
        server.cold({"AWS_ENDPOINT_URL_DYNAMODB": endpoint}, REQUEST_SECONDS) as containers,
    ):
        containers.start()
        needing = [route for route in ROUTES if route.path not in NEEDS_NO_TABLE and str(route) != PASSES_ON]
        assert_all_unavailable(
            [
                *(partial(ask, server, route, app_user) for route in needing),
                browser.refresh,
                lambda: browser.client.post("/logout", headers=browser.page),
                lambda: app_user.client.post("/logout", headers=[app_user.bearer]),
            ]
        )
        assert browser.client.call("GET", "/csrf", headers=[("Cookie", browser.cookie)]).status == 200
        assert app_user.client.call("GET", JWKS).status == 200
        assert app_user.client.call("GET", "/health").status == 200
    browser.assert_lives()
    app_user.assert_lives()
    log_in(app_user.client, app_user.email)


@AWAY
def test_table_away_behind_the_authorizer(server: Server, app_user: Held, away: Any) -> None:
    """Where the authorizer has let a request in, the route itself says that the table is away."""
    with away() as endpoint, server.cold(seconds=REQUEST_SECONDS) as containers:
        containers.guarding()
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint  # put back at the end of the block
        containers.services()
        guarded = [route for route in ROUTES if route.guarded]
        assert_all_unavailable([partial(ask, server, route, app_user) for route in guarded])
    app_user.assert_lives()


def test_forgeries_do_not_need_the_table(server: Server, app_user: Held, browser: Held) -> None:
    """What is refused by its MAC, signature or form is refused while the table is away: no call is made for it."""
    with closed_port() as endpoint, server.cold({"AWS_ENDPOINT_URL_DYNAMODB": endpoint}) as containers:
        containers.start()
        client = app_user.client
        assert_problem(client.post("/refresh", {"refresh_token": app_user.refresh_token[:-1]}), 401, "invalid_grant")
        assert_problem(client.post("/refresh", {"refresh_token": browser.refresh_token}), 401, "invalid_grant")
        assert_no_content(client.post("/logout", {"refresh_token": browser.refresh_token}))
        assert_no_content(client.post("/logout", headers=[("Authorization", f"{app_user.bearer[1]}x")]))
        forged = [("Authorization", f"{app_user.bearer[1].rpartition('.')[0]}.AAAA")]
        assert_problem(client.call("GET", "/me", headers=forged), 401, "invalid_token")
        assert_problem(browser.client.post("/refresh", headers=browser.page[:2]), 403, "csrf_token_invalid")
        for path in ("/signup", "/login"):
            short = {"email": "no address", "password": PASSWORD, "transport": "body"}
            assert_problem(client.post(path, short), 400, "invalid_email")
    browser.assert_lives()


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.STALLED])
def test_parameter_store_away_at_a_cold_start(server: Server, app_user: Held, fault: Fault) -> None:
    """A function that cannot read its keys is 503 in time, and the same one reads them at the next request."""
    proxy = FaultProxy(server.environment["AWS_ENDPOINT_URL_SSM"])
    with (
        proxy.serve() as endpoint,
        server.cold({"AWS_ENDPOINT_URL_SSM": endpoint}, REQUEST_SECONDS) as containers,
    ):
        containers.guarding()
        proxy.faults.extend([fault] * 100)
        assert_all_unavailable([lambda: app_user.client.call("GET", JWKS)])
        assert_all_unavailable([app_user.me])
        proxy.faults.clear()
        containers.services()  # starts outside of a request, so that no other load on this machine makes it late
        assert app_user.client.call("GET", JWKS).status == 200
        app_user.assert_lives()


def test_every_route_at_a_cold_start_without_the_parameter_store(server: Server, app_user: Held) -> None:
    """No route answers before the keys are read: each says 503."""
    with (
        closed_port() as endpoint,
        server.cold({"AWS_ENDPOINT_URL_SSM": endpoint}),
        ThreadPoolExecutor(len(ROUTES)) as pool,
    ):
        for reply in pool.map(lambda route: ask(server, route, app_user), ROUTES):
            assert_problem(reply, 503, "unavailable")
            assert reply.header("Retry-After")
    app_user.assert_lives()


BAD_ROOTS = {
    "placeholder": {"secrets": [{"id": "a", "key": b64url(b"change me, change me, change me!"), "activate_at": 0}]},
    "zeros": {"secrets": [{"id": "a", "key": b64url(bytes(32)), "activate_at": 0}]},
    "none": {"secrets": []},
    "no set": "replace-me",
}


def misconfigured(server: Server, name: str) -> dict[str, str]:
    """Environment variables with which no container may serve."""
    if name in BAD_ROOTS:
        prefix = f"{server.prefix}/{name.replace(' ', '-')}"
        public = server.parameters.get_parameter(Name=f"{server.prefix}/public")["Parameter"]["Value"]
        bad = json.dumps(BAD_ROOTS[name])
        for parameter, value in (("public", public), ("sessions", bad), ("logins", bad)):
            server.parameters.put_parameter(Name=f"{prefix}/{parameter}", Value=value, Type="String", Overwrite=True)
        return {**NO_PROVIDER, "KEYTURN_PARAMETERS": prefix}
    return {
        "no keys": {**NO_PROVIDER, "KEYTURN_PARAMETERS": f"{server.prefix}/nothing"},
        "no settings": {"KEYTURN_TABLE": "", "KEYTURN_ISSUER": "", "KEYTURN_AUDIENCE": "", "KEYTURN_PARAMETERS": ""},
        "bad settings": {"KEYTURN_ISSUER": "http://auth.example.com", "KEYTURN_ACCESS_TTL": "forever"},
        "cheap hash": {"KEYTURN_ISSUER": "https://auth.example.com"},
    }[name]


REMEDIES = {
    **{name: ["make rotate-keys"] for name in BAD_ROOTS},
    "no keys": ["make deploy", "/nothing/public", "/nothing/sessions", "/nothing/logins"],
    "no settings": ["KEYTURN_TABLE", "KEYTURN_ISSUER", "KEYTURN_AUDIENCE", "KEYTURN_PARAMETERS"],
    "bad settings": ["KEYTURN_ISSUER", "https", "KEYTURN_ACCESS_TTL", "forever"],
    "cheap hash": ["KEYTURN_ARGON2_PROFILE", "default"],
}


@pytest.mark.parametrize("name", REMEDIES)
def test_misconfigured(server: Server, app_user: Held, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An open route refuses with a 500 that says nothing; the log names all that is wrong, and the remedy."""
    routes = OPEN if name == "no settings" else OPEN[:1]
    with server.cold(misconfigured(server, name)):
        capsys.readouterr()
        for route in routes:
            reply = ask(server, route, app_user)
            assert_problem(reply, 500, "internal_error")
            assert set(reply.json) == {"type", "title", "status", "code"}
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["code"] for line in lines] == ["internal_error"] * len(routes)
    for word in REMEDIES[name]:
        assert all(word in line["why"] for line in lines)


@pytest.mark.parametrize("name", ["no keys", "no settings", "bad settings", "cheap hash"])
def test_misconfigured_authorizer(
    server: Server, app_user: Held, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A guarded route lets nobody in where the authorizer cannot know; its log says why."""
    with server.cold(misconfigured(server, name)):
        capsys.readouterr()
        assert_problem(app_user.me(), 503, "unavailable")
        (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["code"]) == ("authorizer_failed", "internal_error")
    for word in set(REMEDIES[name]) - {"/nothing/sessions", "/nothing/logins"}:
        assert word in line["why"]


@every_route
def test_fault_of_our_own(
    server: Server, app_user: Held, route: Route, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that nobody has foreseen is a 500 that says nothing; the log says where, and not with which values."""

    def broken() -> None:
        message = "canary of an error's message"
        raise KeyError(message)

    monkeypatch.setattr("chalicelib.functions.api.services", broken)
    reply = ask(server, route, app_user)
    assert_problem(reply, 500, "internal_error")
    assert set(reply.json) == {"type", "title", "status", "code"}
    output = capsys.readouterr()
    (line,) = [line for line in map(json.loads, output.out.splitlines()) if line["event"] == "unexpected_error"]
    assert line["error"].startswith("KeyError at test_failures.py:")
    assert "canary" not in output.out + output.err
    monkeypatch.undo()
    app_user.assert_lives()


def test_failed_start_is_not_remembered(server: Server) -> None:
    """The next request reads the settings again."""
    with server.cold({"KEYTURN_AUDIENCE": ""}):
        client = CheckedClient(server.url)
        assert_problem(client.call("GET", "/health"), 500, "internal_error")
        os.environ["KEYTURN_AUDIENCE"] = server.environment["KEYTURN_AUDIENCE"]  # put back at the end of the block
        assert client.call("GET", "/health").status == 200
