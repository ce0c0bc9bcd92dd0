"""What no line of the product does, read from its source: run input, compare secrets step by step, write elsewhere."""

from __future__ import annotations

import ast
import importlib
import re
import time
from functools import cache
from pathlib import Path

import pytest

from tests.unit.declared import declared_fields

ROOT = Path(__file__).parents[3]
PRODUCT = [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]
INFRA = sorted(path for path in (ROOT / "infra").rglob("*.py") if "node_modules" not in path.parts)
every_module = pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))

RUNS_CODE = {"eval", "exec", "compile", "__import__", "breakpoint", "os.system", "os.popen"}
# Each reads objects, code or markup out of text, or runs another program.
UNSAFE_READERS = {"pickle", "marshal", "shelve", "dill", "yaml", "xml", "subprocess", "ctypes", "code", "runpy", "pty"}

SECRET = re.compile(r"secret|digest|mac$|token$|nonce|verifier|challenge|password|tag$", re.IGNORECASE)
# Comparisons by `==` of what is named as a secret is and is none, each with what it is.
OPEN_COMPARISONS = {
    "page_tag(page) == state.page": "which page of the allow-list a genuine state names",
    "held.digest == rotation.next_digest": "two digests of our own: whether a repeated write has happened",
}

# What none of our patterns needs more than a moment for: runs of the characters that they are made of, with an end that
# does not fit, so that whoever backtracks tries every way.
LONGEST = 16 * 1024
RUNS = ("a", "0", "-", ".", "/", "a-", "a.", "a/", " ", "%41", "%", "aA0-_", ":", "role=a", "\\", ",max-age", "é")


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Everything in a module."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports(path: Path) -> set[str]:
    """The top packages that a module imports, wherever in it."""
    found = nodes(path)
    names = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in found if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def calls(path: Path) -> list[str]:
    """What is called in a module, as it is written."""
    return [ast.unparse(node.func) for node in nodes(path) if isinstance(node, ast.Call)]


def name_of(node: ast.expr) -> str:
    """The last name of an operand: of a variable, of an attribute, of what is called."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return name_of(function)
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
    return ""


@every_module
def test_nothing_that_came_in_is_run(path: Path) -> None:
    """No code, object or markup is made of text, and no program is called (ASVS V1.3.2, V1.5.2)."""
    assert RUNS_CODE & set(calls(path)) == set()
    assert UNSAFE_READERS & imports(path) == set()


@every_module
def test_no_text_is_a_format(path: Path) -> None:
    """Text is put together by f-strings alone, whose form stands in the code (ASVS V1.3.10)."""
    assert [call for call in calls(path) if call.endswith((".format", ".format_map", "Template"))] == []
    made = [node for node in nodes(path) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod)]
    assert [ast.unparse(node) for node in made if isinstance(node.left, ast.JoinedStr)] == []


@every_module
def test_secrets_are_compared_in_constant_time(path: Path) -> None:
    """`==` and `in` stop at the first difference: nothing that is named as a secret meets them (ASVS V11.2.4)."""
    compared = [
        ast.unparse(node)
        for node in nodes(path)
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in node.ops)
        and not any(isinstance(operand, ast.Constant) or name_of(operand).isupper() for operand in node.comparators)
        and any(SECRET.search(name_of(operand)) for operand in [node.left, *node.comparators])
    ]
    assert [comparison for comparison in compared if comparison not in OPEN_COMPARISONS] == []


def test_rule_of_comparisons_finds_one(tmp_path: Path) -> None:
    """The rule above sees what it is there to see."""
    careless = tmp_path / "careless.py"
    careless.write_text('def same(session, csrf_token):\n    return csrf_token == session["digest"]\n')
    with pytest.raises(AssertionError):
        test_secrets_are_compared_in_constant_time(careless)


@every_module
def test_log_has_one_door(path: Path) -> None:
    """Standard output, which is the log, is written by the audit log alone; no file is written (ASVS V16.2.3)."""
    called = calls(path)
    assert {"print", "open"} & set(called) == set()
    assert [call for call in called if re.search(r"\.(write_text|write_bytes)$", call)] == []
    modes = [ast.unparse(node) for node in nodes(path) if isinstance(node, ast.Call) and name_of(node) == "open"]
    assert [call for call in modes if not call.endswith(".open('rb')")] == []
    if path.name != "audit.py":
        source = path.read_text(encoding="utf-8")
        assert re.search(r"\bsys\.(stdout|stderr)|\bwarnings\.", source) is None
        # Of logging, no more than that a library's own is silenced.
        assert set(re.findall(r"\blogging\.(\w+)", source)) <= {"getLogger", "CRITICAL"}


@cache
def patterns() -> dict[str, tuple[re.Pattern[str] | re.Pattern[bytes], set[str]]]:
    """Every pattern of the product, by module and name, with the methods that its module calls."""
    found = {}
    for path in PRODUCT:
        name, source = ".".join(path.relative_to(ROOT).with_suffix("").parts), path.read_text(encoding="utf-8")
        for key, value in vars(importlib.import_module(name.removesuffix(".__init__"))).items():
            # Some are compiled at their first use, where a cold start must not pay for it.
            late = set(re.findall(rf"\bre\.(fullmatch|match|search|findall|finditer)\({key},", source))
            if isinstance(value, re.Pattern):
                used = set(re.findall(rf"\b{key}\.(fullmatch|match|search|findall|finditer|sub|split)\(", source))
                found[f"{name}.{key}"] = (value, used or {"fullmatch"})
            elif late:
                found[f"{name}.{key}"] = (re.compile(value), late)
    for declared in declared_fields():
        for key, member in declared.members.items():
            if member.pattern:
                found[f"{declared.name}.{key}"] = (re.compile(member.pattern, re.ASCII), {"fullmatch"})
    return found


def test_every_pattern_is_a_constant() -> None:
    """No pattern is made of input, and the test below finds each of them: a module's, or a declared member's."""
    made = [
        (path.name, ast.unparse(node))
        for path in PRODUCT
        for function in nodes(path)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith("re.")
        and (ast.unparse(node.func) == "re.compile" or not re.fullmatch("_?[A-Z][A-Z_]*", ast.unparse(node.args[0])))
    ]
    assert made == [("fields.py", "re.fullmatch(self.pattern, value, re.ASCII)")]


@pytest.mark.parametrize("name", sorted(patterns()))
def test_no_pattern_backtracks(name: str) -> None:
    """The longest input that is read keeps no pattern busy for a fifth of a second (ASVS V1.3.12)."""
    pattern, used = patterns()[name]
    for run in RUNS:
        text = (run * LONGEST)[:LONGEST] + "\n!"
        subject: str | bytes = text.encode() if isinstance(pattern.pattern, bytes) else text
        began = time.process_time()
        for method in sorted(used):
            arguments = (subject[:0], subject) if method == "sub" else (subject,)
            getattr(pattern, method)(*arguments)
        assert time.process_time() - began < 0.2, run


@pytest.mark.parametrize("path", INFRA, ids=lambda path: path.name)
def test_deployment_makes_no_account(path: Path) -> None:
    """A new stage has no account in it, and so none with a password that everybody knows (ASVS V6.3.2)."""
    writes = {"put_item", "update_item", "batch_write_item", "transact_write_items", "create_account", "sign_up"}
    assert [call for call in calls(path) if call.rpartition(".")[2] in writes] == []


# Each module that opens connections, and to whom; botocore does it for the rooms store/ and aws/.
NETWORK = {"socket", "ssl", "http", "urllib3", "requests", "httpx", "aiohttp", "smtplib", "ftplib", "telnetlib"}
DOORS = {
    "chalicelib/providers/http.py": "identity providers, and whatever else is asked by its `call`",
    "chalicelib/providers/addresses.py": "connections of that `call`",
}


@every_module
def test_network_has_its_doors(path: Path) -> None:
    """Connections are opened to AWS and by one call more: nobody else is told anything (ASVS V13.2.4, V14.2.3)."""
    assert NETWORK & imports(path) == set() or str(path.relative_to(ROOT)) in DOORS
    assert "urllib.request" not in path.read_text(encoding="utf-8")


def test_nothing_debugs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chalice shows no trace to callers, whatever the environment says; no module asks for its debugger (V13.4.2)."""
    for name in ("CHALICE_DEBUG", "DEBUG", "PYTHONDEBUG", "FLASK_DEBUG"):
        monkeypatch.setenv(name, "1")
    application = importlib.import_module("app").app
    assert application.debug is False
    assert [path.name for path in PRODUCT if {"pdb", "cProfile", "trace", "faulthandler"} & imports(path)] == []
