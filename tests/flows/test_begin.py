"""A login takes the place of the session that its browser came with, once its own is written: whichever way it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import EmailTaken, Unavailable
from tests.flows.federated import BrowserFlow, Federated, code_for, exchange, granted
from tests.flows.steps import (
    EMAIL,
    assert_dead,
    assert_works,
    decoded,
    link,
    log_in,
    log_out,
    sign_up,
    unlink,
    without_signing_key,
)
from tests.world.faults import FaultyStore
from tests.world.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Transport
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant
    from tests.world.provider import FakeProvider

    Way = Callable[[Federated, Services, RefreshToken], Grant]

KNOWN = Person("known", "dave@example.com")
NEWCOMER = Person("newcomer", "carol@example.com")
OWNER = Person("owner", EMAIL)
UNPROVEN = Person("unproven", EMAIL, email_verified=False)
TRANSPORTS: tuple[Transport, ...] = ("cookie", "session", "body")
WRITES = {"create_session", "create_account", "link_identity", "take_over_account"}
ENDS = {"deny_session", "replace_denials", "delete_session", "delete_sessions"}


def by_callback(provider: str, person: Person) -> Way:
    """There and back; what the page is told is raised."""

    def way(world: Federated, services: Services, carried: RefreshToken) -> Grant:
        asked: FakeProvider = getattr(world, provider)
        browser = BrowserFlow(world.services)
        returned = browser.come_back(
            asked.approve(browser.begin(provider), person), provider, carried=carried, services=services
        )
        if returned.error:
            raise next(kind for kind in (Unavailable, EmailTaken) if kind.code == returned.error)
        return granted(returned)

    return way


def by_exchange(provider: str, person: Person) -> Way:
    """With a code that a frontend has got."""
    return lambda world, services, carried: exchange(services, getattr(world, provider), person, carried=carried)


# Each way, and the write that begins its session.
WAYS: dict[str, tuple[Way, str]] = {
    "password": (lambda _, services, carried: log_in(services, carried=carried), "create_session"),
    "sign-up": (
        lambda _, services, carried: sign_up(services, email="x@example.com", carried=carried),
        "create_account",
    ),
    "callback": (by_callback("google", KNOWN), "create_session"),
    "exchange": (by_exchange("google", KNOWN), "create_session"),
    "callback of a first arrival": (by_callback("google", NEWCOMER), "create_account"),
    "exchange of a first arrival": (by_exchange("google", NEWCOMER), "create_account"),
    "callback that takes over": (by_callback("google", OWNER), "create_session"),
    "exchange that takes over": (by_exchange("google", OWNER), "create_session"),
    "callback that links by address": (by_callback("oidc", KNOWN), "create_session"),
    "exchange that links by address": (by_exchange("oidc", KNOWN), "create_session"),
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)
EVERY_TRANSPORT = pytest.mark.parametrize("transport", TRANSPORTS)


@pytest.fixture
def world(federated_anywhere: Federated) -> Federated:
    """A password's account, one that `google` has opened, and one of somebody else's for the browser to come with."""
    world = federated_anywhere
    sign_up(world.services)
    world.log_in(world.google, KNOWN)
    return world


def carried_by(world: Federated, transport: Transport) -> Grant:
    """The session that the browser comes with: another account's, so that nothing else ends it."""
    return sign_up(world.services, email="bob@example.com", transport=transport)


def faulty(world: Federated) -> tuple[Services, FaultyStore]:
    """A container over the same table, whose calls are known and may fail."""
    store = FaultyStore(world.keyturn.store)
    return world.with_providers("google", "oidc", store=store).services, store


@EVERY_WAY
@EVERY_TRANSPORT
def test_former_session_ends_after_the_new_one_is_written(world: Federated, way: str, transport: Transport) -> None:
    """In this order of verbs, and with its event; both sessions are what the answer says (ASVS V7.2.4)."""
    former = carried_by(world, transport)
    services, store = faulty(world)
    grant = WAYS[way][0](world, services, decoded(world.services, former))
    verbs = [verb for verb in store.verbs if verb in WRITES | ENDS]
    assert verbs[-3:] == [WAYS[way][1], "deny_session", "delete_session"]
    assert not ENDS & {*verbs[:-2]}
    assert_works(world.keyturn, grant)
    assert_dead(world.keyturn, former)
    ended = [facts for name, facts in world.keyturn.audit.events if name == "session_ended"]
    assert [(facts["sub"], facts["sid"], facts["by"]) for facts in ended] == [
        (former.account.sub, former.session_id, "login")
    ]


@EVERY_WAY
@EVERY_TRANSPORT
@pytest.mark.parametrize("fail", [FaultyStore.fail_before, FaultyStore.fail_after])
def test_login_whose_write_fails_keeps_the_former_session(
    world: Federated, way: str, transport: Transport, fail: Callable[[FaultyStore, str], None]
) -> None:
    """Whoever cannot have the new session keeps the old one, also where the write has happened unheard."""
    former = carried_by(world, transport)
    services, store = faulty(world)
    fail(store, WAYS[way][1])
    with pytest.raises(Unavailable):
        WAYS[way][0](world, services, decoded(world.services, former))
    assert not ENDS & {*store.verbs}
    assert "session_ended" not in world.keyturn.audit.names()
    assert_works(world.keyturn, former)


@EVERY_WAY
def test_login_that_cannot_read_the_former_session_leaves_it(world: Federated, way: str) -> None:
    """What cannot be read is not ended: 503, and the former session goes on."""
    former = carried_by(world, "cookie")
    services, store = faulty(world)
    store.fail_before("find_session_and_account")
    with pytest.raises(Unavailable):
        WAYS[way][0](world, services, decoded(world.services, former))
    assert not ENDS & {*store.verbs}
    assert_works(world.keyturn, former)


@EVERY_WAY
def test_login_that_cannot_sign_writes_no_session_and_ends_none(world: Federated, way: str) -> None:
    """The answer is signed before the session is written, which comes before the former one ends."""
    former = carried_by(world, "cookie")
    presented = decoded(world.services, former)
    store = FaultyStore(world.keyturn.store)
    away = without_signing_key(world.with_providers("google", "oidc", store=store))
    with pytest.raises(Unavailable):
        WAYS[way][0](world, away, presented)
    world.keyturn.parameters.away = False
    assert not (ENDS | {"create_session", "create_account"}) & {*store.verbs}
    assert_works(world.keyturn, former)


@EVERY_WAY
def test_session_that_ends_on_its_own_meanwhile_is_no_event(world: Federated, way: str) -> None:
    """A browser that has logged out just now, in another tab: the login finds nothing to end."""
    former = carried_by(world, "cookie")
    presented = decoded(world.services, former)
    log_out(world.services, former)
    services, store = faulty(world)
    assert_works(world.keyturn, WAYS[way][0](world, services, presented))
    assert not ENDS & {*store.verbs}
    assert "session_ended" not in world.keyturn.audit.names()


def test_refused_login_ends_nothing(world: Federated) -> None:
    """A provider's unverified address that is another account's: refused, and the browser keeps what it has."""
    former = carried_by(world, "cookie")
    for way in (by_callback("oidc", UNPROVEN), by_exchange("oidc", UNPROVEN)):
        services, store = faulty(world)
        with pytest.raises(EmailTaken):
            way(world, services, decoded(world.services, former))
        assert not ENDS & {*store.verbs}
    assert_works(world.keyturn, former)


def test_login_carrying_its_own_accounts_other_session_ends_that_one_alone(world: Federated) -> None:
    """Of the account's sessions the browser's goes; a renewed credential of another one ends nothing."""
    here, there = log_in(world.services), log_in(world.services)
    linked = link_and_unlink(world, there)
    log_in(world.services, carried=decoded(world.services, there))
    assert_works(world.keyturn, linked)
    log_in(world.services, carried=decoded(world.services, here))
    assert_dead(world.keyturn, here)
    assert_works(world.keyturn, linked)


def link_and_unlink(world: Federated, grant: Grant) -> Grant:
    """Renew the session's credential twice."""
    return unlink(world.services, link(world.services, grant, "oidc", code_for(world.oidc, NEWCOMER)), "oidc")
