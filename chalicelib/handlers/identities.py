"""GET /identities, DELETE and POST /identities/{provider}, POST /identities/{provider}/authorization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.crypto.login_states import parse_browser_secret
from chalicelib.handlers import cookies
from chalicelib.handlers.bodies import BEGIN_LINKING, LINK
from chalicelib.handlers.browsers import require_allowed_page
from chalicelib.handlers.federation import authorization_code
from chalicelib.handlers.responses import json_response, no_content
from chalicelib.services.federation import TRANSACTION_SECONDS, LoginRequest

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.handlers.request import Request
    from chalicelib.services import Services


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
    """204: the identity opens the account no more. 409 `last_way_in` where nothing else does."""
    services.identities.unlink(request.principal(), provider, request.client)
    return no_content()


def link(request: Request, services: Services, provider: str) -> Response:
    """204: the identity that the code stands for opens the account. 409 `identity_taken` where it cannot."""
    principal = request.principal()
    services.federation.provider(provider)
    code = authorization_code(request.fields(LINK))
    services.federation.link(principal, provider, code, request.client)
    return no_content()


def begin_linking(request: Request, services: Services, provider: str) -> Response:
    """200 with the URL to send this browser to; what comes back is linked to the account of this session."""
    principal = request.principal()
    services.federation.provider(provider)
    fields = request.fields(BEGIN_LINKING)
    require_allowed_page(request, services.config.allowed_origins, cookies=True)
    departure = services.federation.begin_linking(
        principal,
        provider,
        LoginRequest(return_to=fields["return_to"], transport="cookie"),
        parse_browser_secret(request.cookie(cookies.LOGIN)),
        request.client,
    )
    cookie = cookies.login_cookie(departure.browser_secret, TRANSACTION_SECONDS)
    return json_response({"authorization_url": departure.authorization_url}, headers={"Set-Cookie": [cookie]})
