"""What API Gateway answers by itself: its gateway responses, by the Swagger document or as API Gateway has them."""

from __future__ import annotations

import json
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tests.rehearsal.proxy import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.rehearsal.proxy import Request


class Kind(StrEnum):
    """Types of gateway responses, all that a REST API has."""

    ACCESS_DENIED = auto()
    API_CONFIGURATION_ERROR = auto()
    AUTHORIZER_CONFIGURATION_ERROR = auto()
    AUTHORIZER_FAILURE = auto()
    BAD_REQUEST_BODY = auto()
    BAD_REQUEST_PARAMETERS = auto()
    DEFAULT_4XX = auto()
    DEFAULT_5XX = auto()
    EXPIRED_TOKEN = auto()
    INTEGRATION_FAILURE = auto()
    INTEGRATION_TIMEOUT = auto()
    INVALID_API_KEY = auto()
    INVALID_SIGNATURE = auto()
    MISSING_AUTHENTICATION_TOKEN = auto()
    QUOTA_EXCEEDED = auto()
    REQUEST_TOO_LARGE = auto()
    RESOURCE_NOT_FOUND = auto()
    THROTTLED = auto()
    UNAUTHORIZED = auto()
    UNSUPPORTED_MEDIA_TYPE = auto()
    WAF_FILTERED = auto()


# What API Gateway answers where the document says nothing else.
STATUS = {
    Kind.ACCESS_DENIED: 403,
    Kind.API_CONFIGURATION_ERROR: 500,
    Kind.AUTHORIZER_CONFIGURATION_ERROR: 500,
    Kind.AUTHORIZER_FAILURE: 500,
    Kind.BAD_REQUEST_BODY: 400,
    Kind.BAD_REQUEST_PARAMETERS: 400,
    Kind.DEFAULT_4XX: 400,
    Kind.DEFAULT_5XX: 502,
    Kind.EXPIRED_TOKEN: 403,
    Kind.INTEGRATION_FAILURE: 504,
    Kind.INTEGRATION_TIMEOUT: 504,
    Kind.INVALID_API_KEY: 403,
    Kind.INVALID_SIGNATURE: 403,
    Kind.MISSING_AUTHENTICATION_TOKEN: 403,
    Kind.QUOTA_EXCEEDED: 429,
    Kind.REQUEST_TOO_LARGE: 413,
    Kind.RESOURCE_NOT_FOUND: 404,
    Kind.THROTTLED: 429,
    Kind.UNAUTHORIZED: 401,
    Kind.UNSUPPORTED_MEDIA_TYPE: 415,
    Kind.WAF_FILTERED: 403,
}

# Where the value of a mapping expression comes from, which stands without quotes in place of a constant.
HEADER, QUERY = "method.request.header.", "method.request.querystring."


class GatewayError(Exception):
    """The gateway answers by itself."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind.name)
        self.kind = kind


class InvalidMapping(Exception):
    """An expression that API Gateway refuses when the document is uploaded."""


def gateway_response(document: Mapping[str, Any], kind: Kind, request: Request | None = None) -> Answer:
    """The gateway's own answer, by the document, by the document's default, or as API Gateway has it."""
    responses = document.get("x-amazon-apigateway-gateway-responses", {})
    status = STATUS[kind]
    default = "DEFAULT_4XX" if status < 500 else "DEFAULT_5XX"
    response = responses.get(kind.name) or responses.get(default) or {}
    templates = response.get("responseTemplates") or {"application/json": '{"message":$context.error.messageString}'}
    media_type, template = next(iter(templates.items()))
    headers = {"Content-Type": media_type, "x-amzn-ErrorType": f"{kind.name.title().replace('_', '')}Exception"}
    for parameter, expression in response.get("responseParameters", {}).items():
        value = mapped(expression, request)
        if value is not None:  # what the request has not is not sent
            headers[parameter.removeprefix("gatewayresponse.header.")] = value
    body = template.replace("$context.error.messageString", json.dumps(kind.name))
    return Answer(int(response.get("statusCode", status)), list(headers.items()), body.encode())


def mapped(expression: str, request: Request | None) -> str | None:
    """The value of a parameter mapping: a constant between quotes, or a part of the request. InvalidMapping.

    Of several values of one name it is the last. `method.request.path.` is left out: nothing here maps it.
    """
    if len(expression) > 1 and expression[0] == expression[-1] == "'":
        return expression[1:-1]
    if expression.startswith(HEADER):
        return request.header(expression.removeprefix(HEADER)) if request else None
    if expression.startswith(QUERY):
        query = dict(parse_qsl(request.query, keep_blank_values=True)) if request else {}
        return query.get(expression.removeprefix(QUERY))
    raise InvalidMapping(expression)
