"""Every route of the app, as hostile tests reach it: a new route is met by all of them without being named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from chalice.app import IAMAuthorizer

import app
from tests.world.browser import FROM_PAGE
from tests.world.constants import PAGE, PASSWORD

if TYPE_CHECKING:
    from tests.http.client import Headers, Held
    from tests.world.client import Reply


# What API Gateway takes for the signature of an AWS caller, as the stand-in does.
SIGNATURE = ("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20270115/eu-west-1/execute-api/aws4_request")


def filled(path: str, session_id: str = "A" * 22) -> str:
    """A route's path with its parameters filled in."""
    return path.format(session_id=session_id, provider="google")


@dataclass(frozen=True)
class Route:
    """One route, and how to reach its handler."""

    method: str
    path: str
    guarded: bool
    signed: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def send(self, held: Held, headers: Headers = (), body: bytes = b"", *, query: str = "") -> Reply:
        """Send the request past the authorizer, for a session that there is, and from a page that may."""
        path = filled(self.path) + query
        return held.client.send(self.method, path, [*self.allowed(held), *headers], body)

    def allowed(self, held: Held) -> Headers:
        """What a request needs to get to the handler."""
        return [FROM_PAGE, *([held.bearer] if self.guarded else []), *([SIGNATURE] if self.signed else [])]


ROUTES = [
    Route(
        method,
        path,
        guarded=not isinstance(entry.authorizer, IAMAuthorizer | None),
        signed=isinstance(entry.authorizer, IAMAuthorizer),
    )
    for path, methods in app.app.routes.items()
    for method, entry in methods.items()
    # OPTIONS is browsers' own question, which no handler answers: test_cors.py. HEAD is GET without content:
    # test_head.py.
    if method not in {"OPTIONS", "HEAD"}
]

# What the routes take that RFCs want form-encoded, and what a provider posts.
FORMS = {
    "/token/introspect": ("token", "token_type_hint"),
    "/token/revoke": ("token", "token_type_hint"),
    "/login/{provider}/callback": ("state", "code", "iss"),
}
WITH_FORM = [route for route in ROUTES if route.method == "POST" and route.path in FORMS]
WITH_BODY = [route for route in ROUTES if route.method in {"POST", "PUT", "PATCH"} and route not in WITH_FORM]

# What each other route takes in its body.
MEMBERS = {
    "/signup": ("email", "password", "transport"),
    "/login": ("email", "password", "transport"),
    "/refresh": ("refresh_token",),
    "/logout": ("refresh_token",),
    "/logout/all": (),
    "/password/change": ("current_password", "new_password", "refresh_token"),
    "/login/{provider}/exchange": ("code", "code_verifier", "redirect_uri", "nonce", "transport"),
    "/identities/{provider}": ("code", "code_verifier", "redirect_uri", "nonce", "refresh_token"),
    "/identities/{provider}/authorization": ("return_to", "refresh_token"),
}
# What a DELETE takes in its body.
MEMBERS_OF_DELETE = {"/sessions/{session_id}": (), "/identities/{provider}": ("refresh_token",)}

every_route = pytest.mark.parametrize("route", ROUTES, ids=str)
# test_form_post.py has the other form.
every_token_route = pytest.mark.parametrize(
    "route", [route for route in WITH_FORM if route.path.startswith("/token/")], ids=str
)
every_route_with_body = pytest.mark.parametrize("route", WITH_BODY, ids=str)


def assert_harmless(reply: Reply) -> None:
    """No input is our fault."""
    assert reply.status < 500, reply


def form_for(route: Route, held: Held) -> bytes | None:
    """A right form for the route, of this account; None for one that takes none."""
    right = {
        "token": held.refresh_token,
        "token_type_hint": "refresh_token",
        "state": "state",
        "code": "code",
        "iss": "https://accounts.example.com",
    }
    return urlencode({name: right[name] for name in FORMS[route.path]}).encode() if route in WITH_FORM else None


def members_for(route: Route, held: Held) -> dict[str, str] | None:
    """A right body for the route, of this account; None for one that takes none."""
    right = {
        "email": held.email,
        "password": PASSWORD,
        "transport": "body",
        "current_password": PASSWORD,
        "new_password": "another password",
        "refresh_token": held.refresh_token,
        "code": "code",
        "code_verifier": "v" * 43,
        "redirect_uri": PAGE,
        "nonce": "nonce",
        "return_to": PAGE,
    }
    taken = (MEMBERS_OF_DELETE if route.method == "DELETE" else MEMBERS).get(route.path)
    return {name: right[name] for name in taken} if taken else None
