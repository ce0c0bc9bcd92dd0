"""GET /identities, DELETE and POST /identities/{provider}, POST /identities/{provider}/authorization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import errors
from chalicelib.crypto.login_states import parse_browser_secret
from chalicelib.handlers.federation import ASKS_PROVIDER, authorization_code, authorization_cookies
from chalicelib.services.federation.requests import LoginRequest
from chalicelib.web import cookies, fields
from chalicelib.web.credentials import device_token_of
from chalicelib.web.endpoint import Credential, Page, endpoint
from chalicelib.web.fields import Fields
from chalicelib.web.responses import COOKIES, TOKENS, json_response, token_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.web.endpoint import Call

LINK = Fields("Link", {**fields.CODE, "refresh_token": fields.REFRESH_TOKEN, "device_token": fields.DEVICE_TOKEN})
UNLINK = Fields("Unlink", {"refresh_token": fields.REFRESH_TOKEN})
BEGIN_LINKING = Fields("BeginLinking", {"return_to": fields.RETURN_TO, "refresh_token": fields.REFRESH_TOKEN})


@endpoint({200: ("Identities",)}, credential=Credential.PRINCIPAL)
def list_identities(call: Call) -> Response:
    """Every way into the account: its identities, and whether it has a password."""
    login = call.services.identities.ways_in(call.principal)
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


@endpoint(
    {200: TOKENS},
    credential=Credential.RENEWS,
    body=UNLINK,
    errors=(errors.InsufficientUserAuthentication, errors.IdentityNotFound, errors.LastWayIn),
    sometimes=COOKIES,
)
def unlink(call: Call) -> Response:
    """200 with the token response: the identity opens the account no more. 409 `last_way_in` if nothing else does."""
    provider = call.path["provider"]
    grant = call.services.identities.unlink(call.principal, provider, call.presented, call.request.caller)
    return token_response(grant, call.services.config)


@endpoint(
    {200: TOKENS},
    credential=Credential.RENEWS,
    provider=True,
    body=LINK,
    errors=(
        *ASKS_PROVIDER,
        errors.InsufficientUserAuthentication,
        errors.InvalidCode,
        errors.AccessDenied,
        errors.IdentityTaken,
    ),
    sometimes=COOKIES,
)
def link(call: Call) -> Response:
    """200 with the token response: the identity that the code stands for opens the account. 409 `identity_taken`."""
    grant = call.services.exchange_code.link(
        call.principal,
        call.path["provider"],
        authorization_code(call.fields),
        call.presented,
        call.request.caller,
        device_token_of(call.request, call.fields, by_cookie="refresh_token" not in call.fields),
    )
    return token_response(grant, call.services.config)


@endpoint(
    {200: ("AuthorizationUrl",)},
    credential=Credential.RENEWS,
    page=Page.ALLOWED,
    provider=True,
    body=BEGIN_LINKING,
    errors=(*ASKS_PROVIDER, errors.InsufficientUserAuthentication),
    headers=COOKIES,
)
def begin_linking(call: Call) -> Response:
    """200 with the URL to send this browser to; what comes back is linked to the account of this session."""
    request, return_to = call.request, call.fields["return_to"]
    asked = call.services.begin_login.linking(
        call.principal,
        call.path["provider"],
        LoginRequest(return_to=return_to, transport="cookie", device_token=request.cookie(cookies.DEVICE)),
        parse_browser_secret(request.cookie(cookies.LOGIN)),
        call.presented,
        request.caller,
    )
    set_cookies = authorization_cookies(request, asked)
    return json_response({"authorization_url": asked.authorization_url}, headers={"Set-Cookie": set_cookies})
