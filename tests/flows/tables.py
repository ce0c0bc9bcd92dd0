"""Real tables for tests of what stands above the store."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from chalicelib.domain.records import Denials
from chalicelib.store import items, keys
from chalicelib.store.dynamodb import DENIED_SESSIONS, DynamoDBStore
from tests import engines
from tests.fakes_store import FakeStore

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


def fill_blacklist(store: Store, sub: str) -> None:
    """Let a user, of whom nothing is denied yet, have logged out as often as the blacklist has room for."""
    sids = frozenset(f"ended-{number}" for number in range(DENIED_SESSIONS))
    assert store.find_denials(sub) == Denials()
    if isinstance(store, FakeStore):
        store.denials[sub] = Denials(sessions=sids)
        return
    assert isinstance(store, DynamoDBStore)
    store._client.put_item(TableName=store._table, Item={**keys.deny(sub), "sessions": items.text_set(sids)})
