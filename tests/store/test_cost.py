"""What each verb costs on an engine that bills as DynamoDB does: every verb is one call, one wait."""

from __future__ import annotations

from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.callers import TRANSPORTS, Caller
from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS, MOST_SESSIONS, MOST_TOKENS, Denials
from chalicelib.domain.events import RANKS, SHOWN_FACTS
from chalicelib.domain.limits import LimitPolicy
from chalicelib.store.outcomes import LateAnswer
from tests.store.samples import (
    NOW,
    a_login,
    a_renewal,
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
from tests.store.test_items import LARGEST, longest
from tests.world.counting import Cost, Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Transport
    from chalicelib.store.outcomes import Renewal
    from tests.store.conftest import Table

DENY_UNTIL = NOW + 1020
POLICY = LimitPolicy("cost", 3600, ((1, 0),), 300)
# As large as an item gets from the outside: an IPv6 address, a full user agent, an address of 254 characters.
CLIENT = Caller(address="2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", user_agent="M" * 200)
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
    """Found or not; a full blacklist still one."""
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


def test_sessions_cost_half_a_unit_for_4_kb_to_read(costs: Costs) -> None:
    """A page of 50 of the longest is 5 units at most, 200 of them 20; what lies beyond the page is not read."""
    sub = costs.session.sub
    page = partial(costs.store.list_sessions, sub, after=None, limit=50)
    assert costs.of(page) == Cost(1, 0.5, 0, ["Query"])
    for number in range(199):
        costs.store.create_session(longest("body", "M" * 200)._replace(sub=sub, sid=f"{number:022}"))
    for limit, most in ((50, 5), (200, 20)):
        cost = costs.of(partial(costs.store.list_sessions, sub, after=None, limit=limit))
        assert (cost.round_trips, cost.operations) == (1, ["Query"])
        assert 0.8 * most <= cost.read_units <= most


def test_removed_sessions_cost_a_unit_each(costs: Costs) -> None:
    """25 are one call."""
    sub = costs.session.sub
    sids = [f"{number:022}" for number in range(25)]
    for sid in sids:
        costs.store.create_session(longest("body", "M" * 200)._replace(sub=sub, sid=sid))
    assert costs.of(partial(costs.store.delete_sessions, sub, sids)) == Cost(1, 0, 25, ["BatchWriteItem"])


def test_refresh_costs_one_unit_also_when_it_loses(costs: Costs) -> None:
    """One UpdateItem, with the largest session; a late answer too."""
    rotation = a_rotation(costs.session)
    assert costs.of(partial(costs.store.rotate_refresh_token, rotation)) == Cost(1, 0, 1, ["UpdateItem"])
    loser = a_rotation(costs.session)
    assert costs.of(partial(costs.store.rotate_refresh_token, loser)) == Cost(1, 0, 1, ["UpdateItem"])
    again = a_rotation(costs.session._replace(generation=1, digest=rotation.next_digest), turned_before=NOW)
    assert costs.of(partial(costs.store.rotate_refresh_token, again)) == Cost(1, 0, 1, ["UpdateItem"])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_writes_of_the_longest_session_cost_one_unit(costs: Costs, transport: Transport) -> None:
    """It is made, noted, turned, answered late, renewed and deleted for one unit each."""
    session = longest(transport, "é" * 200)._replace(generation=LARGEST - 2, used_at=0)
    store = costs.store
    late = LateAnswer(LARGEST - 2, bytes(32), (LARGEST, LARGEST))
    turn = a_rotation(session, now=NOW, turned_before=None, wrapped=b"w" * 32)
    after = session._replace(generation=LARGEST - 1, digest=turn.next_digest, rotated_at=NOW)
    answered = a_rotation(after, now=NOW, turned_before=None, late=late)
    last = after._replace(generation=LARGEST, digest=answered.next_digest)
    for write in (
        partial(store.create_session, session),
        partial(store.touch_session, session.sub, session.sid, now=LARGEST, unless_since=1),
        partial(store.rotate_refresh_token, turn),
        partial(store.rotate_refresh_token, answered),
        partial(store.renew_session, a_renewal(last, key_id="k" * 32, amr=session.amr)),
        partial(store.delete_session, session.sub, session.sid),
    ):
        cost = costs.of(write)
        assert (cost.round_trips, cost.read_units, cost.write_units) == (1, 0, 1), write
    assert store.find_session(session.sub, session.sid) is None


def test_blacklist_costs_a_unit_until_it_has_27_names(costs: Costs) -> None:
    """A second one beyond that; four for the fullest that there can be, which is still read for one unit."""
    sub, store = costs.session.sub, costs.store
    read = partial(store.find_denials, sub)
    for listed in range(DENIED_SESSIONS):
        denied = costs.of(partial(store.deny_session, sub, f"{listed:022}", now=NOW))
        assert denied == Cost(1, 0, 1, ["UpdateItem"])
    for listed in range(DENIED_TOKENS):
        denied = costs.of(partial(store.deny_token, sub, f"{listed:022}", now=NOW))
        assert denied == Cost(1, 0, denied.write_units, ["UpdateItem"])
        assert denied.write_units <= (1 if DENIED_SESSIONS + listed < 27 else 2)
    for full in (store.deny_session, store.deny_token):
        assert costs.of(partial(full, sub, identifier(), now=NOW)).round_trips == 1
    assert costs.of(read) == Cost(1, 1, 0, ["GetItem"])
    seen = store.find_denials(sub)
    stale = partial(store.replace_denials, sub, Denials(), seen)
    assert costs.of(stale) == Cost(1, 0, 1, ["UpdateItem"])  # refused
    compacted = seen.with_name("sessions", identifier(), NOW + 60)
    assert costs.of(partial(store.replace_denials, sub, seen, compacted)).round_trips == 1
    fullest = compacted
    for number in range(MOST_SESSIONS):
        fullest = fullest.with_name("sessions", f"{number:022}", NOW + 60)
        fullest = fullest.with_name("tokens", f"{number:022}", NOW + 60)
    assert (len(fullest.sessions), len(fullest.tokens)) == (MOST_SESSIONS, MOST_TOKENS)
    assert costs.of(partial(store.replace_denials, sub, compacted, fullest)) == Cost(1, 0, 4, ["UpdateItem"])
    assert costs.of(read) == Cost(1, 1, 0, ["GetItem"])


def test_single_writes_cost_one_unit(costs: Costs) -> None:
    """Done or refused."""
    sub, sid = costs.session.sub, costs.session.sid
    touch = partial(costs.store.touch_session, sub, sid, now=NOW + 60, unless_since=NOW + 1)
    count = partial(costs.store.count_attempt, POLICY, EMAIL, NOW)
    rehash = partial(costs.store.replace_password_digest, EMAIL, digest_of(costs.login), "$new")
    renewal = a_renewal(costs.session)
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
        partial(costs.store.renew_session, renewal),
        partial(costs.store.renew_session, a_renewal(costs.session)),  # refused
        partial(costs.store.deny_session, sub, sid, now=NOW),
        partial(costs.store.deny_token, sub, identifier(), now=NOW),
        partial(costs.store.delete_session, sub, sid),
        partial(costs.store.delete_session, sub, sid),  # nothing there
        partial(costs.store.begin_login, b"digest", a_transaction(linking=(sub, sid, 7))),
        partial(costs.store.take_login, b"digest", "attempt", NOW),
        partial(costs.store.take_login, b"digest", "another", NOW),  # refused
        partial(costs.store.take_login, b"unknown", "attempt", NOW),  # refused
    ):
        cost = costs.of(write)
        assert (cost.round_trips, cost.read_units, cost.write_units) == (1, 0, 1), write


def test_transactions_cost_two_units_an_item_however_many_sessions(costs: Costs) -> None:
    """Password change 8, logout everywhere 6; refused ones are counted as the most that they can be billed."""
    for _ in range(30):
        costs.store.create_session(a_session(costs.session.sub))
    renewal = a_renewal(costs.session, epoch=1)
    change = partial(costs.store.change_password, costs.login, "$new", renewal, deny_until=DENY_UNTIL)
    assert costs.of(change) == Cost(1, 0, 8, ["TransactWriteItems"])
    assert costs.of(change) == Cost(1, 0, 8, ["TransactWriteItems"])
    account = costs.store.find_account(costs.session.sub)
    assert account
    everywhere = partial(costs.store.raise_epoch, account, deny_until=DENY_UNTIL)
    assert costs.of(everywhere) == Cost(1, 0, 6, ["TransactWriteItems"])
    assert costs.of(everywhere) == Cost(1, 0, 6, ["TransactWriteItems"])
    taken = partial(costs.store.create_account, a_login(email=EMAIL), a_session(identifier()))
    assert costs.of(taken) == Cost(1, 0, 6, ["TransactWriteItems"])


def test_identities_cost_two_units_more_each(costs: Costs) -> None:
    """A first arrival 8, a link 4 to 8, unlinking 6, a take-over 8 and its markers; the longest address included."""
    identity = an_identity(email=EMAIL)
    login = an_arrival(identity, email=f"{EMAIL[1:]}m")
    sub = login.account.sub
    session = a_session(sub, address=CLIENT.address, user_agent=CLIENT.user_agent)
    store = costs.store

    def assert_cost(units: int, call: Callable[[], object]) -> None:
        assert costs.of(call) == Cost(1, 0, units, ["TransactWriteItems"])

    assert_cost(8, partial(store.create_account, login, session))
    assert costs.of(partial(store.find_identity, identity.issuer, identity.subject)) == Cost(1, 1, 0, ["GetItem"])

    def renewal(epoch: int = 0) -> Renewal:
        (held,), _ = store.list_sessions(sub, after=None, limit=2)
        return a_renewal(held, epoch=epoch)

    assert_cost(6, partial(store.unlink_identity, login, "google", renewal()))
    bare = an_arrival(sub=sub, email=login.account.email)
    assert_cost(4, partial(store.link_identity, bare, identity, proves=None, session=None))
    store.unlink_identity(login, "google", renewal())
    assert_cost(6, partial(store.link_identity, bare, identity, proves=None, session=session))
    store.unlink_identity(login, "google", renewal())
    assert_cost(6, partial(store.link_identity, bare, identity, proves=None, session=renewal()))
    assert_cost(8, partial(store.change_password, login, "$first", renewal(1), deny_until=DENY_UNTIL))

    unproven, other = a_login(elsewhere()), a_login()
    for account in (unproven, other):
        store.create_account(account, a_session(account.account.sub, sid="only"))
    asking = a_renewal(a_session(other.account.sub, sid="only"))
    link = partial(store.link_identity, other, an_identity(), proves=EMAIL, session=asking)
    assert_cost(8, link)
    assert_cost(8, link)  # refused
    assert_cost(10, partial(store.take_over_account, unproven, an_identity(), proves=EMAIL, deny_until=DENY_UNTIL))
    assert_cost(8, partial(store.take_over_account, costs.login, an_identity(), proves=EMAIL, deny_until=DENY_UNTIL))


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
    for rank in RANKS:
        most = 50 / 4 / 2 if rank == "other" else 0.5  # the other two ranges are empty
        read = costs.of(partial(costs.store.list_events, sub, rank=rank, now=NOW, limit=50))
        assert (read.round_trips, read.operations) == (1, ["Query"])
        assert read.read_units <= most
    assert costs.of(partial(costs.store.list_events, "nobody", rank="other", now=NOW, limit=50)).read_units <= 1


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
