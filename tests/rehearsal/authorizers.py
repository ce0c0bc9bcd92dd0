"""How API Gateway asks Lambda authorizers (TOKEN and REQUEST, with their result cache) and IAM before a REST route."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tests.rehearsal.gateway_responses import GatewayError, Kind
from tests.rehearsal.runtime import FunctionDied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.rehearsal.runtime import Invocable

CACHE_TTL = 300  # seconds, where the document names none
HEADER_SOURCE = "method.request.header."
SIGNED = "AWS4-HMAC-SHA256 Credential="
CALLER = "arn:aws:iam::123456789012:role/caller"
# What a REQUEST authorizer sees of the proxy event: all but the body.
SEEN = (
    "resource",
    "path",
    "httpMethod",
    "headers",
    "multiValueHeaders",
    "queryStringParameters",
    "multiValueQueryStringParameters",
    "pathParameters",
    "stageVariables",
    "requestContext",
)


class Authorizers:
    """The authorizers of one API's stage. `arn` is the stage's, `api_arn` the API's without a stage.

    `may_invoke(function, source)` tells whether the function's own policy lets this API's authorizers invoke it.
    """

    def __init__(
        self,
        arn: str,
        *,
        function: Callable[[str], Invocable],
        may_invoke: Callable[[str, str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._arn, self._function, self._may_invoke, self._clock = arn, function, may_invoke, clock
        self._kept: dict[tuple[str, ...], tuple[float, dict[str, Any]]] = {}

    def admit(self, document: Mapping[str, Any], method: Mapping[str, Any], event: dict[str, Any]) -> None:
        """Note in the event's context who calls, where the method asks for that. GatewayError where nobody may."""
        for requirement in method.get("security", []):
            for name in requirement:
                definition = document["securityDefinitions"][name]
                if definition.get("x-amazon-apigateway-authtype") == "awsSigv4":
                    _require_signature(event)
                else:
                    event["requestContext"]["authorizer"] = self._authorized(name, definition, event)

    def _authorized(self, name: str, definition: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, str]:
        authorizer = definition["x-amazon-apigateway-authorizer"]
        arn = f"{self._arn}/{event['httpMethod']}/{event['path'].removeprefix('/')}"
        ttl = authorizer.get("authorizerResultTtlInSeconds", CACHE_TTL)
        if authorizer["type"] == "token":
            identity = [_header(event, definition["name"])]
            asked = {"type": "TOKEN", "authorizationToken": identity[0], "methodArn": arn}
            required = True
        else:
            sources = [source.strip() for source in authorizer.get("identitySource", "").split(",") if source.strip()]
            if ttl and not sources:  # API Gateway refuses such an authorizer: it would have no key for the cache
                raise GatewayError(Kind.AUTHORIZER_CONFIGURATION_ERROR)
            identity = [_header(event, source.removeprefix(HEADER_SOURCE)) for source in sources]
            asked = {"type": "REQUEST", "methodArn": arn, **{member: event[member] for member in SEEN}}
            required = bool(ttl)  # without a cache the identity sources are not looked at
        if required and not all(identity):
            raise GatewayError(Kind.UNAUTHORIZED)
        key = (name, *(value or "" for value in identity))
        until, kept = self._kept.get(key, (0.0, {}))
        if not ttl or self._clock() >= until:
            kept = self._ask(authorizer["authorizerUri"], asked)
            if ttl:
                self._kept[key] = (self._clock() + ttl, kept)
        if not allows(kept["policyDocument"], arn):
            raise GatewayError(Kind.ACCESS_DENIED)
        return context(kept)

    def _ask(self, uri: str, event: Mapping[str, Any]) -> dict[str, Any]:
        function = function_arn(uri)
        api_arn = self._arn.rpartition("/")[0]
        if not self._may_invoke(function, f"{api_arn}/authorizers/abc123"):
            raise GatewayError(Kind.AUTHORIZER_CONFIGURATION_ERROR)
        try:
            outcome = self._function(function).invoke(event)
        except FunctionDied as error:
            raise GatewayError(Kind.AUTHORIZER_FAILURE) from error
        if outcome.error:
            unauthorized = outcome.error.get("errorMessage") == "Unauthorized"
            raise GatewayError(Kind.UNAUTHORIZED if unauthorized else Kind.AUTHORIZER_FAILURE)
        result = outcome.result
        if not isinstance(result, dict) or not result.get("principalId") or "policyDocument" not in result:
            raise GatewayError(Kind.AUTHORIZER_CONFIGURATION_ERROR)
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
        and any(covers(pattern, arn) for pattern in _listed(statement["Resource"]))
    }
    return "Allow" in effects and "Deny" not in effects


def covers(pattern: str, arn: str) -> bool:
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


def _require_signature(event: Mapping[str, Any]) -> None:
    """AWS_IAM. Any signature is taken for the caller's: what verifies one is AWS."""
    if not (_header(event, "Authorization") or "").startswith(SIGNED):
        raise GatewayError(Kind.MISSING_AUTHENTICATION_TOKEN)
    event["requestContext"]["identity"]["userArn"] = CALLER


def _header(event: Mapping[str, Any], name: str) -> str | None:
    """The last value of a header, or None."""
    values = [value for key, value in (event["headers"] or {}).items() if key.lower() == name.lower()]
    return values[-1] if values else None


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
