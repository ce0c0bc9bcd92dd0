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

    from chalice.app import Request, Response

app = Chalice(app_name="keyturn")
app.register_blueprint(authorizers)

# Chalice's own check takes `text/plain;application/json`: the boundary does it instead.
POST: dict[str, Any] = {"methods": ["POST"], "content_types": ["*/*"]}


@app.middleware("http")
def finish(event: Any, get_response: Callable[[Any], Response]) -> Response:  # noqa: ANN401  # chalice passes its Request
    """Security headers on every answer, our form for errors that Chalice makes."""
    return boundary.finish(get_response(event))


def respond(handle: Callable[..., Response], **path: str) -> Response:
    """Run a handler between the request and its answer."""
    return boundary.respond(handle, cast("Request", app.current_request), bootstrap.services, bootstrap.audit, **path)


@app.route("/signup", **POST)
def sign_up() -> Response:
    """Make an account and its first session."""
    return respond(accounts.sign_up)


@app.route("/login", **POST)
def log_in() -> Response:
    """Begin a session."""
    return respond(accounts.log_in)


@app.route("/login/{provider}", methods=["GET"])
def log_in_at_provider(provider: str) -> Response:
    """Send the browser to an identity provider."""
    return respond(federation.begin, provider=provider)


@app.route("/login/{provider}/callback", methods=["GET"])
def come_back_from_provider(provider: str) -> Response:
    """Finish what the browser began."""
    return respond(federation.finish, provider=provider)


@app.route("/login/{provider}/exchange", **POST)
def exchange_code(provider: str) -> Response:
    """Begin a session with an authorization code."""
    return respond(federation.exchange, provider=provider)


@app.route("/refresh", **POST)
def refresh() -> Response:
    """Turn the key."""
    return respond(tokens.refresh)


@app.route("/logout", **POST)
def log_out() -> Response:
    """End the session."""
    return respond(tokens.log_out)


@app.route("/logout/all", **POST, authorizer=guard)
def log_out_everywhere() -> Response:
    """End every session of the user."""
    return respond(accounts.log_out_everywhere)


@app.route("/me", methods=["GET"], authorizer=guard)
def me() -> Response:
    """Tell who the user is."""
    return respond(accounts.me)


@app.route("/sessions", methods=["GET"], authorizer=guard)
def list_sessions() -> Response:
    """List the user's sessions."""
    return respond(sessions.list_sessions)


@app.route("/sessions/{session_id}", methods=["DELETE"], content_types=["*/*"], authorizer=guard)
def end_session(session_id: str) -> Response:
    """End one of the user's sessions."""
    return respond(sessions.end_session, session_id=session_id)


@app.route("/password/change", **POST, authorizer=guard)
def change_password() -> Response:
    """Set a new password."""
    return respond(accounts.change_password)


@app.route("/identities", methods=["GET"], authorizer=guard)
def list_identities() -> Response:
    """List the ways into the account."""
    return respond(identities.list_identities)


@app.route("/identities/{provider}", **POST, authorizer=guard)
def link_identity(provider: str) -> Response:
    """Link an identity with an authorization code."""
    return respond(identities.link, provider=provider)


@app.route("/identities/{provider}", methods=["DELETE"], content_types=["*/*"], authorizer=guard)
def unlink_identity(provider: str) -> Response:
    """Unlink an identity."""
    return respond(identities.unlink, provider=provider)


@app.route("/identities/{provider}/authorization", **POST, authorizer=guard)
def link_at_provider(provider: str) -> Response:
    """Send the browser to an identity provider, to link what comes of it."""
    return respond(identities.begin_linking, provider=provider)


@app.route("/csrf", methods=["GET"])
def csrf() -> Response:
    """Tell a reloaded page its CSRF token."""
    return respond(tokens.csrf)


@app.route("/token/introspect", **POST, authorizer=IAMAuthorizer())
def introspect() -> Response:
    """Tell another service what a token is worth."""
    return respond(oauth.introspect)


@app.route("/token/revoke", **POST)
def revoke() -> Response:
    """Revoke a token for whoever holds it."""
    return respond(oauth.revoke)


@app.route("/.well-known/openid-configuration", methods=["GET"])
def metadata() -> Response:
    """Publish what verifiers need to know."""
    return respond(published.metadata)


@app.route("/.well-known/jwks.json", methods=["GET"])
def jwks() -> Response:
    """Publish the public keys."""
    return respond(published.jwks)


@app.route("/health", methods=["GET"])
def health() -> Response:
    """Tell that the function runs and is configured."""
    return respond(published.health)
