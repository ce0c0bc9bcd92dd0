"""Which pages may make a request that carries or sets a cookie, and which requests are navigations (ASVS V3.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.origins import is_packaged
from chalicelib.errors import CsrfTokenInvalid, NavigationRequired, OriginRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.crypto.csrf_tokens import CsrfTokens
    from chalicelib.web.request import Request

# Safe methods change nothing (RFC 9110 section 9.2.1). TRACE is left out: no browser sends it, and no route takes it.
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

# Fetch Metadata of a navigation of a tab or window (W3C Fetch Metadata, sections 2.1 and 2.2). A frame's mode is
# `navigate` too, but its destination is `iframe`, `frame`, `embed`, `object` or `fencedframe`.
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}

# In these, browsers said that they ask ahead of the person before there was Sec-Purpose: Chromium and Safari in Purpose
# and X-Purpose (`preview` too), Firefox in X-Moz. Frontends' own routers send Purpose as well (next.js #38128).
FORMER_PURPOSES = ("purpose", "x-purpose", "x-moz")
AHEAD = ("prefetch", "prerender", "preview")


def require_allowed_page(request: Request, allowed_origins: frozenset[str]) -> None:
    """OriginRefused unless the page that asks is of an allowed origin, or of the API's own.

    For requests that carry or would set a cookie, and for GET /csrf. A request of the transport `body` does neither: it
    brings its own credential, so that no page can make a browser lend it another's.

    Browsers set both headers themselves, and no page can change them. Sec-Fetch-Site decides where it came (Fetch
    Metadata), Origin where it did not:

        same-origin              passes
        same-site, cross-site    needs an allowed Origin
        none                     nobody's page: an address that was typed. Passes where the method is safe.
                                 Chromium says it of an extension's requests too: these need its allowed Origin
        anything else, doubled   refused
        absent                   needs an allowed Origin; without one, see below

    Programs send neither: they pass where the method is safe.
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
        "none": (safe and not origins) or (of_allowed_origin and is_packaged(origins[0])),
        None: of_allowed_origin or (safe and not origins),
    }
    if not passes.get(sites[0] if sites else None, False):
        raise OriginRefused


def require_navigation(request: Request) -> None:
    """NavigationRequired where a browser says that no person has sent a tab here.

    For routes that write although they are a GET: an image on any page would have each of its visitors ask, and a
    prefetch asks before the person does, who may never. Nothing is looked up for the answer.

        Sec-Fetch-Mode, Sec-Fetch-Dest    where they came: exactly `navigate` and `document`, once each
        Sec-Purpose                       must not be there: it says that the answer is not for use now (HTML Standard,
                                          section 7.6). `prefetch`, also with `;prerender` or `;anonymous-client-ip`
        Purpose, X-Purpose, X-Moz         must not name a prefetch, a prerender or a preview

    An unknown value is refused: Fetch Metadata's advice to ignore it (section 2.1) would be a way in here. Programs do
    not send these headers, nor do browsers that are older than March 2023, and both pass.
    """
    for name, expected in NAVIGATION.items():
        values = request.headers.get(name, ())
        if values and values != (expected,):
            raise NavigationRequired(debug=f"{name} is not {expected}, or doubled")
    if request.headers.get("sec-purpose"):
        raise NavigationRequired(debug="sec-purpose")
    for name in FORMER_PURPOSES:
        purpose = ",".join(request.headers.get(name, ())).lower()
        if any(word in purpose for word in AHEAD):
            raise NavigationRequired(debug=name)


def require_csrf_token(request: Request, csrf_tokens: CsrfTokens, sid: str) -> None:
    """CsrfTokenInvalid unless X-CSRF-Token is the session's: a page of another origin cannot have read it."""
    presented = request.header("x-csrf-token")
    if presented is None or not csrf_tokens.verify(presented, sid):
        raise CsrfTokenInvalid
