"""POST /signup, POST /login, POST /password/change, POST /logout/all, GET /me."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.records import TRANSPORTS
from chalicelib.errors import InvalidRequest
from chalicelib.handlers.browsers import require_allowed_page, require_csrf_token
from chalicelib.handlers.credentials import carried_refresh_token
from chalicelib.handlers.responses import json_response, no_content, token_response
from chalicelib.services.accounts import Credentials

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.domain.records import Transport
    from chalicelib.handlers.request import Request
    from chalicelib.services import Services


def sign_up(request: Request, services: Services) -> Response:
    """201 with the token response; 409 `email_taken`."""
    return token_response(
        services.accounts.sign_up(_credentials(request, services), request.client), services.config, 201
    )


def log_in(request: Request, services: Services) -> Response:
    """200 with the token response; 401 `invalid_credentials`."""
    return token_response(services.accounts.log_in(_credentials(request, services), request.client), services.config)


def change_password(request: Request, services: Services) -> Response:
    """200 with a new access token for this session; every other one has ended."""
    principal = request.principal()
    fields = request.fields("current_password", "new_password")
    grant = services.accounts.change_password(
        principal, fields["current_password"], fields["new_password"], request.client
    )
    return token_response(grant, services.config)


def log_out_everywhere(request: Request, services: Services) -> Response:
    """204: every session of the user has ended."""
    principal = request.principal()
    request.fields()
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


def _credentials(request: Request, services: Services) -> Credentials:
    fields = request.fields("email", "password", optional=("transport",))
    transport = _transport(fields.get("transport", "cookie"))
    carried = carried_refresh_token(request, services)
    require_allowed_page(request, services.config.allowed_origins, cookies=transport == "cookie" or carried is not None)
    if carried is not None:
        require_csrf_token(request, services.csrf_tokens, carried.sid)
    return Credentials(email=fields["email"], password=fields["password"], transport=transport, carried=carried)


def _transport(name: str) -> Transport:
    for transport in TRANSPORTS:
        if name == transport:
            return transport
    detail = f"transport must be one of {', '.join(TRANSPORTS)}."
    raise InvalidRequest(detail)
