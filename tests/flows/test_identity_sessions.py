"""Whose session asks to link or unlink: it lives in the same write, and its login is recent by what is presented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import InsufficientUserAuthentication, InvalidToken
from chalicelib.services.federation.requests import LoginRequest
from chalicelib.services.sessions.grants import Grant
from chalicelib.services.sessions.sessions import RECENT_SECONDS
from tests.flows.contents import contents
from tests.flows.federated import BrowserFlow, Federated, code_for
from tests.flows.steps import (
    EMAIL,
    assert_dead,
    assert_works,
    change_password,
    decoded,
    holder,
    link,
    log_in,
    log_out,
    refresh,
    sign_up,
    unlink,
)
from tests.flows.test_identities import ELSE, OTHER_EMAIL, by_code, principal_of, subjects_of
from tests.world.constants import CLIENT, PAGE
from tests.world.faults import FaultyStore
from tests.world.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services import Services


@pytest.fixture
def world(federated_anywhere: Federated) -> Federated:
    """Over the fake and over a real table."""
    return federated_anywhere


def end_by_logout(world: Federated, grant: Grant) -> None:
    """The session itself ends."""
    log_out(world.services, grant)


def end_by_logout_everywhere(world: Federated, grant: Grant) -> None:
    """All of the account's do."""
    world.services.accounts.log_out_everywhere(principal_of(world, grant), CLIENT)


def end_by_password_change(world: Federated, grant: Grant) -> None:
    """The owner changes the password from another session."""
    del grant
    change_password(world.services, log_in(world.services))


def end_by_take_over(world: Federated, grant: Grant) -> None:
    """The address's owner arrives."""
    del grant
    world.log_in(world.google, Person("owner"))


def end_by_disabling(world: Federated, grant: Grant) -> None:
    """The operator has had enough."""
    world.services.accounts.disable(grant.account.sub, CLIENT)


ENDS = [end_by_logout, end_by_logout_everywhere, end_by_password_change, end_by_take_over, end_by_disabling]


@pytest.mark.parametrize("with_cookie", [True, False])
@pytest.mark.parametrize("end", ENDS)
def test_session_that_ended_links_nothing(
    world: Federated,
    end: Callable[[Federated, Grant], None],
    with_cookie: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    """Whoever began to link and lost the session before coming back is refused (CVE-2026-9087)."""
    grant = sign_up(world.services)
    browser = world.browser()
    url = browser.begin_linking(grant, "oidc")
    end(world, grant)
    held = contents(world.keyturn.store)
    carried = decoded(world.services, grant) if with_cookie else None
    returned = browser.come_back(world.oidc.approve(url, ELSE), "oidc", carried=carried)
    assert (returned.grant, returned.linked, returned.error) == (None, False, "invalid_token")
    after = contents(world.keyturn.store)
    assert (after.logins, after.sessions, after.markers) == (held.logins, held.sessions, held.markers)
    assert world.keyturn.store.find_identity(world.oidc.issuer, ELSE.name) is None


MOMENTS = {
    "link": [("find_session_and_account", 1), ("find_session_and_account", 2), ("find_login", 1), ("link_identity", 1)],
    "link again": [("find_session_and_account", 2), ("find_login", 1), ("renew_session", 1)],
    "link by browser": [("find_session_and_account", 1), ("find_login", 1), ("link_identity", 1)],
    "link by bare browser": [("find_session_and_account", 1), ("find_login", 1), ("link_identity", 1)],
    "unlink": [("find_session_and_account", 1), ("find_login", 1), ("unlink_identity", 1)],
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("act", "moment"), [(act, moment) for act, moments in MOMENTS.items() for moment in moments])
def test_session_that_ends_meanwhile_changes_nothing(
    world: Federated, act: str, moment: tuple[str, int], end: Callable[[Federated, Grant], None]
) -> None:
    """At whichever call of the act it ends: nobody's ways in change, and no renewal brings the session back.

    Between the reads of the session and of the login the epoch moves: the renewal must not take the session along.
    """
    sign_up(world.services)
    grant = log_in(world.services)
    if act in {"unlink", "link again"}:
        grant = by_code(world, grant, world.oidc, ELSE)
    browser, query = world.browser(), {}
    if "browser" in act:
        query = world.oidc.approve(browser.begin_linking(grant, "oidc"), ELSE)
    left: list[set[tuple[str, str]]] = []

    def at_call(*call: str | int) -> None:
        if call == moment:
            end(world, grant)
            if end is end_by_take_over:  # a second way in, so that no other rule is in the way
                change_password(world.services, world.log_in(world.google, Person("owner")), None)
            left.append(subjects_of(world))

    store = FaultyStore(world.keyturn.store, at_call=at_call)
    services = world.with_providers("google", "oidc", store=store).services
    provider = "google" if end is end_by_take_over and moment[0] != "unlink_identity" else "oidc"

    def come_back(carried: bool) -> None:  # noqa: FBT001 - which of the two
        presented = decoded(world.services, grant) if carried else None
        if browser.come_back(query, "oidc", carried=presented, services=services).error == "invalid_token":
            raise InvalidToken

    acts: dict[str, Callable[[], object]] = {
        "link": lambda: link(services, grant, "oidc", code_for(world.oidc, ELSE)),
        "link again": lambda: link(services, grant, "oidc", code_for(world.oidc, ELSE)),
        "link by browser": lambda: come_back(carried=True),
        "link by bare browser": lambda: come_back(carried=False),
        "unlink": lambda: unlink(services, grant, provider),
    }
    if moment == ("renew_session", 1) and end is not end_by_logout:
        # Nothing but the session's own item is written: as if the end had come after it. What it renews is dead.
        renewed = acts[act]()
        assert isinstance(renewed, Grant)
        assert_dead(world.keyturn, renewed)
    else:
        with pytest.raises(InvalidToken):
            acts[act]()
    assert left == [subjects_of(world)]
    assert_dead(world.keyturn, grant)
    contents(world.keyturn.store).assert_whole()


def test_session_that_changed_its_password_still_links(world: Federated) -> None:
    """It moved to the account's new epoch, and goes on; the callback carries what the change has answered."""
    grant = sign_up(world.services)
    browser = world.browser()
    url = browser.begin_linking(grant)
    changed = change_password(world.services, grant)
    returned = browser.come_back(world.google.approve(url, ELSE), carried=decoded(world.services, changed))
    assert returned.error is None
    assert returned.grant is not None
    assert subjects_of(world) == {("google", "person-7")}
    assert_works(world.keyturn, returned.grant)
    assert_dead(world.keyturn, grant)


def renew_by_password(world: Federated, grant: Grant) -> Grant:
    """The account's epoch moves, and the session with it."""
    return change_password(world.services, grant)


def renew_by_link(world: Federated, grant: Grant) -> Grant:
    """The session's floor moves, and the account's epoch stays."""
    return by_code(world, grant, world.oidc, ELSE)


RENEWALS = [renew_by_password, renew_by_link]


@pytest.mark.parametrize("with_cookie", [True, False])
@pytest.mark.parametrize("renew", RENEWALS)
def test_link_that_a_credential_of_before_began_is_not_finished(
    world: Federated,
    renew: Callable[[Federated, Grant], Grant],
    with_cookie: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    """A thief begins a link with stolen credentials, and the owner renews them: the thief's callback links nothing."""
    grant = sign_up(world.services)
    thief = world.browser()
    url = thief.begin_linking(grant)
    renewed = renew(world, grant)
    held = contents(world.keyturn.store)
    carried = decoded(world.services, grant) if with_cookie else None
    returned = thief.come_back(world.google.approve(url, Person("thief")), carried=carried)
    assert (returned.error, returned.grant, returned.linked) == ("invalid_token", None, False)
    after = contents(world.keyturn.store)
    assert (after.logins, after.sessions, after.markers) == (held.logins, held.sessions, held.markers)
    assert_works(world.keyturn, renewed)


@pytest.mark.parametrize("renew", RENEWALS)
def test_renewal_between_the_callbacks_read_and_its_write_is_seen(
    world: Federated, renew: Callable[[Federated, Grant], Grant]
) -> None:
    """The owner renews at the very moment of the write: the write asks for the floor and the epoch that were read."""
    grant = sign_up(world.services)
    thief = world.browser()
    query = world.google.approve(thief.begin_linking(grant), Person("thief"))
    renewed: list[Grant] = []

    def at_call(*call: str | int) -> None:
        if call == ("link_identity", 1) and not renewed:
            renewed.append(renew(world, grant))

    store = FaultyStore(world.keyturn.store, at_call=at_call)
    services = world.with_providers("google", "oidc", store=store).services
    assert thief.come_back(query, services=services).error == "invalid_token"
    assert ("google", "thief") not in subjects_of(world)
    assert_works(world.keyturn, renewed[0])


def test_link_goes_on_where_another_tab_has_turned_the_key(world: Federated) -> None:
    """A refresh between beginning and callback renews nothing: the link is finished, with the cookie or without."""
    grant = sign_up(world.services)
    browser = world.browser()
    url = browser.begin_linking(grant)
    world.keyturn.clock.advance(60)
    turned = refresh(world.services, grant)
    returned = browser.come_back(world.google.approve(url, ELSE))
    assert (returned.error, returned.grant, returned.linked) == (None, None, True)
    assert_works(world.keyturn, turned)


def test_callback_with_another_sessions_cookie_links_and_leaves_that_session(world: Federated) -> None:
    """The browser holds somebody else's session by then, or the person's other one: it is neither renewed nor ended."""
    grant = sign_up(world.services)
    for other in (log_in(world.services), sign_up(world.services, email=OTHER_EMAIL)):
        browser = world.browser()
        url = browser.begin_linking(grant)
        returned = browser.come_back(world.google.approve(url, ELSE), carried=decoded(world.services, other))
        assert (returned.error, returned.grant, returned.linked) == (None, None, True)
        assert_works(world.keyturn, other)
    assert subjects_of(world) == {("google", "person-7")}
    assert subjects_of(world, OTHER_EMAIL) == set()
    assert_works(world.keyturn, grant)


def test_session_of_another_account_is_not_linked_to(world: Federated) -> None:
    """Who logs in as somebody else in the same browser meanwhile links to the account that asked."""
    grant = sign_up(world.services)
    browser = world.browser()
    url = browser.begin_linking(grant)
    sign_up(world.services, email=OTHER_EMAIL)
    assert browser.come_back(world.google.approve(url, ELSE)).error is None
    assert subjects_of(world) == {("google", "person-7")}
    assert subjects_of(world, OTHER_EMAIL) == set()


def test_linking_in_another_browser_is_refused(world: Federated) -> None:
    """A callback URL of one's own linking, opened by somebody else, links nothing of theirs."""
    grant = sign_up(world.services)
    browser, victim = world.browser(), world.browser()
    url = browser.begin_linking(grant)
    victim.begin()
    theirs = decoded(world.services, sign_up(world.services, email=OTHER_EMAIL))
    assert victim.come_back(world.google.approve(url, ELSE), carried=theirs).error == "login_expired"
    assert subjects_of(world) == subjects_of(world, OTHER_EMAIL) == set()


# --- recent logins

ACTS: dict[str, Callable[[Federated, Services, Grant], object]] = {
    "begin": lambda _, services, grant: BrowserFlow(services).begin_linking(grant),
    "link": lambda world, services, grant: link(services, grant, "google", code_for(world.google, Person())),
    "unlink": lambda _, services, grant: unlink(services, grant, "oidc"),
    "first password": lambda _, services, grant: change_password(services, grant, None),
}


@pytest.mark.parametrize("act", ["begin", "link", "unlink"])
def test_ways_in_change_soon_after_a_login_only(federated: Federated, act: str) -> None:
    """ASVS V7.5.1: at 600 s yes, at 601 s not; the provider is not asked then, and a login makes it possible again."""
    world = federated
    grant = by_code(world, sign_up(world.services), world.oidc, ELSE)
    world.keyturn.clock.advance(RECENT_SECONDS + 1)
    late = refresh(world.services, grant)
    held, asked = contents(world.keyturn.store), list(world.google.calls)
    with pytest.raises(InsufficientUserAuthentication) as refused:
        ACTS[act](world, world.services, late)
    assert refused.value.max_age == RECENT_SECONDS == 600
    assert (contents(world.keyturn.store), world.google.calls) == (held, asked)
    assert_works(world.keyturn, late)
    grant = log_in(world.services)
    world.keyturn.clock.advance(RECENT_SECONDS)
    ACTS[act](world, world.services, grant)


@pytest.mark.parametrize("act", ["begin", "link", "unlink"])
def test_login_under_a_clock_that_was_ahead_is_not_recent(federated: Federated, act: str) -> None:
    """A login that a container wrote down a day ahead is not recent for that day, once the clocks are right."""
    world = federated
    world.keyturn.clock.step(86400)
    grant = by_code(world, sign_up(world.services), world.oidc, ELSE)
    world.keyturn.clock.step(-86400)
    renewed = refresh(world.services, grant)
    with pytest.raises(InsufficientUserAuthentication):
        ACTS[act](world, world.services, renewed)


@pytest.mark.parametrize("act", ACTS)
def test_recent_login_is_the_presented_tokens(federated: Federated, act: str) -> None:
    """A copy of an older bearer gains nothing where its owner has authenticated again since, in the same session.

    With the session's newest credential beside it, too: the older token still says how long ago its login was.
    """
    world = federated
    owner = world.log_in(world.google, Person("owner", EMAIL))
    if act == "first password":
        # No step-up changes a session of an account without a password: let the item say that one did.
        stolen = owner
        world.keyturn.clock.advance(RECENT_SECONDS + 1)
        store: Any = world.keyturn.store
        key = (owner.account.sub, owner.session_id)
        store.sessions[key] = store.sessions[key]._replace(auth_time=world.keyturn.clock.now())
        newest = owner
    else:
        owner = change_password(world.services, by_code(world, owner, world.oidc, ELSE), None, "correct horse battery")
        stolen = owner
        world.keyturn.clock.advance(RECENT_SECONDS + 1)
        newest = change_password(world.services, owner, "correct horse battery", "correct horse battery")
    principal = holder(world.services, stolen)
    presented = decoded(world.services, newest)
    before = contents(world.keyturn.store)
    services = world.services
    code = code_for(world.google, Person())
    acts: dict[str, Callable[[], object]] = {
        "begin": lambda: services.begin_login.linking(
            principal, "google", LoginRequest(return_to=PAGE, transport="cookie"), None, presented, CLIENT
        ),
        "link": lambda: services.exchange_code.link(principal, "google", code, presented, CLIENT),
        "unlink": lambda: services.identities.unlink(principal, "oidc", presented, CLIENT),
        "first password": lambda: services.change_password(principal, None, "fresh horse battery", presented, CLIENT),
    }
    with pytest.raises(InsufficientUserAuthentication):
        acts[act]()
    after = contents(world.keyturn.store)
    assert (after.logins, after.sessions) == (before.logins, before.sessions)


@pytest.mark.parametrize("limit", ["idle_ttl", "absolute_ttl"])
def test_session_over_its_limit_changes_no_way_in(federated: Federated, limit: str) -> None:
    """Its access token may still be accepted, and its login recent: it is over (ASVS V7.3.1, V7.3.2)."""
    limits: dict[str, Any] = {limit: 500}
    services = federated.with_providers("google", "oidc", **limits).services
    grant = link(services, sign_up(services), "oidc", code_for(federated.oidc, ELSE))
    federated.keyturn.clock.advance(500)
    assert federated.keyturn.authorize(grant.access_token).sid == grant.session_id
    for act in ("begin", "link", "unlink"):
        with pytest.raises(InvalidToken):
            ACTS[act](federated, services, grant)
    assert subjects_of(federated) == {("oidc", "person-7")}


def test_login_long_ago_at_the_provider_is_not_recent(federated: Federated) -> None:
    """What counts is when the provider saw the person, not when the session began."""
    world = federated
    grant = world.log_in(world.google, Person(auth_time=world.keyturn.clock.now() - RECENT_SECONDS - 1))
    with pytest.raises(InsufficientUserAuthentication):
        world.browser().begin_linking(grant, "oidc")
