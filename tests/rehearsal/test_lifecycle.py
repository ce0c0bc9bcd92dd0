"""Deploying, deploying again, taking down: what is in AWS after each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra.role_policies import render
from infra.stage import Stage
from tests.rehearsal.stack import deployed
from tests.world.client import Client

if TYPE_CHECKING:
    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.stack import RunningStack

ROOT = "/keyturn/prod/root"  # of the version before
GROUPS = ("/keyturn/prod/sessions", "/keyturn/prod/logins")
KEYS = {"parameter /keyturn/prod/public", *(f"parameter {name}" for name in GROUPS)}


def inventory(aws: LocalAws) -> set[str]:
    """Everything that deployment can make, in every stage: kind and name."""
    ssm = aws.client("ssm")
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True)
    return {
        *(f"function {item['FunctionName']}" for item in aws.client("lambda").list_functions()["Functions"]),
        *(f"API {item['name']} {item['id']}" for item in aws.client("apigateway").get_rest_apis()["items"]),
        *(f"role {item['RoleName']}" for item in aws.client("iam").list_roles()["Roles"]),
        *(f"logs {item['logGroupName']}" for item in aws.client("logs").describe_log_groups()["logGroups"]),
        *(f"table {name}" for name in aws.client("dynamodb").list_tables()["TableNames"]),
        *(f"parameter {item['Name']}" for page in pages for item in page["Parameters"]),
        *(f"web ACL {item['Name']}" for item in aws.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"]),
    }


def without_signing_keys(names: set[str]) -> set[str]:
    """The names but for those that hold a random key id."""
    return {name for name in names if "/signing/" not in name}


def test_two_deployments_and_the_end(aws: LocalAws, credentials: dict[str, Any]) -> None:
    """The second deployment changes no id and ends no session, nor does the one over the version before.

    Destroying keeps the table and the keys, or nothing.
    """
    before = inventory(aws)
    with deployed("prod", aws=aws) as stack:
        first = inventory(aws) - before
        api = f"API keyturn-prod {stack.api_id}"
        assert without_signing_keys(first) == {
            *KEYS,
            "parameter /keyturn/prod/api-id",
            "table keyturn-prod",
            "function keyturn-prod",
            "function keyturn-prod-authorize",
            "function keyturn-prod-chronicle",
            "function keyturn-prod-guard",
            "role keyturn-prod-api_handler",
            "role keyturn-prod-authorize",
            "role keyturn-prod-chronicle",
            "role keyturn-prod-guard",
            "logs /aws/lambda/keyturn-prod",
            "logs /aws/lambda/keyturn-prod-authorize",
            "logs /aws/lambda/keyturn-prod-chronicle",
            "logs /aws/lambda/keyturn-prod-guard",
            api,
        }
        client = Client(stack.url)
        session = client.call("POST", "/signup", credentials).json

        stack.deploy()
        assert inventory(aws) - before == first
        assert client.call("GET", "/me", bearer=session["access_token"]).status == 200
        assert client.call("POST", "/refresh", {"refresh_token": session["refresh_token"]}).status == 200

        # What chalice remembers on disk is lost; then what we remember in the parameter store is.
        (stack.project / ".chalice/deployed/prod.json").unlink()
        aws.client("ssm").delete_parameter(Name="/keyturn/prod/api-id")
        stack.deploy()
        assert inventory(aws) - before == first

        be_of_before(aws, stack, client, credentials)
        assert without_signing_keys(inventory(aws) - before) == without_signing_keys(first)

        stack.destroy()
        kept = inventory(aws) - before
        assert without_signing_keys(kept) == {*KEYS, "table keyturn-prod"}
        stack.destroy()  # once more: nothing is there, nothing fails
        assert inventory(aws) - before == kept

        stack.destroy(with_table=True)
        assert inventory(aws) == before
        stack.destroy(with_table=True)
        assert inventory(aws) == before


def be_of_before(aws: LocalAws, stack: RunningStack, client: Client, credentials: dict[str, Any]) -> None:
    """Give a stage the keys of the version before, deploy over it and rotate: no session ends, the old parameter goes.

    Before the deployment no rotation is done, in one line that says what to do first.
    """
    ssm = aws.client("ssm")
    login = client.call("POST", "/login", credentials).json
    held = ssm.get_parameter(Name=GROUPS[0], WithDecryption=True)["Parameter"]["Value"]
    ssm.put_parameter(Name=ROOT, Value=held, Type="SecureString")
    ssm.delete_parameters(Names=[*GROUPS])
    for leaked in ((), ("LEAKED=yes",)):
        refused = stack.make("rotate-keys", "STAGE=prod", *leaked, check=False)
        assert refused.returncode != 0
        (line,) = [line for line in refused.stderr.splitlines() if line.startswith("rotate:")]
        assert "make deploy" in line
    assert {*ssm.get_parameters(Names=[ROOT, *GROUPS])["InvalidParameters"]} == {*GROUPS}

    printed = stack.deploy()
    assert all(f"parameter {name}: written" in printed for name in GROUPS)
    found = ssm.get_parameters(Names=[ROOT, *GROUPS], WithDecryption=True)["Parameters"]
    assert [json.loads(parameter["Value"]) for parameter in found] == [json.loads(held)] * 3
    refreshed = client.call("POST", "/refresh", {"refresh_token": login["refresh_token"]})
    assert refreshed.status == 200

    stack.make("rotate-keys", "STAGE=prod")
    stack.restart()
    assert ssm.get_parameters(Names=[ROOT])["InvalidParameters"] == [ROOT]
    assert client.call("POST", "/refresh", {"refresh_token": refreshed.json["refresh_token"]}).status == 200


def test_function_that_the_app_has_no_more(aws: LocalAws, dev: RunningStack) -> None:
    """A function of the stage that no configuration names is deleted by the next deployment; a stranger's is not."""
    functions = aws.client("lambda")
    role = functions.get_function_configuration(FunctionName="keyturn-dev")["Role"]
    for name, app in (("keyturn-dev-old", "keyturn"), ("keyturn-dev-other", "another")):
        functions.create_function(
            FunctionName=name,
            Role=role,
            Runtime="python3.11",
            Handler="app.app",
            Code={"ZipFile": b"zip"},
            Tags={"aws-chalice": f"version=1:stage=dev:app={app}"},
        )
    try:
        dev.make("deploy", "STAGE=dev")
        names = {function["FunctionName"] for function in functions.list_functions()["Functions"]}
    finally:
        functions.delete_function(FunctionName="keyturn-dev-other")
        dev.restart()
    assert "keyturn-dev-old" not in names
    assert {"keyturn-dev", "keyturn-dev-authorize", "keyturn-dev-guard", "keyturn-dev-other"} <= names


def test_functions_are_configured_as_written(aws: LocalAws, dev: RunningStack) -> None:
    """Memory, timeout, handler and variables are explicit; the issuer is the stage's own URL; nothing is a secret."""
    configured = {function["FunctionName"]: function for function in aws.client("lambda").list_functions()["Functions"]}
    api = configured["keyturn-dev"]
    assert (api["Handler"], api["MemorySize"], api["Timeout"]) == ("app.app", 1769, 10)
    chronicle = configured["keyturn-dev-chronicle"]
    assert (chronicle["Handler"], chronicle["MemorySize"], chronicle["Timeout"]) == (
        "chalicelib.chronicle.keep",
        512,
        25,
    )
    for name in ("authorize", "guard"):
        authorizer = configured[f"keyturn-dev-{name}"]
        assert authorizer["Handler"] == f"chalicelib.authorizers.{name}"
        assert (authorizer["MemorySize"], authorizer["Timeout"]) == (512, 5)
    issuer = f"https://{dev.api_id}.execute-api.eu-central-1.amazonaws.com/api"
    assert api["Environment"]["Variables"] == {
        "KEYTURN_TABLE": "keyturn-dev",
        "KEYTURN_PARAMETERS": "/keyturn/dev",
        "KEYTURN_AUDIENCE": "keyturn-dev",
        "KEYTURN_ALLOWED_ORIGINS": "http://localhost:3000,http://localhost:5173",
        "KEYTURN_ISSUER": issuer,
    }


def test_who_may_do_what(aws: LocalAws, dev: RunningStack) -> None:
    """Each function has its own role with its own policy document, and this API alone may invoke it."""
    iam, functions = aws.client("iam"), aws.client("lambda")
    documents = render(Stage.load(dev.project, "dev"))
    for resource, name in (
        ("api_handler", "keyturn-dev"),
        ("authorize", "keyturn-dev-authorize"),
        ("guard", "keyturn-dev-guard"),
        ("chronicle", "keyturn-dev-chronicle"),
    ):
        role = f"keyturn-dev-{resource}"
        assert functions.get_function_configuration(FunctionName=name)["Role"].endswith(f"/{role}")
        assert iam.list_role_policies(RoleName=role)["PolicyNames"] == [role]
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        policy = iam.get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"]
        assert policy == documents[resource]
        if resource == "chronicle":
            continue  # who may invoke it: test_events.py
        (statement,) = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
        assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
        assert f":{dev.api_id}/" in json.dumps(statement["Condition"])


def test_logs_are_kept_for_a_time(aws: LocalAws, dev: RunningStack) -> None:
    """Log groups exist before the first line, with a retention."""
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/keyturn-{dev.stage}")["logGroups"]
    assert {group["logGroupName"]: group.get("retentionInDays") for group in groups} == {
        "/aws/lambda/keyturn-dev": 90,
        "/aws/lambda/keyturn-dev-authorize": 90,
        "/aws/lambda/keyturn-dev-chronicle": 90,
        "/aws/lambda/keyturn-dev-guard": 90,
    }


def test_own_routes_ask_the_guard_each_time(dev: RunningStack) -> None:
    """The deployed document names the function that AWS has, and no answer of it is kept."""
    document = dev.aws.live_document(dev.api_id, "api")
    authorizer = document["securityDefinitions"]["guard"]["x-amazon-apigateway-authorizer"]
    assert authorizer["authorizerResultTtlInSeconds"] == 0
    arn = dev.functions["keyturn-dev-guard"].config.arn
    assert authorizer["authorizerUri"].endswith(f":lambda:path/2015-03-31/functions/{arn}/invocations")
    assert document["paths"]["/me"]["get"]["security"] == [{"guard": []}]


def test_secrets_are_encrypted(aws: LocalAws, dev: RunningStack) -> None:
    """Private keys and root secrets are SecureStrings; nothing else is under the stage's prefix but what is public."""
    pages = (
        aws.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=f"/keyturn/{dev.stage}", Recursive=True)
    )
    kinds = {item["Name"]: item["Type"] for page in pages for item in page["Parameters"]}
    plain = {name.rpartition("/")[2] for name, kind in kinds.items() if kind == "String"}
    assert plain - {"withdrawn"} == {"public", "api-id"}  # listed once keys have leaked
    secrets = {
        name: kind for name, kind in kinds.items() if name.endswith(("/sessions", "/logins")) or "/signing/" in name
    }
    assert len(secrets) >= 3
    assert {*secrets.values()} == {"SecureString"}


def test_table_is_protected(aws: LocalAws, dev: RunningStack) -> None:
    """Accounts survive a mistaken deletion and a mistaken write; expired items go."""
    dynamodb = aws.client("dynamodb")
    assert dynamodb.describe_table(TableName=dev.table_name)["Table"]["DeletionProtectionEnabled"] is True
    ttl = dynamodb.describe_time_to_live(TableName=dev.table_name)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires_at")
    backups = dynamodb.describe_continuous_backups(TableName=dev.table_name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
