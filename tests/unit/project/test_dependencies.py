"""What is installed: every package by name, version, place and hash, and the deployed ones by hash again."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from infra import package

ROOT = Path(__file__).parents[3]
LOCK = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
PYPI = "https://pypi.org/simple"
NPM_LOCKS = ["infra/npm/package-lock.json", "tests/npm/package-lock.json"]


def test_lock_names_every_package_by_hash() -> None:
    """Each package comes from the public index, in one version, and each of its files has a SHA-256 (ASVS V15.1.2)."""
    packages = [entry for entry in LOCK["package"] if entry["source"] != {"virtual": "."}]
    assert len(packages) > 20
    assert {json.dumps(entry["source"]) for entry in packages} == {json.dumps({"registry": PYPI})}
    files = [
        (entry["name"], file.get("hash", ""))
        for entry in packages
        for file in [*entry.get("wheels", []), *([entry["sdist"]] if "sdist" in entry else [])]
    ]
    assert {name for name, _ in files} == {entry["name"] for entry in packages}
    assert [name for name, digest in files if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest)] == []


def test_lock_is_of_what_the_project_asks_for() -> None:
    """Nothing that pyproject.toml names is left to be chosen at the time of the installation (ASVS V15.2.4)."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[\[><=~!;\s]", requirement)[0].lower() for requirement in asked}
    assert names <= {entry["name"] for entry in LOCK["package"]}


@pytest.mark.parametrize("path", NPM_LOCKS)
def test_npm_locks_name_every_package_by_hash(path: str) -> None:
    """What comes from npm, for this machine alone, has a SHA-512 for each package."""
    packages = json.loads((ROOT / path).read_text(encoding="utf-8"))["packages"]
    installed = {name: entry for name, entry in packages.items() if name}
    assert installed
    assert [name for name, entry in installed.items() if not entry["integrity"].startswith("sha512-")] == []
    assert not {entry["resolved"].partition("/-/")[0] for entry in installed.values() if "resolved" in entry} - {
        f"https://registry.npmjs.org/{name.rpartition('node_modules/')[2]}" for name in installed
    }


def test_deployed_packages_are_checked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What goes into the zip is installed by hash from the lock alone, without building anything (ASVS V15.2.4)."""
    commands: list[list[str]] = []

    def run(command: list[str], *_: object) -> str:
        commands.append(command)
        return ""

    monkeypatch.setattr(package, "_run", run)
    package._locked_requirements(ROOT)
    wheels = package._wheels(tmp_path, "")
    package._install("", wheels, tmp_path / "tree")
    export, download, install = commands
    assert "--frozen" in export
    assert "--no-hashes" not in export
    for command in (download, install):
        assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(command)
    assert [part for part in download if "index" in part or "find-links" in part] == []
    found = [part for part in install if "index" in part or "find-links" in part]
    assert found == ["--no-index", f"--find-links={wheels}"]
