"""Logging in at a provider: what binds the answer to the request, the browser and the page, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.login_states import IDENTIFIER_BYTES, bind
from chalicelib.errors import (
    AuthError,
    ConfigurationError,
    InvalidCode,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    LoginExpired,
    ProviderError,
    ProviderNotFound,
    Unavailable,
)
from chalicelib.services.federation.log_in import SessionRequest
from chalicelib.services.federation.requests import LOGIN_SECONDS
from tests.flows.contents import contents, rows
from tests.flows.federated import BrowserFlow, Federated, code_for, exchange, granted, parameters
from tests.flows.steps import (
    ELSEWHERE,
    assert_dead,
    assert_works,
    bearer,
    decoded,
    holder,
    log_in,
    log_out,
    long_lived,
    refresh,
    sign_up,
    without_signing_key,
)
from tests.flows.tables import a_table
from tests.world.clock import START
from tests.world.constants import CLIENT, ORIGIN, PAGE
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.person import Person
from tests.world.provider import NATIVE_REDIRECT
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services import Services

OTHER_PAGE = f"{ORIGIN}/settings"
ALICE = Person()


def error_of(federated: Federated, browser: BrowserFlow, query: dict[str, str], name: str = "google") -> str | None:
    """The error that comes back to the page, which is the allowed one, with no session."""
    before = contents(federated.keyturn.store).sessions
    returned = browser.come_back(query, name)
    assert returned.return_to == PAGE
    assert returned.grant is None
    assert contents(federated.keyturn.store).sessions == before
    return returned.error


def watched(federated: Federated) -> tuple[Services, FaultyStore]:
    """The same world, with the verbs that are called."""
    store = FaultyStore(federated.keyturn.store)
    return federated.with_providers("google", "oidc", store=store).services, store


def claims_of(federated: Federated, access_token: str) -> tuple[tuple[str, ...], int]:
    """How and when the token says that its user was authenticated."""
    claims = federated.keyturn.authorize(access_token)
    return claims.amr, claims.auth_time


# --- the way there and back


def test_browser_comes_back_logged_in(federated_anywhere: Federated) -> None:
    """A session of the asked transport, whose tokens work and refresh, on the page that asked."""
    returned = federated_anywhere.browser().log_in(federated_anywhere.google)
    assert (returned.return_to, returned.error) == (PAGE, None)
    grant = granted(returned)
    assert long_lived(grant).transport == "cookie"
    assert (grant.account.email, grant.account.email_verified) == ("alice@example.com", True)
    assert federated_anywhere.keyturn.principal(grant.access_token).email_verified
    assert_works(federated_anywhere.keyturn, grant)
    contents(federated_anywhere.keyturn.store).assert_whole()


def test_transport_is_the_requests(federated: Federated) -> None:
    """A page that asked for the refresh token in a body gets it there."""
    browser = federated.browser()
    url = browser.begin(transport="body")
    assert long_lived(granted(browser.come_back(federated.google.approve(url)))).transport == "body"


def test_request_has_what_oauth_asks_for(federated: Federated) -> None:
    """Our own callback, S256 and nonce; fresh values for each login; `max_age` only where it was asked for."""
    browser = federated.browser()
    first, second = parameters(browser.begin()), parameters(browser.begin(max_age=0))
    assert first["redirect_uri"] == "https://auth.example.com/login/google/callback"
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
    assert "max_age" not in first
    assert second["max_age"] == "0"


def test_page_of_the_request_is_come_back_to(federated: Federated) -> None:
    """Of several allowed pages, the one that asked, with a grant and with an error alike."""
    keyturn = federated.with_providers("google", return_to=frozenset({PAGE, OTHER_PAGE}))
    for page in (PAGE, OTHER_PAGE):
        browser = BrowserFlow(keyturn.services)
        query = federated.google.approve(browser.begin(return_to=page))
        assert browser.come_back(query).return_to == page
        assert browser.come_back(query).return_to == page  # refused by now


@pytest.mark.parametrize(
    "page",
    [
        "",
        PAGE + "/",
        PAGE + "?",
        PAGE + "#",
        PAGE + "?next=//evil.example",
        PAGE + " ",
        PAGE + "\n",
        PAGE[:-1],
        PAGE.upper(),
        PAGE.replace("app.", "APP."),
        PAGE.replace("https", "http"),
        PAGE.replace("https", "HTTPS"),
        PAGE.replace("https://", "//"),
        PAGE.replace("https://", "https:/\\"),
        PAGE.replace("https://", "https://evil.example@"),
        PAGE.replace("app.example.com", "app.example.com@evil.example"),
        PAGE.replace("app.example.com", "app.example.com.evil.example"),
        PAGE.replace("app.example.com", "app.example.com:443"),
        PAGE.replace("app.example.com", "app.example.com."),
        PAGE.replace("/welcome", "/%77elcome"),
        PAGE.replace("/welcome", "//welcome"),
        PAGE.replace("/welcome", "/./welcome"),
        PAGE.replace("/welcome", "/x/../welcome"),
        PAGE.replace("/welcome", "\\welcome"),
        PAGE.replace("e", "\u0435", 1),
        ORIGIN,
        "/welcome",
        "//evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        NATIVE_REDIRECT,
        "https://auth.example.com/login/google/callback",
    ],
)
def test_page_is_compared_exactly(federated: Federated, page: str) -> None:
    """No other spelling of an allowed page is one (CVE-2022-31093); nothing is asked and nothing written."""
    services, store = watched(federated)
    with pytest.raises(InvalidRequest):
        BrowserFlow(services).begin(return_to=page)
    assert store.calls == []
    assert federated.google.calls == []


def test_unknown_provider_is_looked_up_nowhere(federated: Federated) -> None:
    """No call to the table or to a provider, whichever way it is named (CVE-2026-33538)."""
    services, store = watched(federated)
    grant = sign_up(federated.services)
    principal, presented = holder(federated.services, grant), decoded(federated.services, grant)
    browser = BrowserFlow(services, secret=bytes(range(32)))
    visit = SessionRequest(transport="body", caller=CLIENT)
    acts: list[Callable[[str], object]] = [
        browser.begin,
        lambda name: browser.come_back({"state": "x", "code": "y"}, name),
        lambda name: browser.begin_linking(grant, name),
        lambda name: services.exchange_code(name, code_for(federated.google), visit),
        lambda name: services.exchange_code.link(principal, name, code_for(federated.google), presented, CLIENT),
    ]
    for act in acts:
        for name in ("facebook", "Google", "google/", "__class__", ""):
            with pytest.raises(ProviderNotFound):
                act(name)
    assert store.calls == []
    assert federated.google.calls == []


# --- state


def test_forged_state_costs_nothing_and_names_no_page(federated: Federated) -> None:
    """LoginExpired, for no page, before the table or the provider is asked."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    services, store = watched(federated)
    first = "B" if query["state"].startswith("A") else "A"
    for state in ("", "x", query["state"][:-1], query["state"] + "A", first + query["state"][1:], "A" * 54):
        with pytest.raises(LoginExpired):
            browser.come_back({**query, "state": state}, services=services)
    assert store.calls == []
    granted(browser.come_back(query))


def test_state_of_another_provider_is_refused(federated: Federated) -> None:
    """A login that began at one provider is not finished by another one's answer, and is not used up by it (mix-up)."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin("google"))
    with pytest.raises(LoginExpired):
        browser.come_back(query, "oidc")
    assert federated.oidc.calls == []
    granted(browser.come_back(query))


def test_transaction_of_another_provider_is_refused(federated: Federated) -> None:
    """Even under a state that our own key has signed for the other provider, the login stays its provider's."""
    browser = federated.browser()
    state = parameters(browser.begin("google"))["state"]
    identifier = from_b64url(state)[:IDENTIFIER_BYTES]
    crossed = federated.services.begin_login.states.issue("oidc", identifier, PAGE, 2**32 - 1)
    assert error_of(federated, browser, {"state": crossed, "code": "x"}, "oidc") == "login_expired"
    assert federated.oidc.calls == []


def test_other_browser_is_refused(federated_anywhere: Federated) -> None:
    """A callback URL that somebody else opens logs nobody in and uses nothing up.

    (CVE-2025-68481, CVE-2025-14546, CVE-2025-68158.)
    """
    federated = federated_anywhere
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    other = federated.browser(ELSEWHERE)
    other.begin()
    asked = list(federated.google.calls)
    assert error_of(federated, other, query) == "login_expired"
    assert federated.google.calls == asked
    granted(browser.come_back(query))


def test_browser_without_a_cookie_is_refused(federated: Federated) -> None:
    """No cookie, no look at the table."""
    query = federated.google.approve(federated.browser().begin())
    services, store = watched(federated)
    returned = BrowserFlow(services).come_back(query)
    assert (returned.return_to, returned.grant, returned.error) == (PAGE, None, "login_expired")
    assert store.calls == []
    assert federated.google.calls == ["authorization_url"]


def test_login_expires_after_ten_minutes(federated_anywhere: Federated) -> None:
    """At 599 s it can be finished; at 600 s it cannot, though the item still lies in the table."""
    federated = federated_anywhere
    early, late = federated.browser(), federated.browser(ELSEWHERE)
    in_time, too_late = federated.google.approve(early.begin()), federated.google.approve(late.begin())
    federated.keyturn.clock.advance(LOGIN_SECONDS - 1)
    granted(early.come_back(in_time))
    federated.keyturn.clock.advance(1)
    assert LOGIN_SECONDS == 600
    assert error_of(federated, late, too_late) == "login_expired"


def test_login_is_finished_once(federated_anywhere: Federated) -> None:
    """Loaded again, the callback's URL does nothing: the session that it made goes on (Supabase #2483)."""
    federated = federated_anywhere
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    grant = granted(browser.come_back(query))
    asked = list(federated.google.calls)
    query["code"] = federated.google.approve(browser.begin())["code"]  # were it not used up, a code would be
    assert error_of(federated, browser, query) == "login_expired"
    assert federated.google.calls == [*asked, "authorization_url"]
    assert_works(federated.keyturn, grant)


@pytest.mark.parametrize("answer", [{"error": "access_denied"}, {"code": "wrong"}, {}], ids=str)
def test_login_that_failed_is_finished(federated: Federated, answer: dict[str, str]) -> None:
    """After an error, too, the state is used up: no second answer is tried."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    assert error_of(federated, browser, {"state": query["state"], **answer})
    assert error_of(federated, browser, query) == "login_expired"


def test_page_that_is_no_longer_allowed_is_not_come_back_to(federated: Federated) -> None:
    """The allow-list of now decides, and a login that began before comes back nowhere."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    store = FaultyStore(federated.keyturn.store)
    keyturn = federated.with_providers("google", store=store, return_to=frozenset({OTHER_PAGE}))
    with pytest.raises(LoginExpired):
        browser.come_back(query, services=keyturn.services)
    assert store.calls == []


def test_provider_that_was_switched_off_finishes_nothing(federated: Federated) -> None:
    """Between the way there and the way back."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    with pytest.raises(ProviderNotFound):
        browser.come_back(query, services=federated.with_providers("oidc").services)


def test_code_of_another_login_is_refused(federated: Federated) -> None:
    """A code that was issued for an attacker's login does not fit the victim's state (code injection)."""
    victim, attacker = federated.browser(), federated.browser(ELSEWHERE)
    state = parameters(victim.begin())["state"]
    code = federated.google.approve(attacker.begin(), Person("attacker"))["code"]
    assert error_of(federated, victim, {"state": state, "code": code}) == "invalid_code"
    assert contents(federated.keyturn.store).logins == {}


# --- tabs


def test_parallel_tabs_both_finish(federated: Federated) -> None:
    """They share the browser's secret, and neither disturbs the other, in either order."""
    browser = federated.browser()
    first = federated.google.approve(browser.begin())
    secret = browser.secret
    second = federated.oidc.approve(browser.begin("oidc"), Person("person-2", "bob@example.com"))
    assert browser.secret == secret
    assert granted(browser.come_back(second, "oidc")).account.email == "bob@example.com"
    assert granted(browser.come_back(first)).account.email == "alice@example.com"


def test_tab_that_fails_disturbs_no_other(federated: Federated) -> None:
    """A refusal in one tab leaves the other tab's login as it was."""
    browser = federated.browser()
    first, second = browser.begin(), browser.begin()
    assert error_of(federated, browser, {"state": parameters(first)["state"], "error": "access_denied"})
    granted(browser.come_back(federated.google.approve(second)))


def test_new_browser_gets_a_secret_of_its_own(federated: Federated) -> None:
    """No two browsers are given the same one."""
    one, other = federated.browser(), federated.browser()
    one.begin()
    other.begin()
    assert one.secret is not None
    assert one.secret != other.secret


# --- what the provider answers


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": "access_denied"}, "access_denied"),
        ({"error": "server_error"}, "provider_error"),
        ({"error": "temporarily_unavailable"}, "provider_error"),
        ({"error": "<script>alert(1)</script>"}, "provider_error"),
        ({"error": "x" * 5000}, "provider_error"),
        ({"error": ""}, "provider_error"),
        ({"error": "access_denied", "code": "whatever"}, "access_denied"),
        ({}, "invalid_request"),
        ({"code": ""}, "invalid_code"),
        ({"code": "x", "iss": "https://evil.example"}, "provider_error"),
        ({"error": "access_denied", "iss": "https://evil.example"}, "provider_error"),
        ({"code": "x", "iss": ""}, "provider_error"),
    ],
)
def test_answer_of_the_provider_comes_back_as_a_code(federated: Federated, answer: dict[str, str], error: str) -> None:
    """A stable code and never the provider's text; RFC 9207's `iss` is looked at before anything else."""
    browser = federated.browser()
    state = parameters(browser.begin())["state"]
    assert error_of(federated, browser, {"state": state, **answer}) == error
    name, facts = federated.keyturn.audit.events[-1]
    assert (name, facts["code"], facts["method"]) == ("login_refused", error, "google")
    assert len(str(facts["why"])) < 200


@pytest.mark.parametrize(("error", "written"), [("server_error", True), ("Server_Error", False), ("evil\nline", False)])
def test_error_is_written_down_where_a_standard_names_it(federated: Federated, error: str, written: bool) -> None:  # noqa: FBT001
    """Whoever opens a callback's URL writes no text of their own into the log."""
    browser = federated.browser()
    browser.come_back({"state": parameters(browser.begin())["state"], "error": error})
    assert (error in federated.keyturn.audit.events[-1][1]["why"]) is written


def test_answer_of_another_issuer_redeems_no_code(federated: Federated) -> None:
    """RFC 9207 section 2.4: the code goes to nobody; one of the right issuer is redeemed."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    assert error_of(federated, browser, {**query, "iss": federated.oidc.issuer}) == "provider_error"
    assert "identify" not in federated.google.calls
    query = federated.google.approve(browser.begin())
    granted(browser.come_back({**query, "iss": federated.google.issuer}))


@pytest.mark.parametrize("failure", [Unavailable, ProviderError, InvalidCode, ConfigurationError])
def test_failure_of_the_provider_comes_back_as_a_code(federated: Federated, failure: type[AuthError]) -> None:
    """The page is told the code alone, and nothing is written but that the login is over."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    federated.google.failure = failure("text for nobody", debug="text for the log")
    assert error_of(federated, browser, query) == failure.code
    assert contents(federated.keyturn.store).logins == {}
    assert federated.keyturn.audit.events[-1][1]["why"] == "text for the log"


def test_provider_that_is_away_costs_the_table_one_count(federated: Federated) -> None:
    """Where no authorization URL can be made, nothing is kept; who keeps asking is counted."""
    services, store = watched(federated)
    federated.google.failure = Unavailable()
    with pytest.raises(Unavailable):
        BrowserFlow(services).begin()
    assert store.verbs == ["count_attempt"]


def test_missing_signing_key_leaves_no_session_behind(federated: Federated) -> None:
    """A session that nobody could hold is not written, for a first arrival and a known identity."""
    keyturn = federated.keyturn
    for known in (False, True):
        if known:
            federated.log_in(federated.google)
        browser = federated.browser()
        query = federated.google.approve(browser.begin())
        held = contents(keyturn.store)
        returned = browser.come_back(query, services=without_signing_key(keyturn))
        keyturn.parameters.away = False
        assert returned.error == "unavailable"
        assert contents(keyturn.store) == held


# --- the session


@pytest.mark.parametrize("first", [True, False], ids=["first arrival", "known"])
def test_session_says_how_and_when_the_person_was_seen(federated: Federated, first: bool) -> None:  # noqa: FBT001
    """`amr` is the provider; `auth_time` the provider's where it tells one, else now (ASVS V6.8.4)."""
    if not first:
        federated.log_in(federated.oidc)
    for auth_time in (START - 3000, None):
        expected = federated.keyturn.clock.now() if auth_time is None else auth_time
        person = replace(ALICE, auth_time=auth_time)
        if first:
            person = replace(person, name=f"person {auth_time}", email=f"p{auth_time}@example.com")
        grant = federated.log_in(federated.oidc, person)
        session = federated.keyturn.store.find_session(grant.account.sub, grant.session_id)
        assert session
        assert (session.amr, session.auth_time) == (("oidc",), expected)
        assert claims_of(federated, bearer(grant)) == (("oidc",), expected)
        federated.keyturn.clock.advance(60)
        successor = refresh(federated.services, grant)
        assert claims_of(federated, bearer(successor)) == (("oidc",), expected)


@pytest.mark.parametrize("how", ["first arrival", "known", "linked by address", "taken over"])
def test_login_ends_the_session_that_the_browser_came_with(federated: Federated, how: str) -> None:
    """ASVS V7.2.4, whoever's it was, by both flows; one that fails ends nothing."""
    if how == "known":
        federated.log_in(federated.google)
    if how == "linked by address":
        federated.log_in(federated.oidc)
    if how == "taken over":
        sign_up(federated.services)
    mine = sign_up(federated.services, email="carol@example.com", transport="cookie")
    browser = federated.browser()
    carried = decoded(federated.services, mine)
    state = parameters(browser.begin())["state"]
    assert browser.come_back({"state": state, "code": "wrong"}, carried=carried).error
    assert_works(federated.keyturn, mine)
    query = federated.google.approve(browser.begin())
    theirs = granted(browser.come_back(query, carried=carried))
    assert_dead(federated.keyturn, mine)
    exchanged = exchange(federated.services, federated.google, carried=decoded(federated.services, theirs))
    assert_dead(federated.keyturn, theirs)
    assert_works(federated.keyturn, exchanged)


def test_logout_ends_a_providers_session(federated: Federated) -> None:
    """It is a session like any other."""
    grant = federated.log_in(federated.google)
    log_out(federated.services, grant)
    assert_dead(federated.keyturn, grant)


# --- exchange


@pytest.mark.parametrize("transport", ["body", "cookie"])
@pytest.mark.parametrize("redirect_uri", [PAGE, NATIVE_REDIRECT])
def test_code_is_exchanged(federated_anywhere: Federated, redirect_uri: str, transport: Any) -> None:
    """For a page on the allow-list and for a native app, by both transports."""
    federated = federated_anywhere
    visit = SessionRequest(transport=transport, caller=CLIENT)
    code = code_for(federated.google, redirect_uri=redirect_uri)
    grant = federated.services.exchange_code("google", code, visit)
    assert long_lived(grant).transport == transport
    assert claims_of(federated, bearer(grant)) == (("google",), START)
    assert_works(federated.keyturn, grant)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "",
        PAGE + "/",
        PAGE.upper(),
        NATIVE_REDIRECT + "/",
        NATIVE_REDIRECT.upper(),
        "https://evil.example",
        "https://auth.example.com/login/google/callback",
    ],
)
def test_code_of_another_redirect_is_not_redeemed(federated: Federated, redirect_uri: str) -> None:
    """Our own callback's codes, too, are nobody else's to bring. Refused before table and provider are asked."""
    services, store = watched(federated)
    code = code_for(federated.google, redirect_uri=redirect_uri)
    with pytest.raises(InvalidRequest):
        services.exchange_code("google", code, SessionRequest(transport="body", caller=CLIENT))
    assert store.calls == []
    assert federated.google.calls == []


@pytest.mark.parametrize(
    "wrong",
    [{"code_verifier": "w" * 43}, {"nonce": "another"}, {"redirect_uri": NATIVE_REDIRECT}, {"code": "unknown"}],
    ids=str,
)
def test_code_needs_all_that_belongs_to_it(federated: Federated, wrong: dict[str, str]) -> None:
    """Another verifier, nonce, redirect or code: InvalidCode, and no account and no session (CVE-2023-48228)."""
    code = replace(code_for(federated.google), **wrong)
    with pytest.raises(InvalidCode):
        federated.services.exchange_code("google", code, SessionRequest(transport="body", caller=CLIENT))
    held = contents(federated.keyturn.store)
    assert (held.logins, held.accounts, held.sessions) == ({}, {}, {})


def test_code_is_exchanged_once(federated: Federated) -> None:
    """The second time it is InvalidCode, and the session of the first time goes on (Supabase #2612)."""
    code, visit = code_for(federated.google), SessionRequest(transport="body", caller=CLIENT)
    grant = federated.services.exchange_code("google", code, visit)
    with pytest.raises(InvalidCode):
        federated.services.exchange_code("google", code, visit)
    assert_works(federated.keyturn, grant)


# --- what is kept and what is told


def secrets_of(browser: BrowserFlow, url: str, query: dict[str, str]) -> set[str]:
    """Everything of a login that neither log nor table may hold."""
    assert browser.secret is not None
    binding = bind(from_b64url(query["state"])[:IDENTIFIER_BYTES], browser.secret)
    assert parameters(url)["nonce"] == binding.nonce
    values = [browser.secret, from_b64url(binding.nonce), from_b64url(binding.code_verifier)]
    forms = {form for value in values for form in (b64url(value), value.hex(), str(value))}
    return forms | {query["code"], query["state"]}


def test_log_holds_nothing_that_logs_in(federated: Federated) -> None:
    """No code, state, secret, nonce or verifier in any event, of logins that work and of those that do not."""
    browser = federated.browser()
    secrets: set[str] = set()
    for spoil in ({}, {}, {"error": "access_denied"}, {"iss": "x"}, {"code": "wrong-code"}):
        url = browser.begin()
        query = federated.google.approve(url)
        secrets |= secrets_of(browser, url, query)
        browser.come_back({**query, **spoil})
        browser.come_back({**query, **spoil})
    federated.browser().come_back(query)
    code = code_for(federated.google)
    federated.services.exchange_code("google", code, SessionRequest(transport="body", caller=CLIENT))
    code = code_for(federated.google, replace(ALICE, name="another", email_verified=False))
    with pytest.raises(AuthError):
        federated.services.exchange_code("google", code, SessionRequest(transport="body", caller=CLIENT))
    secrets |= {code.code, code.code_verifier, code.nonce, "wrong-code"}
    recorded = repr(federated.keyturn.audit.events)
    assert federated.keyturn.audit.names().count("login_refused") >= 9
    assert [secret for secret in secrets if secret in recorded] == []


def test_table_holds_nothing_that_finishes_a_login() -> None:
    """Who reads the table, before and after, finds neither secret, nonce, verifier nor state in it."""
    federated = Federated.over(a_table())
    browser = federated.browser()
    url = browser.begin()
    query = federated.google.approve(url)
    secrets = secrets_of(browser, url, query)
    assert secrets
    store: Any = federated.keyturn.store
    before = repr(rows(store))
    assert "google" in before
    granted(browser.come_back(query))
    after = repr(rows(store))
    assert [secret for secret in secrets if secret in before or secret in after] == []


def test_linking_that_is_under_way_makes_no_session(federated: Federated) -> None:
    """A login that began as linking links, and the browser's session is the one that it was, with a new credential."""
    grant = sign_up(federated.services)
    browser = federated.browser()
    url = browser.begin_linking(grant)
    returned = browser.come_back(federated.google.approve(url), carried=decoded(federated.services, grant))
    assert (returned.return_to, returned.linked, returned.error) == (PAGE, True, None)
    assert list(contents(federated.keyturn.store).sessions) == [grant.session_id]
    assert_works(federated.keyturn, granted(returned))


def test_settings_of_another_deployment_do_not_finish_a_login(federated: Federated) -> None:
    """The redirect URI is of configuration: a code for one host's callback is not redeemed for another's."""
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    moved = federated.with_providers("google", issuer="https://auth.example.net")
    assert browser.come_back(query, services=moved.services).error == "invalid_code"


def test_login_without_an_account_holds_no_password(federated: Federated) -> None:
    """Nothing logs in to an account of a provider by password, not even an empty one."""
    federated.log_in(federated.google)
    for password in ("", "None", "null"):
        with pytest.raises(AuthError):
            log_in(federated.services, password)


def test_refresh_token_of_a_disabled_account_is_dead(federated: Federated) -> None:
    """Disabling reaches sessions that a provider began."""
    grant = federated.log_in(federated.google)
    federated.services.accounts.disable(grant.account.sub, CLIENT)
    with pytest.raises(InvalidGrant):
        refresh(federated.services, grant)
    with pytest.raises(InvalidToken):
        federated.keyturn.authorize(grant.access_token)


def test_other_world_is_another_world() -> None:
    """Without providers every name is unknown: the routes are off."""
    keyturn = Keyturn(FakeStore(), config=config(return_to=frozenset({PAGE})))
    with pytest.raises(ProviderNotFound):
        BrowserFlow(keyturn.services).begin()
