"""A new stage from one entry in .chalice/config.json: it deploys, serves, and may do what its own names allow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.rehearsal.asking import chronicle, verdict
from tests.rehearsal.holder import Holder
from tests.rehearsal.rights import Rights, on_table, read
from tests.rehearsal.stack import copy_project, deployed
from tests.rehearsal.test_flow import assert_problem
from tests.rehearsal.test_lifecycle import inventory
from tests.unit.guarded import KINDS
from tests.world.client import Client
from tests.world.constants import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.stack import RunningStack, Stack

ALL = ("", "-authorize", "-chronicle", "-guard")


def copied(name: str) -> Any:
    """A project whose config.json holds the entry of `prod` once more, under another name. Nothing else is changed."""

    def layout(to: Path) -> Path:
        project = copy_project(to)
        path = project / ".chalice/config.json"
        document = json.loads(path.read_text())
        document["stages"][name] = document["stages"]["prod"]
        path.write_text(json.dumps(document))
        return project

    return layout


def assert_serves(stack: RunningStack) -> Holder:
    """Sign-up, refresh and guarded requests succeed, by bearer token and by cookie; the owner's events are kept."""
    stack.aws.client("dynamodb").describe_table(TableName=stack.table_name)
    for transport in ("cookie", "session", "body"):
        holder = Holder.sign_up(stack, transport)
        assert holder.refresh().status == 200, stack.tail()
        me = holder.call("GET", "/me")
        assert (me.status, me.json["email"]) == (200, holder.email), stack.tail()
    for kind in KINDS:
        assert verdict(stack, "guard", kind, holder.authorization) == "Allow"
    assert verdict(stack, "authorize", "rest-token", holder.authorization) == "Allow"
    chronicle(stack)
    events = holder.call("GET", "/security-events").json["events"]
    assert [event["event"] for event in events][-1] == "signed_up"
    return holder


def assert_keeps_to_itself(stack: Stack, *, tables: tuple[str, ...], parameters: tuple[str, ...]) -> None:
    """Each function has rights to the stage's own table and keys, and none to these."""
    name = f"keyturn-{stack.stage}"
    for suffix in ALL:
        held = Rights.of(stack.aws, f"{name}{suffix}")
        user = (["user#a"], ["pk", "sk", "used_at"])
        tried = [act.partition(":")[2] for act in held.actions() if act.startswith("dynamodb:")]
        for table in tables:
            assert not any(held.allow(on_table(operation, table, *user)) for operation in tried)
        for prefix in parameters:
            assert not held.allow(read(f"{prefix}/public"))
    assert Rights.of(stack.aws, f"{name}-guard").allow(on_table("BatchGetItem", stack.table_name, ["user#a"]))
    assert Rights.of(stack.aws, f"{name}-guard").allow(read(f"{stack.parameters}/sessions"))


def test_stage_from_one_entry(aws: LocalAws) -> None:
    """The entry of `prod`, copied and given other names, is a stage; its policies follow, also a renamed table."""
    before = inventory(aws)
    settings = {
        "KEYTURN_TABLE": "Accounts.of_eu-1",
        "KEYTURN_PARAMETERS": "/team/auth.v2",
        "KEYTURN_ALLOWED_ORIGINS": ORIGIN,
    }
    with deployed("third", aws=aws, settings=settings, layout=copied("third")) as stack:
        assert not {"table keyturn-third", "parameter /keyturn/third/public"} & inventory(aws)
        assert_keeps_to_itself(stack, tables=("keyturn-third",), parameters=("/keyturn/third",))
        former = assert_serves(stack)

        stack.configure({"KEYTURN_TABLE": "renamed"})
        stack.deploy()
        assert_keeps_to_itself(stack, tables=("Accounts.of_eu-1",), parameters=("/keyturn/third",))
        assert_serves(stack)
        assert former.try_to_log_in(former.password).status == 401  # whose account is in the former table

        stack.make("rotate-keys", "STAGE=third")
        stack.restart()
        assert_serves(stack)
        stack.destroy(with_table=True)
    assert inventory(aws) - before == {"table Accounts.of_eu-1"}


def test_stage_whose_entry_names_nothing(aws: LocalAws, dev: RunningStack) -> None:
    """The entry of `prod`, copied as it is, is a stage with a table, keys and an audience of its own."""
    before = inventory(aws)
    with deployed("fourth", aws=aws, settings={"KEYTURN_ALLOWED_ORIGINS": ORIGIN}, layout=copied("fourth")) as stack:
        made = inventory(aws) - before
        assert {"table keyturn-fourth", "parameter /keyturn/fourth/public", "role keyturn-fourth-guard"} <= made
        holder = assert_serves(stack)
        assert_keeps_to_itself(stack, tables=(dev.table_name,), parameters=(dev.parameters,))
        reply = Client(dev.url).call("GET", "/me", headers=holder.authorization)
        assert_problem(reply, 401, "invalid_token")
        stack.destroy(with_table=True)
    assert inventory(aws) == before


@pytest.mark.parametrize("command", ["infra.deploy", "infra.destroy"])
def test_copied_entry_with_the_keys_of_another_stage(aws: LocalAws, dev: RunningStack, command: str) -> None:
    """The copy of an entry that names its parameters is refused: it would be deployed over that stage's API."""
    path = dev.project / ".chalice/config.json"
    original, before = path.read_text(), inventory(aws)
    document = json.loads(original)
    document["stages"]["copy"] = {"environment_variables": {"KEYTURN_PARAMETERS": "/keyturn/dev"}}
    path.write_text(json.dumps(document))
    try:
        failed = dev.run(command, "--stage", "copy", check=False)
    finally:
        path.write_text(original)
    assert (failed.returncode, failed.stdout) == (1, "")
    (line,) = failed.stderr.splitlines()
    assert "KEYTURN_PARAMETERS of the stage 'copy' is /keyturn/dev, and the stage 'dev' has its keys there" in line
    assert inventory(aws) == before


@pytest.mark.parametrize("command", ["infra.deploy", "infra.rotate", "infra.destroy"])
def test_misspelt_name_stops_every_command(aws: LocalAws, dev: RunningStack, command: str) -> None:
    """A variable that nothing reads stops the command in a line with the nearest name, and nothing is changed."""
    path = dev.project / ".chalice/config.json"
    original, before = path.read_text(), inventory(aws)
    dev.configure({"KEYTURN_PARAMETER": "/keyturn/other"})
    try:
        failed = dev.run(command, "--stage", "dev", check=False)
    finally:
        path.write_text(original)
    assert (failed.returncode, failed.stdout) == (1, "")
    name = command.partition(".")[2]
    assert failed.stderr == f"{name}: KEYTURN_PARAMETER is no setting, the nearest is KEYTURN_PARAMETERS\n"
    assert inventory(aws) == before
