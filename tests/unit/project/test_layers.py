"""The rooms: app.py holds routes and nothing else, and the authorizer's function loads no more than it needs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CRYPTO = {"jwt", "argon2", "cryptography", "secrets", "hashlib", "hmac"}
AWS = {"boto3", "botocore"}


def imported(path: Path) -> set[str]:
    """The top packages that a module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


MODULES = [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]


def test_app_imports_no_technology() -> None:
    """The file of routes knows chalice and our rooms, and neither AWS nor cryptography nor the environment."""
    assert imported(ROOT / "app.py") <= {"__future__", "typing", "collections", "chalice", "chalicelib"}


def test_app_decides_nothing() -> None:
    """No branch, loop or error handling stands beside the routes."""
    nodes = ast.walk(ast.parse((ROOT / "app.py").read_text(encoding="utf-8")))
    branches = [
        node for node in nodes if isinstance(node, ast.For | ast.While | ast.Try | ast.With | ast.IfExp | ast.If)
    ]
    assert branches == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_technology_stays_in_its_room(path: Path) -> None:
    """AWS in store/ and aws/, cryptography in crypto/, Chalice at the edge; import-linter says the same of rooms."""
    room = path.relative_to(ROOT).as_posix().removeprefix("chalicelib/").partition("/")[0]
    if room not in {"store", "aws"}:
        assert not imported(path) & AWS
    if room != "crypto":
        assert not imported(path) & CRYPTO
    if room not in {"app.py", "functions", "web", "handlers"}:
        assert "chalice" not in imported(path)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_small(path: Path) -> None:
    """A file that outgrows 300 lines has two jobs; app.py has 150 (style: small modules)."""
    limit = 150 if path.name == "app.py" else 300
    assert len(path.read_text(encoding="utf-8").splitlines()) < limit


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_time_has_one_door(path: Path) -> None:
    """Nobody but clock.py asks what time it is (failure rule 7)."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    asking = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    assert path.name == "clock.py" or not calls & asking


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_guessable_numbers_stay_out(path: Path) -> None:
    """`random` and `uuid` make no identifier; the store's waits between retries may differ by chance."""
    assert not imported(path) & {"random", "uuid"} or path.name == "calls.py"


def fresh(code: str) -> str:
    """What a fresh interpreter prints for this code, without any setting of ours."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("KEYTURN_", "AWS_", "COV_"))}
    done = subprocess.run(  # noqa: S603  # our own interpreter, our own code
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_authorizer_loads_little() -> None:
    """The authorizer's module brings neither routes nor the password hash: its cold start delays a request."""
    loaded = fresh("import sys, chalicelib.functions.authorizers as a; print(*sorted(sys.modules))").split()
    unwanted = {
        "app",
        "argon2",
        "boto3",
        "chalicelib.functions.api",
        "chalicelib.services.accounts.accounts",
        "chalicelib.providers",
    }
    assert unwanted & set(loaded) == set()
    assert [name for name in loaded if name.startswith("chalicelib.handlers")] == []
    assert {name.partition("chalicelib.web.")[2] for name in loaded} - {""} == {"cookies", "origins", "request"}


def test_chronicle_loads_little() -> None:
    """Its module, which the API's function imports for the registration, brings nothing that takes time by itself."""
    loaded = set(fresh("import sys, chalicelib.functions.chronicle as c; print(*sorted(sys.modules))").split())
    assert loaded & {"app", "argon2", "boto3", "botocore", "cryptography", "jwt", "chalicelib.functions.api"} == set()


def test_app_is_imported_without_settings() -> None:
    """`chalice package` imports app.py before any setting exists: configuration is read at the first request."""
    assert fresh("import app; print(app.app.app_name)") == "keyturn"
