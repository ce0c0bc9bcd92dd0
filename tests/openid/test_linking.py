"""Identities of real providers, linked to an account and taken from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.http.client import assert_no_content, assert_problem
from tests.openid import forms
from tests.openid.forms import query
from tests.openid.keyturn import web_request
from tests.world.constants import PAGE
from tests.world.person import new_email, new_person

if TYPE_CHECKING:
    from tests.openid.keyturn import Keyturn, Session
    from tests.world.person import Person


def begin_linking(session: Session) -> str:
    """Ask to link; the URL at the provider."""
    reply = session.renew("POST", f"/identities/{session.keyturn.name}/authorization", {"return_to": PAGE})
    assert reply.status == 200, reply
    return str(reply.json["authorization_url"])


def link(session: Session, person: Person) -> str:
    """Link by the browser flow; the URL of the page."""
    callback = forms.log_in(session.browser, begin_linking(session), person)
    return session.keyturn.finish(session.browser, callback)


def test_link_by_browser(keyturn: Keyturn) -> None:
    """Whoever is logged in links an identity, whatever its address, and then comes in by it."""
    person = new_person()
    session = keyturn.sign_up(keyturn.browser(), new_email())
    assert link(session, person) == PAGE
    assert session.linked() == [keyturn.subject(person)]
    assert keyturn.log_in(keyturn.browser(), person).sub == session.sub


def test_link_by_exchange(keyturn: Keyturn) -> None:
    """The same with a code that the frontend brings; twice is once."""
    person = new_person()
    session = keyturn.sign_up(keyturn.browser(), new_email())
    for _ in range(2):
        members = web_request(keyturn).code(session.browser, keyturn.provider.issuer, person)
        assert session.renew("POST", f"/identities/{keyturn.name}", members).status == 200
        assert session.linked() == [keyturn.subject(person)]
    assert keyturn.log_in(keyturn.browser(), person).sub == session.sub


def test_linking_is_the_sessions_alone(keyturn: Keyturn) -> None:
    """A link that was begun does nothing in another browser, nor once its session is over."""
    person = new_person()
    session = keyturn.sign_up(keyturn.browser(), new_email())
    callback = forms.log_in(session.browser, begin_linking(session), person)
    assert query(keyturn.finish(keyturn.browser(), callback)) == {"error": "login_expired"}
    other = keyturn.session(
        session.browser,
        session.browser.fetch("POST", f"{keyturn.url}/refresh", {"refresh_token": session.tokens["refresh_token"]}),
    )
    assert_no_content(other.call("POST", "/logout"))
    assert query(keyturn.finish(session.browser, callback)) == {"error": "invalid_token"}
    assert keyturn.log_in(keyturn.browser(), person).sub != session.sub


def test_identity_of_another_account(keyturn: Keyturn) -> None:
    """An identity that opens one account is not linked to another."""
    person = new_person()
    owner = keyturn.log_in(keyturn.browser(), person)
    session = keyturn.sign_up(keyturn.browser(), new_email())
    assert link(session, person) == f"{PAGE}?error=identity_taken"
    assert session.linked() == []
    assert keyturn.log_in(keyturn.browser(), person).sub == owner.sub


def test_unlink(keyturn: Keyturn) -> None:
    """An unlinked identity opens the account no more."""
    person = new_person()
    session = keyturn.sign_up(keyturn.browser(), new_email())
    assert link(session, person) == PAGE
    assert session.renew("DELETE", f"/identities/{keyturn.name}").status == 200
    assert session.ways_in() == {"identities": [], "password": True}
    assert_problem(session.renew("DELETE", f"/identities/{keyturn.name}"), 404, "identity_not_found")
    assert keyturn.log_in(keyturn.browser(), person).sub != session.sub


def test_last_way_in(keyturn: Keyturn) -> None:
    """The only way into an account stays."""
    person = new_person()
    session = keyturn.log_in(keyturn.browser(), person)
    assert_problem(session.renew("DELETE", f"/identities/{keyturn.name}"), 409, "last_way_in")
    assert session.linked() == [keyturn.subject(person)]
