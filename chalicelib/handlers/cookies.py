"""The refresh cookie: the only place where its name and attributes stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.config import Config

# `__Host-` makes browsers insist on Secure, Path=/ and no Domain: no other host can set it or receive it (ASVS V3.3.1).
REFRESH = "__Host-refresh"


def refresh_cookie(refresh_token: str, max_age: int, config: Config) -> str:
    """The Set-Cookie value that keeps the refresh token for `max_age` seconds."""
    return f"{REFRESH}={refresh_token}; Max-Age={max_age}; {_attributes(config)}"


def cleared_refresh_cookie(config: Config) -> str:
    """The Set-Cookie value that removes it. Other attributes would leave two (supertokens-node #826)."""
    return f"{REFRESH}=; Max-Age=0; {_attributes(config)}"


def _attributes(config: Config) -> str:
    # SameSite=None reaches across sites, where browsers keep cookies apart by embedding site alone.
    partitioned = "; Partitioned" if config.cookie_samesite == "None" else ""
    return f"Path=/; Secure; HttpOnly; SameSite={config.cookie_samesite}{partitioned}"
