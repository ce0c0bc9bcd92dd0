"""Real tables for tests of what stands above the store."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from chalicelib.domain.records import Denials
from chalicelib.store import items, keys
from chalicelib.store.denials import DENIED_SESSIONS, DENIED_TOKENS
from chalicelib.store.dynamodb import DynamoDBStore
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
    """Let a user, of whom nothing is denied yet, have logged out and revoked as often as there is room for."""
    jtis = frozenset(f"revoked-{number}" for number in range(DENIED_TOKENS))
    sids = frozenset(f"ended-{number}" for number in range(DENIED_SESSIONS))
    assert store.find_denials(sub) == Denials()
    if isinstance(store, FakeStore):
        store.denials[sub] = Denials(sessions=sids, tokens=jtis)
        return
    assert isinstance(store, DynamoDBStore)
    sets = {"sessions": items.text_set(sids), "tokens": items.text_set(jtis)}
    store._client.put_item(TableName=store._table, Item={**keys.deny(sub), **sets})
