"""`python -m infra.deploy --stage STAGE`: everything a stage needs, made or brought up to date.

Safe to repeat, and to repeat after a failure at any point: each step looks at what is there. Nothing is asked.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from chalice.deploy.deployer import ChaliceDeploymentError

from chalicelib import providers
from chalicelib.errors import AuthError
from chalicelib.settings.config import Config
from infra import chalice_deployment, edge, events, guards, keys, package, role_policies, table
from infra.destroy import delete_function
from infra.failure import Failure, command
from infra.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_apigateway import APIGatewayClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_ssm import SSMClient

LOGS_KEPT = 90  # days: long enough to look into a theft that was noticed late, and no longer


def deploy(root: Path, stage_name: str) -> str:
    """Deploy a stage of the project at `root`; return its URL. Raises Failure, and what botocore and chalice raise."""
    stage = Stage.load(root, stage_name)
    session = boto3.Session()
    if session.region_name is None:
        message = "No region is set; set AWS_DEFAULT_REGION"
        raise Failure(message)
    dynamodb, ssm, apis = session.client("dynamodb"), session.client("ssm"), session.client("apigateway")
    # Settings are checked and the zip is built before anything in AWS changes.
    config = Config.from_env({"KEYTURN_ISSUER": "https://not-known-yet.invalid", **stage.settings})
    providers.require_known(config.providers)
    policies = role_policies.render(stage)
    require_client_secrets(ssm, config)
    stage.find_api(apis, ssm)
    built = package.build(root)
    _say(f"package: {built.path.stat().st_size / 1e6:.1f} MB, sha256 {built.digest}")

    _say(f"table {stage.table}: {'created' if table.ensure(dynamodb, stage.table) else 'there'}")
    table.protect(dynamodb, stage.table)
    for name in keys.ensure(ssm, stage.parameters, config.sessions.signing_algorithm, int(time.time())):
        _say(f"parameter {name}: written")
    api_id = ensure_api(apis, ssm, stage)
    url = f"https://{api_id}.execute-api.{session.region_name}.amazonaws.com/{stage.api_stage}"
    # Once more, with the issuer: some settings are right or wrong beside it alone.
    Config.from_env({"KEYTURN_ISSUER": url, **stage.settings})
    logs = session.client("logs")
    ensure_log_groups(logs, stage)

    functions = session.client("lambda")
    chalice_deployment.record_state(root, stage, api_id)
    environment = {"KEYTURN_ISSUER": url, **stage.settings}
    deployed = chalice_deployment.deploy(root, stage, environment, policies, built, session._session)  # noqa: SLF001  # chalice takes botocore's
    # Who may ask is put right before anything else can fail: an API that is no longer listed must not go on asking.
    guards.ensure(
        functions, deployed, config.guards.requirements, own=own_api(session, api_id), guarded=config.guards.apis
    )
    edge.throttle(apis, stage, api_id, config)
    served = stage.served_by(api_id, session.region_name)
    edge.guard_by_rate(session.client("wafv2"), stage, served, config.limits.waf_rate)
    verify(functions, deployed, built.digest)
    events.ensure(functions, logs, stage, deployed)
    for resource in sorted({*stage.deployed_resources(functions)} - {*deployed}):
        delete_function(session, stage, resource)  # one that the app had once
    return url


def own_api(session: boto3.Session, api_id: str) -> str:
    """The ARN of the stage's own API, as KEYTURN_GUARDED_APIS writes those of others. Raises what botocore raises."""
    account = session.client("sts").get_caller_identity()["Account"]
    return f"arn:aws:execute-api:{session.region_name}:{account}:{api_id}"


def require_client_secrets(parameters: SSMClient, config: Config) -> None:
    """Ask for each provider's client secret, by name alone: the provider gives it out, so nothing here can make it.

    Failure where the parameter store lacks one: without it every login at that provider would end in an error.
    """
    for provider, settings in config.providers.items():
        name = settings.secret_parameter
        if name in parameters.get_parameters(Names=[name], WithDecryption=False)["InvalidParameters"]:
            variable = f"KEYTURN_{provider.upper()}_CLIENT_SECRET_PARAMETER"
            message = (
                f"{variable} names {name}, which the parameter store does not have. Put the client secret there: "
                f"aws ssm put-parameter --type SecureString --name {name} --value 'the client secret'"
            )
            raise Failure(message)


def ensure_api(apis: APIGatewayClient, parameters: SSMClient, stage: Stage) -> str:
    """Find the stage's REST API or create it, empty; return its id.

    Before anything is deployed into it, because its id is part of the issuer that the functions are configured with.
    """
    api_id = stage.find_api(apis, parameters)
    if api_id is None:
        created = apis.create_rest_api(
            name=stage.api_name, tags=stage.api_tags, endpointConfiguration={"types": ["REGIONAL"]}
        )
        api_id = created["id"]
        _say(f"REST API {api_id}: created")
    parameters.put_parameter(Name=stage.api_id_parameter, Value=api_id, Type="String", Overwrite=True)
    return api_id


def ensure_log_groups(logs: CloudWatchLogsClient, stage: Stage) -> None:
    """Create the functions' log groups: Lambda would create them without a limit, and its role may not create any."""
    for resource in stage.resources:
        name = stage.log_group(resource)
        try:
            logs.create_log_group(logGroupName=name)
            _say(f"log group {name}: created")
        except logs.exceptions.ResourceAlreadyExistsException:
            pass
        logs.put_retention_policy(logGroupName=name, retentionInDays=LOGS_KEPT)


def verify(functions: LambdaClient, deployed: Mapping[str, str], digest: str) -> None:
    """Compare what Lambda holds with what was built. Raises Failure where another zip was shipped."""
    held = {
        name: functions.get_function_configuration(FunctionName=arn)["CodeSha256"] for name, arn in deployed.items()
    }
    others = sorted(name for name, held_digest in held.items() if held_digest != digest)
    if others or not held:
        message = (
            f"Lambda does not hold the zip that was built (sha256 {digest}): {', '.join(others) or 'no function'}. "
            "Somebody else deployed at the same time, or the upload was altered; deploy again"
        )
        raise Failure(message)


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Deploy. How it fails: infra/failure.py."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description="Deploy a stage.")
    parser.add_argument("--stage", required=True)
    stage_name = parser.parse_args().stage

    def run() -> None:
        _say(f"{stage_name} is at {deploy(package.ROOT, stage_name)}")

    return command("deploy", run, AuthError, BotoCoreError, ClientError, ChaliceDeploymentError)


if __name__ == "__main__":
    sys.exit(main())
