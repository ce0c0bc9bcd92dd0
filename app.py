"""Every route of Keyturn. What one does stands in chalicelib/handlers; how errors become answers, in its boundary."""

from __future__ import annotations

from chalice.app import IAMAuthorizer

from chalicelib.functions import api
from chalicelib.functions.authorizers import authorizers
from chalicelib.functions.chronicle import chronicle
from chalicelib.functions.request_authorizer import guard
from chalicelib.functions.rest_api import Api
from chalicelib.handlers import accounts, events, federation, identities, oauth, sessions, tokens, well_known
from chalicelib.handlers.routes import Route, serve

# `cookies` says whether the route takes or sets a cookie: then it answers allowed pages alone, and who comes with a
# credential needs the session's CSRF token beside it (tests/http/test_csrf_routes.py goes through all of them). HEAD
# stands beside each public GET, but for those that `writes` marks.
ROUTES = (
    # An account and its sessions
    Route("POST", "/signup", accounts.sign_up, cookies=True),
    Route("POST", "/login", accounts.log_in, cookies=True),
    Route("POST", "/refresh", tokens.refresh, cookies=True),
    Route("POST", "/logout", tokens.log_out, cookies=True),
    Route("POST", "/logout/all", accounts.log_out_everywhere, cookies=True, authorizer=guard),
    Route("GET", "/me", accounts.me, cookies=True, authorizer=guard),
    Route("GET", "/sessions", sessions.list_sessions, cookies=True, authorizer=guard),
    Route("DELETE", "/sessions/{session_id}", sessions.end_session, cookies=True, authorizer=guard),
    Route("GET", "/security-events", events.list_events, cookies=True, authorizer=guard),
    Route("POST", "/password/change", accounts.change_password, cookies=True, authorizer=guard),
    Route("GET", "/csrf", tokens.csrf, cookies=True),
    # Identity providers
    Route("GET", "/login/{provider}", federation.begin, cookies=True, writes=True),
    Route("GET", "/login/{provider}/callback", federation.finish, cookies=True, writes=True),
    Route("POST", "/login/{provider}/callback", federation.finish_by_form, cookies=False),
    Route("POST", "/login/{provider}/exchange", federation.exchange, cookies=True),
    Route("GET", "/identities", identities.list_identities, cookies=True, authorizer=guard),
    Route("POST", "/identities/{provider}", identities.link, cookies=True, authorizer=guard),
    Route("DELETE", "/identities/{provider}", identities.unlink, cookies=True, authorizer=guard),
    Route("POST", "/identities/{provider}/authorization", identities.begin_linking, cookies=True, authorizer=guard),
    # Other services
    Route("POST", "/token/introspect", oauth.introspect, cookies=False, authorizer=IAMAuthorizer()),
    Route("POST", "/token/revoke", oauth.revoke, cookies=False),
    Route("GET", "/.well-known/openid-configuration", well_known.metadata, cookies=False),
    Route("GET", "/.well-known/jwks.json", well_known.jwks, cookies=False),
    Route("GET", "/openapi.json", well_known.openapi, cookies=False),
    Route("GET", "/health", well_known.health, cookies=False),
)

app = Api("keyturn", api.Product())
app.register_blueprint(authorizers)
app.register_blueprint(chronicle)
serve(app, ROUTES, app.product)
