"""GET /login/{provider}, its callback by GET and by form, POST /login/{provider}/exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from chalicelib import errors
from chalicelib.crypto.login_states import parse_browser_secret
from chalicelib.domain.federation import AuthorizationCode
from chalicelib.services.federation.log_in import SessionRequest
from chalicelib.services.federation.requests import LOGIN_SECONDS, Callback, LoginRequest
from chalicelib.web import cookies, fields
from chalicelib.web.credentials import carried_sessions, device_token_of, displaced_cookies, transport_of
from chalicelib.web.endpoint import Credential, Page, endpoint
from chalicelib.web.fields import Fields, Member
from chalicelib.web.responses import COOKIES, LOCATION, TOKENS, grant_cookies, see_other, token_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalice.app import Response

    from chalicelib.services.federation.requests import AuthorizationRequest
    from chalicelib.web.endpoint import Call
    from chalicelib.web.request import Request

# Characters. API Gateway takes 10,240 bytes of headers in an answer, and turns a larger answer into a 502.
LONGEST_LOCATION = 8000

ASKS_PROVIDER = (errors.TooManyRequests, errors.ProviderError)

# Queries. An unknown parameter is let pass: links gather them on their way.
BEGIN_LOGIN = Fields(
    "BeginLogin",
    {
        "return_to": fields.RETURN_TO,
        "transport": Member(
            "How the session's credential travels; a browser brings nothing else back. `cookie` where it is left out.",
            required=False,
            choices=tuple(sorted(cookies.OF_TRANSPORT)),
        ),
        "max_age": Member(
            "How many seconds ago the provider may have seen the person.",
            max_length=9,
            required=False,
            pattern="[0-9]{1,9}",
            form="be a number of seconds",
        ),
    },
)
# What a provider sends a browser back with (RFC 6749 section 4.1.2, RFC 9207). One that is malformed is an absent one.
FINISH_LOGIN = Fields(
    "FinishLogin",
    {
        "state": Member("The login's `state`.", required=False, secret=True),
        "code": Member("The authorization code.", required=False, secret=True),
        "error": Member("Why there is no code (RFC 6749 section 4.1.2.1).", required=False),
        "iss": Member("Who answers (RFC 9207).", required=False),
    },
)
EXCHANGE = Fields("Exchange", {**fields.CODE, "device_token": fields.DEVICE_TOKEN, "transport": fields.TRANSPORT})


@endpoint(
    {303: ()},
    page=Page.NAVIGATION,
    provider=True,
    query=BEGIN_LOGIN,
    errors=ASKS_PROVIDER,
    headers=(*LOCATION, *COOKIES),
)
def begin(call: Call) -> Response:
    """303 to the provider. A GET, because a link does it; nothing comes of it without this browser's cookie."""
    request, query = call.request, call.fields
    asked = call.services.begin_login(
        call.path["provider"],
        LoginRequest(
            return_to=query["return_to"],
            transport=transport_of(query),
            max_age=int(query["max_age"]) if "max_age" in query else None,
            device_token=request.cookie(cookies.DEVICE),
        ),
        parse_browser_secret(request.cookie(cookies.LOGIN)),
        request.caller,
    )
    return see_other(asked.authorization_url, authorization_cookies(request, asked))


@endpoint(
    {303: ()},
    page=Page.NAVIGATION,
    provider=True,
    query=FINISH_LOGIN,
    lenient=True,
    errors=(errors.LoginExpired,),
    headers=LOCATION,
    sometimes=COOKIES,
)
def finish(call: Call) -> Response:
    """303 to the page that began it: with a session's cookie, or with `error` in the query and nothing else.

    After linking, the cookie of the session that asked is renewed where the browser has it. Loaded again after a login
    that has succeeded, the callback leads to the page and sets nothing.
    """
    request, services, query = call.request, call.services, call.fields
    own = cookies.own_login_cookie(query.get("state", ""))
    shared_secret = parse_browser_secret(request.cookie(cookies.LOGIN))
    returned = services.finish_login(
        call.path["provider"],
        Callback(
            state=query.get("state", ""),
            code=query.get("code"),
            error=query.get("error"),
            iss=query.get("iss"),
            browser_secret=parse_browser_secret(request.cookie(own)) or shared_secret,
            carried=carried_sessions(request, services),
            device_token=request.cookie(cookies.DEVICE),
        ),
        request.caller,
    )
    # The login is over, and its state genuine: the cookie's name is made of nothing else.
    over = [cookies.cleared_login(own)] if request.names_cookie(own) else []
    if returned.error is not None:
        return see_other(f"{returned.return_to}?{urlencode({'error': returned.error})}", over)
    grant = returned.grant
    if grant is None:
        return see_other(returned.return_to, over)
    # A link renews the cookie that came. A login takes the other one's place.
    displaced = [] if returned.linked else displaced_cookies(request, services, grant.refresh.transport)
    return see_other(returned.return_to, [*grant_cookies(grant, services.config), *displaced, *over])


@endpoint({303: ()}, provider=True, form=FINISH_LOGIN, lenient=True, errors=(errors.InvalidRequest,), headers=LOCATION)
def finish_by_form(call: Call) -> Response:
    """303 to the same address with the answer in the query, for a provider that answers by a form (`form_post`).

    The form comes from the provider's page, so that browsers send no cookie with it that is SameSite=Lax. The GET that
    follows has them, and finishes the login. Here no cookie is read or set, and no Origin is asked for.
    """
    url = f"{call.services.config.issuer}/login/{call.path['provider']}/callback?{urlencode(call.fields)}"
    if len(url) > LONGEST_LOCATION:
        detail = "The provider's answer is too long."
        raise errors.InvalidRequest(detail)
    return see_other(url, [])


@endpoint(
    {200: TOKENS},
    credential=Credential.BEGINS,
    provider=True,
    body=EXCHANGE,
    errors=(*ASKS_PROVIDER, errors.InvalidCode, errors.AccessDenied, errors.EmailRequired, errors.EmailTaken),
    sometimes=COOKIES,
)
def exchange(call: Call) -> Response:
    """200 with the token response, for a code that a frontend or an app was given; 401 `invalid_code` otherwise."""
    request, services, transport = call.request, call.services, transport_of(call.fields)
    wanted = SessionRequest(
        transport=transport,
        caller=request.caller,
        carried=call.credentials,
        device_token=device_token_of(request, call.fields, by_cookie=transport in cookies.OF_TRANSPORT),
    )
    grant = services.exchange_code(call.path["provider"], authorization_code(call.fields), wanted)
    return token_response(grant, services.config, displaced=displaced_cookies(request, services, transport))


def authorization_cookies(request: Request, asked: AuthorizationRequest) -> list[str]:
    """The Set-Cookie values that bind a login that has begun to this browser."""
    state, browser_secret = asked.state, asked.browser_secret
    return cookies.login_cookies(state, browser_secret, request.cookie_names(), LOGIN_SECONDS)


def authorization_code(fields: Mapping[str, str]) -> AuthorizationCode:
    """The code of a body that has been read."""
    return AuthorizationCode(fields["code"], fields["code_verifier"], fields["redirect_uri"], fields["nonce"])
