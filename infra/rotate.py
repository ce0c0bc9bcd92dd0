"""`python -m infra.rotate --stage STAGE [--leaked]`: new keys for a stage that is deployed."""

from __future__ import annotations

import argparse
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.config import Config
from chalicelib.errors import AuthError
from infra import keys, package
from infra.failure import Failure
from infra.stage import Stage


def main() -> int:
    """Rotate; one line and exit code 1 where that fails."""
    parser = argparse.ArgumentParser(prog="python -m infra.rotate", description="Publish new keys.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--leaked", action="store_true", help="drop the old keys at once: everybody logs in again")
    arguments = parser.parse_args()
    try:
        stage = Stage.load(package.ROOT, arguments.stage)
        config = Config.from_env({"KEYTURN_ISSUER": "https://not-needed.invalid", **stage.settings})
        ssm = boto3.Session().client("ssm")
        renew = keys.replace if arguments.leaked else keys.rotate
        changed = renew(ssm, stage.parameters, config.signing_algorithm, int(time.time()))
    except (Failure, AuthError, BotoCoreError, ClientError) as error:
        print(f"rotate: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    for name in changed:
        print(f"parameter {name}: changed")
    print(
        "The new keys sign now." if arguments.leaked else f"The new keys sign in {keys.PUBLISHED_AHEAD // 60} minutes."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
