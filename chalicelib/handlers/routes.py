"""The table of routes, and how Chalice comes to serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from chalicelib.handlers import boundary
from chalicelib.web import cors
from chalicelib.web.request import read
from chalicelib.web.responses import no_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalice.app import Authorizer, Chalice, Request, Response

    from chalicelib.ports import AuditLog
    from chalicelib.services import Services
    from chalicelib.settings.config import Config


class Route(NamedTuple):
    """One method of one path: `handle` answers it, after `authorizer`, where there is one, has let the caller through.

    `cookies` says whether it takes or sets a cookie. `writes` marks a GET that changes something, which HEAD must not.
    """

    method: str
    path: str
    handle: Callable[..., Response]
    cookies: bool
    authorizer: Authorizer | None = None
    writes: bool = False

    @property
    def methods(self) -> list[str]:
        """What the path takes by this route: HEAD beside every public GET that only reads (RFC 9110 section 9.1)."""
        reads = self.method == "GET" and self.authorizer is None and not self.writes
        return [self.method, "HEAD"] if reads else [self.method]


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
    """
    methods: dict[str, list[str]] = {}

    def finish(event: Any, get_response: Callable[[Any], Response]) -> Response:  # noqa: ANN401  # chalice passes its Request
        response = boundary.finish(get_response(event))
        response.headers.update(cors.headers(read(event), methods.get(event.path, []), product.config))
        return response

    app.middleware("http")(finish)
    for route in routes:
        methods.setdefault(route.path, []).extend(route.methods)
        _serve_one(app, route, product)
    for path in methods:
        app.route(path, methods=["OPTIONS"], name=f"preflight of {path}", content_types=["*/*"])(_preflight)


def _serve_one(app: Chalice, route: Route, product: Product) -> None:
    def view(**parameters: str) -> Response:
        request = cast("Request", app.current_request)
        return boundary.respond(route.handle, request, product.services, product.audit, **parameters)

    # HEAD gets what GET gets, body included: the gateway sends its headers, Content-Length too, and leaves the content
    # off (RFC 9110 section 9.3.2).
    name = route.handle.__name__
    view.__doc__ = route.handle.__doc__  # its first line is the route's summary in the API's document
    # Chalice's own check takes `text/plain;application/json`: the boundary does it instead.
    app.route(route.path, methods=route.methods, name=name, authorizer=route.authorizer, content_types=["*/*"])(view)


def _preflight(**_parameters: str) -> Response:
    """204, whoever asks: what a page may do stands in headers that `finish` sets. Neither keys nor table are read."""
    return no_content()
