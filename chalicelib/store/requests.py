"""Requests to DynamoDB, as plain values.

In expressions every name begins with `#` and every value with `:`, so that no attribute is ever taken for one of
DynamoDB's several hundred reserved words. The names are read from the expressions: none can be forgotten or left over.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.store.items.values import Item, Value
    from chalicelib.store.keys import Key

Request = dict[str, Any]

_NAME = re.compile(r"#(\w+)")


def read(table: str, key: Key) -> Request:
    """One item as it is after every write that was answered."""
    return {"TableName": table, "Key": key, "ConsistentRead": True}


def read_all(table: str, wanted: Sequence[Key]) -> Request:
    """Several items, each as `read` reads one."""
    return {"RequestItems": {table: {"Keys": wanted, "ConsistentRead": True}}}


def read_range(
    table: str, pk: Value, first_and_last: tuple[Value, Value], limit: int, *, backwards: bool = False
) -> Request:
    """At most `limit` items of a partition between two sort keys, as some copy of the table has them."""
    first, last = first_and_last
    condition = "#pk = :pk AND #sk BETWEEN :first AND :last"
    return {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": _names(condition),
        "ExpressionAttributeValues": {":pk": pk, ":first": first, ":last": last},
        "ConsistentRead": False,
        "ScanIndexForward": not backwards,
        "Limit": limit,
    }


def put_all(table: str, items: Sequence[Item]) -> Request:
    """Put several items, each whatever is there. Each has a key of its own: DynamoDB refuses two puts of one key."""
    return {"RequestItems": {table: [{"PutRequest": {"Item": item}} for item in items]}}


def delete_all(table: str, wanted: Sequence[Key]) -> Request:
    """Delete several items, those that are there."""
    return {"RequestItems": {table: [{"DeleteRequest": {"Key": key}} for key in wanted]}}


def delete(table: str, key: Key) -> Request:
    """Delete the item, if it is there."""
    return {"TableName": table, "Key": key}


def delete_if(table: str, key: Key, condition: str, values: Mapping[str, Value]) -> Request:
    """Delete the item where the condition holds; a refusal returns the item as it is."""
    return {**delete(table, key), **_where(condition, values)}


def check(table: str, key: Key, condition: str, values: Mapping[str, Value]) -> Request:
    """Change nothing, and have a transaction refused where the condition does not hold."""
    return {"TableName": table, "Key": key, **_where(condition, values)}


def put_new(table: str, item: Item) -> Request:
    """Put the item where there is none; a refusal returns the one that is there."""
    absent = "attribute_not_exists(#pk)"
    return {
        "TableName": table,
        "Item": item,
        "ConditionExpression": absent,
        "ExpressionAttributeNames": _names(absent),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def update(table: str, key: Key, change: str, values: Mapping[str, Value]) -> Request:
    """Change the item, or make it."""
    return {
        "TableName": table,
        "Key": key,
        "UpdateExpression": change,
        "ExpressionAttributeNames": _names(change),
        "ExpressionAttributeValues": values,
    }


def update_if(table: str, key: Key, condition: str, change: str, values: Mapping[str, Value]) -> Request:
    """Change the item where the condition holds; a refusal returns the item as it is."""
    return {
        **update(table, key, change, values),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": _names(change, condition),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _where(condition: str, values: Mapping[str, Value]) -> Request:
    return {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": _names(condition),
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


@cache
def _names(*expressions: str) -> Mapping[str, str]:
    """The attribute names of the expressions, which are few and constant."""
    return {f"#{name}": name for expression in expressions for name in _NAME.findall(expression)}
