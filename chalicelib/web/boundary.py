"""Between HTTP and the handlers: every error becomes an answer here, in one table, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import deadline, errors
from chalicelib.web.request import read
from chalicelib.web.responses import oauth_error, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Request as ChaliceRequest
    from chalice.app import Response

    from chalicelib.ports import AuditLog
    from chalicelib.services import Services
    from chalicelib.web.endpoint import Endpoint
    from chalicelib.web.request import Request

STATUS: dict[type[errors.AuthError], int] = {
    errors.InvalidRequest: 400,
    errors.InvalidEmail: 400,
    errors.PasswordRejected: 400,
    errors.CredentialRequired: 400,
    errors.UnsupportedMediaType: 415,
    errors.PayloadTooLarge: 413,
    errors.InvalidCredentials: 401,
    errors.InvalidGrant: 401,
    errors.InvalidCode: 401,
    errors.InvalidToken: 401,
    errors.InvalidClient: 401,
    errors.InsufficientUserAuthentication: 401,
    errors.AccessDenied: 403,
    errors.LoginExpired: 400,
    errors.OriginRefused: 403,
    errors.NavigationRequired: 403,
    errors.CsrfTokenInvalid: 403,
    errors.SessionNotFound: 404,
    errors.ProviderNotFound: 404,
    errors.IdentityNotFound: 404,
    errors.EmailTaken: 409,
    errors.EmailRequired: 403,
    errors.IdentityTaken: 409,
    errors.LastWayIn: 409,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.ProviderError: 503,
    errors.ConfigurationError: 500,
}

# What RFC 6749 section 5.2 has a form for. For anything else (415, 503 …) OAuth's own routes have our form too.
OAUTH_ERRORS = {errors.InvalidRequest, errors.InvalidClient}

# Services write these down themselves, with more than is known here.
RECORDED = (errors.InvalidCredentials, errors.EmailTaken, errors.TooManyRequests)

# What Chalice, and locally its gateway, answers by itself; in a deployment the gateway's own responses say the same.
FRAMEWORK: dict[int, tuple[str, str]] = {
    400: ("invalid_request", "The request is malformed"),
    401: ("invalid_token", "The access token is missing or not valid"),
    403: ("access_denied", "Access is denied"),
    404: ("not_found", "There is nothing at this path"),
    405: ("method_not_allowed", "The path does not take this method"),
    413: ("payload_too_large", "The body is too large"),
    415: ("unsupported_media_type", "The body is not of the media type that this takes"),
    429: ("too_many_requests", "Too many requests"),
    500: ("internal_error", "An internal error occurred"),
    503: ("unavailable", "The service is not available right now"),
}

SECURITY_HEADERS = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def respond(
    endpoint: Endpoint,
    request: ChaliceRequest,
    services: Callable[[], Services],
    audit: AuditLog,
    **path: str,
) -> Response:
    """Answer a request by its endpoint. Whatever happens, the caller gets an answer that gives nothing away."""
    understood = read(request)
    try:
        # A cold container's work is not waiting: it bounds its own, and leaves the request its whole time.
        ready = services()
        with deadline.request():
            return endpoint(understood, ready, **path)
    except errors.AuthError as error:
        form = oauth_error if endpoint.oauth_errors and type(error) in OAUTH_ERRORS else problem
        return _refused(error, understood, audit, form)
    except Exception as error:  # noqa: BLE001  # the last resort (ASVS V16.5.4)
        audit.record("unexpected_error", understood.caller, error=_where(error))
        return problem(500, *FRAMEWORK[500])


def finish(response: Response) -> Response:
    """Give every answer the security headers, and errors that Chalice made by itself our form."""
    if response.status_code >= 400 and isinstance(response.body, dict) and "Code" in response.body:  # noqa: PLR2004
        code, title = FRAMEWORK.get(response.status_code, FRAMEWORK[500])
        allow = response.headers.get("Allow")
        response = problem(response.status_code, code, title, headers={"Allow": str(allow)} if allow else None)
    for name, value in {"Cache-Control": "no-store", **SECURITY_HEADERS}.items():
        response.headers.setdefault(name, value)
    return response


def _refused(error: errors.AuthError, request: Request, audit: AuditLog, form: Callable[..., Response]) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, errors.TooManyRequests | errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.TooManyRequests):  # draft-ietf-httpapi-ratelimit-headers-10 sections 3 and 4
        headers["RateLimit-Policy"] = f'"{error.policy}";q={error.quota};w={error.window}'
        headers["RateLimit"] = f'"{error.policy}";r=0;t={error.retry_after}'
    if isinstance(error, errors.InvalidToken):
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'  # RFC 6750 section 3
    if isinstance(error, errors.InvalidClient):
        headers["WWW-Authenticate"] = "AWS4-HMAC-SHA256"  # RFC 9110 section 15.5.2: a 401 names a scheme
    if isinstance(error, errors.InsufficientUserAuthentication):
        headers["WWW-Authenticate"] = f'Bearer error="{error.code}", max_age={error.max_age}'  # RFC 9470 section 3
    if not isinstance(error, RECORDED):
        audit.record("request_refused", request.caller, code=error.code, why=error.debug)
    return form(STATUS[type(error)], error.code, error.title, error.detail, headers)


def _where(error: Exception) -> str:
    """The error's type and the line it came from, without its message: that may hold what the caller sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} at {place}"
