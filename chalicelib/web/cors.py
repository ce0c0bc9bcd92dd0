"""Cross-origin resource sharing: which pages of other origins may send what, and may read the answer (Fetch).

The list of origins is the one that decides over cookies too (browsers.py). Why the rest is as it is:
docs/decisions/0016-cors.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.settings.config import Config
    from chalicelib.web.request import Request

# What a page may set and the API reads. Nothing else gets past a preflight.
ALLOWED_HEADERS = "Authorization, Content-Type, X-CSRF-Token"

# What a page may read beside the body. API Gateway renames WWW-Authenticate where the function sends it.
EXPOSED_HEADERS = "Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, x-amzn-Remapped-WWW-Authenticate"

# Seconds; the longest that Chromium keeps an answer. A page that loses its permission meanwhile gains nothing by an old
# preflight: its requests are judged by their own Origin, and their answers are not for it to read.
MAX_AGE = "7200"


def headers(request: Request, methods: Sequence[str], config: Callable[[], Config]) -> dict[str, str]:
    """What an answer says to browsers of the page that asked; `methods` are those that the path takes.

    Answers differ by Origin, so every one of them says so to caches (Fetch, section "CORS protocol and HTTP caches"). A
    page that is not allowed, or does not say clearly where it is from, is told nothing more.
    """
    headers = {"Vary": "Origin"}
    origin = _allowed_origin(request, config)
    if origin is None:
        return headers
    headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
    if request.method == "OPTIONS":
        headers |= {
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Max-Age": MAX_AGE,
        }
    else:
        headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return headers


def _allowed_origin(request: Request, config: Callable[[], Config]) -> str | None:
    """The one Origin of the request, where it is on the list byte for byte."""
    origins = request.headers.get("origin", ())
    if len(origins) != 1:
        return None
    try:
        return origins[0] if origins[0] in config().pages.allowed_origins else None
    except ConfigurationError:
        # Nobody is allowed by settings that cannot be read. The answer has its own error already.
        return None
