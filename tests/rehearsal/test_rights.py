"""The rehearsal's AWS refuses calls that a function's deployed policy does not allow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.rehearsal.rights import Act, Rights, acts_of, on_table, read
from tests.rehearsal.test_flow import assert_problem

if TYPE_CHECKING:
    from tests.rehearsal.stack import RunningStack
    from tests.world.client import Client

DYNAMODB = "DynamoDB_20120810"
GUARD = "keyturn-dev-guard"
KEY = {"pk": {"S": "user#ada"}, "sk": {"S": "state"}}


def rights(condition: dict[str, Any], action: str = "dynamodb:UpdateItem", table: str = "keyturn-dev") -> Rights:
    """A policy with a single statement."""
    resource = f"arn:aws:dynamodb:*:*:table/{table}"
    return Rights({"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition}]})


LEADING = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["user#*", "deny#?"]}}
NAMED = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "sk", "used_at"]}}
THERE = {"Null": {"dynamodb:LeadingKeys": "false"}}


@pytest.mark.parametrize(
    ("condition", "leading", "attributes", "allowed"),
    [
        ({}, [], [], True),
        (LEADING, ["user#ada"], [], True),
        (LEADING, ["deny#a"], [], True),
        (LEADING, ["user#ada", "login#ada"], [], False),
        (LEADING, ["deny#ada"], [], False),
        (LEADING, [], [], True),  # ForAllValues holds of no value
        ({**LEADING, **THERE}, [], [], False),
        ({**LEADING, **THERE}, ["user#ada"], [], True),
        (NAMED, ["user#ada"], ["pk", "used_at"], True),
        (NAMED, ["user#ada"], ["pk", "used_at", "epoch"], False),
        ({**LEADING, **NAMED}, ["login#ada"], ["used_at"], False),
    ],
)
def test_conditions(condition: dict[str, Any], leading: list[str], attributes: list[str], allowed: bool) -> None:  # noqa: FBT001  # a case
    """Every value must be listed, and every condition must hold."""
    assert rights(condition).allow(on_table("UpdateItem", "keyturn-dev", leading, attributes)) is allowed


def test_other_actions_and_resources() -> None:
    """Actions and resources that no statement names are denied."""
    assert not rights({}).allow(on_table("PutItem", "keyturn-dev", ["user#ada"]))
    assert not rights({}).allow(on_table("UpdateItem", "keyturn-prod", ["user#ada"]))
    assert not rights({}).allow(read("/keyturn/dev/public"))


def test_unknown_parts_of_a_policy() -> None:
    """An unknown operator or effect fails the rehearsal."""
    with pytest.raises(AssertionError):
        rights({"StringEquals": {"dynamodb:LeadingKeys": ["user#ada"]}}).allow(
            on_table("UpdateItem", "keyturn-dev", [])
        )
    with pytest.raises(AssertionError):
        Rights({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}).actions()


@pytest.mark.parametrize(
    ("target", "request_", "acts"),
    [
        ("AmazonSSM.GetParameters", {"Names": ["/a", "/b"]}, [read("/a"), read("/b")]),
        (
            f"{DYNAMODB}.UpdateItem",
            {"TableName": "t", "Key": KEY, "ExpressionAttributeNames": {"#n": "epoch"}},
            [on_table("UpdateItem", "t", ["user#ada"], {"pk", "sk", "epoch"})],
        ),
        (
            f"{DYNAMODB}.TransactWriteItems",
            {
                "TransactItems": [
                    {"Put": {"TableName": "t", "Item": KEY}},
                    {"ConditionCheck": {"TableName": "t", "Key": KEY}},
                ]
            },
            [on_table(f"{kind}Item", "t", ["user#ada"], {"pk", "sk"}) for kind in ("Put", "ConditionCheck")],
        ),
        (
            f"{DYNAMODB}.BatchGetItem",
            {"RequestItems": {"t": {"Keys": [KEY, {**KEY, "pk": {"S": "deny#ada"}}]}}},
            [on_table("BatchGetItem", "t", ["user#ada", "deny#ada"])],
        ),
        (
            f"{DYNAMODB}.BatchWriteItem",
            {"RequestItems": {"t": [{"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": KEY}}]}},
            [on_table("BatchWriteItem", "t", ["user#ada", "user#ada"])],
        ),
        (
            f"{DYNAMODB}.Query",
            {
                "TableName": "t",
                "KeyConditionExpression": "#pk = :pk AND begins_with(#sk, :sk)",
                "ExpressionAttributeNames": {"#pk": "pk", "#sk": "sk"},
                "ExpressionAttributeValues": {":pk": {"S": "user#ada"}, ":sk": {"S": "session#"}},
            },
            [on_table("Query", "t", ["user#ada"], {"pk", "sk"})],
        ),
    ],
)
def test_acts_of_a_call(target: str, request_: dict[str, Any], acts: list[Act]) -> None:
    """Each item, table and parameter that the call names needs a right."""

    def comparable(act: Act) -> tuple[str, str, dict[str, list[str]]]:
        return act.action, act.resource, {name: sorted(values) for name, values in act.keys.items()}

    assert [comparable(act) for act in acts_of(target, request_)] == [comparable(act) for act in acts]


def test_function_that_lacks_a_right(
    dev: RunningStack, client: Client, credentials: dict[str, Any], refused: list[str]
) -> None:
    """AWS refuses the call, the client sees 503, and the refusal is recorded; with the right restored it is 200."""
    session = client.call("POST", "/signup", credentials).json
    iam = dev.aws.client("iam")
    document = dict(Rights.of(dev.aws, GUARD).document)
    without = [statement for statement in document["Statement"] if statement["Sid"] != "Blacklist"]

    def put(policy: dict[str, Any]) -> None:
        iam.put_role_policy(RoleName=GUARD, PolicyName=GUARD, PolicyDocument=json.dumps(policy))

    put({**document, "Statement": without})
    try:
        assert_problem(client.call("GET", "/me", bearer=session["access_token"]), 503, "unavailable")
    finally:
        put(document)
    assert refused
    assert all(f"{GUARD} is not authorized to perform dynamodb:GetItem" in refusal for refusal in refused)
    refused.clear()
    assert client.call("GET", "/me", bearer=session["access_token"]).status == 200
