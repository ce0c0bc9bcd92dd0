"""GitHub over HTTP, by the paths of an Enterprise Server: public, private and unproven addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.openid.forms import query

if TYPE_CHECKING:
    from tests.openid.emulated import Emulated
    from tests.openid.keyturn import Keyturn


@pytest.fixture
def github(named: dict[str, Keyturn]) -> Keyturn:
    """Keyturn, as it is used with GitHub."""
    return named["github"]


def test_authorization_request(github: Keyturn, emulated: Emulated) -> None:
    """The request has PKCE, and goes to the Enterprise Server's page."""
    url = github.begin(github.browser())
    assert url.startswith(f"{emulated.urls['github']}/login/oauth/authorize?")
    assert query(url)["code_challenge_method"] == "S256"


@pytest.mark.parametrize("kind", ["public", "private", "unproven"])
def test_address(github: Keyturn, emulated: Emulated, kind: str) -> None:
    """The primary address counts, also where the profile hides it, and is proven where GitHub has verified it.

    The address that GitHub makes up for each user stands before it in the list.
    """
    person = emulated.somebody("github", kind)
    session = github.log_in(github.browser(), person)
    me = session.call("GET", "/me").json
    assert (me["email"], me["email_verified"]) == (person.email, kind != "unproven")
    assert github.log_in(github.browser(), person).sub == session.sub


def test_subject_is_the_number(github: Keyturn, emulated: Emulated) -> None:
    """The identity is known by the user's number, and not by the login name."""
    sessions = [github.log_in(github.browser(), emulated.somebody("github")) for _ in range(2)]
    subjects = [session.linked() for session in sessions]
    assert all(subject.isdigit() for (subject,) in subjects)
    assert subjects[0] != subjects[1]
