"""The browser flow against real providers: Keyturn makes the authorization request and is called back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from tests.openid import forms
from tests.openid.forms import query
from tests.world.browser import REFRESH_COOKIE, Browser
from tests.world.constants import PAGE, PASSWORD
from tests.world.person import new_person

if TYPE_CHECKING:
    from tests.openid.keyturn import Keyturn


def cookies(browser: Browser) -> set[str]:
    """Names of what the browser keeps for Keyturn."""
    return {name for name in browser.cookies if name.startswith("__Host-")}


def test_provider_requires_pkce(keyturn: Keyturn) -> None:
    """A request like Keyturn's without its challenge gets no code: these providers do require PKCE."""
    browser = keyturn.browser()
    url = keyturn.begin(browser)
    bare = {name: value for name, value in query(url).items() if not name.startswith("code_challenge")}
    reply = browser.get(f"{url.partition('?')[0]}?{urlencode(bare)}")
    said = query(reply.header("Location") or "")["error"] if reply.status == 303 else reply.json["error"]
    assert said == "invalid_request", reply


def test_first_arrival(keyturn: Keyturn) -> None:
    """Whoever arrives for the first time has an account without a password, with the address that was verified."""
    browser, person = keyturn.browser(), new_person()
    session = keyturn.log_in(browser, person)
    me = session.call("GET", "/me").json
    assert (me["email"], me["email_verified"], me["sub"]) == (person.email, True, session.sub)
    ways_in = session.ways_in()
    (identity,) = ways_in["identities"]
    assert (identity["email"], ways_in["password"]) == (person.email, False)
    assert session.linked() == [keyturn.subject(person)]


def test_unproven_address_stays_unproven(keyturn: Keyturn) -> None:
    """An address that the provider has not verified is not taken for verified."""
    session = keyturn.log_in(keyturn.browser(), new_person("unproven"))
    assert session.call("GET", "/me").json["email_verified"] is False


def test_second_login(keyturn: Keyturn) -> None:
    """The same person comes to the same account, from another browser too."""
    person, browser = new_person(), keyturn.browser()
    first = keyturn.log_in(browser, person)
    again, elsewhere = keyturn.log_in(browser, person), keyturn.log_in(keyturn.browser(), person)
    assert first.sub == again.sub == elsewhere.sub
    assert len({session.tokens["session_id"] for session in (first, again, elsewhere)}) == 3
    assert elsewhere.linked() == [keyturn.subject(person)]


def test_refusal(keyturn: Keyturn) -> None:
    """Who refuses at the provider comes back to the page with `access_denied` and nothing else, and has no session."""
    browser = keyturn.browser()
    returned = keyturn.finish(browser, forms.refuse(browser, keyturn.begin(browser)))
    assert returned == f"{PAGE}?error=access_denied"
    assert REFRESH_COOKIE not in cookies(browser)


def test_replayed_callback(keyturn: Keyturn) -> None:
    """A callback URL works once: afterwards it begins no session and leads to the page, and the first one lives on."""
    browser = keyturn.browser()
    callback = forms.log_in(browser, keyturn.begin(browser), new_person())
    assert keyturn.finish(browser, callback) == PAGE
    session = keyturn.resumed(browser)
    before = len(session.call("GET", "/sessions").json["sessions"])
    assert keyturn.finish(browser, callback) == PAGE
    assert len(session.call("GET", "/sessions").json["sessions"]) == before == 1
    assert session.call("GET", "/me").status == 200


def test_callback_in_another_browser(keyturn: Keyturn) -> None:
    """Another browser's callback URL is refused, also where a login has been begun; its own browser still finishes."""
    victim, stranger, attacker = keyturn.browser(), keyturn.browser(), keyturn.browser()
    keyturn.begin(victim)
    callback = forms.log_in(attacker, keyturn.begin(attacker), new_person())
    for browser in (victim, stranger):
        assert keyturn.finish(browser, callback) == f"{PAGE}?error=login_expired"
        assert REFRESH_COOKIE not in cookies(browser)
    assert keyturn.finish(attacker, callback) == PAGE


def test_two_tabs(keyturn: Keyturn) -> None:
    """Two logins that one browser has begun both finish, in any order: they share one secret."""
    browser, person = keyturn.browser(), new_person()
    first, second = keyturn.begin(browser), keyturn.begin(browser)
    assert query(first)["state"] != query(second)["state"]
    assert query(first)["nonce"] != query(second)["nonce"]
    for url in (second, first):
        assert keyturn.finish(browser, forms.log_in(browser, url, person)) == PAGE
        keyturn.resumed(browser)


def test_code_of_another_login(keyturn: Keyturn) -> None:
    """A code that was given for another login of this browser is refused: the verifier is not its own."""
    browser, person = keyturn.browser(), new_person()
    first = forms.log_in(browser, keyturn.begin(browser), person)
    second = forms.log_in(browser, keyturn.begin(browser), person)
    mixed = query(first) | {"code": query(second)["code"]}
    parts = urlsplit(first)
    returned = keyturn.finish(browser, parts._replace(query=urlencode(mixed)).geturl())
    assert returned == f"{PAGE}?error=invalid_code"
    assert REFRESH_COOKIE not in cookies(browser)


def test_takes_over_an_unproven_account(keyturn: Keyturn) -> None:
    """An account that somebody made with another's address belongs to who proves it: password and sessions are gone."""
    person, squatter = new_person(), keyturn.browser()
    squatted = keyturn.sign_up(squatter, person.email)
    session = keyturn.log_in(keyturn.browser(), person)
    assert session.sub == squatted.sub
    assert session.ways_in()["password"] is False
    assert squatted.call("GET", "/me").status == 401
    members = {"email": person.email, "password": PASSWORD, "transport": "body"}
    assert squatter.fetch("POST", f"{keyturn.url}/login", members).json["code"] == "invalid_credentials"


def test_unproven_address_opens_no_account(keyturn: Keyturn) -> None:
    """A person whose address the provider has not verified gets into no account that has it."""
    person, browser = new_person("unproven"), keyturn.browser()
    owner = keyturn.sign_up(keyturn.browser(), person.email)
    assert keyturn.finish(browser, forms.log_in(browser, keyturn.begin(browser), person)) == f"{PAGE}?error=email_taken"
    assert REFRESH_COOKIE not in cookies(browser)
    assert owner.ways_in() == {"identities": [], "password": True}
