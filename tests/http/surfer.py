"""A browser and a person: it follows links to the provider and back, and keeps the cookies that it is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from chalicelib.crypto.encoding import b64url
from tests.http.client import COOKIE, FROM_PAGE, Client, Held
from tests.world.constants import NONCE, PAGE, VERIFIER
from tests.world.stand_in import Person

if TYPE_CHECKING:
    from tests.http.client import Headers
    from tests.http.server import Server
    from tests.rehearsal.client import Reply

LOGIN_COOKIE = "__Host-login"


@dataclass
class Surfer:
    """One browser at one address. Other people's browsers are other Surfers."""

    server: Server
    client: Client
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, query: dict[str, str] | None = None, headers: Headers = ()) -> Reply:
        """Follow a link of another site: cookies go along, no Origin does."""
        target = f"{path}?{urlencode(query)}" if query else path
        return self.keep(self.client.call("GET", target, headers=[*self.cookie_header, *headers]))

    def post(self, path: str, members: Any = None, headers: Headers = ()) -> Reply:
        """What a page's script sends."""
        return self.keep(self.client.post(path, members, [FROM_PAGE, *self.cookie_header, *headers]))

    @property
    def cookie_header(self) -> list[tuple[str, str]]:
        """The cookies, as they are sent."""
        pairs = [f"{name}={value}" for name, value in self.cookies.items()]
        return [("Cookie", "; ".join(pairs))] if pairs else []

    def keep(self, reply: Reply) -> Reply:
        """Keep the cookies of an answer."""
        for cookie in reply.all("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return reply

    def begin(self, return_to: str = PAGE, **query: str) -> str:
        """Press the link; where the provider is."""
        reply = self.get("/login/google", {"return_to": return_to, **query})
        assert reply.status == 303, reply
        return str(reply.header("Location"))

    def agree(self, authorization_url: str, person: Person) -> str:
        """Log in at the provider, and say yes: the callback's path and query."""
        self.server.provider.person = person
        return self.server.provider.authorize(authorization_url).removeprefix(self.server.url)

    def come_back(self, callback: str, headers: Headers = ()) -> Reply:
        """Load the callback."""
        return self.get(callback, headers=headers)

    def log_in(self, person: Person, return_to: str = PAGE) -> Reply:
        """The whole way there and back."""
        return self.come_back(self.agree(self.begin(return_to), person))

    def session(self) -> Held:
        """What the page holds after a reload: a CSRF token, then an access token."""
        csrf = self.get("/csrf")
        assert csrf.status == 200, csrf
        reply = self.post("/refresh", headers=[("X-CSRF-Token", csrf.json["csrf_token"])])
        assert reply.status == 200, reply
        return Held(self.client, reply.json["user"]["email"], reply)

    def logged_in(self) -> bool:
        """Whether there is a refresh cookie."""
        return COOKIE in self.cookies


def own_code(server: Server, person: Person, redirect_uri: str = PAGE, client_id: str | None = None) -> dict[str, str]:
    """The members that a frontend sends which has made the request itself."""
    code = server.provider.issue_code(
        nonce=NONCE,
        code_challenge=b64url(sha256(VERIFIER.encode()).digest()),
        redirect_uri=redirect_uri,
        subject=person.subject,
        client_id=client_id,
        **{name: value for name, value in person.claims.items() if name != "auth_time"},
    )
    return {"code": code, "code_verifier": VERIFIER, "redirect_uri": redirect_uri, "nonce": NONCE}


def person_of(email: str, *, verified: bool = True, subject: str | None = None) -> Person:
    """Somebody with this address at the provider."""
    return Person(subject or f"subject of {email}", {"email": email, "email_verified": verified})


def error_of(reply: Reply) -> str:
    """The code that came back to the page, which must be all that did."""
    assert reply.status == 303, reply
    location = str(reply.header("Location"))
    assert urlsplit(location)._replace(query="").geturl() == PAGE
    name, _, code = urlsplit(location).query.partition("=")
    assert name == "error"
    assert code.replace("_", "").isalpha(), location
    return code
