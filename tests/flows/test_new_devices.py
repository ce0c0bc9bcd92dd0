"""New devices: an account gets to know five an hour; beyond that a login works and gets no device token."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.limits import HOUR
from chalicelib.errors import InvalidGrant
from chalicelib.services.federation.log_in import SessionRequest
from chalicelib.services.federation.requests import Callback
from tests.flows.federated import code_for
from tests.flows.steps import (
    EMAIL,
    assert_works,
    change_password,
    device_token,
    log_in,
    refresh,
    sign_up,
)
from tests.flows.test_known_devices import fill_account
from tests.world.constants import CLIENT, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from chalicelib.services.sessions.grants import Grant
    from tests.flows.federated import Federated
    from tests.world.keyturn import Keyturn

NEW = 5  # an hour


def new_devices_of(keyturn: Keyturn) -> dict[str, int]:
    """How many new devices are counted for each account, whatever the hour."""
    assert isinstance(keyturn.store, FakeStore)
    return {value: count for (kind, value, _), (count, _) in keyturn.store.attempts.items() if kind == "new-device"}


def log_in_at(way: str, federated: Federated, token: str | None = None) -> Grant:
    """Log in to the one account there is, by its password or at its provider, from a device of its own."""
    if way == "password":
        return log_in(federated.services, device_token=token)
    visit = SessionRequest(transport="body", caller=CLIENT, device_token=token)
    person = Person(email=EMAIL)
    if way == "exchange":
        return federated.services.exchange_code("google", code_for(federated.google, person), visit)
    browser = federated.browser()
    callback = Callback(
        **{"state": "", "code": "", **federated.google.approve(browser.begin(), person)},
        error=None,
        iss=None,
        browser_secret=browser.secret,
        carried=(),
        device_token=token,
    )
    returned = federated.services.finish_login("google", callback, CLIENT)
    assert returned.grant is not None
    return returned.grant


WAYS = pytest.mark.parametrize("way", ["password", "exchange", "callback"])


def with_both(federated: Federated) -> Grant:
    """An account with a password and an identity, which the one device of its owner is known to."""
    first = federated.log_in(federated.google, Person(email=EMAIL))
    return change_password(federated.services, first, None, PASSWORD, device_token=device_token(first))


@WAYS
def test_sixth_new_device_of_an_hour_is_let_in_without_a_token(federated_anywhere: Federated, way: str) -> None:
    """Whoever has the right credential may log in; devices without end would be attempts without end."""
    world = federated_anywhere
    with_both(world)
    world.keyturn.clock.time += HOUR - world.keyturn.clock.time % HOUR
    for _ in range(NEW):
        assert device_token(log_in_at(way, world))
    for _ in range(3):
        world.keyturn.clock.advance(60)
        beyond = log_in_at(way, world)
        assert beyond.device_token is None
        assert_works(world.keyturn, beyond)
    world.keyturn.clock.time += HOUR - world.keyturn.clock.time % HOUR
    assert device_token(log_in_at(way, world))


@WAYS
def test_all_ways_in_count_on_one_counter(federated: Federated, way: str) -> None:
    """Five of the one way leave none for the others."""
    with_both(federated)
    for _ in range(NEW):
        log_in_at(way, federated)
    for other in ("password", "exchange", "callback"):
        assert log_in_at(other, federated).device_token is None


@WAYS
def test_known_device_is_not_counted(federated: Federated, way: str) -> None:
    """It is known already: it logs in as often as it likes, keeps its token, and takes no other device's place."""
    token = device_token(with_both(federated))
    before = new_devices_of(federated.keyturn)
    for _ in range(2 * NEW):
        token = device_token(log_in_at(way, federated, token))
    assert new_devices_of(federated.keyturn) == before
    for _ in range(NEW):
        log_in_at(way, federated)
    assert log_in_at(way, federated).device_token is None
    assert device_token(log_in_at(way, federated, token))


@WAYS
def test_device_of_another_epoch_counts_as_new(federated: Federated, way: str) -> None:
    """A token of before a logout everywhere makes its device known again, as one of five."""
    grant = with_both(federated)
    federated.services.accounts.log_out_everywhere(federated.keyturn.principal(grant.access_token), CLIENT)
    for _ in range(NEW):
        log_in_at(way, federated, device_token(grant))
    assert log_in_at(way, federated, device_token(grant)).device_token is None


@WAYS
@pytest.mark.parametrize("when", ["before", "after"])
def test_counter_that_is_away_costs_the_token_and_not_the_login(federated: Federated, way: str, when: str) -> None:
    """The person is let in, the session works; its device stays unknown."""
    with_both(federated)
    store = FaultyStore(federated.keyturn.store)
    nth = 3 if way == "password" else 2  # behind the counters of the attempt itself
    (store.fail_before if when == "before" else store.fail_after)("count_attempt", nth)
    world = replace(federated, keyturn=federated.with_providers("google", store=store))
    grant = log_in_at(way, world)
    assert grant.device_token is None
    assert store.verbs.count("count_attempt") == nth
    assert_works(federated.keyturn, grant)


def test_each_account_has_a_counter_of_its_own(keyturn: Keyturn) -> None:
    """Nobody uses up another account's; a sign-up is the first device and not counted."""
    grants = [sign_up(keyturn.services, email=email) for email in (EMAIL, "bob@example.com")]
    assert all(grant.device_token for grant in grants)
    assert new_devices_of(keyturn) == {}
    for _ in range(NEW + 1):
        log_in(keyturn.services)
    assert device_token(log_in(keyturn.services, email="bob@example.com"))
    assert new_devices_of(keyturn) == {grants[0].account.sub: NEW, grants[1].account.sub: 1}


def test_refused_login_counts_no_device(keyturn: Keyturn) -> None:
    """Strangers who guess use nothing up: a wrong password comes to no device."""
    sign_up(keyturn.services)
    fill_account(keyturn, NEW)
    assert new_devices_of(keyturn) == {}


def test_session_without_a_known_device_is_answered_late_by_none(keyturn: Keyturn) -> None:
    """The sixth device holds no token, and no other device's token stands for its session."""
    first = sign_up(keyturn.services)
    for _ in range(NEW):
        log_in(keyturn.services)
    beyond = log_in(keyturn.services)
    assert beyond.device_token is None
    refresh(keyturn.services, beyond)
    keyturn.clock.advance(21)
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, beyond, device_token=device_token(first))


def test_parallel_logins_get_five_devices(anywhere: Keyturn) -> None:
    """The counter is one conditional write: of eight at once no more than five get a token."""
    sign_up(anywhere.services)
    with ThreadPoolExecutor(8) as pool:
        grants = list(pool.map(lambda _: log_in(anywhere.services), range(8)))
    assert sum(grant.device_token is not None for grant in grants) == NEW
    for grant in grants:
        assert_works(anywhere, grant)
