"""The functions of one app as AWS holds them, each unpacked and able to run."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.rehearsal.runtime import CLIENT, Alias, Function, FunctionConfig, runtime_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.runtime import Invocable


class Functions:
    """Functions whose names are `name` or begin with it and a hyphen. `extra` is added to their AWS variables.

    `packages` are those that Lambda's own runtime has beside the function's zip.
    """

    def __init__(
        self, aws: LocalAws, name: str, work: Path, extra: Mapping[str, str], packages: tuple[str, ...] = CLIENT
    ) -> None:
        self._aws, self._name, self._work, self._extra = aws, name, work, extra
        self.log = work / f"{name}.log"
        self._client = runtime_client(Path(tempfile.mkdtemp(prefix="client-", dir=work)), packages)
        self.running: dict[str, Function] = {}

    def restart(self) -> None:
        """Take the functions from AWS: their configuration and code of this moment, and no container left running."""
        self.close()
        for listed in self._aws.client("lambda").list_functions()["Functions"]:
            name = listed["FunctionName"]
            if name != self._name and not name.startswith(f"{self._name}-"):
                continue
            config = FunctionConfig(
                name=name,
                arn=listed["FunctionArn"],
                handler=listed["Handler"],
                timeout=listed["Timeout"],
                memory=listed["MemorySize"],
                environment=listed["Environment"]["Variables"],
                task_root=self._unpack(name),
                log_group=f"/aws/lambda/{name}",
            )
            # The access key tells AWS which function calls.
            variables = {**self._aws.environment, "AWS_ACCESS_KEY_ID": name, **self._extra}
            self.running[name] = Function(config, self._client, variables, self.log)

    def find(self, arn: str) -> Invocable | None:
        """What an ARN names, or None: a function, or an alias that AWS has at this moment."""
        for function in self.running.values():
            own = function.config.arn
            if arn == own:
                return function
            if arn.startswith(f"{own}:"):
                aliases = self._aws.client("lambda").list_aliases(FunctionName=function.config.name)["Aliases"]
                return Alias(function, arn) if arn in {alias["AliasArn"] for alias in aliases} else None
        return None

    def close(self) -> None:
        """End every container."""
        for function in self.running.values():
            function.close()
        self.running = {}

    def _unpack(self, name: str) -> Path:
        """Unpack a function's code into a directory of its own that cannot be written to."""
        root = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._work))
        with zipfile.ZipFile(io.BytesIO(self._aws.code(name))) as archive:
            archive.extractall(root)
        for path in [root, *root.rglob("*")]:
            path.chmod(0o555 if path.is_dir() or path.suffix == ".so" else 0o444)
        return root
