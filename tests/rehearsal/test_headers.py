"""Every answer of a deployed stage, the gateway's own included, has the headers that it must have."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import app
from chalicelib.errors import AccessDenied, InvalidToken
from chalicelib.functions.request_authorizer import guard
from chalicelib.web.boundary import SECURITY_HEADERS, STATUS
from chalicelib.web.openapi import possible_errors
from infra import gateway, table
from tests.rehearsal.aws import ACCOUNT, REGION
from tests.rehearsal.gateway import Gateway
from tests.rehearsal.gateway_responses import Kind
from tests.rehearsal.runtime import FunctionDied
from tests.rehearsal.stack import deployed
from tests.rehearsal.walk import World, cases, credentials, path_of
from tests.world import engines
from tests.world.client import Client
from tests.world.constants import ORIGIN, PAGE
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.web.endpoint import Route
    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.stack import RunningStack
    from tests.rehearsal.walk import Headers
    from tests.world.client import Reply

STAGE = "prod"
SECRET = f"/keyturn/{STAGE}/provider/google"
EVIL = "https://evil.example"
ORIGINS: dict[str, dict[str, str]] = {"allowed": {"Origin": ORIGIN}, "other": {"Origin": EVIL}, "absent": {}}
PUBLISHED = {"/.well-known/jwks.json", "/.well-known/openid-configuration", "/openapi.json"}
EXPOSED = {"retry-after", "ratelimit", "ratelimit-policy", "www-authenticate", "x-amzn-remapped-www-authenticate"}
# Statuses that a route's description has, and only a stage that is broken, or deployed wrongly, gives: seen below.
OF_A_BROKEN_STAGE = {500, 503}
# 401 `invalid_client` takes a deployment without IAM before it.
NOT_AS_DEPLOYED = {("POST", "/token/introspect"): {401}}

every_route = pytest.mark.parametrize("route", app.ROUTES, ids=lambda route: f"{route.method} {route.path}")


@pytest.fixture(scope="module")
def world(aws: LocalAws) -> Iterator[World]:
    """A stage with a provider, and limits that are soon reached.

    Its table is in dynoxide: moto copies all of a table at each transaction.
    """
    tables = engines.start("dynoxide")
    table.ensure(engines.connect(tables), f"keyturn-{STAGE}")
    with StandIn() as provider:
        aws.client("ssm").put_parameter(Name=SECRET, Value=provider.client_secret, Type="SecureString")
        settings = {
            "KEYTURN_ALLOWED_ORIGINS": ORIGIN,
            "KEYTURN_RETURN_TO": PAGE,
            "KEYTURN_GOOGLE_CLIENT_ID": provider.client_id,
            "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": SECRET,
            "KEYTURN_GOOGLE_ISSUER": provider.url,
            "KEYTURN_LOGIN_ATTEMPTS": "5",
            "KEYTURN_ADDRESS_ATTEMPTS": "20",
            "KEYTURN_SIGNUP_ATTEMPTS": "5",
        }
        environment = {"AWS_ENDPOINT_URL_DYNAMODB": tables}
        with deployed(STAGE, aws=aws, settings=settings, environment=environment) as stack:
            yield World(stack, provider)
            stack.destroy(with_table=True)


def assert_headers(reply: Reply, origin: str | None, *, path: str = "", settings: bool = True) -> None:
    """The security headers, each once; and what a page of this origin may do with the answer.

    Where `settings` cannot be read, the function allows nobody.
    """
    for name, value in SECURITY_HEADERS.items():
        assert reply.all(name) == [value], (name, reply)
    public = reply.status == 200 and path in PUBLISHED
    assert reply.all("Cache-Control") == ["public, max-age=300" if public else "no-store"], reply
    assert reply.all("Vary") == ["Origin"], reply
    # The gateway's are constant, whoever asks.
    by_gateway = reply.header("x-amzn-ErrorType") is not None
    named = by_gateway or (origin == ORIGIN and settings)
    assert reply.all("Access-Control-Allow-Origin") == ([ORIGIN] if named else []), reply
    assert reply.all("Access-Control-Allow-Credentials") == (["true"] if named else []), reply
    exposed = reply.header("Access-Control-Expose-Headers")
    assert (set(exposed.lower().split(", ")) if exposed else set()) == (EXPOSED if named else set())
    assert reply.header("Access-Control-Allow-Methods") is None
    if reply.status in {401, 429, 503} and by_gateway:
        assert reply.header("WWW-Authenticate" if reply.status == 401 else "Retry-After")


def statuses_of(route: Route) -> set[int]:
    """What callers of a stage that is whole can meet at the route, by its description."""
    endpoint = route.endpoint
    of_the_guard = {InvalidToken, AccessDenied} - set(endpoint.errors)
    statuses = {405, *endpoint.answers, *(STATUS[error] for error in possible_errors(endpoint) - of_the_guard)}
    if endpoint.body or endpoint.form:
        statuses.add(400)
    if route.authorizer is guard:
        statuses |= {401} if route.method == "GET" else {401, 403}
    return statuses - OF_A_BROKEN_STAGE - NOT_AS_DEPLOYED.get((route.method, route.path), set())


def test_walk_is_whole() -> None:
    """Every status of every route is walked: one that is added to a route's description without it fails here."""
    assert {f"{route.method} {route.path}": set(cases(route)) for route in app.ROUTES} == {
        f"{route.method} {route.path}": statuses_of(route) for route in app.ROUTES
    }
    assert set(gateway.STATUS) <= {kind.name for kind in Kind}


def refused_by(route: Route) -> set[str]:
    """Which of ORIGINS the route itself refuses. What is walked has transport `body`, which asks for no Origin."""
    if route.path == "/identities/{provider}/authorization":
        return {"other", "absent"}  # it sets a cookie, whatever the session's transport
    return {"other"} if route.path == "/csrf" else set()


def found_before(route: Route) -> set[int]:
    """What the route finds wrong before it asks from which page the request comes."""
    return {400, 404, 405, 413, 415} | ({401} if route.authorizer is guard else set())


@every_route
def test_answers(world: World, route: Route) -> None:
    """Each status of the route, asked by an allowed page, by another one and by none."""
    for status, act in cases(route).items():
        for name, headers in ORIGINS.items():
            reply = act(world, headers)
            refused = name in refused_by(route) and status not in found_before(route)
            assert reply.status == (403 if refused else status), (status, name, reply)
            assert_headers(reply, headers.get("Origin"), path=route.path)


@pytest.mark.parametrize(
    "route", [route for route in app.ROUTES if "HEAD" in route.methods], ids=lambda route: route.path
)
def test_head(world: World, route: Route) -> None:
    """As deployed, HEAD has GET's status and headers, its Content-Length too, and no content."""
    for headers in ORIGINS.values():
        head, got = (world.client().call(method, path_of(route), headers=headers) for method in ("HEAD", "GET"))
        assert (head.status, head.body, head.header("Content-Length")) == (got.status, b"", str(len(got.body)))
        assert_headers(head, headers.get("Origin"), path=route.path)


@pytest.mark.parametrize("path", sorted({route.path for route in app.ROUTES}))
def test_preflights(world: World, path: str) -> None:
    """An allowed page is told what the path takes; nobody else is; and no authorizer stands before it."""
    routes = [route for route in app.ROUTES if route.path == path]
    for headers in ORIGINS.values():
        asked = {**headers, "Access-Control-Request-Method": "POST"}
        reply = world.client().call("OPTIONS", path_of(routes[0]), headers=asked)
        assert (reply.status, reply.body) == (204, b""), reply
        assert reply.all("Vary") == ["Origin"]
        assert reply.header("Cache-Control") == "no-store"
        assert {name: reply.header(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
        said = {name.lower(): value for name, value in reply.headers if name.lower().startswith("access-control-")}
        assert said == (
            {
                "access-control-allow-origin": ORIGIN,
                "access-control-allow-credentials": "true",
                "access-control-allow-methods": ", ".join(method for route in routes for method in route.methods),
                "access-control-allow-headers": "Authorization, Content-Type, X-CSRF-Token",
                "access-control-max-age": "7200",
            }
            if headers.get("Origin") == ORIGIN
            else {}
        )


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name)
def test_gateways_own_answers(world: World, kind: Kind) -> None:
    """Whatever the gateway refuses by itself, throttling and a web ACL too, at every route and preflight."""
    default = "DEFAULT_4XX" if kind.name.startswith("BAD_REQUEST") else "DEFAULT_5XX"
    status = gateway.STATUS.get(kind.name, gateway.STATUS[default])
    with world.stack.gateway() as told, told.refusing(kind):
        client = Client(told.url)
        for route in app.ROUTES:
            for method in (route.method, "OPTIONS"):
                for headers in ORIGINS.values():
                    reply = client.call(method, path_of(route), headers=headers)
                    assert reply.status == status, reply
                    assert_headers(reply, headers.get("Origin"))


class Dead:
    """A function that dies, or answers what is no answer."""

    def __init__(self, outcome: Any = None) -> None:
        self._outcome = outcome

    def invoke(self, _event: Any) -> Any:
        """Do so."""
        if self._outcome is None:
            raise FunctionDied
        return self._outcome


@contextmanager
def other_gateway(stack: RunningStack, function: Callable[[str], Any], *, may_invoke: bool = True) -> Iterator[Client]:
    """The stage's document, with other functions behind it."""
    api_id = stack.api_id
    with Gateway(
        api_id,
        "api",
        region=REGION,
        account=ACCOUNT,
        document=lambda: stack.aws.live_document(api_id, "api"),
        function=function,
        may_invoke=lambda _function, _source: may_invoke,
    ) as served:
        yield Client(served.url)


def test_what_happens_at_the_gateway(world: World) -> None:
    """Unknown paths and methods, bodies beyond its limit, functions that die: met as callers meet them."""
    stack = world.stack
    for headers in ORIGINS.values():
        for method, path, body, status in (
            ("GET", "/nothing", None, 404),
            ("PATCH", "/login", None, 404),
            ("OPTIONS", "/nothing", None, 404),
            ("POST", "/token/introspect", b"token=x", 404),
            ("POST", "/login", b"a" * 11 * 1024 * 1024, 413),
            ("POST", "/login", b"a" * 7 * 1024 * 1024, 413),
        ):
            reply = world.client().call(method, path, headers=headers, body=body or b"")
            assert reply.status == status, reply
            assert_headers(reply, headers.get("Origin"))
        with other_gateway(stack, lambda _arn: Dead()) as client:
            for method, path in (("GET", "/me"), ("GET", "/health"), ("OPTIONS", "/me")):
                reply = client.call(method, path, headers=headers)
                assert reply.status == 503
                assert_headers(reply, headers.get("Origin"))
        with other_gateway(stack, stack.function_of, may_invoke=False) as client:
            reply = client.call("GET", "/me", headers=headers)
            assert reply.status == 503
            assert_headers(reply, headers.get("Origin"))


# What the API's function finds at a cold start, the status that all routes have then, and whether it knows its list.
BROKEN = {
    "settings": ({"KEYTURN_ACCESS_TTL": "soon"}, 500, False),
    "keys": (
        {
            "KEYTURN_PARAMETERS": "/keyturn/none",
            "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": "/keyturn/none/provider/google",
        },
        500,
        True,
    ),
    "parameter store": ({"AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9"}, 503, True),
}


def restart(stack: RunningStack, variables: dict[str, str]) -> None:
    """Have the API's function find these variables; the authorizers find what they found before."""
    functions = stack.aws.client("lambda")
    functions.update_function_configuration(FunctionName=f"keyturn-{STAGE}", Environment={"Variables": variables})
    stack.restart()


def test_broken_stage(world: World) -> None:
    """Every route's 500 and 503. A preflight needs settings alone; without them nobody is allowed."""
    functions = world.stack.aws.client("lambda")
    before = functions.get_function_configuration(FunctionName=f"keyturn-{STAGE}")["Environment"]["Variables"]
    sent = {route: credentials(world, route) for route in app.ROUTES}
    try:
        for variables, status, settings in BROKEN.values():
            restart(world.stack, {**before, **variables})
            # The role may read no other prefix: AWS would refuse (503) before it said that nothing is there (500).
            with world.stack.aws.without_policies():
                assert_all_routes_answer(world, sent, status, settings=settings)
    finally:
        restart(world.stack, before)


def assert_all_routes_answer(world: World, sent: dict[Route, Headers], status: int, *, settings: bool) -> None:
    """Every route has this status; every preflight is as it is, as long as there are settings."""
    client = world.client()
    for route in app.ROUTES:
        for headers in ORIGINS.values():
            reply = client.call(route.method, path_of(route), headers={**sent[route], **headers})
            assert reply.status == status, reply
            assert_headers(reply, headers.get("Origin"), settings=settings)
            preflight = client.call("OPTIONS", path_of(route), headers=headers)
            assert preflight.status == 204
            allowed = settings and headers.get("Origin") == ORIGIN
            assert preflight.all("Access-Control-Allow-Origin") == ([ORIGIN] if allowed else [])
