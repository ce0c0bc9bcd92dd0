"""POST /signup, POST /login, POST /password/change, POST /logout/all, GET /me."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import errors
from chalicelib.services.accounts.credentials import Credentials
from chalicelib.web import cookies, fields
from chalicelib.web.credentials import device_token_of, displaced_cookies, transport_of
from chalicelib.web.endpoint import Credential, endpoint
from chalicelib.web.fields import Fields, Member
from chalicelib.web.responses import COOKIES, TOKENS, json_response, no_content, token_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.web.endpoint import Call

SIGN_UP = Fields("SignUp", {"email": fields.EMAIL, "password": fields.PASSWORD, "transport": fields.TRANSPORT})
LOG_IN = Fields("LogIn", {**SIGN_UP.members, "device_token": fields.DEVICE_TOKEN})
CHANGE_PASSWORD = Fields(
    "ChangePassword",
    {
        "current_password": Member(
            "The password of today; left out where the account has none.",
            max_length=fields.MAX_PASSWORD,
            required=False,
            format="password",
            secret=True,
        ),
        "new_password": fields.PASSWORD,
        "refresh_token": fields.REFRESH_TOKEN,
        "device_token": fields.DEVICE_TOKEN,
    },
)


@endpoint(
    {201: TOKENS},
    credential=Credential.BEGINS,
    body=SIGN_UP,
    errors=(errors.PasswordRejected, errors.InvalidEmail, errors.EmailTaken, errors.TooManyRequests),
    sometimes=COOKIES,
)
def sign_up(call: Call) -> Response:
    """201 with the token response; 409 `email_taken`."""
    credentials = _credentials(call)
    grant = call.services.sign_up(credentials, call.request.caller)
    displaced = displaced_cookies(call.request, call.services, credentials.transport)
    return token_response(grant, call.services.config, 201, displaced=displaced)


@endpoint(
    {200: TOKENS},
    credential=Credential.BEGINS,
    body=LOG_IN,
    errors=(errors.InvalidEmail, errors.InvalidCredentials, errors.TooManyRequests),
    sometimes=COOKIES,
)
def log_in(call: Call) -> Response:
    """200 with the token response; 401 `invalid_credentials`."""
    credentials = _credentials(call)
    grant = call.services.log_in(credentials, call.request.caller)
    displaced = displaced_cookies(call.request, call.services, credentials.transport)
    return token_response(grant, call.services.config, displaced=displaced)


@endpoint(
    {200: TOKENS},
    credential=Credential.RENEWS,
    body=CHANGE_PASSWORD,
    errors=(
        errors.PasswordRejected,
        errors.InsufficientUserAuthentication,
        errors.InvalidCredentials,
        errors.TooManyRequests,
    ),
    sometimes=COOKIES,
)
def change_password(call: Call) -> Response:
    """200 with the token response for this session, whose credentials are new; every other one has ended.

    Without `current_password` where the account has none: then soon after a login.

    The device stays known if it sends its device cookie, or `device_token` beside a refresh token in the body.
    """
    grant = call.services.change_password(
        call.principal,
        call.fields.get("current_password"),
        call.fields["new_password"],
        call.presented,
        call.request.caller,
        device_token=device_token_of(call.request, call.fields, by_cookie="refresh_token" not in call.fields),
    )
    return token_response(grant, call.services.config)


@endpoint({204: ()}, credential=Credential.PRINCIPAL, body=fields.NOTHING)
def log_out_everywhere(call: Call) -> Response:
    """204: every session of the user has ended."""
    call.services.accounts.log_out_everywhere(call.principal, call.request.caller)
    return no_content()


@endpoint({200: ("Me",)}, credential=Credential.PRINCIPAL)
def me(call: Call) -> Response:
    """The user, as the table knows it now."""
    account = call.services.accounts.account(call.principal)
    return json_response(
        {
            "sub": account.sub,
            "email": account.held_address,
            "email_verified": account.email_verified,
            "roles": account.roles,
            "session_id": call.principal.sid,
        }
    )


def _credentials(call: Call) -> Credentials:
    transport = transport_of(call.fields)
    return Credentials(
        email=call.fields["email"],
        password=call.fields["password"],
        transport=transport,
        carried=call.credentials,
        device_token=device_token_of(call.request, call.fields, by_cookie=transport in cookies.OF_TRANSPORT),
    )
