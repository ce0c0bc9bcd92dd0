"""The contract of the security events: each is kept once, under its owner, and the last ones are read first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.store.samples import NOW, an_event, identifier

if TYPE_CHECKING:
    from chalicelib.store.protocol import Store


def test_last_events_come_first(store: Store) -> None:
    """By their second, and within it by their id; no more than are asked for."""
    sub = identifier()
    events = [an_event(sub, at=NOW + second, id=name) for second in (-5, 0, 7) for name in ("a#1", "b#0")]
    store.record_events([events[number] for number in (3, 0, 5, 1, 4, 2)])
    assert store.list_events(sub, 50) == tuple(reversed(events))
    assert store.list_events(sub, 2) == (events[5], events[4])


def test_alarms_come_before_all_others(store: Store) -> None:
    """However many other events came later: they are what somebody may want to push out of reach. The newest first."""
    sub = identifier()
    alarms = [an_event(sub, at=NOW + second, outcome="alarm", event="refresh_token_reused") for second in (0, 1)]
    others = [an_event(sub, at=NOW + second) for second in range(2, 12)]
    store.record_events([*others, *alarms])
    assert store.list_events(sub, 5) == (alarms[1], alarms[0], *others[:-4:-1])


def test_order_holds_when_seconds_gain_a_digit(store: Store) -> None:
    """Keys are text: without leading zeros 999 would come after 1000."""
    sub = identifier()
    earlier, later = an_event(sub, at=999_999_999), an_event(sub, at=1_000_000_000)
    store.record_events([later, earlier])
    assert store.list_events(sub, 50) == (later, earlier)


@pytest.mark.parametrize("number", [0, 1, 25, 26, 60])
def test_any_number_is_kept(store: Store, number: int) -> None:
    """However many a call to DynamoDB takes."""
    sub = identifier()
    given = [an_event(sub, at=NOW + second) for second in range(number)]
    store.record_events(given)
    assert store.list_events(sub, 100) == tuple(reversed(given))


def test_repeated_delivery_keeps_one(store: Store) -> None:
    """In one call, where DynamoDB would refuse all of them, and in a later one."""
    sub = identifier()
    event = an_event(sub)
    store.record_events([event, replace(event)])
    store.record_events([event])
    assert store.list_events(sub, 50) == (event,)


def test_events_are_their_owners(store: Store) -> None:
    """Those of another account are in another partition, also where one sub begins as the other."""
    sub = identifier()
    mine, other = an_event(sub), an_event(f"{sub}x")
    store.record_events([mine, other])
    assert store.list_events(sub, 50) == (mine,)
    assert store.list_events(identifier(), 50) == ()


def test_expired_events_are_listed_until_the_table_drops_them(store: Store) -> None:
    """TTL lags by days: what has expired is the service's to tell."""
    event = an_event(identifier(), expires_at=NOW - 1)
    store.record_events([event])
    assert store.list_events(event.sub, 50) == (event,)


@pytest.mark.parametrize("agent", ["a" * 200, "nul\x00", "\udc80", "é" * 100])
def test_user_agent_is_the_callers(store: Store, agent: str) -> None:
    """As with sessions: 160 bytes at most, and whatever it holds, the event is kept."""
    event = an_event(identifier(), user_agent=agent)
    store.record_events([event])
    (kept,) = store.list_events(event.sub, 50)
    assert len(kept.user_agent.encode()) <= 160
    assert replace(kept, user_agent=agent) == event
