"""The contract of the security events: each is kept once, under its owner, and the last ones are read first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.events import RANKS
from tests.store.samples import NOW, an_event, identifier

if TYPE_CHECKING:
    from typing import Any

    from chalicelib.domain.events import Rank
    from chalicelib.store.protocol import Store
    from tests.store.conftest import Table


def read(store: Store, sub: str, limit: int = 50, *, rank: Rank = "other", now: int = NOW + 999) -> tuple[Any, ...]:
    """The user's last events."""
    return store.list_events(sub, rank=rank, now=now, limit=limit)


@pytest.mark.parametrize("rank", RANKS)
def test_last_events_come_first(store: Store, *, rank: Rank) -> None:
    """By their second, and within it by their id; no more than are asked for."""
    sub = identifier()
    events = [an_event(sub, at=NOW + second, id=name, rank=rank) for second in (-5, 0, 7) for name in ("a#1", "b#0")]
    store.record_events([events[number] for number in (3, 0, 5, 1, 4, 2)])
    assert read(store, sub, rank=rank) == tuple(reversed(events))
    assert read(store, sub, 2, rank=rank) == (events[5], events[4])


def test_each_rank_is_a_list_of_its_own(store: Store) -> None:
    """However many events of other ranks come later: somebody may want to push a change of access out of reach."""
    sub = identifier()
    changes = [an_event(sub, at=NOW + second, rank="access", event="identity_linked") for second in (0, 1)]
    alarms = [an_event(sub, at=NOW + second, rank="alarm", outcome="alarm") for second in range(2, 5)]
    others = [an_event(sub, at=NOW + second) for second in range(5, 15)]
    store.record_events([*others, *alarms, *changes])
    assert read(store, sub, 5, rank="access") == (changes[1], changes[0])
    assert read(store, sub, 5, rank="alarm") == (alarms[2], alarms[1], alarms[0])
    assert read(store, sub, 5) == tuple(others[:-6:-1])


@pytest.mark.parametrize("rank", RANKS)
def test_event_is_listed_from_its_time_on(store: Store, *, rank: Rank) -> None:
    """Not a second earlier; until then it pushes nothing out of reach, and its own time comes back."""
    sub = identifier()
    late = [an_event(sub, at=NOW + second, shown_at=NOW + 7200 + second, rank=rank) for second in range(3)]
    early = an_event(sub, at=NOW - 1, rank=rank)
    store.record_events([*late, early])
    assert read(store, sub, 2, rank=rank, now=NOW + 7199) == (early,)
    assert read(store, sub, 2, rank=rank, now=NOW + 7200) == (late[0], early)
    assert read(store, sub, 2, rank=rank, now=NOW + 7202) == (late[2], late[1])
    assert [read(store, sub, rank=other, now=NOW + 9999) for other in RANKS if other != rank] == [(), ()]


def test_order_holds_when_seconds_gain_a_digit(store: Store) -> None:
    """Keys are text: without leading zeros 999 would come after 1000."""
    sub = identifier()
    earlier, later = an_event(sub, at=999_999_999), an_event(sub, at=1_000_000_000)
    store.record_events([later, earlier])
    assert read(store, sub) == (later, earlier)
    assert read(store, sub, now=999_999_999) == (earlier,)


@pytest.mark.parametrize("name", ["refresh_token_reused", "identity_linked", "account_taken_over"])
def test_event_of_a_version_before(table: Table, name: str) -> None:
    """What it kept in the range of alarms, without a time of its own, is read there, changes of access included."""
    sub = identifier()
    alarm = an_event(sub, outcome="alarm", event=name, rank="alarm")
    table.store.record_events([alarm])
    items = table.client.query(
        TableName=table.name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"events#{sub}"}},
    )["Items"]
    assert [item["sk"] for item in items] == [{"S": f"alarm#{NOW:012d}#{alarm.id}"}]
    assert "at" not in items[0]
    assert read(table.store, sub, rank="alarm") == (alarm,)


@pytest.mark.parametrize("number", [0, 1, 25, 26, 60])
def test_any_number_is_kept(store: Store, number: int) -> None:
    """However many a call to DynamoDB takes."""
    sub = identifier()
    given = [an_event(sub, at=NOW + second) for second in range(number)]
    store.record_events(given)
    assert read(store, sub, 100) == tuple(reversed(given))


def test_repeated_delivery_keeps_one(store: Store) -> None:
    """In one call, where DynamoDB would refuse all of them, and in a later one."""
    sub = identifier()
    event = an_event(sub)
    store.record_events([event, type(event)(*event)])
    store.record_events([event])
    assert read(store, sub) == (event,)


def test_events_are_their_owners(store: Store) -> None:
    """Those of another account are in another partition, also where one sub begins as the other."""
    sub = identifier()
    mine, other = an_event(sub), an_event(f"{sub}x")
    store.record_events([mine, other])
    assert read(store, sub) == (mine,)
    assert read(store, identifier()) == ()


def test_expired_events_are_listed_until_the_table_drops_them(store: Store) -> None:
    """TTL lags by days: what has expired is the service's to tell."""
    event = an_event(identifier(), expires_at=NOW - 1)
    store.record_events([event])
    assert read(store, event.sub) == (event,)


@pytest.mark.parametrize("agent", ["a" * 200, "nul\x00", "\udc80", "é" * 100])
def test_user_agent_is_the_callers(store: Store, agent: str) -> None:
    """As with sessions: 160 bytes at most, and whatever it holds, the event is kept."""
    event = an_event(identifier(), user_agent=agent)
    store.record_events([event])
    (kept,) = read(store, event.sub)
    assert len(kept.user_agent.encode()) <= 160
    assert kept._replace(user_agent=agent) == event
