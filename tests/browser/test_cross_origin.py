"""Pages of other origins in a real browser: what one on the list can do, and what one that is not on it cannot."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import served
from tests.http.make_run import forget_its_log, free_port, make_run, said_before_serving
from tests.world.constants import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Page

    NewBrowser = Callable[[], BrowserContext]
    Seen = Callable[[Page, str], None]

OTHER_PASSWORD = "somebody=else's battery"  # with what a text/plain form puts between a name and its value
ATTEMPTS = 5

# What a script of the page sees of an answer: nothing at all where the browser keeps it from it.
CALL = """async ({url, method, headers, body, mode}) => {
    try {
        const answer = await fetch(url, {method, headers, body, mode, credentials: "include"});
        const text = await answer.text();
        const seen = {status: answer.status, type: answer.type, headers: Object.fromEntries(answer.headers)};
        return {...seen, body: text ? JSON.parse(text) : null};
    } catch (error) {
        return {status: 0, type: error.name, headers: {}, body: null};
    }
}"""
SHOW = """([title, lines]) => {
    document.querySelector("h1").textContent = title;
    document.querySelector("ul").replaceChildren(...lines.map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
    }));
}"""
UNREADABLE = {"status": 0, "type": "TypeError", "headers": {}, "body": None}


class Script:
    """Scripts of a page that call the API; what they saw is kept, to be shown."""

    def __init__(self, page: Page, api: str) -> None:
        self.page, self.api, self.lines = page, api, list[str]()

    def call(
        self,
        method: str,
        path: str,
        members: Any = None,
        *,
        mode: str = "cors",
        body: str | None = None,
        **headers: str,
    ) -> Any:
        """Fetch with credentials; `members` go as JSON, `body` as it is. Header names have underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if members is not None:
            body, named = json.dumps(members), {"Content-Type": "application/json", **named}
        request = {"url": f"{self.api}{path}", "method": method, "headers": named, "body": body, "mode": mode}
        answer = self.page.evaluate(CALL, request)
        said = (answer["body"] or {}).get("code", "")
        self.lines.append(f"{method} {path} ({mode}): {answer['status']} {answer['type']} {said}")
        return answer

    def show(self, title: str) -> None:
        """Put what was seen on the page, what was seen often once."""
        often = Counter(self.lines).items()
        self.page.evaluate(SHOW, [title, [line if times == 1 else f"{line} ({times} times)" for line, times in often]])


@pytest.fixture(scope="module")
def allowed() -> Iterator[str]:
    """An origin on the list: another one than the API's, of the same site."""
    with served("localhost") as origin:
        yield origin


@pytest.fixture(scope="module")
def api(allowed: str) -> Iterator[str]:
    """The API's origin."""
    port = free_port()
    settings = {"KEYTURN_ALLOWED_ORIGINS": allowed, "KEYTURN_LOGIN_ATTEMPTS": str(ATTEMPTS)}
    with make_run(port, settings) as process:
        said_before_serving(process)
        forget_its_log(process)
        yield f"http://localhost:{port}"


@pytest.fixture(params=["127.0.0.1", "localhost"], ids=["of another site", "of the same site"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[str]:
    """An origin that is not on the list. Of the same site, browsers send it the cookies along, SameSite or not."""
    with served(request.param) as origin:
        yield origin


@pytest.fixture
def browser(new_browser: NewBrowser) -> BrowserContext:
    """One person's browser."""
    return new_browser()


def opened(browser: BrowserContext, url: str) -> Page:
    """The page, in a new tab."""
    page = browser.new_page()
    page.goto(url)
    return page


def enter(script: Script, email: str, path: str = "/signup", password: str = PASSWORD) -> Any:
    """Sign up, or log in."""
    answer = script.call("POST", path, {"email": email, "password": password})
    assert answer["status"] in {200, 201}, answer
    return answer["body"]


def cookies(browser: BrowserContext) -> dict[str, str]:
    """What the browser holds of the API's."""
    return {cookie["name"]: cookie["value"] for cookie in browser.cookies()}


def test_page_on_the_list(browser: BrowserContext, new_browser: NewBrowser, api: str, allowed: str, seen: Seen) -> None:
    """It logs in, refreshes after a reload, reads answers and refusals, the gateway's too, and logs out."""
    page = opened(browser, allowed)
    script = Script(page, api)
    enter(script, "ada@example.com")
    assert "__Host-refresh" in cookies(browser)
    page.reload()
    csrf_token = script.call("GET", "/csrf")["body"]["csrf_token"]
    refreshed = script.call("POST", "/refresh", X_CSRF_Token=csrf_token)
    assert refreshed["status"] == 200
    bearer = f"Bearer {refreshed['body']['access_token']}"
    me = script.call("GET", "/me", Authorization=bearer)
    assert (me["status"], me["type"], me["body"]["email"]) == (200, "cors", "ada@example.com")
    other = enter(Script(opened(new_browser(), allowed), api), "ada@example.com", "/login")
    ended = script.call("DELETE", f"/sessions/{other['session_id']}", Authorization=bearer)
    assert ended["status"] == 204
    malformed = script.call("POST", "/login", {"email": "ada@example.com"})
    assert (malformed["status"], malformed["body"]["code"]) == (400, "invalid_request")
    nothing = script.call("GET", "/nothing")
    assert (nothing["status"], nothing["body"]["code"]) == (404, "not_found")
    dead = script.call("GET", "/me", Authorization="Bearer dead")
    assert (dead["status"], dead["body"]["code"]) == (401, "invalid_token")
    assert dead["headers"]["www-authenticate"] == "Bearer"
    without_token = script.call("POST", "/logout")
    assert (without_token["status"], without_token["body"]["code"]) == (403, "csrf_token_invalid")
    assert script.call("POST", "/logout", X_CSRF_Token=csrf_token)["status"] == 204
    assert "__Host-refresh" not in cookies(browser)
    over = script.call("GET", "/csrf")
    assert (over["status"], over["body"]) == (200, {"csrf_token": None, "session_id": None, "sub": None})
    script.show("A page on the list")
    seen(page, "7-page-on-the-list")


def test_waits_can_be_read(browser: BrowserContext, api: str, allowed: str) -> None:
    """A page on the list reads why it has to wait, and how long."""
    script = Script(opened(browser, allowed), api)
    wrong = {"email": "grace@example.com", "password": OTHER_PASSWORD}
    answers = [script.call("POST", "/login", wrong) for _ in range(ATTEMPTS + 2)]
    assert (answers[0]["status"], answers[0]["body"]["code"]) == (401, "invalid_credentials")
    assert (answers[-1]["status"], answers[-1]["body"]["code"]) == (429, "too_many_requests")
    assert int(answers[-1]["headers"]["retry-after"]) > 0
    assert {"ratelimit", "ratelimit-policy"} <= set(answers[-1]["headers"])


def test_preflight_is_asked(browser: BrowserContext, api: str, allowed: str) -> None:
    """A page on the list sends no header that the API does not read: the browser has asked, and was not allowed."""
    script = Script(opened(browser, allowed), api)
    assert script.call("GET", "/health", X_Other="1") == UNREADABLE
    assert script.call("GET", "/health")["body"] == {"status": "ok"}


FORM = """({url, enctype, name, value}) => {
    const form = document.createElement("form");
    Object.assign(form, {action: url, method: "post", enctype});
    const input = document.createElement("input");
    Object.assign(input, {type: "hidden", name, value});
    form.append(input);
    document.body.append(form);
    form.submit();
}"""
LOADED = """({tag, url}) => new Promise((resolve) => {
    const element = document.createElement(tag);
    element.onload = () => resolve(true);
    element.onerror = () => resolve(false);
    element[tag === "object" ? "data" : "src"] = url;
    document.body.append(element);
})"""
PEEK = """async (url) => {
    const opened = window.open(url);
    await new Promise((resolve) => setTimeout(resolve, 500));
    try {
        return opened.document.body.textContent;
    } catch (error) {
        return error.name;
    }
}"""
ENCODINGS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")


def attack_by_fetch(script: Script, attackers: dict[str, str], csrf_token: str) -> None:
    """Scripts: nothing of ours can be read, with or without a preflight."""
    calls: list[tuple[str, str, Any, dict[str, str]]] = [
        ("GET", "/csrf", None, {}),
        ("POST", "/refresh", None, {}),
        ("POST", "/refresh", None, {"X_CSRF_Token": csrf_token}),
        ("POST", "/logout", None, {}),
        ("POST", "/logout", None, {"X_CSRF_Token": csrf_token}),
        ("POST", "/login", attackers, {}),
        ("POST", "/signup", {**attackers, "email": "new@example.com"}, {}),
        ("GET", "/health", None, {}),
        ("GET", "/.well-known/jwks.json", None, {}),
    ]
    for method, path, members, headers in calls:
        assert script.call(method, path, members, **headers) == UNREADABLE
    for path in ("/login", "/refresh", "/logout"):
        for body in (json.dumps(attackers), "", "{}"):
            for content_type in ("text/plain", "text/plain;application/json", "application/x-www-form-urlencoded"):
                # Simple requests, which are sent without asking: the answer is kept from the page.
                for mode in ("cors", "no-cors"):
                    answer = script.call("POST", path, mode=mode, body=body, Content_Type=content_type)
                    assert answer == UNREADABLE


def attack_by_form(browser: BrowserContext, script: Script, origin: str, attackers: dict[str, str]) -> None:
    """Form posts, the one that spells JSON included, each in a tab of its own that it navigates."""
    # In text/plain a field is name=value: the JSON has the `=` in its password.
    before, _, after = json.dumps({**attackers, "transport": "cookie"}).partition("=")
    for path in ("/login", "/refresh", "/logout", "/signup"):
        for enctype in ENCODINGS:
            page = opened(browser, origin)
            form = {"url": f"{script.api}{path}", "enctype": enctype, "name": before, "value": after}
            page.evaluate(FORM, form)
            page.wait_for_url(f"{script.api}{path}")
            said = json.loads(page.locator("body").inner_text())
            assert said["status"] in {400, 401, 403, 415}, said
            script.lines.append(f"form {path} ({enctype}): {said['status']} {said['code']}")
            page.close()


def attack_by_loading(browser: BrowserContext, script: Script, origin: str) -> None:
    """Images, scripts, frames, windows and navigations: nothing becomes part of the page, nothing can be looked at."""
    for path in ("/csrf", "/me", "/logout", "/.well-known/jwks.json", "/openapi.json"):
        for tag in ("img", "script"):
            assert script.page.evaluate(LOADED, {"tag": tag, "url": f"{script.api}{path}"}) is False
        assert script.page.evaluate(PEEK, f"{script.api}{path}") in {"SecurityError", "TypeError"}
        page = opened(browser, origin)
        page.evaluate("url => { location.href = url; }", f"{script.api}{path}")
        page.wait_for_url(f"{script.api}{path}")
        assert page.evaluate("document.cookie") == ""
        page.close()
    frame = script.page.evaluate(
        """url => new Promise((resolve) => {
            const frame = document.createElement("iframe");
            frame.onload = () => resolve(frame.contentDocument === null);
            frame.src = url;
            document.body.append(frame);
        })""",
        f"{script.api}/csrf",
    )
    assert frame is True


def test_page_that_is_not_on_the_list(
    browser: BrowserContext, new_browser: NewBrowser, api: str, allowed: str, elsewhere: str, seen: Seen
) -> None:
    """It reads nothing, logs nobody in or out and turns no key, whatever it tries; the person's session goes on."""
    email = f"victim-{elsewhere.rpartition(':')[2]}@example.com"
    attackers = {"email": f"attacker-{elsewhere.rpartition(':')[2]}@example.com", "password": OTHER_PASSWORD}
    enter(Script(opened(new_browser(), allowed), api), **attackers)
    own = Script(opened(browser, allowed), api)
    session = enter(own, email)
    bearer = f"Bearer {session['access_token']}"
    held, before = cookies(browser), own.call("GET", "/sessions", Authorization=bearer)["body"]
    time.sleep(1.1)  # sessions tell when they were last used by the second

    page = opened(browser, elsewhere)
    script = Script(page, api)
    attack_by_fetch(script, attackers, session["csrf_token"])
    attack_by_form(browser, script, elsewhere, attackers)
    attack_by_loading(browser, script, elsewhere)
    script.show(f"A page that is not on the list ({elsewhere})")
    seen(page, f"8-not-on-the-list-{elsewhere.partition('//')[2].partition(':')[0]}")

    assert cookies(browser) == held
    assert own.call("GET", "/sessions", Authorization=bearer)["body"] == before
    assert own.call("POST", "/refresh", X_CSRF_Token=session["csrf_token"])["body"]["user"]["email"] == email


def test_login_in_a_window_of_its_own(browser: BrowserContext, api: str, allowed: str) -> None:
    """The window that a page opens for the login is cut off from it: neither can reach into the other."""
    page = opened(browser, allowed)
    with browser.expect_page() as window:
        page.evaluate("url => { window.other = window.open(url); }", f"{api}/login/google?return_to={api}/")
    window.value.wait_for_url("**/oauth2/authorize?*")
    assert window.value.evaluate("window.opener") is None
    assert page.evaluate("window.other.closed") is True  # which is what the page is told


def test_gateways_own_answers(browser: BrowserContext, api: str, allowed: str, elsewhere: str) -> None:
    """The one allowed page can tell a dead access token from an outage; another page reads neither."""
    own, others = Script(opened(browser, allowed), api), Script(opened(browser, elsewhere), api)
    for path, status, code in (("/nothing", 404, "not_found"), ("/me", 401, "invalid_token")):
        answer = own.call("GET", path)
        assert (answer["status"], answer["body"]["code"]) == (status, code)
        assert others.call("GET", path) == UNREADABLE
