"""Our cookies: the only place where their names and attributes stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.config import Config
    from chalicelib.domain.records import Transport
    from chalicelib.services.grants import RefreshGrant

# `__Host-` makes browsers insist on Secure, Path=/ and no Domain: no other host can set it or receive it (ASVS V3.3.1).
REFRESH = "__Host-refresh"
SESSION = "__Host-session"
LOGIN = "__Host-login"
DEVICE = "__Host-device"

# The cookie of each transport that has one.
OF_TRANSPORT: Mapping[Transport, str] = {"session": SESSION, "cookie": REFRESH}


def credential_cookie(refresh: RefreshGrant, config: Config) -> str | None:
    """The Set-Cookie value that keeps a grant's long-lived half; None where it does not travel as a cookie."""
    name = OF_TRANSPORT.get(refresh.transport)
    # SameSite=None reaches across sites, where browsers keep cookies apart by the site that embeds.
    partitioned = config.cookie_samesite == "None"
    return name and _set_cookie(name, refresh.refresh_token, refresh.expires_in, config, partitioned=partitioned)


def login_cookie(browser_secret: str, max_age: int) -> str:
    """The Set-Cookie value that keeps what binds logins at a provider to this browser, for `max_age` seconds.

    SameSite=Lax whatever the setting says: the callback is a navigation that another site begins.
    """
    return f"{LOGIN}={browser_secret}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite=Lax"


def device_cookie(device_token: str, max_age: int, config: Config) -> str:
    """The Set-Cookie value by which this browser is known at its next login. A logout leaves it: it opens nothing."""
    return _set_cookie(DEVICE, device_token, max_age, config, partitioned=config.cookie_samesite == "None")


def other_device_cookie(config: Config) -> str:
    """The Set-Cookie value that removes the one of another SameSite setting, beside which ours counts for nothing."""
    return _set_cookie(DEVICE, "", 0, config, partitioned=config.cookie_samesite != "None")


def cleared(names: Iterable[str], config: Config) -> list[str]:
    """The Set-Cookie values that remove these, as they are set today and as another SameSite setting would have them.

    Browsers keep a partitioned cookie beside one that is not: after a change of the setting both come, and two of one
    name count as none. Were one left, every login would end in a refresh loop (supertokens-node #826).
    """
    return [
        _set_cookie(name, "", 0, config, partitioned=partitioned) for name in names for partitioned in (False, True)
    ]


def _set_cookie(name: str, value: str, max_age: int, config: Config, *, partitioned: bool) -> str:
    samesite = "None; Partitioned" if partitioned else config.cookie_samesite
    return f"{name}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite={samesite}"
