"""GET /openapi.json: the API's description, from what the routes take and answer (OpenAPI 3.1).

Bodies, forms and queries are those that request.py reads by (bodies.py); statuses and codes are boundary.py's; the rest
stands in openapi_operations.py and openapi_schemas.py. OPTIONS is left out: browsers ask it by themselves and no client
calls it, so that in a generated client it would be a method without a use. So is HEAD, which answers as GET does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib import errors
from chalicelib.handlers.boundary import FRAMEWORK, OAUTH_ERRORS, OAUTH_HANDLERS, STATUS
from chalicelib.handlers.openapi_operations import GUARDED, GUARDED_UNSAFE, OPERATIONS, RENEWING
from chalicelib.handlers.openapi_schemas import (
    COMPONENTS,
    STRING,
    URL,
    fields,
    member,
    oauth_error,
    problem,
    reference,
)
from chalicelib.web import cookies
from chalicelib.web.responses import JSON, PROBLEM_JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.handlers.openapi_operations import Operation
    from chalicelib.settings.config import Config
    from chalicelib.web.fields import Fields

VERSION = "0.1.0"  # the project's; a test compares them
FORM = "application/x-www-form-urlencoded"

SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "session": {"type": "apiKey", "in": "cookie", "name": cookies.SESSION},
    "refresh": {"type": "apiKey", "in": "cookie", "name": cookies.REFRESH},
    "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
    "iam": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "AWS Signature Version 4, of a caller who may invoke this route.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
}

_SECONDS = {"type": "integer", "minimum": 0}
HEADERS: dict[str, dict[str, Any]] = {
    "Cache-Control": {"schema": STRING},
    "Location": {"schema": URL},
    "Set-Cookie": {"schema": STRING, "description": "Keep it: it is a credential, or clears one."},
    "Retry-After": {"schema": _SECONDS, "description": "Seconds."},
    "RateLimit": {"schema": STRING, "description": "draft-ietf-httpapi-ratelimit-headers-10 section 4"},
    "RateLimit-Policy": {"schema": STRING, "description": "draft-ietf-httpapi-ratelimit-headers-10 section 3"},
    # API Gateway renames it where the function sends it.
    "WWW-Authenticate": {"schema": STRING},
    "x-amzn-Remapped-WWW-Authenticate": {"schema": STRING},
}
# What errors of a status come with: always, and where the limiter or the function says it.
ERROR_HEADERS: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {
    401: ((), ("WWW-Authenticate", "x-amzn-Remapped-WWW-Authenticate")),
    429: (("Retry-After",), ("RateLimit", "RateLimit-Policy")),
    503: (("Retry-After",), ()),
}

# What API Gateway may answer to any route, or Chalice; 401 where there is an authorizer.
ANYWHERE = (400, 403, 404, 413, 415, 429, 500, 503)
EVERYWHERE = (errors.Unavailable, errors.ConfigurationError)
WITH_BODY = (errors.UnsupportedMediaType, errors.PayloadTooLarge)


def document(config: Config) -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    responses: dict[str, dict[str, Any]] = {}
    for key, operation in OPERATIONS.items():
        method, _, path = key.partition(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(operation, responses)
    declared = {body.name: fields(body, unknown=False) for body in _bodies()}
    forms = {form.name: fields(form, unknown=True) for form in _forms()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Keyturn",
            "version": VERSION,
            "description": "Sign up, log in, refresh, log out. Errors are decided by `code`, which does not change.",
        },
        "servers": [{"url": config.issuer}],
        "paths": paths,
        "components": {
            "schemas": {**COMPONENTS, **declared, **forms},
            "responses": responses,
            "headers": HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _bodies() -> list[Fields]:
    return [operation.body for operation in OPERATIONS.values() if operation.body]


def _forms() -> list[Fields]:
    return [operation.form for operation in OPERATIONS.values() if operation.form]


def _operation(operation: Operation, responses: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The operation. Error answers, which many share, go to `responses`."""
    described: dict[str, Any] = {
        "operationId": operation.handle.__name__,
        "summary": (operation.handle.__doc__ or "").partition("\n")[0],
        "security": [{scheme: [] for scheme in choice} for choice in operation.security],
        "responses": {**_successes(operation), **_errors(operation, responses)},
    }
    parameters = _parameters(operation)
    if parameters:
        described["parameters"] = parameters
    for media_type, declared in ((JSON, operation.body), (FORM, operation.form)):
        if declared:
            content = {media_type: {"schema": reference(declared.name)}}
            described["requestBody"] = {"content": content, "required": bool(declared.required)}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in operation.parameters.items()
    ]
    declared = operation.query.members if operation.query else {}
    query = [
        {"name": name, "in": "query", "required": one.required, "schema": member(one)} for name, one in declared.items()
    ]
    return path + query


def _successes(operation: Operation) -> dict[str, Any]:
    return {
        str(status): {
            "description": "Done." if schema is None else "What was asked for.",
            **({"content": {JSON: {"schema": schema}}} if schema else {}),
            **_headers(operation.headers, operation.sometimes),
        }
        for status, schema in operation.answers.items()
    }


def _errors(operation: Operation, responses: dict[str, dict[str, Any]]) -> dict[str, Any]:
    guarded = operation.security in (GUARDED, GUARDED_UNSAFE, RENEWING)
    possible = {*operation.errors, *EVERYWHERE, *(WITH_BODY if operation.body or operation.form else ())}
    if guarded:
        possible |= {errors.InvalidToken, errors.AccessDenied}
    in_oauth_form = OAUTH_ERRORS & possible if operation.handle in OAUTH_HANDLERS else set()
    named = {}
    for status in sorted({*ANYWHERE, *(STATUS[error] for error in possible)}):
        codes = {error.code for error in possible - in_oauth_form if STATUS[error] == status}
        codes |= {FRAMEWORK[status][0]} if status in ANYWHERE else set()
        oauth_codes = {error.code for error in in_oauth_form if STATUS[error] == status}
        name = ".".join([str(status), *sorted(codes), *(f"oauth_{code}" for code in sorted(oauth_codes))])
        responses[name] = _error(status, codes, oauth_codes)
        named[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return named


def _error(status: int, codes: set[str], oauth_codes: set[str]) -> dict[str, Any]:
    content = {PROBLEM_JSON: {"schema": problem(status, codes)}} if codes else {}
    if oauth_codes:
        content[JSON] = {"schema": oauth_error(oauth_codes)}
    always, sometimes = ERROR_HEADERS.get(status, ((), ()))
    description = ", ".join(f"`{code}`" for code in sorted(codes | oauth_codes))
    return {"description": description, "content": content, **_headers(always, sometimes)}


def _headers(always: Iterable[str], sometimes: Iterable[str]) -> Mapping[str, Any]:
    named: dict[str, Any] = {name: {"$ref": f"#/components/headers/{name}"} for name in sometimes}
    named |= {name: {**HEADERS[name], "required": True} for name in always}
    return {"headers": named} if named else {}
