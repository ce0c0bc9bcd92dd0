"""What a client keeps of a session, and what holds for every answer.

Whatever is sent, some things hold for every answer: they are asserted here, for each one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chalicelib.web.boundary import FRAMEWORK, SECURITY_HEADERS, STATUS
from tests.http.described import assert_described
from tests.world.browser import FROM_PAGE
from tests.world.client import Client, new_address
from tests.world.constants import PAGE, PASSWORD
from tests.world.person import new_email

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.world.browser import Browser
    from tests.world.client import Headers as AnyHeaders
    from tests.world.client import Reply

    Headers = Sequence[tuple[str, str | bytes]]

SESSION_COOKIE = "__Host-session"
DEVICE_COOKIE = "__Host-device"
JWKS = "/.well-known/jwks.json"
METADATA = "/.well-known/openid-configuration"
OPENAPI = "/openapi.json"
# What GET /csrf says where no session's cookie came.
NO_SESSION = {"csrf_token": None, "session_id": None, "sub": None}

DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 5.2

# Every error there is: its status and its code.
ERRORS = {(status, error.code) for error, status in STATUS.items()} | {
    (status, code) for status, (code, _) in FRAMEWORK.items()
}


class CheckedClient(Client):
    """A client at an address of its own, for whose every answer some things are asserted."""

    def __init__(self, url: str, address: str | None = None) -> None:
        super().__init__(url, address or new_address())

    def send(self, method: str, path: str, headers: AnyHeaders = (), body: bytes = b"") -> Reply:
        """As Client."""
        reply = super().send(method, path, headers, body)
        _assert_holds_for_every_answer(method, path, reply)
        assert_described(method, path, reply)
        return reply


@dataclass(frozen=True)
class Held:
    """What a client holds of one session, after the answer that gave it."""

    client: Client
    email: str
    reply: Reply

    @property
    def session_id(self) -> str:
        """The session."""
        return str(self.reply.json["session_id"])

    @property
    def refresh_token(self) -> str:
        """The refresh token, by whichever way it came."""
        return str(self.reply.json.get("refresh_token") or self.cookie.partition("=")[2])

    @property
    def cookie(self) -> str:
        """The refresh or session cookie as a browser sends it back: name=value."""
        (cookie,) = (
            cookie
            for cookie in self.reply.all("Set-Cookie")
            if "Max-Age=0" not in cookie and not cookie.startswith(DEVICE_COOKIE)
        )
        return cookie.partition(";")[0]

    @property
    def device_cookie(self) -> str:
        """The device cookie as a browser sends it back: name=value."""
        (cookie,) = (cookie for cookie in self.reply.all("Set-Cookie") if cookie.startswith(DEVICE_COOKIE))
        return cookie.partition(";")[0]

    @property
    def csrf_token(self) -> str:
        """The CSRF token of a cookie's session."""
        return str(self.reply.json["csrf_token"])

    @property
    def bearer(self) -> tuple[str, str]:
        """The Authorization header."""
        return ("Authorization", f"Bearer {self.reply.json['access_token']}")

    @property
    def page(self) -> Headers:
        """What a browser sends for a page that may do everything: origin, cookie, CSRF token."""
        return [FROM_PAGE, ("Cookie", self.cookie), ("X-CSRF-Token", self.csrf_token)]

    def refresh(self) -> Reply:
        """Turn the key, by the way that the refresh token came."""
        if "refresh_token" in self.reply.json:
            return self.client.post("/refresh", {"refresh_token": self.refresh_token})
        return self.client.post("/refresh", headers=self.page)

    def renew(self, method: str, path: str, members: dict[str, str] | None = None) -> Reply:
        """Ask for what changes who may get in, with the session's own long-lived credential."""
        if self.by_session_cookie:
            return self.client.call(method, path, members, self.page)
        if "refresh_token" in self.reply.json:
            body = {**(members or {}), "refresh_token": self.refresh_token}
            return self.client.call(method, path, body, [self.bearer])
        return self.client.call(method, path, members, [self.bearer, *self.page])

    def renewed(self, method: str, path: str, members: dict[str, str] | None = None) -> Held:
        """What is held after such a request, which must work: an answer of the form that a login's has."""
        reply = self.renew(method, path, members)
        assert reply.status == 200, reply
        assert set(reply.json) - {"device_token"} == set(self.reply.json) - {"device_token"}
        return Held(self.client, self.email, reply)

    def refreshed(self) -> Held:
        """What is held after a refresh, which must work."""
        reply = self.refresh()
        assert reply.status == 200, reply
        return Held(self.client, self.email, reply)

    @property
    def by_session_cookie(self) -> bool:
        """Whether a session cookie stands for everything."""
        return "access_token" not in self.reply.json

    def me(self) -> Reply:
        """Ask who this is."""
        credential = ("Cookie", self.cookie) if self.by_session_cookie else self.bearer
        return self.client.call("GET", "/me", headers=[credential])

    def assert_lives(self) -> Held:
        """Both tokens work, or the session cookie; what is held afterwards."""
        assert self.me().status == 200
        return self if self.by_session_cookie else self.refreshed()

    def assert_dead(self) -> None:
        """Neither token works, nor a session cookie."""
        assert_problem(self.me(), 401, "invalid_token")
        self.assert_renewed()

    def assert_renewed(self) -> None:
        """The long-lived credential is dead; the access token may have time left."""
        if self.by_session_cookie:
            assert_problem(self.me(), 401, "invalid_token")
        else:
            assert_problem(self.refresh(), 401, "invalid_grant")


def sign_up(client: Client, transport: str = "body", email: str | None = None) -> Held:
    """Make an account and its first session."""
    email = email or new_email()
    reply = client.post("/signup", {"email": email, "password": PASSWORD, "transport": transport}, [FROM_PAGE])
    assert reply.status == 201, reply
    return Held(client, email, reply)


def log_in(client: Client, email: str, transport: str = "body", password: str = PASSWORD) -> Held:
    """Begin another session of an account."""
    reply = client.post("/login", {"email": email, "password": password, "transport": transport}, [FROM_PAGE])
    assert reply.status == 200, reply
    return Held(client, email, reply)


def resumed(browser: Browser) -> Held:
    """What the page in the browser holds after a reload: a CSRF token, then an access token."""
    reply = browser.resume()
    return Held(browser.client, reply.json["user"]["email"], reply)


def error_of(reply: Reply) -> str:
    """The code that came back to the page, which must be all that did."""
    assert reply.status == 303, reply
    location = str(reply.header("Location"))
    assert urlsplit(location)._replace(query="").geturl() == PAGE
    name, _, code = urlsplit(location).query.partition("=")
    assert name == "error"
    assert code.replace("_", "").isalpha(), location
    return code


def assert_problem(reply: Reply, status: int, code: str) -> None:
    """The answer is this problem."""
    assert (reply.status, reply.json.get("code")) == (status, code), reply


def assert_answer(reply: Reply, status: int, members: set[str]) -> None:
    """The answer has this status, and exactly these members (ASVS V15.3.1)."""
    assert reply.status == status, reply
    assert set(reply.json) == members


def assert_no_content(reply: Reply) -> None:
    """204."""
    assert (reply.status, reply.body) == (204, b""), reply


def _assert_holds_for_every_answer(method: str, path: str, reply: Reply) -> None:
    for name, value in SECURITY_HEADERS.items():
        assert reply.all(name) == [value], (name, reply)
    published = reply.status == 200 and path.startswith((JWKS, METADATA, OPENAPI))
    assert reply.header("Cache-Control") == ("public, max-age=300" if published else "no-store"), reply
    if path.startswith("/token/") and reply.status in {400, 401}:  # RFC 6749 section 5.2
        assert reply.header("Content-Type") == "application/json", reply
        assert set(reply.json) == {"error", "error_description"}, reply
        assert (reply.status, reply.json["error"]) in {(400, "invalid_request"), (401, "invalid_client")}, reply
        assert DESCRIPTION.fullmatch(reply.json["error_description"]), reply
    elif reply.status >= 400:
        assert reply.header("Content-Type") == "application/problem+json", reply
        assert not reply.all("Set-Cookie"), reply
        if method == "HEAD":
            return
        problem = reply.json
        assert set(problem) - {"detail"} == {"type", "title", "status", "code"}, reply
        assert (problem["status"], problem["code"]) in ERRORS, reply
        assert (problem["status"], problem["type"]) == (reply.status, "about:blank"), reply
    else:
        assert reply.header("Content-Type") == "application/json", reply
