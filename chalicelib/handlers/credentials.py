"""The refresh tokens that requests bring, by cookie or body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import InvalidGrant, InvalidRequest
from chalicelib.handlers import cookies

if TYPE_CHECKING:
    from chalicelib.crypto.refresh_tokens import RefreshToken
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
