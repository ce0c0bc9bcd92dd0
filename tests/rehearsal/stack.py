"""A stage, deployed into AWS on loopback by the command that deploys it anywhere, and running there.

with deployed("dev") as stack:
    requests.get(stack.url + "/health")
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra.package import BUILD
from tests.rehearsal.aws import ACCOUNT, REGION, LocalAws
from tests.rehearsal.functions import Functions
from tests.rehearsal.gateway import Gateway
from tests.rehearsal.runtime import log_tail
from tests.world.browser import Browser
from tests.world.client import Client
from tests.world.person import new_person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.rehearsal.runtime import Function, Invocable
    from tests.world.person import Person
    from tests.world.stand_in import StandIn

ROOT = Path(__file__).resolve().parents[2]
UV = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools/bin/uv")


class Stack:
    """A deployed stage. `url` answers; `functions` are what AWS holds, by name, each unpacked and able to run."""

    def __init__(self, aws: LocalAws, project: Path, stage: str, work: Path, extra: Mapping[str, str]) -> None:
        self.aws, self.project, self.stage = aws, project, stage
        self._functions = Functions(aws, f"keyturn-{stage}", work, extra)

    @property
    def functions(self) -> dict[str, Function]:
        """The functions by their names."""
        return self._functions.running

    @property
    def log(self) -> Path:
        """Where the functions log."""
        return self._functions.log

    @property
    def api_id(self) -> str:
        """The REST API's id, as deployment recorded it."""
        parameter = self.aws.client("ssm").get_parameter(Name=f"{self.parameters}/api-id")
        return str(parameter["Parameter"]["Value"])

    @property
    def issuer(self) -> str:
        """The URL that the functions know themselves by, which is where AWS would serve them."""
        return f"https://{self.api_id}.execute-api.{REGION}.amazonaws.com/api"

    @property
    def table_name(self) -> str:
        """The stage's table."""
        return self._setting("KEYTURN_TABLE", f"keyturn-{self.stage}")

    @property
    def parameters(self) -> str:
        """The prefix of the stage's parameters."""
        return self._setting("KEYTURN_PARAMETERS", f"/keyturn/{self.stage}")

    def _setting(self, name: str, default: str) -> str:
        document = json.loads((self.project / ".chalice/config.json").read_text())
        return str(document["stages"][self.stage].get("environment_variables", {}).get(name, default))

    def make(self, target: str, *variables: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of the Makefile's commands on the project copy, with this environment instead of one of its own."""
        return self._run(
            "make",
            "--silent",
            "-o",
            ".venv/.synced",
            target,
            f"PY={sys.executable}",
            f"UV={UV}",
            *variables,
            check=check,
        )

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of infra/ on the project copy: `run("infra.deploy", "--stage", "dev")`."""
        return self._run(sys.executable, "-m", *command, check=check)

    def _run(self, *command: str, check: bool) -> subprocess.CompletedProcess[str]:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        result = subprocess.run(  # noqa: S603  # our own commands and arguments
            command,
            cwd=self.project,
            env={**environment, **self.aws.environment, "UV": UV},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode:
            raise AssertionError(result.stdout + result.stderr)
        return result

    def configure(self, settings: Mapping[str, str]) -> None:
        """Add settings to the stage in the project copy, as its owner does before deploying. A new stage is added."""
        path = self.project / ".chalice/config.json"
        document = json.loads(path.read_text())
        entry = document["stages"].setdefault(self.stage, {})
        entry["environment_variables"] = {**entry.get("environment_variables", {}), **settings}
        path.write_text(json.dumps(document))

    def move_to(self, project: Path) -> None:
        """Deploy from another tree from now on, as after a pull. The stage's settings are that tree's own."""
        (project / BUILD).mkdir()
        for built in (self.project / BUILD).glob("wheels-*"):
            built.rename(project / BUILD / built.name)  # packaging takes it where lock and recipe are the same
        self.project = project

    def deploy(self) -> str:
        """Deploy, take the functions as AWS holds them now, and return what the command printed."""
        output = self.make("deploy", f"STAGE={self.stage}").stdout
        self.restart()
        return output

    def destroy(self, *, with_table: bool = False) -> str:
        """Take the stage down, and return what the command printed."""
        self.close()
        return self.make("destroy", f"STAGE={self.stage}", *(["TABLE=delete"] if with_table else [])).stdout

    def restart(self) -> None:
        """Take the functions from AWS: their configuration and code of this moment, and no container left running."""
        self._functions.restart()

    def function_of(self, arn: str) -> Invocable:
        """The function of an ARN, or the alias."""
        found = self._functions.find(arn)
        assert found is not None, arn
        return found

    def close(self) -> None:
        """End every container."""
        self._functions.close()

    def tail(self) -> str:
        """The end of what the functions logged."""
        return log_tail(self.log)

    def gateway(self) -> Gateway:
        """The API, as it is deployed at each moment."""
        api_id = self.api_id
        return Gateway(
            api_id,
            "api",
            region=REGION,
            account=ACCOUNT,
            document=lambda: self.aws.live_document(api_id, "api"),
            function=self.function_of,
            may_invoke=self.aws.may_invoke,
        )


class RunningStack(Stack):
    """A stack with an address."""

    url: str

    def browser(self, provider: StandIn | None = None, person: Person | None = None) -> Browser:
        """A browser that has never been here, of this person or a new person."""
        return Browser(Client(self.url), provider, person or new_person(), issuer=self.issuer)


def copy_project(to: Path) -> Path:
    """Copy what a clone would hold, changes that are not committed included."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],  # noqa: S607  # the developer's git
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


@contextmanager
def deployed(
    stage: str = "dev",
    *,
    aws: LocalAws | None = None,
    environment: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    layout: Callable[[Path], Path] | None = None,
) -> Iterator[RunningStack]:
    """Deploy a copy of the project and run it.

    `environment` is added to the functions' AWS variables, `settings` to the stage's own in config.json. `layout` fills
    an empty directory with another version of the project.
    """
    with ExitStack() as exits:
        work = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="keyturn-", ignore_cleanup_errors=True)))
        aws = aws or exits.enter_context(LocalAws())
        (work / "project").mkdir()
        project = (layout or copy_project)(work / "project")
        stack = RunningStack(aws, project, stage, work, environment or {})
        stack.configure(settings or {})
        stack.deploy()
        exits.callback(stack.close)
        stack.url = exits.enter_context(stack.gateway()).url
        yield stack
