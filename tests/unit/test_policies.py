"""What each function of each stage may do in AWS. moto evaluates no condition, so the documents themselves are read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

CHALICE = Path(__file__).resolve().parents[2] / ".chalice"
CONFIG = json.loads((CHALICE / "config.json").read_text())
STAGES = sorted(CONFIG["stages"])

# What noting a session's use names. The account's state lies beside its sessions: its rights are not among these.
TOUCHED = [
    *("pk", "sk", "digest", "epoch", "rotated_at", "idle_expires_at", "absolute_expires_at", "expires_at"),
    *("address", "user_agent"),
]


def statements(stage: str, function: str) -> dict[str, dict[str, Any]]:
    """The statements of the function's policy, by Sid. Each must allow: what is not allowed is denied."""
    document = json.loads(
        (CHALICE / CONFIG["stages"][stage]["lambda_functions"][function]["iam_policy_file"]).read_text()
    )
    assert document["Version"] == "2012-10-17"
    named = {statement.pop("Sid"): statement for statement in document["Statement"]}
    assert len(named) == len(document["Statement"])
    assert {statement.pop("Effect") for statement in named.values()} == {"Allow"}
    return named


def logs(stage: str, suffix: str = "") -> dict[str, Any]:
    """Writing to one log group; creating one is deployment's business."""
    group = f"/aws/lambda/keyturn-{stage}{suffix}"
    return {
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"arn:aws:logs:*:*:log-group:{group}:log-stream:*",
    }


@pytest.mark.parametrize("stage", STAGES)
def test_api_function(stage: str) -> None:
    """It checks, reads and writes single items of its table, queries it, reads its keys. No scan, no administration."""
    parameters = f"arn:aws:ssm:*:*:parameter/keyturn/{stage}"
    assert statements(stage, "api_handler") == {
        "Table": {
            "Action": [
                "dynamodb:BatchGetItem",
                "dynamodb:ConditionCheckItem",
                "dynamodb:DeleteItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            "Resource": f"arn:aws:dynamodb:*:*:table/keyturn-{stage}",
        },
        "Keys": {
            "Action": "ssm:GetParameters",
            "Resource": [f"{parameters}/{name}" for name in ("provider/*", "public", "root", "signing/*")],
        },
        "Logs": logs(stage),
    }


@pytest.mark.parametrize("stage", STAGES)
def test_authorizer(stage: str) -> None:
    """It gets items of the blacklist and the public keys: no other item, no write, no secret.

    ForAllValues holds when a request names no key at all; the Null condition asks for one.
    """
    assert statements(stage, "authorize") == {
        "Blacklist": {
            "Action": "dynamodb:GetItem",
            "Resource": f"arn:aws:dynamodb:*:*:table/keyturn-{stage}",
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["deny#*"]},
                "Null": {"dynamodb:LeadingKeys": "false"},
            },
        },
        "PublicKeys": {
            "Action": "ssm:GetParameters",
            "Resource": f"arn:aws:ssm:*:*:parameter/keyturn/{stage}/public",
        },
        "Logs": logs(stage, "-authorize"),
    }


@pytest.mark.parametrize("stage", STAGES)
def test_guard(stage: str) -> None:
    """Beyond the authorizer's it reads an account's state with a session, notes that a session is used, and MACs."""
    table = f"arn:aws:dynamodb:*:*:table/keyturn-{stage}"
    parameters = f"arn:aws:ssm:*:*:parameter/keyturn/{stage}"
    assert statements(stage, "guard") == {
        "Blacklist": statements(stage, "authorize")["Blacklist"],
        "Sessions": {
            "Action": "dynamodb:BatchGetItem",
            "Resource": table,
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["user#*"]},
                "Null": {"dynamodb:LeadingKeys": "false"},
            },
        },
        "LastUse": {
            "Action": "dynamodb:UpdateItem",
            "Resource": table,
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["user#*"]},
                "ForAllValues:StringEquals": {"dynamodb:Attributes": TOUCHED},
                "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
            },
        },
        "Keys": {"Action": "ssm:GetParameters", "Resource": [f"{parameters}/{name}" for name in ("public", "root")]},
        "Logs": logs(stage, "-guard"),
    }


@pytest.mark.parametrize("stage", STAGES)
def test_chronicle(stage: str) -> None:
    """It writes security events, blindly: no other item, no read, no parameter, whatever the log holds."""
    assert statements(stage, "chronicle") == {
        "Events": {
            "Action": "dynamodb:BatchWriteItem",
            "Resource": f"arn:aws:dynamodb:*:*:table/keyturn-{stage}",
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["events#*"]},
                "Null": {"dynamodb:LeadingKeys": "false"},
            },
        },
        "Logs": logs(stage, "-chronicle"),
    }


@pytest.mark.parametrize("path", sorted(CHALICE.glob("policy*.json")), ids=lambda path: path.name)
def test_no_wildcards(path: Path) -> None:
    """No action has a wildcard; a resource has one for region, account and the last part below a name at most."""
    for statement in json.loads(path.read_text())["Statement"]:
        actions, resources = statement["Action"], statement["Resource"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action
        for resource in [resources] if isinstance(resources, str) else resources:
            assert re.fullmatch(r"arn:aws:[a-z]+:\*:\*:[a-z-]+[/:][^*?]+(/\*|:\*)?", resource), resource


def test_every_policy_is_used() -> None:
    """Each function of each stage names its own document, and there is no other."""
    named = [
        settings["iam_policy_file"]
        for stage in CONFIG["stages"].values()
        for settings in stage["lambda_functions"].values()
    ]
    assert sorted(named) == sorted(path.name for path in CHALICE.glob("policy*.json"))


@pytest.mark.parametrize("stage", STAGES)
def test_policies_fit_the_settings(stage: str) -> None:
    """Functions are configured with the table and the parameters that their policies name."""
    settings = CONFIG["stages"][stage]["environment_variables"]
    assert settings["KEYTURN_TABLE"] == f"keyturn-{stage}"
    assert settings["KEYTURN_PARAMETERS"] == f"/keyturn/{stage}"
