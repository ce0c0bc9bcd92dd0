"""The exchange flow against real providers: a frontend or an app has made the request and brings the code."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from tests.http.client import assert_problem
from tests.openid.keyturn import EXCHANGE_REDIRECT, NATIVE_REDIRECT, native_request, web_request
from tests.world.browser import REFRESH_COOKIE
from tests.world.person import new_person

if TYPE_CHECKING:
    from tests.openid.keyturn import Keyturn


def test_transport_cookie(keyturn: Keyturn) -> None:
    """A frontend gets the token response and the refresh token as a cookie, with which the key turns."""
    browser, person = keyturn.browser(), new_person()
    members = web_request(keyturn).code(browser, keyturn.provider.issuer, person)
    session = keyturn.session(browser, keyturn.exchange(browser, members))
    assert "refresh_token" not in session.tokens
    assert session.tokens["user"]["email"] == person.email
    assert keyturn.resumed(browser).sub == session.sub


def test_transport_body(keyturn: Keyturn) -> None:
    """With transport body the refresh token is in the body, no cookie is set, and the key turns."""
    browser = keyturn.browser()
    members = web_request(keyturn).code(browser, keyturn.provider.issuer, new_person())
    session = keyturn.session(browser, keyturn.exchange(browser, members | {"transport": "body"}))
    assert REFRESH_COOKIE not in browser.cookies
    body = {"refresh_token": session.tokens["refresh_token"]}
    assert browser.fetch("POST", f"{keyturn.url}/refresh", body).json["user"]["sub"] == session.sub


def test_native_app(keyturn: Keyturn) -> None:
    """A public client's code is redeemed without a secret, and opens the same account as the browser flow."""
    person, app = new_person(), keyturn.browser()
    members = native_request(keyturn).code(app, keyturn.provider.issuer, person)
    session = keyturn.session(app, keyturn.exchange(app, members | {"transport": "body"}))
    assert keyturn.log_in(keyturn.browser(), person).sub == session.sub


def test_code_once(keyturn: Keyturn) -> None:
    """A code begins one session."""
    browser = keyturn.browser()
    members = web_request(keyturn).code(browser, keyturn.provider.issuer, new_person()) | {"transport": "body"}
    assert keyturn.exchange(browser, members).status == 200
    assert_problem(keyturn.exchange(browser, members), 401, "invalid_code")


def test_another_value(keyturn: Keyturn) -> None:
    """Neither another code, nor another verifier, nor another nonce begins a session."""
    browser, person = keyturn.browser(), new_person()
    for member in ("code", "code_verifier", "nonce"):
        members = web_request(keyturn).code(browser, keyturn.provider.issuer, person) | {"transport": "body"}
        reply = keyturn.exchange(browser, members | {member: secrets.token_urlsafe(32)})
        assert_problem(reply, 401, "invalid_code")


def test_missing_value(keyturn: Keyturn) -> None:
    """Each member is required, and empty counts as missing: neither PKCE nor the nonce is skipped. The code is kept."""
    browser = keyturn.browser()
    members = web_request(keyturn).code(browser, keyturn.provider.issuer, new_person()) | {"transport": "body"}
    for member in ("code", "code_verifier", "nonce", "redirect_uri"):
        without = {name: value for name, value in members.items() if name != member}
        assert_problem(keyturn.exchange(browser, without), 400, "invalid_request")
        assert_problem(keyturn.exchange(browser, members | {member: ""}), 400, "invalid_request")
    assert keyturn.exchange(browser, members).status == 200


def test_code_of_another_client(keyturn: Keyturn) -> None:
    """A code is redeemed by the client and for the redirect that it was given to, and by no other."""
    browser, person, issuer = keyturn.browser(), new_person(), keyturn.provider.issuer
    web = web_request(keyturn).code(browser, issuer, person) | {"redirect_uri": NATIVE_REDIRECT, "transport": "body"}
    native = native_request(keyturn).code(browser, issuer, person)
    native |= {"redirect_uri": EXCHANGE_REDIRECT, "transport": "body"}
    for members in (web, native):
        assert_problem(keyturn.exchange(browser, members), 401, "invalid_code")


def test_code_of_the_browser_flow(keyturn: Keyturn) -> None:
    """What was sent to Keyturn's own callback, or to an address that nobody configured, is not exchanged."""
    browser = keyturn.browser()
    members = web_request(keyturn).code(browser, keyturn.provider.issuer, new_person()) | {"transport": "body"}
    for redirect in (f"{keyturn.url}/login/{keyturn.name}/callback", f"{EXCHANGE_REDIRECT}/", "https://evil.example"):
        assert_problem(keyturn.exchange(browser, members | {"redirect_uri": redirect}), 400, "invalid_request")
