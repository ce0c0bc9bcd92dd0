"""Answers: JSON, tokens, problems (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import Response

from chalicelib.crypto.device_tokens import LIFE
from chalicelib.web import cookies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.services.sessions.grants import Grant
    from chalicelib.settings.config import Config

JSON = "application/json"
# For declarations: the names of the token response's schemas, and of headers that answers have
TOKENS = ("TokensInBody", "TokensWithCookie", "SessionByCookie")
COOKIES = ("Set-Cookie",)
LOCATION = ("Location",)
PROBLEM_JSON = "application/problem+json"


def json_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str | list[str]] | None = None
) -> Response:
    """A JSON answer."""
    return Response(body=body, status_code=status, headers={"Content-Type": JSON, **(headers or {})})


def no_content(set_cookies: list[str] | None = None) -> Response:
    """204."""
    headers: dict[str, str | list[str]] = {"Set-Cookie": set_cookies} if set_cookies else {}
    return Response(body="", status_code=204, headers=headers)


def grant_cookies(grant: Grant, config: Config) -> list[str]:
    """The Set-Cookie values of a grant that travels by cookie: its long-lived half, and what the device is known by."""
    credential = cookies.credential_cookie(grant.refresh, config)
    set_cookies = [credential] if credential else []
    if grant.device_token is not None:
        set_cookies.append(cookies.device_cookie(grant.device_token, LIFE, config))
    return set_cookies


def token_response(grant: Grant, config: Config, status: int = 200, *, displaced: Sequence[str] = ()) -> Response:
    """The token response (RFC 6749 section 5.1); what is long-lived goes the way that the session's transport says.

    A session cookie stands for both tokens: then there is neither in the body. `displaced` are the Set-Cookie values
    that remove what another transport has left in the browser.
    """
    account, refresh = grant.account, grant.refresh
    body: dict[str, Any] = {
        "expires_in": grant.expires_in,
        "session_id": grant.session_id,
        "user": {
            "sub": account.sub,
            "email": account.held_address,
            "email_verified": account.email_verified,
            "roles": account.roles,
        },
    }
    if grant.access_token is not None:
        body |= {"access_token": grant.access_token, "token_type": "Bearer"}
    if refresh.transport == "body":
        body["refresh_token"] = refresh.refresh_token
        if grant.device_token is not None:
            body["device_token"] = grant.device_token
        return json_response(body, status)
    body["csrf_token"] = refresh.csrf_token
    return json_response(body, status, {"Set-Cookie": [*grant_cookies(grant, config), *displaced]})


def see_other(location: str, set_cookies: list[str]) -> Response:
    """303: a browser goes on to `location` with GET (RFC 9110 section 15.4.4)."""
    headers: dict[str, str | list[str]] = {"Location": location}
    if set_cookies:
        headers["Set-Cookie"] = set_cookies
    return Response(body="", status_code=303, headers=headers)


def oauth_error(
    status: int, code: str, title: str, detail: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An error answer as OAuth's own endpoints have it (RFC 6749 section 5.2)."""
    return json_response({"error": code, "error_description": detail or title}, status, headers)


def problem(
    status: int, code: str, title: str, detail: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An error answer with a stable code (RFC 9457 section 3)."""
    body = {"type": "about:blank", "title": title, "status": status, "code": code}
    if detail:
        body["detail"] = detail
    return Response(body=body, status_code=status, headers={"Content-Type": PROBLEM_JSON, **(headers or {})})
