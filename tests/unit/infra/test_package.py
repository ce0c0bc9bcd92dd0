"""How the zip is made, step by step on a small tree. The whole of it is built and opened in tests/rehearsal."""

from __future__ import annotations

import hashlib
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

ROOT = Path(__file__).resolve().parents[3]


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
        for path in (ROOT / "chalicelib" / room).rglob("*.py")
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


def a_wheel(directory: Path, contents: str) -> Path:
    """A wheel of one module, as an index would serve it."""
    path = directory / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("tiny.py"), contents)
        archive.writestr(
            zipfile.ZipInfo("tiny-1.0.dist-info/METADATA"), "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
        )
        archive.writestr(zipfile.ZipInfo("tiny-1.0.dist-info/WHEEL"), "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(zipfile.ZipInfo("tiny-1.0.dist-info/RECORD"), "")
    return path


@pytest.fixture
def small_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one small dependency, whose wheel an earlier build has left under build/."""
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / "app.py").write_text("app = 1\n")
    (tmp_path / "build/incomplete").mkdir(parents=True)
    hashed = hashlib.sha256(a_wheel(tmp_path / "build/incomplete", "honest = 1\n").read_bytes()).hexdigest()
    requirements = f"tiny==1.0 --hash=sha256:{hashed}\n"
    recipe = hashlib.sha256((requirements + Path(package.__file__).read_text()).encode()).hexdigest()[:16]
    (tmp_path / "build/incomplete").rename(tmp_path / f"build/wheels-{recipe}")
    monkeypatch.setattr(package, "_locked_requirements", lambda _root: requirements)
    monkeypatch.setattr(package, "_trim", lambda _tree: None)
    return tmp_path


def test_altered_installed_file_is_not_shipped(small_project: Path) -> None:
    """Files of an installed tree of before are never taken, nor is a file that was laid beside them."""
    first = package.build(small_project)
    (small_project / "build/package/tiny.py").write_text("altered = 1\n")
    (small_project / "build/package/stray.py").write_text("altered = 1\n")
    again = package.build(small_project)
    assert again.digest == first.digest
    with zipfile.ZipFile(again.path) as archive:
        assert archive.read("tiny.py") == b"honest = 1\n"
        assert "stray.py" not in archive.namelist()


def test_altered_wheel_is_not_shipped(small_project: Path) -> None:
    """A wheel that is not what the lock names fails the build, with the directory to delete; no zip is made."""
    (wheels,) = (small_project / "build").glob("wheels-*")
    a_wheel(wheels, "altered = 1\n")
    with pytest.raises(Failure, match="delete that directory"):
        package.build(small_project)
    assert not (small_project / "build/keyturn.zip").exists()


def test_tools_are_installed_by_hash() -> None:
    """Every tool of the Makefile comes from a file that lists each package with its hashes, and no address."""
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"pip install .*", makefile) == [
        "pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: --requirement"
    ]
    listed = {path.name: path.read_text() for path in (ROOT / "infra/tools").glob("*.txt")}
    assert {*re.findall(r"\$\(INSTALL_TOOL\) infra/tools/(\S+)", makefile)} == {*listed}
    for text in listed.values():
        assert "://" not in text
        for requirement in re.split(r"\n(?=\w)", text.replace("\\\n", "").strip()):
            assert re.fullmatch(r"[\w-]+==[\d.]+(\s+--hash=sha256:[0-9a-f]{64})+", requirement), requirement
