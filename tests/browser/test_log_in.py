"""A login in a real browser, as a newcomer sees it: the page, the stand-in for Google, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page, Route

    NewBrowser = Callable[[], BrowserContext]
    Seen = Callable[[Page, str], None]

ADA, GRACE = "ada@example.com", "grace@example.com"


def opened(browser: BrowserContext, url: str) -> Page:
    """The page, in a new tab."""
    page = browser.new_page()
    page.goto(url)
    return page


def press_log_in(page: Page) -> None:
    """Go to the provider."""
    page.get_by_role("link", name="Log in with Google").click()
    expect(page.get_by_role("heading", name="Authorize Client")).to_be_visible()


def assert_person(page: Page, url: str, email: str) -> None:
    """The page is back, and shows who is logged in."""
    expect(page.locator("#email")).to_have_text(email)
    expect(page.locator("#person")).to_be_visible()
    expect(page.locator("#stranger")).to_be_hidden()
    expect(page).to_have_url(url)


def assert_stranger(page: Page, error: str | None = None) -> None:
    """The page shows that nobody is logged in, and the error if there is one."""
    expect(page.locator("#stranger")).to_be_visible()
    expect(page.locator("#person")).to_be_hidden()
    if error is None:
        expect(page.locator("#error")).to_be_hidden()
    else:
        expect(page.locator("#error")).to_have_text(f"That did not work: {error}")


def callback_kept_back(page: Page, email: str) -> str:
    """Log in at the provider; the callback URL that it sends the browser to, which stays where it is."""
    kept: list[str] = []

    def keep(route: Route) -> None:
        kept.append(route.fetch(max_redirects=0).headers["location"])
        route.fulfill(status=204)

    page.route("**/oauth2/authorize?*", keep)
    with page.expect_response("**/oauth2/authorize?*"):
        page.get_by_role("button", name=email).click()
    return kept[0]


def test_log_in_and_out(url: str, new_browser: NewBrowser, seen: Seen) -> None:
    """Press the link, say who you are, come back logged in; a reload changes nothing; log out, and it is over."""
    browser = new_browser()
    page = opened(browser, url)
    assert_stranger(page)
    seen(page, "1-nobody")
    press_log_in(page)
    seen(page, "2-at-the-stand-in")
    page.get_by_role("button", name=ADA).click()
    assert_person(page, url, ADA)
    expect(page.locator("#identities li")).to_have_text([f"google: {ADA}"])
    seen(page, "3-logged-in")
    page.reload()
    assert_person(page, url, ADA)
    (cookie,) = (cookie for cookie in browser.cookies() if cookie["name"] == "__Host-refresh")
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Log out").click()
    assert_stranger(page)
    seen(page, "4-logged-out")
    page.reload()
    assert_stranger(page)


def test_any_address(url: str, new_browser: NewBrowser) -> None:
    """The stand-in takes any address that is typed."""
    page = opened(new_browser(), url)
    press_log_in(page)
    page.get_by_placeholder("sub").fill("someone.else@example.com")
    page.get_by_role("button", name="Authorize").click()
    assert_person(page, url, "someone.else@example.com")
    expect(page.locator("#account")).to_contain_text("verified")


def test_callback_in_a_second_browser(url: str, new_browser: NewBrowser, seen: Seen) -> None:
    """A second browser that opens the first one's callback URL is refused; the first one gets in by it, once."""
    page = opened(new_browser(), url)
    press_log_in(page)
    callback = callback_kept_back(page, GRACE)
    assert callback.startswith(f"{url}login/google/callback?")
    second = opened(new_browser(), callback)
    assert_stranger(second, "login_expired")
    expect(second).to_have_url(url)
    seen(second, "5-second-browser")
    page.goto(callback)
    assert_person(page, url, GRACE)
    second.goto(callback)
    assert_stranger(second, "login_expired")
    page.goto(callback)
    assert_person(page, url, GRACE)
    expect(page.locator("#error")).to_be_hidden()


def test_refusal(url: str, new_browser: NewBrowser, seen: Seen) -> None:
    """Who denies the login is told so, once, and is not logged in."""
    page = opened(new_browser(), url)
    press_log_in(page)
    page.get_by_role("button", name="Deny").click()
    assert_stranger(page, "access_denied")
    expect(page).to_have_url(url)
    seen(page, "6-refused")
    page.reload()
    assert_stranger(page)


def test_error_is_text(url: str, new_browser: NewBrowser) -> None:
    """Whatever stands in the query is shown as text: anybody can make a link to the page."""
    code = "<img src=x onerror=\"document.title='taken'\">"
    page = opened(new_browser(), f"{url}?error={quote(code)}")
    assert_stranger(page, code)
    assert page.locator("#error img").count() == 0
    assert page.title() == "Keyturn on this machine"
