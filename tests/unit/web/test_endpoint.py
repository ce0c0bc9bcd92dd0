"""Declarations of endpoints: they are enforced whatever the handler does, and no route starts without one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from chalice.app import Chalice, IAMAuthorizer, Response

from chalicelib.errors import (
    AuthError,
    CredentialRequired,
    CsrfTokenInvalid,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    NavigationRequired,
    OriginRefused,
    ProviderNotFound,
    UnsupportedMediaType,
)
from chalicelib.functions.request_authorizer import guard
from chalicelib.handlers.accounts import LOG_IN, SIGN_UP
from chalicelib.handlers.federation import BEGIN_LOGIN
from chalicelib.handlers.identities import UNLINK
from chalicelib.handlers.oauth import revoke
from chalicelib.handlers.tokens import LOG_OUT, REFRESH
from chalicelib.web import cookies
from chalicelib.web.endpoint import Credential, Page, Route, endpoint
from chalicelib.web.request import Request
from chalicelib.web.routes import serve
from tests.flows.steps import log_in, long_lived, sign_up
from tests.world.constants import CLIENT, ORIGIN, PAGE
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.web.endpoint import Call, Endpoint
    from chalicelib.web.routes import Product

EVIL = "https://evil.example"
JSON = "application/json"


def careless(_call: Call) -> Response:
    """A handler that forgets everything."""
    return Response(body="done")


class World:
    """An account with a session of each transport, and what a browser or an app sends of it."""

    def __init__(self) -> None:
        self.keyturn = Keyturn(FakeStore())
        self.app = sign_up(self.keyturn.services)
        self.browser = log_in(self.keyturn.services, transport="cookie")
        self.cookie = f"{cookies.REFRESH}={long_lived(self.browser).refresh_token}"
        self.csrf_token = long_lived(self.browser).csrf_token
        principal = self.keyturn.principal(self.browser.access_token)
        self.principal = {"sub": principal.sub, "sid": principal.sid, "auth_time": str(principal.auth_time)}

    def ask(self, declared: Endpoint, method: str = "POST", body: Any = None, **more: Any) -> Response:
        """Send a request to the endpoint; `more`: headers, with underscores, `principal`, `query`, `iam`, `path`."""
        headers = {name.replace("_", "-"): (value,) for name, value in more.items() if isinstance(value, str)}
        request = Request(
            method=method,
            headers={"content-type": (JSON,), **headers},
            query=more.get("query", {}),
            body=b"" if body is None else json.dumps(body).encode(),
            caller=CLIENT,
            principal_context=more.get("principal"),
            iam_caller="arn:aws:iam::123456789012:user/ada" if more.get("iam") else "",
        )
        return declared(request, self.keyturn.services, **more.get("path", {}))


@pytest.fixture
def world() -> World:
    """A world of its own."""
    return World()


LOGIN = {"email": "ada@example.com", "password": "correct horse battery"}
BEGINS = endpoint({200: ()}, credential=Credential.BEGINS, body=LOG_IN)(careless)
READS = endpoint({200: ()}, credential=Credential.READS, page=Page.ALLOWED)(careless)
REFRESHES = endpoint({200: ()}, credential=Credential.REFRESHES, body=REFRESH)(careless)
LEAVES = endpoint({200: ()}, credential=Credential.LEAVES, body=LOG_OUT)(careless)
RENEWS = endpoint({200: ()}, credential=Credential.RENEWS, body=UNLINK)(careless)
PRINCIPAL = endpoint({200: ()}, credential=Credential.PRINCIPAL)(careless)
AWS = endpoint({200: ()}, credential=Credential.AWS)(careless)
NAVIGATES = endpoint({200: ()}, page=Page.NAVIGATION, provider=True, query=BEGIN_LOGIN)(careless)

# What a careless handler would let through: the endpoint, how it is asked, and the error.
REFUSED: list[tuple[str, Endpoint, Callable[[World], dict[str, Any]], type[AuthError]]] = [
    ("login without a page", BEGINS, lambda _: {"body": LOGIN}, OriginRefused),
    ("login from another page", BEGINS, lambda _: {"body": LOGIN, "origin": EVIL}, OriginRefused),
    ("login over a session", BEGINS, lambda w: {"body": LOGIN, "origin": ORIGIN, "cookie": w.cookie}, CsrfTokenInvalid),
    ("login without a body", BEGINS, lambda _: {"origin": ORIGIN}, InvalidRequest),
    ("login with a role", BEGINS, lambda _: {"body": {**LOGIN, "roles": "admin"}, "origin": ORIGIN}, InvalidRequest),
    ("login by a form", BEGINS, lambda _: {"body": LOGIN, "content_type": "text/plain"}, UnsupportedMediaType),
    ("reading from another page", READS, lambda w: {"cookie": w.cookie, "origin": EVIL}, OriginRefused),
    ("refresh without a credential", REFRESHES, lambda _: {"origin": ORIGIN}, InvalidGrant),
    ("refresh from another page", REFRESHES, lambda w: {"cookie": w.cookie, "origin": EVIL}, OriginRefused),
    ("refresh without a CSRF token", REFRESHES, lambda w: {"cookie": w.cookie, "origin": ORIGIN}, CsrfTokenInvalid),
    (
        "refresh by cookie and body",
        REFRESHES,
        lambda w: {"cookie": w.cookie, "origin": ORIGIN, "body": {"refresh_token": "x"}},
        InvalidRequest,
    ),
    ("refresh by a forged token", REFRESHES, lambda _: {"body": {"refresh_token": "kt1.x.y"}}, InvalidGrant),
    ("logout from another page", LEAVES, lambda w: {"cookie": w.cookie, "origin": EVIL}, OriginRefused),
    ("logout without a CSRF token", LEAVES, lambda w: {"cookie": w.cookie, "origin": ORIGIN}, CsrfTokenInvalid),
    ("guarded without a principal", PRINCIPAL, lambda _: {}, InvalidToken),
    ("renewal without a principal", RENEWS, lambda w: {"cookie": w.cookie, "origin": ORIGIN}, InvalidToken),
    (
        "renewal from another page",
        RENEWS,
        lambda w: {"principal": w.principal, "cookie": w.cookie, "authorization": "Bearer x", "origin": EVIL},
        OriginRefused,
    ),
    (
        "renewal without a CSRF token",
        RENEWS,
        lambda w: {"principal": w.principal, "cookie": w.cookie, "authorization": "Bearer x", "origin": ORIGIN},
        CsrfTokenInvalid,
    ),
    ("an unsigned request", AWS, lambda _: {}, InvalidClient),
    ("an image", NAVIGATES, lambda _: {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}, NavigationRequired),
    ("a provider that is off", NAVIGATES, lambda _: {"path": {"provider": "google"}}, ProviderNotFound),
]


@pytest.mark.parametrize(
    ("declared", "asked", "error"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_careless_handler_is_not_reached(
    world: World, declared: Endpoint, asked: Callable[[World], dict[str, Any]], error: type[AuthError]
) -> None:
    """Whatever the declaration rules out is refused, though the handler looks at nothing."""
    with pytest.raises(error):
        world.ask(declared, **asked(world))


def test_handler_gets_what_was_accepted(world: World) -> None:
    """Fields, credentials, principal and path are the checked ones, and nothing else reaches the handler by them."""
    seen: list[Call] = []

    def handle(call: Call) -> Response:
        seen.append(call)
        return Response(body="")

    renews = endpoint({200: ()}, credential=Credential.RENEWS, body=UNLINK)(handle)
    page = {"origin": ORIGIN, "x_csrf_token": world.csrf_token, "authorization": "Bearer x", "cookie": world.cookie}
    world.ask(renews, body={}, principal=world.principal, path={"provider": "google"}, **page)
    (call,) = seen
    assert call.principal.sid == world.browser.session_id
    assert [presented.sid for presented in call.credentials] == [world.browser.session_id]
    assert call.presented == call.credentials[0]
    assert (call.fields, call.path) == ({}, {"provider": "google"})
    world.ask(renews, body={}, principal=world.principal, authorization="Bearer x")
    assert seen[1].presented is None  # the service asks for it: CredentialRequired
    world.ask(endpoint({200: ()})(handle))
    with pytest.raises(InvalidToken):
        _ = seen[2].principal
    assert seen[2].credentials == ()


@pytest.mark.parametrize(
    ("route", "why"),
    [
        (Route("POST", "/x", careless), "has no declaration"),  # type: ignore[arg-type]  # that is the fault
        (Route("GET", "/x", PRINCIPAL), "declares PRINCIPAL"),
        (Route("POST", "/x", RENEWS), "declares RENEWS"),
        (Route("GET", "/x", PRINCIPAL, authorizer=IAMAuthorizer()), "declares PRINCIPAL"),
        (Route("POST", "/x", revoke, authorizer=guard), "declares NONE"),
        (Route("POST", "/x", AWS), "declares AWS"),
        (Route("POST", "/x", AWS, authorizer=guard), "declares AWS"),
    ],
)
def test_route_that_is_not_what_it_declares_does_not_start(route: Route, why: str) -> None:
    """Without a declaration, or with an authorizer that is not the declared credential's, the app is not made."""
    product: Product = None  # type: ignore[assignment]  # nobody is answered
    with pytest.raises(TypeError, match=rf"^{route.method} /x {why}"):
        serve(Chalice("test"), [route], product)


def test_misspelt_declaration_does_not_start() -> None:
    """A rule that is misspelt is no rule that is left out."""
    with pytest.raises(TypeError, match="creditial"):
        endpoint({200: ()}, creditial=Credential.RENEWS)(careless)


def test_bodies_are_read_once_by_their_declaration(world: World) -> None:
    """A navigation's page may be left out by programs; what it asks for is read by the declaration."""
    query = {"return_to": (PAGE,), "max_age": ("soon",)}
    assert BEGIN_LOGIN.required == ["return_to"]
    navigates = endpoint({200: ()}, page=Page.NAVIGATION, query=BEGIN_LOGIN)(careless)
    with pytest.raises(InvalidRequest):
        world.ask(navigates, "GET", query=query)
    lenient = endpoint({200: ()}, query=BEGIN_LOGIN, lenient=True)(lambda call: Response(body=dict(call.fields)))
    assert world.ask(lenient, "GET", query=query).body == {"return_to": PAGE}
    assert set(SIGN_UP.members) < set(LOG_IN.members)
    assert issubclass(CredentialRequired, AuthError)
