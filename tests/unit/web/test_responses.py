"""Answers: where the refresh token goes, and the cookie that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.accounts import Account
from chalicelib.services.sessions.grants import Grant, RefreshGrant
from chalicelib.web.cookies import REFRESH, SESSION, cleared, credential_cookie, device_cookie, other_device_cookie
from chalicelib.web.responses import json_response, no_content, problem, token_response
from tests.world.keyturn import config

if TYPE_CHECKING:
    from chalicelib.domain.callers import Transport

ACCOUNT = Account(sub="S" * 22, email="ada@example.com", roles=("user",))
REFRESH_TOKEN = "kt1.k.refresh-token"


def grant(transport: Transport) -> Grant:
    """A grant over this transport."""
    refresh = RefreshGrant(REFRESH_TOKEN, 1000, transport, "csrf")
    if transport == "session":
        return Grant(ACCOUNT, "D" * 22, None, 1000, refresh)
    return Grant(ACCOUNT, "D" * 22, "access-token", 900, refresh)


def set_cookie(transport: Transport, **settings: str) -> str:
    """The cookie that a grant over this transport sets."""
    cookie = credential_cookie(grant(transport).refresh, config(**settings))
    assert cookie
    return cookie


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
    assert response.headers["Set-Cookie"] == [set_cookie("cookie")]


DEVICE_TOKEN = "kd1.k.device-token"
HALF_A_YEAR = 15_552_000


@pytest.mark.parametrize("transport", ["cookie", "session"])
@pytest.mark.parametrize("samesite", ["Lax", "Strict", "None"])
def test_device_cookie_is_as_the_credentials(transport: Transport, samesite: str) -> None:
    """It stands beside the credential's, with the same attributes, and lives for half a year; no script can read it."""
    response = token_response(
        grant(transport)._replace(device_token=DEVICE_TOKEN), config(cookie_samesite=samesite), displaced=["other"]
    )
    attributes = f"Path=/; Secure; HttpOnly; SameSite={samesite}" + ("; Partitioned" if samesite == "None" else "")
    device = f"__Host-device={DEVICE_TOKEN}; Max-Age={HALF_A_YEAR}; {attributes}"
    assert response.headers["Set-Cookie"] == [set_cookie(transport, cookie_samesite=samesite), device, "other"]
    assert DEVICE_TOKEN not in str(response.body)


def test_device_token_goes_in_the_body() -> None:
    """With the transport `body`, beside the refresh token; no cookie is set."""
    response = token_response(grant("body")._replace(device_token=DEVICE_TOKEN), config())
    assert response.body == {**COMMON, "refresh_token": REFRESH_TOKEN, "device_token": DEVICE_TOKEN}
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("transport", ["cookie", "session", "body"])
def test_device_keeps_what_it_has(transport: Transport) -> None:
    """Where a grant has no device token, neither a cookie nor a member takes its place."""
    response = token_response(grant(transport), config())
    assert "device" not in str(response.headers)
    assert "device_token" not in response.body


def test_removed_device_cookie_is_the_other_one() -> None:
    """What is removed beside ours is the partitioned one where ours is not, and the other way round."""
    assert "Partitioned" in other_device_cookie(config())
    assert "Partitioned" not in other_device_cookie(config(cookie_samesite="None"))
    for samesite in ("Lax", "None"):
        ours, other = (
            device_cookie("x", 9, config(cookie_samesite=samesite)),
            other_device_cookie(config(cookie_samesite=samesite)),
        )
        assert ("Partitioned" in ours) != ("Partitioned" in other)
        assert "Max-Age=0" in other


def test_session_transport_shows_no_token() -> None:
    """The session cookie stands for both tokens: none is in the body, and it lasts as long as the body says."""
    response = token_response(grant("session"), config())
    tokens = ("access_token", "token_type")
    told = {name: value for name, value in COMMON.items() if name not in tokens}
    assert response.body == {**told, "expires_in": 1000, "csrf_token": "csrf"}
    assert response.headers["Set-Cookie"] == [set_cookie("session")]
    assert set_cookie("session").startswith(f"__Host-session={REFRESH_TOKEN}; Max-Age=1000; ")


def test_displaced_cookie_goes_with_the_answer() -> None:
    """What another transport has left is removed beside what is set."""
    response = token_response(grant("session"), config(), displaced=["a=; Max-Age=0"])
    assert response.headers["Set-Cookie"] == [set_cookie("session"), "a=; Max-Age=0"]


def test_body_transport_sets_no_cookie() -> None:
    """In the body there is no cookie, and no CSRF token that would mean nothing."""
    response = token_response(grant("body"), config())
    assert response.body == {**COMMON, "refresh_token": REFRESH_TOKEN}
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(("transport", "name"), [("cookie", REFRESH), ("session", SESSION)])
@pytest.mark.parametrize(
    ("samesite", "attributes"),
    [
        ("Lax", "Path=/; Secure; HttpOnly; SameSite=Lax"),
        ("Strict", "Path=/; Secure; HttpOnly; SameSite=Strict"),
        ("None", "Path=/; Secure; HttpOnly; SameSite=None; Partitioned"),
    ],
)
def test_cookie_has_its_attributes(samesite: str, attributes: str, transport: Transport, name: str) -> None:
    """Out of reach for scripts and for other hosts; partitioned where it goes across sites (ASVS V3.3)."""
    cookie = set_cookie(transport, cookie_samesite=samesite)
    assert cookie == f"{name}={REFRESH_TOKEN}; Max-Age=1000; {attributes}"


@pytest.mark.parametrize("name", [REFRESH, SESSION])
@pytest.mark.parametrize("samesite", ["Lax", "Strict", "None"])
def test_cookie_is_cleared_however_it_was_set(samesite: str, name: str) -> None:
    """Both the partitioned cookie and the other go: one left behind would be a refresh loop (supertokens-node #826)."""
    plain, partitioned = cleared([name], config(cookie_samesite=samesite))
    for cookie in (plain, partitioned):
        assert cookie.startswith(f"{name}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=")
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
