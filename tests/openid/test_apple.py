"""Sign in with Apple over HTTP: its form, its signed client secrets, its relayed addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.openid.emulated import arrive
from tests.openid.forms import Page, query
from tests.world.constants import PAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.http.server import Server
    from tests.openid.emulated import Emulated
    from tests.openid.keyturn import Keyturn


@pytest.fixture
def apple(named: dict[str, Keyturn]) -> Keyturn:
    """Keyturn, as it is used with Apple."""
    return named["apple"]


def test_apple_requires_the_form(apple: Keyturn) -> None:
    """The same request without `form_post` is refused, because the scope has `email`."""
    browser = apple.browser()
    url = apple.begin(browser)
    asked = query(url)
    assert asked.pop("response_mode") == "form_post"
    assert browser.get(f"{url.partition('?')[0]}?{urlencode(asked)}").json == {"error": "invalid_request"}


def test_first_form_tells_the_name(apple: Keyturn, emulated: Emulated) -> None:
    """Apple posts the person's name at the first login. The form is answered without a cookie, and the name is dropped.

    Posted again after the login, the form leads to the page and begins no second session.
    """
    browser, person = apple.browser(), emulated.somebody("apple")
    people = Page(emulated.urls["apple"], browser.get(apple.begin(browser)).body.decode())
    form = next(form for form in people.forms if form.names(person))
    (answer,) = Page(form.action, browser.submit(form.action, form.fields).body.decode()).forms
    assert set(answer.fields) == {"code", "state", "user"}
    for _ in range(2):
        reply = browser.submit_across(answer.action, answer.fields)
        assert (reply.status, reply.header("Set-Cookie")) == (303, None)
        callback = reply.header("Location") or ""
        assert query(callback) == {name: answer.fields[name] for name in ("code", "state")}
        assert apple.finish(browser, callback) == PAGE
    assert len(apple.resumed(browser).call("GET", "/sessions").json["sessions"]) == 1


def test_relayed_address(apple: Keyturn, emulated: Emulated) -> None:
    """A person who hides the address has the relayed address, which Apple has proven, and comes to the same account."""
    person = emulated.somebody("apple", "relayed")
    session = apple.log_in(apple.browser(), person)
    me = session.call("GET", "/me").json
    assert me["email"].endswith("@privaterelay.appleid.com")
    assert me["email_verified"] is True
    assert apple.log_in(apple.browser(), person).sub == session.sub


@pytest.mark.parametrize("name", ["TEAM_ID", "KEY_ID", "CLIENT_ID"])
def test_secret_names_team_key_and_client(
    apple: Keyturn, one_server: Server, emulated: Emulated, named_settings: Mapping[str, str], name: str
) -> None:
    """Apple refuses a client secret of another team (`iss`), another key (`kid`) or another client (`sub`)."""
    browser, _, callback = arrive(apple, emulated)
    with one_server.cold({**named_settings, f"KEYTURN_APPLE_{name}": "OTHER12345"}):
        assert apple.finish(browser, callback) == f"{PAGE}?error=provider_error"
        assert not browser.logged_in()
