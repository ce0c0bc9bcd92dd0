"""The browser flow with Apple, Microsoft and GitHub: a person logs in on the provider's page and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest

from tests.http.client import assert_problem
from tests.openid import forms
from tests.openid.emulated import NAMES, PERSONAL, arrive, new_key
from tests.openid.forms import query
from tests.world.constants import PAGE
from tests.world.person import new_email

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.http.server import Server
    from tests.openid.emulated import Emulated
    from tests.openid.keyturn import Keyturn, Session
    from tests.world.person import Person

# What each provider documents that it sends of a person who gives up. emulate's pages have no button for that.
REFUSALS = {
    "apple": {"error": "user_cancelled_authorize"},
    "microsoft": {"error": "access_denied", "error_subcode": "cancel"},
    "github": {
        "error": "access_denied",
        "error_description": "The user has denied your application access.",
        "error_uri": "https://docs.github.com/troubleshooting",
    },
}


def issuer(keyturn: Keyturn, emulated: Emulated, tenant: str = PERSONAL) -> str:
    """The issuer of an identity: Microsoft's is that of the person's tenant."""
    return f"{emulated.urls['microsoft']}/{tenant}/v2.0" if keyturn.name == "microsoft" else keyturn.provider.issuer


def changed(callback: str, **parameters: str) -> str:
    """The callback with other parameters."""
    return urlsplit(callback)._replace(query=urlencode(query(callback) | parameters)).geturl()


def link(keyturn: Keyturn, session: Session, person: Person) -> None:
    """Link the person's identity to the session's account."""
    asked = session.renew("POST", f"/identities/{keyturn.name}/authorization", {"return_to": PAGE})
    callback = forms.log_in(session.browser, asked.json["authorization_url"], person)
    assert keyturn.finish(session.browser, callback) == PAGE


def test_first_arrival(each: Keyturn, emulated: Emulated) -> None:
    """A person who arrives has an account without a password, and the provider's address, which Microsoft never proves.

    The issuer of Microsoft's identity is the tenant's own.
    """
    person = emulated.somebody(each.name)
    session = each.log_in(each.browser(), person)
    me = session.call("GET", "/me").json
    assert (me["sub"], me["email"]) == (session.sub, person.email)
    assert me["email_verified"] is (each.name != "microsoft")
    ways_in = session.ways_in()
    (identity,) = ways_in["identities"]
    assert (identity["provider"], identity["issuer"]) == (each.name, issuer(each, emulated))
    assert (identity["email"], ways_in["password"]) == (person.email, False)


def test_second_login(each: Keyturn, emulated: Emulated) -> None:
    """The same person comes to the same account, from another browser too, and nothing is added to the account."""
    person, browser = emulated.somebody(each.name), each.browser()
    first = each.log_in(browser, person)
    again, elsewhere = each.log_in(browser, person), each.log_in(each.browser(), person)
    assert first.sub == again.sub == elsewhere.sub
    assert len({session.tokens["session_id"] for session in (first, again, elsewhere)}) == 3
    assert len(elsewhere.ways_in()["identities"]) == 1


def test_refusal(each: Keyturn) -> None:
    """A person who gives up comes back to the page with `access_denied`, and has no session."""
    browser = each.browser()
    asked = query(each.begin(browser))
    callback, answer = asked["redirect_uri"], REFUSALS[each.name] | {"state": asked["state"]}
    if each.name == "apple":
        reply = browser.submit_across(callback, answer)
        callback = reply.header("Location") or ""
    else:
        callback = f"{callback}?{urlencode(answer)}"
    assert each.finish(browser, callback) == f"{PAGE}?error=access_denied"
    assert not browser.logged_in()


def test_replayed_callback(each: Keyturn, emulated: Emulated) -> None:
    """A callback that is loaded again leads to the page and begins no second session."""
    browser, _, callback = arrive(each, emulated)
    assert each.finish(browser, callback) == PAGE
    session = each.resumed(browser)
    assert each.finish(browser, callback) == PAGE
    assert len(session.call("GET", "/sessions").json["sessions"]) == 1


def test_callback_in_another_browser(each: Keyturn, emulated: Emulated) -> None:
    """An attacker's callback is refused in every other browser, whether or not that browser has begun a login."""
    attacker, _, callback = arrive(each, emulated)
    victim, stranger = each.browser(), each.browser()
    each.begin(victim)
    for browser in (victim, stranger):
        assert each.finish(browser, callback) == f"{PAGE}?error=login_expired"
        assert not browser.logged_in()
    assert each.finish(attacker, callback) == PAGE


def test_code_of_another_login(each: Keyturn, emulated: Emulated) -> None:
    """A stolen code is refused in another login: by PKCE, and with Apple, which documents no PKCE, by the nonce."""
    _, _, stolen = arrive(each, emulated)
    browser, _, callback = arrive(each, emulated)
    injected = changed(callback, code=query(stolen)["code"])
    assert each.finish(browser, injected) == f"{PAGE}?error=invalid_code"
    assert not browser.logged_in()


def test_code_that_the_provider_does_not_know(each: Keyturn, emulated: Emulated) -> None:
    """A code that is made up or spent is refused, by `invalid_grant` as by GitHub's `bad_verification_code`."""
    browser, _, callback = arrive(each, emulated)
    assert each.finish(browser, changed(callback, code="0123456789abcdef")) == f"{PAGE}?error=invalid_code"
    first, _, spent = arrive(each, emulated)
    assert each.finish(first, spent) == PAGE
    browser, _, callback = arrive(each, emulated)
    assert each.finish(browser, changed(callback, code=query(spent)["code"])) == f"{PAGE}?error=invalid_code"


def test_wrong_state(each: Keyturn, named: dict[str, Keyturn], emulated: Emulated) -> None:
    """A state that is forged, absent or of another provider's login is refused, and leads to no page."""
    browser, _, callback = arrive(each, emulated)
    other = next(keyturn for keyturn in named.values() if keyturn.name != each.name)
    state = query(callback)["state"]
    for wrong in ("", f"x{state[1:]}", query(other.begin(browser))["state"]):
        assert_problem(browser.get(changed(callback, state=wrong)), 400, "login_expired")
    assert_problem(browser.get(callback.replace(f"/{each.name}/", f"/{other.name}/")), 400, "login_expired")
    assert not browser.logged_in()


def test_link(each: Keyturn, emulated: Emulated) -> None:
    """An account with a password links the identity, and the person comes in by it afterwards; unlinked, no more."""
    person = emulated.somebody(each.name)
    session = each.sign_up(each.browser(), new_email())
    link(each, session, person)
    (identity,) = session.ways_in()["identities"]
    assert (identity["provider"], identity["issuer"]) == (each.name, issuer(each, emulated))
    assert each.log_in(each.browser(), person).sub == session.sub
    assert session.renew("DELETE", f"/identities/{each.name}").status == 200
    assert each.log_in(each.browser(), person).sub != session.sub


def test_two_providers(each: Keyturn, named: dict[str, Keyturn], emulated: Emulated) -> None:
    """An identity of another provider lets the first identity go, and then is the last way in, which stays."""
    other = named[NAMES[NAMES.index(each.name) - 1]]
    session, person = each.log_in(each.browser(), emulated.somebody(each.name)), emulated.somebody(other.name)
    assert_problem(session.renew("DELETE", f"/identities/{each.name}"), 409, "last_way_in")
    link(other, session, person)
    session = other.log_in(session.browser, person)
    assert session.renew("DELETE", f"/identities/{each.name}").status == 200
    assert_problem(session.renew("DELETE", f"/identities/{other.name}"), 409, "last_way_in")
    assert [identity["provider"] for identity in session.ways_in()["identities"]] == [other.name]


@pytest.mark.parametrize(("name", "kind"), [("microsoft", "public"), ("microsoft", "first"), ("github", "unproven")])
def test_unproven_address_opens_no_account(named: dict[str, Keyturn], emulated: Emulated, name: str, kind: str) -> None:
    """An address that the provider does not prove opens no account that has it (Microsoft's nOAuth)."""
    keyturn = named[name]
    browser, person, callback = arrive(keyturn, emulated, kind)
    owner = keyturn.sign_up(keyturn.browser(), person.email)
    assert keyturn.finish(browser, callback) == f"{PAGE}?error=email_taken"
    assert not browser.logged_in()
    assert owner.ways_in() == {"identities": [], "password": True}


def test_wrong_secret(each: Keyturn, one_server: Server, emulated: Emulated, named_settings: Mapping[str, str]) -> None:
    """Each provider checks the client's secret, Apple by the key that has signed it: a wrong secret ends the login."""
    parameter = f"{one_server.prefix}/provider/{each.name}-wrong"
    value = new_key().private if each.name == "apple" else "another secret"
    one_server.parameters.put_parameter(Name=parameter, Value=value, Type="SecureString")
    setting = f"KEYTURN_{each.name.upper()}_CLIENT_SECRET_PARAMETER"
    with one_server.cold({**named_settings, setting: parameter}):
        browser, _, callback = arrive(each, emulated)
        assert each.finish(browser, callback) == f"{PAGE}?error=provider_error"
        assert not browser.logged_in()
