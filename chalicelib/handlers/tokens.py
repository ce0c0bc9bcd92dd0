"""POST /refresh, POST /logout, GET /csrf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.bearer import bearer_token
from chalicelib.errors import InvalidGrant, InvalidToken
from chalicelib.web import cookies
from chalicelib.web.credentials import (
    body_refresh_token,
    carried,
    carried_sessions,
    device_token_of,
    genuine,
    named_cookies,
)
from chalicelib.web.fields import LOG_OUT, REFRESH
from chalicelib.web.origins import require_allowed_page, require_csrf_token
from chalicelib.web.responses import json_response, no_content, token_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.domain.records import AccessTokenClaims
    from chalicelib.services import Services
    from chalicelib.web.request import Request


def refresh(request: Request, services: Services) -> Response:
    """200 with the token response; 401 `invalid_grant`. Never clears the cookie: the loser of a race must not.

    RFC 6749 section 6.
    """
    fields = request.fields(REFRESH)
    text = body_refresh_token(request, fields)
    if text is not None:
        presented = services.refresh_tokens.decode(text, "body")
    else:
        cookie = carried(request, services, "cookie")
        if cookie is None:
            raise InvalidGrant(debug="no genuine refresh cookie")
        require_allowed_page(request, services.config.allowed_origins)
        require_csrf_token(request, services.csrf_tokens, cookie.sid)
        presented = cookie
    device_token = device_token_of(request, fields, by_cookie=text is None)
    return token_response(services.tokens.refresh(presented, request.caller, device_token), services.config)


def log_out(request: Request, services: Services) -> Response:
    """204, whatever the credentials are worth. Ends the sessions whose credentials act; clears the cookies that came.

    A genuine refresh token or session cookie names the session, or an access token of ours, an expired one included
    (ASVS V7.4.4). What is dead by now ends nothing.
    """
    text = body_refresh_token(request, request.fields(LOG_OUT))
    named = named_cookies(request)
    if named:
        require_allowed_page(request, services.config.allowed_origins)
    presented = carried_sessions(request, services)
    if presented:
        require_csrf_token(request, services.csrf_tokens, presented[0].sid)
    if text is not None and (genuine_text := genuine(text, "body", services.refresh_tokens)):
        presented = (*presented, genuine_text)
    services.sessions.log_out(presented, _bearer(request, services), request.caller)
    return no_content(cookies.cleared(named, services.config))


def csrf(request: Request, services: Services) -> Response:
    """200 with the CSRF token and the names of the session whose cookie came; each null where there is none.

    For an allowed page or a program. The MAC alone is checked and no table asked, so that the session may have ended.
    CORS keeps other pages from reading the answer, and they get none either. By `session_id` and `sub` a page notices
    that another tab has logged somebody else in.
    """
    require_allowed_page(request, services.config.allowed_origins)
    session = next(iter(carried_sessions(request, services)), None)
    if session is None:
        return json_response({"csrf_token": None, "session_id": None, "sub": None})
    csrf_token = services.csrf_tokens.issue(session.sid)
    return json_response({"csrf_token": csrf_token, "session_id": session.sid, "sub": session.sub})


def _bearer(request: Request, services: Services) -> AccessTokenClaims | None:
    access_token = bearer_token(request.header("authorization"))
    if access_token is None:
        return None
    try:
        return services.access_tokens.verify(access_token, services.clock.now(), accept_expired=True)
    except InvalidToken:
        return None
