"""Which pages may make a request that carries or sets a cookie (ASVS V3.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import CsrfTokenInvalid, OriginRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.crypto.csrf_tokens import CsrfTokens
    from chalicelib.handlers.request import Request

# Safe methods change nothing (RFC 9110 section 9.2.1). TRACE is left out: no browser sends it, and no route takes it.
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def require_allowed_page(request: Request, allowed_origins: frozenset[str], *, cookies: bool) -> None:
    """OriginRefused unless the page that asks is of an allowed origin, or of the API's own.

    Browsers set both headers themselves, and no page can change them. Sec-Fetch-Site decides where it came (Fetch
    Metadata), Origin where it did not:

        same-origin              passes
        same-site, cross-site    needs an allowed Origin
        none                     nobody's page: an address that was typed. Passes where the method is safe
        anything else, doubled   refused
        absent                   needs an allowed Origin; without one, see below

    Programs send neither: they pass where the method is safe, or no cookie is involved (`cookies` False).
    """
    origins = request.headers.get("origin", ())
    sites = request.headers.get("sec-fetch-site", ())
    if len(origins) > 1 or len(sites) > 1:
        raise OriginRefused(debug="Origin or Sec-Fetch-Site is doubled")
    safe = request.method in SAFE_METHODS
    of_allowed_origin = bool(origins) and origins[0] in allowed_origins
    passes: Mapping[str | None, bool] = {
        "same-origin": True,
        "same-site": of_allowed_origin,
        "cross-site": of_allowed_origin,
        "none": safe and not origins,
        None: of_allowed_origin or (not origins and (safe or not cookies)),
    }
    if not passes.get(sites[0] if sites else None, False):
        raise OriginRefused


def require_csrf_token(request: Request, csrf_tokens: CsrfTokens, sid: str) -> None:
    """CsrfTokenInvalid unless X-CSRF-Token is the session's: a page of another origin cannot have read it."""
    presented = request.header("x-csrf-token")
    if presented is None or not csrf_tokens.verify(presented, sid):
        raise CsrfTokenInvalid
