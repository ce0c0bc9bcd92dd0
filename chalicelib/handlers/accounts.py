"""POST /signup, POST /login, POST /password/change, POST /logout/all, GET /me."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.handlers.credentials import session_to_end, transport_of
from chalicelib.handlers.responses import json_response, no_content, token_response
from chalicelib.services.accounts import Credentials

if TYPE_CHECKING:
    from chalice.app import Response

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
    """200 with a new access token for this session; every other one has ended.

    Without `current_password` where the account has none: then soon after a login.
    """
    principal = request.principal()
    fields = request.fields("new_password", optional=("current_password",))
    grant = services.accounts.change_password(
        principal, fields.get("current_password"), fields["new_password"], request.client
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
    transport = transport_of(fields)
    carried = session_to_end(request, services, transport)
    return Credentials(email=fields["email"], password=fields["password"], transport=transport, carried=carried)
