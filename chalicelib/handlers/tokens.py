"""POST /refresh, POST /logout, GET /csrf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.bearer import bearer_token
from chalicelib.errors import InvalidToken
from chalicelib.web import cookies, fields
from chalicelib.web.credentials import device_token_of, named_cookies
from chalicelib.web.endpoint import Credential, Page, endpoint
from chalicelib.web.fields import Fields
from chalicelib.web.responses import COOKIES, json_response, no_content, token_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.domain.access_tokens import AccessTokenClaims
    from chalicelib.web.endpoint import Call

REFRESH = Fields(
    "Refresh",
    {
        "refresh_token": fields.REFRESH_TOKEN,
        "device_token": fields.DEVICE_TOKEN._replace(
            description="This device's newest `device_token`. With it, a lost answer is answered after the window too."
        ),
    },
)
LOG_OUT = Fields("LogOut", {"refresh_token": fields.REFRESH_TOKEN})


@endpoint({200: ("TokensInBody", "TokensWithCookie")}, credential=Credential.REFRESHES, body=REFRESH, sometimes=COOKIES)
def refresh(call: Call) -> Response:
    """200 with the token response; 401 `invalid_grant`. Never clears the cookie: the loser of a race must not.

    RFC 6749 section 6.
    """
    (presented,) = call.credentials
    device_token = device_token_of(call.request, call.fields, by_cookie="refresh_token" not in call.fields)
    grant = call.services.refresh(presented, call.request.caller, device_token)
    return token_response(grant, call.services.config)


@endpoint({204: ()}, credential=Credential.LEAVES, body=LOG_OUT, sometimes=COOKIES)
def log_out(call: Call) -> Response:
    """204, whatever the credentials are worth. Ends the sessions whose credentials act; clears the cookies that came.

    A genuine refresh token or session cookie names the session, or an access token of ours, an expired one included
    (ASVS V7.4.4). What is dead by now ends nothing.
    """
    call.services.sessions.log_out(call.credentials, _bearer(call), call.request.caller)
    return no_content(cookies.cleared(named_cookies(call.request), call.services.config))


@endpoint({200: ("CsrfToken", "NoSession")}, credential=Credential.READS, page=Page.ALLOWED)
def csrf(call: Call) -> Response:
    """200 with the CSRF token and the names of the session whose cookie came; each null where there is none.

    For an allowed page or a program. The MAC alone is checked and no table asked, so that the session may have ended.
    CORS keeps other pages from reading the answer, and they get none either. By `session_id` and `sub` a page notices
    that another tab has logged somebody else in.
    """
    session = next(iter(call.credentials), None)
    if session is None:
        return json_response({"csrf_token": None, "session_id": None, "sub": None})
    csrf_token = call.services.csrf_tokens.issue(session.sid)
    return json_response({"csrf_token": csrf_token, "session_id": session.sid, "sub": session.sub})


def _bearer(call: Call) -> AccessTokenClaims | None:
    access_token = bearer_token(call.request.header("authorization"))
    if access_token is None:
        return None
    try:
        return call.services.access_tokens.verify(access_token, call.services.clock.now(), accept_expired=True)
    except InvalidToken:
        return None
