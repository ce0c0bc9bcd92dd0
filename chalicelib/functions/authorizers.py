"""The authorizer functions: API Gateway asks them before it lets a request through to a guarded route.

`guard` answers every kind of API, for bearers and session cookies; of secrets it may read the group `sessions` alone.
`authorize` answers TOKEN authorizers, for bearers alone, and may read no secret. Each is a function of its own, with a
policy of its own. They import as little as they can, because their cold start is in front of a guarded request.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalice.app import AuthResponse, Blueprint

from chalicelib import deadline
from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.crypto.csrf_tokens import CsrfTokens
from chalicelib.crypto.keys import SESSIONS
from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
from chalicelib.domain import invocations
from chalicelib.domain.bearer import bearer_token
from chalicelib.domain.callers import Caller
from chalicelib.errors import AuthError, InvalidGrant, InvalidToken
from chalicelib.functions import container
from chalicelib.guard import questions, verdicts
from chalicelib.services.sessions.authorization import Authorization, principal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import AuthRequest

authorizers = Blueprint("chalicelib.authorizers")


@lru_cache(maxsize=1)
def authorization() -> Authorization:
    """What `authorize` needs of the product, once per container. Failures are not remembered."""
    return _compose(container.parts(groups=()))


@lru_cache(maxsize=1)
def guarding() -> verdicts.Guard:
    """What `guard` needs of the product, once per container. Failures are not remembered."""
    parts = container.parts(groups=(SESSIONS,))
    return verdicts.Guard(
        authorization=_compose(parts),
        session_tokens=RefreshTokenCodec(parts.keys),
        csrf_tokens=CsrfTokens(parts.keys),
        allowed_origins=parts.config.pages.allowed_origins,
        requirements=parts.config.guards.requirements,
    )


def _takes_questions(answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], dict[str, Any]]:
    """Have a TOKEN authorizer's own questions alone reach Chalice, which would raise KeyError at every other event."""

    def handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401  # what Lambda hands over
        if invocations.is_ping(event):
            return _warm(authorization)
        question = questions.read(event)
        if question.kind != "token":
            return _foreign(event, "a TOKEN authorizer's questions")
        if not question.api:
            raise _refusal(InvalidToken(debug="no question that API Gateway asks"), question.request.caller)
        (token,) = question.request.headers["authorization"]
        answered: dict[str, Any] = answer({**event, "authorizationToken": token}, context)
        return answered

    return handler


# Where a route of ours named it: without a value API Gateway would keep its answers for 300 s.
@_takes_questions
@authorizers.authorizer(ttl_seconds=0)
def authorize(request: AuthRequest) -> AuthResponse:
    """Let a bearer of a valid access token through, and tell the guarded function who it is.

    Exception("Unauthorized"), to the letter, is what API Gateway answers with 401. Every other exception is its
    AUTHORIZER_FAILURE, which our gateway response turns into 503: a table that is away never reads as a verdict.
    """
    try:
        ready = authorization()
        with deadline.start():
            claims = ready.authorize(bearer_token(request.token) or "")
    except AuthError as error:
        raise _refusal(error, Caller("", "")) from None
    # The whole API, because the answer may be cached and is looked up by token alone: one that named this route would
    # shut the others (regressions: serverless #6176). Which route needs which role is the routes' own business.
    return AuthResponse(routes=["*"], principal_id=claims.sub, context=verdicts.context_of(principal_of(claims)))


@authorizers.lambda_function(name="guard")
def guard(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401  # what Lambda hands over
    """Answer an authorizer's question of any kind, for the variant whose alias was invoked.

    Exceptions as `authorize`: the one word for a credential that is not accepted, anything else where that cannot be
    told. An answer that denies says that somebody is known and may not do this. An event that is no question gets an
    answer that is none.
    """
    if invocations.is_ping(event):
        return _warm(guarding)
    question = questions.read(event)
    if not question.asked:
        return _foreign(event, "an authorizer's questions, of any kind of API")
    try:
        ready = guarding()
        requirement = verdicts.requirement_of(getattr(context, "invoked_function_arn", None), ready.requirements)
        with deadline.start():
            verdict = verdicts.judge(question, ready, requirement)
    except AuthError as error:
        raise _refusal(error, question.request.caller) from None
    if verdict.error:
        container.audit.record("guard_refused", question.request.caller, code=verdict.error, sub=verdict.principal_id)
    return verdicts.answer(question, verdict, requirement)


def _compose(parts: container.Parts) -> Authorization:
    config = parts.config
    access_tokens = JwtAccessTokenCodec(parts.keys, issuer=config.issuer, audience=config.audience)
    return Authorization(
        access_tokens, parts.store, container.clock, container.audit, role_scopes=config.sessions.role_scopes
    )


def _warm(compose: Callable[[], object]) -> dict[str, Any]:
    """Answer a ping: everything is put together, as far as that can be had. The next question tells what cannot."""
    with suppress(AuthError):
        compose()
    return {}


def _foreign(event: object, takes: str) -> dict[str, Any]:
    """Answer an event that asks nothing, with what is no verdict in any form: API Gateway lets nobody through."""
    error = invocations.error(event, takes)
    container.audit.record("foreign_event", Caller("", ""), why=error["errorMessage"])
    return {**error}


def _refusal(error: AuthError, caller: Caller) -> Exception:
    """The error as API Gateway is to see it, once it is written down."""
    if isinstance(error, InvalidToken | InvalidGrant):
        container.audit.record("token_refused", caller, why=error.debug)
        return Exception("Unauthorized")
    container.audit.record("authorizer_failed", caller, code=error.code, why=error.debug)
    return error
