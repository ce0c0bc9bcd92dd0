"""Requests to DynamoDB, as plain values.

In expressions every name begins with `#` and every value with `:`, so that no attribute is ever taken for one of
DynamoDB's several hundred reserved words. The names are read from the expressions: none can be forgotten or left over.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from chalicelib.store.items import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.store.items import Item, Value
    from chalicelib.store.keys import Key

Request = dict[str, Any]

_NAME = re.compile(r"#(\w+)")


def read(table: str, key: Key) -> Request:
    """One item as it is after every write that was answered."""
    return {"TableName": table, "Key": key, "ConsistentRead": True}


def read_partition(table: str, pk: Value) -> Request:
    """Every item of a partition, as `read` reads one."""
    return {
        "TableName": table,
        "KeyConditionExpression": "#pk = :pk",
        "ExpressionAttributeNames": _names("#pk"),
        "ExpressionAttributeValues": {":pk": pk},
        "ConsistentRead": True,
    }


def delete(table: str, key: Key) -> Request:
    """Delete the item, if it is there."""
    return {"TableName": table, "Key": key}


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


def lets_through(policy: LimitPolicy, now: int) -> tuple[str, dict[str, Value]]:
    """The policy as one condition, with the values that it names.

    The counter is new, or few enough attempts lie behind it for a spacing that has passed since the last one, or the
    final spacing has passed. Spacings only grow, so that no clause lets through what an earlier one holds back.
    """
    clauses = ["attribute_not_exists(#n)"]
    values: dict[str, Value] = {}
    for tier, (limit, spacing) in enumerate(policy.tiers):
        below_limit = f"#n < :limit{tier}"
        values[f":limit{tier}"] = number(limit)
        if spacing:
            rested = f"#last_at <= :rested{tier}"
            values[f":rested{tier}"] = number(now - spacing)
            clauses.append(f"({below_limit} AND {rested})")
        else:
            clauses.append(below_limit)
    clauses.append("#last_at <= :rested")
    values[":rested"] = number(now - policy.final_spacing)
    return " OR ".join(clauses), values


@cache
def _names(*expressions: str) -> Mapping[str, str]:
    """The attribute names of the expressions, which are few and constant."""
    return {f"#{name}": name for expression in expressions for name in _NAME.findall(expression)}
