"""Security events, from what deployed functions print to what their owner reads.

What the functions print is put into CloudWatch Logs by the test, as Lambda does it. moto hands every line to the
subscription's destination, whatever the filter's pattern is; the deployed zip of `chronicle` is run for it.
"""

from __future__ import annotations

import base64
import gzip
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from moto.awslambda.models import LambdaFunction

from infra import events
from infra.stage import Stage
from tests.rehearsal.aws import ACCOUNT, REGION
from tests.world.ageing import age
from tests.world.invocations import ALB, PAYLOAD_2, SCHEDULE, SNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rehearsal.stack import RunningStack
    from tests.world.client import Client

GROUPS = ["/aws/lambda/keyturn-dev", "/aws/lambda/keyturn-dev-authorize", "/aws/lambda/keyturn-dev-guard"]


class Printed:
    """What the functions print from now on, and the way of it through CloudWatch Logs."""

    def __init__(self, stack: RunningStack) -> None:
        self._stack, self._seen = stack, 0
        self.invoked: list[str] = []
        self.lines()

    def lines(self) -> list[str]:
        """What has been printed since the last time."""
        log = self._stack.log.read_bytes() if self._stack.log.exists() else b""
        new, self._seen = log[self._seen :], len(log)
        return new.decode().splitlines(keepends=True)

    def deliver(self, lines: list[str]) -> None:
        """Put the lines into the API function's log group. Lambda runs what CloudWatch Logs invokes."""
        logs, stream = self._stack.aws.client("logs"), f"stream-{time.monotonic_ns()}"
        logs.create_log_stream(logGroupName=GROUPS[0], logStreamName=stream)
        now = int(time.time() * 1000)
        put = [{"timestamp": now, "message": line} for line in lines]
        with self._lambda():
            logs.put_log_events(logGroupName=GROUPS[0], logStreamName=stream, logEvents=put)

    @contextmanager
    def _lambda(self) -> Iterator[None]:
        def invoke(function: Any, body: str, *_: object) -> str:
            self.invoked.append(function.function_name)
            outcome = self._stack.function_of(function.function_arn).invoke(_as_aws_sends(json.loads(body)))
            assert outcome.error is None, outcome
            return ""

        with mock.patch.object(LambdaFunction, "invoke", invoke):
            yield


def _as_aws_sends(event: dict[str, Any]) -> dict[str, Any]:
    """A delivery with ids as text, 56 digits long, where moto's are numbers."""
    delivery = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    for entry in delivery["logEvents"]:
        entry["id"] = f"{entry['id']:056d}"
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(delivery).encode())).decode()}}


def test_owner_reads_what_the_functions_printed(dev: RunningStack, client: Client, credentials: dict[str, Any]) -> None:
    """Sign-up, a wrong password, a login and a theft; another user sees none of it."""
    printed = Printed(dev)
    first = client.call("POST", "/signup", credentials).json
    other = client.call("POST", "/signup", {**credentials, "email": f"other-{credentials['email']}"}).json
    assert client.call("POST", "/login", {**credentials, "password": "wrong"}).status == 401
    stolen = client.call("POST", "/login", credentials).json
    assert client.call("POST", "/refresh", {"refresh_token": stolen["refresh_token"]}).status == 200
    age(dev.aws.client("dynamodb"), dev.table_name, stolen, 60)
    assert client.call("POST", "/refresh", {"refresh_token": stolen["refresh_token"]}).status == 401

    printed.deliver(printed.lines())
    assert printed.invoked == ["keyturn-dev-chronicle"]
    listed = client.call("GET", "/security-events", bearer=first["access_token"])
    assert listed.status == 200, listed
    seen = [event["event"] for event in listed.json["events"]]
    assert seen == ["refresh_token_reused", "logged_in", "login_refused", "signed_up"]
    assert listed.json["events"][0]["session_id"] == stolen["session_id"]
    for secret in (credentials["password"], stolen["refresh_token"], first["access_token"]):
        assert secret.encode() not in listed.body

    theirs = client.call("GET", "/security-events", bearer=other["access_token"]).json["events"]
    assert [event["event"] for event in theirs] == ["signed_up"]


def test_theft_is_a_metric_of_the_function(dev: RunningStack, client: Client, credentials: dict[str, Any]) -> None:
    """The line that a deployed function prints names the function, in the embedded metric format."""
    printed = Printed(dev)
    first = client.call("POST", "/signup", credentials).json
    client.call("POST", "/refresh", {"refresh_token": first["refresh_token"]})
    age(dev.aws.client("dynamodb"), dev.table_name, first, 60)
    client.call("POST", "/refresh", {"refresh_token": first["refresh_token"]})
    (line,) = [json.loads(line) for line in printed.lines() if "refresh_token_reused" in line]
    assert line["FunctionName"] == "keyturn-dev"
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["FunctionName"]]
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 120


def test_events_of_others_and_pings(dev: RunningStack) -> None:
    """Each deployed function names what is not its own in one line of its log, without a trace; a ping is no line."""
    for name, function in dev.functions.items():
        function.invoke({"warmup": True})
        read = dev.log.stat().st_size
        for event in ({}, SCHEDULE, SNS, ALB, PAYLOAD_2):
            assert function.invoke(event).error is None, name
        assert function.invoke({"warmup": True}).result == {}
        lines = dev.log.read_bytes()[read:].decode().splitlines()
        assert [json.loads(line)["event"] for line in lines] == ["foreign_event"] * 5, name


def test_every_log_but_its_own_goes_to_chronicle(dev: RunningStack) -> None:
    """Lines that name an account, of three groups; its own would go round in circles."""
    logs = dev.aws.client("logs")
    function = dev.functions["keyturn-dev-chronicle"].config.arn
    for group in GROUPS:
        (found,) = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
        assert (found["filterName"], found["destinationArn"]) == ("keyturn-security-events", function)
        assert found["filterPattern"] == '{ ($.event = "*") && ($.sub = "*") }'
    own = logs.describe_subscription_filters(logGroupName="/aws/lambda/keyturn-dev-chronicle")
    assert own["subscriptionFilters"] == []


def test_nobody_but_these_logs_may_ask_it(dev: RunningStack) -> None:
    """CloudWatch Logs, for three groups of this account: a group of another account may have the same name."""
    policy = json.loads(dev.aws.client("lambda").get_policy(FunctionName="keyturn-dev-chronicle")["Policy"])
    assert len(policy["Statement"]) == len(GROUPS)
    sources = set()
    for statement in policy["Statement"]:
        assert (statement["Effect"], statement["Action"]) == ("Allow", "lambda:InvokeFunction")
        assert statement["Principal"] == {"Service": "logs.amazonaws.com"}
        condition = statement["Condition"]
        assert condition["StringEquals"] == {"AWS:SourceAccount": ACCOUNT}
        sources.add(condition["ArnLike"]["AWS:SourceArn"])
    assert sources == {f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*" for group in GROUPS}


def test_ensuring_again_changes_nothing_and_mends_what_was_changed(dev: RunningStack) -> None:
    """A filter that somebody deleted or bent is put right; a statement of ours that is obsolete goes."""
    aws, stage = dev.aws, Stage.load(dev.project, "dev")
    logs, functions = aws.client("logs"), aws.client("lambda")
    arn = dev.functions["keyturn-dev-chronicle"].config.arn

    def filters() -> list[Any]:
        return [logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] for group in GROUPS]

    def state() -> tuple[list[str], list[Any]]:
        held = json.loads(functions.get_policy(FunctionName="keyturn-dev-chronicle")["Policy"])["Statement"]
        return sorted(statement["Sid"] for statement in held), filters()

    before = state()
    events.ensure(functions, logs, stage, {"chronicle": arn})
    assert state() == before
    logs.delete_subscription_filter(logGroupName=GROUPS[0], filterName=events.FILTER)
    logs.put_subscription_filter(logGroupName=GROUPS[1], filterName=events.FILTER, filterPattern="", destinationArn=arn)
    functions.remove_permission(FunctionName="keyturn-dev-chronicle", StatementId=before[0][0])
    functions.add_permission(
        FunctionName="keyturn-dev-chronicle",
        StatementId=f"{events.STATEMENT}obsolete",
        Action="lambda:InvokeFunction",
        Principal="logs.amazonaws.com",
    )
    events.ensure(functions, logs, stage, {"chronicle": arn})
    assert state()[0] == before[0]
    assert [[found["filterPattern"] for found in group] for group in filters()] == [[events.PATTERN]] * 3
    events.remove(logs, stage)
    events.remove(logs, stage)  # once more: nothing is there, nothing fails
    assert [logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] for group in GROUPS] == [
        []
    ] * 3
    events.ensure(functions, logs, stage, {"chronicle": arn})
