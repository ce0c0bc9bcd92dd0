"""A guard by its ARN. Chalice's CustomAuthorizer sees one header; this one sees the request, cookies included."""

from __future__ import annotations

from typing import Any

from chalice.app import Authorizer


class Guard(Authorizer):
    """Keyturn's function `guard`, or one of its aliases, as a REQUEST authorizer.

    `cache_seconds`: how long API Gateway keeps an answer, by the Authorization header. A revoked token opens the API
    for so much longer. With a cache the header is needed, so that session cookies are no credential then; nor must
    they be: what they may do depends on more of the request than the key of the cache holds.
    """

    def __init__(self, name: str, function_arn: str, cache_seconds: int) -> None:
        self.name = name
        self.scopes = []
        region = function_arn.split(":")[3]
        self._uri = f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function_arn}/invocations"
        self._cache_seconds = cache_seconds

    def to_swagger(self) -> dict[str, Any]:
        """The definition that chalice puts into the API's document."""
        sources = {"identitySource": "method.request.header.Authorization"} if self._cache_seconds else {}
        return {
            "in": "header",
            "type": "apiKey",
            "name": "Unused",
            "x-amazon-apigateway-authtype": "custom",
            "x-amazon-apigateway-authorizer": {
                "type": "request",
                "authorizerUri": self._uri,
                "authorizerResultTtlInSeconds": self._cache_seconds,
                **sources,
            },
        }

    def with_scopes(self, scopes: list[str]) -> Authorizer:
        """NotImplementedError: API Gateway reads a route's scopes for Cognito alone."""
        raise NotImplementedError(scopes)
