"""What each function of each stage may do in AWS: its policy as rendered, evaluated as IAM would (tests/world/iam.py).

What the functions need is asked of the code itself: tests/flows/test_rights.py. Here stands what each must not be able
to do, whatever code runs in it: of a function that only decides, what decides about anybody.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.world.iam import ATTRIBUTES, KEYS, STAGES, Ask, allows, policy_of, stage_of, to_parameter, to_table

ROOT = Path(__file__).parents[3]
FUNCTIONS = ("api_handler", "authorize", "chronicle", "guard")
stages = pytest.mark.parametrize("stage", STAGES)
each_function = pytest.mark.parametrize("function", FUNCTIONS)

# Every kind of partition that the table has or is to have: what stands before the `#`.
PARTITIONS = (
    *("login", "user", "identity", "deny", "limit", "once", "events", "mail", "address", "deletion", "credential"),
    *("suppressed", "unknown"),
)
# What functions that only decide may do, by operation and partition. UpdateItem of guard: the note of use alone.
DECIDING = {
    "authorize": {("GetItem", "deny")},
    "guard": {("GetItem", "deny"), ("BatchGetItem", "user"), ("UpdateItem", "user")},
    "chronicle": {("BatchWriteItem", "events")},
}
API_OPERATIONS = {
    *("BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "DeleteItem"),
    *("GetItem", "PutItem", "Query", "UpdateItem"),
}
KEY_ATTRIBUTES = {"pk", "sk"}
NOTE_OF_USE = {"used_at"}
# What decides about a person, a session or a credential, now or by the design's next issues.
DECIDES = {
    *("digest", "wrapped", "generation", "floor", "key_id", "epoch", "rotated_at", "auth_time", "amr", "transport"),
    *("expires_at", "idle_expires_at", "absolute_expires_at", "created_at", "late_wrapped", "late_base", "late_at"),
    *("device", "from", "second_at", "address", "user_agent", "sub", "sid", "email", "password_digest", "roles"),
    *("disabled", "email_verified", "identities", "given_up", "factors_changed_at", "deletes_at", "before_epoch"),
    *("issued_before", "sessions", "tokens", "n", "last_at", "taken_by", "two_step", "linked_at"),
}
PARAMETERS = {
    "api_handler": {"public", "sessions", "logins", "signing/kid", "provider/google", "withdrawn"},
    "authorize": {"public", "withdrawn"},
    "guard": {"public", "sessions", "withdrawn"},
    "chronicle": set[str](),
}
NAMES = {
    *("public", "sessions", "logins", "root", "factors", "signing/kid", "provider/google", "api-id", "signing"),
    *("sessions/a", "sessions2", "session", "public/a", "public2", "roots", "unknown"),
    *("withdrawn", "withdrawn2", "withdrawn/a"),
}


@cache
def operations(service: str) -> frozenset[str]:
    """The service's API, and what IAM alone knows by name: checks in transactions, and PartiQL."""
    names = {*botocore.session.get_session().get_service_model(service).operation_names}
    if service == "dynamodb":
        names |= {"ConditionCheckItem", *(f"PartiQL{verb}" for verb in ("Delete", "Insert", "Select", "Update"))}
    assert {"GetItem", "GetParameters", "PutLogEvents"} & names
    return frozenset(names)


@cache
def attributes() -> frozenset[str]:
    """Every name by which chalicelib/store knows an attribute, and those that decide: the former include the latter."""
    found = {*DECIDES}
    for path in (ROOT / "chalicelib/store").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        found |= {*re.findall(r'"([a-z_]+)":', source), *re.findall(r"#([a-z_]+)", source)}
    assert {"generation", "digest", "roles", "before_epoch", "password_digest"} <= found
    return frozenset(found)


# Evaluation -----------------------------------------------------------------------------------------------------------


def policy(effect: str = "Allow", **statement: Any) -> dict[str, Any]:
    """A document of one statement about any item of any table."""
    return {"Statement": [{"Effect": effect, "Action": "dynamodb:GetItem", "Resource": "*", **statement}]}


def test_evaluation_is_iams() -> None:
    """The evaluator holds what IAM's documentation says, also where it surprises: ForAllValues holds for no value."""
    ask, keyless = to_table("GetItem", "t", {"deny#a"}), to_table("GetItem", "t", ())
    mine = {"ForAllValues:StringLike": {KEYS: "deny#*"}}
    assert allows(policy(), ask)
    assert allows(policy(Action="DYNAMODB:getitem"), ask)
    assert not allows(policy(Action="dynamodb:GetItems"), ask)
    assert not allows(policy(Resource="arn:aws:dynamodb:*:*:table/T"), ask)
    assert allows(policy(Resource="arn:aws:dynamodb:*:*:table/?"), ask)
    assert allows(policy(Condition=mine), ask)
    assert allows(policy(Condition=mine), keyless)
    assert not allows(policy(Condition={**mine, "Null": {KEYS: "false"}}), keyless)
    assert not allows(policy(Condition=mine), to_table("GetItem", "t", {"deny#a", "user#a"}))
    assert not allows(policy(Condition={"ForAllValues:StringEquals": {ATTRIBUTES: ["pk"]}}), ask)
    denied = {"Statement": [*policy()["Statement"], *policy("Deny", Condition=mine)["Statement"]]}
    assert not allows(denied, ask)
    with pytest.raises(KeyError):
        allows(policy(Condition={"StringLikeIfExists": {KEYS: "deny#*"}}), ask)
    with pytest.raises(AssertionError):
        allows(policy(NotResource="*"), ask)


# The table ------------------------------------------------------------------------------------------------------------


@stages
@pytest.mark.parametrize("function", DECIDING)
def test_functions_that_decide_reach_nothing_else(stage: str, function: str) -> None:
    """Of every operation and every partition, `authorize`, `guard` and `chronicle` have those of DECIDING and no more.

    No PutItem, DeleteItem, query or transaction; no login, identity, one-time secret, counter or event to read.
    """
    document = policy_of(stage, function)
    allowed = {
        (operation, partition)
        for operation, partition in product(operations("dynamodb"), PARTITIONS)
        for named in (None, KEY_ATTRIBUTES, KEY_ATTRIBUTES | NOTE_OF_USE)
        if allows(document, to_table(operation, stage_of(stage).table, {f"{partition}#a"}, named))
    }
    assert allowed == DECIDING[function]


@stages
@pytest.mark.parametrize("function", DECIDING)
def test_partitions_are_not_smuggled_in(stage: str, function: str) -> None:
    """A request that names a foreign partition beside an allowed one is refused whole, and so is one without a key."""
    document = policy_of(stage, function)
    for operation, own in DECIDING[function]:
        for named in (None, KEY_ATTRIBUTES, KEY_ATTRIBUTES | NOTE_OF_USE):
            assert not allows(document, to_table(operation, stage_of(stage).table, (), named))
            for other in {*PARTITIONS} - {own}:
                both = {f"{own}#a", f"{other}#a"}
                assert not allows(document, to_table(operation, stage_of(stage).table, both, named))
            for odd in (own, f"{own.upper()}#a", f"x{own}#a", f" {own}#a"):
                assert not allows(document, to_table(operation, stage_of(stage).table, {odd}, named))


@stages
def test_guard_writes_nothing_that_decides(stage: str) -> None:
    """Code that runs as guard forges no refresh token, undoes no logout, gives no role: it writes `used_at` alone."""
    document = policy_of(stage, "guard")

    def writes(named: set[str] | None) -> bool:
        return allows(document, to_table("UpdateItem", stage_of(stage).table, {"user#a"}, named))

    assert writes(KEY_ATTRIBUTES | NOTE_OF_USE)
    assert not writes(None)  # a request that names no attribute is not taken for a harmless one
    for attribute in attributes() - KEY_ATTRIBUTES - NOTE_OF_USE:
        for named in ({attribute}, KEY_ATTRIBUTES | {attribute}, KEY_ATTRIBUTES | NOTE_OF_USE | {attribute}):
            assert not writes(named), attribute
    assert {*attributes()} >= DECIDES
    assert not NOTE_OF_USE & DECIDES


@stages
def test_api_function(stage: str) -> None:
    """It checks, reads and writes single items of its table, and queries it. No scan, no administration."""
    document = policy_of(stage, "api_handler")
    for partition in PARTITIONS:
        asked = {name: to_table(name, stage_of(stage).table, {f"{partition}#a"}) for name in operations("dynamodb")}
        assert {name for name, ask in asked.items() if allows(document, ask)} == API_OPERATIONS


@stages
@each_function
def test_other_tables_are_out_of_reach(stage: str, function: str) -> None:
    """Neither another stage's table nor another of the account, nor this one's streams, indexes, backups or exports."""
    document = policy_of(stage, function)
    own = stage_of(stage).table
    others = [stage_of(other).table for other in STAGES if other != stage]
    others += [f"{own}2", "orders", *(f"{own}/{part}/a" for part in ("stream", "index", "backup", "export"))]
    for table, operation, partition in product(others, operations("dynamodb"), PARTITIONS):
        assert not allows(document, to_table(operation, table, {f"{partition}#a"}, KEY_ATTRIBUTES | NOTE_OF_USE))


# Keys -----------------------------------------------------------------------------------------------------------------


@stages
@each_function
def test_functions_read_their_keys_and_no_other(stage: str, function: str) -> None:
    """`guard` reads the public set and the group `sessions`, `authorize` the public set, `chronicle` no parameter.

    None reads the root secret of the version before, a parameter that is not its own, or another stage's.
    """
    document = policy_of(stage, function)
    readable = {name for name in NAMES if allows(document, to_parameter(f"{stage_of(stage).parameters}/{name}"))}
    assert readable == PARAMETERS[function]
    others = [stage_of(other).parameters for other in STAGES if other != stage]
    for name, prefix in product(NAMES, [*others, "/orders", ""]):
        assert not allows(document, to_parameter(f"{prefix}/{name}"))


@stages
@each_function
def test_keys_are_read_and_nothing_else(stage: str, function: str) -> None:
    """No function lists, writes, deletes or administers parameters, its own included."""
    document = policy_of(stage, function)
    for operation, name in product(operations("ssm") - {"GetParameters"}, NAMES):
        assert not allows(document, to_parameter(f"{stage_of(stage).parameters}/{name}", operation))


# The rest -------------------------------------------------------------------------------------------------------------


@stages
@each_function
def test_functions_write_their_own_log(stage: str, function: str) -> None:
    """Streams and lines of one log group; making a group or reading lines is no function's business."""
    document = policy_of(stage, function)
    suffixes = {name: "" if name == "api_handler" else f"-{name}" for name in FUNCTIONS}
    allowed = {
        (name, action)
        for name, action in product(FUNCTIONS, operations("logs"))
        if allows(
            document,
            Ask(
                f"logs:{action}",
                "arn:aws:logs:eu-central-1:123456789012:log-group:"
                f"/aws/lambda/keyturn-{stage}{suffixes[name]}:log-stream:a",
            ),
        )
    }
    assert allowed == {(function, "CreateLogStream"), (function, "PutLogEvents")}


@stages
@each_function
def test_no_other_service_is_named(stage: str, function: str) -> None:
    """Functions use the table, the parameter store and their log: no role, key, function or queue."""
    actions: list[str] = []
    for statement in policy_of(stage, function)["Statement"]:
        named = statement["Action"]
        actions += [named] if isinstance(named, str) else named
    assert {action.partition(":")[0] for action in actions} <= {"dynamodb", "ssm", "logs"}


@stages
@each_function
def test_no_wildcards(stage: str, function: str) -> None:
    """No action has a wildcard; a resource has one for region, account and the last part below a name at most."""
    for statement in policy_of(stage, function)["Statement"]:
        actions, resources = statement["Action"], statement["Resource"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action
        for resource in [resources] if isinstance(resources, str) else resources:
            assert re.fullmatch(r"arn:aws:[a-z]+:\*:\*:[a-z-]+[/:][^*?]+(/\*|:\*)?", resource), resource
