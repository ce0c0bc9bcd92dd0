"""POST /refresh, POST /logout, GET /csrf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.bearer import bearer_token
from chalicelib.errors import InvalidGrant, InvalidToken
from chalicelib.handlers import cookies
from chalicelib.handlers.bodies import LOG_OUT, REFRESH
from chalicelib.handlers.browsers import require_allowed_page, require_csrf_token
from chalicelib.handlers.credentials import body_refresh_token, carried, carried_sessions, named_cookies
from chalicelib.handlers.responses import json_response, no_content, token_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.handlers.request import Request
    from chalicelib.services import Services


def refresh(request: Request, services: Services) -> Response:
    """200 with the token response; 401 `invalid_grant`. Never clears the cookie: the loser of a race must not.

    RFC 6749 section 6.
    """
    text = body_refresh_token(request, REFRESH)
    if text is not None:
        require_allowed_page(request, services.config.allowed_origins, cookies=False)
        presented = services.refresh_tokens.decode(text, "body")
    else:
        cookie = carried(request, services, "cookie")
        require_allowed_page(request, services.config.allowed_origins, cookies=cookie is not None)
        if cookie is None:
            raise InvalidGrant(debug="no genuine refresh cookie")
        require_csrf_token(request, services.csrf_tokens, cookie.sid)
        presented = cookie
    return token_response(services.tokens.refresh(presented, request.client), services.config)


def log_out(request: Request, services: Services) -> Response:
    """204, whatever became of the credentials: the sessions they name are over. Clears the cookies that came.

    A genuine refresh token or session cookie names the session, or an access token of ours, an expired one included
    (ASVS V7.4.4).
    """
    text = body_refresh_token(request, LOG_OUT)
    came = named_cookies(request)
    require_allowed_page(request, services.config.allowed_origins, cookies=bool(came))
    by_cookie = carried_sessions(request, services)
    if by_cookie:
        require_csrf_token(request, services.csrf_tokens, by_cookie[0].sid)
    named = {(session.sub, session.sid) for session in by_cookie}
    if text is not None:
        named |= _session_of_body(text, services)
    named |= _session_of_bearer(request, services)
    for sub, sid in named:
        services.sessions.log_out(sub, sid, request.client)
    return no_content(cookies.cleared(came, services.config))


def csrf(request: Request, services: Services) -> Response:
    """The CSRF token of the session whose cookie came, for an allowed page or a program.

    The MAC alone is checked: no table is asked. CORS keeps other pages from reading the answer; they get none either.
    """
    require_allowed_page(request, services.config.allowed_origins, cookies=False)
    by_cookie = carried_sessions(request, services)
    if not by_cookie:
        raise InvalidGrant(debug="no genuine cookie")
    return json_response({"csrf_token": services.csrf_tokens.issue(by_cookie[0].sid)})


def _session_of_body(text: str, services: Services) -> set[tuple[str, str]]:
    try:
        presented = services.refresh_tokens.decode(text, "body")
    except InvalidGrant:
        return set()
    return {(presented.sub, presented.sid)}


def _session_of_bearer(request: Request, services: Services) -> set[tuple[str, str]]:
    access_token = bearer_token(request.header("authorization"))
    if access_token is None:
        return set()
    try:
        claims = services.access_tokens.verify(access_token, services.clock.now(), accept_expired=True)
    except InvalidToken:
        return set()
    return {(claims.sub, claims.sid)}
