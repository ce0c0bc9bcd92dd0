"""The cookies of a browser, by the rules of RFC 6265bis that matter here."""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.world.client import Reply

Key = tuple[str, str, str]  # host, path and name


class Cookies(MutableMapping[str, str]):
    """Every host's cookies; as a mapping those of `host` for all its paths, by name, in the order in which they came.

    A host has the same cookies at each port. All hosts of the tests are on this machine, where browsers keep and send
    `Secure` cookies without TLS. `Domain` widens nothing: no cookie of the tests is for a second host.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self._kept: dict[Key, str] = {}

    def keep(self, url: str, reply: Reply) -> None:
        """Keep the cookies of an answer from the URL, and remove those that it removes."""
        for cookie in reply.all("Set-Cookie"):
            pair, *attributes = (part.strip() for part in cookie.split(";"))
            name, _, value = pair.partition("=")
            self._keep(url, name, value, dict(_attribute(text) for text in attributes))

    def sent_to(self, url: str) -> list[tuple[str, str]]:
        """The header `Cookie` for a request to the URL, or nothing: longer paths first."""
        host, asked = _place(url)
        found = [
            (path, f"{name}={value}")
            for (owner, path, name), value in self._kept.items()
            if owner == host and _covers(path, asked)
        ]
        found.sort(key=lambda pair: -len(pair[0]))
        return [("Cookie", "; ".join(text for _, text in found))] if found else []

    def copy(self) -> Cookies:
        """The cookies as they are now: of another tab, or of a thief."""
        copied = Cookies(self.host)
        copied._kept = dict(self._kept)
        return copied

    def _keep(self, url: str, name: str, value: str, attributes: dict[str, str]) -> None:
        host, asked = _place(url)
        path = attributes.get("path", "")
        if not path.startswith("/"):
            path = asked.rpartition("/")[0] or "/"
        if name.startswith("__Host-") and ("secure" not in attributes or path != "/" or "domain" in attributes):
            return
        if _is_over(attributes):
            self._kept.pop((host, path, name), None)
        else:
            self._kept[host, path, name] = value

    def __getitem__(self, name: str) -> str:
        return self._kept[self.host, "/", name]

    def __setitem__(self, name: str, value: str) -> None:
        self._kept[self.host, "/", name] = value

    def __delitem__(self, name: str) -> None:
        del self._kept[self.host, "/", name]

    def __iter__(self) -> Iterator[str]:
        return iter([name for host, path, name in self._kept if (host, path) == (self.host, "/")])

    def __len__(self) -> int:
        return len([*self])


def host_of(url: str) -> str:
    """The host, without its port."""
    return urlsplit(url).hostname or ""


def _place(url: str) -> tuple[str, str]:
    return host_of(url), urlsplit(url).path or "/"


def _covers(path: str, asked: str) -> bool:
    """Whether a cookie of this path goes to the path that is asked for."""
    return asked == path or asked.startswith(path if path.endswith("/") else f"{path}/")


def _attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip()


def _is_over(attributes: dict[str, str]) -> bool:
    """Whether the cookie's time is over at once. `Max-Age` counts where there is also `Expires`."""
    if "max-age" in attributes:
        return int(attributes["max-age"]) <= 0
    return "expires" in attributes and parsedate_to_datetime(attributes["expires"]).timestamp() <= time.time()
