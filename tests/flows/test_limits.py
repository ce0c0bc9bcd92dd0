"""The limiter fails closed: nothing is hashed, and no provider asked, for what nobody has counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import InvalidCredentials, TooManyRequests, Unavailable
from chalicelib.services.federation.log_in import SessionRequest
from tests.flows.federated import Federated, code_for
from tests.flows.steps import (
    ELSEWHERE,
    EMAIL,
    WRONG_PASSWORD,
    CountingHasher,
    change_password,
    device_token,
    log_in,
    sign_up,
    with_hasher,
)
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant

# Each way to have something hashed: how many counters it asks, and how to go it.
WAYS: dict[str, tuple[int, Callable[[Services, Grant, Keyturn], object]]] = {
    "login": (2, lambda services, _, __: log_in(services)),
    "login from a known device": (1, lambda services, grant, _: log_in(services, device_token=device_token(grant))),
    "password change": (
        1,
        lambda services, grant, _: change_password(services, grant),
    ),
    "password change from a known device": (
        1,
        lambda services, grant, _: change_password(services, grant, device_token=device_token(grant)),
    ),
    "sign-up": (1, lambda services, _, __: sign_up(services, email="carol@example.com")),
}
FAILURES = [(way, nth, when) for way in WAYS for nth in range(1, WAYS[way][0] + 1) for when in ("before", "after")]


@pytest.mark.parametrize(("way", "nth", "when"), FAILURES)
def test_nothing_is_hashed_while_a_counter_is_away(way: str, nth: int, when: str) -> None:
    """Whichever counter fails, before or after its effect: 503 before the hash, and nothing but counters written."""
    inner = FakeStore()
    grant = sign_up(Keyturn(inner).services)
    store = FaultyStore(inner)
    keyturn = Keyturn(store)
    hasher = CountingHasher(keyturn.services.log_in.hashing.hasher)
    (store.fail_before if when == "before" else store.fail_after)("count_attempt", nth)
    before = (dict(inner.logins), dict(inner.sessions))
    _, act = WAYS[way]
    with pytest.raises(Unavailable):
        act(with_hasher(keyturn.services, hasher), grant, keyturn)
    assert hasher.calls == []
    assert (inner.logins, inner.sessions) == before


@pytest.mark.parametrize("nth", [2, 3])
def test_device_of_before_is_not_hashed_for_either(nth: int) -> None:
    """Where a known device turns out to be a stranger, the stranger's counters have to answer too."""
    inner = FakeStore()
    before = Keyturn(inner)
    grant = sign_up(before.services)
    before.services.accounts.disable(grant.account.sub, CLIENT)
    store = FaultyStore(inner)
    keyturn = Keyturn(store)
    hasher = CountingHasher(keyturn.services.log_in.hashing.hasher)
    store.fail_before("count_attempt", nth)
    with pytest.raises(Unavailable):
        log_in(with_hasher(keyturn.services, hasher), device_token=device_token(grant))
    assert hasher.calls == []


def test_no_provider_is_asked_while_the_counter_is_away() -> None:
    """Neither a code is redeemed, nor a browser sent away."""
    store = FaultyStore(FakeStore())
    federated = Federated.over(store)
    store.fail_before("count_attempt", 1)
    store.fail_before("count_attempt", 2)
    with pytest.raises(Unavailable):
        federated.browser().begin()
    with pytest.raises(Unavailable):
        federated.services.exchange_code(
            "google", code_for(federated.google), SessionRequest(transport="body", caller=CLIENT)
        )
    assert "identify" not in federated.google.calls


def test_refusals_are_written_down(keyturn: Keyturn) -> None:
    """What refused, for how long, whether it was asked for it, and the account where a session names it."""
    grant = sign_up(keyturn.services)
    for number in range(20):
        with pytest.raises(InvalidCredentials):
            log_in(keyturn.services, f"{WRONG_PASSWORD} {number}")
    for services in (keyturn.container(), keyturn.services, keyturn.services):
        with pytest.raises(TooManyRequests):
            log_in(services, client=ELSEWHERE)
    with pytest.raises(TooManyRequests):
        change_password(keyturn.services, grant)
    told = [facts for name, facts in keyturn.audit.events if name == "too_many_attempts"]
    common = {"what": "login-account", "retry_after": 30}
    assert told == [
        {**common, "caller": ELSEWHERE, "from_memory": False},
        {**common, "caller": ELSEWHERE, "from_memory": False},
        {**common, "caller": ELSEWHERE, "from_memory": True},
        {**common, "caller": CLIENT, "from_memory": True, "sub": grant.account.sub},
    ]
    assert EMAIL not in str(told)
