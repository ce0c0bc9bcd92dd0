"""Builds the zip that both functions run: the locked dependencies, cut to what they import, and the project's code.

`python -m infra.package` prints where it is, how large, and its digest. The same tree gives the same bytes.
Why the zip holds what it holds: docs/decisions/0003-packaging.md.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.failure import Failure, command

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path("build")

RUNTIME = "python3.11"
# python3.11 on Lambda is Amazon Linux 2, which has glibc 2.26: a wheel for a newer one imports here and dies there.
PLATFORMS = ("manylinux_2_26_x86_64", "manylinux2014_x86_64")

# Installed by the lock, never imported by a function: chalice's command line, boto3 (the code calls botocore), and what
# email-validator asks the DNS with, which it reads when it is to look a domain up.
UNUSED_PACKAGES = ("boto3", "click", "dnspython", "inquirer", "pip", "pyyaml", "setuptools", "wheel")

# Files of the packages that stay. argon2 and cryptography load cffi's compiled backend, not its Python side.
UNUSED_FILES = (
    "bin",
    "cffi",
    "pycparser",
    "*.dist-info/*",
    "**/*.pyi",
    "**/*.h",
    "dateutil/zoneinfo/*.tar.gz",
    "botocore/data/*/*/examples-1.json",
    "botocore/data/*/*/paginators-1.json",
    "botocore/data/*/*/waiters-2.json",
)
# What finds vulnerable packages in a deployed function reads METADATA.
KEPT_FILE = "METADATA"
# What the functions call. At a cold start a client parses its service's model and makes a method of each operation.
OPERATIONS = {
    "dynamodb": (
        *("BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem"),
        *("Query", "TransactWriteItems", "UpdateItem"),
    ),
    "ssm": ("GetParameters",),
}

LAMBDA_TASK_ROOT = "/var/task"
OLDEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Package:
    """A built zip. `digest` is base64 of SHA-256, as Lambda reports the code that it holds (CodeSha256)."""

    path: Path
    digest: str


def build(root: Path = ROOT) -> Package:
    """Build `build/keyturn.zip` under the project's root. Raises Failure with the remedy."""
    build_dir = root / BUILD
    build_dir.mkdir(exist_ok=True)
    requirements = _locked_requirements(root)
    tree = build_dir / "package"
    if tree.exists():
        shutil.rmtree(tree)
    tree.mkdir()
    # Installed anew for each zip: of what lies on the disk, wheels alone are trusted, by the hashes of the lock.
    _install(requirements, _wheels(build_dir, requirements), tree)
    _trim(tree)
    _copy_project(root, tree)
    _compile(tree)
    path = build_dir / "keyturn.zip"
    _zip(tree, path)
    return Package(path, digest(path.read_bytes()))


def digest(contents: bytes) -> str:
    """Name the contents of a zip as Lambda does."""
    return base64.b64encode(hashlib.sha256(contents).digest()).decode()


def _locked_requirements(root: Path) -> str:
    """Export what the lock holds for the runtime, with hashes."""
    uv = os.environ.get("UV") or (str(root / ".tools/bin/uv") if (root / ".tools/bin/uv").exists() else "uv")
    command = [uv, "export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate", "--quiet"]
    for package in UNUSED_PACKAGES:
        command += ["--prune", package]
    try:
        return _run(command, root, "The lock could not be exported; `uv lock` mends a stale one")
    except FileNotFoundError:
        message = f"{uv} is not there; `make deploy` installs it, or set UV to the path of uv"
        raise Failure(message) from None


def _wheels(build_dir: Path, requirements: str) -> Path:
    """The wheels that the lock names, for Lambda: downloaded once for each lock and each version of this file."""
    recipe = hashlib.sha256((requirements + Path(__file__).read_text()).encode()).hexdigest()[:16]
    wheels = build_dir / f"wheels-{recipe}"
    if not wheels.exists():
        for other in (*build_dir.glob("wheels-*"), *build_dir.glob("dependencies-*")):
            shutil.rmtree(other)
        # Under another name until it is complete: a build that was interrupted leaves nothing that the next one takes.
        partial = build_dir / "incomplete"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _pip("download", requirements, partial, [f"--dest={partial}"], "could not be downloaded for Lambda")
        partial.rename(wheels)
    return wheels


def _install(requirements: str, wheels: Path, tree: Path) -> None:
    """Install the wheels into the tree. Failure where a wheel is not, byte for byte, what the lock names."""
    options = ["--no-compile", "--no-index", f"--find-links={wheels}", f"--target={tree}"]
    remedy = f"could not be installed from {wheels}; where a file there was altered, delete that directory"
    _pip("install", requirements, tree, options, remedy)


def _pip(command: str, requirements: str, cwd: Path, options: list[str], failure: str) -> None:
    """Run pip for Lambda, whatever this machine is. pip, because uv does not know manylinux_2_26."""
    listed = cwd.with_name("requirements.txt")
    listed.write_text(requirements)
    arguments = [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", "--no-input"]
    arguments += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp"]
    arguments += [f"--python-version={RUNTIME.removeprefix('python')}", f"--requirement={listed}", *options]
    arguments += [f"--platform={platform}" for platform in PLATFORMS]
    _run(arguments, cwd, f"The dependencies {failure}")


def _trim(tree: Path) -> None:
    """Remove what no function opens."""
    for pattern in UNUSED_FILES:
        for path in sorted(tree.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != KEPT_FILE:
                path.unlink()
    # As chalice packages itself: its runtime is one module.
    for path in (tree / "chalice").iterdir():
        if path.name not in {"__init__.py", "app.py"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    data = tree / "botocore/data"
    for path in data.iterdir():
        if path.is_dir() and path.name not in OPERATIONS:
            shutil.rmtree(path)
    for compressed in sorted(data.glob("*/*/service-2.json.gz")):
        model = json.loads(gzip.decompress(compressed.read_bytes()))
        used = _model_of_used_operations(model, OPERATIONS[compressed.parts[-3]])
        # As text: the zip is compressed anyway, and every cold start would decompress it once more.
        compressed.with_suffix("").write_text(json.dumps(used, separators=(",", ":")))
        compressed.unlink()
    endpoints = data / "endpoints.json"
    endpoints.write_text(_endpoints_of_used_services(endpoints.read_text()))


def _endpoints_of_used_services(text: str) -> str:
    """Cut the endpoints of 400 services to ours: every client parses the whole document at its cold start."""
    document = json.loads(text)
    for partition in document["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in OPERATIONS if name in services}
    return json.dumps(document, separators=(",", ":"))


def _model_of_used_operations(model: dict[str, Any], operations: tuple[str, ...]) -> dict[str, Any]:
    """Cut a service's model to some operations and the shapes that they reach. Raises KeyError where one is missing."""
    kept = {name: model["operations"][name] for name in operations}
    shapes: dict[str, Any] = {}
    wanted = _shapes_named_in(kept)
    while wanted:
        shapes |= {name: model["shapes"][name] for name in sorted(wanted)}  # a set has another order each time
        wanted = _shapes_named_in([shapes[name] for name in wanted]) - shapes.keys()
    return {"version": model["version"], "metadata": model["metadata"], "operations": kept, "shapes": shapes}


def _shapes_named_in(part: Any) -> set[str]:  # noqa: ANN401  # any part of a JSON document
    if isinstance(part, list):
        return set().union(*map(_shapes_named_in, part))
    if not isinstance(part, dict):
        return set()
    part.pop("documentation", None)
    own = {part["shape"]} if isinstance(part.get("shape"), str) else set()
    return own.union(*map(_shapes_named_in, part.values()))


def _copy_project(root: Path, tree: Path) -> None:
    """Copy app.py and chalicelib, without what editors and interpreters leave there."""
    shutil.copyfile(root / "app.py", tree / "app.py")
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "*~", "*.orig", "*.rej")
    shutil.copytree(root / "chalicelib", tree / "chalicelib", ignore=ignored)


def _compile(tree: Path) -> None:
    """Compile every module, to bytecode that Python takes without looking at the source's date.

    In a process of its own, because marshal's output depends on what the interpreter did before.
    """
    command = [sys.executable, "-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(tree), "-p", LAMBDA_TASK_ROOT, str(tree)]
    _run(command, tree, "The code does not compile")


def _zip(tree: Path, path: Path) -> None:
    """Write the tree in one order, with one date and plain permissions."""
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(tree.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(file.relative_to(tree).as_posix(), OLDEST_ZIP_DATE)
                entry.external_attr = (0o755 if file.suffix == ".so" else 0o644) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, file.read_bytes())
    partial.replace(path)


def _run(command: list[str], cwd: Path, failure: str) -> str:
    """Run a command for its output. Raises Failure with what it said, FileNotFoundError when it is not there."""
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603  # all ours
    if result.returncode:
        message = f"{failure}:\n{result.stderr.strip() or result.stdout.strip()}"
        raise Failure(message)
    return result.stdout


def main() -> int:
    """Build, and say what was built. How it fails: infra/failure.py."""

    def run() -> None:
        package = build()
        print(f"{package.path}  {package.path.stat().st_size / 1e6:.1f} MB  sha256 {package.digest}")

    return command("package", run)


if __name__ == "__main__":
    sys.exit(main())
