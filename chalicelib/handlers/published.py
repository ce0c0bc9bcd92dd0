"""GET /.well-known/jwks.json, GET /health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.handlers.responses import json_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.handlers.request import Request
    from chalicelib.services import Services

# A key is published ten minutes before it signs; half of that leaves a verifier time to fetch it.
JWKS_MAX_AGE = 300


def jwks(_request: Request, services: Services) -> Response:
    """The public keys (RFC 7517 section 5), those that will sign next included."""
    body = {"keys": [dict(key.jwk) for key in services.keys.public_keys()]}
    return json_response(body, headers={"Cache-Control": f"public, max-age={JWKS_MAX_AGE}"})


def health(_request: Request, _services: Services) -> Response:
    """Liveness: configuration and keys are in place. The table is not asked: its outages are not this function's."""
    return json_response({"status": "ok"})
