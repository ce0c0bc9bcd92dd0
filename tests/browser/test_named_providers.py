"""Logins in a real browser at Apple, Microsoft and GitHub, which emulate plays under another name of this machine.

To a browser 127.0.0.1 and localhost are two sites, so that Apple's form is posted across sites, as the real Apple's is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.test_log_in import assert_person, assert_stranger, opened
from tests.http.make_run import forget_its_log, free_port, make_run, said_before_serving
from tests.openid.emulated import NAMES, emulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Request

    from tests.browser.test_log_in import NewBrowser, Seen
    from tests.openid.emulated import Emulated

TITLES = {"apple": "Apple", "github": "GitHub", "google": "Google", "microsoft": "Microsoft"}


@pytest.fixture(scope="module")
def emulated_at() -> Iterator[tuple[Emulated, str]]:
    """The three providers, and the page of a Keyturn that is set up for them."""
    port = free_port()
    url = f"http://localhost:{port}/"
    with emulate({name: f"{url}login/{name}/callback" for name in NAMES}, "127.0.0.1") as emulated:
        settings = emulated.settings("/keyturn/local")
        for name, provider in emulated.providers.items():
            settings[f"KEYTURN_{name.upper()}_CLIENT_SECRET"] = provider.client_secret
        with make_run(port, settings) as process:
            said_before_serving(process)
            forget_its_log(process)
            yield emulated, url


def test_page_shows_each_provider(emulated_at: tuple[Emulated, str], new_browser: NewBrowser, seen: Seen) -> None:
    """The page has a link for each provider that is switched on."""
    page = opened(new_browser(), emulated_at[1])
    assert_stranger(page)
    expect(page.locator("#providers a")).to_have_text([f"Log in with {TITLES[name]}" for name in sorted(TITLES)])
    expect(page.locator("#stand-in")).to_be_visible()
    expect(page.locator("#no-provider")).to_be_hidden()
    seen(page, "7-four-providers")


@pytest.mark.parametrize("name", NAMES)
def test_log_in(emulated_at: tuple[Emulated, str], new_browser: NewBrowser, seen: Seen, name: str) -> None:
    """Press the link, choose who you are, come back logged in."""
    emulated, url = emulated_at
    person = emulated.somebody(name)
    page = opened(new_browser(), url)
    posted: list[Request] = []
    page.on("request", lambda request: posted.append(request) if request.method == "POST" else None)
    page.get_by_role("link", name=f"Log in with {TITLES[name]}").click()
    page.get_by_role("button", name=person.email).click()
    assert_person(page, url, str(person.email))
    expect(page.locator("#identities li")).to_have_text([f"{name}: {person.email}"])
    seen(page, f"8-logged-in-with-{name}")
    callback = f"{url}login/{name}/callback"
    crossing = [request.all_headers() for request in posted if request.url == callback]
    assert len(crossing) == (name == "apple")
    for headers in crossing:  # a SameSite=Lax cookie stays behind where another site posts
        assert headers["sec-fetch-site"] == "cross-site"
        assert "cookie" not in headers
    page.reload()
    assert_person(page, url, str(person.email))
