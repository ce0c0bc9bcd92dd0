"""The authorizer function: API Gateway asks it before it lets a request through to a guarded route.

It is a function of its own, with a policy of its own: it may read the blacklist and the public keys. It imports as
little as it can, because its cold start is in front of every guarded request.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from chalice.app import AuthResponse, Blueprint

from chalicelib import deadline
from chalicelib.audit import JsonAuditLog
from chalicelib.aws.parameters import SystemsManagerParameters
from chalicelib.aws.parameters import make_client as make_parameters_client
from chalicelib.aws.session import new_session
from chalicelib.clock import SystemClock
from chalicelib.config import Config
from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.crypto.keyring import KeyRing
from chalicelib.domain.bearer import bearer_token
from chalicelib.domain.records import Client
from chalicelib.errors import AuthError, InvalidToken
from chalicelib.services.authorization import Authorization
from chalicelib.store.calls import make_client as make_dynamodb_client
from chalicelib.store.dynamodb import DynamoDBStore

if TYPE_CHECKING:
    from chalice.app import AuthRequest

authorizers = Blueprint("chalicelib.authorizers")

clock = SystemClock()
audit = JsonAuditLog(clock)

# API Gateway itself keeps an answer for so long, by token. Chalice reads it when it deploys, where nothing else is set.
# Without a value API Gateway would take 300 s: a revoked token would live on for five minutes.
_ttl = os.environ.get("KEYTURN_AUTHORIZER_CACHE_TTL", "").strip()
# A value that is no number is named by Config, with everything else that is wrong.
CACHE_TTL = int(_ttl) if _ttl.isascii() and _ttl.isdecimal() else 0


@lru_cache(maxsize=1)
def authorization() -> Authorization:
    """What the function needs of the product, once per container. Failures are not remembered."""
    config = Config.from_env(os.environ)
    session = new_session()
    parameters = SystemsManagerParameters(make_parameters_client(session))
    keys = KeyRing(parameters, config.parameters, clock, with_secrets=False)
    access_tokens = JwtAccessTokenCodec(keys, issuer=config.issuer, audience=config.audience)
    return Authorization(access_tokens, DynamoDBStore(make_dynamodb_client(session), config.table), clock)


@authorizers.authorizer(ttl_seconds=CACHE_TTL)
def authorize(request: AuthRequest) -> AuthResponse:
    """Let a bearer of a valid access token through, and tell the guarded function who it is.

    Exception("Unauthorized"), to the letter, is what API Gateway answers with 401. Every other exception is its
    AUTHORIZER_FAILURE, which our gateway response turns into 503: a table that is away never reads as a verdict.
    """
    try:
        ready = authorization()
        with deadline.start():
            claims = ready.authorize(bearer_token(request.token) or "")
    except InvalidToken as error:
        audit.record("token_refused", Client("", ""), why=error.debug)
        message = "Unauthorized"
        raise Exception(message) from None  # noqa: TRY002  # the one exception that API Gateway knows
    except AuthError as error:
        audit.record("authorizer_failed", Client("", ""), code=error.code, why=error.debug)
        raise
    # The whole API, because the answer may be cached and is looked up by token alone: one that named this route would
    # shut the others (regressions: serverless #6176). Which route needs which role is the routes' own business.
    return AuthResponse(
        routes=["*"],
        principal_id=claims.sub,
        context={
            "sub": claims.sub,
            "sid": claims.sid,
            "roles": " ".join(claims.roles),
            "scope": claims.scope,
            "email_verified": "true" if claims.email_verified else "false",
        },
    )
