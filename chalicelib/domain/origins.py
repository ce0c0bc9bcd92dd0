"""Origins of pages, as browsers send them in `Origin`: of the web, and of what came with an app or an extension."""

from __future__ import annotations

import re

# Patterns are compiled at their first use: no cold start without allowed origins pays for them.
_PORT = r"(?::(?P<port>[1-9][0-9]{0,4}))?"
# The scheme is in lower case. The host of a scheme that is not special keeps its capitals (WHATWG URL, "host parsing").
_PACKAGED = rf"(?P<scheme>[a-z][a-z0-9+.-]*)://[\w.-]+{_PORT}"
_LOOPBACK = rf"http://(?:[a-z0-9-]+\.)+localhost{_PORT}"

# These stand for no single app: the web's own, those of files, and those of pages that any page can make.
SHARED_SCHEMES = frozenset(
    {
        *("http", "https", "ws", "wss", "ftp"),
        *("file", "filesystem", "content", "data", "blob", "about", "javascript", "null", "view-source"),
    }
)


def is_packaged(origin: str) -> bool:
    """Whether it is the origin of a page that came with an app or a browser extension.

    Such as capacitor://localhost, app://- and chrome-extension://<id> (WHATWG HTML, "serialization of an origin").
    """
    match = re.fullmatch(_PACKAGED, origin, re.ASCII)
    return match is not None and match["scheme"] not in SHARED_SCHEMES and int(match["port"] or 0) < 2**16


def is_loopback(origin: str) -> bool:
    """Whether it is the origin of a server that an app brings along, such as http://tauri.localhost.

    Names under .localhost are this machine's own (RFC 6761 section 6.3), so that nobody on the way answers for them.
    """
    match = re.fullmatch(_LOOPBACK, origin, re.ASCII)
    return match is not None and match["port"] != "80" and int(match["port"] or 0) < 2**16
