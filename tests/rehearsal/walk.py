"""How to get each answer of each route: for the walk over all of them (test_headers.py).

What every route of a kind answers alike stands first, by status; then what is its own.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from chalicelib.functions.request_authorizer import guard
from chalicelib.web import cookies
from tests.world.client import Client
from tests.world.constants import PAGE, PASSWORD
from tests.world.own_request import own_code
from tests.world.person import Person, new_person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.web.endpoint import Route
    from tests.rehearsal.stack import RunningStack
    from tests.world.browser import Browser
    from tests.world.client import Reply
    from tests.world.stand_in import StandIn

    Headers = dict[str, str]
    Case = Callable[["World", Headers], Reply]

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20300101/eu-central-1/execute-api/aws4_request",
}
NOBODYS = "A" * 22
FORMS = {"/token/introspect", "/token/revoke", "/login/{provider}/callback"}
# What takes the session's refresh token in a body beside the bearer token.
RENEWING = {
    ("POST", "/password/change"),
    ("POST", "/identities/{provider}"),
    ("DELETE", "/identities/{provider}"),
    ("POST", "/identities/{provider}/authorization"),
}
# More than any limit of the stage that is walked: what is tried so often is refused.
MOST = 40


@dataclass
class World:
    """A deployed stage, its identity provider, and people whom nobody has seen before."""

    stack: RunningStack
    provider: StandIn
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def number(self) -> int:
        """One that nobody had."""
        return next(self._numbers)

    def client(self) -> Client:
        """A client at an address of its own."""
        number = self.number()
        return Client(self.stack.url, f"127.1.{number // 250}.{number % 250 + 1}")

    def members(self, transport: str = "body") -> dict[str, Any]:
        """Members for an account that nobody has."""
        return {"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD, "transport": transport}

    def person(self, **claims: Any) -> Person:
        """Somebody at the provider."""
        return replace(new_person(), **claims)

    def visitor(self, person: Person | None = None) -> Browser:
        """A browser of theirs."""
        return self.stack.browser(self.provider, person)

    def account(self) -> Account:
        """An account with a session of the transport `body`."""
        members, client = self.members(), self.client()
        reply = client.call("POST", "/signup", members)
        assert reply.status == 201, reply
        return Account(client, members, reply.json)

    def cookie(self, transport: str) -> Headers:
        """The cookie of a living session."""
        origin = {"Origin": self.stack_origin}
        reply = self.client().call("POST", "/signup", self.members(transport), headers=origin)
        (value,) = (value for value in reply.all("Set-Cookie") if value.startswith(cookies.OF_TRANSPORT[transport]))  # type: ignore[index]  # one of them
        return {"Cookie": value.partition(";")[0]}

    @property
    def stack_origin(self) -> str:
        """The page that the stage allows."""
        return PAGE.removesuffix("/welcome")


@dataclass(frozen=True)
class Account:
    """An account, and its session."""

    client: Client
    members: dict[str, Any]
    session: dict[str, Any]

    @property
    def bearer(self) -> Headers:
        """The access token."""
        return {"Authorization": f"Bearer {self.session['access_token']}"}

    @property
    def refresh_token(self) -> dict[str, str]:
        """The refresh token, as a body."""
        return {"refresh_token": self.session["refresh_token"]}


def path_of(route: Route, provider: str = "google", session_id: str = NOBODYS) -> str:
    """The route's path with its parameters filled in."""
    return route.path.format(provider=provider, session_id=session_id)


def credentials(world: World, route: Route) -> Headers:
    """What gets a request past the gateway."""
    if route.authorizer is guard:
        return world.account().bearer
    return SIGNED if route.path == "/token/introspect" else {}


def with_body(world: World, route: Route, headers: Headers, body: bytes, content_type: Headers) -> Reply:
    """The route with this body."""
    sent = {**credentials(world, route), **content_type, **headers}
    return world.client().call(route.method, path_of(route), headers=sent, body=body)


def alike(route: Route) -> dict[int, Case]:
    """What the routes of a kind have in common."""
    content_type = FORM if route.path in FORMS else JSON
    cases: dict[int, Case] = {
        405: lambda world, headers: world.client().call(
            route.method.lower(), path_of(route), headers={**credentials(world, route), **headers}
        )
    }
    if route.method == "POST" or (route.method, route.path) in RENEWING:
        malformed, large = (b"token=%", b"token=" + b"a" * 20_000) if route.path in FORMS else (b"{", b" " * 20_000)
        cases |= {
            400: lambda world, headers: with_body(world, route, headers, malformed, content_type),
            413: lambda world, headers: with_body(world, route, headers, large, content_type),
            415: lambda world, headers: with_body(world, route, headers, b"{}", {"Content-Type": "text/plain"}),
        }
    if route.authorizer is guard:
        dead = {"Authorization": "Bearer dead"}
        cases[401] = lambda world, headers: world.client().call(
            route.method, path_of(route), headers={**dead, **headers}
        )
        if route.method != "GET":
            cases[403] = lambda world, headers: world.client().call(
                route.method, path_of(route), headers={**world.cookie("session"), **headers}
            )
    if "{provider}" in route.path and route.method != "DELETE":
        cases[404] = lambda world, headers: _of_nobodys_provider(world, route, headers)
    return cases


def _of_nobodys_provider(world: World, route: Route, headers: Headers) -> Reply:
    sent = {**credentials(world, route), **headers}
    return world.client().call(route.method, path_of(route, provider="nobodys"), headers=sent)


def read(route: Route) -> dict[int, Case]:
    """200 for whoever may read it."""
    return {
        200: lambda world, headers: world.client().call(
            "GET", path_of(route), headers={**credentials(world, route), **headers}
        )
    }


def again_and_again(case: Callable[[Headers], Reply]) -> Case:
    """The same from one address, until the limiter has enough, or a page that may not ask is told so."""

    def act(_world: World, headers: Headers) -> Reply:
        for _ in range(MOST):
            reply = case(headers)
            if reply.status in {403, 429}:
                break
        return reply

    return act


def enter(path: str, members: Callable[[World], dict[str, Any]]) -> Case:
    """Sign up, or log in."""
    return lambda world, headers: world.client().call("POST", path, members(world), headers=headers)


def enter_often(path: str, **changes: str) -> Case:
    """The same from one address."""

    def act(world: World, headers: Headers) -> Reply:
        client, account = world.client(), world.members()
        fresh = path == "/signup"
        case = again_and_again(
            lambda sent: client.call("POST", path, {**(world.members() if fresh else account), **changes}, headers=sent)
        )
        return case(world, headers)

    return act


def by_cookie(method: str, path: str, members: Callable[[World], dict[str, Any]] | None = None) -> Case:
    """With a genuine cookie, and without its CSRF token."""
    return lambda world, headers: world.client().call(
        method, path, members(world) if members else None, headers={**world.cookie("cookie"), **headers}
    )


def as_owner(method: str, path: str, members: Callable[[World, Account], dict[str, Any] | None]) -> Case:
    """With an access token."""

    def act(world: World, headers: Headers) -> Reply:
        account = world.account()
        filled = path.format(session_id=account.session["session_id"])
        return account.client.call(method, filled, members(world, account), headers={**account.bearer, **headers})

    return act


def as_owner_often(path: str, members: Callable[[World], dict[str, Any]]) -> Case:
    """The same of one account from one address."""

    def act(world: World, headers: Headers) -> Reply:
        account = world.account()
        sent = {**account.bearer, **headers}
        case = again_and_again(
            lambda more: account.client.call("POST", path, {**members(world), **account.refresh_token}, headers=more)
        )
        return case(world, sent)

    return act


def refreshing(token: Callable[[World], dict[str, Any]], path: str = "/refresh") -> Case:
    """With a refresh token in the body."""
    return lambda world, headers: world.client().call("POST", path, token(world), headers=headers)


def code(world: World, person: Person | None = None) -> dict[str, Any]:
    """A code of somebody whom nobody knows, or of this person."""
    return {**own_code(world.provider, person or world.person())}


def exchange(person: Callable[[World], Person], **changes: str) -> Case:
    """Log in with a code, from an address of its own."""
    return lambda world, headers: world.client().call(
        "POST",
        "/login/google/exchange",
        {**code(world, person(world)), "transport": "body", **changes},
        headers=headers,
    )


def exchange_often(world: World, headers: Headers) -> Reply:
    """The same from one address."""
    client = world.client()
    members = {**code(world), "transport": "body"}
    return again_and_again(lambda sent: client.call("POST", "/login/google/exchange", members, headers=sent))(
        world, headers
    )


def known_address(world: World) -> Person:
    """Somebody for whom the provider does not vouch, with the address of an account."""
    return world.person(email=world.account().members["email"], email_verified=False)


def link_taken(world: World, headers: Headers) -> Reply:
    """Link an identity that opens another account."""
    person = world.person()
    first, second = world.account(), world.account()
    members = {**code(world, person), **first.refresh_token}
    linked = first.client.call("POST", "/identities/google", members, headers=first.bearer)
    assert linked.status == 200, linked
    members = {**code(world, person), **second.refresh_token}
    return second.client.call("POST", "/identities/google", members, headers={**second.bearer, **headers})


def unlink(world: World, headers: Headers) -> Reply:
    """Unlink an identity beside a password."""
    account = world.account()
    members = {**code(world), **account.refresh_token}
    linked = account.client.call("POST", "/identities/google", members, headers=account.bearer)
    assert linked.status == 200, linked
    after = Account(account.client, account.members, linked.json)
    return after.client.call("DELETE", "/identities/google", after.refresh_token, headers={**after.bearer, **headers})


def unlink_last(world: World, headers: Headers) -> Reply:
    """Unlink the only way into an account."""
    client = world.client()
    session = client.call("POST", "/login/google/exchange", {**code(world), "transport": "body"}).json
    account = Account(client, {}, session)
    members, sent = account.refresh_token, {**account.bearer, **headers}
    return client.call("DELETE", "/identities/google", members, headers=sent)


def begin(**query: str) -> Case:
    """Follow a link to the login."""
    target = f"/login/google?{urlencode({'return_to': PAGE, **query})}"
    return lambda world, headers: world.client().call("GET", target, headers=headers)


def begin_often(world: World, headers: Headers) -> Reply:
    """The same from one address."""
    client, target = world.client(), f"/login/google?{urlencode({'return_to': PAGE})}"
    return again_and_again(lambda sent: client.call("GET", target, headers=sent))(world, headers)


def come_back(world: World, headers: Headers) -> Reply:
    """Come back from the provider."""
    visitor = world.visitor()
    return visitor.get(visitor.agree(visitor.begin()), headers=headers)


def get(path: str, **headers: str) -> Case:
    """A plain GET."""
    return lambda world, more: world.client().call("GET", path, headers={**headers, **more})


def form(path: str, body: bytes, headers: Headers) -> Case:
    """A form."""
    return lambda world, more: world.client().call("POST", path, headers={**FORM, **headers, **more}, body=body)


def change(world: World, current: str = PASSWORD) -> dict[str, Any]:
    """A body that asks for another password."""
    return {"current_password": current, "new_password": f"fresh horse battery {world.number()}"}


def renewing(members: Callable[[World], dict[str, Any]]) -> Callable[[World, Account], dict[str, Any]]:
    """A body for what renews the session: with its refresh token."""
    return lambda world, account: {**members(world), **account.refresh_token}


PICTURE = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
NO_BODY: Callable[[World, Account], None] = lambda _world, _account: None  # noqa: E731  # beside the others
OWN: dict[tuple[str, str], dict[int, Case]] = {
    ("POST", "/signup"): {
        201: enter("/signup", World.members),
        403: by_cookie("POST", "/signup", World.members),
        409: enter("/signup", lambda world: world.account().members),
        429: enter_often("/signup"),
    },
    ("POST", "/login"): {
        200: enter("/login", lambda world: world.account().members),
        401: enter("/login", World.members),
        403: by_cookie("POST", "/login", World.members),
        429: enter_often("/login"),
    },
    ("POST", "/refresh"): {
        200: refreshing(lambda world: world.account().refresh_token),
        401: refreshing(lambda _world: {"refresh_token": "kt1.x.y"}),
        403: by_cookie("POST", "/refresh"),
    },
    ("POST", "/logout"): {
        204: refreshing(lambda world: world.account().refresh_token, "/logout"),
        403: by_cookie("POST", "/logout"),
    },
    ("POST", "/logout/all"): {204: as_owner("POST", "/logout/all", NO_BODY)},
    ("DELETE", "/sessions/{session_id}"): {
        204: as_owner("DELETE", "/sessions/{session_id}", NO_BODY),
        404: as_owner("DELETE", f"/sessions/{NOBODYS}", NO_BODY),
    },
    ("POST", "/password/change"): {
        200: as_owner("POST", "/password/change", renewing(change)),
        429: as_owner_often("/password/change", lambda world: change(world, current="wrong battery")),
    },
    ("GET", "/csrf"): {
        200: by_cookie("GET", "/csrf"),
        403: get("/csrf", **{"Sec-Fetch-Site": "?"}),
    },
    ("GET", "/sessions"): {
        200: as_owner("GET", "/sessions", NO_BODY),
        400: as_owner("GET", "/sessions?cursor=x", NO_BODY),
    },
    ("GET", "/login/{provider}"): {
        303: begin(),
        400: begin(transport="body"),
        403: get("/login/google", **PICTURE),
        429: begin_often,
    },
    ("GET", "/login/{provider}/callback"): {
        303: come_back,
        400: get("/login/google/callback?state=x&code=x"),
        403: get("/login/google/callback?state=x&code=x", **PICTURE),
    },
    ("POST", "/login/{provider}/callback"): {303: form("/login/google/callback", b"state=x&code=x", {})},
    ("POST", "/login/{provider}/exchange"): {
        200: exchange(World.person),
        401: exchange(World.person, code="nobodys"),
        403: exchange(lambda world: world.person(email=None)),
        409: exchange(known_address),
        429: exchange_often,
    },
    ("POST", "/identities/{provider}"): {
        200: as_owner("POST", "/identities/google", renewing(code)),
        409: link_taken,
        429: as_owner_often("/identities/google", lambda world: {**code(world), "code": "nobodys"}),
    },
    ("DELETE", "/identities/{provider}"): {
        200: unlink,
        400: as_owner("DELETE", "/identities/google", NO_BODY),
        404: as_owner("DELETE", "/identities/google", lambda _world, account: account.refresh_token),
        409: unlink_last,
    },
    ("POST", "/identities/{provider}/authorization"): {
        200: as_owner("POST", "/identities/google/authorization", renewing(lambda _world: {"return_to": PAGE})),
        429: as_owner_often("/identities/google/authorization", lambda _world: {"return_to": PAGE}),
    },
    ("POST", "/token/introspect"): {200: form("/token/introspect", b"token=x", SIGNED)},
    ("POST", "/token/revoke"): {200: form("/token/revoke", b"token=x", {})},
}


def cases(route: Route) -> dict[int, Case]:
    """How to get each of the route's statuses."""
    found = {**alike(route), **OWN.get((route.method, route.path), {})}
    return found if set(OWN.get((route.method, route.path), {})) & {200, 201, 204, 303} else {**found, **read(route)}
