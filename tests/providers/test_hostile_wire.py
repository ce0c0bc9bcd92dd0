"""A provider that answers badly, late or without end: each call ends in time, and the next honest login works."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from chalicelib import deadline
from chalicelib.errors import ProviderError, Unavailable
from chalicelib.providers.remembered import FAILING
from tests.providers.party import Party
from tests.world.clock import START
from tests.world.misdeeds import ENDPOINTS, KEYS, METADATA, TOKEN, USERINFO, Fault
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable

# What a loaded machine may take on top; the bounds that are shown are bounds, not measurements.
SLACK = 0.9

HARMLESS = {Fault.HTML_TYPE, Fault.NO_TYPE}  # what JSON is called matters to no client
AWAY = {
    Fault.ERROR_500,
    Fault.ERROR_503,
    Fault.BUSY_429,
    Fault.HANG,
    Fault.CLOSE,
    Fault.DRIP_HEADERS,
    Fault.DRIP_BODY,
    Fault.TRUNCATED,
    Fault.TRUNCATED_CHUNKS,
}


def seconds(work: Callable[[], object]) -> float:
    """How long the work took."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("fault", sorted(set(Fault) - HARMLESS, key=str), ids=lambda fault: fault.name)
def test_fault(party: Party, fault: Fault, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cold container ends in Unavailable or ProviderError within its budget, and logs in afterwards."""
    party.stand_in.claims = {}  # so that userinfo is asked
    party.stand_in.faults[endpoint] = fault

    def fail() -> None:
        with pytest.raises(Unavailable) as caught:
            party.log_in()
        assert caught.type is (Unavailable if fault in AWAY else ProviderError)

    # An honest answer first, and then the bad one: two methods may take their time.
    with monkeypatch.context() as impatient:
        impatient.setattr(deadline, "PROVIDER_SECONDS", 0.5)
        assert seconds(fail) < 2 * deadline.PROVIDER_SECONDS + SLACK
    assert not [path for path in party.stand_in.fetches if path.startswith("/elsewhere")]
    party.stand_in.recover()
    party.clock.advance(FAILING)
    assert party.log_in().subject == "person-1"


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.HANG, Fault.PAGE, Fault.DRIP_BODY], ids=lambda it: it.name)
def test_fault_of_what_is_remembered(party: Party, fault: Fault) -> None:
    """A container that has served a login goes on with the metadata and keys that it has."""
    party.log_in()
    party.stand_in.faults |= {METADATA: fault, KEYS: fault}
    party.clock.advance(7200)
    assert party.log_in().subject == "person-1"


def test_one_call_has_a_bound_of_its_own(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a request, where no deadline is, a call ends too."""
    monkeypatch.setattr("chalicelib.providers.http.CALL_SECONDS", 0.3)
    party.authorization_url()
    party.stand_in.faults[TOKEN] = Fault.DRIP_HEADERS
    code = party.code()

    def fail() -> None:
        with pytest.raises(Unavailable):
            party.provider.identify(code)

    assert seconds(fail) < 0.3 + SLACK


def test_defaults_end_within_five_seconds() -> None:
    """What a callback may spend on a provider that fails, and on our own table, ends within 5 s."""
    assert deadline.PROVIDER_SECONDS + deadline.REQUEST_SECONDS < 5


def test_budget_of_its_own(party: Party) -> None:
    """A provider does not use up the request's time for the table, and is asked though that is spent."""
    with deadline.start(5):
        party.log_in()
        assert deadline.remaining() > 4.5
    with deadline.start(0):
        assert party.log_in().subject == "person-1"


@pytest.mark.usefixtures("no_patience")
def test_no_call_is_left_running(party: Party) -> None:
    """A call that was given up is cut off: its thread ends, and does not go on during somebody else's request."""
    before = set(threading.enumerate())
    party.authorization_url()
    for fault in (Fault.HANG, Fault.DRIP_BODY, Fault.ENDLESS):
        party.stand_in.faults[TOKEN] = fault
        with pytest.raises(Unavailable):
            party.log_in()
    for thread in set(threading.enumerate()) - before - {party.stand_in._thread}:
        if thread.name.endswith("(run)"):
            thread.join(5)
            assert not thread.is_alive()


def test_huge_answer_is_not_read(party: Party) -> None:
    """Of 5 MB no more than 256 KiB are read: the server cannot send the rest."""
    party.authorization_url()
    party.stand_in.faults[TOKEN] = Fault.HUGE
    with pytest.raises(ProviderError, match="262144"):
        party.log_in()


@pytest.mark.usefixtures("no_patience")
def test_crowd_does_not_wait_in_turn(party: Party) -> None:
    """Ten logins at once at a provider that hangs all end within one login's time: nobody waits in turn."""
    party.stand_in.faults[METADATA] = Fault.HANG
    caught: list[str] = []

    def log_in() -> None:
        try:
            party.authorization_url()
        except Unavailable as error:
            caught.append(type(error).__name__)

    threads = [threading.Thread(target=log_in) for _ in range(10)]

    def crowd() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert seconds(crowd) < 2 * deadline.PROVIDER_SECONDS + SLACK
    assert caught == ["Unavailable"] * 10
    assert party.stand_in.fetches[METADATA] == 1


def test_crowd_fetches_once(party: Party) -> None:
    """Ten first logins at once in one container fetch metadata and keys once, and each of them logs in."""
    subjects: list[str] = []
    threads = [threading.Thread(target=lambda: subjects.append(party.log_in().subject)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert subjects == ["person-1"] * 10
    assert {path: party.stand_in.fetches[path] for path in ENDPOINTS} == {METADATA: 1, KEYS: 1, TOKEN: 10, USERINFO: 0}


def test_provider_that_is_not_there() -> None:
    """A refused connection is an outage, and its end is noticed."""
    with StandIn(lambda: START) as stand_in:
        party = Party(stand_in)
    with pytest.raises(Unavailable) as caught:
        party.authorization_url()
    assert caught.type is Unavailable


def test_reset_connection_is_not_reused(party: Party) -> None:
    """A connection that the provider closed at its will is never met again."""
    party.log_in()
    for _ in range(3):
        party.stand_in.faults[TOKEN] = Fault.CLOSE
        with pytest.raises(Unavailable):
            party.log_in()
        party.stand_in.faults.clear()
        assert party.log_in().subject == "person-1"
