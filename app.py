"""Every route of Keyturn. Handlers say what a route does, chalicelib/web/boundary.py how errors become answers."""

from __future__ import annotations

from chalice.app import IAMAuthorizer

from chalicelib.functions import api
from chalicelib.functions.authorizers import authorizers
from chalicelib.functions.chronicle import chronicle
from chalicelib.functions.request_authorizer import guard
from chalicelib.functions.rest_api import Api
from chalicelib.handlers import accounts, federation, identities, oauth, security_events, sessions, tokens, well_known
from chalicelib.web.endpoint import Route
from chalicelib.web.routes import serve

# What each endpoint takes and answers is declared at its handler. HEAD stands beside each public GET that only reads.
ROUTES: tuple[Route, ...] = (
    # An account and its sessions
    Route("POST", "/signup", accounts.sign_up),
    Route("POST", "/login", accounts.log_in),
    Route("POST", "/refresh", tokens.refresh),
    Route("POST", "/logout", tokens.log_out),
    Route("POST", "/logout/all", accounts.log_out_everywhere, authorizer=guard),
    Route("GET", "/me", accounts.me, authorizer=guard),
    Route("GET", "/sessions", sessions.list_sessions, authorizer=guard),
    Route("DELETE", "/sessions/{session_id}", sessions.end_session, authorizer=guard),
    Route("GET", "/security-events", security_events.list_events, authorizer=guard),
    Route("POST", "/password/change", accounts.change_password, authorizer=guard),
    Route("GET", "/csrf", tokens.csrf),
    # Identity providers
    Route("GET", "/login/{provider}", federation.begin),
    Route("GET", "/login/{provider}/callback", federation.finish),
    Route("POST", "/login/{provider}/callback", federation.finish_by_form),
    Route("POST", "/login/{provider}/exchange", federation.exchange),
    Route("GET", "/identities", identities.list_identities, authorizer=guard),
    Route("POST", "/identities/{provider}", identities.link, authorizer=guard),
    Route("DELETE", "/identities/{provider}", identities.unlink, authorizer=guard),
    Route("POST", "/identities/{provider}/authorization", identities.begin_linking, authorizer=guard),
    # Other services
    Route("POST", "/token/introspect", oauth.introspect, authorizer=IAMAuthorizer()),
    Route("POST", "/token/revoke", oauth.revoke),
    Route("GET", "/.well-known/openid-configuration", well_known.metadata),
    Route("GET", "/.well-known/jwks.json", well_known.jwks),
    Route("GET", "/openapi.json", well_known.description(lambda: ROUTES)),
    Route("GET", "/health", well_known.health),
)

app = Api("keyturn", api.Product())
app.register_blueprint(authorizers)
app.register_blueprint(chronicle)
serve(app, ROUTES, app.product)
