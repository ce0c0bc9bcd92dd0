"""What each verb costs on an engine that bills as DynamoDB does: every verb is one call, one wait."""

from __future__ import annotations

from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS, Denials
from chalicelib.domain.events import SHOWN_FACTS
from chalicelib.domain.limits import LimitPolicy
from chalicelib.domain.records import Client
from tests.counting import Cost, Meter
from tests.store.samples import (
    NOW,
    a_login,
    a_rotation,
    a_session,
    a_transaction,
    an_arrival,
    an_event,
    an_identity,
    digest_of,
    elsewhere,
    identifier,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.conftest import Table

DENY_UNTIL = NOW + 1020
POLICY = LimitPolicy("cost", 3600, ((1, 0),), 300)
# As large as an item gets from the outside: an IPv6 address, a full user agent, an address of 254 characters.
CLIENT = Client(address="2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", user_agent="M" * 200)
EMAIL = "e" * 242 + "@example.com"


class Costs:
    """Measures verbs on one table."""

    def __init__(self, table: Table) -> None:
        self.store = table.store
        self.meter = Meter(table.client)
        self.login = a_login(email=EMAIL)
        self.session = a_session(self.login.account.sub, address=CLIENT.address, user_agent=CLIENT.user_agent)

    def of(self, call: Callable[[], object]) -> Cost:
        """The cost of one call."""
        with self.meter.measure() as cost:
            call()
        return cost


@pytest.fixture
def costs(dynoxide_table: Table) -> Costs:
    """An account with one session, and a meter."""
    costs = Costs(dynoxide_table)
    assert costs.of(partial(costs.store.create_account, costs.login, costs.session)) == Cost(
        1, 0, 6, ["TransactWriteItems"]
    )
    return costs


def test_reads_cost_one_unit(costs: Costs) -> None:
    """Found or not; a list costs a unit for each 4 KB, a full blacklist still one."""
    sub = costs.session.sub
    for read in (
        partial(costs.store.find_login, EMAIL),
        partial(costs.store.find_login, "nobody@example.com"),
        partial(costs.store.find_account, sub),
        partial(costs.store.find_session, sub, costs.session.sid),
        partial(costs.store.find_denials, sub),
        partial(costs.store.find_identity, "https://accounts.google.com", "nobody"),
    ):
        assert costs.of(read) == Cost(1, 1, 0, ["GetItem"])
    for sid in (costs.session.sid, "gone"):
        both = partial(costs.store.find_session_and_account, sub, sid)
        assert costs.of(both) == Cost(1, 2, 0, ["BatchGetItem"])
    assert costs.of(partial(costs.store.list_sessions, sub)) == Cost(1, 1, 0, ["Query"])
    for _ in range(DENIED_SESSIONS):
        costs.store.deny_session(sub, identifier(), deny_until=DENY_UNTIL)
    for _ in range(DENIED_TOKENS):
        costs.store.deny_token(sub, identifier(), deny_until=DENY_UNTIL)
    for full in (costs.store.deny_session, costs.store.deny_token):
        assert costs.of(partial(full, sub, identifier(), deny_until=DENY_UNTIL)) == Cost(1, 0, 1, ["UpdateItem"])
    assert costs.of(partial(costs.store.find_denials, sub)) == Cost(1, 1, 0, ["GetItem"])


def test_refresh_costs_one_unit_also_when_it_loses(costs: Costs) -> None:
    """One UpdateItem, with the largest session."""
    rotation = a_rotation(costs.session, client=CLIENT)
    assert costs.of(partial(costs.store.rotate_refresh_token, rotation)) == Cost(1, 0, 1, ["UpdateItem"])
    loser = a_rotation(costs.session, client=CLIENT)
    assert costs.of(partial(costs.store.rotate_refresh_token, loser)) == Cost(1, 0, 1, ["UpdateItem"])


def test_single_writes_cost_one_unit(costs: Costs) -> None:
    """Done or refused."""
    sub, sid = costs.session.sub, costs.session.sid
    touch = partial(costs.store.touch_session, costs.session, idle_expires_at=NOW + 9999, now=NOW + 60, client=CLIENT)
    count = partial(costs.store.count_attempt, POLICY, EMAIL, NOW)
    rehash = partial(costs.store.replace_password_digest, EMAIL, digest_of(costs.login), "$new")
    for write in (
        count,
        count,  # refused
        partial(costs.store.return_attempt, POLICY, EMAIL, NOW),
        partial(costs.store.return_attempt, POLICY, EMAIL, NOW),  # refused
        rehash,
        partial(costs.store.replace_password_digest, EMAIL, "$other", "$another"),  # refused
        partial(costs.store.create_session, a_session(sub, user_agent=CLIENT.user_agent)),
        touch,
        touch,  # refused
        partial(costs.store.deny_session, sub, sid, deny_until=DENY_UNTIL),
        partial(costs.store.deny_token, sub, identifier(), deny_until=DENY_UNTIL),
        partial(costs.store.deny_issued_before, sub, Denials(), NOW, deny_until=DENY_UNTIL),  # refused
        partial(costs.store.deny_issued_before, sub, Denials(sessions=frozenset({sid})), NOW, deny_until=DENY_UNTIL),
        partial(costs.store.delete_session, sub, sid),
        partial(costs.store.delete_session, sub, sid),  # nothing there
        partial(costs.store.create_transaction, b"digest", a_transaction(linking=(sub, sid))),
        partial(costs.store.consume_transaction, b"digest", "attempt", NOW),
        partial(costs.store.consume_transaction, b"digest", "another", NOW),  # refused
        partial(costs.store.consume_transaction, b"unknown", "attempt", NOW),  # refused
    ):
        cost = costs.of(write)
        assert (cost.round_trips, cost.read_units, cost.write_units) == (1, 0, 1), write


def test_transactions_cost_two_units_an_item_however_many_sessions(costs: Costs) -> None:
    """Password change 8, logout everywhere 6; refused ones are counted as the most that they can be billed."""
    for _ in range(30):
        costs.store.create_session(a_session(costs.session.sub))
    change = partial(
        costs.store.change_password,
        costs.login,
        "$new",
        costs.session.sid,
        now=NOW,
        deny_until=DENY_UNTIL,
        session_digest=bytes(32),
    )
    assert costs.of(change) == Cost(1, 0, 8, ["TransactWriteItems"])
    account = costs.store.find_account(costs.session.sub)
    assert account
    everywhere = partial(costs.store.raise_epoch, account, deny_until=DENY_UNTIL)
    assert costs.of(everywhere) == Cost(1, 0, 6, ["TransactWriteItems"])
    assert costs.of(everywhere) == Cost(1, 0, 6, ["TransactWriteItems"])
    taken = partial(costs.store.create_account, a_login(email=EMAIL), a_session(identifier()))
    assert costs.of(taken) == Cost(1, 0, 6, ["TransactWriteItems"])


def test_identities_cost_two_units_more_each(costs: Costs) -> None:
    """A first arrival 8, a link 4 to 8, unlinking 4, a take-over 8 and its markers; the longest address included."""
    identity = an_identity(email=EMAIL)
    login = an_arrival(identity, email=f"{EMAIL[1:]}m")
    sub = login.account.sub
    session = a_session(sub, address=CLIENT.address, user_agent=CLIENT.user_agent)
    store = costs.store

    def assert_cost(units: int, call: Callable[[], object]) -> None:
        assert costs.of(call) == Cost(1, 0, units, ["TransactWriteItems"])

    assert_cost(8, partial(store.create_account, login, session))
    assert costs.of(partial(store.find_identity, identity.issuer, identity.subject)) == Cost(1, 1, 0, ["GetItem"])
    assert_cost(4, partial(store.unlink_identity, login, "google"))
    bare = an_arrival(sub=sub, email=login.account.email)
    assert_cost(4, partial(store.link_identity, bare, identity, proves_email=False, sid=None, now=NOW))
    store.unlink_identity(login, "google")
    assert_cost(6, partial(store.link_identity, bare, identity, proves_email=False, sid=session.sid, now=NOW))
    assert_cost(8, partial(store.change_password, login, "$first", session.sid, now=NOW, deny_until=DENY_UNTIL))

    unproven, other = a_login(elsewhere()), a_login()
    for account in (unproven, other):
        store.create_account(account, a_session(account.account.sub, sid="only"))
    link = partial(store.link_identity, other, an_identity(), proves_email=True, sid="only", now=NOW)
    assert_cost(8, link)
    assert_cost(8, link)  # refused
    assert_cost(10, partial(store.take_over_account, unproven, an_identity(), deny_until=DENY_UNTIL))
    assert_cost(8, partial(store.take_over_account, costs.login, an_identity(), deny_until=DENY_UNTIL))


def test_events_cost_a_unit_each_to_keep_and_half_a_unit_for_4_kb_to_read(costs: Costs) -> None:
    """With the longest facts that `chronicle` keeps; 25 are one call."""
    sub = costs.session.sub
    facts = dict.fromkeys(SHOWN_FACTS.values(), "f" * 64)
    many = [
        an_event(
            sub, address=CLIENT.address, user_agent=CLIENT.user_agent, facts=facts, event="password_change_refused"
        )
        for _ in range(60)
    ]
    assert costs.of(partial(costs.store.record_events, many)) == Cost(3, 0, 60, ["BatchWriteItem"] * 3)
    assert costs.of(partial(costs.store.record_events, [])) == Cost()
    read = costs.of(partial(costs.store.list_events, sub, 50))
    assert (read.round_trips, read.operations) == (1, ["Query"])
    assert read.read_units <= 50 / 4 / 2
    assert costs.of(partial(costs.store.list_events, "nobody", 50)).read_units <= 1


def test_calls_made_at_once_are_one_wait(costs: Costs) -> None:
    """What another thread calls meanwhile is billed, and is no wait of the caller's."""

    def two_counters() -> None:
        beside = Thread(target=partial(costs.store.count_attempt, POLICY, "beside", NOW))
        beside.start()
        costs.store.count_attempt(POLICY, "here", NOW)
        beside.join()

    assert costs.of(two_counters) == Cost(1, 0, 2, ["UpdateItem", "UpdateItem"])


def test_nothing_is_counted_outside_a_measurement(costs: Costs) -> None:
    """A cost is that of the work inside alone."""
    with costs.meter.measure() as cost:
        pass
    costs.store.find_account("sub")
    assert cost == Cost()
