"""base64url without padding (RFC 4648 section 5, as RFC 7515 uses it): one spelling for each value."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def b64url(raw: bytes) -> str:
    """Encode without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def from_b64url(text: str) -> bytes:
    """Decode what b64url made; ValueError for anything else, other spellings of the same bytes included."""
    raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if b64url(raw) != text:
        message = "not canonical base64url"
        raise ValueError(message)
    return raw
