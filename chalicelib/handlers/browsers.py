"""Which pages may make a request that carries or sets a cookie (ASVS V3.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import CsrfTokenInvalid, OriginRefused

if TYPE_CHECKING:
    from chalicelib.crypto.csrf_tokens import CsrfTokens
    from chalicelib.handlers.request import Request


def require_allowed_page(request: Request, allowed_origins: frozenset[str], *, cookies: bool) -> None:
    """OriginRefused unless the page that asks is of an allowed origin, or of the API's own.

    Browsers set both headers themselves. Programs set neither: they pass where no cookie is involved (`cookies` False).
    """
    origins = request.headers.get("origin", ())
    site = request.headers.get("sec-fetch-site", ())
    if len(origins) == 1 and origins[0] in allowed_origins:
        return
    if site == ("same-origin",):
        return
    if not origins and not site and not cookies:
        return
    raise OriginRefused


def require_csrf_token(request: Request, csrf_tokens: CsrfTokens, sid: str) -> None:
    """CsrfTokenInvalid unless X-CSRF-Token is the session's: a page of another origin cannot have read it."""
    presented = request.header("x-csrf-token")
    if presented is None or not csrf_tokens.verify(presented, sid):
        raise CsrfTokenInvalid
