"""POST /signup, POST /login, POST /password/change, POST /logout/all, GET /me."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.services.accounts import Credentials
from chalicelib.web import cookies
from chalicelib.web.credentials import device_token_of, displaced_cookies, own_credential, sessions_to_end, transport_of
from chalicelib.web.fields import CHANGE_PASSWORD, LOG_IN, NOTHING, SIGN_UP
from chalicelib.web.responses import json_response, no_content, token_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.services import Services
    from chalicelib.web.request import Request


def sign_up(request: Request, services: Services) -> Response:
    """201 with the token response; 409 `email_taken`."""
    credentials = _credentials(request, request.fields(SIGN_UP), services)
    grant = services.accounts.sign_up(credentials, request.caller)
    displaced = displaced_cookies(request, services, credentials.transport)
    return token_response(grant, services.config, 201, displaced=displaced)


def log_in(request: Request, services: Services) -> Response:
    """200 with the token response; 401 `invalid_credentials`."""
    credentials = _credentials(request, request.fields(LOG_IN), services)
    grant = services.accounts.log_in(credentials, request.caller)
    return token_response(grant, services.config, displaced=displaced_cookies(request, services, credentials.transport))


def change_password(request: Request, services: Services) -> Response:
    """200 with the token response for this session, whose credentials are new; every other one has ended.

    Without `current_password` where the account has none: then soon after a login.

    The device stays known if it sends its device cookie, or `device_token` beside a refresh token in the body.
    """
    principal = request.principal()
    fields = request.fields(CHANGE_PASSWORD)
    presented = own_credential(request, services, fields, principal)
    grant = services.accounts.change_password(
        principal,
        fields.get("current_password"),
        fields["new_password"],
        presented,
        request.caller,
        device_token=device_token_of(request, fields, by_cookie="refresh_token" not in fields),
    )
    return token_response(grant, services.config)


def log_out_everywhere(request: Request, services: Services) -> Response:
    """204: every session of the user has ended."""
    principal = request.principal()
    request.fields(NOTHING)
    services.accounts.log_out_everywhere(principal, request.caller)
    return no_content()


def me(request: Request, services: Services) -> Response:
    """The user, as the table knows it now."""
    principal = request.principal()
    account = services.accounts.account(principal)
    return json_response(
        {
            "sub": account.sub,
            "email": account.held_address,
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
        device_token=device_token_of(request, fields, by_cookie=transport in cookies.OF_TRANSPORT),
    )
