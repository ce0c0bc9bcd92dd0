"""URLs of settings, compared byte for byte with what browsers and providers say."""

from __future__ import annotations

import re

HOSTS_OF_THIS_MACHINE = {"localhost", "127.0.0.1", "[::1]"}

# Scheme, host, port and path as they are compared, byte for byte: a host in ASCII, no user, no query. Placeholders and
# wildcards match nothing that a browser or a token says, so they are refused here.
URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?(?P<path>/[\w.~/-]*)?",
    re.ASCII,
)
DEFAULT_PORTS = {"https": "443", "http": "80"}
MAX_URL = 2048  # characters of a page or a redirect URI, in settings and in requests that name one


def is_origin_with_path(url: str) -> bool:
    """Whether it is an origin, and a path that does not end with a slash, if any."""
    return not url.endswith("/") and is_page(url)


def is_page(url: str) -> bool:
    """Whether it is an https URL without query and fragment, of this machine an http URL too."""
    match = URL.fullmatch(url)
    return (
        match is not None
        and match["port"] != DEFAULT_PORTS[match["scheme"]]
        and int(match["port"] or 0) < 2**16
        and (match["scheme"] == "https" or is_local(url))
    )


def is_web_origin(origin: str) -> bool:
    """Whether a browser sends it so: in lower case, without default port and path (RFC 6454 section 6.2)."""
    return is_origin_with_path(origin) and origin.count("/") == 2 and origin == origin.lower()  # noqa: PLR2004  # of https://


def is_local(url: str) -> bool:
    """Whether the URL is of this machine, whose pages browsers treat as secure without TLS."""
    match = URL.fullmatch(url)
    return match is not None and match["host"] in HOSTS_OF_THIS_MACHINE
