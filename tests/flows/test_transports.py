"""How credentials travel: fixed when the session is made, guarded against other pages, never two at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.domain.callers import TRANSPORTS
from chalicelib.errors import (
    CredentialRequired,
    CsrfTokenInvalid,
    InvalidCredentials,
    InvalidGrant,
    InvalidRequest,
    OriginRefused,
)
from chalicelib.handlers import accounts, tokens
from chalicelib.web.request import Request
from tests.flows.steps import (
    EMAIL,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    assert_dead,
    assert_works,
    bearer,
    holder,
    log_in,
    long_lived,
    publish_keys,
    refresh,
    sign_up,
)
from tests.world.constants import CLIENT, ORIGIN, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Response

    from chalicelib.domain.callers import Principal, Transport
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant

EVIL = "https://evil.example"


def ask(
    keyturn: Keyturn,
    handle: Callable[..., Response],
    body: dict[str, Any] | None = None,
    *,
    cookie: str | None = None,
    principal: Principal | None = None,
    **headers: str | None,
) -> Response:
    """Call a handler as a page of an allowed origin does; headers are given and, with None, taken away by name."""
    given: dict[str, str | None] = {"origin": ORIGIN, "cookie": cookie and f"__Host-refresh={cookie}"}
    if body is not None:
        given["content-type"] = "application/json"
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(
        method="POST",
        headers={name: (value,) for name, value in given.items() if value is not None},
        query={},
        body=json.dumps(body).encode() if body is not None else b"",
        caller=CLIENT,
        principal_context={"sub": principal.sub, "sid": principal.sid} if principal else None,
    )
    return handle(request, keyturn.services)


def ask_with(
    keyturn: Keyturn,
    handle: Callable[..., Response],
    cookies: str,
    body: dict[str, Any] | None = None,
    *,
    bearer: str | None = None,
    **more: Any,
) -> Response:
    """As `ask`, with this whole Cookie header, and this access token."""

    def handle_with(request: Request, services: Services) -> Response:
        headers = {**request.headers, "cookie": (cookies,)}
        if bearer is not None:
            headers["authorization"] = (f"Bearer {bearer}",)
        return handle(request._replace(headers=headers), services)

    return ask(keyturn, handle_with, body, **more)


def both_cookies(by_session: Grant, by_cookie: Grant) -> str:
    """The Cookie header of a browser that holds both."""
    refresh_token, session_cookie = long_lived(by_cookie).refresh_token, long_lived(by_session).refresh_token
    return f"__Host-refresh={refresh_token}; __Host-session={session_cookie}"


def cookies_of(response: Response) -> list[tuple[str, str]]:
    """The refresh cookies that the answer sets, with their attributes; beside them may be the device's alone."""
    headers = response.headers.get("Set-Cookie", [])
    assert isinstance(headers, list)
    headers = [header for header in headers if not header.startswith("__Host-device=")]
    assert all(header.startswith("__Host-refresh=") for header in headers)
    return [(header[len("__Host-refresh=") : header.index(";")], header) for header in headers]


def cookie_of(response: Response) -> str:
    """The refresh cookie that the answer sets."""
    ((value, _),) = cookies_of(response)
    return value


def in_browser(grant: Grant) -> dict[str, Any]:
    """What a page sends along in a session that lives in a cookie."""
    return {"cookie": long_lived(grant).refresh_token, "x_csrf_token": long_lived(grant).csrf_token}


LOGIN = {"email": EMAIL, "password": PASSWORD}


def test_cookie_sessions_never_show_their_token(keyturn: Keyturn) -> None:
    """By default the refresh token goes out in the cookie and not in the body; the page gets the CSRF token."""
    for answer in (ask(keyturn, accounts.sign_up, LOGIN), ask(keyturn, accounts.log_in, LOGIN)):
        assert isinstance(answer.body, dict)
        assert "refresh_token" not in answer.body
        assert cookie_of(answer) not in json.dumps(answer.body)
        successor = ask(keyturn, tokens.refresh, cookie=cookie_of(answer), x_csrf_token=answer.body["csrf_token"])
        assert cookie_of(successor) != cookie_of(answer)


def test_body_sessions_set_no_cookie(keyturn: Keyturn) -> None:
    """With the transport `body` the refresh token is in the body alone, before and after rotation."""
    answer = ask(keyturn, accounts.sign_up, {**LOGIN, "transport": "body"}, origin=None)
    for _ in range(3):
        assert isinstance(answer.body, dict)
        assert cookies_of(answer) == []
        assert "csrf_token" not in answer.body
        answer = ask(keyturn, tokens.refresh, {"refresh_token": answer.body["refresh_token"]}, origin=None)


def test_token_is_refused_on_another_way_than_its_own() -> None:
    """A cookie's token in a body, or a body's in a cookie, is no token at all: the table is not asked."""
    store = FaultyStore(FakeStore())
    keyturn = Keyturn(store)
    cookie, body = sign_up(keyturn.services, transport="cookie"), log_in(keyturn.services)
    calls = len(store.calls)
    with pytest.raises(InvalidGrant):
        ask(keyturn, tokens.refresh, {"refresh_token": long_lived(cookie).refresh_token})
    with pytest.raises(InvalidGrant):
        ask(keyturn, tokens.refresh, **in_browser(body))
    assert ask(keyturn, tokens.log_out, {"refresh_token": long_lived(cookie).refresh_token}).status_code == 204
    assert len(store.calls) == calls
    assert_works(keyturn, cookie)
    assert_works(keyturn, body)


def test_cookie_and_body_together_are_refused(keyturn: Keyturn) -> None:
    """Which of two credentials is meant cannot be told, even if one of them is no token."""
    grant = sign_up(keyturn.services)
    for cookie in (long_lived(grant).refresh_token, "nonsense"):
        with pytest.raises(InvalidRequest):
            ask(keyturn, tokens.refresh, {"refresh_token": long_lived(grant).refresh_token}, cookie=cookie)
    assert_works(keyturn, grant)


@pytest.mark.parametrize("csrf_token", [None, "", "A" * 43, "of another session", "ß\ud800"])
@pytest.mark.parametrize("handle", [tokens.refresh, tokens.log_out, accounts.log_in, accounts.sign_up])
def test_cookie_needs_its_sessions_csrf_token(
    keyturn: Keyturn, handle: Callable[..., Response], csrf_token: str | None
) -> None:
    """Without X-CSRF-Token, or with another session's, nothing happens to the session that the cookie names."""
    grant, other = sign_up(keyturn.services, transport="cookie"), log_in(keyturn.services, transport="cookie")
    if csrf_token == "of another session":
        csrf_token = long_lived(other).csrf_token
    body = LOGIN if handle in {accounts.log_in, accounts.sign_up} else None
    with pytest.raises(CsrfTokenInvalid):
        ask(keyturn, handle, body, cookie=long_lived(grant).refresh_token, x_csrf_token=csrf_token)
    assert_works(keyturn, grant)


@pytest.mark.parametrize("page", [{"origin": EVIL}, {"origin": None}, {"origin": "null"}])
@pytest.mark.parametrize("site", [None, "cross-site", "same-site", "none"])
@pytest.mark.parametrize("handle", [tokens.refresh, tokens.log_out, accounts.log_in, accounts.sign_up])
def test_pages_of_strangers_are_refused(
    keyturn: Keyturn, handle: Callable[..., Response], page: dict[str, str | None], site: str | None
) -> None:
    """A page that is not on the list can neither use nor plant a cookie, CSRF token or not (ASVS V3.5.1)."""
    grant = sign_up(keyturn.services, transport="cookie")
    headers: dict[str, Any] = {**in_browser(grant), **page, "sec_fetch_site": site}
    body = {"email": "eve@example.com", "password": PASSWORD} if handle is accounts.sign_up else None
    with pytest.raises(OriginRefused):
        ask(keyturn, handle, LOGIN if handle is accounts.log_in else body, **headers)
    assert_works(keyturn, grant)


def test_page_of_a_stranger_cannot_plant_a_session(keyturn: Keyturn) -> None:
    """Login CSRF: without any cookie yet, a foreign page's login is refused before it could set one."""
    sign_up(keyturn.services)
    with pytest.raises(OriginRefused):
        ask(keyturn, accounts.log_in, LOGIN, origin=EVIL)


def test_reloaded_page_gets_its_csrf_token_again() -> None:
    """From the cookie alone, without the table; the same one after rotation, a working one after key rotation."""
    store = FaultyStore(FakeStore())
    keyturn = Keyturn(store)
    grant = sign_up(keyturn.services, transport="cookie")
    calls = len(store.calls)
    answer = ask(keyturn, tokens.csrf, cookie=long_lived(grant).refresh_token)
    sub = grant.account.sub
    assert answer.body == {"csrf_token": long_lived(grant).csrf_token, "session_id": grant.session_id, "sub": sub}
    assert len(store.calls) == calls
    publish_keys(keyturn)
    keyturn.clock.advance(601)
    answer = ask(keyturn, tokens.csrf, cookie=long_lived(refresh(keyturn.services, grant)).refresh_token)
    assert isinstance(answer.body, dict)
    for csrf_token in (answer.body["csrf_token"], long_lived(grant).csrf_token):
        assert keyturn.services.csrf_tokens.verify(csrf_token, grant.session_id)


@pytest.mark.parametrize("cookie", [None, "", "nonsense", "kt1.a." + "A" * 112])
def test_no_genuine_cookie_no_csrf_token(keyturn: Keyturn, cookie: str | None) -> None:
    """A malformed cookie is an absent one, never a pass (regressions: CVE-2026-25748)."""
    told = ask(keyturn, tokens.csrf, cookie=cookie, x_csrf_token="A" * 43)
    assert told.body == {"csrf_token": None, "session_id": None, "sub": None}
    with pytest.raises(InvalidGrant):
        ask(keyturn, tokens.refresh, cookie=cookie, x_csrf_token="A" * 43)


@pytest.mark.parametrize(
    "privilege", [{"roles": ["admin"]}, {"roles": "admin"}, {"email_verified": "true"}, {"sub": "A" * 22}]
)
def test_nobody_gives_himself_rights(privilege: dict[str, Any]) -> None:
    """A privileged or unknown member refuses the whole request (regressions: CVE-2026-27946)."""
    store = FaultyStore(FakeStore())
    with pytest.raises(InvalidRequest):
        ask(Keyturn(store), accounts.sign_up, {**LOGIN, **privilege})
    assert store.calls == []


@pytest.mark.parametrize("empty", [None, 0, False, [], {}])
@pytest.mark.parametrize("member", ["email", "password", "transport"])
def test_null_is_no_value(member: str, empty: object) -> None:
    """What is no string is refused before anything is looked up (regressions: CVE-2026-34574)."""
    store = FaultyStore(FakeStore())
    for handle in (accounts.sign_up, accounts.log_in):
        with pytest.raises(InvalidRequest):
            ask(Keyturn(store), handle, {**LOGIN, member: empty})
    assert store.calls == []


def test_null_refresh_token_does_not_stand_in_for_the_cookie(keyturn: Keyturn) -> None:
    """`{"refresh_token": null}` beside a cookie is a malformed request, not a request without a body."""
    grant = sign_up(keyturn.services, transport="cookie")
    for handle in (tokens.refresh, tokens.log_out):
        with pytest.raises(InvalidRequest):
            ask(keyturn, handle, {"refresh_token": None}, **in_browser(grant))
    assert_works(keyturn, grant)


def test_loser_of_a_race_gets_the_winners_cookie(keyturn: Keyturn) -> None:
    """Both answers set the same cookie, so that their order does not matter (regressions: auth-js #213)."""
    grant = sign_up(keyturn.services, transport="cookie")
    winner, loser = (ask(keyturn, tokens.refresh, **in_browser(grant)) for _ in range(2))
    assert cookies_of(winner) == cookies_of(loser)


def test_only_logout_clears_the_cookie(keyturn: Keyturn) -> None:
    """Logout clears it, whatever it holds, and a second time too; without a cookie there is nothing to clear."""
    grant = sign_up(keyturn.services, transport="cookie")
    for headers in (in_browser(grant), in_browser(grant), {"cookie": "nonsense"}):
        answer = ask(keyturn, tokens.log_out, **headers)
        assert answer.status_code == 204
        assert cookies_of(answer)
        assert all(value == "" and "Max-Age=0" in header for value, header in cookies_of(answer))
    assert_dead(keyturn, grant)
    assert cookies_of(ask(keyturn, tokens.log_out)) == []


def test_logout_takes_an_expired_access_token(keyturn: Keyturn) -> None:
    """A good signature names the session for ever; a bad one is nobody's, and 204 all the same (ASVS V7.4.4)."""
    grant, other = sign_up(keyturn.services), log_in(keyturn.services)
    keyturn.clock.advance(3 * 3600)
    other = refresh(keyturn.services, other)
    forged = f"{bearer(other)[:-8]}AAAAAAAA"
    for held in (grant.access_token, forged, "nonsense"):
        assert ask(keyturn, tokens.log_out, authorization=f"Bearer {held}", origin=None).status_code == 204
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, grant)
    assert_works(keyturn, other)


def test_session_cookie_is_no_refresh_token(keyturn: Keyturn) -> None:
    """`/refresh` refuses it by every way, its own cookie included."""
    grant = sign_up(keyturn.services, transport="session")
    csrf_token, value = long_lived(grant).csrf_token, long_lived(grant).refresh_token
    for cookies in (f"__Host-session={value}", f"__Host-refresh={value}"):
        with pytest.raises(InvalidGrant):
            ask_with(keyturn, tokens.refresh, cookies, x_csrf_token=csrf_token)
    with pytest.raises(InvalidGrant):
        ask(keyturn, tokens.refresh, {"refresh_token": value})
    assert_works(keyturn, grant)


def test_of_two_cookies_the_session_cookies_csrf_token_counts(keyturn: Keyturn) -> None:
    """One header cannot fit two sessions: `/csrf` tells the session cookie's, `/logout` and `/login` ask for it."""
    by_session = sign_up(keyturn.services, transport="session")
    by_cookie = log_in(keyturn.services, transport="cookie")
    cookies = both_cookies(by_session, by_cookie)
    told = ask_with(keyturn, tokens.csrf, cookies).body
    csrf_token, sid = long_lived(by_session).csrf_token, by_session.session_id
    assert told == {"csrf_token": csrf_token, "session_id": sid, "sub": by_session.account.sub}
    for handle, body in ((tokens.log_out, None), (accounts.log_in, LOGIN)):
        with pytest.raises(CsrfTokenInvalid):
            ask_with(keyturn, handle, cookies, body, x_csrf_token=long_lived(by_cookie).csrf_token)
    assert_works(keyturn, by_session)
    assert_works(keyturn, by_cookie)


@pytest.mark.parametrize("handle", [accounts.log_in, tokens.log_out])
def test_both_sessions_of_a_browser_end(keyturn: Keyturn, handle: Callable[..., Response]) -> None:
    """A login, or a logout, by a browser that holds both cookies ends both sessions."""
    by_session = sign_up(keyturn.services, transport="session")
    by_cookie = log_in(keyturn.services, transport="cookie")
    body = LOGIN if handle is accounts.log_in else None
    csrf_token = long_lived(by_session).csrf_token
    ask_with(keyturn, handle, both_cookies(by_session, by_cookie), body, x_csrf_token=csrf_token)
    assert_dead(keyturn, by_session, by_cookie)


@pytest.mark.parametrize("spoilt", ["nonsense", "", "kt1.a." + "A" * 112])
def test_spoilt_session_cookie_leaves_the_other_one_to_count(keyturn: Keyturn, spoilt: str) -> None:
    """What is not genuine is absent: the refresh cookie's session ends, by its own CSRF token."""
    grant = sign_up(keyturn.services, transport="cookie")
    cookies = f"__Host-session={spoilt}; __Host-refresh={long_lived(grant).refresh_token}"
    ask_with(keyturn, tokens.log_out, cookies, x_csrf_token=long_lived(grant).csrf_token)
    assert_dead(keyturn, grant)


CHANGE = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}


@pytest.mark.parametrize("transport", ["session", "cookie"])
def test_password_change_by_bearer_leaves_a_stray_cookie(keyturn: Keyturn, transport: Transport) -> None:
    """The cookie of another session is no credential of the bearer's: nothing is changed, renewed or set."""
    stray = sign_up(keyturn.services, email="bob@example.com", transport=transport)
    mine = sign_up(keyturn.services)
    name = {"session": "__Host-session", "cookie": "__Host-refresh"}[transport]
    for body in (CHANGE, {**CHANGE, "refresh_token": long_lived(mine).refresh_token}):
        with pytest.raises(InvalidRequest if "refresh_token" in body else CredentialRequired):
            ask_with(
                keyturn,
                accounts.change_password,
                f"{name}={long_lived(stray).refresh_token}",
                body,
                bearer=mine.access_token,
                principal=keyturn.principal(mine.access_token),
                x_csrf_token=long_lived(stray).csrf_token,
            )
    assert_works(keyturn, stray)
    assert_works(keyturn, mine)


def test_password_change_answers_the_way_of_its_transport(keyturn: Keyturn) -> None:
    """The whole token response: in the body for `body`, by a new cookie for the two others; the CSRF token stays."""
    for number, transport in enumerate(TRANSPORTS):
        grant = sign_up(keyturn.services, email=f"n{number}@example.com", transport=transport)
        held, csrf_token = long_lived(grant).refresh_token, long_lived(grant).csrf_token
        body, cookies = {**CHANGE}, ""
        if transport == "body":
            body["refresh_token"] = held
        else:
            cookies = f"{'__Host-session' if transport == 'session' else '__Host-refresh'}={held}"
        answer = ask_with(
            keyturn,
            accounts.change_password,
            cookies,
            body,
            bearer=grant.access_token,
            principal=holder(keyturn.services, grant),
            x_csrf_token=csrf_token,
        )
        assert isinstance(answer.body, dict)
        common = {"expires_in", "session_id", "user"}
        tokens = {"access_token", "token_type"}
        assert (
            set(answer.body)
            == {
                "body": {*common, *tokens, "refresh_token"},
                "cookie": {*common, *tokens, "csrf_token"},
                "session": {*common, "csrf_token"},
            }[transport]
        )
        assert held not in json.dumps(answer.body)
        assert ("Set-Cookie" in answer.headers) is (transport != "body")
        assert answer.body.get("csrf_token", csrf_token) == csrf_token
        assert_dead(keyturn, grant)


@pytest.mark.parametrize("csrf_token", [None, "", "A" * 43])
def test_password_change_by_cookie_needs_the_csrf_token(keyturn: Keyturn, csrf_token: str | None) -> None:
    """Its answer sets a cookie: a page that does not know the session's token changes nothing, bearer or not."""
    grant = sign_up(keyturn.services, transport="cookie")
    with pytest.raises(CsrfTokenInvalid):
        ask_with(
            keyturn,
            accounts.change_password,
            f"__Host-refresh={long_lived(grant).refresh_token}",
            CHANGE,
            bearer=grant.access_token,
            principal=keyturn.principal(grant.access_token),
            x_csrf_token=csrf_token,
        )
    assert_works(keyturn, grant)


def test_login_ends_the_session_of_the_cookie(keyturn: Keyturn) -> None:
    """The browser's former session is over when the new one begins; a refused login leaves it (ASVS V7.2.4)."""
    former = sign_up(keyturn.services, transport="cookie")
    with pytest.raises(InvalidCredentials):
        ask(keyturn, accounts.log_in, {**LOGIN, "password": WRONG_PASSWORD}, **in_browser(former))
    keyturn.authorize(former.access_token)
    answer = ask(keyturn, accounts.log_in, LOGIN, **in_browser(former))
    assert isinstance(answer.body, dict)
    assert answer.body["session_id"] != former.session_id
    assert_dead(keyturn, former)
