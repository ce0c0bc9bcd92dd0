"""Orders in a table of the API's own: `sub` says whose, `id` which."""

from __future__ import annotations

import uuid
from functools import lru_cache
from typing import Any

import boto3


@lru_cache(maxsize=1)
def _client() -> Any:  # noqa: ANN401  # boto3's own are made at run time
    return boto3.client("dynamodb")


class Orders:
    """One stage's orders. Every method raises what boto3 raises."""

    def __init__(self, table: str) -> None:
        self._table = table

    def add(self, sub: str, dish: str) -> dict[str, str]:
        """Keep an order, and return it."""
        order = {"sub": sub, "id": uuid.uuid4().hex, "dish": dish}
        _client().put_item(TableName=self._table, Item={name: {"S": value} for name, value in order.items()})
        return order

    def of(self, sub: str) -> list[dict[str, str]]:
        """One user's orders, the first 1 MB of them."""
        found = _client().query(
            TableName=self._table,
            KeyConditionExpression="#sub = :sub",
            ExpressionAttributeNames={"#sub": "sub"},
            ExpressionAttributeValues={":sub": {"S": sub}},
        )
        return [_order(item) for item in found["Items"]]

    def all(self) -> list[dict[str, str]]:
        """Everybody's orders, the first 1 MB of them."""
        return [_order(item) for item in _client().scan(TableName=self._table)["Items"]]


def _order(item: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: value["S"] for name, value in item.items()}
