"""The gateway emulator itself: what the other tests rely on, and what API Gateway documents."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.rehearsal import proxy
from tests.rehearsal.authorizers import CALLER, allows, context
from tests.rehearsal.gateway import Gateway
from tests.rehearsal.gateway_responses import InvalidMapping, Kind, gateway_response, mapped
from tests.rehearsal.runtime import FunctionDied, Outcome
from tests.world.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARN = "arn:aws:execute-api:eu-central-1:1:api/api/GET/me"
INTEGRATION = {
    "type": "aws_proxy",
    "uri": "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/FUNCTION/invocations",
}


class Scripted:
    """Functions by ARN that answer what a test says, and remember what they were asked."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.api: Callable[[Any], Outcome] = lambda event: ok(event["requestContext"].get("authorizer", {}))
        self.authorizer: Callable[[Any], Outcome] = lambda _: Outcome(result=policy("Allow", "*"))

    def __call__(self, arn: str) -> Any:
        """The function of an ARN."""
        scripted = self

        class One:
            def invoke(self, event: Any) -> Outcome:
                scripted.events.append(event)
                return (scripted.authorizer if arn == "AUTHORIZER" else scripted.api)(event)

        return One()


def ok(members: dict[str, Any]) -> Outcome:
    """A proxy answer whose headers are `members`."""
    return Outcome(result={"statusCode": 200, "headers": members, "body": "ok"})


def policy(effect: str, resource: str, **members: Any) -> dict[str, Any]:
    """An authorizer's answer."""
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}
    return {"principalId": "p", "policyDocument": {"Statement": [statement]}, "context": {}, **members}


@pytest.fixture
def functions() -> Scripted:
    """The functions behind the gateway."""
    return Scripted()


@pytest.fixture
def document() -> dict[str, Any]:
    """An API of a guarded and an open resource."""
    uri = INTEGRATION["uri"].replace("FUNCTION", "AUTHORIZER")
    authorizer = {"type": "token", "authorizerUri": uri, "authorizerResultTtlInSeconds": 10}
    guarded = {"security": [{"guard": []}], "x-amazon-apigateway-integration": INTEGRATION}
    return {
        "paths": {
            "/me": {"get": guarded},
            "/items/{id}": {"get": {"x-amazon-apigateway-integration": INTEGRATION}},
            "/items/all": {"post": {"x-amazon-apigateway-integration": INTEGRATION}},
            "/signed": {"post": {"security": [{"sigv4": []}], "x-amazon-apigateway-integration": INTEGRATION}},
        },
        "securityDefinitions": {
            "guard": {"name": "Authorization", "x-amazon-apigateway-authorizer": authorizer},
            "sigv4": {"name": "Authorization", "x-amazon-apigateway-authtype": "awsSigv4"},
        },
        "x-amazon-apigateway-binary-media-types": ["image/png"],
    }


@pytest.fixture
def now() -> list[float]:
    """The gateway's clock, in seconds."""
    return [0.0]


@pytest.fixture
def client(functions: Scripted, document: dict[str, Any], now: list[float]) -> Iterator[Client]:
    """A client of the emulator."""
    with Gateway(
        "api",
        "api",
        region="eu-central-1",
        account="1",
        document=lambda: document,
        function=functions,
        clock=lambda: now[0],
    ) as gateway:
        yield Client(gateway.url)


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([("Allow", "execute-api:Invoke", ARN)], True),
        ([("Allow", "execute-api:*", "arn:aws:execute-api:*:*:api/*")], True),
        ([("Allow", "execute-api:Invoke", ARN.replace("GET", "POST"))], False),
        ([("Allow", "execute-api:Invoke", "*"), ("Deny", "execute-api:Invoke", "*/GET/m?")], False),
        ([("Allow", "execute-api:ManageConnections", "*")], False),
        ([("Allow", "execute-api:Invoke", ARN.replace("me", "[m]e"))], False),
        ([], False),
    ],
)
def test_policy(statements: list[tuple[str, str, str]], *, allowed: bool) -> None:
    """An explicit Deny wins, and silence denies."""
    listed = [{"Effect": effect, "Action": [action], "Resource": [arn]} for effect, action, arn in statements]
    assert allows({"Statement": listed}, ARN) is allowed


def test_authorizer_is_asked_once_a_token_until_the_ttl(client: Client, functions: Scripted, now: list[float]) -> None:
    """The result is kept by token; another token, and the time's end, ask again."""
    for token, time, asked in (("a", 0.0, 1), ("a", 9.0, 1), ("b", 9.0, 2), ("a", 10.0, 3)):
        now[0] = time
        assert client.call("GET", "/me", bearer=token).status == 200
        assert sum(event.get("type") == "TOKEN" for event in functions.events) == asked


def test_authorizer_without_a_cache(client: Client, functions: Scripted, document: dict[str, Any]) -> None:
    """TTL 0 asks at every request."""
    document["securityDefinitions"]["guard"]["x-amazon-apigateway-authorizer"]["authorizerResultTtlInSeconds"] = 0
    for _ in range(2):
        client.call("GET", "/me", bearer="a")
    assert sum(event.get("type") == "TOKEN" for event in functions.events) == 2


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(error={"errorMessage": "Unauthorized"}), 401),
        (Outcome(error={"errorMessage": "Unauthorized."}), 500),
        (Outcome(result=policy("Deny", "*")), 403),
        (Outcome(result=policy("Allow", "*/POST/*")), 403),
        (Outcome(result={"principalId": "p"}), 500),
        (Outcome(result=policy("Allow", "*", context={"list": []})), 500),
        (Outcome(result=None), 500),
    ],
)
def test_authorizer_that_does_not_allow(client: Client, functions: Scripted, outcome: Outcome, status: int) -> None:
    """What each answer becomes; the function behind is never reached."""
    functions.authorizer = lambda _: outcome
    assert client.call("GET", "/me", bearer="a").status == status
    assert len(functions.events) == 1


def test_no_identity_is_refused_unasked(client: Client, functions: Scripted) -> None:
    """Without the header the authorizer is not invoked."""
    assert client.call("GET", "/me").status == 401
    assert functions.events == []


def request_authorizer(document: dict[str, Any], **members: Any) -> None:
    """Make the API's authorizer one of type REQUEST, uncached unless `members` say otherwise."""
    authorizer = document["securityDefinitions"]["guard"]["x-amazon-apigateway-authorizer"]
    authorizer |= {"type": "request", "authorizerResultTtlInSeconds": 0, **members}


def test_request_authorizer_sees_the_request(client: Client, functions: Scripted, document: dict[str, Any]) -> None:
    """Everything but the body, the method's ARN beside it; asked each time, also without any credential."""
    request_authorizer(document)
    assert client.call("GET", "/me?q=1", headers={"Cookie": "a=1", "X-A": "b"}).status == 200
    asked, called = functions.events
    assert (asked["type"], asked["methodArn"], asked["path"], asked["resource"]) == ("REQUEST", ARN, "/me", "/me")
    assert (asked["headers"]["Cookie"], asked["multiValueHeaders"]["X-A"]) == ("a=1", ["b"])
    assert (asked["httpMethod"], asked["queryStringParameters"]) == ("GET", {"q": "1"})
    assert asked["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert "body" not in asked
    assert called["requestContext"]["authorizer"] == {"principalId": "p"}
    assert client.call("GET", "/me").status == 200
    assert len(functions.events) == 4


def test_request_authorizer_is_cached_by_its_identity_sources(
    client: Client, functions: Scripted, document: dict[str, Any]
) -> None:
    """All of them are the key; one that is missing is 401 unasked; none at all cannot be."""
    sources = "method.request.header.Authorization, method.request.header.X-A"
    request_authorizer(document, identitySource=sources, authorizerResultTtlInSeconds=10)
    for token, value, status, asked in (
        ("a", "1", 200, 1),
        ("a", "1", 200, 1),
        ("a", "2", 200, 2),
        ("b", "1", 200, 3),
        ("a", "", 401, 3),
    ):
        assert client.call("GET", "/me", bearer=token, headers={"X-A": value}).status == status
        assert sum(event.get("type") == "REQUEST" for event in functions.events) == asked
    request_authorizer(document, identitySource="", authorizerResultTtlInSeconds=10)
    assert client.call("GET", "/me", bearer="a").status == 500


def test_cached_result_is_judged_for_each_request(
    client: Client, functions: Scripted, document: dict[str, Any]
) -> None:
    """A policy for one route, kept for another, denies it (serverless #6176)."""
    document["paths"]["/items/all"]["post"]["security"] = [{"guard": []}]
    functions.authorizer = lambda event: Outcome(result=policy("Allow", event["methodArn"]))
    assert client.call("GET", "/me", bearer="a").status == 200
    assert client.call("POST", "/items/all", bearer="a").status == 403
    assert client.call("POST", "/items/all", bearer="b").status == 200


def test_function_that_this_api_may_not_invoke(functions: Scripted, document: dict[str, Any]) -> None:
    """Without the permission of the authorizer's function the gateway answers by itself."""
    asked = []

    def refuse(function: str, source: str) -> bool:
        asked.append((function, source))
        return False

    with Gateway(
        "api",
        "api",
        region="eu-central-1",
        account="1",
        document=lambda: document,
        function=functions,
        may_invoke=refuse,
    ) as gateway:
        assert Client(gateway.url).call("GET", "/me", bearer="a").status == 500
    ((function, source),) = asked
    assert function == "AUTHORIZER"
    assert source.startswith("arn:aws:execute-api:eu-central-1:1:api/authorizers/")
    assert functions.events == []


def test_iam(client: Client, functions: Scripted) -> None:
    """A signed request reaches the function with its caller; another one is told that a token is missing."""
    assert client.call("POST", "/signed", bearer="a").status == 403
    assert functions.events == []
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20300101/eu-central-1/execute-api/aws4_request"}
    assert client.call("POST", "/signed", headers=signed).status == 200
    assert functions.events[-1]["requestContext"]["identity"]["userArn"] == CALLER


def test_context_values_are_strings() -> None:
    """Whatever the authorizer returned, functions see strings."""
    result = policy("Allow", "*", context={"a": True, "b": 1, "c": "x"})
    assert context(result) == {"principalId": "p", "a": "true", "b": "1", "c": "x"}


def test_function_that_dies(client: Client, functions: Scripted) -> None:
    """A crash and an answer that is none are the gateway's errors."""

    def die(_: Any) -> Outcome:
        raise FunctionDied

    functions.api = die
    assert client.call("GET", "/items/1").status == 504
    functions.api = lambda _: Outcome(error={"errorMessage": "boom"})
    assert client.call("GET", "/items/1").status == 504
    functions.api = lambda _: Outcome(result={"body": "no status"})
    assert client.call("GET", "/items/1").status == 502


def test_routes(client: Client, functions: Scripted) -> None:
    """A literal beats a parameter, parameters are decoded, a slash at the end does not count, methods are exact."""
    for path, resource, parameters in (
        ("/items/a%20b", "/items/{id}", {"id": "a b"}),
        ("/items/1/", "/items/{id}", {"id": "1"}),
    ):
        assert client.call("GET", path).status == 200
        assert functions.events[-1]["requestContext"]["resourcePath"] == resource
        assert functions.events[-1]["pathParameters"] == parameters
    assert client.call("POST", "/items/all").status == 200
    for method, path in (("GET", "/items/all"), ("GET", "/items/"), ("GET", "//items/1"), ("PUT", "/me"), ("GET", "/")):
        assert client.call(method, path).status == 403, path


def test_event_and_answer(client: Client, functions: Scripted) -> None:
    """Headers of one name arrive in a list and leave as two; WWW-Authenticate leaves under another name."""
    functions.api = lambda _: Outcome(
        result={
            "statusCode": 401,
            "headers": {"Set-Cookie": "lost=1", "WWW-Authenticate": "Bearer"},
            "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
            "body": "",
        }
    )
    reply = client.call("GET", "/items/1?q=1&q=2&e=", headers={"X-A": "1", "User-Agent": "rehearsal"})
    assert reply.all("Set-Cookie") == ["a=1", "b=2"]
    assert (reply.header("WWW-Authenticate"), reply.header("x-amzn-Remapped-WWW-Authenticate")) == (None, "Bearer")
    event = functions.events[-1]
    assert event["multiValueHeaders"]["X-A"] == ["1"]
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"], "e": [""]}
    assert event["queryStringParameters"] == {"q": "2", "e": ""}
    assert event["requestContext"]["identity"] == {"sourceIp": "127.0.0.1", "userAgent": "rehearsal", "accessKey": None}
    assert (event["body"], event["isBase64Encoded"]) == (None, False)


def test_binary(client: Client, functions: Scripted) -> None:
    """A body of a binary type comes in base64; an answer in base64 is decoded for those who accept such a type."""
    functions.api = lambda event: Outcome(result={"statusCode": 200, "body": event["body"], "isBase64Encoded": True})
    sent = {"Content-Type": "image/png", "Accept": "image/png"}
    assert client.call("POST", "/items/all", headers=sent, body=b"\xff\x00").body == b"\xff\x00"
    assert functions.events[-1]["isBase64Encoded"] is True
    del sent["Accept"]
    encoded = base64.b64encode(b"\xff\x00")
    assert client.call("POST", "/items/all", headers=sent, body=b"\xff\x00").body == encoded


def test_gateway_response_of_the_document() -> None:
    """The document's answer for the type, else its default for the class, else API Gateway's own."""
    own = {"statusCode": "418", "responseParameters": {"gatewayresponse.header.X": "'it''s'"}}
    document = {
        "x-amazon-apigateway-gateway-responses": {
            "UNAUTHORIZED": {**own, "responseTemplates": {"text/plain": "tea"}},
            "DEFAULT_5XX": {"responseTemplates": {"application/json": '{"m":$context.error.messageString}'}},
        }
    }
    teapot = gateway_response(document, Kind.UNAUTHORIZED)
    assert (teapot.status, teapot.body, dict(teapot.headers)["X"]) == (418, b"tea", "it''s")
    assert dict(teapot.headers)["Content-Type"] == "text/plain"
    assert gateway_response(document, Kind.AUTHORIZER_FAILURE).body == b'{"m":"AUTHORIZER_FAILURE"}'
    assert gateway_response(document, Kind.ACCESS_DENIED).status == 403


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'constant'", "constant"),
        ("''", ""),
        ("'method.request.header.Origin'", "method.request.header.Origin"),
        ("method.request.header.Origin", "https://b.example"),
        ("method.request.header.X-Absent", None),
        ("method.request.querystring.q", "2"),
        ("method.request.querystring.absent", None),
    ],
)
def test_mapping_expression(expression: str, value: str | None) -> None:
    """What stands between quotes is a constant; else a part of the request, and no header where it has none."""
    sent = [("Origin", "https://a.example"), ("origin", "https://b.example")]
    request = proxy.Request("GET", "/me", "q=1&q=2", sent, b"", "127.0.0.1")
    parameters = {"gatewayresponse.header.X-Mapped": expression}
    document = {"x-amazon-apigateway-gateway-responses": {"UNAUTHORIZED": {"responseParameters": parameters}}}
    answer = gateway_response(document, Kind.UNAUTHORIZED, request)
    assert dict(answer.headers).get("X-Mapped") == value


@pytest.mark.parametrize("expression", ["constant", "*", "'", "method.request.body", "Origin", ""])
def test_expression_that_is_none(expression: str) -> None:
    """API Gateway refuses a document with such a one; here it fails when it is used."""
    with pytest.raises(InvalidMapping):
        mapped(expression, None)


def test_gateway_that_is_told_to_refuse(functions: Scripted, document: dict[str, Any]) -> None:
    """For as long as it is told, nothing reaches anything behind the gateway."""
    with Gateway(
        "api", "api", region="eu-central-1", account="1", document=lambda: document, function=functions
    ) as gateway:
        with gateway.refusing(Kind.THROTTLED):
            assert Client(gateway.url).call("GET", "/items/1").status == 429
            assert functions.events == []
        assert Client(gateway.url).call("GET", "/items/1").status == 200


def test_other_stage(client: Client) -> None:
    """A path outside the stage is Forbidden."""
    assert client.call("GET", "x/me").status == 403


def test_malformed_answers() -> None:
    """Answers that API Gateway calls malformed."""
    results: list[Any] = [None, [], {"statusCode": "200"}, {"statusCode": 200, "body": {}}]
    for result in results:
        with pytest.raises(proxy.Malformed):
            proxy.answer(result, None, [])
