"""Requests as API Gateway hands them to the function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import Request as ChaliceRequest

from chalicelib.web.request import Request, read

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = {"Content-Type": "application/json"}


def event(
    *,
    method: str = "POST",
    headers: Mapping[str, str | list[str]] | None = None,
    body: str | None = None,
    base64: bool = False,
    authorizer: object = None,
    path: str = "/login",
) -> dict[str, Any]:
    """A proxy event; a header may be given several values."""
    many = {name: [value] if isinstance(value, str) else value for name, value in (headers or {}).items()}
    context: dict[str, Any] = {
        "httpMethod": method,
        "resourcePath": path,
        "requestId": "request-1",
        "identity": {"sourceIp": "192.0.2.1", "userAgent": "the gateway's reading"},
    }
    if authorizer is not None:
        context["authorizer"] = authorizer
    return {
        "requestContext": context,
        "headers": {name: values[-1] for name, values in many.items() if values},
        "multiValueHeaders": many,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "body": body,
        "isBase64Encoded": base64,
    }


def chalice_request(**parts: Any) -> ChaliceRequest:
    """The event as Chalice wraps it."""
    return ChaliceRequest(event(**parts))


def request(**parts: Any) -> Request:
    """The event as handlers read it."""
    return read(chalice_request(**parts))
