"""Who asks: where a request came from, how its credential travels, and whom it was found to be of."""

from __future__ import annotations

from typing import Literal, NamedTuple

Transport = Literal["cookie", "body", "session"]
TRANSPORTS: tuple[Transport, ...] = ("cookie", "body", "session")


class Caller(NamedTuple):
    """Where a request came from, as the gateway saw it: never from a header that the caller can set."""

    address: str
    user_agent: str
    request_id: str = ""


class Principal(NamedTuple):
    """Who a guarded handler acts for: what the authorizer found behind a credential that it accepted.

    `auth_time` is when the person was authenticated, in seconds since the epoch.
    """

    sub: str
    sid: str
    roles: tuple[str, ...]
    scope: str
    email_verified: bool
    auth_time: int
