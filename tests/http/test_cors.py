"""Which pages of other origins may read answers: preflights, and every route's own answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
from chalicelib.web.boundary import SECURITY_HEADERS
from tests.http.client import CheckedClient, Held, assert_no_content, assert_problem
from tests.http.hostile import Route, every_route, filled
from tests.http.server import NO_PROVIDER
from tests.http.test_csrf import REFUSED_ORIGINS
from tests.world.browser import FROM_PAGE
from tests.world.constants import ORIGIN, SECOND_ORIGIN

if TYPE_CHECKING:
    from tests.http.client import Headers
    from tests.http.server import Server
    from tests.world.client import Client, Reply

PATHS = sorted({route.path for route in app.ROUTES})
GRANTED = {"access-control-allow-origin", "access-control-allow-credentials"}
PREFLIGHT = {*GRANTED, "access-control-allow-methods", "access-control-allow-headers", "access-control-max-age"}
READABLE = {"retry-after", "ratelimit", "ratelimit-policy", "www-authenticate", "x-amzn-remapped-www-authenticate"}
REFUSED: list[Headers] = [
    [],
    *([("Origin", origin)] for origin in REFUSED_ORIGINS),
    [FROM_PAGE, FROM_PAGE],
    [FROM_PAGE, ("Origin", SECOND_ORIGIN)],
    [("Referer", f"{ORIGIN}/")],
    [("X-Forwarded-Host", "app.example.com"), ("Host", "app.example.com")],
]
ALLOWED = {ORIGIN.encode(), SECOND_ORIGIN.encode()}
# Settings, keys and table that there are not.
NO_SETTINGS = {"KEYTURN_REFRESH_IDLE_TTL": "soon"}
NO_KEYS = {"KEYTURN_PARAMETERS": "/keyturn/none", **NO_PROVIDER}
NOWHERE = {"AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9"}


def said(reply: Reply) -> set[str]:
    """The names of the CORS headers, each of which comes once; none of them ever says `*` or `null`."""
    names = [name.lower() for name, _ in reply.headers if name.lower().startswith("access-control-")]
    assert len(names) == len(set(names))
    assert not {reply.header(name) for name in names} & {"*", "null"}
    return set(names)


def assert_silent(reply: Reply) -> None:
    """No page may read the answer, and caches are told that others may."""
    assert said(reply) == set()
    assert reply.all("Vary") == ["Origin"]


def assert_readable(reply: Reply, origin: str = ORIGIN) -> None:
    """The page may read the answer, with its cookies in the request, and what it needs of the headers."""
    assert said(reply) == {*GRANTED, "access-control-expose-headers"}, reply
    assert reply.header("Access-Control-Allow-Origin") == origin
    assert reply.header("Access-Control-Allow-Credentials") == "true"
    assert set((reply.header("Access-Control-Expose-Headers") or "").lower().split(", ")) == READABLE
    assert reply.all("Vary") == ["Origin"]


def by_gateway(reply: Reply) -> bool:
    """Whether the gateway has answered by itself."""
    return reply.header("x-amzn-ErrorType") is not None


def ask(client: Client, path: str, *headers: tuple[str, str]) -> Reply:
    """Ask as a browser does before a page's request."""
    wanted = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "x-csrf-token,x-evil")]
    return client.send("OPTIONS", filled(path), [*wanted, *headers])


@pytest.mark.parametrize("path", PATHS)
def test_preflight(client: Client, path: str) -> None:
    """An allowed page is told what the path takes, whatever it has asked for: neither `*` nor what it would like."""
    for origin in (ORIGIN, SECOND_ORIGIN):
        reply = ask(client, path, ("Origin", origin))
        assert_no_content(reply)
        assert said(reply) == PREFLIGHT
        assert reply.header("Access-Control-Allow-Origin") == origin
        assert reply.header("Access-Control-Allow-Credentials") == "true"
        methods = set((reply.header("Access-Control-Allow-Methods") or "").split(", "))
        assert methods == {method for route in app.ROUTES if route.path == path for method in route.methods}
        assert reply.header("Access-Control-Allow-Headers") == "Authorization, Content-Type, X-CSRF-Token"
        assert reply.header("Access-Control-Max-Age") == "7200"
        assert reply.all("Vary") == ["Origin"]


@pytest.mark.parametrize("path", PATHS)
def test_preflight_of_another_page(client: Client, path: str) -> None:
    """Any other page, and none, is told nothing, and not by the status either."""
    for headers in REFUSED:
        reply = ask(client, path, *headers)  # type: ignore[arg-type]  # these are texts
        assert_no_content(reply)
        assert_silent(reply)


@pytest.mark.parametrize("headers", [[], [("Access-Control-Request-Method", "\u00e9")], [("Cookie", "a=b")]], ids=str)
def test_options_that_is_no_preflight(client: Client, headers: Headers) -> None:
    """What is asked does not change the answer."""
    assert_no_content(client.send("OPTIONS", "/login", [FROM_PAGE, *headers]))
    assert said(client.send("OPTIONS", "/login", [FROM_PAGE, *headers])) == PREFLIGHT


def test_preflight_costs_nothing_but_settings(server: Server, client: Client) -> None:
    """A preflight waits for nothing: it is answered where keys and table are away, and makes no container read them."""
    for environment in (NO_KEYS, NOWHERE):
        with server.cold(environment) as containers:
            assert said(ask(client, "/login", FROM_PAGE)) == PREFLIGHT
            assert containers.services.cache_info().currsize == 0  # type: ignore[attr-defined]  # of lru_cache
            assert containers.config.cache_info().currsize == 1  # type: ignore[attr-defined]  # of lru_cache


def test_settings_that_cannot_be_read(server: Server, client: Client) -> None:
    """Then nobody is allowed, and the answers are what they are for everybody."""
    with server.cold(NO_SETTINGS):
        preflight = ask(client, "/health", FROM_PAGE)
        assert_no_content(preflight)
        assert_silent(preflight)
        reply = client.call("GET", "/health", headers=[FROM_PAGE])
        assert_problem(reply, 500, "internal_error")
        assert_silent(reply)


def test_keys_that_cannot_be_read(server: Server, client: Client) -> None:
    """An allowed page can read that the operator has to act."""
    with server.cold(NO_KEYS):
        reply = client.call("GET", "/health", headers=[FROM_PAGE])
        assert_problem(reply, 500, "internal_error")
        assert_readable(reply)


@every_route
def test_answer_to_an_allowed_page(app_user: Held, route: Route) -> None:
    """Every route's answers can be read by an allowed page: good ones, refusals, and what the gateway says itself."""
    for origin in (ORIGIN, SECOND_ORIGIN):
        credentials = [header for header in route.allowed(app_user) if header != FROM_PAGE]
        for headers in ([("Origin", origin)], [("Origin", origin), ("Content-Type", "text/plain"), *credentials]):
            assert_readable(app_user.client.send(route.method, filled(route.path), headers, b""), origin)


@every_route
def test_answer_to_another_page(app_user: Held, route: Route) -> None:
    """No other page reads an answer of ours, good or bad; of the gateway's, which are constant, each reads its own."""
    credentials = [header for header in route.allowed(app_user) if header != FROM_PAGE]
    for headers in REFUSED:
        for more in ([], credentials):
            reply = app_user.client.send(route.method, filled(route.path), [*headers, *more])
            if by_gateway(reply):
                assert reply.status in {401, 404}
            else:
                assert_silent(reply)


@every_route
def test_answer_to_nobody(app_user: Held, route: Route) -> None:
    """Without an Origin there is nothing to allow."""
    headers = [header for header in route.allowed(app_user) if header != FROM_PAGE]
    assert_silent(app_user.client.send(route.method, filled(route.path), headers))


@pytest.mark.parametrize("origin", [ORIGIN, "https://evil.example"])
def test_gateways_own_answers(client: Client, origin: str) -> None:
    """Any page may read why the gateway refuses it, which is the same for all; without an Origin none is named.

    An authorizer's 401 that no page could read hid its reason from every frontend (laardee #47).
    """
    for method, path in (("GET", "/nothing"), ("GET", "/me"), ("PATCH", "/login")):
        reply = client.send(method, path, [("Origin", origin)])
        assert by_gateway(reply)
        assert_readable(reply, origin)
        plain = client.send(method, path)
        assert plain.header("Access-Control-Allow-Origin") is None
        assert plain.all("Vary") == ["Origin"]
        assert plain.body == reply.body


def test_method_that_a_path_lacks(client: Client) -> None:
    """405, which Chalice makes by itself, can be read too, and names the methods."""
    reply = client.send("post", "/login", [FROM_PAGE])
    assert_problem(reply, 405, "method_not_allowed")
    assert_readable(reply)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    origin=st.one_of(
        st.binary(max_size=60),
        st.binary(min_size=1, max_size=8).map(lambda more: ORIGIN.encode() + more),
        st.binary(min_size=1, max_size=8).map(lambda more: more + ORIGIN.encode()),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40).map(
            lambda host: f"https://{host}app.example.com".encode()
        ),
    ).filter(lambda value: not set(value) & set(b"\r\n\x00") and value.strip() not in ALLOWED)
)
def test_any_origin(client: Client, origin: bytes) -> None:
    """Whatever Origin comes, nothing is allowed that is not on the list byte for byte."""
    for method, path in (("OPTIONS", "/refresh"), ("POST", "/refresh"), ("GET", "/health")):
        assert_silent(client.send(method, path, [("Origin", origin)]))


def test_preflight_has_the_security_headers(server: Server) -> None:
    """As every answer."""
    answer = CheckedClient(server.url).send("OPTIONS", "/login", [FROM_PAGE])
    assert {name: answer.header(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
