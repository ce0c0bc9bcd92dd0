"""Our cookies: the only place where their names and attributes stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.config import Config

# `__Host-` makes browsers insist on Secure, Path=/ and no Domain: no other host can set it or receive it (ASVS V3.3.1).
REFRESH = "__Host-refresh"
LOGIN = "__Host-login"


def refresh_cookie(refresh_token: str, max_age: int, config: Config) -> str:
    """The Set-Cookie value that keeps the refresh token for `max_age` seconds."""
    # SameSite=None reaches across sites, where browsers keep cookies apart by the site that embeds.
    return _set_cookie(refresh_token, max_age, config, partitioned=config.cookie_samesite == "None")


def login_cookie(browser_secret: str, max_age: int) -> str:
    """The Set-Cookie value that keeps what binds logins at a provider to this browser, for `max_age` seconds.

    SameSite=Lax whatever the setting says: the callback is a navigation that another site begins.
    """
    return f"{LOGIN}={browser_secret}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite=Lax"


def cleared_refresh_cookies(config: Config) -> list[str]:
    """The Set-Cookie values that remove it, as it is set today and as another SameSite setting would have set it.

    Browsers keep a partitioned cookie beside one that is not: after a change of the setting both come, and two of one
    name count as none. Were one left, every login would end in a refresh loop (supertokens-node #826).
    """
    return [_set_cookie("", 0, config, partitioned=partitioned) for partitioned in (False, True)]


def _set_cookie(value: str, max_age: int, config: Config, *, partitioned: bool) -> str:
    samesite = "None; Partitioned" if partitioned else config.cookie_samesite
    return f"{REFRESH}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite={samesite}"
