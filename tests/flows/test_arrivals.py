"""Which account an identity opens: the rules of first arrivals, each with what must not come of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import AccessDenied, AuthError, EmailRequired, EmailTaken, InvalidCredentials, Unavailable
from tests.flows.contents import contents
from tests.flows.federated import Federated, exchange
from tests.flows.steps import EMAIL, assert_dead, assert_works, change_password, log_in, sign_up
from tests.flows.tables import a_table
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.accounts import Login
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store
    from tests.world.provider import FakeProvider

OWNER = Person()  # the address's owner, as a provider that has verified the address knows them
UNPROVEN = Person("person-2", email_verified=False)  # somebody who says that the address is theirs
OTHER_EMAIL = "bob@example.com"


@pytest.fixture
def world(federated_anywhere: Federated) -> Federated:
    """Over the fake and over a real table: conditions of the table decide most of what follows."""
    return federated_anywhere


def login_of(world: Federated, email: str = EMAIL) -> Login:
    """The ways into the address's account."""
    login = world.keyturn.store.find_login(email)
    assert login
    return login


def ways_in(world: Federated, email: str = EMAIL) -> tuple[bool, set[tuple[str, str]]]:
    """Whether there is a password, and the identities by provider and subject."""
    login = login_of(world, email)
    return login.password_digest is not None, {(one.provider, one.subject) for one in login.identities}


def assert_refused(world: Federated, refusal: type[AuthError], provider: FakeProvider, person: Person) -> None:
    """The person is refused by both flows, and not a thing of any account has changed."""
    before = contents(world.keyturn.store)
    with pytest.raises(refusal):
        exchange(world.services, provider, person)
    assert world.browser().log_in(provider, person).error == refusal.code
    after = contents(world.keyturn.store)
    assert (after.logins, after.accounts, after.sessions, after.denials) == (
        before.logins,
        before.accounts,
        before.sessions,
        before.denials,
    )
    after.assert_whole()


def assert_arrives(world: Federated, grant: Grant) -> None:
    """The grant works, and the table is whole."""
    assert_works(world.keyturn, grant)
    contents(world.keyturn.store).assert_whole()


def prove_account(world: Federated, *, with_password: bool = True) -> Grant:
    """An account whose address its owner has proven, with a password if asked for, at `google`."""
    grant = world.log_in(world.google)
    if with_password:
        grant = change_password(world.services, grant, None, "correct horse battery")
    return grant


# --- first arrivals


def test_first_arrival_makes_an_account_without_a_password(world: Federated) -> None:
    """One account, of the verified address, which the identity alone opens."""
    grant = world.log_in(world.google)
    assert_arrives(world, grant)
    assert ways_in(world) == (False, {("google", "person-1")})
    assert (grant.account.email_verified, grant.account.roles) == (True, ("user",))
    (identity,) = login_of(world).identities
    assert (identity.issuer, identity.email, identity.linked_at) == (
        world.google.issuer,
        EMAIL,
        world.keyturn.clock.now(),
    )
    assert world.keyturn.audit.names() == ["signed_up"]
    with pytest.raises(InvalidCredentials):
        log_in(world.services)


def test_second_arrival_is_the_same_account(world: Federated) -> None:
    """By either flow, from any container; nothing is asked for that is known."""
    first = world.log_in(world.google)
    for grant in (world.log_in(world.google), exchange(world.keyturn.container(), world.google)):
        assert grant.account == first.account
        assert grant.session_id != first.session_id
        assert_arrives(world, grant)
    assert world.google.calls.count("with_email") == 1
    assert len(contents(world.keyturn.store).accounts) == 1


def test_address_is_canonical(world: Federated) -> None:
    """However the provider spells it, it is the address of the account that has it."""
    first = world.log_in(world.google, replace(OWNER, email="ALICE@Example.COM"))
    assert first.account.email == EMAIL
    assert world.log_in(world.oidc, OWNER).account.sub == first.account.sub


@pytest.mark.parametrize("email", [None, "", "not an address", "a@b@c", "a@example.com,b@example.com", "x" * 300])
def test_identity_without_a_usable_address_makes_no_account(world: Federated, email: str | None) -> None:
    """EmailRequired; a list of addresses is none (CVE-2022-35924)."""
    assert_refused(world, EmailRequired, world.google, replace(OWNER, email=email))
    assert contents(world.keyturn.store).accounts == {}


# --- the identity's key


def test_identity_is_known_by_its_subject_whatever_its_address(world: Federated) -> None:
    """An address that changed at the provider, even to another account's, opens the same account as before."""
    other = sign_up(world.services, email=OTHER_EMAIL)
    first = world.log_in(world.google)
    for changed in (Person(email=OTHER_EMAIL), Person(email=None), Person(email_verified=False)):
        grant = world.log_in(world.google, changed)
        assert (grant.account.sub, grant.account.email) == (first.account.sub, EMAIL)
    assert_works(world.keyturn, other)
    assert ways_in(world, OTHER_EMAIL) == (True, set())


def test_subject_of_another_issuer_is_another_identity(world: Federated) -> None:
    """The same subject, of another provider or of another issuer behind the same name, opens nothing of it."""
    first = world.log_in(world.google)
    other = world.log_in(world.oidc, Person(email=OTHER_EMAIL))
    assert other.account.sub != first.account.sub
    world.google.issuer = "https://accounts.example.net"
    third = world.log_in(world.google, Person(email="carol@example.com"))
    assert third.account.sub not in {first.account.sub, other.account.sub}
    assert_arrives(world, third)


@pytest.mark.parametrize("subject", ["person-1#", "#person-1", "PERSON-1", "person-1 ", "identity", "a#b#c"])
def test_subjects_are_compared_exactly(world: Federated, subject: str) -> None:
    """No subject reaches another one's account, whatever it is made of."""
    first = world.log_in(world.google)
    other = world.log_in(world.google, Person(subject, OTHER_EMAIL))
    assert other.account.sub != first.account.sub
    assert world.log_in(world.google, Person(subject, OTHER_EMAIL)).account.sub == other.account.sub
    assert world.log_in(world.google).account.sub == first.account.sub


# --- both have proven the address


def test_verified_address_links_to_the_proven_account(world: Federated) -> None:
    """A second provider that has verified the address opens the account, which stays as it is (amplify-js #3899)."""
    first = prove_account(world)
    grant = world.log_in(world.oidc, Person("another-subject"))
    assert (grant.account.sub, grant.account.epoch) == (first.account.sub, 1)
    assert_arrives(world, grant)
    assert ways_in(world) == (True, {("google", "person-1"), ("oidc", "another-subject")})
    assert_works(world.keyturn, log_in(world.services))
    assert world.log_in(world.oidc, Person("another-subject")).account.sub == first.account.sub
    assert world.keyturn.audit.names().count("identity_linked") == 1


def test_linking_by_address_ends_no_session(world: Federated) -> None:
    """The owner has done nothing that would."""
    first = world.log_in(world.google)
    world.log_in(world.oidc)
    assert_works(world.keyturn, first)


def test_another_subject_of_the_provider_is_refused(world: Federated) -> None:
    """An address that the provider has given to somebody else does not bring the account along."""
    first = prove_account(world)
    assert_refused(world, EmailTaken, world.google, Person("successor"))
    assert ways_in(world) == (True, {("google", "person-1")})
    assert world.log_in(world.google).account.sub == first.account.sub


# --- the provider has not proven the address


@pytest.mark.parametrize("proven", [True, False])
@pytest.mark.parametrize("provider", ["google", "oidc"])
def test_unverified_address_never_links(world: Federated, provider: str, proven: bool) -> None:  # noqa: FBT001
    """Whether or not the account's owner has proven it: log in in another way, and link."""
    grant = prove_account(world) if proven else sign_up(world.services)
    assert_refused(world, EmailTaken, {"google": world.google, "oidc": world.oidc}[provider], UNPROVEN)
    assert grant.account.sub == login_of(world).account.sub
    refused = [facts for name, facts in world.keyturn.audit.events if name == "login_refused"]
    assert [facts["code"] for facts in refused] == ["email_taken"] * 2


def test_unverified_address_without_an_account_makes_an_unproven_one(world: Federated) -> None:
    """Its owner is known by the identity; the address counts as nobody's yet."""
    grant = world.log_in(world.oidc, UNPROVEN)
    assert not grant.account.email_verified
    assert not world.keyturn.principal(grant.access_token).email_verified
    assert_arrives(world, grant)
    assert world.log_in(world.oidc, UNPROVEN).account.sub == grant.account.sub


# --- the account has not proven the address


def test_unproven_account_is_its_owners(world: Federated) -> None:
    """Pre-hijack (better-auth #9578): whoever waited loses password and sessions, and the owner is not locked out."""
    squatter = sign_up(world.services)
    another = log_in(world.services, transport="cookie")
    grant = world.log_in(world.google)
    assert (grant.account.sub, grant.account.email_verified) == (squatter.account.sub, True)
    assert_dead(world.keyturn, squatter, another)
    with pytest.raises(InvalidCredentials):
        log_in(world.services)
    assert_arrives(world, grant)
    assert world.keyturn.principal(grant.access_token).email_verified
    assert ways_in(world) == (False, {("google", "person-1")})
    assert world.log_in(world.google).account == grant.account
    assert "account_taken_over" in world.keyturn.audit.names()


def test_squatters_identities_open_nothing_afterwards(world: Federated) -> None:
    """Those that were linked to the account before are first arrivals again, or refused."""
    squatter = sign_up(world.services)
    waiting = Person("squatter", "squatter@example.net")
    browser = world.browser()
    query = world.oidc.approve(browser.begin_linking(squatter, "oidc"), waiting)
    assert browser.come_back(query, "oidc").error is None
    by_identity = world.log_in(world.oidc, waiting)
    assert by_identity.account.sub == squatter.account.sub
    owner = world.log_in(world.google)
    assert_dead(world.keyturn, by_identity)
    elsewhere = world.log_in(world.oidc, waiting)
    assert elsewhere.account.sub != owner.account.sub
    assert_refused(world, EmailTaken, world.oidc, Person("squatter-2", email_verified=False))
    assert ways_in(world) == (False, {("google", "person-1")})
    assert_arrives(world, owner)


@pytest.mark.parametrize("provider", ["google", "oidc"])
def test_unproven_account_of_an_identity_is_its_owners(world: Federated, provider: str) -> None:
    """An account that somebody else's unverified identity made, at another provider or at the same one."""
    squatter = world.log_in(world.oidc, UNPROVEN)
    owner = world.log_in({"google": world.google, "oidc": world.oidc}[provider], OWNER)
    assert owner.account.sub == squatter.account.sub
    assert_dead(world.keyturn, squatter)
    assert ways_in(world) == (False, {(provider, "person-1")})
    assert_arrives(world, owner)
    assert_refused(world, EmailTaken, world.oidc, UNPROVEN)


def test_account_is_taken_over_once(world: Federated) -> None:
    """Afterwards it is proven: another provider's verified identity is linked, and ends nothing."""
    sign_up(world.services)
    owner = world.log_in(world.google)
    world.log_in(world.oidc, Person("person-9"))
    assert_works(world.keyturn, owner)
    assert world.keyturn.audit.names().count("account_taken_over") == 1


def test_owner_sets_a_password_after_taking_over(world: Federated) -> None:
    """The account is theirs in every way."""
    sign_up(world.services)
    owner = world.log_in(world.google)
    change_password(world.services, owner, None, "owner horse battery")
    assert log_in(world.services, "owner horse battery").account.sub == owner.account.sub


# --- disabled accounts


@pytest.mark.parametrize("how", ["known identity", "proven account", "unproven account"])
def test_disabled_account_is_refused_and_stays_disabled(world: Federated, how: str) -> None:
    """No identity opens it: none that it knows, none by its address, none that would take it over."""
    grant = sign_up(world.services) if how == "unproven account" else prove_account(world)
    world.services.accounts.disable(grant.account.sub, CLIENT)
    assert_refused(world, AccessDenied, world.google if how == "known identity" else world.oidc, Person())
    assert login_of(world).account.disabled
    assert_dead(world.keyturn, grant)


def test_unverified_address_of_a_disabled_account_is_refused(world: Federated) -> None:
    """As any other's: who only claims the address does not hear that the account is disabled."""
    world.services.accounts.disable(sign_up(world.services).account.sub, CLIENT)
    assert_refused(world, EmailTaken, world.oidc, UNPROVEN)


# --- races


def calls_of(
    act: Callable[[Federated, Services], object], ready: Callable[[Federated], object] = lambda _: None
) -> list[tuple[str, int]]:
    """The calls that the act makes in a world that is ready for it, with nobody in between."""
    world = Federated.over(FakeStore())
    ready(world)
    store = FaultyStore(world.keyturn.store)
    act(world, world.with_providers("google", "oidc", store=store).services)
    return sorted(store.calls)


def raced(world: Federated, call: tuple[str, int], rival: Callable[[], None]) -> Services:
    """Services of a container in which the rival's request runs whole before this call, which they come to."""

    def at_call(*made: str | int) -> None:
        if made == call:
            rival()

    store = FaultyStore(world.keyturn.store, at_call=at_call)
    return world.with_providers("google", "oidc", store=store).services


@pytest.mark.parametrize("person", [OWNER, UNPROVEN], ids=["verified", "unverified"])
def test_two_first_arrivals_make_one_account(person: Person) -> None:
    """The second one, at whichever call of the first it comes between, and the first are one account's sessions."""
    for call in calls_of(lambda world, services: exchange(services, world.google, person)):
        world = Federated.over(FakeStore())
        rival: list[Grant] = []
        services = raced(world, call, lambda: rival.append(exchange(world.services, world.google, person)))  # noqa: B023
        grant = exchange(services, world.google, person)
        assert [one.account.sub for one in rival] == [grant.account.sub]
        for one in (grant, *rival):
            assert_works(world.keyturn, one)
        assert len(contents(world.keyturn.store).accounts) == 1


def test_account_that_never_holds_still_is_503() -> None:
    """After three tries the client is told to come again; nothing is half-done."""
    world = Federated.over(FakeStore())
    grant = sign_up(world.services)
    store = FaultyStore(world.keyturn.store)

    def at_call(verb: str, _: int) -> None:
        if verb == "take_over_account":
            world.services.accounts.log_out_everywhere(grant_principal, CLIENT)

    grant_principal = world.keyturn.principal(grant.access_token)
    store.at_call = at_call
    with pytest.raises(Unavailable):
        exchange(world.with_providers("google", store=store).services, world.google)
    assert store.verbs.count("take_over_account") == 3
    assert ways_in(world) == (True, set())
    contents(world.keyturn.store).assert_whole()


@pytest.mark.parametrize("make_store", [FakeStore, a_table], ids=["fake", "dynoxide"])
def test_identity_that_is_taken_away_during_its_login_opens_nothing(make_store: Callable[[], Store]) -> None:
    """A squatter's login that found its identity before the owner took the account over begins no session of it."""
    waiting = Person("squatter", "squatter@example.net")

    def squat(world: Federated) -> Grant:
        squatter = sign_up(world.services)
        browser = world.browser()
        url = browser.begin_linking(squatter, "oidc")
        assert browser.come_back(world.oidc.approve(url, waiting), "oidc").error is None
        return squatter

    for call in calls_of(lambda world, services: exchange(services, world.oidc, waiting), squat):
        world = Federated.over(make_store())
        squatter = squat(world)
        owners: list[Grant] = []
        services = raced(world, call, lambda: owners.append(world.log_in(world.google)))  # noqa: B023
        grant = exchange(services, world.oidc, waiting)
        (owner,) = owners
        assert owner.account.sub == squatter.account.sub
        if grant.account.sub == squatter.account.sub:
            assert_dead(world.keyturn, grant)
        assert_arrives(world, owner)
        assert ways_in(world) == (False, {("google", "person-1")})
        listed, _ = world.services.sessions.list(world.keyturn.principal(owner.access_token))
        assert [session.sid for session in listed] == [owner.session_id]
