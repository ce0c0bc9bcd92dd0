"""How security events come from the functions' logs to the function `chronicle`: a filter and a permission each.

CloudWatch Logs hands the matching lines of a log group to the function, which each group's statement in the function's
policy allows. Safe to repeat: what is right already is not touched.
"""

from __future__ import annotations

import json
import time
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient

    from infra.stage import Stage

CHRONICLE = "chronicle"  # chalice's name for the function
SUBSCRIBED = ("api_handler", "authorize", "guard")  # and not chronicle itself, which would go round in circles
FILTER = "keyturn-security-events"
# Lines of audit.py that name an account. In CloudWatch's syntax for JSON lines `= "*"` holds where there is the member.
PATTERN = '{ ($.event = "*") && ($.sub = "*") }'
STATEMENT = "keyturn-events-"  # how the ids of our statements begin

# CloudWatch tries the function when a filter is put, and a permission takes a moment to reach it.
ATTEMPTS = 6
PAUSE = 2.0  # seconds


def ensure(functions: LambdaClient, logs: CloudWatchLogsClient, stage: Stage, deployed: Mapping[str, str]) -> None:
    """Have `chronicle` asked about every line of the stage's functions that names an account, by these groups alone.

    `deployed` are the functions' ARNs by chalice's names; the log groups are there. Raises what botocore raises.
    """
    function = deployed[CHRONICLE]
    groups = [stage.log_group(resource) for resource in SUBSCRIBED]
    _permit(functions, function, groups)
    for group in groups:
        held = {found["filterName"]: found for found in _filters(logs, group)}.get(FILTER)
        if held and (held["filterPattern"], held["destinationArn"]) == (PATTERN, function):
            continue
        _subscribe(logs, group, function)
        print(f"{group}: security events go to {CHRONICLE}", flush=True)


def remove(logs: CloudWatchLogsClient, stage: Stage) -> None:
    """Delete the filters, so that no group asks a function that is about to go. Raises what botocore raises."""
    for group in (stage.log_group(resource) for resource in SUBSCRIBED):
        try:
            logs.delete_subscription_filter(logGroupName=group, filterName=FILTER)
        except logs.exceptions.ResourceNotFoundException:
            continue
        print(f"{group}: subscription filter deleted", flush=True)


def _permit(functions: LambdaClient, function: str, groups: list[str]) -> None:
    """Let CloudWatch Logs invoke the function for these log groups of this account, and for no others of ours."""
    _, partition, _, region, account, *_ = function.split(":")
    name = function.rpartition(":")[2]
    sources = [f"arn:{partition}:logs:{region}:{account}:log-group:{group}:*" for group in groups]
    wanted = {STATEMENT + sha256(f"{function} {source}".encode()).hexdigest()[:16]: source for source in sources}
    held = _statements(functions, name)
    for statement_id in sorted(held - wanted.keys()):
        functions.remove_permission(FunctionName=name, StatementId=statement_id)
    for statement_id in sorted(wanted.keys() - held):
        functions.add_permission(
            FunctionName=name,
            StatementId=statement_id,
            Action="lambda:InvokeFunction",
            Principal="logs.amazonaws.com",
            SourceArn=wanted[statement_id],
            # A log group's name says nothing of whose it is: another account has groups of the same name.
            SourceAccount=account,
        )


def _statements(functions: LambdaClient, name: str) -> set[str]:
    """Ids of the statements on the function that are ours."""
    try:
        policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
    except functions.exceptions.ResourceNotFoundException:
        return set()
    return {statement["Sid"] for statement in policy["Statement"] if statement["Sid"].startswith(STATEMENT)}


def _filters(logs: CloudWatchLogsClient, group: str) -> list[dict[str, str]]:
    """The group's subscription filters: two at most, which is one page."""
    found = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
    return [{name: str(value) for name, value in each.items()} for each in found]


def _subscribe(logs: CloudWatchLogsClient, group: str, function: str) -> None:
    for left in reversed(range(ATTEMPTS)):
        try:
            logs.put_subscription_filter(
                logGroupName=group, filterName=FILTER, filterPattern=PATTERN, destinationArn=function
            )
        except logs.exceptions.InvalidParameterException:
            if not left:
                raise
            time.sleep(PAUSE)
        else:
            return
