"""`python -m infra.destroy --stage STAGE [--with-table]`: takes a stage down.

The table and the stage's keys stay unless --with-table says otherwise: accounts cannot be made again, and without the
root secrets no session survives. Safe to repeat, also after a failure.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import edge, events
from infra.failure import command
from infra.package import ROOT
from infra.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_iam import IAMClient
    from types_boto3_ssm import SSMClient

NOT_THERE = {
    "NoSuchEntity",
    "NotFoundException",
    "ParameterNotFound",
    "ResourceNotFoundException",
}


def destroy(root: Path, stage_name: str, *, with_table: bool) -> None:
    """Delete what `make deploy` made. Raises Failure, and what botocore raises."""
    stage = Stage.load(root, stage_name)
    session = boto3.Session()
    ssm, functions, apis = session.client("ssm"), session.client("lambda"), session.client("apigateway")
    # The API first, so that no request meets a half of the rest. Its recorded id last: it is how the API is found.
    api_id = stage.find_api(apis, ssm)
    # What guards it by rate before it, though: WAF knows an ACL's association by the stage.
    edge.remove(session.client("wafv2"), stage, stage.served_by(api_id, session.region_name) if api_id else None)
    if api_id:
        _delete(f"REST API {api_id}", apis.delete_rest_api, restApiId=api_id)
    events.remove(session.client("logs"), stage)
    # Those that config.json names and those that are there: either may know of one that the other does not.
    for resource in sorted({*stage.resources, *stage.deployed_resources(functions)}):
        delete_function(session, stage, resource)
    _delete(f"parameter {stage.api_id_parameter}", ssm.delete_parameter, Name=stage.api_id_parameter)
    (root / ".chalice/deployed" / f"{stage.name}.json").unlink(missing_ok=True)
    if with_table:
        _delete_table(session.client("dynamodb"), stage.table)
        _delete_parameters(ssm, stage.parameters)


def delete_function(session: boto3.Session, stage: Stage, resource: str) -> None:
    """Delete a function with its role and its logs. `resource` is chalice's name for it."""
    name, log_group = stage.function_name(resource), stage.log_group(resource)
    _delete(f"function {name}", session.client("lambda").delete_function, FunctionName=name)
    _delete_role(session.client("iam"), stage.role_name(resource))
    _delete(f"log group {log_group}", session.client("logs").delete_log_group, logGroupName=log_group)


def _delete(what: str, call: Callable[..., object], **request: Any) -> None:  # noqa: ANN401  # as boto3's calls
    """Delete one thing, and say so; one that is gone already is no error."""
    try:
        call(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] not in NOT_THERE:
            raise
    else:
        print(f"{what}: deleted", flush=True)


def _delete_role(iam: IAMClient, name: str) -> None:
    """Delete a role; IAM asks for its policies to be deleted first."""
    try:
        policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
    except iam.exceptions.NoSuchEntityException:
        return
    for policy in policies:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    _delete(f"role {name}", iam.delete_role, RoleName=name)


def _delete_table(dynamodb: DynamoDBClient, name: str) -> None:
    """Delete the table, for which its protection is switched off."""
    try:
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    except dynamodb.exceptions.ResourceNotFoundException:
        return
    _delete(f"table {name}", dynamodb.delete_table, TableName=name)
    dynamodb.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})


def _delete_parameters(ssm: SSMClient, prefix: str) -> None:
    """Delete every parameter under the prefix."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=prefix, Recursive=True, WithDecryption=False)
    for name in [parameter["Name"] for page in pages for parameter in page["Parameters"]]:
        _delete(f"parameter {name}", ssm.delete_parameter, Name=name)


def main() -> int:
    """Destroy. How it fails: infra/failure.py."""
    parser = argparse.ArgumentParser(prog="python -m infra.destroy", description="Take a stage down.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--with-table", action="store_true", help="delete the accounts and the keys too")
    arguments = parser.parse_args()
    run = partial(destroy, ROOT, arguments.stage, with_table=arguments.with_table)
    return command("destroy", run, BotoCoreError, ClientError)


if __name__ == "__main__":
    sys.exit(main())
