"""The rights of a function's role. moto evaluates no policy: here the deployed policies are read and applied.

Only the part of IAM that these policies use. Any other part (Deny, other operators) is an AssertionError.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends

from tests.rehearsal.authorizers import covers
from tests.rehearsal.aws import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.rehearsal.aws import LocalAws

# In a key condition, the partition key's value.
FIRST_VALUE = re.compile(r"^\S+ = (:\w+)")
LEADING_KEYS, ATTRIBUTES = "dynamodb:LeadingKeys", "dynamodb:Attributes"


@dataclass(frozen=True, slots=True)
class Act:
    """An action on a resource. `keys` are the request's condition keys, each with its values."""

    action: str
    resource: str
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read(parameter: str) -> Act:
    """Reading a parameter by its name, which begins with a slash."""
    return Act("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{parameter}")


def on_table(operation: str, table: str, leading: Iterable[str], attributes: Iterable[str] = ()) -> Act:
    """A DynamoDB operation on items of these partition keys, which names these attributes."""
    keys = {LEADING_KEYS: tuple(leading), ATTRIBUTES: tuple(attributes)}
    resource = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"
    return Act(f"dynamodb:{operation}", resource, {name: values for name, values in keys.items() if values})


@dataclass(frozen=True, slots=True)
class Rights:
    """The policy document of a function's role."""

    document: Mapping[str, Any]

    @classmethod
    def of(cls, aws: LocalAws, function: str) -> Rights:
        """Read them from AWS. The role must have a single inline policy, no attached policy, and trust Lambda alone."""
        iam = aws.client("iam")
        arn = aws.client("lambda").get_function_configuration(FunctionName=function)["Role"]
        role = arn.rpartition("/")[2]
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        (trust,) = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert (trust["Action"], trust["Principal"]) == ("sts:AssumeRole", {"Service": "lambda.amazonaws.com"})
        return cls(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])

    def statements(self) -> Iterator[dict[str, Any]]:
        """The statements, with `Action` and `Resource` as lists."""
        for statement in self.document["Statement"]:
            assert statement["Effect"] == "Allow"
            assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
            yield {**statement, "Action": _listed(statement["Action"]), "Resource": _listed(statement["Resource"])}

    def actions(self) -> set[str]:
        """Every action of every statement."""
        return {action for statement in self.statements() for action in statement["Action"]}

    def allow(self, act: Act) -> bool:
        """Whether any statement allows the act."""
        return any(
            act.action in statement["Action"]
            and any(covers(resource, act.resource) for resource in statement["Resource"])
            and _holds(statement.get("Condition", {}), act.keys)
            for statement in self.statements()
        )


@contextmanager
def enforced(aws: LocalAws, refused: list[str]) -> Iterator[None]:
    """Refuse a function's calls that its role does not allow, as AWS does; each refusal is added to `refused`."""

    def admit(caller: str, target: str, request: Mapping[str, Any]) -> str | None:
        rights = _held_by(caller)
        beyond = [act for act in acts_of(target, request) if not rights.allow(act)] if rights else []
        if not beyond:
            return None
        refusal = f"{caller} is not authorized to perform {beyond[0].action} on {beyond[0].resource} {beyond[0].keys}"
        refused.append(refusal)
        return refusal

    aws.admit = admit
    try:
        yield
    finally:
        aws.admit = None


def _held_by(function: str) -> Rights | None:
    """The rights of the function's role, from moto's memory, as every call asks; None for another caller."""
    try:
        arn = lambda_backends[ACCOUNT][REGION].get_function(function).role
    except UnknownFunctionException:
        return None
    (document,) = iam_backends[ACCOUNT]["aws"].get_role(arn.rpartition("/")[2]).policies.values()
    return Rights(json.loads(document))


def _holds(condition: Mapping[str, Any], keys: Mapping[str, tuple[str, ...]]) -> bool:
    return all(
        _operator(operator, keys.get(key), _listed(wanted))
        for operator, wanted_by_key in condition.items()
        for key, wanted in wanted_by_key.items()
    )


def _operator(operator: str, held: tuple[str, ...] | None, wanted: list[str]) -> bool:
    """ForAllValues holds where the request has no such key; Null "false" asks for the key."""
    match operator:
        case "Null":
            return (held is None) == (wanted == ["true"])
        case "ForAllValues:StringEquals":
            return all(value in wanted for value in held or ())
        case "ForAllValues:StringLike":
            return all(any(covers(pattern, value) for pattern in wanted) for value in held or ())
    message = f"no such operator here: {operator}"
    raise AssertionError(message)


def acts_of(target: str, request: Mapping[str, Any]) -> list[Act]:
    """The acts that a call needs rights for: an act for each item, table or parameter. `target` is its X-Amz-Target."""
    service, _, operation = target.partition(".")
    if service == "AmazonSSM":
        assert operation == "GetParameters", target
        return [read(name) for name in request["Names"]]
    assert service == "DynamoDB_20120810", target
    match operation:
        case "TransactWriteItems":
            parts = [part for item in request["TransactItems"] for part in item.items()]
            return [_on_item(f"{kind}Item", part) for kind, part in parts]
        case "BatchGetItem" | "BatchWriteItem":
            return [_on_batch(operation, table, asked) for table, asked in request["RequestItems"].items()]
        case "Query" | "Scan":
            values = FIRST_VALUE.findall(request.get("KeyConditionExpression", ""))
            leading = [request["ExpressionAttributeValues"][value]["S"] for value in values]
            return [on_table(operation, request["TableName"], leading, _names(request))]
    return [_on_item(operation, request)]


def _on_batch(operation: str, table: str, asked: Any) -> Act:
    """The act of a batch on a table."""
    if operation == "BatchGetItem":
        return on_table(operation, table, [_partition(key) for key in asked["Keys"]], _names(asked))
    return on_table(operation, table, [_partition(_written(write)) for write in asked])


def _on_item(operation: str, request: Mapping[str, Any]) -> Act:
    """The act of an operation on a single item. The key's attributes count as named."""
    named = request.get("Key") or request["Item"]
    return on_table(operation, request["TableName"], [_partition(named)], {*named, *_names(request)})


def _partition(key: Mapping[str, Any]) -> str:
    """The partition key's value, in Keyturn's table or in the example's."""
    return str(key["pk" if "pk" in key else "sub"]["S"])


def _names(request: Mapping[str, Any]) -> set[str]:
    return set(request.get("ExpressionAttributeNames", {}).values())


def _written(write: Mapping[str, Any]) -> Mapping[str, Any]:
    item: Mapping[str, Any] = write["PutRequest"]["Item"] if "PutRequest" in write else write["DeleteRequest"]["Key"]
    return item


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
