"""A person with a browser, who logs in at the stand-in: cookies are kept, redirects are followed by the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from chalicelib.crypto.encoding import b64url
from tests.rehearsal.client import Client
from tests.world.constants import NONCE, ORIGIN, PAGE, VERIFIER

if TYPE_CHECKING:
    from tests.rehearsal.client import Reply
    from tests.rehearsal.stack import RunningStack
    from tests.world.stand_in import Person, StandIn


@dataclass
class Visitor:
    """One browser. Its requests go to the gateway of `stack`, its person is known to `provider`."""

    stack: RunningStack
    provider: StandIn
    person: Person
    cookies: dict[str, str] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        members: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        bearer: str | None = None,
    ) -> Reply:
        """A request with the cookies that there are; what the answer sets is kept."""
        sent = dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        reply = Client(self.stack.url).call(method, path, members, bearer=bearer, headers=sent)
        for cookie in reply.all("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return reply

    def press(self, return_to: str = PAGE) -> Reply:
        """Follow the page's link to the login."""
        return self.call("GET", f"/login/google?{urlencode({'return_to': return_to})}")

    def agree(self, authorization_url: str | None) -> str:
        """Log in at the provider and say yes, or no where it `refuses`: the callback's path and query."""
        assert authorization_url is not None
        self.provider.person = self.person
        url = self.provider.authorize(authorization_url)
        assert url.startswith(f"{self.stack.issuer}/login/google/callback?")
        return url.removeprefix(self.stack.issuer)

    def come_back(self, callback: str) -> Reply:
        """Load the callback, as a navigation that another site begins."""
        return self.call("GET", callback, headers={"Sec-Fetch-Site": "cross-site"})

    def log_in(self) -> Reply:
        """The whole way there and back."""
        return self.come_back(self.agree(self.press().header("Location")))

    def resume(self) -> Any:
        """What the page asks for when it is loaded with a session's cookie: the token response."""
        csrf_token = self.call("GET", "/csrf").json["csrf_token"]
        reply = self.call("POST", "/refresh", headers={"Origin": ORIGIN, "X-CSRF-Token": csrf_token})
        assert reply.status == 200, reply
        return reply.json

    def code(self) -> dict[str, str]:
        """Members of a body that brings a code which the frontend has asked for itself."""
        code = self.provider.issue_code(
            nonce=NONCE,
            code_challenge=b64url(sha256(VERIFIER.encode()).digest()),
            redirect_uri=PAGE,
            subject=self.person.subject,
            **self.person.claims,
        )
        return {"code": code, "code_verifier": VERIFIER, "redirect_uri": PAGE, "nonce": NONCE}

    def exchange(self) -> Reply:
        """Log in with such a code, over the transport `body`."""
        return self.call("POST", "/login/google/exchange", {**self.code(), "transport": "body"})
