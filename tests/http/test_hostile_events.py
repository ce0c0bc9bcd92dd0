"""Events that API Gateway would hardly make, given to the functions themselves: fail closed, and no 5xx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.web.boundary import FRAMEWORK, SECURITY_HEADERS
from tests.http.hostile import ROUTES, SIGNATURE, Route, every_route
from tests.http.server import API, AUTHORIZE, Server
from tests.world.client import FORM

if TYPE_CHECKING:
    from tests.http.client import Held

MEGABYTE = 1024 * 1024
GUARDED = [route for route in ROUTES if route.guarded]


def an_event(route: Route, **changes: Any) -> dict[str, Any]:
    """A proxy event of a request without anything; `context` changes its requestContext."""
    context = {
        "httpMethod": route.method,
        "resourcePath": route.path,
        "requestId": "r",
        "identity": {"sourceIp": "2001:db8::1"},
        **changes.pop("context", {}),
    }
    event = {
        "headers": None,
        "multiValueHeaders": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"session_id": "A" * 22, "provider": "google", **changes.pop("pathParameters", {})},
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
        "requestContext": context,
    }
    return event | changes


def status(server: Server, event: dict[str, Any]) -> int:
    """What the API's function answers; every answer has the security headers."""
    answer = server.function(API).invoke(event).result
    assert answer["headers"].items() >= SECURITY_HEADERS.items()
    return int(answer["statusCode"])


@every_route
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"body": "\ud800", "headers": {"Content-Type": "application/json"}},
        {"body": "not base64!", "isBase64Encoded": True, "headers": {"Content-Type": "application/json"}},
        {"body": "\u00e9", "isBase64Encoded": True, "headers": {"Content-Type": "application/json"}},
        {"body": "eyJ9", "isBase64Encoded": True, "headers": {"Content-Type": "application/json"}},
        {"body": "", "headers": {}, "multiValueHeaders": {}},
        {"headers": {"Cookie": "__Host-refresh=" + "a" * 5 * MEGABYTE}},
        {"headers": {"Authorization": "Bearer " + "a" * 5 * MEGABYTE}},
        {"headers": {"Authorization": "Bearer " + "a." * MEGABYTE}},
        {"headers": {"X-CSRF-Token": "a" * 5 * MEGABYTE, "Origin": "a" * 5 * MEGABYTE}},
        {"headers": {"User-Agent": "\ud800" + "\U0001f511" * MEGABYTE}},
        {"multiValueHeaders": {"Cookie": ["a=b"] * 10_000, "cookie": ["__Host-refresh=x"] * 10_000}},
        {"multiValueHeaders": {"Content-Type": [], "Cookie": [], "Origin": []}},
        {"multiValueHeaders": {"Content-Type": None, "Cookie": None}},
        {"multiValueQueryStringParameters": {"state": None, "return_to": None}},
        {"pathParameters": {"session_id": ""}},
        {"pathParameters": {"session_id": "a" * 5 * MEGABYTE}},
        {"pathParameters": {"session_id": "\ud800"}},
        {"pathParameters": {"provider": ""}},
        {"pathParameters": {"provider": "a" * 5 * MEGABYTE}},
        {"pathParameters": {"provider": "\ud800"}},
        {"multiValueQueryStringParameters": {"state": [], "code": ["\ud800"], "return_to": ["\ud800"], "error": [""]}},
        {"multiValueQueryStringParameters": {"state": ["a" * 5 * MEGABYTE], "return_to": ["a" * 5 * MEGABYTE]}},
        {"context": {"identity": None}},
        {"context": {"identity": {"sourceIp": "not an address, and " + "a" * MEGABYTE}}},
        {"context": {"requestId": None, "authorizer": None}},
        {"context": {"authorizer": {"sub": "\x00", "sid": "#" * 9, "roles": "a b", "email_verified": "true"}}},
    ],
    ids=lambda changes: repr(changes)[:40],
)
def test_strange_event(server: Server, route: Route, changes: dict[str, Any]) -> None:
    """Missing, doubled, huge and malformed parts of an event are no 5xx."""
    assert status(server, an_event(route, **changes)) < 500


@pytest.mark.parametrize("route", GUARDED, ids=str)
@pytest.mark.parametrize(
    "principal",
    [
        None,
        {},
        [],
        "sub",
        1,
        {"sub": None, "sid": None},
        {"sub": "", "sid": ""},
        {"sub": "a"},
        {"sid": "a"},
        {"sub": 1, "sid": 1},
        {"sub": ["a"], "sid": ["a"]},
        {"sub": {}, "sid": {}},
        {"claims": {"sub": "a", "sid": "a"}},
        {"principalId": "a"},
    ],
    ids=repr,
)
def test_no_principal(server: Server, route: Route, principal: Any) -> None:
    """A guarded handler refuses whatever is not a whole principal."""
    assert status(server, an_event(route, context={"authorizer": principal})) == 401


@pytest.mark.parametrize("arn", [None, "", [], ["arn:aws:iam::123456789012:role/x"], {}, {"a": 1}, 1, True], ids=repr)
def test_no_aws_caller(server: Server, app_user: Held, arn: Any) -> None:
    """Introspection answers nobody whom the gateway does not name by an ARN, whatever the headers say."""
    introspect = next(route for route in ROUTES if route.signed)
    form = {"headers": dict([FORM, SIGNATURE]), "body": f"token={app_user.refresh_token}"}
    identity = {"sourceIp": "2001:db8::1", "userArn": arn}
    assert status(server, an_event(introspect, context={"identity": identity}, **form)) == 401
    caller = {**identity, "userArn": "arn:aws:iam::123456789012:role/x"}
    assert status(server, an_event(introspect, context={"identity": caller}, **form)) == 200


@pytest.mark.parametrize("verified", ["True", "TRUE", "1", "yes", "", True, 1, None])
def test_email_verified_is_the_word_true(server: Server, app_user: Held, verified: Any) -> None:
    """Anything but "true" is not verified; and what /me says comes from the table anyway."""
    me = next(route for route in GUARDED if route.path == "/me")
    user = app_user.reply.json["user"]
    principal = {"sub": user["sub"], "sid": app_user.session_id, "email_verified": verified, "roles": "admin"}
    answer = server.function(API).invoke(an_event(me, context={"authorizer": principal})).result
    assert '"email_verified":false' in answer["body"]
    assert '"roles":["user"]' in answer["body"]


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "get", "options", "", "\ud800", "__class__"])
@every_route
def test_method_that_slipped_through(server: Server, route: Route, method: str) -> None:
    """A method that the gateway should have kept away is 405 in our form, with what the path does take."""
    answer = server.function(API).invoke(an_event(route, context={"httpMethod": method})).result
    assert answer["statusCode"] == 405
    assert route.method in answer["headers"]["Allow"]
    assert answer["headers"].items() >= SECURITY_HEADERS.items()
    assert FRAMEWORK[405][0] in answer["body"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "Bearer",
        "Bearer " + "a" * 5 * MEGABYTE,
        "Bearer " + "a." * MEGABYTE,
        "Bearer " + "\ud800",
        "Bearer " + "\u0661.\u0662.\u0663",
        "Bearer " + " " * MEGABYTE + "x",
        "bearer" + " " * MEGABYTE,
        "Bearer W10.W10.",
        "Bearer MQ.MQ.MQ",
        "\x00",
        None,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_authorizer_says_unauthorized(server: Server, value: str | None) -> None:
    """Whatever is no token of ours gets the one message that API Gateway knows, and no other error."""
    arn = "arn:aws:execute-api:eu-west-1:123456789012:api/stage/GET/me"
    event = {"type": "TOKEN", "authorizationToken": value, "methodArn": arn}
    assert server.function(AUTHORIZE).invoke(event).error == {"errorType": "Exception", "errorMessage": "Unauthorized"}


@pytest.mark.parametrize("path", ["me", "sessions/a:b:c", "sessions/*", "", "sessions/" + "a" * 5000, "\u00e9"])
def test_policy_serves_the_whole_stage(server: Server, app_user: Held, path: str) -> None:
    """Whichever path asks first, the policy allows every route of this stage and no other API."""
    base = "arn:aws:execute-api:eu-west-1:123456789012:api/stage"
    event = {"type": "TOKEN", "authorizationToken": app_user.bearer[1], "methodArn": f"{base}/GET/{path}"}
    answer = server.function(AUTHORIZE).invoke(event).result
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement == {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": [f"{base}/*/*"]}
    assert answer["principalId"] == app_user.reply.json["user"]["sub"]
    assert set(answer["context"]) == {"sub", "sid", "roles", "scope", "email_verified", "auth_time"}
    assert all(isinstance(value, str) for value in answer["context"].values())
    assert (answer["context"]["email_verified"], answer["context"]["roles"]) == ("false", "user")
