"""POST /token/revoke (RFC 7009), POST /token/introspect (RFC 7662): form-encoded, as their RFCs say.

Errors that RFC 6749 section 5.2 has a form for are answered in that form; see boundary.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.access_tokens import AccessTokenClaims
from chalicelib.web.endpoint import Credential, endpoint
from chalicelib.web.fields import Fields, Member
from chalicelib.web.responses import json_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.domain.sessions import Session
    from chalicelib.settings.config import Config
    from chalicelib.web.endpoint import Call


# Unknown parameters are let pass, as RFC 6749 section 3.2 demands. Tokens of any length and alphabet are looked at: the
# form does not decide what they are worth.
TOKEN = {
    "token": Member(
        "The token: a refresh token, a session cookie's value or an access token.", 16 * 1024, min_length=1, secret=True
    ),
    "token_type_hint": Member(
        "Let pass and not read: Keyturn sees a token's kind from the token.", 16 * 1024, required=False
    ),
}


@endpoint({200: ("Revoked",)}, form=Fields("Revoke", TOKEN), oauth_errors=True)
def revoke(call: Call) -> Response:
    """200, whatever the token was (RFC 7009 section 2.2). A living session's token is revoked; a dead one ends nothing.

    The access token of a session that was removed, because its account had more than 100, is accepted until it expires.
    """
    call.services.revocation.revoke(call.fields["token"], call.request.caller)
    return json_response({})


@endpoint(
    {200: ("Inactive", "ActiveAccessToken", "ActiveSession")},
    credential=Credential.AWS,
    form=Fields("Introspect", TOKEN),
    oauth_errors=True,
)
def introspect(call: Call) -> Response:
    """200 with what the token says, or with `active` false and nothing else (RFC 7662 section 2.2).

    401 `invalid_client` where the gateway has not authenticated an AWS caller: section 2.1 demands authorization, and a
    route that nobody guards serves nobody.
    """
    services = call.services
    found = services.introspection.introspect(call.fields["token"])
    if found is None:
        return json_response({"active": False})
    if isinstance(found, AccessTokenClaims):
        return json_response(_of_access_token(found, services.config))
    return json_response(_of_session(found, services.config, services.clock.now()))


def _of_access_token(claims: AccessTokenClaims, config: Config) -> dict[str, Any]:
    # RFC 6749 section 3.3: a scope is one name at least, so that none is no scope.
    scope = {"scope": claims.scope} if claims.scope else {}
    return {
        "active": True,
        **scope,
        "client_id": config.audience,
        "token_type": "Bearer",
        "exp": claims.exp,
        "iat": claims.iat,
        "sub": claims.sub,
        "aud": config.audience,
        "iss": config.issuer,
        "jti": claims.jti,
        "sid": claims.sid,
        "auth_time": claims.auth_time,
        "amr": list(claims.amr),
        "roles": list(claims.roles),
        "email_verified": claims.email_verified,
    }


def _of_session(session: Session, config: Config, now: int) -> dict[str, Any]:
    # Without `token_type` (RFC 6749 section 5.1 has types for access tokens) and without `aud`: no API takes it.
    return {
        "active": True,
        "client_id": config.audience,
        "exp": session.ends_at(now),
        # A session's cookie stays the same while it is used; a refresh token is as old as the last rotation.
        "iat": session.created_at if session.transport == "session" else session.rotated_at,
        "sub": session.sub,
        "iss": config.issuer,
        "sid": session.sid,
    }
