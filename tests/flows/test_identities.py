"""Linking and unlinking: who may, bound to which session, and that nobody is left without a way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import (
    AuthError,
    EmailTaken,
    IdentityNotFound,
    IdentityTaken,
    InvalidRequest,
    InvalidToken,
    LastWayIn,
    Unavailable,
)
from tests.flows.contents import contents
from tests.flows.federated import Federated, code_for, exchange
from tests.flows.steps import (
    EMAIL,
    NEW_PASSWORD,
    assert_works,
    change_password,
    decoded,
    log_in,
    refresh,
    sign_up,
    unlink,
)
from tests.flows.steps import link as link_by_code
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.accounts import LinkedIdentity
    from chalicelib.domain.callers import Principal
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services.federation.requests import Return
    from chalicelib.services.sessions.grants import Grant
    from tests.world.provider import FakeProvider

    Link = Callable[[Federated, Grant, FakeProvider, Person], Grant]

OTHER_EMAIL = "bob@example.com"
ELSE = Person("person-7", "somewhere@else.example")  # an identity with another address than the account's


@pytest.fixture
def world(federated_anywhere: Federated) -> Federated:
    """Over the fake and over a real table."""
    return federated_anywhere


def by_browser(world: Federated, grant: Grant, provider: FakeProvider, person: Person) -> Grant:
    """Link by the browser flow, in a browser whose callback carries the session's cookie."""
    renewed = in_browser(world, grant, provider, person, carried=decoded(world.services, grant)).grant
    assert renewed is not None
    return renewed


def by_bare_browser(world: Federated, grant: Grant, provider: FakeProvider, person: Person) -> Grant:
    """The same where the cookie does not come along: nothing is renewed."""
    assert in_browser(world, grant, provider, person).grant is None
    return grant


def by_code(world: Federated, grant: Grant, provider: FakeProvider, person: Person) -> Grant:
    """Link with a code that the frontend has got."""
    return link_by_code(world.services, grant, provider.name, code_for(provider, person))


def in_browser(
    world: Federated, grant: Grant, provider: FakeProvider, person: Person, carried: RefreshToken | None = None
) -> Return:
    """The way there and back; its error is raised, as the page would be told it."""
    browser = world.browser()
    query = provider.approve(browser.begin_linking(grant, provider.name), person)
    returned = browser.come_back(query, provider.name, carried=carried)
    if returned.error:
        assert (returned.grant, returned.linked) == (None, False)
        raise next(kind for kind in every_error() if kind.code == returned.error)
    assert returned.linked
    return returned


def every_error() -> list[type[AuthError]]:
    """Errors that linking may end with."""
    return [IdentityTaken, InvalidToken, Unavailable]


EVERY_WAY = pytest.mark.parametrize("link", [by_browser, by_bare_browser, by_code])


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
    grant = by_code(world, grant, world.google, ELSE)
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
    store.logins[EMAIL] = login._replace(account=login.account._replace(sub="somebody else"))
    with pytest.raises(InvalidToken):
        federated.services.identities.ways_in(principal)


# --- linking


@EVERY_WAY
def test_linked_identity_opens_the_account(world: Federated, link: Link) -> None:
    """Whatever address the provider tells; the sessions that there are go on."""
    grant = sign_up(world.services)
    other = log_in(world.services)
    grant = link(world, grant, world.google, ELSE)
    arrived = world.log_in(world.google, ELSE)
    assert arrived.account.sub == grant.account.sub
    assert_works(world.keyturn, grant)
    assert_works(world.keyturn, arrived)
    assert_works(world.keyturn, other)
    assert subjects_of(world) == {("google", "person-7")}
    recorded = [facts for name, facts in world.keyturn.audit.events if name == "identity_linked"]
    assert [(facts["sub"], facts["sid"], facts["by"]) for facts in recorded] == [
        (grant.account.sub, grant.session_id, "user")
    ]


@EVERY_WAY
@pytest.mark.parametrize("person", [ELSE, Person(email_verified=False), Person(email=None)], ids=str)
def test_address_that_is_not_proven_to_be_the_accounts_proves_nothing(
    world: Federated, link: Link, person: Person
) -> None:
    """Another address, an unverified one, and none: as unproven as before (GHSA-xhpr-465j-7p9q)."""
    grant = sign_up(world.services)
    grant = link(world, grant, world.google, person)
    account = world.keyturn.store.find_account(grant.account.sub)
    assert account
    assert not account.email_verified
    assert not world.keyturn.principal(refresh(world.services, grant).access_token).email_verified
    assert world.log_in(world.oidc, Person("owner")).account.email_verified  # and is taken over
    assert subjects_of(world) == {("oidc", "owner")}


@EVERY_WAY
@pytest.mark.parametrize("email", [EMAIL, "Alice@EXAMPLE.com"])
def test_verified_address_of_the_account_proves_it(world: Federated, link: Link, email: str) -> None:
    """The account counts as proven from then on, its next token says so, and nobody takes it over any more."""
    grant = sign_up(world.services)
    grant = link(world, grant, world.google, Person(email=email))
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


@EVERY_WAY
def test_linking_twice_is_once(world: Federated, link: Link) -> None:
    """The second time changes nothing and is no error."""
    grant = sign_up(world.services)
    grant = link(world, grant, world.google, ELSE)
    (first,) = identities_of(world, grant)
    world.keyturn.clock.advance(60)
    grant = link(world, grant, world.google, ELSE)
    assert identities_of(world, grant) == (first,)
    assert world.keyturn.audit.names().count("identity_linked") == 1


@EVERY_WAY
def test_identity_of_another_account_is_not_linked(world: Federated, link: Link) -> None:
    """It goes on opening the one that it opens."""
    other = world.log_in(world.google, Person("person-7", OTHER_EMAIL))
    grant = sign_up(world.services)
    with pytest.raises(IdentityTaken):
        link(world, grant, world.google, ELSE)
    assert subjects_of(world) == set()
    assert world.log_in(world.google, ELSE).account.sub == other.account.sub


@EVERY_WAY
def test_account_has_one_identity_of_each_provider(world: Federated, link: Link) -> None:
    """A second one is refused until the first is removed."""
    grant = sign_up(world.services)
    grant = link(world, grant, world.google, ELSE)
    with pytest.raises(IdentityTaken):
        link(world, grant, world.google, Person("person-8"))
    assert subjects_of(world) == {("google", "person-7")}
    grant = unlink(world.services, grant, "google")
    grant = link(world, grant, world.google, Person("person-8"))
    assert subjects_of(world) == {("google", "person-8")}


@EVERY_WAY
def test_same_subject_of_another_issuer_is_another_identity(world: Federated, link: Link) -> None:
    """Where a provider's name has come to stand for another issuer, the old identity is not taken for the new."""
    grant = sign_up(world.services)
    grant = link(world, grant, world.google, ELSE)
    world.google.issuer = "https://accounts.example.net"
    with pytest.raises(IdentityTaken):
        link(world, grant, world.google, ELSE)


@pytest.mark.parametrize("mine", [True, False])
def test_identity_taken_meanwhile_is_refused(mine: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """By another account, between the reads and the write; by this one, in another session, it is linked."""
    world = Federated.over(FakeStore())
    grant = sign_up(world.services)
    other = log_in(world.services) if mine else sign_up(world.services, email=OTHER_EMAIL)
    others: list[Grant] = []

    def at_call(verb: str, nth: int) -> None:
        if (verb, nth) == ("link_identity", 1):
            others.append(by_code(world, other, world.google, ELSE))

    store = FaultyStore(world.keyturn.store, at_call=at_call)
    services = world.with_providers("google", store=store).services
    code = code_for(world.google, ELSE)
    if mine:
        assert_works(world.keyturn, link_by_code(services, grant, "google", code))
        assert subjects_of(world) == {("google", "person-7")}
        assert world.keyturn.audit.names().count("identity_linked") == 1
    else:
        with pytest.raises(IdentityTaken):
            link_by_code(services, grant, "google", code)
        assert subjects_of(world) == set()
        assert_works(world.keyturn, grant)
    assert_works(world.keyturn, *others)


def test_account_that_never_holds_still_is_503() -> None:
    """After three tries; nothing is changed, and the session keeps its credential."""
    world = Federated.over(FakeStore())
    grant, others = sign_up(world.services), [log_in(world.services)]
    grant = by_code(world, grant, world.oidc, ELSE)

    def at_call(verb: str, nth: int) -> None:
        if verb in {"link_identity", "unlink_identity"}:
            person = Person(f"person {nth} at {verb}", "another@else.example")
            if world.keyturn.store.find_login(EMAIL).identity("google"):  # type: ignore[union-attr]  # there is one
                others.append(unlink(world.services, others[-1], "google"))
            else:
                others.append(by_code(world, others[-1], world.google, person))

    store = FaultyStore(world.keyturn.store, at_call=at_call)
    services = world.with_providers("google", "oidc", store=store).services
    with pytest.raises(Unavailable):
        unlink(services, grant, "oidc")
    assert store.verbs.count("unlink_identity") == 3
    assert ("oidc", "person-7") in subjects_of(world)
    assert_works(world.keyturn, grant)


@EVERY_WAY
def test_refusal_of_the_provider_links_nothing(world: Federated, link: Link) -> None:
    """A provider that is away is 503, to the page as a code."""
    grant = sign_up(world.services)
    browser = world.browser()
    url = browser.begin_linking(grant)
    world.google.failure = Unavailable()
    if link is not by_code:
        assert browser.come_back({"state": url.split("state=")[1].split("&")[0], "code": "x"}).error == "unavailable"
    else:
        with pytest.raises(Unavailable):
            link(world, grant, world.google, ELSE)
    assert subjects_of(world) == set()


def test_code_of_another_redirect_is_not_linked(federated: Federated) -> None:
    """As for the exchange."""
    grant = sign_up(federated.services)
    code = code_for(federated.google, ELSE, redirect_uri="https://evil.example")
    with pytest.raises(InvalidRequest):
        link_by_code(federated.services, grant, "google", code)
    assert federated.google.calls == []


# --- unlinking


def test_unlinked_identity_opens_nothing(world: Federated) -> None:
    """It arrives as for the first time: refused where the address is the account's and unproven, else a new account."""
    grant = sign_up(world.services)
    grant = by_code(world, grant, world.google, ELSE)
    grant = unlink(world.services, grant, "google")
    assert subjects_of(world) == set()
    assert world.log_in(world.google, ELSE).account.sub != grant.account.sub
    grant = by_code(world, grant, world.google, Person("person-8", email_verified=False))
    grant = unlink(world.services, grant, "google")
    with pytest.raises(EmailTaken):
        exchange(world.services, world.google, Person("person-8", email_verified=False))
    assert world.keyturn.audit.names().count("identity_unlinked") == 2
    assert_works(world.keyturn, grant)


def test_provider_that_was_given_up_is_linked_again_by_the_owner_alone(world: Federated) -> None:
    """No address brings it back; who is logged in does, and then it opens the account as before."""
    grant = sign_up(world.services)
    grant = by_code(world, grant, world.google, Person())
    grant = unlink(world.services, grant, "google")
    assert world.browser().log_in(world.google).error == "email_taken"
    grant = by_code(world, grant, world.google, Person())
    assert world.log_in(world.google).account.sub == grant.account.sub
    assert_works(world.keyturn, log_in(world.services))


def test_identity_that_is_not_there_is_not_unlinked(world: Federated) -> None:
    """IdentityNotFound, for one that never was, was removed, or is of a provider that nobody knows."""
    grant = sign_up(world.services)
    grant = by_code(world, grant, world.google, ELSE)
    grant = unlink(world.services, grant, "google")
    for provider in ("google", "oidc", "facebook", ""):
        with pytest.raises(IdentityNotFound):
            unlink(world.services, grant, provider)


def test_last_way_in_stays(world: Federated) -> None:
    """An account without a password keeps its last identity; with a second one, or a password, it gives it up."""
    grant = world.log_in(world.google)
    with pytest.raises(LastWayIn):
        unlink(world.services, grant, "google")
    assert subjects_of(world) == {("google", "person-1")}
    grant = by_code(world, grant, world.oidc, ELSE)
    grant = unlink(world.services, grant, "google")
    with pytest.raises(LastWayIn):
        unlink(world.services, grant, "oidc")
    grant = change_password(world.services, grant, None)
    grant = unlink(world.services, grant, "oidc")
    assert subjects_of(world) == set()
    assert_works(world.keyturn, log_in(world.services, NEW_PASSWORD))


def test_provider_that_is_off_is_no_way_in(world: Federated) -> None:
    """Nor is one that stands for another issuer by now: whoever keeps only such an identity is locked out."""
    grant = world.log_in(world.google)
    grant = by_code(world, grant, world.oidc, ELSE)
    without = world.with_providers("google").services
    with pytest.raises(LastWayIn):
        unlink(without, grant, "google")
    world.oidc.issuer = "https://login.example.net"
    with pytest.raises(LastWayIn):
        unlink(world.services, grant, "google")
    assert subjects_of(world) == {("google", "person-1"), ("oidc", "person-7")}
    unlink(without, grant, "oidc")
    assert subjects_of(world) == {("google", "person-1")}


@pytest.mark.parametrize("inner", ["google", "oidc"])
def test_two_unlinkings_leave_a_way_in(inner: str) -> None:
    """Of both identities of an account without a password, one whole before each call of the other: one is refused."""
    outer = "oidc" if inner == "google" else "google"
    for call in (("find_session_and_account", 1), ("find_login", 1), ("unlink_identity", 1)):
        world = Federated.over(FakeStore())
        grant, rival = world.log_in(world.google), world.log_in(world.google)
        grant = by_code(world, grant, world.oidc, ELSE)

        def at_call(verb: str, nth: int) -> None:
            if (verb, nth) == call:  # noqa: B023  # run before the loop goes on
                unlink(world.services, rival, inner)  # noqa: B023

        store = FaultyStore(world.keyturn.store, at_call=at_call)
        racing = world.with_providers("google", "oidc", store=store).services
        with pytest.raises(LastWayIn):
            unlink(racing, grant, outer)
        assert {provider for provider, _ in subjects_of(world)} == {outer}
