"""What API Gateway makes of a request for a Lambda function (AWS_PROXY), and of its answer. Payload format 1.0."""

from __future__ import annotations

import base64
import binascii
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Headers = list[tuple[str, str]]

# A function's headers of these names leave under another: x-amzn-remapped-<name>.
REMAPPED = {"authorization", "connection", "content-length", "date", "host", "server", "user-agent", "www-authenticate"}


class Malformed(Exception):
    """The function's answer is not what a proxy integration takes."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. `path` is without the stage, not decoded."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    source_ip: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def header(self, name: str) -> str | None:
        """The last value of a header, or None."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """The resource that a request is for."""

    resource: str
    parameters: Mapping[str, str]


def find_route(paths: Iterable[str], path: str) -> Route | None:
    """Match a path with resources. A literal part wins over a parameter; one slash at the end does not count."""
    parts = path.removesuffix("/").split("/")
    found = []
    for resource in paths:
        names = resource.removesuffix("/").split("/")
        if len(names) == len(parts) and all(
            (_is_parameter(name) and part) or name == part for name, part in zip(names, parts, strict=True)
        ):
            parameters = {
                name[1:-1]: unquote(part) for name, part in zip(names, parts, strict=True) if _is_parameter(name)
            }
            found.append(Route(resource, parameters))
    return min(found, key=lambda route: len(route.parameters), default=None)


def _is_parameter(name: str) -> bool:
    return name.startswith("{") and name.endswith("}")


def event(
    request: Request,
    route: Route,
    *,
    api_id: str,
    stage: str,
    account: str,
    domain: str,
    binary_types: Sequence[str],
    authorizer: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The event of a proxy integration."""
    binary = _media_type(request.header("Content-Type")) in binary_types
    query = parse_qsl(request.query, keep_blank_values=True)
    context: dict[str, Any] = {
        "accountId": account,
        "apiId": api_id,
        "domainName": domain,
        "domainPrefix": api_id,
        "extendedRequestId": request.id,
        "httpMethod": request.method,
        "identity": {"sourceIp": request.source_ip, "userAgent": request.header("User-Agent"), "accessKey": None},
        "path": f"/{stage}{request.path}",
        "protocol": "HTTP/1.1",
        "requestId": request.id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "requestTimeEpoch": int(time.time() * 1000),
        "resourceId": "abc123",
        "resourcePath": route.resource,
        "stage": stage,
    }
    if authorizer is not None:
        context["authorizer"] = dict(authorizer)
    return {
        "resource": route.resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(request.headers) or None,
        "multiValueHeaders": _multi(request.headers) or None,
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _multi(query) or None,
        "pathParameters": dict(route.parameters) or None,
        "stageVariables": None,
        "requestContext": context,
        "body": _body(request.body, binary=binary),
        "isBase64Encoded": binary,
    }


def answer(result: Any, accept: str | None, binary_types: Sequence[str]) -> Answer:
    """The HTTP response that the function's result stands for. Malformed where it is none."""
    if not isinstance(result, dict) or not isinstance(result.get("statusCode"), int):
        message = f"no statusCode in {result!r}"
        raise Malformed(message)
    multi = result.get("multiValueHeaders") or {}
    named = {name.lower() for name in multi}
    headers = [(name, str(value)) for name, values in multi.items() for value in values]
    headers += [
        (name, str(value)) for name, value in (result.get("headers") or {}).items() if name.lower() not in named
    ]
    headers = [(f"x-amzn-Remapped-{name}" if name.lower() in REMAPPED else name, value) for name, value in headers]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    body = "" if result.get("body") is None else result["body"]
    if not isinstance(body, str):
        message = f"the body is {type(body).__name__}"
        raise Malformed(message)
    contents = body.encode()
    # Base64 is undone for those alone who say that they take a binary type.
    if result.get("isBase64Encoded") and _media_type((accept or "").split(",")[0]) in binary_types:
        try:
            contents = base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise Malformed(str(error)) from error
    return Answer(result["statusCode"], headers, contents)


def _multi(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _media_type(value: str | None) -> str:
    return (value or "").split(";")[0].strip().lower()


def _body(body: bytes, *, binary: bool) -> str | None:
    if not body:
        return None
    return base64.b64encode(body).decode() if binary else body.decode(errors="replace")
