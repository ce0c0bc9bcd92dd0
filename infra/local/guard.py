"""Guarded routes under `make run`: chalice's local mode lets everybody through where an authorizer is like ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import ChaliceAuthorizer
from chalice.local import ForbiddenError, LambdaContext, LocalGatewayAuthorizer

from chalicelib.functions import authorizers
from chalicelib.functions.request_authorizer import RequestAuthorizer

if TYPE_CHECKING:
    from collections.abc import Mapping

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:keyturn-local-guard"


class LocalGuard(LocalGatewayAuthorizer):
    """Asks the function `guard` as API Gateway would. What guard raises passes through: the caller reads it."""

    def authorize(self, raw_path: str, lambda_event: Any, lambda_context: LambdaContext) -> tuple[Any, LambdaContext]:  # noqa: ANN401  # chalice's types
        """Note in the event who calls. ForbiddenError where guard denies.

        A route that asks for IAM is left to its handler, which refuses whoever is not named: nobody is signed in here.
        """
        route = self._route_for_event(lambda_event)
        authorizer = route.authorizer if route else None
        if isinstance(authorizer, ChaliceAuthorizer):
            checked: tuple[Any, LambdaContext] = super().authorize(raw_path, lambda_event, lambda_context)
            return checked
        if isinstance(authorizer, RequestAuthorizer):
            arn = self._arn_builder.build_arn(lambda_event["requestContext"]["httpMethod"], raw_path)
            context = LambdaContext("guard", memory_size=512)
            context.invoked_function_arn = FUNCTION
            answer = authorizers.guard(_request_event(arn, lambda_event), context)
            if {statement["Effect"] for statement in answer["policyDocument"]["Statement"]} != {"Allow"}:
                raise ForbiddenError({"x-amzn-ErrorType": "AccessDeniedException"})
            lambda_event["requestContext"]["authorizer"] = {"principalId": answer["principalId"], **answer["context"]}
        return lambda_event, lambda_context


def _request_event(arn: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """The event of a REQUEST authorizer, from the one that chalice makes for the route."""
    context = event["requestContext"]
    return {
        "type": "REQUEST",
        "methodArn": arn,
        "resource": context["resourcePath"],
        "path": context["path"],
        "httpMethod": context["httpMethod"],
        "headers": dict(event["headers"]),
        "multiValueHeaders": {name: [value] for name, value in event["headers"].items()},
        "multiValueQueryStringParameters": event["multiValueQueryStringParameters"],
        "pathParameters": event["pathParameters"],
        "stageVariables": event["stageVariables"],
        "requestContext": dict(context),
    }
