"""Several tabs of one browser that log in at a provider at once, in whatever order their answers come."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from tests.http.client import error_of, resumed
from tests.world.browser import LOGIN_COOKIE, REFRESH_COOKIE, Browser
from tests.world.constants import PAGE
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from tests.http.server import Server

OWN = f"{LOGIN_COOKIE}-"
AT_ONCE = 16


def own_cookies(surfer: Browser) -> list[str]:
    """The names of the logins' own cookies that the browser holds, in the order in which they came."""
    return [name for name in surfer.cookies if name.startswith(OWN)]


def begin_in_tabs(surfer: Browser, count: int) -> list[str]:
    """Tabs that send their request before any answer is there; the callbacks that they come back to."""
    replies = [surfer.copy().press() for _ in range(count)]
    for reply in replies:
        surfer.keep(reply)
    return [surfer.agree(str(reply.header("Location")), person_of(new_email())) for reply in replies]


@pytest.fixture
def surfer(server: Server) -> Browser:
    """A browser of its own."""
    return server.browser()


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_tabs_that_begin_without_a_cookie_all_finish(surfer: Browser, order: tuple[int, ...]) -> None:
    """Three tabs that a browser restores together ask before any cookie exists; each login finishes, in any order."""
    callbacks = begin_in_tabs(surfer, 3)
    for tab in order:
        assert surfer.come_back(callbacks[tab]).header("Location") == PAGE
        assert surfer.logged_in()
    assert own_cookies(surfer) == []
    resumed(surfer).assert_lives()


def test_answer_that_comes_late_loses_no_tab(server: Server, surfer: Browser) -> None:
    """A tab begins with the shared cookie, which another tab's late answer then replaces: both logins finish."""
    late = server.browser(surfer.client).press()
    first = surfer.begin()
    surfer.keep(late)
    for url in (first, str(late.header("Location"))):
        assert surfer.come_back(surfer.agree(url, person_of(new_email()))).header("Location") == PAGE


def test_login_without_its_own_cookie_has_the_shared_one(surfer: Browser) -> None:
    """Where a login's own cookie is gone, malformed or doubled, the shared one serves."""
    for change in ("", "{name}=x", "{name}={value}; {name}={value}"):
        callback = surfer.agree(surfer.begin(), person_of(new_email()))
        (name,) = own_cookies(surfer)
        value = surfer.cookies.pop(name)
        shared = f"{LOGIN_COOKIE}={surfer.cookies[LOGIN_COOKIE]}"
        cookie = "; ".join(filter(None, [shared, change.format(name=name, value=value)]))
        reply = surfer.client.call("GET", callback, headers=[("Cookie", cookie)])
        assert reply.header("Location") == PAGE


def test_own_cookie_is_as_the_shared_one(surfer: Browser) -> None:
    """The same secret and attributes, named by the state; it is removed when its login has finished or was refused."""
    reply = surfer.press()
    shared, own = reply.all("Set-Cookie")
    assert own.replace(own.partition("=")[0], LOGIN_COOKIE, 1) == shared
    callback = surfer.agree(str(reply.header("Location")), person_of(new_email()))
    assert f"state={own.removeprefix(OWN)[:8]}" in callback
    assert surfer.come_back(callback).header("Location") == PAGE
    assert own_cookies(surfer) == []
    state = surfer.agree(surfer.begin(), person_of(new_email())).partition("state=")[2].partition("&")[0]
    assert error_of(surfer.come_back(f"/login/google/callback?state={state}&error=x")) == "provider_error"
    assert own_cookies(surfer) == []
    assert LOGIN_COOKIE in surfer.cookies


def test_own_cookie_finishes_no_other_login(server: Server, surfer: Browser) -> None:
    """Another browser's secret under the name of this login finishes nothing, and takes nothing away."""
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    other = server.browser()
    other.begin()
    (theirs,), (name,) = own_cookies(other), own_cookies(surfer)
    other.cookies[name] = other.cookies.pop(theirs)
    assert error_of(other.come_back(callback)) == "login_expired"
    assert not other.logged_in()
    assert surfer.come_back(callback).header("Location") == PAGE


def test_own_cookies_stay_few(surfer: Browser) -> None:
    """Logins that are never finished leave at most sixteen cookies; the oldest go, and the others finish."""
    callbacks = begin_in_tabs(surfer, AT_ONCE)
    held = own_cookies(surfer)
    assert len(held) == AT_ONCE
    newest = surfer.agree(surfer.begin(), person_of(new_email()))
    assert own_cookies(surfer)[:-1] == held[1:]
    for callback in (callbacks[1], callbacks[-1], newest):
        assert surfer.come_back(callback).header("Location") == PAGE
    del surfer.cookies[REFRESH_COOKIE]
    assert error_of(surfer.come_back(callbacks[0])) == "login_expired"


def test_cookies_that_are_not_ours_are_left_alone(surfer: Browser) -> None:
    """Names of another form are neither counted nor repeated in an answer, however many come."""
    foreign = {f"{OWN}{number}": "x" for number in range(40)} | {f"{OWN}{'x' * 9}": "x", f"{OWN}......{'.' * 2}": "x"}
    surfer.cookies.update(foreign)
    reply = surfer.press()
    assert len(reply.all("Set-Cookie")) == 2
    surfer.cookies.clear()
    surfer.cookies.update({f"{OWN}{number:08}": "x" for number in range(60)})
    assert len(surfer.press().all("Set-Cookie")) == 2 + AT_ONCE
