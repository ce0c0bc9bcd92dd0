"""POST /signup, POST /login, POST /password/change, POST /logout/all, GET /me."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import InvalidToken, OriginRefused
from chalicelib.handlers.bodies import CHANGE_PASSWORD, LOG_IN, NOTHING, SIGN_UP
from chalicelib.handlers.browsers import require_allowed_page
from chalicelib.handlers.credentials import (
    carried,
    device_token_of,
    displaced_cookies,
    sessions_to_end,
    transport_of,
)
from chalicelib.handlers.responses import json_response, no_content, token_response
from chalicelib.services.accounts import Credentials

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.domain.records import Transport
    from chalicelib.handlers.request import Request
    from chalicelib.services import Services


def sign_up(request: Request, services: Services) -> Response:
    """201 with the token response; 409 `email_taken`."""
    credentials = _credentials(request, request.fields(SIGN_UP), services)
    grant = services.accounts.sign_up(credentials, request.client)
    displaced = displaced_cookies(request, services, credentials.transport)
    return token_response(grant, services.config, 201, displaced=displaced)


def log_in(request: Request, services: Services) -> Response:
    """200 with the token response; 401 `invalid_credentials`."""
    credentials = _credentials(request, request.fields(LOG_IN), services)
    grant = services.accounts.log_in(credentials, request.client)
    return token_response(grant, services.config, displaced=displaced_cookies(request, services, credentials.transport))


def change_password(request: Request, services: Services) -> Response:
    """200 with a new access token, or a new session cookie, for this session; every other one has ended.

    Without `current_password` where the account has none: then soon after a login.

    How the session travels is not asked of the table: a genuine session cookie was made for its session alone, and
    whoever the authorizer let in by one came with it. A bearer's stray cookie is of another session, and stays.

    The device stays known if it says by what: by cookie, or by `device_token` beside a bearer token.
    """
    principal = request.principal()
    fields = request.fields(CHANGE_PASSWORD)
    cookie = carried(request, services, "session")
    if cookie is not None and (cookie.sub, cookie.sid) != (principal.sub, principal.sid):
        cookie = None
    if cookie is None and "authorization" not in request.headers:
        # The guard could read the cookie and we cannot: its keys are a minute older. Nobody asked for a bearer token.
        raise InvalidToken(debug="the session cookie cannot be read any more")
    transport: Transport = "session" if cookie else "body" if "device_token" in fields else "cookie"
    device_token = device_token_of(request, fields, transport)
    if transport == "cookie" and not _may_set_cookies(request, services):
        device_token = None
    grant = services.accounts.change_password(
        principal,
        fields.get("current_password"),
        fields["new_password"],
        request.client,
        cookie=cookie,
        device_token=device_token,
    )
    return token_response(grant, services.config, transport=transport)


def log_out_everywhere(request: Request, services: Services) -> Response:
    """204: every session of the user has ended."""
    principal = request.principal()
    request.fields(NOTHING)
    services.accounts.log_out_everywhere(principal, request.client)
    return no_content()


def me(request: Request, services: Services) -> Response:
    """The user, as the table knows it now."""
    principal = request.principal()
    account = services.accounts.account(principal)
    return json_response(
        {
            "sub": account.sub,
            "email": account.email,
            "email_verified": account.email_verified,
            "roles": account.roles,
            "session_id": principal.sid,
        }
    )


def _credentials(request: Request, fields: dict[str, str], services: Services) -> Credentials:
    transport = transport_of(fields)
    former = sessions_to_end(request, services, transport)
    return Credentials(
        email=fields["email"],
        password=fields["password"],
        transport=transport,
        carried=former,
        device_token=device_token_of(request, fields, transport),
    )


def _may_set_cookies(request: Request, services: Services) -> bool:
    # Nobody has asked yet: the guard asks no page that comes with a bearer token.
    try:
        require_allowed_page(request, services.config.allowed_origins, cookies=True)
    except OriginRefused:
        return False
    return True
