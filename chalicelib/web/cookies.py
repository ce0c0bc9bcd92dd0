"""Our cookies: the only place where their names and attributes stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.domain.callers import Transport
    from chalicelib.services.sessions.grants import RefreshGrant
    from chalicelib.settings.config import Config

# `__Host-` makes browsers insist on Secure, Path=/ and no Domain: no other host can set it or receive it (ASVS V3.3.1).
REFRESH = "__Host-refresh"
SESSION = "__Host-session"
LOGIN = "__Host-login"
DEVICE = "__Host-device"

# A login's own cookie beside LOGIN. All of them together take 1.1 KB of a request's headers, of 10 KB at API Gateway.
OWN_LOGIN_CHARACTERS = 8
OWN_LOGIN = re.compile(rf"{LOGIN}-[A-Za-z0-9_-]{{{OWN_LOGIN_CHARACTERS}}}")
LOGINS_AT_ONCE = 16

# The cookie of each transport that has one.
OF_TRANSPORT: Mapping[Transport, str] = {"session": SESSION, "cookie": REFRESH}


def credential_cookie(refresh: RefreshGrant, config: Config) -> str | None:
    """The Set-Cookie value that keeps a grant's long-lived half; None where it does not travel as a cookie."""
    name = OF_TRANSPORT.get(refresh.transport)
    # SameSite=None reaches across sites, where browsers keep cookies apart by the site that embeds.
    partitioned = config.pages.cookie_samesite == "None"
    return name and _set_cookie(name, refresh.refresh_token, refresh.expires_in, config, partitioned=partitioned)


def login_cookies(state: str, browser_secret: str, names: Iterable[str], max_age: int) -> list[str]:
    """The Set-Cookie values that keep the secret which binds a login at a provider to this browser.

    The shared cookie serves the logins that begin later. The login's own cookie serves this login alone: tabs that
    began before any cookie existed have secrets that differ, and the last answer decides which one the shared cookie
    keeps. Beyond LOGINS_AT_ONCE own cookies, the first ones of `came` are removed: browsers send the oldest cookie
    first (RFC 6265 section 5.4).
    """
    own = own_login_cookie(state)
    others = [name for name in dict.fromkeys(names) if OWN_LOGIN.fullmatch(name) and name != own]
    over = others[: max(0, len(others) + 1 - LOGINS_AT_ONCE)][:LOGINS_AT_ONCE]
    kept = [_login_cookie(name, browser_secret, max_age) for name in (LOGIN, own)]
    return [*kept, *(cleared_login(name) for name in over)]


def own_login_cookie(state: str) -> str:
    """The name of the cookie of the login that has this state: with the state's first 48 random bits."""
    return f"{LOGIN}-{state[:OWN_LOGIN_CHARACTERS]}"


def cleared_login(name: str) -> str:
    """The Set-Cookie value that removes a login's own cookie."""
    return _login_cookie(name, "", 0)


def device_cookie(device_token: str, max_age: int, config: Config) -> str:
    """The Set-Cookie value by which this browser is known at its next login. A logout leaves it: it opens nothing."""
    return _set_cookie(DEVICE, device_token, max_age, config, partitioned=config.pages.cookie_samesite == "None")


def other_device_cookie(config: Config) -> str:
    """The Set-Cookie value that removes the one of another SameSite setting, beside which ours counts for nothing."""
    return _set_cookie(DEVICE, "", 0, config, partitioned=config.pages.cookie_samesite != "None")


def cleared(names: Iterable[str], config: Config) -> list[str]:
    """The Set-Cookie values that remove these, as they are set today and as another SameSite setting would have them.

    Browsers keep a partitioned cookie beside one that is not: after a change of the setting both come, and two of one
    name count as none. Were one left, every login would end in a refresh loop (supertokens-node #826).
    """
    return [
        _set_cookie(name, "", 0, config, partitioned=partitioned) for name in names for partitioned in (False, True)
    ]


def _login_cookie(name: str, value: str, max_age: int) -> str:
    # SameSite=Lax whatever the setting says: the callback is a navigation that another site begins.
    return f"{name}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite=Lax"


def _set_cookie(name: str, value: str, max_age: int, config: Config, *, partitioned: bool) -> str:
    samesite = "None; Partitioned" if partitioned else config.pages.cookie_samesite
    return f"{name}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite={samesite}"
