"""Who calls, and whether they may: for Python functions behind an API that Keyturn's authorizer guards.

    @require(roles=["admin"], max_age=300)
    def handler(event, context, principal):
        return {"statusCode": 200, "body": principal.sub}

The authorizer decides whose request it is, before the function runs. What it found is in the event's request context,
which API Gateway alone writes. A function that runs without it, because a route was deployed without its authorizer,
must not serve: here it refuses.

Works for functions behind REST APIs, HTTP APIs (payload 1.0 and 2.0) and WebSocket APIs, and for Chalice's views. One
file, standard library alone.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

CLOCKS_DIFFER = 60  # seconds that the clock that wrote `auth_time` may be ahead
TITLES = {401: "Unauthorized", 403: "Forbidden"}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. `sid` is the session; `auth_time` is when the person logged in, in seconds since the epoch."""

    sub: str
    sid: str
    roles: frozenset[str]
    scopes: frozenset[str]
    email_verified: bool
    auth_time: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served. `code` is for programs and stands in the body."""

    status: int
    code: str
    challenge: str

    @property
    def headers(self) -> dict[str, str | list[str]]:
        """Headers of the answer. A REST API sends WWW-Authenticate as x-amzn-Remapped-WWW-Authenticate."""
        return {
            "Content-Type": "application/problem+json",
            "Cache-Control": "no-store",
            "WWW-Authenticate": self.challenge,
        }

    @property
    def body(self) -> str:
        """The answer's body, in Keyturn's own form (RFC 9457)."""
        title = TITLES[self.status]
        return json.dumps({"type": "about:blank", "title": title, "status": self.status, "code": self.code})


def principal_of(request_context: object) -> Principal | None:
    """Who calls, from an event's `requestContext`; None where no authorizer of Keyturn's has vouched for anybody."""
    authorizer = _mapping(_mapping(request_context).get("authorizer"))
    # HTTP APIs keep what a Lambda authorizer found apart from what others found; REST and WebSocket APIs do not.
    found = _mapping(authorizer.get("lambda")) or authorizer
    sub, sid = _text(found, "sub"), _text(found, "sid")
    if not sub or not sid:
        return None
    auth_time = _text(found, "auth_time")
    return Principal(
        sub=sub,
        sid=sid,
        roles=frozenset(_text(found, "roles").split()),
        scopes=frozenset(_text(found, "scope").split()),
        # A string: whatever else is true in Python means nothing here.
        email_verified=found.get("email_verified") == "true",
        auth_time=int(auth_time) if auth_time.isascii() and auth_time.isdecimal() else 0,
    )


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a function asks for. All of it must hold; an empty one asks for somebody."""

    roles: frozenset[str]
    scopes: frozenset[str]
    max_age: int | None

    def judge(self, request_context: object, now: float) -> Principal | Refusal:
        """Who calls, or why they are refused. What another login cannot mend comes first."""
        principal = principal_of(request_context)
        if principal is None:
            return Refusal(401, "invalid_token", "Bearer")
        if not self.roles <= principal.roles or not self.scopes <= principal.scopes:
            scope = f', scope="{" ".join(sorted(self.scopes))}"' if self.scopes else ""
            return Refusal(403, "insufficient_scope", f'Bearer error="insufficient_scope"{scope}')
        # A login of the future was written down by a wrong clock. It would be recent until that time has come.
        if self.max_age is not None and not -CLOCKS_DIFFER <= now - principal.auth_time <= self.max_age:
            code = "insufficient_user_authentication"
            return Refusal(401, code, f'Bearer error="{code}", max_age="{self.max_age}"')
        return principal


def require(
    *,
    roles: Collection[str] = (),
    scopes: Collection[str] = (),
    max_age: int | None = None,
    app: Any = None,  # noqa: ANN401  # chalice is nothing that this file depends on
    clock: Callable[[], float] = time.time,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Serve somebody whom the authorizer knows, who has all these roles and scopes, and who logged in recently enough.

    `max_age`: seconds since the login. The decorated function gets the Principal as `principal`. With `app`, a Chalice
    application, it is a view; else it takes Lambda's `event` and `context`. Whoever is refused gets an answer:

        no principal         401 invalid_token
        role, scope missing  403 insufficient_scope (RFC 6750 section 3.1)
        login too old        401 insufficient_user_authentication (RFC 9470 section 3)

    TypeError where `roles` or `scopes` is a single string, which would ask for each of its letters.
    """
    if isinstance(roles, str) or isinstance(scopes, str):
        message = "roles and scopes are collections of names: [name]"
        raise TypeError(message)
    requirement = Requirement(frozenset(roles), frozenset(scopes), max_age)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def handler(event: Any, context: Any) -> Any:  # noqa: ANN401  # Lambda's
            found = requirement.judge(_mapping(event).get("requestContext"), clock())
            if isinstance(found, Refusal):
                return {"statusCode": found.status, "headers": found.headers, "body": found.body}
            return function(event, context, principal=found)

        @wraps(function)
        def view(**path: str) -> Any:  # noqa: ANN401  # chalice's
            found = requirement.judge(app.current_request.context, clock())
            if isinstance(found, Refusal):
                from chalice.app import Response  # noqa: PLC0415  # whoever has an app has chalice

                return Response(found.body, found.headers, found.status)
            return function(**path, principal=found)

        return handler if app is None else view

    return decorate


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
