"""How Chalice comes to serve the table of routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from chalice.app import IAMAuthorizer

from chalicelib.web import boundary, cors
from chalicelib.web.endpoint import GUARDED, Credential, Endpoint
from chalicelib.web.request import read
from chalicelib.web.responses import no_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalice.app import Chalice, Request, Response

    from chalicelib.ports import AuditLog
    from chalicelib.services import Services
    from chalicelib.settings.config import Config
    from chalicelib.web.endpoint import Route


class Product(Protocol):
    """What answering takes, looked up at each request, because nothing is read before the first."""

    @property
    def audit(self) -> AuditLog:
        """The log."""

    def config(self) -> Config:
        """The settings. ConfigurationError."""

    def services(self) -> Services:
        """Everything that handlers call. ConfigurationError, Unavailable."""


def serve(app: Chalice, routes: Iterable[Route], product: Product) -> None:
    """Have the app answer the routes, and give every answer the headers that it needs, those of Chalice's own too.

    Each path takes OPTIONS beside its own methods: that is how a browser asks before a page of another origin sends
    what a form could not (Fetch, section "CORS-preflight fetch").

    TypeError for a route without a declaration, or one whose authorizer is not what the declaration counts on.
    """
    methods: dict[str, list[str]] = {}

    def finish(event: Any, get_response: Callable[[Any], Response]) -> Response:  # noqa: ANN401  # chalice passes its Request
        response = boundary.finish(get_response(event))
        response.headers.update(cors.headers(read(event), methods.get(event.path, []), product.config))
        return response

    app.middleware("http")(finish)
    for route in routes:
        _require_declared(route)
        methods.setdefault(route.path, []).extend(route.methods)
        _serve_one(app, route, product)
    for path in methods:
        app.route(path, methods=["OPTIONS"], name=f"preflight of {path}", content_types=["*/*"])(_preflight)


def _require_declared(route: Route) -> None:
    if not isinstance(route.endpoint, Endpoint):
        message = f"{route.method} {route.path} has no declaration: its handler needs @endpoint"
        raise TypeError(message)
    credential, signed = route.endpoint.credential, isinstance(route.authorizer, IAMAuthorizer)
    guarded = route.authorizer is not None and not signed
    if guarded != (credential in GUARDED) or signed != (credential is Credential.AWS):
        message = f"{route.method} {route.path} declares {credential.name}, and its authorizer in app.py is another's"
        raise TypeError(message)


def _serve_one(app: Chalice, route: Route, product: Product) -> None:
    def view(**parameters: str) -> Response:
        request = cast("Request", app.current_request)
        return boundary.respond(route.endpoint, request, product.services, product.audit, **parameters)

    # HEAD gets what GET gets, body included: the gateway sends its headers, Content-Length too, and leaves the content
    # off (RFC 9110 section 9.3.2).
    name = route.endpoint.handle.__name__
    view.__doc__ = route.endpoint.handle.__doc__  # its first line is the route's summary in the API's document
    # Chalice's own check takes `text/plain;application/json`: the boundary does it instead.
    app.route(route.path, methods=route.methods, name=name, authorizer=route.authorizer, content_types=["*/*"])(view)


def _preflight(**_parameters: str) -> Response:
    """204, whoever asks: what a page may do stands in headers that `finish` sets. Neither keys nor table are read."""
    return no_content()
