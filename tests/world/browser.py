"""A person's browser without a screen: it keeps cookies, and follows a login to a provider and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from tests.world.client import FORM, Client, pairs
from tests.world.constants import ORIGIN, PAGE
from tests.world.cookies import Cookies, host_of
from tests.world.person import Person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.world.client import Headers, Reply
    from tests.world.stand_in import StandIn

FROM_PAGE = ("Origin", ORIGIN)
ACROSS = [("Origin", "https://appleid.apple.com"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")]
REFRESH_COOKIE = "__Host-refresh"
LOGIN_COOKIE = "__Host-login"
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}  # what browsers say of a navigation from the provider


class Browser:
    """One browser. Its person has an account at `provider`, and its requests come from the client's address.

    A target is a path of the client's API or a URL of any host. Answers are returned as they came: no redirect is
    followed, no status raises. `issuer` is the URL that the API knows itself by.
    """

    def __init__(
        self,
        client: Client,
        provider: StandIn | None = None,
        person: Person = Person(),  # noqa: B008  # frozen
        *,
        issuer: str | None = None,
    ) -> None:
        self.client, self.provider, self.person = client, provider, person
        self.issuer = issuer or client.url
        self.cookies = Cookies(host_of(client.url))

    def copy(self) -> Self:
        """Another tab, or a thief's copy: the cookies as they are now, which change apart from here on."""
        copied = object.__new__(type(self))
        copied.__dict__ |= self.__dict__
        copied.cookies = self.cookies.copy()
        return copied

    def request(
        self,
        method: str,
        target: str,
        members: Any = None,
        headers: Headers = (),
        *,
        bearer: str | None = None,
        body: bytes = b"",
    ) -> Reply:
        """A request with the cookies that belong to it. The cookies of the answer are kept."""
        sent = [*self.cookies.sent_to(self._url(target)), *pairs(headers)]
        client, path = self._client(target)
        return self.keep(client.call(method, path, members, sent, bearer=bearer, body=body), target)

    def get(self, target: str, query: Mapping[str, str] | None = None, headers: Headers = ()) -> Reply:
        """Follow a link: cookies go along, no Origin does."""
        return self.request("GET", f"{target}?{urlencode(query)}" if query else target, headers=headers)

    def fetch(self, method: str, target: str, members: Any = None, headers: Headers = ()) -> Reply:
        """What a script of the page sends: its Origin, and JSON."""
        return self.request(method, target, members, [FROM_PAGE, *pairs(headers)])

    def submit(self, target: str, fields: Mapping[str, str]) -> Reply:
        """Post a form of the target's own site."""
        return self.request("POST", target, headers=[FORM], body=urlencode(fields).encode())

    def submit_across(self, target: str, fields: Mapping[str, str]) -> Reply:
        """Post the form of another site's page. Browsers send no SameSite cookie with it."""
        client, path = self._client(target)
        return client.call("POST", path, headers=[FORM, *ACROSS], body=urlencode(fields).encode())

    def keep(self, reply: Reply, target: str = "/") -> Reply:
        """Keep the cookies of an answer from there."""
        self.cookies.keep(self._url(target), reply)
        return reply

    def press(self, return_to: str = PAGE, name: str = "google", **query: str) -> Reply:
        """Follow the page's link to the login at the provider of this name."""
        return self.get(f"/login/{name}", {"return_to": return_to, **query})

    def begin(self, return_to: str = PAGE, name: str = "google", **query: str) -> str:
        """The same, which must work: the URL at the provider."""
        reply = self.press(return_to, name, **query)
        assert reply.status == 303, reply
        return reply.header("Location") or ""

    def agree(self, authorization_url: str, person: Person | None = None) -> str:
        """Log in at the provider and say yes, or no where it `refuses`: the callback's path and query."""
        assert self.provider is not None
        self.provider.person = person or self.person
        url = self.provider.authorize(authorization_url)
        assert url.startswith(f"{self.issuer}/login/")
        return url.removeprefix(self.issuer)

    def come_back(self, callback: str, headers: Headers = CROSS_SITE) -> Reply:
        """Load the callback, as a navigation that the provider's site begins."""
        return self.get(callback, headers=headers)

    def log_in(self, person: Person | None = None, return_to: str = PAGE) -> Reply:
        """The whole way there and back."""
        return self.come_back(self.agree(self.begin(return_to), person))

    def resume(self) -> Reply:
        """What the page asks for when it is loaded with a session's cookie: the token response, which must come."""
        csrf = self.get("/csrf")
        assert csrf.status == 200, csrf
        reply = self.fetch("POST", "/refresh", headers={"X-CSRF-Token": csrf.json["csrf_token"]})
        assert reply.status == 200, reply
        return reply

    def logged_in(self) -> bool:
        """Whether there is a refresh cookie."""
        return REFRESH_COOKIE in self.cookies

    def _url(self, target: str) -> str:
        return target if _is_url(target) else f"{self.client.url}{target}"

    def _client(self, target: str) -> tuple[Client, str]:
        """The client for the target's host, and the rest of the target."""
        if not _is_url(target):
            return self.client, target
        parts = urlsplit(target)
        base = f"{parts.scheme}://{parts.netloc}"
        return Client(base, self.client.address), target.removeprefix(base) or "/"


def _is_url(target: str) -> bool:
    return target.startswith(("http://", "https://"))
