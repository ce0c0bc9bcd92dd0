"""What API Gateway answers by itself: its gateway responses, by the Swagger document or as API Gateway has them."""

from __future__ import annotations

import json
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Any

from tests.rehearsal.proxy import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping


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
