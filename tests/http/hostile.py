"""Every route of the app, as hostile tests reach it: a new route is met by all of them without being named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import app
from tests.fakes import PASSWORD
from tests.http.client import FROM_PAGE, Held
from tests.http.server import PAGE

if TYPE_CHECKING:
    from tests.http.client import Headers
    from tests.rehearsal.client import Reply


def filled(path: str, session_id: str = "A" * 22) -> str:
    """A route's path with its parameters filled in."""
    return path.format(session_id=session_id, provider="google")


@dataclass(frozen=True)
class Route:
    """One route, and how to reach its handler."""

    method: str
    path: str
    guarded: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def send(self, held: Held, headers: Headers = (), body: bytes = b"", *, query: str = "") -> Reply:
        """Send the request past the authorizer, for a session that there is, and from a page that may."""
        path = filled(self.path) + query
        bearer = [held.bearer] if self.guarded else []
        return held.client.send(self.method, path, [FROM_PAGE, *bearer, *headers], body)


ROUTES = [
    Route(method, path, entry.authorizer is not None)
    for path, methods in app.app.routes.items()
    for method, entry in methods.items()
]
WITH_BODY = [route for route in ROUTES if route.method in {"POST", "PUT", "PATCH"}]

# What each route takes in its body.
MEMBERS = {
    "/signup": ("email", "password", "transport"),
    "/login": ("email", "password", "transport"),
    "/refresh": ("refresh_token",),
    "/logout": ("refresh_token",),
    "/logout/all": (),
    "/password/change": ("current_password", "new_password"),
    "/login/{provider}/exchange": ("code", "code_verifier", "redirect_uri", "nonce", "transport"),
    "/identities/{provider}": ("code", "code_verifier", "redirect_uri", "nonce"),
    "/identities/{provider}/authorization": ("return_to",),
}

every_route = pytest.mark.parametrize("route", ROUTES, ids=str)
every_route_with_body = pytest.mark.parametrize("route", WITH_BODY, ids=str)


def assert_harmless(reply: Reply) -> None:
    """No input is our fault."""
    assert reply.status < 500, reply


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
    return {name: right[name] for name in MEMBERS[route.path]} if route.path in MEMBERS else None
