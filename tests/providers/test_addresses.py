"""A host with several addresses, some of which do not answer: the calls go on by another one (RFC 8305)."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager
from selectors import EVENT_READ
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import deadline
from chalicelib.errors import Unavailable
from chalicelib.providers import addresses, http
from tests.providers.certificates import certificate, trusted
from tests.providers.party import Party
from tests.world.clock import START
from tests.world.misdeeds import METADATA
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What a loaded machine may take on top; the bounds that are shown are bounds, not measurements.
SLACK = 0.5

Where = tuple[str, int]


@pytest.fixture(autouse=True)
def _reach_anew() -> Iterator[None]:
    """No test leaves another one the address that it was answered by."""
    addresses._taken.clear()
    yield
    addresses._taken.clear()


@contextmanager
def dead() -> Iterator[Where]:
    """An address that takes no connection and refuses none: the queue of its listener is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()


@contextmanager
def silent() -> Iterator[Where]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=20) as server:
        yield server.getsockname()


@contextmanager
def refusing() -> Iterator[Where]:
    """An address that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()


def resolve(monkeypatch: pytest.MonkeyPatch, *places: Where) -> None:
    """Have every name stand for these addresses, in this order."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where) for where in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: list(found))


def place_of(stand_in: StandIn) -> Where:
    """Where the stand-in listens."""
    return "127.0.0.1", int(stand_in.url.rpartition(":")[2])


def seconds(work: Callable[[], object]) -> float:
    """How long the work took."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


@pytest.mark.parametrize("number", [1, 2, 4])
def test_first_addresses_do_not_answer(party: Party, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A whole login, with all of its calls, works within the provider's time, whichever address is alive."""
    with ExitStack() as stack:
        resolve(monkeypatch, *(stack.enter_context(dead()) for _ in range(number)), place_of(party.stand_in))
        with deadline.request():
            assert party.log_in().subject == "person-1"


def test_dead_address_is_waited_for_once(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that answered is tried first from then on; a dead one is tried again where that one dies."""
    with dead() as first, silent() as other:
        resolve(monkeypatch, first, place_of(party.stand_in))
        assert seconds(lambda: http.call(party.stand_in.url + METADATA)) >= addresses.STAGGER
        assert seconds(lambda: http.call(party.stand_in.url + METADATA)) < addresses.STAGGER
        resolve(monkeypatch, first, other)  # the name stands for other addresses now
        with deadline.start(0.4), pytest.raises(Unavailable):
            http.call(party.stand_in.url + METADATA)


def test_refused_connection_costs_no_time(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an address refuses, the next is tried at once."""
    with ExitStack() as stack:
        resolve(monkeypatch, *(stack.enter_context(refusing()) for _ in range(8)), place_of(party.stand_in))
        assert seconds(lambda: http.call(party.stand_in.url + METADATA)) < 4 * addresses.STAGGER


def test_address_that_this_machine_cannot_reach(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of a family that the machine does not have hides no other address."""
    unknown: Any = (socket.AF_APPLETALK, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9))
    good = (socket.AF_INET, socket.SOCK_STREAM, 0, "", place_of(party.stand_in))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [unknown, good])
    assert http.call(party.stand_in.url + METADATA).status == 200


def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many addresses of one family not all are tried before the first of the other (RFC 8305 section 4)."""
    six = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (f"2001:db8::{n}", 443, 0, 0)) for n in range(3)]
    four = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{n}", 443)) for n in range(2)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [*six, *six, *four])
    hosts = [where[0] for *_, where in addresses._addresses("provider.example.com", 443)]
    assert hosts == ["2001:db8::0", "192.0.2.0", "2001:db8::1", "192.0.2.1", "2001:db8::2"]


@pytest.mark.parametrize("number", [1, 3])
def test_no_address_answers(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Where all are dead it is an outage, a second after the last of them was tried."""

    def call() -> None:
        with pytest.raises(Unavailable, match="TimeoutError"):
            http.call("http://localhost/")

    with ExitStack() as stack:
        resolve(monkeypatch, *(stack.enter_context(dead()) for _ in range(number)))
        expected = addresses.CONNECT_SECONDS + (number - 1) * addresses.STAGGER
        assert expected - 0.1 < seconds(call) < expected + SLACK


def test_silent_address_of_a_tls_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that takes connections and does not greet is one that does not answer."""
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with StandIn(lambda: START, tls=context) as stand_in, silent() as first, trusted(path, monkeypatch):
        resolve(monkeypatch, first, place_of(stand_in))
        with deadline.request():
            assert Party(stand_in).log_in().subject == "person-1"


def test_losers_are_closed(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that another one has overtaken is given up: its connection is closed, and no thread is left."""
    before = set(threading.enumerate())
    path = party.stand_in.url + METADATA
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        resolve(monkeypatch, server.getsockname(), place_of(party.stand_in))
        monkeypatch.setattr(addresses._Attempt, "advance", _slow_to(server.getsockname(), addresses._Attempt.advance))
        assert http.call(path).status == 200
        connected, _ = server.accept()
        with connected:
            connected.settimeout(5)
            assert connected.recv(1) == b""
    assert {thread for thread in set(threading.enumerate()) - before if thread.name.endswith("(run)")} == set()


def _slow_to(where: Where, advance: Callable[..., int | None]) -> Callable[..., int | None]:
    """The step of an attempt, which goes on waiting where it is for this address."""

    def wait(attempt: Any, *given: Any) -> int | None:
        return EVENT_READ if attempt.address[3] == where else advance(attempt, *given)

    return wait
