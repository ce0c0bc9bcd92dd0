"""Answers: where the refresh token goes, and the cookie that holds it."""

from __future__ import annotations

import pytest

from chalicelib.domain.records import Account, Transport
from chalicelib.handlers.cookies import cleared_refresh_cookies, refresh_cookie
from chalicelib.handlers.responses import json_response, no_content, problem, token_response
from chalicelib.services.tokens import Grant, RefreshGrant
from tests.fakes import config

ACCOUNT = Account(sub="S" * 22, email="ada@example.com", roles=("user",))
REFRESH_TOKEN = "kt1.k.refresh-token"


def grant(transport: Transport | None) -> Grant:
    """A grant over this transport, or of an access token alone."""
    refresh = RefreshGrant(REFRESH_TOKEN, 1000, transport, "csrf") if transport else None
    return Grant(ACCOUNT, "D" * 22, "access-token", 900, refresh)


COMMON = {
    "access_token": "access-token",
    "token_type": "Bearer",
    "expires_in": 900,
    "session_id": "D" * 22,
    "user": {"sub": "S" * 22, "email": "ada@example.com", "email_verified": False, "roles": ("user",)},
}


def test_cookie_transport_hides_the_refresh_token() -> None:
    """Over cookies the refresh token is in the cookie alone, where no script can read it."""
    response = token_response(grant("cookie"), config(), 201)
    assert response.status_code == 201
    assert response.body == {**COMMON, "csrf_token": "csrf"}
    assert response.headers["Set-Cookie"] == [refresh_cookie(REFRESH_TOKEN, 1000, config())]


def test_body_transport_sets_no_cookie() -> None:
    """In the body there is no cookie, and no CSRF token that would mean nothing."""
    response = token_response(grant("body"), config())
    assert response.body == {**COMMON, "refresh_token": REFRESH_TOKEN}
    assert "Set-Cookie" not in response.headers


def test_access_token_alone() -> None:
    """After a password change the client keeps the refresh token that it has."""
    response = token_response(grant(None), config())
    assert response.body == COMMON
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("samesite", "attributes"),
    [
        ("Lax", "Path=/; Secure; HttpOnly; SameSite=Lax"),
        ("Strict", "Path=/; Secure; HttpOnly; SameSite=Strict"),
        ("None", "Path=/; Secure; HttpOnly; SameSite=None; Partitioned"),
    ],
)
def test_cookie_has_its_attributes(samesite: str, attributes: str) -> None:
    """Out of reach for scripts and for other hosts; partitioned where it goes across sites (ASVS V3.3)."""
    cookie = refresh_cookie("value", 5, config(cookie_samesite=samesite))
    assert cookie == f"__Host-refresh=value; Max-Age=5; {attributes}"


@pytest.mark.parametrize("samesite", ["Lax", "Strict", "None"])
def test_cookie_is_cleared_however_it_was_set(samesite: str) -> None:
    """Both the partitioned cookie and the other go: one left behind would be a refresh loop (supertokens-node #826)."""
    plain, partitioned = cleared_refresh_cookies(config(cookie_samesite=samesite))
    for cookie in (plain, partitioned):
        assert cookie.startswith("__Host-refresh=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=")
    assert "Partitioned" not in plain
    assert partitioned.endswith("; Partitioned")


def test_plain_answers() -> None:
    """JSON with a type, 204 without a body, a problem with its own type."""
    assert json_response({"a": 1}).headers == {"Content-Type": "application/json"}
    empty = no_content()
    assert (empty.status_code, empty.body, empty.headers) == (204, "", {})
    assert no_content(["a=b"]).headers == {"Set-Cookie": ["a=b"]}
    told = problem(404, "not_found", "Nothing", headers={"Allow": "GET"})
    assert told.headers == {"Content-Type": "application/problem+json", "Allow": "GET"}
