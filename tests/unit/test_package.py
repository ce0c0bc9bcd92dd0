"""How the zip is made, step by step on a small tree. The whole of it is built and opened in tests/rehearsal."""

from __future__ import annotations

import json
import marshal
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from botocore import xform_name

from infra import package
from infra.failure import Failure

ROOT = Path(__file__).resolve().parents[2]


def test_only_the_code_is_copied(tmp_path: Path) -> None:
    """What editors and interpreters leave beside the code stays behind."""
    for name in ("app.py", "chalicelib/a.py", "chalicelib/words.txt", "chalicelib/deep/b.py"):
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text("x = 1\n")
    for name in ("chalicelib/.env", "chalicelib/a.py~", "chalicelib/__pycache__/a.pyc", "infra/c.py", ".git/config"):
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text("x = 1\n")
    tree = tmp_path / "to"
    tree.mkdir()
    package._copy_project(tmp_path / "from", tree)
    assert {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()} == {
        "app.py",
        "chalicelib/a.py",
        "chalicelib/words.txt",
        "chalicelib/deep/b.py",
    }


def test_the_models_hold_every_operation_that_the_code_calls() -> None:
    """A client whose model was cut has no method for another operation: the first call of it would fail on Lambda."""
    called = {
        name
        for room in ("store", "aws")
        for path in (ROOT / "chalicelib" / room).glob("*.py")
        for name in re.findall(r"(?<!rotation\.)\b_?client\.(\w+)", path.read_text())
        if name != "meta"
    }
    kept = [name for names in package.OPERATIONS.values() for name in names]
    assert called == {xform_name(name) for name in kept}


def test_cut_model_is_whole() -> None:
    """A kept operation keeps every shape that it reaches, and nothing else is kept."""
    model = {
        "version": "2.0",
        "metadata": {},
        "operations": {"Get": {"input": {"shape": "In"}, "documentation": "…"}, "Put": {"input": {"shape": "Out"}}},
        "shapes": {
            "In": {"type": "structure", "members": {"tree": {"shape": "Tree"}}},
            "Tree": {"type": "list", "member": {"shape": "Tree"}},
            "Out": {"type": "string"},
        },
    }
    cut = package._model_of_used_operations(model, ("Get",))
    assert cut["operations"] == {"Get": {"input": {"shape": "In"}}}
    assert cut["shapes"].keys() == {"In", "Tree"}


def test_bytecode_names_the_place_where_it_will_run(tmp_path: Path) -> None:
    """Tracebacks on Lambda say /var/task; Python takes the bytecode without looking at the source."""
    (tmp_path / "a.py").write_text("x = 1\n")
    package._compile(tmp_path)
    (compiled,) = (tmp_path / "__pycache__").iterdir()
    contents = compiled.read_bytes()
    assert contents[4:8] == b"\x01\0\0\0"
    assert marshal.loads(contents[16:]).co_filename == "/var/task/a.py"  # noqa: S302  # compiled just now


def test_code_that_does_not_compile(tmp_path: Path) -> None:
    """It fails here, with the place."""
    (tmp_path / "a.py").write_text("x = = 1\n")
    with pytest.raises(Failure, match=r"a\.py"):
        package._compile(tmp_path)


def test_same_tree_same_bytes(tmp_path: Path) -> None:
    """Neither the order in which files were made nor their dates or permissions show in the zip."""
    digests = set()
    for order in (("a.py", "b/c.so"), ("b/c.so", "a.py")):
        tree = tmp_path / order[0].replace("/", "")
        for name in order:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(name)
            (tree / name).chmod(0o600 if order[0] == name else 0o644)
        package._zip(tree, tmp_path / "out.zip")
        digests.add(package.digest((tmp_path / "out.zip").read_bytes()))
    assert len(digests) == 1
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert [(entry.filename, entry.external_attr >> 16) for entry in archive.infolist()] == [
            ("a.py", 0o644),
            ("b/c.so", 0o755),
        ]


def test_digest_is_lambdas() -> None:
    """Base64 of SHA-256, as CodeSha256 (here of the empty string)."""
    assert package.digest(b"") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="  # pragma: allowlist secret


def test_endpoints_of_other_services_go() -> None:
    """What is left resolves our services in every partition that has them."""
    services: dict[str, dict[str, object]] = {"dynamodb": {"endpoints": {}}, "ssm": {}, "s3": {}}
    text = json.dumps({"version": 3, "partitions": [{"partition": "aws", "services": services}, {"services": {}}]})
    assert json.loads(package._endpoints_of_used_services(text)) == {
        "version": 3,
        "partitions": [
            {"partition": "aws", "services": {"dynamodb": {"endpoints": {}}, "ssm": {}}},
            {"services": {}},
        ],
    }


def test_uv_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure says how to get it."""
    monkeypatch.setenv("UV", "/nowhere/uv")
    with pytest.raises(Failure, match="make deploy"):
        package._locked_requirements(ROOT)


def test_stale_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What uv complains of is passed on."""

    def fail(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 2, stdout="", stderr="the lock is stale")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(Failure, match="the lock is stale"):
        package._locked_requirements(ROOT)
