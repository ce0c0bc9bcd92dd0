"""The cost contract: what each operation takes in round trips and units, on an engine that reports them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import InvalidCredentials, InvalidGrant, InvalidToken, TooManyRequests
from chalicelib.store.dynamodb import DENIED_SESSIONS, DynamoDBStore
from tests import engines
from tests.counting import Cost, Meter
from tests.fakes import CLIENT, Keyturn
from tests.flows.steps import (
    WRONG_PASSWORD,
    change_password,
    decoded,
    log_in,
    log_out,
    long_lived,
    refresh,
    sign_up,
    with_dearer_hash,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FREE = (0, 0, 0)


@dataclass
class Measured:
    """Keyturn over a table whose client is metered."""

    keyturn: Keyturn
    meter: Meter

    def cost(self, act: Callable[[], object], refusal: type[Exception] | None = None) -> tuple[float, float, float]:
        """Round trips, read units and write units of one operation, which ends with this refusal, if any."""
        with self.meter.measure() as cost:
            if refusal is None:
                act()
            else:
                with pytest.raises(refusal):
                    act()
        return _triple(cost)


def _triple(cost: Cost) -> tuple[float, float, float]:
    return cost.round_trips, cost.read_units, cost.write_units


@pytest.fixture
def measured() -> Measured:
    """A table of its own on dynoxide, which bills as DynamoDB does."""
    client = engines.connect_patiently(engines.start("dynoxide"))
    return Measured(Keyturn(DynamoDBStore(client, engines.make_table(client))), Meter(client))


def test_signup(measured: Measured) -> None:
    """The limiter, then one transaction of three items."""
    assert measured.cost(lambda: sign_up(measured.keyturn.services)) == (2, 0, 7)


def test_authorize(measured: Measured) -> None:
    """One consistent read of the blacklist, whether there is one or not."""
    grant = sign_up(measured.keyturn.services)
    assert measured.cost(lambda: measured.keyturn.authorize(grant.access_token)) == (1, 1, 0)
    log_out(measured.keyturn.services, grant)
    assert measured.cost(lambda: measured.keyturn.authorize(grant.access_token), InvalidToken) == (1, 1, 0)


def test_full_blacklist_costs_no_more(measured: Measured) -> None:
    """With as many sessions as it has room for, and all else that it can hold, it stays one unit to read and write."""
    grant = sign_up(measured.keyturn.services)
    principal = measured.keyturn.principal(grant.access_token)
    grant = change_password(measured.keyturn.services, principal)
    sub = grant.account.sub
    seen = measured.keyturn.store.find_denials(sub)
    measured.keyturn.store.deny_issued_before(sub, seen, 1, deny_until=2_000_000_000)
    for number in range(DENIED_SESSIONS - 1):
        measured.keyturn.store.deny_session(sub, f"{number:022}", deny_until=2_000_000_000)
    assert measured.cost(lambda: measured.keyturn.services.sessions.end(sub, "A" * 22)) == (2, 0, 2)
    assert measured.cost(lambda: measured.keyturn.authorize(grant.access_token)) == (1, 1, 0)


def test_refresh(measured: Measured) -> None:
    """The state, then one write; the loser's write fails its condition and is billed all the same."""
    first = sign_up(measured.keyturn.services)
    assert measured.cost(lambda: refresh(measured.keyturn.services, first)) == (2, 1, 1)
    assert measured.cost(lambda: refresh(measured.keyturn.services, first)) == (2, 1, 1)


def test_refresh_by_a_thief(measured: Measured) -> None:
    """The refused write, then the denial and the deletion."""
    first = sign_up(measured.keyturn.services)
    refresh(measured.keyturn.services, first)
    measured.keyturn.clock.advance(21)
    assert measured.cost(lambda: refresh(measured.keyturn.services, first), InvalidGrant) == (4, 1, 3)


def test_login(measured: Measured) -> None:
    """Both limiter writes at once, the read, the session. A wrong password saves the last."""
    sign_up(measured.keyturn.services)
    assert measured.cost(lambda: log_in(measured.keyturn.services)) == (3, 1, 3)
    assert measured.cost(lambda: log_in(measured.keyturn.services, WRONG_PASSWORD), InvalidCredentials) == (2, 1, 2)
    unknown = measured.cost(lambda: log_in(measured.keyturn.services, email="x@example.com"), InvalidCredentials)
    assert unknown == (2, 1, 2)


def test_login_with_rehash(measured: Measured) -> None:
    """One write more, beside the session's."""
    sign_up(measured.keyturn.services)
    assert measured.cost(lambda: log_in(with_dearer_hash(measured.keyturn.services))) == (3, 1, 4)


def test_login_that_ends_the_former_session(measured: Measured) -> None:
    """Two writes more, one after the other."""
    carried = decoded(measured.keyturn.services, sign_up(measured.keyturn.services))
    assert measured.cost(lambda: log_in(measured.keyturn.services, carried=carried)) == (5, 1, 5)


def test_login_refused_by_the_limiter(measured: Measured) -> None:
    """One wait, no read, at most two writes."""
    sign_up(measured.keyturn.services)
    for _ in range(20):
        log_in(measured.keyturn.services)
    trips, reads, writes = measured.cost(lambda: log_in(measured.keyturn.services), TooManyRequests)
    assert (trips, reads) == (1, 0)
    assert writes <= 2


def test_forgeries_are_free(measured: Measured) -> None:
    """A forged or malformed token costs no call, wherever it is presented."""
    grant = sign_up(measured.keyturn.services)
    services = measured.keyturn.services
    forged = f"{long_lived(grant).refresh_token[:-8]}AAAAAAAA"
    for text in (forged, "", "nonsense"):
        assert measured.cost(partial(services.refresh_tokens.decode, text, "body"), InvalidGrant) == FREE
    for text in (f"{grant.access_token[:-8]}AAAAAAAA", "", "nonsense", forged):
        assert measured.cost(partial(measured.keyturn.authorize, text), InvalidToken) == FREE


def test_logout(measured: Measured) -> None:
    """The denial, then the deletion."""
    grant = sign_up(measured.keyturn.services)
    assert measured.cost(lambda: log_out(measured.keyturn.services, grant)) == (2, 0, 2)


@pytest.mark.parametrize("sessions", [1, 12])
def test_logout_everywhere(measured: Measured, sessions: int) -> None:
    """The state, then one transaction of three items, however many sessions there are."""
    grants = [sign_up(measured.keyturn.services)] + [log_in(measured.keyturn.services) for _ in range(sessions - 1)]
    principal = measured.keyturn.principal(grants[-1].access_token)
    accounts = measured.keyturn.services.accounts
    assert measured.cost(lambda: accounts.log_out_everywhere(principal, CLIENT)) == (2, 1, 6)


@pytest.mark.parametrize("sessions", [1, 12])
def test_password_change(measured: Measured, sessions: int) -> None:
    """The state; limiter and login at once; one transaction of four items, however many sessions there are."""
    grants = [sign_up(measured.keyturn.services)] + [log_in(measured.keyturn.services) for _ in range(sessions - 1)]
    principal = measured.keyturn.principal(grants[-1].access_token)
    assert measured.cost(lambda: change_password(measured.keyturn.services, principal)) == (3, 2, 9)
