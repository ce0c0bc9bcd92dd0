"""What a frontend does with Keyturn to log somebody in at a provider."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from tests.openid import forms
from tests.openid.forms import query
from tests.world.browser import Browser
from tests.world.client import Client, new_address
from tests.world.constants import ORIGIN, PAGE, PASSWORD

if TYPE_CHECKING:
    from tests.openid.providers import RealProvider
    from tests.world.client import Reply
    from tests.world.person import Person

EXCHANGE_REDIRECT = f"{ORIGIN}/signed-in"
NATIVE_REDIRECT = "http://127.0.0.1:4711/callback"


@dataclass(frozen=True)
class Keyturn:
    """The API at `url`, with a provider switched on under `name`, whose `sub` is the person's name or address."""

    url: str
    name: str
    provider: RealProvider
    tells_subject: Literal["name", "email"]

    def subject(self, person: Person) -> str:
        """Who the person is at the provider."""
        return str(getattr(person, self.tells_subject))

    def browser(self) -> Browser:
        """A browser that has never been here, at an address of its own."""
        return Browser(Client(self.url, new_address()))

    def begin(self, browser: Browser) -> str:
        """Follow the page's link; the URL at the provider."""
        return _redirected(browser.press(name=self.name))

    def finish(self, browser: Browser, callback: str) -> str:
        """Come back from the provider; the URL of the page."""
        assert callback.startswith(f"{self.url}/login/{self.name}/callback?")
        return _redirected(browser.get(callback))

    def log_in(self, browser: Browser, person: Person) -> Session:
        """The whole browser flow."""
        assert self.finish(browser, forms.log_in(browser, self.begin(browser), person)) == PAGE
        return self.resumed(browser)

    def resumed(self, browser: Browser) -> Session:
        """What a loaded page makes of the cookie."""
        return self.session(browser, browser.resume())

    def session(self, browser: Browser, reply: Reply) -> Session:
        """What came with a token response."""
        assert reply.status in (200, 201), reply
        return Session(self, browser, reply.json)

    def sign_up(self, browser: Browser, email: str | None) -> Session:
        """Make an account with a password."""
        members = {"email": email, "password": PASSWORD, "transport": "body"}
        return self.session(browser, browser.fetch("POST", "/signup", members))

    def exchange(self, browser: Browser, members: dict[str, str]) -> Reply:
        """Bring a code."""
        return browser.fetch("POST", f"/login/{self.name}/exchange", members)


@dataclass(frozen=True)
class Session:
    """A session that a browser holds, by its token response."""

    keyturn: Keyturn
    browser: Browser
    tokens: dict[str, Any]

    @property
    def sub(self) -> str:
        """Whose it is."""
        return str(self.tokens["user"]["sub"])

    @property
    def bearer(self) -> dict[str, str]:
        """The Authorization header."""
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    def call(self, method: str, path: str, members: Any = None) -> Reply:
        """A request of this session."""
        return self.browser.fetch(method, path, members, self.bearer)

    def renew(self, method: str, path: str, members: dict[str, str] | None = None) -> Reply:
        """A request that brings the session's long-lived credential along; what it is answered with is kept."""
        sent, headers = dict(members or {}), dict(self.bearer)
        if "refresh_token" in self.tokens:
            sent["refresh_token"] = self.tokens["refresh_token"]
        else:
            headers["X-CSRF-Token"] = self.tokens["csrf_token"]
        reply = self.browser.fetch(method, path, sent, headers)
        if reply.status == 200 and "access_token" in reply.json:
            self.tokens.update(reply.json)
        return reply

    def ways_in(self) -> dict[str, Any]:
        """What opens the account."""
        reply = self.call("GET", "/identities")
        assert reply.status == 200, reply
        return dict(reply.json)

    def linked(self) -> list[str]:
        """Subjects of the identities that open the account, all of which are of the one provider."""
        identities = self.ways_in()["identities"]
        expected = (self.keyturn.name, self.keyturn.provider.issuer)
        assert all((identity["provider"], identity["issuer"]) == expected for identity in identities), identities
        return [identity["subject"] for identity in identities]


@dataclass(frozen=True)
class OwnRequest:
    """An authorization request that a frontend or an app makes itself, and afterwards brings the code of."""

    redirect_uri: str
    client_id: str
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    code_verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def code(self, browser: Browser, issuer: str, person: Person) -> dict[str, str]:
        """Log in; the members that the exchange takes."""
        metadata = browser.get(f"{issuer}/.well-known/openid-configuration").json
        digest = hashlib.sha256(self.code_verifier.encode()).digest()
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid email",
            "state": "the frontend's own",
            "nonce": self.nonce,
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        callback = forms.log_in(browser, f"{metadata['authorization_endpoint']}?{urlencode(parameters)}", person)
        assert callback.startswith(f"{self.redirect_uri}?"), callback
        return {
            "code": query(callback)["code"],
            "code_verifier": self.code_verifier,
            "redirect_uri": self.redirect_uri,
            "nonce": self.nonce,
        }


def web_request(keyturn: Keyturn) -> OwnRequest:
    """Of a frontend."""
    return OwnRequest(EXCHANGE_REDIRECT, keyturn.provider.client_id)


def native_request(keyturn: Keyturn) -> OwnRequest:
    """Of an app."""
    return OwnRequest(NATIVE_REDIRECT, keyturn.provider.native_client_id)


def _redirected(reply: Reply) -> str:
    assert (reply.status, reply.body) == (303, b""), reply
    assert reply.header("Cache-Control") == "no-store", reply
    return reply.header("Location") or ""
