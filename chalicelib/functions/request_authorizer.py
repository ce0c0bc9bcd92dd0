"""How Keyturn's own guarded routes are guarded: by the function `guard`, with a bearer token or a session cookie."""

from __future__ import annotations

from typing import Any

from chalice.app import Authorizer


class RequestAuthorizer(Authorizer):
    """An authorizer that sees the whole request. Chalice's decorator makes TOKEN authorizers alone, which see a header.

    API Gateway keeps none of its answers and names no identity source: a cookie may come instead of a token, and with
    a cookie the verdict depends on method, Origin and CSRF token too.
    """

    name = "guard"

    def to_swagger(self) -> dict[str, Any]:
        """Its security definition. The function's ARN is known to deployment alone, which puts it into the URI."""
        return {
            "in": "header",
            "type": "apiKey",
            "name": "Unused",  # what API Gateway's documentation writes where no one header is the credential
            "x-amazon-apigateway-authtype": "custom",
            "x-amazon-apigateway-authorizer": {
                "type": "request",
                "authorizerResultTtlInSeconds": 0,
                "authorizerUri": "",
            },
        }

    def with_scopes(self, scopes: list[str]) -> Authorizer:
        """NotImplementedError: API Gateway reads a route's scopes for Cognito alone. Ours are in KEYTURN_GUARDS."""
        raise NotImplementedError(scopes)


guard = RequestAuthorizer()
