"""GET /identities, DELETE and POST /identities/{provider}, POST /identities/{provider}/authorization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.crypto.login_states import parse_browser_secret
from chalicelib.handlers.federation import authorization_code, authorization_cookies
from chalicelib.services.login_requests import LoginRequest
from chalicelib.web import cookies
from chalicelib.web.credentials import device_token_of, own_credential
from chalicelib.web.fields import BEGIN_LINKING, LINK, UNLINK
from chalicelib.web.origins import require_allowed_page
from chalicelib.web.responses import json_response, token_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.services import Services
    from chalicelib.web.request import Request


def list_identities(request: Request, services: Services) -> Response:
    """Every way into the account: its identities, and whether it has a password."""
    login = services.identities.ways_in(request.principal())
    return json_response(
        {
            "identities": [
                {
                    "provider": identity.provider,
                    "issuer": identity.issuer,
                    "subject": identity.subject,
                    "email": identity.email,
                    "linked_at": identity.linked_at,
                }
                for identity in login.identities
            ],
            "password": login.password_digest is not None,
        }
    )


def unlink(request: Request, services: Services, provider: str) -> Response:
    """200 with the token response: the identity opens the account no more. 409 `last_way_in` if nothing else does."""
    principal = request.principal()
    presented = own_credential(request, services, request.fields(UNLINK), principal)
    grant = services.identities.unlink(principal, provider, presented, request.caller)
    return token_response(grant, services.config)


def link(request: Request, services: Services, provider: str) -> Response:
    """200 with the token response: the identity that the code stands for opens the account. 409 `identity_taken`."""
    principal = request.principal()
    services.federation.provider(provider)
    fields = request.fields(LINK)
    presented = own_credential(request, services, fields, principal)
    grant = services.federation.link(
        principal,
        provider,
        authorization_code(fields),
        presented,
        request.caller,
        device_token_of(request, fields, by_cookie="refresh_token" not in fields),
    )
    return token_response(grant, services.config)


def begin_linking(request: Request, services: Services, provider: str) -> Response:
    """200 with the URL to send this browser to; what comes back is linked to the account of this session."""
    principal = request.principal()
    services.federation.provider(provider)
    fields = request.fields(BEGIN_LINKING)
    require_allowed_page(request, services.config.allowed_origins)
    asked = services.federation.begin_linking(
        principal,
        provider,
        LoginRequest(return_to=fields["return_to"], transport="cookie", device_token=request.cookie(cookies.DEVICE)),
        parse_browser_secret(request.cookie(cookies.LOGIN)),
        own_credential(request, services, fields, principal),
        request.caller,
    )
    set_cookies = authorization_cookies(request, asked)
    return json_response({"authorization_url": asked.authorization_url}, headers={"Set-Cookie": set_cookies})
