"""API Gateway on loopback, as much as a REST API of chalice's needs: it answers by the deployed Swagger document.

Routes, token authorizers with their result cache, policies, proxy integrations, gateway responses.
"""

from __future__ import annotations

import json
import re
import threading
import time
from enum import StrEnum, auto
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from tests.rehearsal import proxy
from tests.rehearsal.proxy import Answer, Request
from tests.rehearsal.runtime import FunctionDied, LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.rehearsal.runtime import Function

LARGEST_BODY = 10 * 1024 * 1024
LARGEST_EVENT = 6 * 1024 * 1024  # Lambda's own limit, which a body can reach first
AUTHORIZER_CACHE_TTL = 300  # seconds, where the document names none


class Kind(StrEnum):
    """Types of gateway responses."""

    ACCESS_DENIED = auto()
    AUTHORIZER_CONFIGURATION_ERROR = auto()
    AUTHORIZER_FAILURE = auto()
    DEFAULT_5XX = auto()
    INTEGRATION_FAILURE = auto()
    MISSING_AUTHENTICATION_TOKEN = auto()
    REQUEST_TOO_LARGE = auto()
    UNAUTHORIZED = auto()


# What API Gateway answers where the document says nothing else.
STATUS = {
    Kind.ACCESS_DENIED: 403,
    Kind.AUTHORIZER_CONFIGURATION_ERROR: 500,
    Kind.AUTHORIZER_FAILURE: 500,
    Kind.DEFAULT_5XX: 502,
    Kind.INTEGRATION_FAILURE: 504,
    Kind.MISSING_AUTHENTICATION_TOKEN: 403,
    Kind.REQUEST_TOO_LARGE: 413,
    Kind.UNAUTHORIZED: 401,
}


class GatewayError(Exception):
    """The gateway answers by itself."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind.name)
        self.kind = kind


class Gateway:
    """One stage of one API. `document` gives the Swagger document of the moment, `function` the function of an ARN."""

    def __init__(
        self,
        api_id: str,
        stage: str,
        *,
        region: str,
        account: str,
        document: Callable[[], Mapping[str, Any]],
        function: Callable[[str], Function],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_id, self._stage, self._account = api_id, stage, account
        self._domain = f"{api_id}.execute-api.{region}.amazonaws.com"
        self._arn = f"arn:aws:execute-api:{region}:{account}:{api_id}/{stage}"
        self._document, self._function, self._clock = document, function, clock
        self._authorized: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The stage's URL."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._stage}"

    def answer(self, request: Request) -> Answer:
        """Answer a request whose path begins with the stage."""
        document = self._document()
        prefix, stage, path = request.path.partition(f"/{self._stage}")
        if prefix or not stage or (path and not path.startswith("/")):
            return Answer(403, [("Content-Type", "application/json")], b'{"message":"Forbidden"}')
        request = Request(
            request.method, path or "/", request.query, request.headers, request.body, request.source_ip, request.id
        )
        try:
            answer = self._integrate(document, request)
        except GatewayError as error:
            answer = gateway_response(document, error.kind)
        answer.headers.append(("x-amzn-RequestId", request.id))
        return answer

    def _integrate(self, document: Mapping[str, Any], request: Request) -> Answer:
        if len(request.body) > LARGEST_BODY:
            raise GatewayError(Kind.REQUEST_TOO_LARGE)
        route = proxy.find_route(document["paths"], request.path)
        method = document["paths"][route.resource].get(request.method.lower()) if route else None
        if route is None or method is None:
            raise GatewayError(Kind.MISSING_AUTHENTICATION_TOKEN)
        binary_types = document.get("x-amazon-apigateway-binary-media-types", [])
        event = proxy.event(
            request,
            route,
            api_id=self._api_id,
            stage=self._stage,
            account=self._account,
            domain=self._domain,
            binary_types=binary_types,
            authorizer=self._authorize(document, method, request),
        )
        if len(json.dumps(event)) > LARGEST_EVENT:
            raise GatewayError(Kind.REQUEST_TOO_LARGE)
        integration = method["x-amazon-apigateway-integration"]
        try:
            outcome = self._function(function_arn(integration["uri"])).invoke(event)
        except FunctionDied as error:
            raise GatewayError(Kind.INTEGRATION_FAILURE) from error
        if outcome.error:
            raise GatewayError(Kind.INTEGRATION_FAILURE)
        try:
            return proxy.answer(outcome.result, request.header("Accept"), binary_types)
        except proxy.Malformed as error:
            raise GatewayError(Kind.DEFAULT_5XX) from error

    def _authorize(
        self, document: Mapping[str, Any], method: Mapping[str, Any], request: Request
    ) -> dict[str, str] | None:
        """The authorizer's context for the function; None for a route without an authorizer."""
        for requirement in method.get("security", []):
            for name in requirement:
                definition = document["securityDefinitions"][name]
                authorizer = definition["x-amazon-apigateway-authorizer"]
                identity = request.header(definition["name"])
                if not identity:
                    raise GatewayError(Kind.UNAUTHORIZED)
                arn = f"{self._arn}/{request.method}/{request.path.removeprefix('/')}"
                result = self._ask(name, authorizer, identity, arn)
                if not allows(result["policyDocument"], arn):
                    raise GatewayError(Kind.ACCESS_DENIED)
                return context(result)
        return None

    def _ask(self, name: str, authorizer: Mapping[str, Any], identity: str, arn: str) -> dict[str, Any]:
        """The authorizer's answer, from the cache where it is fresh: the token alone is the key."""
        ttl = authorizer.get("authorizerResultTtlInSeconds", AUTHORIZER_CACHE_TTL)
        until, cached = self._authorized.get((name, identity), (0.0, {}))
        if ttl and self._clock() < until:
            return cached
        event = {"type": "TOKEN", "authorizationToken": identity, "methodArn": arn}
        try:
            outcome = self._function(function_arn(authorizer["authorizerUri"])).invoke(event)
        except FunctionDied as error:
            raise GatewayError(Kind.AUTHORIZER_FAILURE) from error
        if outcome.error:
            unauthorized = outcome.error.get("errorMessage") == "Unauthorized"
            raise GatewayError(Kind.UNAUTHORIZED if unauthorized else Kind.AUTHORIZER_FAILURE)
        result = outcome.result
        if not isinstance(result, dict) or not result.get("principalId") or "policyDocument" not in result:
            raise GatewayError(Kind.AUTHORIZER_CONFIGURATION_ERROR)
        if ttl:
            self._authorized[name, identity] = (self._clock() + ttl, result)
        return result


def function_arn(uri: str) -> str:
    """The function of an integration's or authorizer's URI."""
    match = re.fullmatch(r"arn:aws:apigateway:[^:]+:lambda:path/2015-03-31/functions/(.+)/invocations", uri)
    if match is None:
        raise GatewayError(Kind.DEFAULT_5XX)
    return match[1]


def allows(policy: Mapping[str, Any], arn: str) -> bool:
    """Evaluate an authorizer's policy: a matching Deny wins, and nothing is allowed that no Allow matches."""
    effects = {
        statement["Effect"]
        for statement in policy.get("Statement", [])
        if any(fnmatchcase("execute-api:invoke", action.lower()) for action in _listed(statement["Action"]))
        and any(_covers(pattern, arn) for pattern in _listed(statement["Resource"]))
    }
    return "Allow" in effects and "Deny" not in effects


def _covers(pattern: str, arn: str) -> bool:
    """Whether an ARN with IAM's wildcards covers another: only * and ? are special."""
    return fnmatchcase(arn, pattern.replace("[", "[[]"))


def context(result: Mapping[str, Any]) -> dict[str, str]:
    """The context as functions see it: every value a string."""
    values = {"principalId": str(result["principalId"])}
    for name, value in (result.get("context") or {}).items():
        if not isinstance(value, str | int | float | bool):
            raise GatewayError(Kind.AUTHORIZER_CONFIGURATION_ERROR)
        values[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return values


def gateway_response(document: Mapping[str, Any], kind: Kind) -> Answer:
    """The gateway's own answer, by the document, by the document's default, or as API Gateway has it."""
    responses = document.get("x-amazon-apigateway-gateway-responses", {})
    status = STATUS[kind]
    default = "DEFAULT_4XX" if status < 500 else "DEFAULT_5XX"
    response = responses.get(kind.name) or responses.get(default) or {}
    templates = response.get("responseTemplates") or {"application/json": '{"message":$context.error.messageString}'}
    media_type, template = next(iter(templates.items()))
    headers = {"Content-Type": media_type, "x-amzn-ErrorType": f"{kind.name.title().replace('_', '')}Exception"}
    for parameter, value in response.get("responseParameters", {}).items():
        headers[parameter.removeprefix("gatewayresponse.header.")] = value[1:-1]
    body = template.replace("$context.error.messageString", json.dumps(kind.name))
    return Answer(int(response.get("statusCode", status)), list(headers.items()), body.encode())


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


class _Server(LocalServer):
    """The HTTP side of a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(_Handler)
        self.gateway = gateway


class _Handler(BaseHTTPRequestHandler):
    """Every method goes to the gateway."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        # More than the limit is not read: what matters is that it is too much.
        body = self.rfile.read(min(length, LARGEST_BODY + 1))
        self.close_connection = self.close_connection or length > len(body)
        address = str(self.client_address[0])
        request = Request(self.command, url.path, url.query, list(self.headers.items()), body, address)
        answer = self.server.gateway.answer(request)
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Say nothing."""
