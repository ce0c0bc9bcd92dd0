"""What logging in at an identity provider is asked for with, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chalicelib.domain.callers import Transport
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services.sessions.grants import Grant

LOGIN_SECONDS = 600  # that a login at a provider may take


class LoginRequest(NamedTuple):
    """What a page asks for: where to come back to and how; `max_age`: OpenID Connect Core section 3.1.2.1, seconds.

    `device_token` is what an earlier login, to any account, left in the browser, unverified.
    """

    return_to: str
    transport: Transport
    max_age: int | None = None
    device_token: str | None = None


class AuthorizationRequest(NamedTuple):
    """Where to send the browser, the login's state, and the secret that the browser has to keep (base64url)."""

    authorization_url: str
    state: str
    browser_secret: str


class Callback(NamedTuple):
    """The provider's answer as a browser brings it (RFC 6749 section 4.1.2, RFC 9207), and what that browser holds."""

    state: str
    code: str | None
    error: str | None
    iss: str | None
    browser_secret: bytes | None
    carried: tuple[RefreshToken, ...]
    device_token: str | None = None


class Return(NamedTuple):
    """Where the browser goes at last: with a grant, or with an error's code.

    A callback that is loaded again after its login has succeeded has neither. After linking the grant renews the
    session that the browser came with, or there is none (`linked` is True).
    """

    return_to: str
    grant: Grant | None = None
    error: str | None = None
    linked: bool = False
