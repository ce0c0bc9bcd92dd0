"""A callback that a browser loads again, by reload or the back button, when its login is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import LoginExpired
from chalicelib.services.federation.requests import LOGIN_SECONDS
from tests.flows.contents import contents
from tests.flows.federated import granted
from tests.flows.steps import assert_works, decoded, log_in, log_out, refresh, sign_up
from tests.world.constants import CLIENT, PAGE
from tests.world.person import Person

if TYPE_CHECKING:
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services.federation.requests import Return
    from tests.flows.federated import BrowserFlow, Federated

ALICE = Person()
BOB = Person("person-2", "bob@example.com")


def load_again(
    federated: Federated,
    browser: BrowserFlow,
    query: dict[str, str],
    carried: RefreshToken | None,
    name: str = "google",
) -> str | None:
    """The error that comes back to the page. Nothing else does; nothing is written; the provider is not asked."""
    held = contents(federated.keyturn.store)
    asked = (list(federated.google.calls), list(federated.oidc.calls))
    returned: Return = browser.come_back(query, name, carried=carried)
    assert (returned.return_to, returned.grant) == (PAGE, None)
    assert contents(federated.keyturn.store) == held
    assert (federated.google.calls, federated.oidc.calls) == asked
    return returned.error


@pytest.mark.parametrize("transport", ["cookie", "session"])
def test_person_who_is_logged_in_is_sent_on(federated_anywhere: Federated, transport: Any) -> None:
    """After a success the page is told no error, again and again, also when the key has been turned since."""
    federated = federated_anywhere
    browser = federated.browser()
    query = federated.google.approve(browser.begin(transport=transport))
    grant = granted(browser.come_back(query))
    for _ in range(2):
        assert load_again(federated, browser, query, decoded(federated.services, grant)) is None
    if transport == "cookie":
        federated.keyturn.clock.advance(60)
        turned = refresh(federated.services, grant)
        for held in (grant, turned):
            assert load_again(federated, browser, query, decoded(federated.services, held)) is None
        grant = turned
    assert_works(federated.keyturn, grant)


@pytest.mark.parametrize("has_cookie", [True, False])
@pytest.mark.parametrize("later", [LOGIN_SECONDS - 1, LOGIN_SECONDS, 86400])
def test_callback_is_loaded_again_later(federated: Federated, later: int, has_cookie: bool) -> None:  # noqa: FBT001
    """Also after the ten minutes, and when the cookies that bound the login are gone."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    grant = granted(browser.come_back(query))
    federated.keyturn.clock.advance(later)
    if not has_cookie:
        browser.secret = None
    assert load_again(federated, browser, query, decoded(federated.services, grant)) is None
    assert load_again(federated, browser, query, None) == "login_expired"


def test_other_tab_has_logged_in_since(federated: Federated) -> None:
    """The session is another tab's login at the same provider, which ended the first tab's: the person is logged in."""
    browser = federated.browser()
    first = federated.google.approve(browser.begin())
    mine = granted(browser.come_back(first))
    federated.keyturn.clock.advance(1)
    second = federated.google.approve(browser.begin(), BOB)
    theirs = granted(browser.come_back(second, carried=decoded(federated.services, mine)))
    assert load_again(federated, browser, first, decoded(federated.services, theirs)) is None
    assert load_again(federated, browser, second, decoded(federated.services, theirs)) is None


def test_credential_of_a_session_that_has_ended(federated: Federated) -> None:
    """Who has logged out is told that the login is over, and so is the holder of a credential that is dead."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    grant = granted(browser.come_back(query))
    log_out(federated.services, grant)
    assert load_again(federated, browser, query, decoded(federated.services, grant)) == "login_expired"


@pytest.mark.parametrize("answer", [{"error": "access_denied"}, {"code": "wrong"}, {}], ids=str)
def test_login_that_failed_is_not_taken_for_the_session_of_before(federated: Federated, answer: dict[str, str]) -> None:
    """Who is logged in, wanted to be somebody else and was refused, is not sent on as if that had worked."""
    for former in (federated.log_in(federated.google), sign_up(federated.services, email="carol@example.com")):
        federated.keyturn.clock.advance(1)
        browser, carried = federated.browser(), decoded(federated.services, former)
        query = federated.google.approve(browser.begin(), BOB)
        assert browser.come_back({"state": query["state"], **answer}, carried=carried).error
        assert load_again(federated, browser, query, carried) == "login_expired"


def test_login_that_took_too_long_is_not_taken_for_the_session_of_before(federated: Federated) -> None:
    """After ten minutes at the provider the page is told so, whoever is logged in there."""
    carried = decoded(federated.services, federated.log_in(federated.google))
    federated.keyturn.clock.advance(1)
    browser = federated.browser()
    query = federated.google.approve(browser.begin(), BOB)
    federated.keyturn.clock.advance(LOGIN_SECONDS)
    assert load_again(federated, browser, query, carried) == "login_expired"


def test_login_at_another_provider_or_by_password_is_another(federated: Federated) -> None:
    """Neither says that the person came through this provider."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    browser.come_back({"state": query["state"], "error": "access_denied"})
    sign_up(federated.services, email="carol@example.com")
    for other in (federated.log_in(federated.oidc), log_in(federated.services, email="carol@example.com")):
        assert load_again(federated, browser, query, decoded(federated.services, other)) == "login_expired"


def test_attackers_callback_changes_nothing_of_its_visitor(federated: Federated) -> None:
    """Whoever opens somebody else's callback stays who they are, and the attacker's login is not used up."""
    attacker, victim = federated.browser(), federated.browser()
    query = federated.google.approve(attacker.begin(), BOB)
    theirs = granted(victim.log_in(federated.google))
    carried = decoded(federated.services, theirs)
    assert load_again(federated, victim, query, carried) is None
    with pytest.raises(LoginExpired):
        victim.come_back({**query, "state": query["state"][:-4] + "AAAA"}, carried=carried)
    assert_works(federated.keyturn, theirs)
    assert granted(attacker.come_back(query)).account.email == BOB.email


@pytest.mark.parametrize("with_cookie", [True, False])
def test_link_that_succeeded(federated: Federated, with_cookie: bool) -> None:  # noqa: FBT001
    """The page is told no error where the session's account has the identity since; any other account's page is."""
    grant, other = sign_up(federated.services), sign_up(federated.services, email="carol@example.com")
    browser = federated.browser()
    query = federated.google.approve(browser.begin_linking(grant), BOB)
    carried = decoded(federated.services, grant)
    returned = browser.come_back(query, carried=carried if with_cookie else None)
    assert returned.error is None
    held = granted(returned) if with_cookie else grant
    assert load_again(federated, browser, query, decoded(federated.services, held)) is None
    assert load_again(federated, browser, query, decoded(federated.services, other)) == "login_expired"
    if with_cookie:
        assert load_again(federated, browser, query, carried) == "login_expired"  # under the session's floor


def test_link_that_was_refused(federated: Federated) -> None:
    """An identity of before, or none, says nothing of this link."""
    grant = sign_up(federated.services)
    for linked in (False, True):
        if linked:
            browser = federated.browser()
            done = federated.google.approve(browser.begin_linking(grant), replace(ALICE, email="x@example.com"))
            assert browser.come_back(done).linked
            federated.keyturn.clock.advance(1)
        browser = federated.browser(CLIENT)
        query = federated.google.approve(browser.begin_linking(grant), BOB)
        assert browser.come_back({"state": query["state"], "error": "access_denied"}).error == "access_denied"
        assert load_again(federated, browser, query, decoded(federated.services, grant)) == "login_expired"
