"""`python deploy.py STAGE`: the table, the decorator, then `chalice deploy`. Safe to repeat."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3

HERE = Path(__file__).resolve().parent
DECORATOR = HERE.parents[1] / "clients/keyturn-guard/keyturn_guard.py"


def main(stage: str) -> None:
    """Deploy, and say what Keyturn needs to know of it. Raises what boto3 raises, and CalledProcessError."""
    config = json.loads((HERE / ".chalice/config.json").read_text())
    ensure_table(config["stages"][stage]["environment_variables"]["ORDERS_TABLE"])
    (HERE / "vendor").mkdir(exist_ok=True)
    shutil.copy2(DECORATOR, HERE / "vendor")
    chalice = Path(sys.executable).parent / "chalice"
    # PYTHONPATH: chalice imports the app here, where nothing has unpacked vendor/.
    subprocess.run(  # noqa: S603  # our own command
        [chalice, "deploy", "--stage", stage],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE / "vendor"), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )
    print(f"To be guarded it needs a place in Keyturn's KEYTURN_GUARDED_APIS: {api_arn(stage)}")


def ensure_table(name: str) -> None:
    """Create the table unless it is there."""
    dynamodb = boto3.client("dynamodb")
    try:
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("sub", "id")],
            KeySchema=[{"AttributeName": "sub", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
            BillingMode="PAY_PER_REQUEST",
        )
    except dynamodb.exceptions.ResourceInUseException:
        return
    dynamodb.get_waiter("table_exists").wait(TableName=name)


def api_arn(stage: str) -> str:
    """The API as KEYTURN_GUARDED_APIS names it."""
    deployed = json.loads((HERE / f".chalice/deployed/{stage}.json").read_text())
    (api,) = [item for item in deployed["resources"] if item["resource_type"] == "rest_api"]
    session = boto3.session.Session()
    account = session.client("sts").get_caller_identity()["Account"]
    return f"arn:aws:execute-api:{session.region_name}:{account}:{api['rest_api_id']}"


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "dev")
