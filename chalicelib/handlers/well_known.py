"""GET /.well-known/jwks.json, GET /.well-known/openid-configuration, GET /openapi.json, GET /health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.web.endpoint import endpoint
from chalicelib.web.responses import json_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalice.app import Response

    from chalicelib.web.endpoint import Call, Endpoint, Route

# A key is published ten minutes before it signs; half of that leaves a verifier time to fetch it.
JWKS_MAX_AGE = 300
CACHED = ("Cache-Control",)
PUBLIC = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE}"}

# What access tokens say, as crypto/access_tokens.py signs them.
CLAIMS = (
    "iss",
    "sub",
    "aud",
    "client_id",
    "exp",
    "iat",
    "jti",
    "sid",
    "ver",
    "auth_time",
    "amr",
    "roles",
    "scope",
    "email_verified",
)


@endpoint({200: ("Keys",)}, headers=CACHED)
def jwks(call: Call) -> Response:
    """The public keys (RFC 7517 section 5), those that will sign next included."""
    body = {"keys": [dict(key.jwk) for key in call.services.keys.public_keys()]}
    return json_response(body, headers=PUBLIC)


@endpoint({200: ("Metadata",)}, headers=CACHED)
def metadata(call: Call) -> Response:
    """What verifiers need to know of this issuer (OpenID Connect Discovery section 3, RFC 8414 section 2).

    There is no authorization or token endpoint to name; why that is right: docs/decisions/0012-metadata.md.
    """
    services = call.services
    issuer = services.config.issuer
    scopes = sorted({scope for granted in services.config.sessions.role_scopes.values() for scope in granted})
    body: dict[str, Any] = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "revocation_endpoint": f"{issuer}/token/revoke",
        "revocation_endpoint_auth_methods_supported": ["none"],
        # How its callers authenticate, AWS Signature Version 4, has no registered name: RFC 8414 leaves it out then.
        "introspection_endpoint": f"{issuer}/token/introspect",
        # REQUIRED, and of no meaning without an authorization endpoint: what issuers of this kind say.
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        # Of the keys and not of the setting: while the algorithm changes, tokens of both are verified.
        "id_token_signing_alg_values_supported": sorted({key.algorithm for key in services.keys.public_keys()}),
        "claims_supported": CLAIMS,
    }
    if scopes:  # section 4.2: claims with zero elements MUST be omitted
        body["scopes_supported"] = scopes
    return json_response(body, headers=PUBLIC)


def description(routes: Callable[[], Iterable[Route]]) -> Endpoint:
    """GET /openapi.json, of the API that has these routes: asked for late, because that route is one of them."""

    @endpoint({200: ("Document",)}, headers=CACHED)
    def openapi(call: Call) -> Response:
        """The API's own description (OpenAPI 3.1)."""
        from chalicelib.web.openapi import document  # noqa: PLC0415  # for this route alone; no cold start pays for it

        return json_response(document(call.services.config, routes()), headers=PUBLIC)

    return openapi


@endpoint({200: ("Health",)})
def health(_call: Call) -> Response:
    """Liveness: configuration and keys are in place. The table is not asked: its outages are not this function's."""
    return json_response({"status": "ok"})
