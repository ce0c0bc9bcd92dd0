"""Linking and unlinking: who may, bound to which session, and that nobody is left without a way in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import (
    AuthError,
    EmailTaken,
    IdentityNotFound,
    IdentityTaken,
    InsufficientUserAuthentication,
    InvalidRequest,
    InvalidToken,
    LastWayIn,
    Unavailable,
)
from chalicelib.services.sessions import RECENT_SECONDS
from tests.fakes import CLIENT
from tests.fakes_provider import FakeProvider, Person
from tests.fakes_store import FakeStore
from tests.faults import FaultyStore
from tests.flows.contents import contents
from tests.flows.federated import Browser, Federated, code_for, exchange
from tests.flows.steps import (
    EMAIL,
    NEW_PASSWORD,
    assert_works,
    change_password,
    log_in,
    log_out,
    refresh,
    sign_up,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.records import LinkedIdentity, Principal
    from chalicelib.services.grants import Grant

    Link = Callable[[Federated, Principal, FakeProvider, Person], None]

OTHER_EMAIL = "bob@example.com"
ELSE = Person("person-7", "somewhere@else.example")  # an identity with another address than the account's


@pytest.fixture
def world(federated_anywhere: Federated) -> Federated:
    """Over the fake and over a real table."""
    return federated_anywhere


def by_browser(world: Federated, principal: Principal, provider: FakeProvider, person: Person) -> None:
    """Link by the browser flow; its error is raised, as the page would be told it."""
    browser = world.browser()
    returned = browser.come_back(
        provider.approve(browser.begin_linking(principal, provider.name), person), provider.name
    )
    assert returned.grant is None
    if returned.error:
        raise next(kind for kind in every_error() if kind.code == returned.error)


def by_code(world: Federated, principal: Principal, provider: FakeProvider, person: Person) -> None:
    """Link with a code that the frontend has got."""
    world.services.federation.link(principal, provider.name, code_for(provider, person), CLIENT)


def every_error() -> list[type[AuthError]]:
    """Errors that linking may end with."""
    return [IdentityTaken, InvalidToken, Unavailable]


BOTH = pytest.mark.parametrize("link", [by_browser, by_code])


def principal_of(world: Federated, grant: Grant) -> Principal:
    """Whom the authorizer lets in with the grant."""
    return world.keyturn.principal(grant.access_token)


def identities_of(world: Federated, grant: Grant) -> tuple[LinkedIdentity, ...]:
    """What the owner is shown."""
    return world.services.identities.ways_in(principal_of(world, grant)).identities


def subjects_of(world: Federated, email: str = EMAIL) -> set[tuple[str, str]]:
    """The identities of the address's account, as the table has them."""
    contents(world.keyturn.store).assert_whole()
    login = world.keyturn.store.find_login(email)
    assert login
    return {(one.provider, one.subject) for one in login.identities}


# --- the list


def test_owner_sees_the_ways_in(world: Federated) -> None:
    """Each identity with the address that its provider told, and when it was linked."""
    grant = sign_up(world.services)
    assert identities_of(world, grant) == ()
    world.keyturn.clock.advance(5)
    by_code(world, principal_of(world, grant), world.google, ELSE)
    (shown,) = identities_of(world, grant)
    assert (shown.provider, shown.issuer, shown.subject) == ("google", world.google.issuer, "person-7")
    assert (shown.email, shown.linked_at) == ("somewhere@else.example", world.keyturn.clock.now())
    assert world.services.identities.ways_in(principal_of(world, grant)).password_digest is not None


def test_disabled_account_shows_nothing(world: Federated) -> None:
    """InvalidToken, for a request that passed the authorizer just before."""
    grant = sign_up(world.services)
    principal = principal_of(world, grant)
    world.services.accounts.disable(principal.sub, CLIENT)
    with pytest.raises(InvalidToken):
        world.services.identities.ways_in(principal)


def test_address_that_is_another_accounts_shows_nothing(federated: Federated) -> None:
    """Between the reads of the account and of its login an address may go to somebody else: not their ways in."""
    grant, store = sign_up(federated.services), federated.keyturn.store
    assert isinstance(store, FakeStore)
    principal = principal_of(federated, grant)
    login = store.logins[EMAIL]
    store.logins[EMAIL] = replace(login, account=replace(login.account, sub="somebody else"))
    with pytest.raises(InvalidToken):
        federated.services.identities.ways_in(principal)


# --- linking


@BOTH
def test_linked_identity_opens_the_account(world: Federated, link: Link) -> None:
    """Whatever address the provider tells; the sessions that there are go on."""
    grant = sign_up(world.services)
    link(world, principal_of(world, grant), world.google, ELSE)
    arrived = world.log_in(world.google, ELSE)
    assert arrived.account.sub == grant.account.sub
    assert_works(world.keyturn, grant)
    assert_works(world.keyturn, arrived)
    assert subjects_of(world) == {("google", "person-7")}
    recorded = [facts for name, facts in world.keyturn.audit.events if name == "identity_linked"]
    assert [(facts["sub"], facts["sid"], facts["by"]) for facts in recorded] == [
        (grant.account.sub, grant.session_id, "user")
    ]


@BOTH
@pytest.mark.parametrize("person", [ELSE, Person(email_verified=False), Person(email=None)], ids=str)
def test_address_that_is_not_proven_to_be_the_accounts_proves_nothing(
    world: Federated, link: Link, person: Person
) -> None:
    """Another address, an unverified one, and none: as unproven as before (GHSA-xhpr-465j-7p9q)."""
    grant = sign_up(world.services)
    link(world, principal_of(world, grant), world.google, person)
    account = world.keyturn.store.find_account(grant.account.sub)
    assert account
    assert not account.email_verified
    assert not world.keyturn.principal(refresh(world.services, grant).access_token).email_verified
    assert world.log_in(world.oidc, Person("owner")).account.email_verified  # and is taken over
    assert subjects_of(world) == {("oidc", "owner")}


@BOTH
@pytest.mark.parametrize("email", [EMAIL, "Alice@EXAMPLE.com"])
def test_verified_address_of_the_account_proves_it(world: Federated, link: Link, email: str) -> None:
    """The account counts as proven from then on, its next token says so, and nobody takes it over any more."""
    grant = sign_up(world.services)
    link(world, principal_of(world, grant), world.google, Person(email=email))
    account = world.keyturn.store.find_account(grant.account.sub)
    login = world.keyturn.store.find_login(EMAIL)
    assert account
    assert login
    assert account.email_verified
    assert login.account == account
    assert world.keyturn.principal(refresh(world.services, grant).access_token).email_verified
    assert world.log_in(world.oidc).account.sub == grant.account.sub
    assert_works(world.keyturn, log_in(world.services))
    contents(world.keyturn.store).assert_whole()


@BOTH
def test_linking_twice_is_once(world: Federated, link: Link) -> None:
    """The second time changes nothing and is no error."""
    grant = sign_up(world.services)
    link(world, principal_of(world, grant), world.google, ELSE)
    (first,) = identities_of(world, grant)
    world.keyturn.clock.advance(60)
    link(world, principal_of(world, grant), world.google, ELSE)
    assert identities_of(world, grant) == (first,)
    assert world.keyturn.audit.names().count("identity_linked") == 1


@BOTH
def test_identity_of_another_account_is_not_linked(world: Federated, link: Link) -> None:
    """It goes on opening the one that it opens."""
    other = world.log_in(world.google, Person("person-7", OTHER_EMAIL))
    grant = sign_up(world.services)
    with pytest.raises(IdentityTaken):
        link(world, principal_of(world, grant), world.google, ELSE)
    assert subjects_of(world) == set()
    assert world.log_in(world.google, ELSE).account.sub == other.account.sub


@BOTH
def test_account_has_one_identity_of_each_provider(world: Federated, link: Link) -> None:
    """A second one is refused until the first is removed."""
    grant = sign_up(world.services)
    principal = principal_of(world, grant)
    link(world, principal, world.google, ELSE)
    with pytest.raises(IdentityTaken):
        link(world, principal, world.google, Person("person-8"))
    assert subjects_of(world) == {("google", "person-7")}
    world.services.identities.unlink(principal, "google", CLIENT)
    link(world, principal, world.google, Person("person-8"))
    assert subjects_of(world) == {("google", "person-8")}


@BOTH
def test_same_subject_of_another_issuer_is_another_identity(world: Federated, link: Link) -> None:
    """Where a provider's name has come to stand for another issuer, the old identity is not taken for the new."""
    grant = sign_up(world.services)
    link(world, principal_of(world, grant), world.google, ELSE)
    world.google.issuer = "https://accounts.example.net"
    with pytest.raises(IdentityTaken):
        link(world, principal_of(world, grant), world.google, ELSE)


def test_identity_taken_meanwhile_is_refused() -> None:
    """By another account, between the reads and the write; by this one, it is linked."""
    for mine in (True, False):
        world = Federated.over(FakeStore())
        grant = sign_up(world.services)
        other = grant if mine else sign_up(world.services, email=OTHER_EMAIL)

        def at_call(verb: str, nth: int) -> None:
            if (verb, nth) == ("link_identity", 1):
                by_code(world, principal_of(world, other), world.google, ELSE)  # noqa: B023  # run before the loop goes on

        store = FaultyStore(world.keyturn.store, at_call=at_call)
        services = world.with_providers("google", store=store).services
        principal = principal_of(world, grant)
        if mine:
            services.federation.link(principal, "google", code_for(world.google, ELSE), CLIENT)
            assert subjects_of(world) == {("google", "person-7")}
        else:
            with pytest.raises(IdentityTaken):
                services.federation.link(principal, "google", code_for(world.google, ELSE), CLIENT)
            assert subjects_of(world) == set()


def test_account_that_never_holds_still_is_503() -> None:
    """After three tries."""
    world = Federated.over(FakeStore())
    grant = sign_up(world.services)
    principal = principal_of(world, grant)
    by_code(world, principal, world.oidc, ELSE)

    def at_call(verb: str, nth: int) -> None:
        if verb in {"link_identity", "unlink_identity"}:
            person = Person(f"person {nth} at {verb}", "another@else.example")
            if world.keyturn.store.find_login(EMAIL).identity("google"):  # type: ignore[union-attr]  # there is one
                world.services.identities.unlink(principal, "google", CLIENT)
            else:
                by_code(world, principal, world.google, person)

    store = FaultyStore(world.keyturn.store, at_call=at_call)
    services = world.with_providers("google", "oidc", store=store).services
    with pytest.raises(Unavailable):
        services.identities.unlink(principal, "oidc", CLIENT)
    assert store.verbs.count("unlink_identity") == 3
    assert ("oidc", "person-7") in subjects_of(world)


# --- whose session


def end_by_logout(world: Federated, grant: Grant) -> None:
    """The session itself ends."""
    log_out(world.services, grant)


def end_by_logout_everywhere(world: Federated, grant: Grant) -> None:
    """All of the account's do."""
    world.services.accounts.log_out_everywhere(principal_of(world, grant), CLIENT)


def end_by_password_change(world: Federated, grant: Grant) -> None:
    """The owner changes the password from another session."""
    del grant
    other = log_in(world.services)
    change_password(world.services, other)


def end_by_take_over(world: Federated, grant: Grant) -> None:
    """The address's owner arrives."""
    del grant
    world.log_in(world.google, Person("owner"))


def end_by_disabling(world: Federated, grant: Grant) -> None:
    """The operator has had enough."""
    world.services.accounts.disable(grant.account.sub, CLIENT)


ENDS = [end_by_logout, end_by_logout_everywhere, end_by_password_change, end_by_take_over, end_by_disabling]


@pytest.mark.parametrize("end", ENDS)
def test_session_that_ended_links_nothing(world: Federated, end: Callable[[Federated, Grant], None]) -> None:
    """Whoever began to link and lost the session before coming back is refused (CVE-2026-9087)."""
    grant = sign_up(world.services)
    browser = world.browser()
    url = browser.begin_linking(principal_of(world, grant), "oidc")
    end(world, grant)
    held = subjects_of(world)
    returned = browser.come_back(world.oidc.approve(url, ELSE), "oidc")
    assert (returned.grant, returned.error) == (None, "invalid_token")
    assert subjects_of(world) == held
    assert world.keyturn.store.find_identity(world.oidc.issuer, ELSE.subject) is None


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("act", ["link", "unlink"])
def test_session_that_ends_meanwhile_changes_nothing(
    world: Federated, act: str, end: Callable[[Federated, Grant], None]
) -> None:
    """After the authorizer let it in, and after its freshness was read: the ways in stay as the ender left them."""
    sign_up(world.services)
    grant = log_in(world.services)
    principal = principal_of(world, grant)
    if act == "unlink":
        by_code(world, principal, world.oidc, ELSE)
    left: list[set[tuple[str, str]]] = []

    def at_call(verb: str, nth: int) -> None:
        # Of an unlinking the account is the first that is read after the session; the authorizer's turn is before both.
        if (verb, nth) == ("find_account", 1):
            end(world, grant)
            if end is end_by_take_over:  # a second way in, so that no other rule is in the way
                change = world.services.accounts.change_password
                change(principal_of(world, world.log_in(world.google, Person("owner"))), None, NEW_PASSWORD, CLIENT)
            left.append(subjects_of(world))

    store = FaultyStore(world.keyturn.store, at_call=at_call)
    services = world.with_providers("google", "oidc", store=store).services
    provider = "google" if end is end_by_take_over else "oidc"
    acts: dict[str, Callable[[], None]] = {
        "link": lambda: services.federation.link(principal, "oidc", code_for(world.oidc, ELSE), CLIENT),
        "unlink": lambda: services.identities.unlink(principal, provider, CLIENT),
    }
    with pytest.raises(InvalidToken):
        acts[act]()
    assert left == [subjects_of(world)]


def test_session_that_changed_its_password_still_links(world: Federated) -> None:
    """It moved to the account's new epoch, and goes on."""
    grant = sign_up(world.services)
    browser = world.browser()
    url = browser.begin_linking(principal_of(world, grant))
    change_password(world.services, grant)
    assert browser.come_back(world.google.approve(url, ELSE)).error is None
    assert subjects_of(world) == {("google", "person-7")}


def test_session_of_another_account_is_not_linked_to(world: Federated) -> None:
    """Who logs in as somebody else in the same browser meanwhile links to the account that asked."""
    grant = sign_up(world.services)
    browser = world.browser()
    url = browser.begin_linking(principal_of(world, grant))
    sign_up(world.services, email=OTHER_EMAIL)
    assert browser.come_back(world.google.approve(url, ELSE)).error is None
    assert subjects_of(world) == {("google", "person-7")}
    assert subjects_of(world, OTHER_EMAIL) == set()


def test_linking_in_another_browser_is_refused(world: Federated) -> None:
    """A callback URL of one's own linking, opened by somebody else, links nothing of theirs."""
    grant = sign_up(world.services)
    browser, victim = world.browser(), world.browser()
    url = browser.begin_linking(principal_of(world, grant))
    victim.begin()
    assert victim.come_back(world.google.approve(url, ELSE)).error == "login_expired"
    assert subjects_of(world) == set()


@pytest.mark.parametrize("act", ["begin", "link", "unlink"])
def test_ways_in_change_soon_after_a_login_only(federated: Federated, act: str) -> None:
    """ASVS V7.5.1: at 600 s yes, at 601 s not; the provider is not asked then, and a login makes it possible again."""
    world = federated
    grant = sign_up(world.services)
    by_code(world, principal_of(world, grant), world.oidc, ELSE)
    acts: dict[str, Callable[[Principal], object]] = {
        "begin": lambda principal: world.browser().begin_linking(principal),
        "link": lambda principal: by_code(world, principal, world.google, Person()),
        "unlink": lambda principal: world.services.identities.unlink(principal, "oidc", CLIENT),
    }
    world.keyturn.clock.advance(RECENT_SECONDS + 1)
    late = principal_of(world, refresh(world.services, grant))
    held, asked = contents(world.keyturn.store), list(world.google.calls)
    with pytest.raises(InsufficientUserAuthentication) as refused:
        acts[act](late)
    assert refused.value.max_age == RECENT_SECONDS == 600
    after = contents(world.keyturn.store)
    assert (after.logins, world.google.calls) == (held.logins, asked)
    grant = log_in(world.services)
    world.keyturn.clock.advance(RECENT_SECONDS)
    acts[act](principal_of(world, grant))


@pytest.mark.parametrize("limit", ["refresh_idle_ttl", "refresh_absolute_ttl"])
def test_session_over_its_limit_changes_no_way_in(federated: Federated, limit: str) -> None:
    """Its access token may still be accepted, and its login recent: it is over (ASVS V7.3.1, V7.3.2)."""
    limits: dict[str, Any] = {limit: 500}
    services = federated.with_providers("google", "oidc", **limits).services
    grant = sign_up(services)
    principal = principal_of(federated, grant)
    services.federation.link(principal, "oidc", code_for(federated.oidc, ELSE), CLIENT)
    federated.keyturn.clock.advance(500)
    assert federated.keyturn.authorize(grant.access_token).sid == principal.sid
    acts: list[Callable[[], object]] = [
        lambda: services.identities.unlink(principal, "oidc", CLIENT),
        lambda: services.federation.link(principal, "google", code_for(federated.google, ELSE), CLIENT),
        lambda: Browser(services).begin_linking(principal),
    ]
    for act in acts:
        with pytest.raises(InvalidToken):
            act()
    assert subjects_of(federated) == {("oidc", "person-7")}


def test_login_long_ago_at_the_provider_is_not_recent(federated: Federated) -> None:
    """What counts is when the provider saw the person, not when the session began."""
    world = federated
    grant = world.log_in(world.google, Person(auth_time=world.keyturn.clock.now() - RECENT_SECONDS - 1))
    with pytest.raises(InsufficientUserAuthentication):
        world.browser().begin_linking(principal_of(world, grant), "oidc")


@BOTH
def test_refusal_of_the_provider_links_nothing(world: Federated, link: Link) -> None:
    """A provider that is away is 503, to the page as a code."""
    grant = sign_up(world.services)
    principal = principal_of(world, grant)
    browser = world.browser()
    url = browser.begin_linking(principal)
    world.google.failure = Unavailable()
    if link is by_browser:
        assert browser.come_back({"state": url.split("state=")[1].split("&")[0], "code": "x"}).error == "unavailable"
    else:
        with pytest.raises(Unavailable):
            link(world, principal, world.google, ELSE)
    assert subjects_of(world) == set()


def test_code_of_another_redirect_is_not_linked(federated: Federated) -> None:
    """As for the exchange."""
    grant = sign_up(federated.services)
    code = code_for(federated.google, ELSE, redirect_uri="https://evil.example")
    with pytest.raises(InvalidRequest):
        federated.services.federation.link(principal_of(federated, grant), "google", code, CLIENT)
    assert federated.google.calls == []


# --- unlinking


def test_unlinked_identity_opens_nothing(world: Federated) -> None:
    """It arrives as for the first time: refused where the address is the account's and unproven, else a new account."""
    grant = sign_up(world.services)
    principal = principal_of(world, grant)
    by_code(world, principal, world.google, ELSE)
    world.services.identities.unlink(principal, "google", CLIENT)
    assert subjects_of(world) == set()
    assert world.log_in(world.google, ELSE).account.sub != grant.account.sub
    by_code(world, principal, world.google, Person("person-8", email_verified=False))
    world.services.identities.unlink(principal, "google", CLIENT)
    with pytest.raises(EmailTaken):
        exchange(world.services, world.google, Person("person-8", email_verified=False))
    assert world.keyturn.audit.names().count("identity_unlinked") == 2
    assert_works(world.keyturn, grant)


def test_provider_that_was_given_up_is_linked_again_by_the_owner_alone(world: Federated) -> None:
    """No address brings it back; who is logged in does, and then it opens the account as before."""
    grant = sign_up(world.services)
    principal = principal_of(world, grant)
    by_code(world, principal, world.google, Person())
    world.services.identities.unlink(principal, "google", CLIENT)
    assert world.browser().log_in(world.google).error == "email_taken"
    by_code(world, principal, world.google, Person())
    assert world.log_in(world.google).account.sub == grant.account.sub
    assert_works(world.keyturn, log_in(world.services))


def test_identity_that_is_not_there_is_not_unlinked(world: Federated) -> None:
    """IdentityNotFound, for one that never was, was removed, or is of a provider that nobody knows."""
    grant = sign_up(world.services)
    principal = principal_of(world, grant)
    by_code(world, principal, world.google, ELSE)
    world.services.identities.unlink(principal, "google", CLIENT)
    for provider in ("google", "oidc", "facebook", ""):
        with pytest.raises(IdentityNotFound):
            world.services.identities.unlink(principal, provider, CLIENT)


def test_last_way_in_stays(world: Federated) -> None:
    """An account without a password keeps its last identity; with a second one, or a password, it gives it up."""
    grant = world.log_in(world.google)
    principal = principal_of(world, grant)
    with pytest.raises(LastWayIn):
        world.services.identities.unlink(principal, "google", CLIENT)
    assert subjects_of(world) == {("google", "person-1")}
    by_code(world, principal, world.oidc, ELSE)
    world.services.identities.unlink(principal, "google", CLIENT)
    with pytest.raises(LastWayIn):
        world.services.identities.unlink(principal, "oidc", CLIENT)
    world.services.accounts.change_password(principal, None, NEW_PASSWORD, CLIENT)
    world.services.identities.unlink(principal, "oidc", CLIENT)
    assert subjects_of(world) == set()
    assert_works(world.keyturn, log_in(world.services, NEW_PASSWORD))


def test_provider_that_is_off_is_no_way_in(world: Federated) -> None:
    """Nor is one that stands for another issuer by now: whoever keeps only such an identity is locked out."""
    grant = world.log_in(world.google)
    principal = principal_of(world, grant)
    by_code(world, principal, world.oidc, ELSE)
    without = world.with_providers("google").services
    with pytest.raises(LastWayIn):
        without.identities.unlink(principal, "google", CLIENT)
    world.oidc.issuer = "https://login.example.net"
    with pytest.raises(LastWayIn):
        world.services.identities.unlink(principal, "google", CLIENT)
    assert subjects_of(world) == {("google", "person-1"), ("oidc", "person-7")}
    without.identities.unlink(principal, "oidc", CLIENT)
    assert subjects_of(world) == {("google", "person-1")}


@pytest.mark.parametrize("inner", ["google", "oidc"])
def test_two_unlinkings_leave_a_way_in(inner: str) -> None:
    """Of both identities of an account without a password, one whole before each call of the other: one is refused."""
    outer = "oidc" if inner == "google" else "google"
    for call in (("find_session", 1), ("find_account", 1), ("find_login", 1), ("unlink_identity", 1)):
        world = Federated.over(FakeStore())
        principal = principal_of(world, world.log_in(world.google))
        by_code(world, principal, world.oidc, ELSE)

        def at_call(verb: str, nth: int) -> None:
            if (verb, nth) == call:  # noqa: B023  # run before the loop goes on
                world.services.identities.unlink(principal, inner, CLIENT)  # noqa: B023

        store = FaultyStore(world.keyturn.store, at_call=at_call)
        racing = world.with_providers("google", "oidc", store=store).services
        with pytest.raises(LastWayIn):
            racing.identities.unlink(principal, outer, CLIENT)
        assert {provider for provider, _ in subjects_of(world)} == {outer}
