"""The API's function as Lambda invokes it: API Gateway's requests go to Chalice, everything else is answered here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chalice.app import Chalice

from chalicelib.domain import invocations
from chalicelib.domain.callers import Caller
from chalicelib.errors import AuthError
from chalicelib.web import boundary
from chalicelib.web.responses import problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.web.routes import Product

TAKES = "requests of its own REST API (AWS_PROXY, payload format 1.0)"
# What Chalice reads of every request. A member that is missing is a KeyError there, with its traceback in the log.
MEMBERS = ("headers", "multiValueQueryStringParameters", "pathParameters", "stageVariables", "body", "requestContext")


class Api(Chalice):
    """Chalice's app, which is the function's handler: `app.app`."""

    def __init__(self, app_name: str, product: Product) -> None:
        super().__init__(app_name)
        self.product = product

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401  # what Lambda hands over
        """Answer the event. A ping has the container read its settings and keys, whose failure the next request tells.

        An event that is no request of this API is a fault of how the function is tied to something: 500, one line in
        the log, nothing raised. The answer is an HTTP answer, for load balancers and HTTP APIs that ask so.
        """
        if invocations.is_ping(event):
            with suppress(AuthError):
                self.product.services()
            return {}
        if not self._is_request(event):
            error = invocations.error(event, TAKES)
            self.product.audit.record("foreign_event", Caller("", ""), why=error["errorMessage"])
            response = problem(500, *boundary.FRAMEWORK[500], error["errorMessage"])
            answer: dict[str, Any] = boundary.finish(response).to_dict()
            return answer
        answered: dict[str, Any] = super().__call__(event, context)
        return answered

    def _is_request(self, event: object) -> bool:
        if not isinstance(event, dict) or any(name not in event for name in MEMBERS):
            return False
        context = event["requestContext"]
        if not isinstance(context, dict) or not isinstance(context.get("httpMethod"), str):
            return False
        path = context.get("resourcePath")
        methods = self.routes.get(path, {}) if isinstance(path, str) else {}
        return bool(methods) and _is_readable(event) and _has_parameters(event, methods)


def _is_readable(event: Mapping[str, Any]) -> bool:
    """Whether what Chalice takes for an object is one, or null."""
    objects = ("headers", "multiValueHeaders", "multiValueQueryStringParameters", "pathParameters", "stageVariables")
    body = isinstance(event["body"], str | bytes | None)  # bytes under `make run`, where no JSON was between
    return body and all(isinstance(event.get(name), dict | None) for name in objects)


def _has_parameters(event: Mapping[str, Any], methods: Mapping[str, Any]) -> bool:
    given = event["pathParameters"] or {}
    return all(isinstance(given.get(name), str) for route in methods.values() for name in route.view_args)
