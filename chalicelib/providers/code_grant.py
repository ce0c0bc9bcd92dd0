"""The authorization code grant as every provider has it (RFC 6749 section 4.1), with PKCE (RFC 7636)."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, quote_plus, urlencode

from chalicelib.errors import InvalidCode, ProviderError
from chalicelib.providers import http

if TYPE_CHECKING:
    from chalicelib.domain.federation import AuthorizationCode
    from chalicelib.providers.http import Answer
    from chalicelib.settings.providers import ProviderSettings

CODE = re.compile(r"[ -~]{1,4096}")  # RFC 6749 appendix A.11
ERROR_CODE = re.compile(r"[a-z_]{1,64}")  # what RFC 6749 and its extensions register
# RFC 6749 appendix A.12, less the space, which no header value needs. No standard limits the length; the answer's does.
ACCESS_TOKEN = re.compile(r"[!-~]+")
# A code that is spent, of another request, or no code: RFC 6749 section 5.2, and GitHub's name for the same.
INVALID_CODES = frozenset({"invalid_grant", "bad_verification_code"})


class ClientSecret(Protocol):
    """Where a client's secret comes from."""

    def get(self, client_id: str) -> str:
        """The secret of this client. ConfigurationError, Unavailable."""


def authorization_url(endpoint: str, request: dict[str, str]) -> str:
    """The endpoint with the request's parameters. ProviderError where the endpoint's own query has any of them."""
    # RFC 6749 section 3.1: a query of the endpoint MUST be retained, and no parameter may come twice.
    _, question, query = endpoint.partition("?")
    if any(name in request for name, _ in parse_qsl(query, keep_blank_values=True)):
        raise ProviderError(debug="the authorization endpoint's query has a parameter of the request")
    return f"{endpoint}{'&' if query else '' if question else '?'}{urlencode(request)}"


def require_readable(code: AuthorizationCode) -> None:
    """InvalidCode where code, verifier or redirect URI has characters that none of them can have."""
    if not all(CODE.fullmatch(value) for value in (code.code, code.code_verifier, code.redirect_uri)):
        raise InvalidCode(debug="no authorization code, code_verifier or redirect_uri has such characters")


def redeem(
    endpoint: str,
    code: AuthorizationCode,
    settings: ProviderSettings,
    secret: ClientSecret,
    *,
    secret_in_body: bool,
    native_secret: bool = False,
) -> dict[str, Any]:
    """The members of the token response. InvalidCode, ProviderError, Unavailable.

    A native client says who it is, and has no secret; with `native_secret` it has, as Apple wants it.
    """
    native_client = settings.native_clients.get(code.redirect_uri)
    form = {
        "grant_type": "authorization_code",
        "code": code.code,
        "redirect_uri": code.redirect_uri,
        "code_verifier": code.code_verifier,
    }
    headers = {}
    if native_client is not None and not native_secret:
        # RFC 6749 section 4.1.3: a client that does not authenticate says who it is. It has no secret (RFC 8252).
        form["client_id"] = native_client
    elif native_client is not None:
        form |= {"client_id": native_client, "client_secret": secret.get(native_client)}
        # An app asks for the code without a redirect, so that its redirect URI here is a name that Apple never saw.
        del form["redirect_uri"]
    elif secret_in_body:
        form |= {"client_id": settings.client_id, "client_secret": secret.get(settings.client_id)}
    else:
        headers = _basic(settings.client_id, secret.get(settings.client_id))
    answer = http.call(endpoint, form=form, headers=headers, patience=settings.seconds)
    return _members(answer)


def access_token(members: dict[str, Any]) -> str:
    """The access token of a token response; empty where there is none. ProviderError where it is no bearer token."""
    token = members.get("access_token", "")
    # A provider that leaves `token_type` out means the only type that was asked for.
    bearer = str(members.get("token_type", "bearer")).lower() == "bearer"
    if not isinstance(token, str) or (token and not (ACCESS_TOKEN.fullmatch(token) and bearer)):
        raise ProviderError(debug="token endpoint: the access token is no bearer token")
    return token


def _basic(client_id: str, secret: str) -> dict[str, str]:
    # RFC 6749 section 2.3.1: id and secret are form-encoded first, so that a colon in them does not part them.
    credentials = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}


def _members(answer: Answer) -> dict[str, Any]:
    """The token response's members, or what its error means (RFC 6749 section 5.2).

    The error code decides, and not the status: GitHub answers 200 with an error, and other providers send
    `invalid_grant` with 401 or 404. Only a provider that fails or asks to come later is not asked for its reasons.
    """
    answer.require_served("token endpoint")
    try:
        members = answer.json()
    except ProviderError:
        answer.require_ok("token endpoint")
        raise
    error = members.get("error")
    if isinstance(error, str) and error in INVALID_CODES:
        raise InvalidCode(debug=f"token endpoint: {error}")
    if error is None and answer.status == http.OK:
        return members
    # The log gets the error code alone: the rest of the answer may repeat a secret of the request.
    known = error if isinstance(error, str) and ERROR_CODE.fullmatch(error) else "no error code"
    raise ProviderError(debug=f"token endpoint: HTTP {answer.status}, {known}")
