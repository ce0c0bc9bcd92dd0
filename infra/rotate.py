"""`python -m infra.rotate --stage STAGE [--leaked]`: new keys for a stage that is deployed."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import AuthError
from chalicelib.settings.config import Config
from infra import keys, package
from infra.failure import command
from infra.stage import Stage


def rotate(stage_name: str, *, leaked: bool) -> None:
    """Rotate the keys of a stage, and say what was changed. Raises Failure, and what Config and botocore raise."""
    stage = Stage.load(package.ROOT, stage_name)
    config = Config.from_env({"KEYTURN_ISSUER": "https://not-needed.invalid", **stage.settings})
    ssm = boto3.Session().client("ssm")
    renew = keys.replace if leaked else keys.rotate
    for name in renew(ssm, stage.parameters, config.sessions.signing_algorithm, int(time.time())):
        print(f"parameter {name}: changed")
    print("The new keys sign now." if leaked else f"The new keys sign in {keys.PUBLISHED_AHEAD // 60} minutes.")


def main() -> int:
    """Rotate. How it fails: infra/failure.py."""
    parser = argparse.ArgumentParser(prog="python -m infra.rotate", description="Publish new keys.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--leaked", action="store_true", help="drop the old keys at once: everybody logs in again")
    arguments = parser.parse_args()
    run = partial(rotate, arguments.stage, leaked=arguments.leaked)
    return command("rotate", run, AuthError, BotoCoreError, ClientError)


if __name__ == "__main__":
    sys.exit(main())
