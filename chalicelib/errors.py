"""What Keyturn can refuse, and why. No HTTP here: web/boundary.py gives each code its status.

AuthError
├── InvalidRequest                  invalid_request                  the request has not the documented form
│   ├── InvalidEmail                invalid_email                    the address cannot be one
│   ├── PasswordRejected            password_rejected                a new password breaks the policy
│   ├── CredentialRequired          credential_required              the session's long-lived credential is missing
│   ├── UnsupportedMediaType        unsupported_media_type           the body is not of the route's media type
│   └── PayloadTooLarge             payload_too_large                the body is larger than any route needs
├── InvalidCredentials              invalid_credentials              the address and the password do not fit an account
├── InvalidGrant                    invalid_grant                    the refresh token is dead, or never lived
├── InvalidCode                     invalid_code                     the authorization code is dead, or another client's
├── InvalidToken                    invalid_token                    the access token is missing, bad, dead or revoked
├── InvalidClient                   invalid_client                   no AWS caller has been authenticated
├── InsufficientUserAuthentication  insufficient_user_authentication the login is too long ago for this
├── AccessDenied                    access_denied                    the person, the provider or an operator said no
├── LoginExpired                    login_expired                    not begun in this browser, too old, or finished
├── OriginRefused                   origin_refused                   the page that asks is not allowed to
├── NavigationRequired              navigation_required              a browser asks by something else than a navigation
├── CsrfTokenInvalid                csrf_token_invalid               X-CSRF-Token is missing or not the session's
├── SessionNotFound                 session_not_found                no such session of this user
├── ProviderNotFound                provider_not_found               no such identity provider is switched on
├── IdentityNotFound                identity_not_found               the account has no identity of this provider
├── EmailTaken                      email_taken                      an account has the address already
├── EmailRequired                   email_required                   the provider tells no address that can be used
├── IdentityTaken                   identity_taken                   the identity, or its place in the account, is taken
├── LastWayIn                       last_way_in                      nobody could log in to the account any more
├── TooManyRequests                 too_many_requests                the limiter asks the caller to wait
├── Unavailable                     unavailable                      a dependency failed; the request may be sent again
│   └── ProviderError               provider_error                   the identity provider answers what it must not
└── ConfigurationError              internal_error                   the operator has to act; the log says how
"""

from __future__ import annotations

from typing import ClassVar


class AuthError(Exception):
    """A refusal with a stable code. `detail` is for the caller; `debug` is for the log alone."""

    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str | None = None, *, debug: str = "") -> None:
        super().__init__(debug or detail or self.title)
        self.detail = detail
        self.debug = debug


class InvalidRequest(AuthError):
    """The request has not the documented form."""

    code = "invalid_request"
    title = "The request is malformed"


class InvalidEmail(InvalidRequest):
    """The address cannot be one."""

    code = "invalid_email"
    title = "The email address is not valid"


class PasswordRejected(InvalidRequest):
    """A new password breaks the policy; the detail tells the person which part of it."""

    code = "password_rejected"
    title = "The password does not meet the policy"


class CredentialRequired(InvalidRequest):
    """The request must carry the session's refresh token or cookie: a copied access token alone changes no way in."""

    code = "credential_required"
    title = "The session's refresh token or cookie is missing"

    def __init__(self, *, debug: str = "") -> None:
        detail = "Send the session's own credential too: its cookie, or refresh_token in the body."
        super().__init__(detail, debug=debug)


class UnsupportedMediaType(InvalidRequest):
    """The body's MIME essence is not the one that the route takes."""

    code = "unsupported_media_type"
    title = "The body is not of the media type that this takes"


class PayloadTooLarge(InvalidRequest):
    """The body is larger than any route needs."""

    code = "payload_too_large"
    title = "The body is too large"


class InvalidCredentials(AuthError):
    """The address and the password do not fit an account; which of the two is never told."""

    code = "invalid_credentials"
    title = "The email address or the password is wrong"


class InvalidGrant(AuthError):
    """The refresh token is dead, or never lived (RFC 6749 section 5.2)."""

    code = "invalid_grant"
    title = "The refresh token is not valid"


class InvalidCode(AuthError):
    """The authorization code is used, expired, or not of this verifier, redirect or nonce (RFC 6749 section 5.2)."""

    code = "invalid_code"
    title = "The authorization code is not valid"


class InvalidToken(AuthError):
    """The access token is missing, bad, expired or revoked (RFC 6750 section 3.1)."""

    code = "invalid_token"
    title = "The access token is missing or not valid"


class InvalidClient(AuthError):
    """The gateway has not authenticated an AWS caller with permission (RFC 6749 section 5.2, RFC 7662 section 2.3)."""

    code = "invalid_client"
    title = "The caller is not authenticated"


class InsufficientUserAuthentication(AuthError):
    """The session's login is longer than `max_age` seconds ago (RFC 9470 section 3, ASVS V7.5.1)."""

    code = "insufficient_user_authentication"
    title = "Log in again to do this"

    def __init__(self, max_age: int, *, debug: str = "") -> None:
        super().__init__(f"This takes a login within the last {max_age} s.", debug=debug)
        self.max_age = max_age


class AccessDenied(AuthError):
    """The person or the provider refused the login, or an operator has disabled the account."""

    code = "access_denied"
    title = "Access is denied"


class LoginExpired(AuthError):
    """The login at a provider was not begun in this browser, took too long, or is finished already."""

    code = "login_expired"
    title = "The login has expired or was finished already"


class OriginRefused(AuthError):
    """The request comes from a page that is not allowed to make it."""

    code = "origin_refused"
    title = "Requests from this origin are not allowed"

    def __init__(self, *, debug: str = "") -> None:
        pages = (
            "A request that carries or sets a cookie must come from a page of this API or of KEYTURN_ALLOWED_ORIGINS."
        )
        programs = 'A program sends "transport": "body" when it signs up or logs in, and gets no cookie.'
        super().__init__(f"{pages} {programs}", debug=debug)


class NavigationRequired(AuthError):
    """A browser asks by something else than a navigation of a tab: an image, a frame, a script, a prefetch."""

    code = "navigation_required"
    title = "This address is for navigations alone"

    def __init__(self, *, debug: str = "") -> None:
        detail = "Send the browser here by a link, a form or location.assign(). Images, frames and scripts are refused."
        super().__init__(detail, debug=debug)


class CsrfTokenInvalid(AuthError):
    """X-CSRF-Token is missing or belongs to another session."""

    code = "csrf_token_invalid"
    title = "The X-CSRF-Token header is missing or not valid"


class SessionNotFound(AuthError):
    """The user has no such session: ended, expired, or somebody else's."""

    code = "session_not_found"
    title = "There is no such session"


class ProviderNotFound(AuthError):
    """There is no such identity provider, or it is not switched on."""

    code = "provider_not_found"
    title = "There is no such identity provider"


class IdentityNotFound(AuthError):
    """The account has no identity of this provider."""

    code = "identity_not_found"
    title = "There is no such identity"


class EmailTaken(AuthError):
    """An account has the address already."""

    code = "email_taken"
    title = "An account with this email address exists"


class EmailRequired(AuthError):
    """The identity provider tells no email address that an account can have."""

    code = "email_required"
    title = "The identity provider tells no usable email address"


class IdentityTaken(AuthError):
    """The identity is another account's, or the account has another identity of this provider."""

    code = "identity_taken"
    title = "The identity or its place in the account is taken"


class LastWayIn(AuthError):
    """Without this identity nobody could log in to the account any more."""

    code = "last_way_in"
    title = "This is the last way to log in to the account"


class TooManyRequests(AuthError):
    """The limiter asks the caller to wait `retry_after` seconds.

    `policy` is the name of what refused: it lets `quota` attempts through at once in `window` seconds.
    """

    code = "too_many_requests"
    title = "Too many attempts"

    def __init__(self, retry_after: int, *, policy: str, quota: int, window: int, debug: str = "") -> None:
        super().__init__(f"Wait {retry_after} s before the next attempt.", debug=debug)
        self.retry_after, self.policy, self.quota, self.window = retry_after, policy, quota, window


class Unavailable(AuthError):
    """A dependency failed or was too slow. Sending the same request again, `retry_after` seconds later, is safe."""

    code = "unavailable"
    title = "The service is not available right now"
    retry_after = 1


class ProviderError(Unavailable):
    """The identity provider answered what OpenID Connect does not allow, or refused Keyturn itself."""

    code = "provider_error"
    title = "The identity provider did not answer as it must"


class ConfigurationError(AuthError):
    """The operator has to act. The message names every problem and its remedy; callers see `internal_error`."""

    code = "internal_error"
    title = "An internal error occurred"
