"""What a real browser sends on behalf of a page: none of it begins a login at a provider, and a person's link does."""

from __future__ import annotations

import json
import time
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import served
from tests.browser.test_log_in import GRACE, assert_person, callback_kept_back, opened, press_log_in
from tests.http.make_run import free_port, make_run, said_before_serving
from tests.world.constants import PASSWORD

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext

    NewBrowser = Callable[[], BrowserContext]

ATTEMPTS = 20
PATIENCE = 15  # seconds

# Each has the browser ask for the URL, as a part of the page or ahead of the person.
ELEMENTS = {
    # Kept, because Chromium drops a picture that is collected before it is loaded, and asks for nothing then.
    "img": "url => { (window.pictures ??= []).push(Object.assign(new Image(), {src: url})); }",
    "script": "url => document.head.append(Object.assign(document.createElement('script'), {src: url}))",
    "stylesheet": """url => document.head.append(
        Object.assign(document.createElement("link"), {rel: "stylesheet", href: url}))""",
    "video": "url => document.body.append(Object.assign(document.createElement('video'), {src: url}))",
    "iframe": "url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))",
    "object": "url => document.body.append(Object.assign(document.createElement('object'), {data: url}))",
    "embed": "url => document.body.append(Object.assign(document.createElement('embed'), {src: url}))",
    "fetch": "url => { fetch(url, {credentials: 'include'}).catch(() => {}); }",
    "fetch no-cors": "url => { fetch(url, {mode: 'no-cors', credentials: 'include'}).catch(() => {}); }",
    "prefetch": """url => document.head.append(
        Object.assign(document.createElement("link"), {rel: "prefetch", href: url}))""",
    "speculative prefetch": """url => document.head.append(Object.assign(document.createElement("script"), {
        type: "speculationrules",
        textContent: JSON.stringify({prefetch: [{source: "list", urls: [url], eagerness: "immediate"}]})}))""",
}
# Only for pages of the same site.
PRERENDER = """url => document.head.append(Object.assign(document.createElement("script"), {
    type: "speculationrules",
    textContent: JSON.stringify({prerender: [{source: "list", urls: [url], eagerness: "immediate"}]})}))"""
LINK = """url => {
    const link = Object.assign(document.createElement("a"), {href: url, id: "link", textContent: "Log in"});
    document.body.append(link);
}"""
FORM = """([url, returnTo]) => {
    const form = Object.assign(document.createElement("form"), {action: url, method: "get"});
    form.append(Object.assign(document.createElement("input"), {name: "return_to", value: returnTo}));
    document.body.append(form);
    form.submit();
}"""


class Api:
    """A running Keyturn, and what it has written down."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self._process = process
        self._events: list[dict[str, Any]] = []
        Thread(target=self._read, daemon=True).start()

    @property
    def login(self) -> str:
        """What a link has to lead to."""
        return f"{self.url}/login/google?return_to={self.url}/"

    def refused(self) -> int:
        """How many requests were no navigations so far."""
        return sum(event.get("code") == "navigation_required" for event in self._events)

    def wait_for_refusals(self, number: int) -> None:
        """Wait until so many were refused."""
        until = time.monotonic() + PATIENCE
        while self.refused() < number and time.monotonic() < until:
            time.sleep(0.05)
        assert self.refused() >= number

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("{"):
                self._events.append(json.loads(line))


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """An API that lets one address try 20 times an hour: all browsers here come from one."""
    port = free_port()
    with make_run(port, {"KEYTURN_ADDRESS_ATTEMPTS": str(ATTEMPTS)}) as process:
        said_before_serving(process)
        yield Api(f"http://localhost:{port}", process)


@pytest.fixture(params=["127.0.0.1", "localhost"], ids=["of another site", "of the same site"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[str]:
    """Another origin than the API's."""
    with served(request.param) as origin:
        yield origin


def login_cookies(browser: BrowserContext) -> list[str]:
    """The cookies that the API has set, but for the own cookie of each login."""
    return [name for cookie in browser.cookies() if not (name := cookie["name"]).startswith("__Host-login-")]


@pytest.mark.parametrize("what", ELEMENTS)
def test_page_begins_no_login(api: Api, new_browser: NewBrowser, elsewhere: str, what: str) -> None:
    """Whatever the page has the browser load, it is refused, sets no cookie, and the person's click works then."""
    browser = new_browser()
    page = opened(browser, elsewhere)
    before = api.refused()
    page.evaluate(ELEMENTS[what], api.login)
    api.wait_for_refusals(before + 1)
    assert login_cookies(browser) == []


def test_prerender_begins_no_login(api: Api, new_browser: NewBrowser) -> None:
    """Neither does a page that the browser renders ahead; the click is a request of its own, and goes through."""
    with served("localhost") as origin:
        browser = new_browser()
        page = opened(browser, origin)
        before = api.refused()
        page.evaluate(PRERENDER, api.login)
        api.wait_for_refusals(before + 1)
        assert login_cookies(browser) == []
        page.evaluate(LINK, api.login)
        page.click("#link")
        page.wait_for_url("**/oauth2/authorize?*")
        assert login_cookies(browser) == ["__Host-login"]


def test_pictures_take_no_login_away(api: Api, new_browser: NewBrowser, elsewhere: str) -> None:
    """More pictures than the address has attempts: with a password, by a link and by a form people get in."""
    browser = new_browser()
    page = opened(browser, elsewhere)
    before = api.refused()
    for number in range(2 * ATTEMPTS):
        page.evaluate(ELEMENTS["img"], f"{api.login}&number={number}")
    api.wait_for_refusals(before + ATTEMPTS + 1)

    members = {"email": f"{elsewhere.rpartition(':')[2]}@example.com", "password": PASSWORD, "transport": "body"}
    assert browser.request.post(f"{api.url}/signup", data=members).status == 201
    assert browser.request.post(f"{api.url}/login", data=members).status == 200

    page.evaluate(LINK, api.login)
    page.click("#link")
    page.wait_for_url("**/oauth2/authorize?*")
    assert login_cookies(browser) == ["__Host-login"]
    page = opened(browser, elsewhere)
    page.evaluate(FORM, [f"{api.url}/login/google", f"{api.url}/"])
    page.wait_for_url("**/oauth2/authorize?*")


@pytest.mark.parametrize("what", ["img", "iframe", "prefetch", "speculative prefetch"])
def test_page_finishes_no_login(api: Api, new_browser: NewBrowser, what: str) -> None:
    """A callback that a page of the same site has the browser load uses nothing up: the tab's own still logs in."""
    browser = new_browser()
    page = opened(browser, f"{api.url}/")
    press_log_in(page)
    callback = callback_kept_back(page, GRACE)
    with served("localhost") as origin:
        before = api.refused()
        opened(browser, origin).evaluate(ELEMENTS[what], callback)
        api.wait_for_refusals(before + 1)
    assert login_cookies(browser) == ["__Host-login"]
    page.goto(callback)
    assert_person(page, f"{api.url}/", GRACE)
