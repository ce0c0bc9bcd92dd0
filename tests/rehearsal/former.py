"""The former version, from the project's own history: the code that a team has deployed before it upgrades."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

from tests.rehearsal.stack import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# The last commit before sessions, denials and root secrets changed their stored form. Move it forward when a release
# changes a stored form again: to the commit that deployed stages run then.
FORMER = "89b04cc52bf8e6487cb10af253c15d42b0f6f07d"  # pragma: allowlist secret


class HistoryMissing(Exception):
    """Git cannot give the former version. The message is a single line, with the remedy."""


def former_project(to: Path) -> Path:
    """Lay out the former version in an empty directory. HistoryMissing without git, or in a shallow clone."""
    return project_of(FORMER, ROOT, to)


def project_of(commit: str, repository: Path, to: Path) -> Path:
    """Lay out the files of a commit in an empty directory. HistoryMissing where git cannot read the commit."""
    try:
        archive = subprocess.run(  # noqa: S603  # our own arguments
            ["git", "archive", "--format=tar", commit],  # noqa: S607  # the developer's git
            cwd=repository,
            capture_output=True,
            check=True,
        )
    except FileNotFoundError:
        message = f"The upgrade is rehearsed from commit {commit}, and git is not there: install git"
        raise HistoryMissing(message) from None
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())
        message = (
            f"The upgrade is rehearsed from commit {commit}, which git does not give ({said}): "
            "clone the whole history (git fetch --unshallow)"
        )
        raise HistoryMissing(message) from None
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(to, filter="data")
    return to
