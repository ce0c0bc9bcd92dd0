"""Nobody learns from a refused login whether there is an account."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.limits import HOUR
from chalicelib.errors import InvalidCredentials, TooManyRequests
from tests.flows.steps import EMAIL, WRONG_PASSWORD, CountingHasher, log_in, sign_up, with_hasher
from tests.world.constants import CLIENT, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from chalicelib.services import Services
    from tests.flows.federated import Federated

UNKNOWN = "nobody@example.com"
DISABLED = "disabled@example.com"
PASSWORDLESS = "passwordless@example.com"
REFUSALS = {
    "unknown address": (UNKNOWN, PASSWORD),
    "wrong password": (EMAIL, WRONG_PASSWORD),
    "disabled account": (DISABLED, PASSWORD),
    "account without a password": (PASSWORDLESS, PASSWORD),
}
# What may come along without making a device known: nothing, nonsense, and what nearly is a token.
DEVICE_TOKENS = {"none": None, "nonsense": "nonsense", "forged": f"kd2.key.{'A' * 75}"}
SAMPLES = 200


@pytest.fixture
def populated(federated: Federated) -> Keyturn:
    """One account that can log in, one that is disabled, one that a provider has opened."""
    keyturn = federated.keyturn
    federated.log_in(federated.google, Person(email=PASSWORDLESS))
    sign_up(keyturn.services)
    keyturn.services.accounts.disable(sign_up(keyturn.services, email=DISABLED).account.sub, CLIENT)
    return keyturn


def refusal_of(services: Services, email: str, password: str, device_token: str | None = None) -> InvalidCredentials:
    """What the caller of a refused login gets."""
    with pytest.raises(InvalidCredentials) as refused:
        log_in(services, password, email=email, device_token=device_token)
    return refused.value


def device_of(populated: Keyturn, whose: str) -> str | None:
    """A token of this kind; under `own key`, one with a genuine key's id."""
    if whose != "own key":
        return DEVICE_TOKENS[whose]
    return f"kd2.{populated.services.keys.login_secret().id}.{'A' * 75}"


@pytest.mark.parametrize("device", [*DEVICE_TOKENS, "own key"])
@pytest.mark.parametrize("why", REFUSALS)
def test_every_refusal_takes_the_same_steps(populated: Keyturn, why: str, device: str) -> None:
    """One answer, the same verbs in the same order, one hash (CVE-2024-39329, CVE-2026-39321; ASVS V6.3.8)."""
    store = FaultyStore(populated.store)
    watched = Keyturn(store, populated.clock, populated.parameters)
    hasher = CountingHasher(watched.services.log_in.hashing.hasher)
    refusal = refusal_of(with_hasher(watched.services, hasher), *REFUSALS[why], device_of(populated, device))
    assert (type(refusal), refusal.detail) == (InvalidCredentials, None)
    assert store.verbs == ["count_attempt", "count_attempt", "find_login"]
    assert hasher.calls == ["verify"]


def test_refusals_count_on_one_limiter_alike(populated: Keyturn) -> None:
    """An address without an account is held back after as many attempts as one with."""
    assert isinstance(populated.store, FakeStore)
    for email, password in REFUSALS.values():
        refusal_of(populated.services, email, password)
    counts = {key[1]: count for key, (count, _) in populated.store.attempts.items() if key[0] == "login-account"}
    assert counts == {EMAIL: 1, UNKNOWN: 1, DISABLED: 1, PASSWORDLESS: 1}


def waits_of(keyturn: Keyturn, email: str, password: str, device_token: str | None) -> list[dict[str, object]]:
    """What a guesser is told from the first attempt on, at one container and then at another."""
    told: list[dict[str, object]] = []
    other = keyturn.container()
    for number in range(26):
        try:
            log_in(keyturn.services if number < 23 else other, password, email=email, device_token=device_token)
        except (InvalidCredentials, TooManyRequests) as refused:
            told.append({name: value for name, value in vars(refused).items() if name != "debug"})
            keyturn.clock.advance(1)
    return told


@pytest.mark.parametrize("device", [*DEVICE_TOKENS, "own key"])
def test_every_429_tells_the_same(populated: Keyturn, device: str) -> None:
    """The limiter's answers too: as many before the first, the same policy, the same waits, from table and memory."""
    populated.clock.advance(HOUR)
    start = populated.clock.time
    answers = []
    for email, password in REFUSALS.values():
        populated.clock.time = start
        assert isinstance(populated.store, FakeStore)
        populated.store.attempts.clear()
        answers.append(waits_of(populated, email, password, device_of(populated, device)))
    assert [answer.get("retry_after") for answer in answers[0]] == [None] * 20 + [29, 28, 27, 26, 25, 24]
    assert all(answer == answers[0] for answer in answers)


def test_refusals_cost_the_same_time(populated: Keyturn) -> None:
    """CPU time with the cheap profile: whoever skipped the hash would need a third less. Samples are interleaved."""
    times: dict[str, list[float]] = {why: [] for why in REFUSALS}
    for _ in range(SAMPLES):
        for why, (email, password) in REFUSALS.items():
            populated.clock.advance(HOUR)
            begun = time.thread_time()
            refusal_of(populated.services, email, password)
            times[why].append(time.thread_time() - begun)
    medians = [statistics.median(samples) for samples in times.values()]
    assert max(medians) / min(medians) < 1.2
