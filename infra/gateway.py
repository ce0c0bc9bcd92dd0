"""What API Gateway answers by itself: its gateway responses, as part of the API's Swagger document.

They travel in the document because a redeploy replaces the whole API: responses that were set beside it would be gone.
Every body is constant. The codes, titles and security headers are those of chalicelib/web/boundary.py.

A gateway response cannot look into a list. Where one origin is allowed, it names that one; where there are several, it
lets every page read it that asks. What there is to read is constant.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chalicelib.web.boundary import FRAMEWORK, SECURITY_HEADERS
from chalicelib.web.cors import EXPOSED_HEADERS
from chalicelib.web.responses import PROBLEM_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTENSION = "x-amazon-apigateway-gateway-responses"

# Each type with the status that we give it. Types that are not listed fall to the defaults at the end.
STATUS = {
    "UNAUTHORIZED": 401,
    "ACCESS_DENIED": 403,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "EXPIRED_TOKEN": 403,
    "WAF_FILTERED": 403,
    # What API Gateway says of paths and methods that it does not know; by default a 403 that speaks of a token.
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "RESOURCE_NOT_FOUND": 404,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "THROTTLED": 429,
    "QUOTA_EXCEEDED": 429,
    # The authorizer raises anything but "Unauthorized" when it cannot know: fail closed, and say that it passes.
    "AUTHORIZER_FAILURE": 503,
    "AUTHORIZER_CONFIGURATION_ERROR": 503,
    "INTEGRATION_FAILURE": 503,
    "INTEGRATION_TIMEOUT": 503,
    "DEFAULT_4XX": 400,
    "DEFAULT_5XX": 500,
}

# For single statuses. A proxy's WWW-Authenticate is renamed on its way out; a gateway response's is not.
HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "1"},
    503: {"Retry-After": "1"},
}

# For all, beside Access-Control-Allow-Origin, without which they mean nothing.
CORS = {
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": EXPOSED_HEADERS,
    "Vary": "Origin",
}
HEADER = "gatewayresponse.header."
ORIGIN = "method.request.header.Origin"  # the request's; without quotes it is a mapping expression


def gateway_responses(allowed_origins: frozenset[str]) -> dict[str, Any]:
    """Gateway responses by type, in the form of the Swagger extension.

    Pages of the one allowed origin may read them, none where there is none, and all where there are several.
    """
    values = [ORIGIN] if len(allowed_origins) > 1 else [f"'{origin}'" for origin in allowed_origins]
    readers = {f"{HEADER}Access-Control-Allow-Origin": value for value in values}
    return {kind: _gateway_response(status, readers) for kind, status in STATUS.items()}


def headers_for(response: Mapping[str, Any], origin: str | None) -> dict[str, str]:
    """What the headers of one of these come to for a request with this Origin, or with none."""
    parameters = {name.removeprefix(HEADER): value for name, value in response["responseParameters"].items()}
    constant = {name: value[1:-1] for name, value in parameters.items() if value != ORIGIN}
    return constant | ({name: origin for name, value in parameters.items() if value == ORIGIN} if origin else {})


def _gateway_response(status: int, readers: Mapping[str, str]) -> dict[str, Any]:
    code, title = FRAMEWORK[status]
    body = {"type": "about:blank", "title": title, "status": status, "code": code}
    headers = {
        "Content-Type": PROBLEM_JSON,
        "Cache-Control": "no-store",
        **SECURITY_HEADERS,
        **CORS,
        **HEADERS.get(status, {}),
    }
    # API Gateway takes what stands between the outermost quotes as it is, quotes of the value included.
    constant = {f"{HEADER}{name}": f"'{value}'" for name, value in headers.items()}
    return {
        "statusCode": str(status),
        "responseParameters": {**constant, **readers},
        "responseTemplates": {"application/json": json.dumps(body)},
    }
