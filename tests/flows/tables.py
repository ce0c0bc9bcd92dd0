"""Real tables for tests of what stands above the store."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS, Denials, deny_until, entry
from chalicelib.store import keys
from chalicelib.store.dynamodb import DynamoDBStore
from chalicelib.store.items import values
from tests.world import engines
from tests.world.clock import START
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from chalicelib.store.protocol import Store


@cache
def _client(engine: str) -> DynamoDBClient:
    """One client for each engine and process: making one costs as much as fifty calls."""
    return engines.connect_patiently(engines.start(engine))


def a_table(engine: str = "dynoxide") -> DynamoDBStore:
    """The product's store over an empty table."""
    client = _client(engine)
    return DynamoDBStore(client, engines.make_table(client))


def fill_blacklist(store: Store, sub: str, now: int = START) -> None:
    """Let a user, of whom nothing is denied yet, have logged out and revoked as often as is listed, ten minutes ago."""
    until = deny_until(now - 600)
    jtis = frozenset(entry(f"revoked-{number}", until) for number in range(DENIED_TOKENS))
    sids = frozenset(entry(f"ended-{number}", until) for number in range(DENIED_SESSIONS))
    assert store.find_denials(sub) == Denials()
    if isinstance(store, FakeStore):
        store.denials[sub] = Denials(sessions=sids, tokens=jtis, expires_at=until)
        return
    assert isinstance(store, DynamoDBStore)
    sets = {"sessions": values.text_set(sids), "tokens": values.text_set(jtis), "expires_at": values.number(until)}
    store._client.put_item(TableName=store._table, Item={**keys.deny(sub), **sets})
