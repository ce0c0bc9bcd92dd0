"""Which pages may ask: Origin, Sec-Fetch-Site and the CSRF token; and which requests are navigations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.crypto.csrf_tokens import CsrfTokens
from chalicelib.crypto.keyring import KeyRing
from chalicelib.crypto.keys import SESSIONS
from chalicelib.errors import CsrfTokenInvalid, NavigationRequired, OriginRefused
from chalicelib.web.origins import require_allowed_page, require_csrf_token, require_navigation
from tests.unit.events import request
from tests.world.clock import FrozenClock
from tests.world.constants import ORIGIN
from tests.world.parameters import PREFIX, parameters_with_keys

ALLOWED = frozenset({ORIGIN, "https://admin.example.com:8443"})
FOREIGN = "https://evil.example"
SITES = ["same-origin", "same-site", "cross-site", "none", "", "Same-Origin", "same-origin, cross-site"]
OF_PAGES = ("same-origin", "same-site", "cross-site")  # what browsers say of a page's request
SID = "AAAAAAAAAAAAAAAAAAAAAA"


APP, EXTENSION = "capacitor://localhost", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"


def allowed(headers: dict[str, str | list[str]], *, method: str = "POST", origins: frozenset[str] = ALLOWED) -> bool:
    """Whether a request with these headers passes."""
    try:
        require_allowed_page(request(headers=headers, method=method), origins)
    except OriginRefused:
        return False
    return True


@pytest.mark.parametrize("site", [None, *OF_PAGES])
def test_allowed_origin_passes(site: str | None) -> None:
    """A page of an allowed origin may ask, from whichever site the browser says it is."""
    for origin in ALLOWED:
        headers: dict[str, str | list[str]] = {"Origin": origin}
        assert allowed(headers if site is None else {**headers, "Sec-Fetch-Site": site})


@pytest.mark.parametrize(
    "origin",
    [
        *(FOREIGN, "null", "", " ", "*", ORIGIN + "/", ORIGIN + ":443", ORIGIN.upper(), ORIGIN + ".evil.example"),
        *("http://app.example.com", "https://app.example.co", "https://xapp.example.com", "https://example.com"),
        *(
            f"{ORIGIN} {FOREIGN}",
            f"{ORIGIN},{FOREIGN}",
            f" {ORIGIN}",
            f"{ORIGIN}\x00",
            "https://admin.example.com",
            "\ud800",
        ),
    ],
)
def test_other_origins_are_refused(origin: str) -> None:
    """Any other Origin is refused, compared byte for byte."""
    assert not allowed({"Origin": origin})
    for site in ("same-site", "cross-site", "none"):
        assert not allowed({"Origin": origin, "Sec-Fetch-Site": site})


def test_same_origin_passes() -> None:
    """A page of the API's own origin may ask: browsers set Sec-Fetch-Site themselves."""
    assert allowed({"Sec-Fetch-Site": "same-origin"})
    assert allowed({"Sec-Fetch-Site": "same-origin", "Origin": "https://auth.example.com"})


@pytest.mark.parametrize("site", [site for site in SITES if site != "same-origin"])
def test_other_sites_are_refused(site: str) -> None:
    """Every other word in Sec-Fetch-Site, without an allowed Origin, is a browser elsewhere."""
    assert not allowed({"Sec-Fetch-Site": site})


@pytest.mark.parametrize("site", [site for site in SITES if site not in OF_PAGES])
def test_word_that_no_page_has(site: str) -> None:
    """Where Sec-Fetch-Site says that no page asks, or nothing that it can say, an allowed Origin does not help."""
    for method in ("POST", "DELETE", "PUT", "PATCH", "GET" if site != "none" else "POST"):
        assert not allowed({"Sec-Fetch-Site": site, "Origin": ORIGIN}, method=method)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, True),
        ({"Origin": ORIGIN}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": FOREIGN}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, False),
        ({"Sec-Fetch-Site": "none", "Origin": ORIGIN}, False),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Sec-Fetch-Site": ["none", "none"]}, False),
        ({"Origin": FOREIGN}, False),
        ({"Origin": "null"}, False),
        ({"Origin": [ORIGIN, ORIGIN]}, False),
    ],
    ids=str,
)
def test_safe_methods(method: str, headers: dict[str, str | list[str]], *, passes: bool) -> None:
    """An address that was typed, and a program, may read with a cookie; a page elsewhere may not."""
    assert allowed(headers, method=method) == passes


def test_programs_get_no_cookie() -> None:
    """Who sends neither header is no browser of today: it may not carry or get a cookie."""
    assert not allowed({})
    assert not allowed({"Referer": ORIGIN, "Host": "auth.example.com", "X-Forwarded-Host": ORIGIN})


@pytest.mark.parametrize("origin", [APP, EXTENSION, "moz-extension://0f3a", "app://-", "tauri://localhost"])
def test_packaged_app_passes_where_it_is_allowed(origin: str) -> None:
    """An app's or an extension's page is compared byte for byte as a site's is (appwrite #13514)."""
    listed = ALLOWED | {origin}
    # Chromium says `none` of requests that an extension with host permissions makes.
    assert allowed({"Origin": origin}, origins=listed)
    assert not allowed({"Origin": origin})
    for site in (*OF_PAGES, "none"):
        assert allowed({"Origin": origin, "Sec-Fetch-Site": site}, origins=listed)
        assert allowed({"Origin": origin, "Sec-Fetch-Site": site}) == (site == "same-origin")
    for other in (origin.upper(), f"{origin}/", f"{origin}:1", f"{origin}.evil.example", f"x{origin}", ORIGIN):
        assert not allowed({"Origin": other, "Sec-Fetch-Site": "none"}, origins=listed)
    assert not allowed({"Origin": [origin, origin]}, origins=listed)
    assert not allowed({"Origin": origin, "Sec-Fetch-Site": "?"}, origins=listed)


def test_doubled_headers_are_no_pass() -> None:
    """Of two Origins, or two sites, nobody can tell which is meant."""
    assert not allowed({"Origin": [ORIGIN, FOREIGN]})
    assert not allowed({"Origin": [ORIGIN, ORIGIN]})
    assert not allowed({"Origin": ORIGIN, "origin": FOREIGN})
    assert not allowed({"Sec-Fetch-Site": ["same-origin", "cross-site"]})
    assert not allowed({"Sec-Fetch-Site": ["same-origin", "same-origin"]})
    assert not allowed({"Sec-Fetch-Site": "same-origin", "Origin": [ORIGIN, ORIGIN]})
    assert not allowed({"Sec-Fetch-Site": ["cross-site", "cross-site"], "Origin": ORIGIN})


def test_empty_list_allows_no_page() -> None:
    """Without allowed origins no foreign page passes, not even one that says nothing."""
    for headers in ({"Origin": ORIGIN}, {"Origin": ""}, {"Origin": "null"}):
        with pytest.raises(OriginRefused):
            require_allowed_page(request(headers=headers), frozenset())


@pytest.fixture(scope="module")
def csrf_tokens() -> CsrfTokens:
    """Over keys that stay as they are."""
    return CsrfTokens(KeyRing(parameters_with_keys(), PREFIX, FrozenClock(), groups=(SESSIONS,)))


def test_csrf_token_of_the_session_passes(csrf_tokens: CsrfTokens) -> None:
    """The header holds what the session's page was given."""
    require_csrf_token(request(headers={"X-CSRF-Token": csrf_tokens.issue(SID)}), csrf_tokens, SID)


def test_other_csrf_tokens_are_refused(csrf_tokens: CsrfTokens) -> None:
    """Missing, empty, of another session, doubled or in another place: refused."""
    genuine, other = csrf_tokens.issue(SID), csrf_tokens.issue(SID[::-1] + "B")
    attempts: list[dict[str, str | list[str]]] = [
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": other},
        {"X-CSRF-Token": genuine + " "},
        {"X-CSRF-Token": [genuine, genuine]},
        {"X-CSRF-Token": "\ud800"},
        {"X-XSRF-Token": genuine},
        {"Cookie": f"csrf_token={genuine}"},
    ]
    for headers in attempts:
        with pytest.raises(CsrfTokenInvalid):
            require_csrf_token(request(headers=headers), csrf_tokens, SID)


def navigates(headers: dict[str, str | list[str]]) -> bool:
    """Whether a request with these headers is taken for a navigation of a tab."""
    try:
        require_navigation(request(headers=headers, method="GET"))
    except NavigationRequired:
        return False
    return True


@settings(max_examples=200, deadline=None)
@given(
    mode=st.sampled_from([None, "navigate", "no-cors", "cors", "same-origin", "websocket", "nested-navigate"])
    | st.text(),
    dest=st.sampled_from([None, "document", "iframe", "frame", "embed", "image", "empty", "nested-document"])
    | st.text(),
)
def test_navigation_is_said_by_two_words_alone(mode: str | None, dest: str | None) -> None:
    """Each header is absent or exactly the word of a tab's navigation; nothing else that can stand there passes."""
    headers: dict[str, str | list[str]] = {}
    headers |= {} if mode is None else {"Sec-Fetch-Mode": mode}
    headers |= {} if dest is None else {"Sec-Fetch-Dest": dest}
    assert navigates(headers) == (mode in {None, "navigate"} and dest in {None, "document"})


@pytest.mark.parametrize("name", ["Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"])
@pytest.mark.parametrize(
    "value", ["prefetch", "Prefetch", "prefetch;prerender", "prefetch; anonymous-client-ip", "x, prefetch", "prerender"]
)
def test_request_ahead_of_the_person_is_no_navigation(name: str, value: str) -> None:
    """Whichever header names it, in any case, with whatever parameters, once or beside another value."""
    navigation: dict[str, str | list[str]] = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for headers in ({name: value}, {name: [value, value]}, {name: ["other", value]}, {name.lower(): value}):
        assert not navigates({**headers})
        assert not navigates({**navigation, **headers})
    assert navigates(navigation)
    assert navigates({**navigation, name: "other"}) == (name != "Sec-Purpose")
