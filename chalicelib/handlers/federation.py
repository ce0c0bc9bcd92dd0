"""GET /login/{provider}, its callback by GET and by form, POST /login/{provider}/exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from chalicelib.crypto.login_states import parse_browser_secret
from chalicelib.domain.records import AuthorizationCode
from chalicelib.errors import InvalidRequest
from chalicelib.services.federation import LOGIN_SECONDS
from chalicelib.services.login_requests import Callback, LoginRequest
from chalicelib.services.provider_logins import SessionRequest
from chalicelib.web import cookies
from chalicelib.web.credentials import (
    carried_sessions,
    device_token_of,
    displaced_cookies,
    sessions_to_end,
    transport_of,
)
from chalicelib.web.fields import BEGIN_LOGIN, EXCHANGE, FINISH_LOGIN
from chalicelib.web.origins import require_navigation
from chalicelib.web.responses import grant_cookies, see_other, token_response

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.services import Services
    from chalicelib.services.login_requests import AuthorizationRequest
    from chalicelib.web.request import Request

# Characters. API Gateway takes 10,240 bytes of headers in an answer, and turns a larger answer into a 502.
LONGEST_LOCATION = 8000


def begin(request: Request, services: Services, provider: str) -> Response:
    """303 to the provider. A GET, because a link does it; nothing comes of it without this browser's cookie."""
    require_navigation(request)
    services.federation.provider(provider)
    query = request.parameters(BEGIN_LOGIN)
    asked = services.federation.begin(
        provider,
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


def finish(request: Request, services: Services, provider: str) -> Response:
    """303 to the page that began it: with a session's cookie, or with `error` in the query and nothing else.

    After linking, the cookie of the session that asked is renewed where the browser has it. Loaded again after a login
    that has succeeded, the callback leads to the page and sets nothing.
    """
    require_navigation(request)
    query = request.readable_parameters(FINISH_LOGIN)
    own = cookies.own_login_cookie(query.get("state", ""))
    shared_secret = parse_browser_secret(request.cookie(cookies.LOGIN))
    returned = services.federation.finish(
        provider,
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


def finish_by_form(request: Request, services: Services, provider: str) -> Response:
    """303 to the same address with the answer in the query, for a provider that answers by a form (`form_post`).

    The form comes from the provider's page, so that browsers send no cookie with it that is SameSite=Lax. The GET that
    follows has them, and finishes the login. Here no cookie is read or set, and no Origin is asked for.
    """
    services.federation.provider(provider)
    query = request.readable_form(FINISH_LOGIN)
    url = f"{services.config.issuer}/login/{provider}/callback?{urlencode(query)}"
    if len(url) > LONGEST_LOCATION:
        detail = "The provider's answer is too long."
        raise InvalidRequest(detail)
    return see_other(url, [])


def exchange(request: Request, services: Services, provider: str) -> Response:
    """200 with the token response, for a code that a frontend or an app was given; 401 `invalid_code` otherwise."""
    services.federation.provider(provider)
    fields = request.fields(EXCHANGE)
    code, transport = authorization_code(fields), transport_of(fields)
    former = sessions_to_end(request, services, transport)
    device_token = device_token_of(request, fields, by_cookie=transport in cookies.OF_TRANSPORT)
    wanted = SessionRequest(transport=transport, caller=request.caller, carried=former, device_token=device_token)
    grant = services.federation.exchange(provider, code, wanted)
    return token_response(grant, services.config, displaced=displaced_cookies(request, services, transport))


def authorization_cookies(request: Request, asked: AuthorizationRequest) -> list[str]:
    """The Set-Cookie values that bind a login that has begun to this browser."""
    state, browser_secret = asked.state, asked.browser_secret
    return cookies.login_cookies(state, browser_secret, request.cookie_names(), LOGIN_SECONDS)


def authorization_code(fields: dict[str, str]) -> AuthorizationCode:
    """The code of a body that has been read."""
    return AuthorizationCode(fields["code"], fields["code_verifier"], fields["redirect_uri"], fields["nonce"])
