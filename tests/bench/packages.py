"""The zips that are compared, each unpacked as Lambda does: ours, and one that chalice makes in its own way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from infra import package

PLAIN_APP = Path(__file__).with_name("plain_app.py")
PLAIN_DEPENDENCIES = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A zip's size in bytes, and the directory that holds what was in it."""

    size: int
    task_root: Path


def build_ours(work: Path) -> Unpacked:
    """Build the project's zip as deployment does."""
    return _unpack(package.build().path, work / "keyturn-root")


def build_plain(work: Path) -> Unpacked:
    """Let `chalice package` build the plain app with the locked versions: no bytecode, all of botocore's data."""
    project = work / "plain"
    (project / ".chalice").mkdir(parents=True)
    (project / ".chalice/config.json").write_text(json.dumps({"version": "2.0", "app_name": "plain"}))
    pins = [f"{name}=={metadata.version(name)}\n" for name in PLAIN_DEPENDENCIES]
    (project / "requirements.txt").write_text("".join(pins))
    shutil.copyfile(PLAIN_APP, project / "app.py")
    subprocess.run(  # noqa: S603 - the environment's own chalice
        [Path(sys.executable).with_name("chalice"), "package", project / "out"],
        cwd=project,
        env={**os.environ, "AWS_DEFAULT_REGION": "eu-central-1", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return _unpack(project / "out/deployment.zip", work / "plain-root")


def _unpack(path: Path, task_root: Path) -> Unpacked:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(task_root)
    return Unpacked(path.stat().st_size, task_root)
