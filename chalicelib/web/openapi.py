"""The API's description, from what the endpoints declare (OpenAPI 3.1): GET /openapi.json.

Statuses and codes are boundary.py's, schemas of answers are in schemas.py. OPTIONS is left out: browsers ask it by
themselves and no client calls it, so that in a generated client it would be a method without a use. So is HEAD, which
answers as GET does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib import errors
from chalicelib.providers import PROFILES
from chalicelib.web import cookies
from chalicelib.web.boundary import FRAMEWORK, OAUTH_ERRORS, STATUS
from chalicelib.web.endpoint import Credential, Page
from chalicelib.web.responses import JSON, PROBLEM_JSON
from chalicelib.web.schemas import COMPONENTS, ID, STRING, URL, fields, member, oauth_error, one_of, problem, reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.settings.config import Config
    from chalicelib.web.endpoint import Endpoint, Route
    from chalicelib.web.schemas import Schema

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

Security = tuple[tuple[str, ...], ...]

# Each is a choice of credentials that go together; the empty choice is no credential at all.
READING: dict[Credential, Security] = {
    Credential.AWS: (("iam",),),
    Credential.PRINCIPAL: (("bearer",), ("session",)),
    Credential.READS: ((), ("refresh",), ("session",)),
}
CHANGING: dict[Credential, Security] = {
    Credential.AWS: (("iam",),),
    Credential.PRINCIPAL: (("bearer",), ("session", "csrf")),
    Credential.REFRESHES: ((), ("refresh", "csrf")),
    Credential.LEAVES: ((), ("refresh", "csrf"), ("session", "csrf"), ("bearer",)),
    Credential.RENEWS: (("bearer",), ("bearer", "refresh", "csrf"), ("session", "csrf")),
}

# What the declaration implies, beside the errors that it names.
PAGE = {errors.OriginRefused, errors.CsrfTokenInvalid}
IMPLIED: dict[Credential, set[type[errors.AuthError]]] = {
    Credential.AWS: {errors.InvalidClient},
    Credential.PRINCIPAL: {errors.InvalidToken, errors.AccessDenied},
    Credential.BEGINS: PAGE,
    Credential.REFRESHES: PAGE | {errors.InvalidGrant},
    Credential.LEAVES: PAGE,
    Credential.RENEWS: PAGE
    | {errors.InvalidToken, errors.AccessDenied, errors.CredentialRequired, errors.InvalidGrant},
}
OF_PAGE: dict[Page, set[type[errors.AuthError]]] = {
    Page.ALLOWED: {errors.OriginRefused},
    Page.NAVIGATION: {errors.NavigationRequired},
}
PATH_PARAMETERS: dict[str, Schema] = {
    "provider": {"type": "string", "pattern": "^[a-z][a-z0-9]*$", "maxLength": 64, "examples": sorted(PROFILES)},
    "session_id": ID,
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
WITH_BODY = {errors.UnsupportedMediaType, errors.PayloadTooLarge}


def document(config: Config, routes: Iterable[Route]) -> dict[str, Any]:
    """The document of an API that has these routes."""
    paths: dict[str, dict[str, Any]] = {}
    responses: dict[str, dict[str, Any]] = {}
    declared: dict[str, Schema] = {}
    for route in routes:
        endpoint = route.endpoint
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, responses)
        declared |= {body.name: fields(body, unknown=False) for body in (endpoint.body,) if body}
        declared |= {form.name: fields(form, unknown=True) for form in (endpoint.form,) if form}
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
            "schemas": {**COMPONENTS, **declared},
            "responses": responses,
            "headers": HEADERS,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _operation(route: Route, responses: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The operation. Error answers, which many share, go to `responses`."""
    endpoint = route.endpoint
    choices = (READING if route.method == "GET" else CHANGING).get(endpoint.credential, ())
    described: dict[str, Any] = {
        "operationId": endpoint.handle.__name__,
        "summary": (endpoint.handle.__doc__ or "").partition("\n")[0],
        "security": [{scheme: [] for scheme in choice} for choice in choices],
        "responses": {**_successes(endpoint), **_errors(endpoint, responses)},
    }
    parameters = _parameters(route)
    if parameters:
        described["parameters"] = parameters
    for media_type, declared in ((JSON, endpoint.body), (FORM, endpoint.form)):
        if declared:
            content = {media_type: {"schema": reference(declared.name)}}
            described["requestBody"] = {"content": content, "required": bool(declared.required)}
    return described


def _parameters(route: Route) -> list[dict[str, Any]]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in PATH_PARAMETERS.items()
        if f"{{{name}}}" in route.path
    ]
    declared = route.endpoint.query.members if route.endpoint.query else {}
    query = [
        {"name": name, "in": "query", "required": one.required, "schema": member(one)} for name, one in declared.items()
    ]
    return path + query


def _successes(endpoint: Endpoint) -> dict[str, Any]:
    return {
        str(status): {
            "description": "What was asked for." if schemas else "Done.",
            **({"content": {JSON: {"schema": one_of(*schemas)}}} if schemas else {}),
            **_headers(endpoint.headers, endpoint.sometimes),
        }
        for status, schemas in endpoint.answers.items()
    }


def possible_errors(endpoint: Endpoint) -> set[type[errors.AuthError]]:
    """Every error that the endpoint can answer."""
    possible = {*endpoint.errors, *EVERYWHERE, *IMPLIED.get(endpoint.credential, ()), *OF_PAGE.get(endpoint.page, ())}
    if endpoint.body or endpoint.form:
        possible |= WITH_BODY
    if (endpoint.body or endpoint.form or endpoint.query) and not endpoint.lenient:
        possible.add(errors.InvalidRequest)
    if endpoint.provider:
        possible.add(errors.ProviderNotFound)
    return possible


def _errors(endpoint: Endpoint, responses: dict[str, dict[str, Any]]) -> dict[str, Any]:
    possible = possible_errors(endpoint)
    in_oauth_form = OAUTH_ERRORS & possible if endpoint.oauth_errors else set()
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
