"""IAM's decision about a request, as far as this project's policies use its language. moto evaluates no condition.

The rules are those of the IAM User Guide ("Policy evaluation logic", "IAM JSON policy elements: Condition operators")
and of the DynamoDB Developer Guide ("Using IAM policy conditions for fine-grained access control"):

- A request is allowed where a statement allows it and no statement denies it.
- `ForAllValues` holds where each value of the request's key is among the policy's; also where the request has no value.
- `Null` with "false" holds where the request has the key.
- A batch or a transaction has one set of partition keys (`dynamodb:LeadingKeys`), and is decided as a whole; each write
  of a transaction is an action of its own, PutItem, UpdateItem, DeleteItem or ConditionCheckItem.
- `dynamodb:Attributes` are the top-level attributes that the request names: its keys, and those of its expressions.

What the policies do not use is an error here, never a guess.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra import role_policies
from infra.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
CONFIG = json.loads((ROOT / ".chalice/config.json").read_text())
# A stage of other names than Keyturn's own: it shows a name that stands in a template, where it should be filled in.
RENAMED = {"KEYTURN_TABLE": "Accounts.of_eu-1", "KEYTURN_PARAMETERS": "/Team_1/auth.v2"}
DOCUMENT = {**CONFIG, "stages": {**CONFIG["stages"], "renamed": {"environment_variables": RENAMED}}}
STAGES = sorted(DOCUMENT["stages"])
ACCOUNT = "eu-central-1:123456789012"
KEYS = "dynamodb:LeadingKeys"
ATTRIBUTES = "dynamodb:Attributes"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as IAM sees it: what is to be done, with what, and the values of its condition keys."""

    action: str
    resource: str
    context: Mapping[str, frozenset[str]] = field(default_factory=dict)


def stage_of(name: str) -> Stage:
    """The stage, with its settings."""
    return Stage(name, DOCUMENT)


def policy_of(stage: str, function: str) -> dict[str, Any]:
    """The policy document of a function as deployment renders it, by chalice's name of the function."""
    document: dict[str, Any] = role_policies.render(stage_of(stage))[function]
    assert document["Version"] == "2012-10-17"
    return document


def allows(policy: Mapping[str, Any], ask: Ask) -> bool:
    """The decision about a request. A statement of another form than IAM's elements that are used here is an error."""
    effects = set()
    for statement in policy["Statement"]:
        assert {*statement} <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
        if (
            any(_like(action, ask.action, ignore_case=True) for action in _list(statement["Action"]))
            and any(_like(resource, ask.resource) for resource in _list(statement["Resource"]))
            and _holds(statement.get("Condition", {}), ask.context)
        ):
            effects.add(statement["Effect"])
    assert effects <= {"Allow", "Deny"}
    return effects == {"Allow"}


def to_table(
    operation: str, table: str, partitions: Iterable[str], attributes: Iterable[str] | None = ("pk", "sk")
) -> Ask:
    """A request to a table about these partition keys, naming these attributes, or no attribute at all for None."""
    context = {KEYS: frozenset(partitions)}
    if attributes is not None:
        context[ATTRIBUTES] = frozenset(attributes)
    arn = f"arn:aws:dynamodb:{ACCOUNT}:table/{table}"
    return Ask(f"dynamodb:{operation}", arn, {key: values for key, values in context.items() if values})


def to_parameter(name: str, operation: str = "GetParameters") -> Ask:
    """A request for one parameter. GetParameters of several is decided about each."""
    return Ask(f"ssm:{operation}", f"arn:aws:ssm:{ACCOUNT}:parameter{name}")


def of_request(operation: str, request: Mapping[str, Any]) -> list[Ask]:
    """What a request of boto3's DynamoDB client asks of IAM."""
    match operation:
        case "TransactWriteItems":
            asked = []
            for entry in request["TransactItems"]:
                ((kind, write),) = entry.items()
                asked += of_request("ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item", write)
            return asked
        case "BatchGetItem" | "BatchWriteItem":
            ((table, wanted),) = request["RequestItems"].items()
            items = wanted["Keys"] if operation == "BatchGetItem" else [_written(write) for write in wanted]
            named = {name for item in items for name in item}
            return [to_table(operation, table, {item["pk"]["S"] for item in items}, named)]
        case "Query":
            partition = {request["ExpressionAttributeValues"][":pk"]["S"]}
            assert request["KeyConditionExpression"].startswith("#pk = :pk")
            return [to_table(operation, request["TableName"], partition, _named(request))]
    item = request["Item"] if "Item" in request else request["Key"]
    return [to_table(operation, request["TableName"], {item["pk"]["S"]}, {*item, *_named(request)})]


def _written(write: Mapping[str, Any]) -> Mapping[str, Any]:
    ((kind, request),) = write.items()
    return request["Item" if kind == "PutRequest" else "Key"]  # type: ignore[no-any-return]  # boto3's


def _named(request: Mapping[str, Any]) -> set[str]:
    """The attributes that the request's expressions name, which all begin with `#` (chalicelib/store/requests.py)."""
    return {*request.get("ExpressionAttributeNames", {}).values()}


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, frozenset[str]]) -> bool:
    return all(
        OPERATORS[operator](context.get(key, frozenset()), _list(expected))
        for operator, keys in conditions.items()
        for key, expected in keys.items()
    )


def _null(values: frozenset[str], expected: Sequence[str]) -> bool:
    (absent,) = expected
    return {"true": not values, "false": bool(values)}[absent]


OPERATORS: Mapping[str, Callable[[frozenset[str], Sequence[str]], bool]] = {
    "ForAllValues:StringLike": lambda values, expected: all(any(_like(e, value) for e in expected) for value in values),
    "ForAllValues:StringEquals": lambda values, expected: values <= {*expected},
    "Null": _null,
}


def _like(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """IAM's wildcards: `*` stands for any text, `?` for one character."""
    expression = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(expression, value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _list(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
