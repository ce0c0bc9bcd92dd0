"""The refresh tokens that requests bring, by cookie or body, and how the next one is to travel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.records import TRANSPORTS
from chalicelib.errors import InvalidGrant, InvalidRequest
from chalicelib.handlers import cookies
from chalicelib.handlers.browsers import require_allowed_page, require_csrf_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.crypto.refresh_tokens import RefreshToken
    from chalicelib.domain.records import Transport
    from chalicelib.handlers.request import Request
    from chalicelib.services import Services


def carried_refresh_token(request: Request, services: Services) -> RefreshToken | None:
    """What a genuine refresh cookie says. One that is malformed, forged or doubled is an absent one, never a pass."""
    cookie = request.cookie(cookies.REFRESH)
    if cookie is None:
        return None
    try:
        return services.refresh_tokens.decode(cookie, "cookie")
    except InvalidGrant:
        return None


def body_refresh_token(request: Request) -> str | None:
    """The `refresh_token` of the body. InvalidRequest where a refresh cookie came along: one of them is not meant."""
    refresh_token = request.fields(optional=("refresh_token",)).get("refresh_token")
    if refresh_token is not None and request.names_cookie(cookies.REFRESH):
        detail = "Send the refresh token as a cookie or in the body, not both."
        raise InvalidRequest(detail)
    return refresh_token


def transport_of(fields: Mapping[str, str]) -> Transport:
    """The transport that a login's body asks for. InvalidRequest where there is no such one."""
    name = fields.get("transport", "cookie")
    for transport in TRANSPORTS:
        if name == transport:
            return transport
    detail = f"transport must be one of {', '.join(TRANSPORTS)}."
    raise InvalidRequest(detail)


def session_to_end(request: Request, services: Services, transport: Transport) -> RefreshToken | None:
    """The session that the browser came with to a login, if any, which the login is to end.

    OriginRefused, CsrfTokenInvalid where a page asks that must not.
    """
    carried = carried_refresh_token(request, services)
    require_allowed_page(request, services.config.allowed_origins, cookies=transport == "cookie" or carried is not None)
    if carried is not None:
        require_csrf_token(request, services.csrf_tokens, carried.sid)
    return carried
