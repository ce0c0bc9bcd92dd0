"""The universal authorizer's answers: who may pass, and how each kind of API is told.

What there is, what comes of it here, and what the caller sees:

    the credential is missing, bad or dead          InvalidToken, InvalidGrant                    401
    the page may not use the cookie                 denied: origin_refused, csrf_token_invalid    403
    a role, a scope or a recent login is missing    denied: insufficient_…                        403
    what it takes to know is away                   Unavailable                                   500 or 503
    everything holds                                allowed, with the principal as context
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.domain.bearer import bearer_token
from chalicelib.domain.requirements import Requirement, is_role
from chalicelib.errors import ConfigurationError, CsrfTokenInvalid, InvalidToken, OriginRefused
from chalicelib.services.sessions.authorization import principal_of
from chalicelib.web import cookies
from chalicelib.web.origins import SAFE_METHODS, require_allowed_page, require_csrf_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.crypto.csrf_tokens import CsrfTokens
    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.domain.callers import Principal
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.guard.questions import Question
    from chalicelib.services.sessions.authorization import Authorization

# Its last part is the qualifier: an alias, a version, or none where the function itself was named.
INVOKED = re.compile(r"arn:[^:]+:lambda:[^:]+:[^:]+:function:[^:]+(?::(.+))?", re.DOTALL)


@dataclass(slots=True, eq=False, repr=False)
class Guard:
    """What judging takes: the part of the product that checks credentials, and the settings that decide."""

    authorization: Authorization
    session_tokens: RefreshTokenCodec
    csrf_tokens: CsrfTokens
    allowed_origins: frozenset[str]
    requirements: Mapping[str, Requirement]


class Verdict(NamedTuple):
    """The decision about somebody: `error` says why they may not pass, None that they may, with `context`."""

    principal_id: str
    context: Mapping[str, str]
    error: str | None = None


def requirement_of(invoked_function_arn: object, requirements: Mapping[str, Requirement]) -> Requirement:
    """What the variant asks for whose alias was invoked.

    ConfigurationError for an alias that no setting names, or an ARN that is none: nobody passes a guard whose
    requirement is not known.
    """
    invoked = INVOKED.fullmatch(invoked_function_arn) if isinstance(invoked_function_arn, str) else None
    if invoked is None:
        raise ConfigurationError(debug="guard does not know which of its aliases was invoked")
    alias = invoked[1]
    if alias in (None, "$LATEST"):
        return Requirement()
    if alias not in requirements:
        raise ConfigurationError(debug=f"KEYTURN_GUARDS names no guard {alias[:128]!a}")
    return requirements[alias]


def judge(question: Question, guard: Guard, requirement: Requirement) -> Verdict:
    """Decide. InvalidToken or InvalidGrant where there is no credential that is accepted now; Unavailable.

    What cannot be genuine is refused without asking the table.
    """
    if question.kind is None or not question.api:
        raise InvalidToken(debug="no question that API Gateway asks")
    request = question.request
    # Whoever sends the header means it: a cookie that came along neither helps nor needs a page's permission.
    if "authorization" in request.headers:
        bearer = bearer_token(request.header("authorization"))
        principal = principal_of(guard.authorization.authorize(bearer or ""))
    else:
        presented = _carried_session(question, guard)
        try:
            _require_page(question, guard, presented.sid)
        except (OriginRefused, CsrfTokenInvalid) as error:
            return _denied(presented.sub, error.code)
        principal = guard.authorization.authorize_session(presented, request.caller)
    unmet = requirement.unmet(principal, guard.authorization.clock.now())
    return _denied(principal.sub, unmet) if unmet else Verdict(principal.sub, context_of(principal))


def context_of(principal: Principal) -> dict[str, str]:
    """What the guarded function learns. Strings, because that is all that REST APIs pass on."""
    return {
        "sub": principal.sub,
        "sid": principal.sid,
        # A role that another API could not tell from two is not passed on.
        "roles": " ".join(role for role in principal.roles if is_role(role)),
        "scope": principal.scope,
        "email_verified": "true" if principal.email_verified else "false",
        "auth_time": str(principal.auth_time),
    }


def answer(question: Question, verdict: Verdict, requirement: Requirement) -> dict[str, Any]:
    """The verdict in the form that this kind of API reads."""
    if question.kind == "http2" and requirement.answer == "simple":
        return {"isAuthorized": verdict.error is None, "context": dict(verdict.context)}
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if verdict.error is None else "Deny",
        # The whole API and stage: the answer may be cached, and is then looked up by the credential alone. One that
        # named this route would shut or open the others (regressions: serverless #6176).
        "Resource": f"{question.api}/*",
    }
    return {
        "principalId": verdict.principal_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": dict(verdict.context),
    }


def _carried_session(question: Question, guard: Guard) -> RefreshToken:
    cookie = question.request.cookie(cookies.SESSION)
    if cookie is None:
        has_cookie = question.request.names_cookie(cookies.SESSION)
        raise InvalidToken(debug="session cookie not readable" if has_cookie else "no credential")
    return guard.session_tokens.decode(cookie, "session")


def _require_page(question: Question, guard: Guard, sid: str) -> None:
    request = question.request
    if question.kind == "websocket":
        # No page can set a header on a handshake, browsers apply no CORS to it, and `Origin` is what they always send
        # (RFC 6455 section 10.2).
        if request.header("origin") not in guard.allowed_origins:
            raise OriginRefused
    elif request.method not in SAFE_METHODS:
        require_allowed_page(request, guard.allowed_origins)
        require_csrf_token(request, guard.csrf_tokens, sid)


def _denied(sub: str, error: str) -> Verdict:
    return Verdict(sub, {"error": error}, error)
