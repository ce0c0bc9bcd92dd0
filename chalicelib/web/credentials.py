"""The long-lived credentials that requests bring, by cookie or body, and how the next one is to travel."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from chalicelib.errors import InvalidGrant, InvalidRequest, InvalidToken
from chalicelib.web import cookies
from chalicelib.web.origins import require_allowed_page, require_csrf_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.domain.callers import Principal, Transport
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services import Services
    from chalicelib.web.request import Request


def carried(request: Request, services: Services, transport: Transport) -> RefreshToken | None:
    """What a genuine cookie of this transport says. One that is malformed, forged or doubled is an absent one."""
    return genuine(request.cookie(cookies.OF_TRANSPORT[transport]), transport, services.refresh_tokens)


def genuine(cookie: str | None, transport: Transport, codec: RefreshTokenCodec) -> RefreshToken | None:
    """What the value says that we made for this transport; None, never a pass, for every other one."""
    if cookie is None:
        return None
    try:
        return codec.decode(cookie, transport)
    except InvalidGrant:
        return None


def carried_sessions(request: Request, services: Services) -> tuple[RefreshToken, ...]:
    """What the genuine cookies of a browser say: the session cookie first, then the refresh cookie.

    A browser holds one of them, because a login that sets the one clears the other; here and there both come all the
    same. The CSRF token of the first is then the one that counts, for both: a page knows one.
    """
    found = (carried(request, services, transport) for transport in cookies.OF_TRANSPORT)
    return tuple(session for session in found if session is not None)


def named_cookies(request: Request) -> list[str]:
    """The names of the credential cookies that came, readable or not."""
    return [name for name in cookies.OF_TRANSPORT.values() if request.names_cookie(name)]


def body_refresh_token(request: Request, fields: Mapping[str, str]) -> str | None:
    """The `refresh_token` of a body that has been read. InvalidRequest where a credential cookie came along."""
    refresh_token = fields.get("refresh_token")
    if refresh_token is not None and named_cookies(request):
        detail = "Send the credential as a cookie or in the body, not both."
        raise InvalidRequest(detail)
    return refresh_token


def refreshing(request: Request, services: Services, fields: Mapping[str, str]) -> RefreshToken:
    """The refresh token that is to be rotated: genuine, and brought the way of its transport.

    InvalidGrant where there is none; OriginRefused and CsrfTokenInvalid for a cookie that a page must not send.
    """
    text = body_refresh_token(request, fields)
    if text is not None:
        return services.refresh_tokens.decode(text, "body")
    cookie = carried(request, services, "cookie")
    if cookie is None:
        raise InvalidGrant(debug="no genuine refresh cookie")
    require_allowed_page(request, services.config.pages.allowed_origins)
    require_csrf_token(request, services.csrf_tokens, cookie.sid)
    return cookie


def leaving(request: Request, services: Services, fields: Mapping[str, str]) -> tuple[RefreshToken, ...]:
    """The genuine credentials that came to a logout, by cookie and in the body.

    OriginRefused where a page must not send the cookies that came, genuine or not: the answer clears them.
    """
    text = body_refresh_token(request, fields)
    if named_cookies(request):
        require_allowed_page(request, services.config.pages.allowed_origins)
    presented = carried_sessions(request, services)
    if presented:
        require_csrf_token(request, services.csrf_tokens, presented[0].sid)
    if text is not None and (genuine_text := genuine(text, "body", services.refresh_tokens)):
        presented = (*presented, genuine_text)
    return presented


def own_credential(
    request: Request, services: Services, fields: Mapping[str, str], principal: Principal
) -> RefreshToken | None:
    """The long-lived credential that the session of the principal comes with, genuine; None where it does not come.

    It is renewed by what is asked for, so that the page that sends a cookie must be allowed to, and know the session's
    CSRF token: OriginRefused, CsrfTokenInvalid. InvalidGrant for a `refresh_token` that is not genuine. The cookie of
    another session than the bearer's counts as none.
    """
    text = body_refresh_token(request, fields)
    if text is not None:
        return services.refresh_tokens.decode(text, "body")
    session = (principal.sub, principal.sid)
    own = next((held for held in carried_sessions(request, services) if (held.sub, held.sid) == session), None)
    if own is not None:
        require_allowed_page(request, services.config.pages.allowed_origins)
        require_csrf_token(request, services.csrf_tokens, own.sid)
    elif "authorization" not in request.headers:
        # The guard could read the cookie and we cannot: its keys are a minute older. Nobody asked for a bearer token.
        raise InvalidToken(debug="the session cookie cannot be read any more")
    return own


def transport_of(fields: Mapping[str, str]) -> Transport:
    """The transport that a login asks for, by fields that have been read."""
    return cast("Transport", fields.get("transport", "cookie"))


def device_token_of(request: Request, fields: Mapping[str, str], *, by_cookie: bool) -> str | None:
    """What the device says it is known by, unverified. One that does not come the way of the transport is ignored."""
    return request.cookie(cookies.DEVICE) if by_cookie else fields.get("device_token")


def sessions_to_end(request: Request, services: Services, transport: Transport) -> tuple[RefreshToken, ...]:
    """The sessions that the browser came with to a login, if any, which the login is to end.

    OriginRefused, CsrfTokenInvalid where a page asks that must not.
    """
    former = carried_sessions(request, services)
    if former or transport in cookies.OF_TRANSPORT:
        require_allowed_page(request, services.config.pages.allowed_origins)
    if former:
        require_csrf_token(request, services.csrf_tokens, former[0].sid)
    return former


def displaced_cookies(request: Request, services: Services, transport: Transport) -> list[str]:
    """The Set-Cookie values that remove what a login of this transport leaves behind: cookies that it does not set.

    Only a login that sets one itself takes the other away: of two, nobody could tell which is meant.
    """
    if transport not in cookies.OF_TRANSPORT:
        return []
    others = (name for name in named_cookies(request) if name != cookies.OF_TRANSPORT[transport])
    displaced = cookies.cleared(others, services.config)
    if request.names_cookie(cookies.DEVICE) and request.cookie(cookies.DEVICE) is None:
        # Two of one name, as after a change of SameSite: the device would never be known again.
        displaced.append(cookies.other_device_cookie(services.config))
    return displaced
