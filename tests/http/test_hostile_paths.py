"""Paths, parameters, queries and methods that no honest client sends."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
from tests.http.client import Held, assert_problem, sign_up
from tests.http.hostile import Route, assert_harmless, every_route, filled
from tests.world.browser import FROM_PAGE
from tests.world.client import JSON, Client

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "X-Y"]
PATHS = [*app.app.routes, "/", "/nothing", "/me/me", "/.well-known", "/openapi.json", "/favicon.ico", "/.env"]
OTHER_SPELLINGS = [
    "//{0}",
    "/./{0}",
    "/x/../{0}",
    "/%2e/{0}",
    "/%2f{0}",
    "/;x/{0}",
    "/{0}//",
    "/{0}/.",
    "/{0}/x",
    "/{0};x",
    "/{0}%20",
    "/{0}%00",
    "/{0}%2f",
    "/{0}.json",
    "/{0}\\",
    "/{0}*",
]

QUERIES = [
    "?",
    "?a=1&a=2&b",
    "?%ff=%00&%C3=%28",
    "?__proto__[admin]=1&constructor.prototype=x",
    "?access_token=x&refresh_token=y&transport=body&email=a",
    "?_method=DELETE&method=PUT",
    "?" + "a" * 6000,
    "?" + "&".join(f"p{number}=x" for number in range(1000)),
    "?\u00e9=\u4e2d",
    "?a=%0d%0aSet-Cookie:%20a=b",
]


@pytest.mark.parametrize("path", PATHS)
def test_method_that_a_path_does_not_take(app_user: Held, path: str) -> None:
    """A method that a path does not take, and a path that there is not: 404, whatever credential comes along."""
    for method in set(METHODS) - set(app.app.routes.get(path, {})):
        headers = [FROM_PAGE, app_user.bearer]
        assert app_user.client.send(method, filled(path, app_user.session_id), headers).status == 404, method
    app_user.assert_lives()


@every_route
def test_method_in_lower_case(app_user: Held, route: Route) -> None:
    """Methods are case-sensitive (RFC 9110 section 9.1); the answer names those that there are."""
    path = filled(route.path, app_user.session_id)
    reply = app_user.client.send(route.method.lower(), path, route.allowed(app_user))
    assert_problem(reply, 405, "method_not_allowed")
    assert route.method in (reply.header("Allow") or "")
    app_user.assert_lives()


@every_route
def test_other_spelling_of_a_path(app_user: Held, route: Route) -> None:
    """A path that only looks like a route's is none of ours: no way around the limiter or the authorizer."""
    path = filled(route.path, app_user.session_id)[1:]
    spellings = [form.format(path) for form in OTHER_SPELLINGS]
    spellings += [f"/{path.upper()}", f"/{path.title()}", f"/%{ord(path[0]):02x}{path[1:]}", f"/{path[:-1]}\u0435"]
    for spelling in spellings:
        reply = app_user.client.send(route.method, spelling, [FROM_PAGE])
        # Only a path parameter takes another spelling for another value, and the authorizer stands before it.
        assert reply.status == 404 or (reply.status == 401 and "{" in route.path), spelling
    app_user.assert_lives()


@every_route
def test_slash_at_the_end(app_user: Held, route: Route) -> None:
    """API Gateway reads one slash at the end as none; the route is guarded as it is without."""
    path = filled(route.path, app_user.session_id)
    with_slash = app_user.client.send(route.method, f"{path}/", [FROM_PAGE])
    without = app_user.client.send(route.method, path, [FROM_PAGE])
    assert (with_slash.status, with_slash.body) == (without.status, without.body)


@pytest.mark.parametrize(
    "session_id",
    [
        "%2f",
        "..%2f..%2fme",
        "..",
        ".",
        "%2e%2e",
        "%00",
        "%0d%0aSet-Cookie:%20a=b",
        "%C3%A9",
        "%FF%FE",
        "%",
        "%zz",
        "{{session_id}}",
        "*",
        "a:b",
        "a#b",
        "state",
        "session%23x",
        "A" * 5000,
        "A" * 21,
        "A" * 23,
        "{0}%0a",
        "{0}%00",
        "{0}%20",
        "%20{0}",
        "{0},{0}",
        "{0}=",
        "\u00e9\u4e2d",
        "null",
        "current",
    ],
)
def test_session_id_that_is_none(app_user: Held, session_id: str) -> None:
    """What is no session id names no session: 404, and none is ended."""
    path = f"/sessions/{session_id.format(app_user.session_id)}"
    assert app_user.client.send("DELETE", path, [app_user.bearer]).status == 404
    app_user.assert_lives()


@every_route
def test_query(app_user: Held, route: Route) -> None:
    """No route reads the query: the answer is what it is without."""
    usual = route.send(sign_up(app_user.client))
    for query in QUERIES:
        held = sign_up(app_user.client) if route.guarded else app_user
        assert route.send(held, query=query).status == usual.status, query


def test_access_token_in_the_query(app_user: Held) -> None:
    """A token that came in a URL is none (RFC 9700 section 2.4)."""
    access_token = app_user.bearer[1].removeprefix("Bearer ")
    assert_problem(app_user.client.call("GET", f"/me?access_token={access_token}"), 401, "invalid_token")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.text() | st.binary(), max_size=3), method=st.sampled_from(METHODS))
def test_any_path(client: Client, parts: list[str | bytes], method: str) -> None:
    """Whatever path comes, the answer is in our form."""
    path = "/".join(["", *(quote(part, safe="") for part in parts)])
    assert_harmless(client.send(method, path, [JSON]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(session_id=st.text(min_size=1) | st.binary(min_size=1))
def test_any_session_id(app_user: Held, session_id: str | bytes) -> None:
    """Whatever session is named, the answer is that there is none."""
    path = f"/sessions/{quote(session_id, safe='')}"
    assert app_user.client.send("DELETE", path, [app_user.bearer]).status == 404
