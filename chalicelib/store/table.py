"""The table as every aggregate reaches it: the client, the table's name, and the calls that several aggregates make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store import requests
from chalicelib.store.calls import TransactionRefused, send, transact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from chalicelib.store.items.values import Item
    from chalicelib.store.keys import Key
    from chalicelib.store.requests import Request


class Table:
    """What every aggregate's verbs stand on; DynamoDBStore is all of them on one table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def _get(self, key: Key) -> Item:
        return send(self._client.get_item, requests.read(self._table, key)).get("Item", {})

    def _all_hold(self, writes: Sequence[Request]) -> bool:
        try:
            transact(self._client, writes)
        except TransactionRefused:
            return False
        return True
