"""The Authorization header of a bearer (RFC 6750 section 2.1)."""

from __future__ import annotations

import re

# b64token of RFC 6750, behind RFC 9110's case-insensitive scheme.
_CREDENTIALS = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE | re.ASCII)


def bearer_token(authorization: str | None) -> str | None:
    """The access token of an Authorization header; None where it carries none."""
    match = _CREDENTIALS.fullmatch(authorization or "")
    return match[1] if match else None
