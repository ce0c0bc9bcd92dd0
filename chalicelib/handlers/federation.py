"""GET /login/{provider}, its callback, POST /login/{provider}/exchange."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from chalicelib.crypto.login_states import parse_browser_secret
from chalicelib.domain.records import AuthorizationCode
from chalicelib.errors import InvalidRequest
from chalicelib.handlers import cookies
from chalicelib.handlers.credentials import carried_sessions, displaced_cookies, sessions_to_end, transport_of
from chalicelib.handlers.responses import see_other, token_response
from chalicelib.services.arrivals import Visit
from chalicelib.services.federation import TRANSACTION_SECONDS, Callback, LoginRequest

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.domain.records import Transport
    from chalicelib.handlers.request import Request
    from chalicelib.services import Services

CODE_FIELDS = ("code", "code_verifier", "redirect_uri", "nonce")
CODE_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1
MAX_AGE = re.compile(r"[0-9]{1,9}", re.ASCII)


def begin(request: Request, services: Services, provider: str) -> Response:
    """303 to the provider. A GET, because a link does it; nothing comes of it without this browser's cookie."""
    services.federation.provider(provider)
    departure = services.federation.begin(
        provider,
        LoginRequest(
            return_to=request.parameter("return_to") or "",
            transport=_redirected_transport(request),
            max_age=_max_age(request),
        ),
        parse_browser_secret(request.cookie(cookies.LOGIN)),
        request.client,
    )
    return see_other(departure.authorization_url, [cookies.login_cookie(departure.browser_secret, TRANSACTION_SECONDS)])


def finish(request: Request, services: Services, provider: str) -> Response:
    """303 to the page that began it: with a session's cookie, or with `error` in the query and nothing else."""
    returned = services.federation.finish(
        provider,
        Callback(
            state=request.parameter("state") or "",
            code=request.parameter("code"),
            error=request.parameter("error"),
            iss=request.parameter("iss"),
            browser_secret=parse_browser_secret(request.cookie(cookies.LOGIN)),
            carried=carried_sessions(request, services),
        ),
        request.client,
    )
    if returned.error is not None:
        return see_other(f"{returned.return_to}?{urlencode({'error': returned.error})}", [])
    refresh = returned.grant.refresh if returned.grant else None
    cookie = cookies.credential_cookie(refresh, services.config) if refresh else None
    if refresh is None or cookie is None:
        return see_other(returned.return_to, [])
    return see_other(returned.return_to, [cookie, *displaced_cookies(request, services, refresh.transport)])


def exchange(request: Request, services: Services, provider: str) -> Response:
    """200 with the token response, for a code that a frontend or an app was given; 401 `invalid_code` otherwise."""
    services.federation.provider(provider)
    fields = request.fields(*CODE_FIELDS, optional=("transport",))
    code, transport = authorization_code(fields), transport_of(fields)
    former = sessions_to_end(request, services, transport)
    grant = services.federation.exchange(
        provider, code, Visit(transport=transport, client=request.client, carried=former)
    )
    return token_response(grant, services.config, displaced=displaced_cookies(request, services, transport))


def authorization_code(fields: dict[str, str]) -> AuthorizationCode:
    """The body's code. InvalidRequest without a verifier that can be one: PKCE is never skipped (CVE-2023-48228)."""
    for name in CODE_FIELDS:
        if not fields[name]:
            detail = f"{name} is empty."
            raise InvalidRequest(detail)
    if not CODE_VERIFIER.fullmatch(fields["code_verifier"]):
        detail = "code_verifier must have 43 to 128 characters of A-Z a-z 0-9 - . _ ~"
        raise InvalidRequest(detail)
    return AuthorizationCode(fields["code"], fields["code_verifier"], fields["redirect_uri"], fields["nonce"])


def _redirected_transport(request: Request) -> Transport:
    name = request.parameter("transport") or "cookie"
    for transport in cookies.OF_TRANSPORT:
        if name == transport:
            return transport
    detail = "transport must be cookie or session: a browser brings nothing else back."
    raise InvalidRequest(detail)


def _max_age(request: Request) -> int | None:
    text = request.parameter("max_age")
    if text is None:
        return None
    if not MAX_AGE.fullmatch(text):
        detail = "max_age must be a number of seconds."
        raise InvalidRequest(detail)
    return int(text)
