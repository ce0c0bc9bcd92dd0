"""A request spends 2.5 s on its dependencies and no more, whatever they do."""

from __future__ import annotations

import contextvars
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from urllib3.exceptions import ProtocolError

from chalicelib import deadline
from chalicelib.errors import Unavailable
from chalicelib.store.dynamodb import DynamoDBStore
from tests.store.fault_proxy import Fault, FaultProxy
from tests.world import engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from urllib3 import Timeout

# What a loaded machine may take on top; the bounds that are shown are bounds, not measurements.
SLACK = 0.4


@pytest.fixture
def stalled() -> Iterator[tuple[DynamoDBStore, FaultProxy]]:
    """A store whose table accepts every call and never answers."""
    proxy = FaultProxy("")
    proxy.faults.extend([Fault.STALLED] * 100)
    with proxy.serve() as endpoint:
        yield DynamoDBStore(engines.connect(endpoint), "table"), proxy


def seconds(work: Callable[[], object]) -> float:
    """How long the work took."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def three_calls(store: DynamoDBStore) -> None:
    """A request that goes on although its dependencies fail, which none of ours does."""
    with deadline.start():
        for _ in range(3):
            with pytest.raises(Unavailable):
                store.find_account("sub")


def test_request_of_several_calls_ends_in_time(stalled: tuple[DynamoDBStore, FaultProxy]) -> None:
    """Three calls to a stalled table end within the request's 2.5 s, though each one may wait for 2 s by itself."""
    store, proxy = stalled
    assert seconds(lambda: three_calls(store)) < deadline.REQUEST_SECONDS + SLACK
    assert len(proxy.requests) == 2


def test_late_attempt_gives_up_early(
    stalled: tuple[DynamoDBStore, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that begins when 1.2 s are left waits 0.7 s for its answer at most; others wait their whole second."""
    store, _ = stalled
    waits: list[float] = []

    def no_answer(_: object, *, timeout: Timeout, **__: object) -> None:
        waits.append(float(timeout.read_timeout or 0))
        raise ProtocolError

    monkeypatch.setattr("urllib3.connectionpool.HTTPConnectionPool.urlopen", no_answer)
    for left, longest in ((1.2, 0.7), (2.5, 1.0)):
        waits.clear()
        with deadline.start(left), pytest.raises(Unavailable):
            store.find_account("sub")
        assert waits
        assert longest - 0.2 < max(waits) <= longest


def test_spent_request_calls_nobody(stalled: tuple[DynamoDBStore, FaultProxy]) -> None:
    """When too little is left for an attempt, none is begun, and the log says which call it was."""
    store, proxy = stalled
    with deadline.start(0.9), pytest.raises(Unavailable, match=r"before-send\.dynamodb\.GetItem"):
        store.find_account("sub")
    assert proxy.requests == []


def test_service_that_names_a_wait_is_not_waited_for() -> None:
    """Botocore would sleep for as long as it is told, up to 6 s."""
    proxy = FaultProxy("")
    proxy.faults.append(Fault.THROTTLED_WITH_A_WAIT)
    with proxy.serve() as endpoint:
        store = DynamoDBStore(engines.connect(endpoint), "table")

        def one_call() -> None:
            with deadline.start(), pytest.raises(Unavailable, match="ProvisionedThroughputExceededException"):
                store.find_account("sub")

        assert seconds(one_call) < deadline.REQUEST_SECONDS + SLACK
    assert len(proxy.requests) == 1


def test_threads_share_the_deadline_of_the_context_they_run_in(stalled: tuple[DynamoDBStore, FaultProxy]) -> None:
    """A call that services make beside another one is refused as the other one is."""
    store, proxy = stalled
    with ThreadPoolExecutor(1) as threads, deadline.start(0.9):
        call = threads.submit(contextvars.copy_context().run, store.find_account, "sub")
        with pytest.raises(Unavailable):
            call.result()
    assert proxy.requests == []


def test_outside_a_request_there_is_no_deadline() -> None:
    """Deployment may take its time, also after a request in the same process has ended."""
    assert deadline.attempt_allowed()
    with deadline.start(0.1):
        assert not deadline.attempt_allowed()
    assert deadline.attempt_allowed()
