"""GET, POST and DELETE /identities: the ways into an account, over HTTP; and a first password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.http.client import (
    Held,
    assert_answer,
    assert_no_content,
    assert_problem,
    error_of,
    log_in,
    resumed,
    sign_up,
)
from tests.world.browser import FROM_PAGE, Browser
from tests.world.constants import PAGE, PASSWORD
from tests.world.own_request import own_code
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from tests.http.server import Server
    from tests.world.client import Client, Reply

NEW_PASSWORD = "fresh horse battery"


@pytest.fixture
def surfer(server: Server) -> Browser:
    """A browser of its own."""
    return server.browser()


def ways_in(held: Held) -> Any:
    """What opens the account."""
    reply = held.client.call("GET", "/identities", headers=[held.bearer])
    assert_answer(reply, 200, {"identities", "password"})
    return reply.json


def unlink(held: Held, provider: str = "google") -> Reply:
    """Ask to unlink."""
    return held.renew("DELETE", f"/identities/{provider}")


def begin_linking(surfer: Browser, held: Held) -> str:
    """Ask where to go to link."""
    members = {"return_to": PAGE}
    headers = [held.bearer]
    if "refresh_token" in held.reply.json:
        members["refresh_token"] = held.refresh_token
    else:
        headers.append(("X-CSRF-Token", held.csrf_token))
    reply = surfer.fetch("POST", "/identities/google/authorization", members, headers)
    assert_answer(reply, 200, {"authorization_url"})
    return str(reply.json["authorization_url"])


def test_account_of_a_provider(server: Server, surfer: Browser) -> None:
    """It has that one identity, no password, and it is not the last way in that goes."""
    email = new_email()
    surfer.log_in(person_of(email))
    held = resumed(surfer)
    found = ways_in(held)
    (identity,) = found["identities"]
    assert found["password"] is False
    assert set(identity) == {"provider", "issuer", "subject", "email", "linked_at"}
    assert (identity["provider"], identity["issuer"], identity["email"]) == ("google", server.provider.url, email)
    assert_problem(unlink(held), 409, "last_way_in")


def test_link_by_redirect(server: Server, surfer: Browser) -> None:
    """A page asks for the URL, the browser goes there, and what comes back opens the account."""
    held = sign_up(surfer.client)
    person = person_of(new_email())
    reply = surfer.come_back(surfer.agree(begin_linking(surfer, held), person))
    assert (reply.status, reply.header("Location")) == (303, PAGE)
    (removed,) = reply.all("Set-Cookie")
    assert removed.startswith("__Host-login-")
    assert "Max-Age=0" in removed
    assert [identity["email"] for identity in ways_in(held)["identities"]] == [person.email]
    other = server.browser()
    other.log_in(person)
    assert resumed(other).me().json["sub"] == held.me().json["sub"]
    after = held.renewed("DELETE", "/identities/google")
    held.assert_renewed()
    assert_problem(unlink(after), 404, "identity_not_found")
    assert ways_in(after) == {"identities": [], "password": True}


def test_link_by_code(server: Server, client: Client) -> None:
    """An app that has got a code for itself links with it; the same code links nothing twice."""
    held = sign_up(client)
    members = own_code(server.provider, person_of(new_email()))
    after = held.renewed("POST", "/identities/google", members)
    held.assert_renewed()
    assert len(ways_in(after)["identities"]) == 1
    assert_problem(after.renew("POST", "/identities/google", members), 401, "invalid_code")


def test_link_proves_the_address(server: Server, client: Client) -> None:
    """Where the provider has verified the account's own address, so has the account, and its password stays."""
    held = sign_up(client)
    assert held.me().json["email_verified"] is False
    members = own_code(server.provider, person_of(held.email))
    held = held.renewed("POST", "/identities/google", members)
    assert held.reply.json["user"]["email_verified"] is True
    assert held.me().json["email_verified"] is True
    assert log_in(client, held.email).reply.json["user"]["email_verified"] is True


def test_link_is_of_the_session_that_asked(surfer: Browser) -> None:
    """Where that session has ended, nothing is linked, whoever else is logged in there by then."""
    held = sign_up(surfer.client)
    callback = surfer.agree(begin_linking(surfer, held), person_of(new_email()))
    assert_no_content(held.client.post("/logout", {"refresh_token": held.refresh_token}))
    assert error_of(surfer.come_back(callback)) == "invalid_token"
    assert ways_in(log_in(surfer.client, held.email))["identities"] == []


def test_link_in_another_browser(server: Server, surfer: Browser) -> None:
    """Whoever is sent somebody else's callback URL or authorization URL links nothing."""
    held = sign_up(surfer.client)
    callback = surfer.agree(begin_linking(surfer, held), person_of(new_email()))
    assert error_of(server.browser().come_back(callback)) == "login_expired"
    assert ways_in(held)["identities"] == []


def test_identity_opens_one_account(server: Server, client: Client) -> None:
    """An identity of another account is refused, and so is a second one of the provider."""
    first, second = sign_up(client), sign_up(client)
    person = person_of(new_email())
    first = first.renewed("POST", "/identities/google", own_code(server.provider, person))
    first = first.renewed("POST", "/identities/google", own_code(server.provider, person))
    assert_problem(second.renew("POST", "/identities/google", own_code(server.provider, person)), 409, "identity_taken")
    other = own_code(server.provider, person_of(new_email()))
    assert_problem(first.renew("POST", "/identities/google", other), 409, "identity_taken")


def test_linking_asks_which_page(surfer: Browser) -> None:
    """It sets a cookie, so its page must be allowed; and so must the page to come back to."""
    held = sign_up(surfer.client)
    path = "/identities/google/authorization"
    evil = [("Origin", "https://evil.example"), held.bearer]
    assert_problem(held.client.post(path, {"return_to": PAGE}, evil), 403, "origin_refused")
    assert_problem(held.client.post(path, {"return_to": PAGE}, [held.bearer]), 403, "origin_refused")
    for page in ("https://evil.example", f"{PAGE}?x"):
        members = {"return_to": page, "refresh_token": held.refresh_token}
        assert_problem(held.client.post(path, members, [FROM_PAGE, held.bearer]), 400, "invalid_request")


CHANGES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("POST", "/password/change", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}),
    ("DELETE", "/identities/google", {}),
    ("POST", "/identities/google/authorization", {"return_to": PAGE}),
)


@pytest.mark.parametrize("transport", ["body", "cookie"])
@pytest.mark.parametrize(("method", "path", "members"), CHANGES)
def test_bearer_alone_changes_nothing(
    client: Client, method: str, path: str, members: dict[str, str], transport: str
) -> None:
    """A copied access token does not change who may get in: 400 without the session's own long-lived credential."""
    held, other = sign_up(client, transport), sign_up(client)
    reply = client.call(method, path, members, [FROM_PAGE, held.bearer])
    assert_problem(reply, 400, "credential_required")
    assert "refresh_token" in reply.json["detail"]
    foreign = {**members, "refresh_token": other.refresh_token}
    assert_problem(client.call(method, path, foreign, [FROM_PAGE, held.bearer]), 400, "credential_required")
    held.assert_lives()
    other.assert_lives()


def test_superseded_token_changes_nothing(server: Server, client: Client) -> None:
    """After the window a copy of an older refresh token changes nothing, and it ends nothing here."""
    held = sign_up(client)
    last = held.refreshed()
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    with server.later(21):
        assert_problem(held.renew("POST", "/password/change", change), 401, "invalid_grant")
        last.assert_lives()


def test_link_by_redirect_renews_the_cookie(server: Server, surfer: Browser) -> None:
    """Where the callback carries the cookie of the session that asked, it is renewed; the one of before is dead."""
    surfer.log_in(person_of(new_email()))
    held = resumed(surfer)
    reply = surfer.fetch("POST", "/identities/oidc/authorization", {"return_to": PAGE}, [held.bearer])
    assert_problem(reply, 404, "provider_not_found")
    email = new_email()
    owner = sign_up(surfer.client, "cookie", email)
    browser = server.browser(surfer.client)
    browser.keep(owner.reply)
    callback = browser.agree(begin_linking(browser, owner), person_of(new_email()))
    renewed = browser.come_back(callback)
    assert (renewed.status, renewed.header("Location")) == (303, PAGE)
    cookie, removed = renewed.all("Set-Cookie")
    assert cookie.startswith("__Host-refresh=")
    assert removed.startswith("__Host-login-")
    owner.assert_renewed()
    assert len(ways_in(resumed(browser))["identities"]) == 1


def test_unlink_a_provider_that_is_none(app_user: Held) -> None:
    """An account has no identity of it, whatever it is called."""
    for provider in ("oidc", "google", "x", "..%2f", "%00", "a" * 300):
        assert unlink(app_user, provider).status == 404, provider
    app_user.assert_lives()


def test_first_password(surfer: Browser) -> None:
    """An account of a provider gets a password without one; every other session ends, and it is a way in."""
    email = new_email()
    surfer.log_in(person_of(email))
    held = resumed(surfer)
    change = {"current_password": "anything at all", "new_password": NEW_PASSWORD}
    assert_problem(held.renew("POST", "/password/change", change), 401, "invalid_credentials")
    assert_problem(held.renew("POST", "/password/change", {"new_password": "short"}), 400, "password_rejected")
    changed = held.renewed("POST", "/password/change", {"new_password": NEW_PASSWORD})
    log_in(held.client, email, password=NEW_PASSWORD)
    assert ways_in(changed)["password"] is True
    again = {"new_password": "yet another password"}
    assert_problem(changed.renew("POST", "/password/change", again), 400, "invalid_request")
    changed.renewed("DELETE", "/identities/google")
