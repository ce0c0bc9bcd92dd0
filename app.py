"""Every route of Keyturn. What one does stands in chalicelib/handlers; how errors become answers, in its boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from chalice.app import Chalice, IAMAuthorizer

from chalicelib import bootstrap
from chalicelib.authorizers import authorizers
from chalicelib.handlers import accounts, boundary, federation, identities, oauth, published, sessions, tokens
from chalicelib.handlers.guarding import guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Authorizer, Request, Response

app = Chalice(app_name="keyturn")
app.register_blueprint(authorizers)


@app.middleware("http")
def finish(event: Any, get_response: Callable[[Any], Response]) -> Response:  # noqa: ANN401  # chalice passes its Request
    """Security headers on every answer, our form for errors that Chalice makes."""
    return boundary.finish(get_response(event))


def route(method: str, path: str, handle: Callable[..., Response], authorizer: Authorizer | None = None) -> None:
    """Have the handler answer the route, between the request and the boundary. Whoever `authorizer` lets in may ask."""

    def view(**parameters: str) -> Response:
        request = cast("Request", app.current_request)
        return boundary.respond(handle, request, bootstrap.services, bootstrap.audit, **parameters)

    view.__doc__ = handle.__doc__  # its first line is the route's summary in the API's document
    # Chalice's own check takes `text/plain;application/json`: the boundary does it instead.
    app.route(path, methods=[method], name=handle.__name__, authorizer=authorizer, content_types=["*/*"])(view)


# An account and its sessions
route("POST", "/signup", accounts.sign_up)
route("POST", "/login", accounts.log_in)
route("POST", "/refresh", tokens.refresh)
route("POST", "/logout", tokens.log_out)
route("POST", "/logout/all", accounts.log_out_everywhere, guard)
route("GET", "/me", accounts.me, guard)
route("GET", "/sessions", sessions.list_sessions, guard)
route("DELETE", "/sessions/{session_id}", sessions.end_session, guard)
route("POST", "/password/change", accounts.change_password, guard)
route("GET", "/csrf", tokens.csrf)

# Identity providers
route("GET", "/login/{provider}", federation.begin)
route("GET", "/login/{provider}/callback", federation.finish)
route("POST", "/login/{provider}/exchange", federation.exchange)
route("GET", "/identities", identities.list_identities, guard)
route("POST", "/identities/{provider}", identities.link, guard)
route("DELETE", "/identities/{provider}", identities.unlink, guard)
route("POST", "/identities/{provider}/authorization", identities.begin_linking, guard)

# Other services
route("POST", "/token/introspect", oauth.introspect, IAMAuthorizer())
route("POST", "/token/revoke", oauth.revoke)
route("GET", "/.well-known/openid-configuration", published.metadata)
route("GET", "/.well-known/jwks.json", published.jwks)
route("GET", "/health", published.health)
