"""A user's client that holds a session, for tests in which the session must outlive a change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.world.browser import REFRESH_COOKIE
from tests.world.client import FORM
from tests.world.constants import ORIGIN, PASSWORD
from tests.world.person import new_email

if TYPE_CHECKING:
    from chalicelib.domain.callers import Transport
    from tests.rehearsal.stack import RunningStack
    from tests.world.browser import Browser
    from tests.world.client import Reply


@dataclass
class Holder:
    """The client of a session. It keeps tokens (transport `body`), or a browser's cookies and its page's tokens."""

    stack: RunningStack
    transport: Transport
    email: str
    password: str = PASSWORD
    grant: dict[str, Any] = field(default_factory=dict)
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = self.stack.browser()

    @classmethod
    def sign_up(cls, stack: RunningStack, transport: Transport) -> Holder:
        """Make an account, with its first session."""
        holder = cls(stack, transport, new_email())
        return holder._enter("/signup", 201)

    def log_in(self, transport: Transport) -> Holder:
        """Another client of the same person, with a session of its own."""
        return Holder(self.stack, transport, self.email, self.password)._enter("/login", 200)

    def try_to_log_in(self, password: str, **members: str) -> Reply:
        """A login over the transport `body`; this session is left as it is."""
        credentials = {"email": self.email, "password": password, "transport": "body", **members}
        return self.browser.client.call("POST", "/login", credentials)

    def copy(self) -> Holder:
        """The client as it is now: a thief's copy, or the state to which a lost answer leaves it."""
        copied = replace(self, grant=dict(self.grant))
        copied.browser = self.browser.copy()
        return copied

    @property
    def sub(self) -> str:
        """The account's id."""
        return str(self.grant["user"]["sub"])

    @property
    def session_id(self) -> str:
        """The session's id."""
        return str(self.grant["session_id"])

    @property
    def credential(self) -> str:
        """The long-lived credential: refresh token, or the value of the cookie of this transport."""
        if self.transport == "body":
            return str(self.grant["refresh_token"])
        return self.browser.cookies["__Host-session" if self.transport == "session" else REFRESH_COOKIE]

    @property
    def by_cookie(self) -> dict[str, str]:
        """The headers that a browser sends from the page; empty for the transport `body`."""
        if self.transport == "body":
            return {}
        cookies = dict(self.browser.cookies.sent_to(self.stack.url))
        return {**cookies, "Origin": ORIGIN, "X-CSRF-Token": str(self.grant["csrf_token"])}

    @property
    def authorization(self) -> dict[str, str]:
        """The headers for a guarded route: the access token, or for the transport `session` the cookie."""
        if self.transport == "session":
            return self.by_cookie
        return {"Authorization": f"Bearer {self.grant['access_token']}"}

    def call(self, method: str, path: str, members: dict[str, Any] | None = None) -> Reply:
        """A guarded route."""
        return self._send(method, path, members, self.authorization)

    def refresh(self) -> Reply:
        """Refresh, and keep the new credentials. The transport `session` has no refresh: GET /me instead."""
        if self.transport == "session":
            return self.call("GET", "/me")
        members = {"refresh_token": self.grant["refresh_token"]} if self.transport == "body" else None
        reply = self._send("POST", "/refresh", members, self.by_cookie)
        if reply.status == 200:
            self._keep(reply)
        return reply

    def log_out(self) -> Reply:
        """End the session by its long-lived credential. The client still holds every credential, to try them."""
        members = {"refresh_token": self.grant["refresh_token"]} if self.transport == "body" else None
        return self._send("POST", "/logout", members, self.by_cookie)

    def change_password(self, new: str) -> Reply:
        """Change the password, and keep the credentials of the answer."""
        reply = self.call("POST", "/password/change", {"current_password": self.password, "new_password": new})
        if reply.status == 200:
            self.password = new
            self._keep(reply)
        return reply

    def revoke(self, token: str) -> Reply:
        """POST /token/revoke (RFC 7009)."""
        body = urlencode({"token": token}).encode()
        return self.browser.client.call("POST", "/token/revoke", headers=[FORM], body=body)

    def _enter(self, path: str, status: int) -> Holder:
        members = {"email": self.email, "password": self.password, "transport": self.transport}
        reply = self._send("POST", path, members, {} if self.transport == "body" else {"Origin": ORIGIN})
        assert reply.status == status, reply
        self._keep(reply)
        return self

    def _send(self, method: str, path: str, members: dict[str, Any] | None, headers: dict[str, str]) -> Reply:
        return self.browser.client.call(method, path, members, headers)

    def _keep(self, reply: Reply) -> None:
        self.grant |= reply.json
        self.browser.keep(reply)
