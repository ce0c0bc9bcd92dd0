"""GET /login/{provider}, its callback and the exchange, over HTTP: what browsers and apps see."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import pytest

from tests.http.client import CheckedClient, Held, assert_problem, error_of, log_in, resumed, sign_up
from tests.http.server import APP_REDIRECT
from tests.world.browser import FROM_PAGE, LOGIN_COOKIE, REFRESH_COOKIE, Browser
from tests.world.constants import PAGE, PASSWORD, SECOND_PAGE
from tests.world.own_request import own_code
from tests.world.person import Person, new_email, person_of

if TYPE_CHECKING:
    from tests.http.server import Server
    from tests.world.client import Client, Reply

# Every spelling that some parser takes for an allowed page, or some browser for another site (CVE-2022-31093).
NOT_ALLOWED = [
    "",
    "/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https:/\\evil.example",
    "https://evil.example",
    f"{PAGE}.evil.example",
    f"{PAGE}@evil.example",
    f"{PAGE}/",
    f"{PAGE}/..",
    f"{PAGE}/../../evil",
    f"{PAGE}?x=y",
    f"{PAGE}?",
    f"{PAGE}#",
    f"{PAGE}#x",
    f"{PAGE}%00",
    f"{PAGE}%2f..%2f",
    f"{PAGE}\x00",
    f"{PAGE}\r\nLocation: https://evil.example",
    f"{PAGE}\t",
    f" {PAGE}",
    f"{PAGE} ",
    PAGE.upper(),
    PAGE.replace("https", "HTTPS"),
    PAGE.replace("https", "http"),
    PAGE.replace("app.", "App."),
    PAGE.replace("app.example.com", "app.example.com."),
    PAGE.replace("app.example.com", "app.example.com:443"),
    PAGE.replace("app.example.com", "user@app.example.com"),
    PAGE.replace("app.example.com", "app.example.com@evil.example"),
    PAGE.replace("app.example.com", "app.example.com\\@evil.example"),
    PAGE.replace("app.example.com", "\u0430pp.example.com"),
    PAGE.replace("//", "////"),
    f"{PAGE},{SECOND_PAGE}",
    "javascript:alert(1)",
    "data:text/html,x",
    "*",
    "null",
    APP_REDIRECT,
]


def cookie_of(reply: Reply, name: str) -> str:
    """The one Set-Cookie of this name."""
    (cookie,) = [cookie for cookie in reply.all("Set-Cookie") if cookie.startswith(f"{name}=")]
    return cookie


@pytest.fixture
def surfer(server: Server) -> Browser:
    """A browser of its own."""
    return server.browser()


def test_link_leads_to_the_provider(server: Server, surfer: Browser) -> None:
    """303 with everything that binds the answer, and a cookie that no script reads and no other host gets."""
    reply = surfer.get("/login/google", {"return_to": PAGE, "max_age": "300"})
    assert (reply.status, reply.body) == (303, b"")
    location = str(reply.header("Location"))
    query = {name: value for name, [value] in parse_qs(urlsplit(location).query).items()}
    assert location.startswith(f"{server.provider.url}/authorize?")
    assert {name: query[name] for name in ("response_type", "client_id", "redirect_uri", "scope", "max_age")} == {
        "response_type": "code",
        "client_id": server.provider.client_id,
        "redirect_uri": f"{server.url}/login/google/callback",
        "scope": "openid email",
        "max_age": "300",
    }
    assert query["code_challenge_method"] == "S256"
    assert min(len(query[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    value, *attributes = cookie_of(reply, LOGIN_COOKIE).split("; ")
    assert len(value.partition("=")[2]) == 43
    assert attributes == ["Max-Age=600", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"]


def test_there_and_back(server: Server, surfer: Browser) -> None:
    """The browser comes back with a refresh cookie; the page gets its tokens; the token says who and how."""
    email = new_email()
    reply = surfer.log_in(person_of(email))
    assert (reply.status, reply.header("Location"), reply.body) == (303, PAGE, b"")
    refresh, *attributes = cookie_of(reply, REFRESH_COOKIE).split("; ")
    assert refresh.startswith(f"{REFRESH_COOKIE}=kt1.")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(attributes)
    held = resumed(surfer)
    me = held.me().json
    assert (me["email"], me["email_verified"], me["roles"]) == (email, True, ["user"])
    claims = jwt.decode(held.reply.json["access_token"], options={"verify_signature": False})
    assert claims["amr"] == ["google"]
    held.assert_lives()
    again = server.browser()
    again.log_in(person_of(email))
    assert resumed(again).me().json["sub"] == me["sub"]
    with pytest.raises(AssertionError):
        log_in(surfer.client, email)  # there is no password


def test_pages_are_compared_byte_for_byte(surfer: Browser) -> None:
    """Every page that is not on the list to the letter is refused before anything is set or stored."""
    for page in NOT_ALLOWED:
        reply = surfer.client.call("GET", f"/login/google?{urlencode({'return_to': page})}")
        assert_problem(reply, 400, "invalid_request")
        assert reply.header("Location") is None
    for query in ("", "?return_to", f"?{urlencode([('return_to', PAGE), ('return_to', SECOND_PAGE)])}"):
        assert_problem(surfer.client.call("GET", f"/login/google{query}"), 400, "invalid_request")


def test_every_allowed_page(surfer: Browser) -> None:
    """Whichever of the allowed pages began it is the one that the browser comes back to."""
    for page in (SECOND_PAGE, PAGE):
        assert surfer.log_in(person_of(new_email()), page).header("Location") == page


@pytest.mark.parametrize(
    "query",
    [{"transport": "body"}, {"transport": "Session"}, {"transport": "x"}, {"max_age": "-1"}, {"max_age": "1e3"}],
    ids=str,
)
def test_odd_wishes(surfer: Browser, query: dict[str, str]) -> None:
    """A redirect brings back nothing but a cookie; a number is a number."""
    reply = surfer.client.call("GET", f"/login/google?{urlencode({'return_to': PAGE, **query})}")
    assert_problem(reply, 400, "invalid_request")


@pytest.mark.parametrize("provider", ["oidc", "facebook", "Google", "google%20", "google%00", "..", "a" * 300, "pwd"])
def test_provider_that_is_off(surfer: Browser, provider: str) -> None:
    """404 on each of its routes, whatever else is wrong with the request (CVE-2026-33538)."""
    email = new_email()
    held = sign_up(surfer.client, "body", email)
    for method, path, headers in (
        ("GET", f"/login/{provider}", []),
        ("GET", f"/login/{provider}/callback", []),
        ("POST", f"/login/{provider}/exchange", [FROM_PAGE]),
        ("POST", f"/identities/{provider}", [held.bearer]),
        ("POST", f"/identities/{provider}/authorization", [held.bearer]),
    ):
        reply = surfer.client.call(method, path, headers=headers)
        assert reply.status == 404, (path, reply)


def test_callback_in_another_browser(server: Server, surfer: Browser) -> None:
    """A callback URL is worth nothing in a browser that did not begin it, and still works in the one that did."""
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    without = server.browser()
    assert error_of(without.come_back(callback)) == "login_expired"
    other = server.browser()
    other.begin()  # has a cookie, of its own
    assert error_of(other.come_back(callback)) == "login_expired"
    assert not without.logged_in()
    assert not other.logged_in()
    assert surfer.come_back(callback).header("Location") == PAGE
    assert surfer.logged_in()


def test_callback_twice(surfer: Browser) -> None:
    """A login is finished once. Loaded again beside its session, the callback leads to the page and sets nothing."""
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    assert surfer.come_back(callback).header("Location") == PAGE
    again = surfer.come_back(callback)
    assert (again.status, again.header("Location"), again.all("Set-Cookie")) == (303, PAGE, [])
    held = resumed(surfer)
    assert surfer.come_back(callback).header("Location") == PAGE
    held.assert_lives()
    surfer.cookies[REFRESH_COOKIE] += "A"  # no credential of ours any more
    assert error_of(surfer.come_back(callback)) == "login_expired"


def test_parallel_callbacks(server: Server, surfer: Browser) -> None:
    """20 callbacks with one state at once: one session (CVE-2026-22751)."""
    email = new_email()
    callback = surfer.agree(surfer.begin(), person_of(email))
    headers = surfer.cookies.sent_to(server.url)
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: CheckedClient(server.url).call("GET", callback, headers=headers), range(20)))
    won = [
        reply for reply in replies if any(cookie.startswith(f"{REFRESH_COOKIE}=") for cookie in reply.all("Set-Cookie"))
    ]
    assert len(won) == 1
    assert [error_of(reply) for reply in replies if reply not in won] == ["login_expired"] * 19
    surfer.keep(won[0])
    held = resumed(surfer)
    listed = held.client.call("GET", "/sessions", headers=[held.bearer]).json["sessions"]
    assert len(listed) == 1


def test_parallel_first_arrivals(server: Server) -> None:
    """Two browsers of one person who is new, at once: one account, a session each."""
    person = person_of(new_email())
    surfers = [server.browser() for _ in range(8)]
    callbacks = [surfer.agree(surfer.begin(), person) for surfer in surfers]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda pair: pair[0].come_back(pair[1]), zip(surfers, callbacks, strict=True)))
    assert {reply.header("Location") for reply in replies} == {PAGE}
    held = [resumed(surfer) for surfer in surfers]
    assert len({one.me().json["sub"] for one in held}) == 1
    assert len({one.session_id for one in held}) == 8


def test_tabs_share_the_cookie(surfer: Browser) -> None:
    """Logins that were begun in two tabs both finish, in any order."""
    email = new_email()
    first, second = surfer.begin(), surfer.begin(SECOND_PAGE)
    assert surfer.come_back(surfer.agree(second, person_of(email))).header("Location") == SECOND_PAGE
    assert surfer.come_back(surfer.agree(first, person_of(email))).header("Location") == PAGE
    assert resumed(surfer).me().status == 200


def test_person_refuses(server: Server, surfer: Browser) -> None:
    """The refusal comes back as a code; nothing else of what the provider says does."""
    url = surfer.begin()
    server.provider.refuses = True
    try:
        callback = surfer.agree(url, person_of(new_email()))
    finally:
        server.provider.refuses = False
    reply = surfer.come_back(f"{callback}&error_description=%3Cscript%3E&error_uri=https://evil.example")
    assert error_of(reply) == "access_denied"
    assert not surfer.logged_in()
    assert error_of(surfer.come_back(callback)) == "login_expired"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"error": "server_error", "code": None}, "provider_error"),
        ({"error": "<script>", "code": None}, "provider_error"),
        ({"error": "access_denied"}, "access_denied"),
        ({"code": None}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
        ({"code": "x"}, "invalid_code"),
        ({"code": "x" * 5000}, "invalid_request"),
        ({"iss": "https://evil.example"}, "provider_error"),
        ({"iss": None}, "provider_error"),
        ({"iss": "https://evil.example", "error": "access_denied"}, "provider_error"),
    ],
)
def test_callback_with_other_parameters(surfer: Browser, change: dict[str, str | None], code: str) -> None:
    """What the provider would not say comes back as a code, and no session begins."""
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    query = {**dict(parse_qsl(urlsplit(callback).query)), **change}
    given = urlencode({name: value for name, value in query.items() if value is not None})
    assert error_of(surfer.come_back(f"/login/google/callback?{given}")) == code
    assert not surfer.logged_in()


@pytest.mark.parametrize("name", ["state", "code"])
def test_parameter_twice(surfer: Browser, name: str) -> None:
    """Parameters MUST NOT be included more than once (RFC 6749 section 3.1): which one is meant cannot be told."""
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    reply = surfer.come_back(f"{callback}&{name}=x")
    if name == "state":
        assert_problem(reply, 400, "login_expired")
        assert surfer.come_back(callback).header("Location") == PAGE  # nothing was taken
    else:
        assert error_of(reply) == "invalid_request"


def test_forged_states(surfer: Browser) -> None:
    """A state that is not ours names no page: a problem, and no redirect anywhere."""
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    state = dict(parse_qsl(urlsplit(callback).query))["state"]
    for forged in ("", "x", state[:-1], f"{state}A", state.swapcase(), "A" * 54, f"{state}%00", "%ff" * 54):
        reply = surfer.client.call(
            "GET", f"/login/google/callback?code=x&state={forged}", headers=surfer.cookies.sent_to(surfer.client.url)
        )
        assert_problem(reply, 400, "login_expired")
        assert reply.header("Location") is None


def test_malformed_login_cookie(surfer: Browser) -> None:
    """A cookie that is malformed or doubled is an absent one: no way round the binding (CVE-2026-25748)."""
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    secret = surfer.cookies[LOGIN_COOKIE]
    for cookie in (
        "",
        f"{LOGIN_COOKIE}=",
        f"{LOGIN_COOKIE}={secret[:-1]}",
        f"{LOGIN_COOKIE}={secret}A",
        f"{LOGIN_COOKIE}={secret}; {LOGIN_COOKIE}={secret}",
        f"{LOGIN_COOKIE}={'A' * 43}",
        f"{LOGIN_COOKIE}=\u00e9",
        f"\u2000{LOGIN_COOKIE}={secret}",
        f"{REFRESH_COOKIE}={secret}",
    ):
        reply = surfer.client.call("GET", callback, headers=[("Cookie", cookie)])
        assert error_of(reply) == "login_expired", cookie
    assert surfer.come_back(callback).header("Location") == PAGE


def test_login_ends_the_session_that_the_browser_came_with(surfer: Browser) -> None:
    """As with a password: the former session's cookie would live on unseen."""
    former = sign_up(surfer.client, "cookie")
    surfer.keep(former.reply)
    surfer.log_in(person_of(new_email()))
    former.assert_dead()
    resumed(surfer).assert_lives()


@pytest.mark.parametrize("transport", ["cookie", "body", "session"])
def test_exchange(server: Server, surfer: Browser, transport: str) -> None:
    """A code that the page has got for itself is a login like any other, by every transport."""
    email = new_email()
    members = {**own_code(server.provider, person_of(email)), "transport": transport}
    reply = surfer.client.post("/login/google/exchange", members, [FROM_PAGE])
    assert reply.status == 200, reply
    held = Held(surfer.client, email, reply)
    assert held.me().json["email"] == email
    assert ("refresh_token" in reply.json) == (transport == "body")
    assert bool(reply.all("Set-Cookie")) == (transport != "body")
    held.assert_lives()
    assert_problem(surfer.client.post("/login/google/exchange", members, [FROM_PAGE]), 401, "invalid_code")


def test_exchange_of_a_native_app(server: Server, client: Client) -> None:
    """A public client's code is redeemed without a secret; it needs no page, and it is for that client alone."""
    email, (native,) = new_email(), server.provider.public_clients
    members = {**own_code(server.provider, person_of(email), APP_REDIRECT, native), "transport": "body"}
    assert client.post("/login/google/exchange", members).json["user"]["email"] == email
    members = {**own_code(server.provider, person_of(email), APP_REDIRECT), "transport": "body"}  # the web client's
    assert_problem(client.post("/login/google/exchange", members), 401, "invalid_code")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"code": "x"}, 401, "invalid_code"),
        ({"code": "\u00e9"}, 401, "invalid_code"),
        ({"code_verifier": "another-verifier-" + "w" * 40}, 401, "invalid_code"),
        ({"nonce": "another nonce"}, 401, "invalid_code"),
        ({"redirect_uri": SECOND_PAGE}, 401, "invalid_code"),
        ({"redirect_uri": APP_REDIRECT}, 401, "invalid_code"),
        ({"redirect_uri": "https://evil.example"}, 400, "invalid_request"),
        ({"redirect_uri": f"{PAGE}/"}, 400, "invalid_request"),
        ({"code_verifier": "short"}, 400, "invalid_request"),
        ({"code_verifier": "v" * 129}, 400, "invalid_request"),
        ({"code_verifier": "\u00e9" * 50}, 400, "invalid_request"),
        ({"code_verifier": "v" * 50 + "\n"}, 400, "invalid_request"),
        ({"code_verifier": ""}, 400, "invalid_request"),
        ({"code": ""}, 400, "invalid_request"),
        ({"nonce": ""}, 400, "invalid_request"),
        ({"code_verifier": None}, 400, "invalid_request"),
        ({"nonce": None}, 400, "invalid_request"),
        ({"redirect_uri": None}, 400, "invalid_request"),
        ({"state": "x"}, 400, "invalid_request"),
        ({"transport": "sessions"}, 400, "invalid_request"),
    ],
    ids=str,
)
def test_exchange_that_does_not_fit(
    server: Server, client: Client, change: dict[str, str | None], status: int, code: str
) -> None:
    """Verifier, nonce and redirect are needed and have to be the request's own (CVE-2023-48228)."""
    members = {**own_code(server.provider, person_of(new_email())), "transport": "body", **change}
    members = {name: value for name, value in members.items() if value is not None}
    assert_problem(client.post("/login/google/exchange", members, [FROM_PAGE]), status, code)


def test_callbacks_code_is_not_exchanged(surfer: Browser) -> None:
    """A code that went to Keyturn's own callback is redeemed there alone."""
    url = surfer.begin()
    query = dict(parse_qsl(urlsplit(surfer.agree(url, person_of(new_email()))).query))
    redirect = dict(parse_qsl(urlsplit(url).query))["redirect_uri"]
    members = {"code": query["code"], "code_verifier": "v" * 43, "redirect_uri": redirect, "nonce": "n"}
    assert_problem(surfer.client.post("/login/google/exchange", members, [FROM_PAGE]), 400, "invalid_request")


def test_exchange_asks_which_page(server: Server, client: Client) -> None:
    """Where it sets a cookie, its page must be allowed; a session that came along needs its CSRF token."""
    former = sign_up(client, "cookie")
    for headers, code in (
        ([], "origin_refused"),
        ([("Origin", "https://evil.example")], "origin_refused"),
        ([("Origin", "null")], "origin_refused"),
        ([FROM_PAGE, ("Cookie", former.cookie)], "csrf_token_invalid"),
    ):
        members = own_code(server.provider, person_of(new_email()))
        assert_problem(client.post("/login/google/exchange", members, headers), 403, code)
    members = {**own_code(server.provider, person_of(new_email())), "transport": "body"}
    app = [("Origin", "capacitor://localhost")]
    assert_problem(
        client.post("/login/google/exchange", members, [*app, ("Cookie", former.cookie)]), 403, "origin_refused"
    )
    assert client.post("/login/google/exchange", members, app).status == 200
    assert (
        client.post("/login/google/exchange", own_code(server.provider, person_of(new_email())), former.page).status
        == 200
    )
    former.assert_dead()


def test_owner_arrives_after_a_squatter(server: Server, surfer: Browser) -> None:
    """Who signs up with another's address loses it to its owner, with password and sessions (better-auth #9578)."""
    email = new_email()
    squatter = sign_up(CheckedClient(server.url), "body", email)
    assert squatter.me().json["email_verified"] is False
    assert surfer.log_in(person_of(email)).header("Location") == PAGE
    squatter.assert_dead()
    credentials = {"email": email, "password": PASSWORD, "transport": "body"}
    assert_problem(squatter.client.post("/login", credentials), 401, "invalid_credentials")
    owner = resumed(surfer)
    assert owner.me().json == {**owner.me().json, "email": email, "email_verified": True}
    assert_problem(squatter.client.post("/signup", credentials), 409, "email_taken")


def test_unverified_address_opens_nothing(server: Server, surfer: Browser) -> None:
    """Somebody who claims an address at the provider gets no account that has it, by either flow."""
    owner = sign_up(CheckedClient(server.url))
    claimant = replace(person_of(owner.email), email_verified=False)
    assert error_of(surfer.log_in(claimant)) == "email_taken"
    members = {**own_code(server.provider, claimant), "transport": "body"}
    assert_problem(surfer.client.post("/login/google/exchange", members, [FROM_PAGE]), 409, "email_taken")
    owner.assert_lives()


@pytest.mark.parametrize("status", [403, 500])
def test_address_that_userinfo_does_not_prove(server: Server, surfer: Browser, status: int) -> None:
    """Where userinfo fails, an address that the ID token leaves open is unproven: a session, and no proof."""
    person = replace(person_of(new_email()), email_verified=None)
    server.provider.userinfo_status = status
    try:
        assert surfer.log_in(person).header("Location") == PAGE
        owner = sign_up(CheckedClient(server.url))
        claimant = replace(person_of(owner.email), email_verified=None)
        assert error_of(server.browser().log_in(claimant)) == "email_taken"
    finally:
        server.provider.userinfo_status = 200
    assert resumed(surfer).me().json["email_verified"] is False
    owner.assert_lives()


def test_provider_without_an_address(server: Server, surfer: Browser) -> None:
    """Without an address there is no account."""
    person = Person("without an address", email=None, email_verified=None)
    assert error_of(surfer.log_in(person)) == "email_required"
    members = {**own_code(server.provider, person), "transport": "body"}
    assert_problem(surfer.client.post("/login/google/exchange", members, [FROM_PAGE]), 403, "email_required")


def test_too_many(server: Server) -> None:
    """The limiter counts beginnings and codes by address, and refuses before the provider is asked."""
    client = CheckedClient(server.url)
    members = {**own_code(server.provider, person_of(new_email())), "code": "x", "transport": "body"}
    begin = f"/login/google?{urlencode({'return_to': PAGE})}"
    calls = [partial(client.call, "GET", begin), partial(client.post, "/login/google/exchange", members, [FROM_PAGE])]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: calls[number % 2]().status, range(310)))
    assert set(statuses) == {303, 401, 429}
    fetches = server.provider.fetches.total()
    for call in calls:
        reply = call()
        assert_problem(reply, 429, "too_many_requests")
        assert int(reply.header("Retry-After") or 0) > 0
    assert server.provider.fetches.total() == fetches
