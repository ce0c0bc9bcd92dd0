"""examples/guarded-orders, deployed by its own script into the same AWS, and running there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.rehearsal.aws import ACCOUNT, REGION
from tests.rehearsal.functions import Functions
from tests.rehearsal.gateway import Gateway
from tests.rehearsal.runtime import CLIENT, SDK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.runtime import Invocable

EXAMPLE = "examples/guarded-orders"


class OrdersApp:
    """One stage of the example, guarded by the Keyturn stage `keyturn`. `cache_seconds` as GUARD_CACHE_SECONDS."""

    def __init__(
        self, aws: LocalAws, project: Path, work: Path, stage: str, *, keyturn: str, cache_seconds: int
    ) -> None:
        self._aws, self._home, self._stage = aws, project / EXAMPLE, stage
        self._functions = Functions(aws, f"guarded-orders-{stage}", work, {}, CLIENT + SDK)
        path = self._home / ".chalice/config.json"
        document = json.loads(path.read_text())
        settings = json.loads(json.dumps(document["stages"]["dev"]))  # stages share the table and so the policy
        settings["environment_variables"] |= {
            "GUARD_ARN": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:keyturn-{keyturn}-guard",
            "GUARD_CACHE_SECONDS": str(cache_seconds),
        }
        document["stages"][stage] = settings
        path.write_text(json.dumps(document))

    @property
    def api_id(self) -> str:
        """Its REST API's id, as chalice recorded it."""
        deployed = json.loads((self._home / f".chalice/deployed/{self._stage}.json").read_text())
        (api,) = [item for item in deployed["resources"] if item["resource_type"] == "rest_api"]
        return str(api["rest_api_id"])

    def deploy(self) -> str:
        """Deploy; return the ARN that the script says Keyturn has to know."""
        variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        result = subprocess.run(  # noqa: S603  # the example's own script
            [sys.executable, "deploy.py", self._stage],
            cwd=self._home,
            env={**variables, **self._aws.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        self._functions.restart()
        return result.stdout.split()[-1]

    def gateway(self, keyturn: Callable[[str], Invocable], clock: Callable[[], float]) -> Gateway:
        """Its API. `keyturn` gives Keyturn's functions by their ARNs."""
        api_id = self.api_id
        return Gateway(
            api_id,
            "api",
            region=REGION,
            account=ACCOUNT,
            document=lambda: self._aws.live_document(api_id, "api"),
            function=lambda arn: self._functions.find(arn) or keyturn(arn),
            may_invoke=self._aws.may_invoke,
            clock=clock,
        )

    def close(self) -> None:
        """End every container."""
        self._functions.close()
