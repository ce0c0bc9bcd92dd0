"""The first password of an account that a provider has opened: its owner sets it soon after a login, nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import (
    InsufficientUserAuthentication,
    InvalidCredentials,
    InvalidRequest,
    InvalidToken,
    PasswordRejected,
    TooManyRequests,
    Unavailable,
)
from chalicelib.services.sessions.sessions import RECENT_SECONDS
from tests.flows.contents import contents
from tests.flows.federated import Federated, code_for, exchange
from tests.flows.steps import (
    EMAIL,
    NEW_PASSWORD,
    assert_dead,
    assert_works,
    change_password,
    link,
    log_in,
    log_out,
    refresh,
    sign_up,
)
from tests.world.constants import CLIENT, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant


@pytest.fixture
def world(federated_anywhere: Federated) -> Federated:
    """Over the fake and over a real table."""
    return federated_anywhere


def set_password(
    world: Federated, grant: Grant, current: str | None = None, new: str = PASSWORD, services: Services | None = None
) -> Grant:
    """Change the password as the grant's holder."""
    return change_password(services or world.services, grant, current, new)


def assert_no_password(world: Federated) -> None:
    """The account is as it was."""
    login = world.keyturn.store.find_login(EMAIL)
    assert login
    assert login.password_digest is None
    assert login.account.epoch == 0


def test_owner_sets_the_first_password(world: Federated) -> None:
    """Without a current one. It logs in, the identity still does, the session goes on, every other one is over."""
    other, here = world.log_in(world.google), world.log_in(world.google)
    changed = set_password(world, here)
    assert_works(world.keyturn, log_in(world.services))
    assert world.log_in(world.google).account.sub == here.account.sub
    assert_dead(world.keyturn, here, other)
    assert world.keyturn.authorize(changed.access_token).sid == here.session_id
    assert_works(world.keyturn, changed)
    contents(world.keyturn.store).assert_whole()


def test_token_says_how_the_person_was_known(world: Federated) -> None:
    """Nobody gave a password that was known before: the provider's word still stands in the new token."""
    changed = set_password(world, world.log_in(world.google))
    assert world.keyturn.authorize(changed.access_token).amr == ("google",)


def test_owner_must_have_logged_in_just_now(federated: Federated) -> None:
    """ASVS V7.5.1: at 601 s the owner logs in again first; at 600 s not yet."""
    world = federated
    grant = world.log_in(world.google)
    world.keyturn.clock.advance(RECENT_SECONDS + 1)
    grant = refresh(world.services, grant)
    with pytest.raises(InsufficientUserAuthentication):
        set_password(world, grant)
    assert_no_password(world)
    grant = world.log_in(world.google)
    world.keyturn.clock.advance(RECENT_SECONDS)
    set_password(world, grant)


@pytest.mark.parametrize("current", ["", PASSWORD, "None", NEW_PASSWORD])
def test_any_current_password_is_wrong(world: Federated, current: str) -> None:
    """There is none that could be given, not even an empty one or the new one."""
    grant = world.log_in(world.google)
    with pytest.raises(InvalidCredentials):
        set_password(world, grant, current, NEW_PASSWORD)
    assert_no_password(world)
    assert_works(world.keyturn, grant)


def test_password_that_there_is_must_be_given(world: Federated) -> None:
    """However fresh the login is, by a provider or by the password: without it, a stolen session sets none."""
    grant = sign_up(world.services)
    with pytest.raises(InvalidRequest):
        set_password(world, grant, None, NEW_PASSWORD)
    link(world.services, grant, "google", code_for(world.google))
    arrived = world.log_in(world.google)
    with pytest.raises(InvalidRequest):
        set_password(world, arrived, None, NEW_PASSWORD)
    assert_works(world.keyturn, log_in(world.services))
    assert_works(world.keyturn, arrived)


def test_second_password_needs_the_first(world: Federated) -> None:
    """From the first one on, the account is like any other."""
    grant = world.log_in(world.google)
    changed = set_password(world, grant)
    with pytest.raises(InvalidRequest):
        set_password(world, changed, None, NEW_PASSWORD)
    set_password(world, changed, PASSWORD, NEW_PASSWORD)
    assert_works(world.keyturn, log_in(world.services, NEW_PASSWORD))


def test_first_password_keeps_the_policy(world: Federated) -> None:
    """As any new password, the account's own address included."""
    grant = world.log_in(world.google)
    for new in ("short", EMAIL):
        with pytest.raises(PasswordRejected):
            set_password(world, grant, None, new)
    assert_no_password(world)


def test_first_password_counts_on_the_limiter(federated: Federated) -> None:
    """It is an attempt of its account (CVE-2026-9798)."""
    grant = federated.log_in(federated.google)
    policy = federated.services.log_in.attempts.by_account
    for _ in range(policy.quota):
        federated.keyturn.store.count_attempt(policy, EMAIL, federated.keyturn.clock.now())
    with pytest.raises(TooManyRequests):
        set_password(federated, grant)
    assert_no_password(federated)


def log_out_everywhere(world: Federated, grant: Grant) -> None:
    """The owner ends everything."""
    world.services.accounts.log_out_everywhere(world.keyturn.principal(grant.access_token), CLIENT)


def take_over(world: Federated, grant: Grant) -> None:
    """The address's owner arrives."""
    assert world.log_in(world.oidc, Person("owner")).account.sub == grant.account.sub


def set_another(world: Federated, grant: Grant) -> None:
    """Another session of the same account is first."""
    del grant
    set_password(world, exchange(world.services, world.google, Person(email_verified=False)), None, NEW_PASSWORD)


@pytest.mark.parametrize("verb", ["find_session_and_account", "count_attempt", "find_login", "change_password"])
@pytest.mark.parametrize(
    "rival", [lambda world, grant: log_out(world.services, grant), log_out_everywhere, take_over, set_another]
)
def test_session_that_ends_meanwhile_sets_no_password(
    world: Federated, rival: Callable[[Federated, Grant], None], verb: str
) -> None:
    """At whichever call it ends, the account keeps what the rival left."""
    grant = exchange(world.services, world.google, Person(email_verified=False))
    left = []

    def at_call(made: str, nth: int) -> None:
        if (made, nth) == (verb, 1):
            rival(world, grant)
            left.append(contents(world.keyturn.store).logins)

    services = world.with_providers("google", store=FaultyStore(world.keyturn.store, at_call=at_call)).services
    with pytest.raises((InvalidToken, Unavailable, InvalidRequest)):
        set_password(world, grant, services=services)
    assert left == [contents(world.keyturn.store).logins]
    contents(world.keyturn.store).assert_whole()
