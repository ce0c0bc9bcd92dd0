"""Logins at identity providers. Pure, frozen; times are whole seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chalicelib.domain.callers import Transport


class PendingLogin(NamedTuple):
    """A login that a browser has begun at an identity provider, and may finish once until `expires_at`.

    `linking` is (sub, sid, generation) of the credential that asked to link what comes of it; None where it is to begin
    a session. `max_age` is how many seconds ago the provider may have seen the person; None where any login will do.
    """

    provider: str
    return_to: str
    transport: Transport
    expires_at: int
    linking: tuple[str, str, int] | None = None
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """An authorization code with what has to fit it (RFC 6749 section 4.1.3, RFC 7636, OpenID Connect's nonce)."""

    code: str = field(repr=False)
    code_verifier: str = field(repr=False)
    redirect_uri: str
    nonce: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as an identity provider has just vouched for them.

    `issuer` is the configured one, whatever the token's spelling of it. `email` and `email_verified` are None where the
    provider has not told them yet; `access_token` is what it can be asked with. `auth_time` is when it saw the person.
    """

    provider: str
    issuer: str
    subject: str
    email: str | None = None
    email_verified: bool | None = None
    auth_time: int | None = None
    access_token: str = field(default="", repr=False)
