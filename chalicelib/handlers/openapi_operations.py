"""What each route takes and answers, beside what all of them do: part of openapi.py, for that route alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib import errors
from chalicelib.handlers import accounts, events, federation, identities, oauth, sessions, tokens, well_known
from chalicelib.handlers.openapi_schemas import ID, one_of
from chalicelib.providers import PROFILES
from chalicelib.web import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalice.app import Response

    from chalicelib.errors import AuthError
    from chalicelib.handlers.openapi_schemas import Schema
    from chalicelib.web.fields import Fields

Security = tuple[tuple[str, ...], ...]

# Each is a choice of credentials that go together; the empty one is none at all.
NONE: Security = ()
GUARDED: Security = (("bearer",), ("session",))
GUARDED_UNSAFE: Security = (("bearer",), ("session", "csrf"))
REFRESHING: Security = ((), ("refresh", "csrf"))
LEAVING: Security = ((), ("refresh", "csrf"), ("session", "csrf"), ("bearer",))
# What a session renews its credentials by: the long-lived one comes along, by cookie or in the body.
RENEWING: Security = (("bearer",), ("bearer", "refresh", "csrf"), ("session", "csrf"))
BY_COOKIE: Security = ((), ("refresh",), ("session",))
BY_AWS: Security = (("iam",),)

PAGE = (errors.OriginRefused, errors.CsrfTokenInvalid)
PROVIDER = (errors.ProviderNotFound, errors.InvalidRequest, errors.TooManyRequests, errors.ProviderError)
NEW_PASSWORD = (errors.InvalidRequest, errors.PasswordRejected)
RECENT = (errors.InsufficientUserAuthentication,)
RENEWED = (errors.InvalidRequest, errors.CredentialRequired, errors.InvalidGrant, *PAGE)


@dataclass(frozen=True, slots=True)
class Operation:
    """One route, by its handler: what it takes, and what it answers by status.

    An answer without a schema has no body. `errors` are those that handler and services raise, beside what every route
    answers; `headers` are names of openapi.py's that come with every success, `sometimes` those that may.
    """

    handle: Callable[..., Response]
    answers: Mapping[int, Schema | None]
    errors: tuple[type[AuthError], ...] = ()
    security: Security = NONE
    body: Fields | None = None
    form: Fields | None = None
    query: Fields | None = None
    headers: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()
    parameters: Mapping[str, Schema] = field(default_factory=dict)


_TOKENS = one_of("TokensInBody", "TokensWithCookie", "SessionByCookie")
_COOKIES = ("Set-Cookie",)
_PROVIDER: Mapping[str, Schema] = {
    "provider": {"type": "string", "pattern": "^[a-z][a-z0-9]*$", "maxLength": 64, "examples": sorted(PROFILES)}
}

OPERATIONS: dict[str, Operation] = {
    "POST /signup": Operation(
        accounts.sign_up,
        {201: _TOKENS},
        (*NEW_PASSWORD, errors.InvalidEmail, *PAGE, errors.EmailTaken, errors.TooManyRequests),
        body=fields.SIGN_UP,
        sometimes=_COOKIES,
    ),
    "POST /login": Operation(
        accounts.log_in,
        {200: _TOKENS},
        (errors.InvalidRequest, errors.InvalidEmail, errors.InvalidCredentials, *PAGE, errors.TooManyRequests),
        body=fields.LOG_IN,
        sometimes=_COOKIES,
    ),
    "POST /refresh": Operation(
        tokens.refresh,
        {200: one_of("TokensInBody", "TokensWithCookie")},
        (errors.InvalidRequest, errors.InvalidGrant, *PAGE),
        REFRESHING,
        body=fields.REFRESH,
        sometimes=_COOKIES,
    ),
    "POST /logout": Operation(
        tokens.log_out,
        {204: None},
        (errors.InvalidRequest, *PAGE),
        LEAVING,
        body=fields.LOG_OUT,
        sometimes=_COOKIES,
    ),
    "POST /logout/all": Operation(
        accounts.log_out_everywhere, {204: None}, (errors.InvalidRequest,), GUARDED_UNSAFE, body=fields.NOTHING
    ),
    "GET /me": Operation(accounts.me, {200: one_of("Me")}, (), GUARDED),
    "GET /sessions": Operation(
        sessions.list_sessions,
        {200: one_of("Sessions")},
        (errors.InvalidRequest,),
        GUARDED,
        query=fields.LIST_SESSIONS,
    ),
    "DELETE /sessions/{session_id}": Operation(
        sessions.end_session,
        {204: None},
        (errors.SessionNotFound,),
        GUARDED_UNSAFE,
        parameters={"session_id": ID},
    ),
    "GET /security-events": Operation(events.list_events, {200: one_of("SecurityEvents")}, (), GUARDED),
    "POST /password/change": Operation(
        accounts.change_password,
        {200: _TOKENS},
        (*NEW_PASSWORD, *RECENT, *RENEWED, errors.InvalidCredentials, errors.TooManyRequests),
        RENEWING,
        body=fields.CHANGE_PASSWORD,
        sometimes=_COOKIES,
    ),
    "GET /csrf": Operation(tokens.csrf, {200: one_of("CsrfToken", "NoSession")}, (errors.OriginRefused,), BY_COOKIE),
    "GET /login/{provider}": Operation(
        federation.begin,
        {303: None},
        (*PROVIDER, errors.NavigationRequired),
        query=fields.BEGIN_LOGIN,
        headers=("Location", *_COOKIES),
        parameters=_PROVIDER,
    ),
    "GET /login/{provider}/callback": Operation(
        federation.finish,
        {303: None},
        (errors.ProviderNotFound, errors.LoginExpired, errors.NavigationRequired),
        query=fields.FINISH_LOGIN,
        headers=("Location",),
        sometimes=_COOKIES,
        parameters=_PROVIDER,
    ),
    "POST /login/{provider}/callback": Operation(
        federation.finish_by_form,
        {303: None},
        (errors.ProviderNotFound, errors.InvalidRequest),
        form=fields.FINISH_LOGIN,
        headers=("Location",),
        parameters=_PROVIDER,
    ),
    "POST /login/{provider}/exchange": Operation(
        federation.exchange,
        {200: _TOKENS},
        (*PROVIDER, *PAGE, errors.InvalidCode, errors.AccessDenied, errors.EmailRequired, errors.EmailTaken),
        body=fields.EXCHANGE,
        sometimes=_COOKIES,
        parameters=_PROVIDER,
    ),
    "GET /identities": Operation(identities.list_identities, {200: one_of("Identities")}, (), GUARDED),
    "POST /identities/{provider}": Operation(
        identities.link,
        {200: _TOKENS},
        (*PROVIDER, *RECENT, *RENEWED, errors.InvalidCode, errors.AccessDenied, errors.IdentityTaken),
        RENEWING,
        body=fields.LINK,
        sometimes=_COOKIES,
        parameters=_PROVIDER,
    ),
    "DELETE /identities/{provider}": Operation(
        identities.unlink,
        {200: _TOKENS},
        (*RECENT, *RENEWED, errors.IdentityNotFound, errors.LastWayIn),
        RENEWING,
        body=fields.UNLINK,
        sometimes=_COOKIES,
        parameters=_PROVIDER,
    ),
    "POST /identities/{provider}/authorization": Operation(
        identities.begin_linking,
        {200: one_of("AuthorizationUrl")},
        (*PROVIDER, *RECENT, *RENEWED),
        RENEWING,
        body=fields.BEGIN_LINKING,
        headers=_COOKIES,
        parameters=_PROVIDER,
    ),
    "POST /token/introspect": Operation(
        oauth.introspect,
        {200: one_of("Inactive", "ActiveAccessToken", "ActiveSession")},
        (errors.InvalidRequest, errors.InvalidClient),
        BY_AWS,
        form=fields.INTROSPECT,
    ),
    "POST /token/revoke": Operation(
        oauth.revoke, {200: one_of("Revoked")}, (errors.InvalidRequest,), form=fields.REVOKE
    ),
    "GET /.well-known/openid-configuration": Operation(
        well_known.metadata, {200: one_of("Metadata")}, headers=("Cache-Control",)
    ),
    "GET /.well-known/jwks.json": Operation(well_known.jwks, {200: one_of("Keys")}, headers=("Cache-Control",)),
    "GET /openapi.json": Operation(well_known.openapi, {200: one_of("Document")}, headers=("Cache-Control",)),
    "GET /health": Operation(well_known.health, {200: one_of("Health")}),
}
