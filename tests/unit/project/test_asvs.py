"""docs/asvs.md: no line of the standard is missing, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/asvs.md").read_text(encoding="utf-8")

# How many lines of each chapter concern an authentication backend, and how many lines each level has among them.
CHAPTERS = {"V1": 14, "V2": 12, "V3": 23, "V4": 7, "V6": 33, "V7": 19, "V8": 9, "V9": 7, "V10": 19}
CHAPTERS |= {"V11": 19, "V12": 6, "V13": 18, "V14": 11, "V15": 17, "V16": 17}
LEVELS = {"L1": 55, "L2": 133, "L3": 43}

STATES = {"met", "operator"}
TOLD = {"not applicable", "not held"}  # with a reason behind a colon
TEST = re.compile(r"`(tests/(?:\w+/)+test_\w+\.py)::(test_\w+)`")
LINK = re.compile(r"\[[^\]]+\]\([^)\s]*#[\w-]+\)")


def rows() -> list[list[str]]:
    """The lines: id, level, what, state, shown by."""
    return [
        [cell.strip() for cell in row.strip().strip("|").split(" | ")]
        for row in PAGE.splitlines()
        if re.match(r"\| V\d", row)
    ]


ROWS = rows()
every_line = pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])


def number(line: str) -> tuple[int, ...]:
    """An id's numbers, by which ids are in order."""
    return tuple(int(part) for part in line.removeprefix("V").split("."))


def capabilities() -> set[str]:
    """What lines may wait for."""
    listed = PAGE.partition("## Capabilities to come")[2].partition("## The lines")[0]
    return {row.strip("|").split(" | ")[0].strip() for row in listed.splitlines() if row.startswith("| ")} - {
        "capability"
    }


@cache
def functions_of(path: str) -> frozenset[str]:
    """The tests that a file has."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_no_line_is_missing() -> None:
    """Each chapter has all its lines, each once, in their order."""
    ids = [row[0] for row in ROWS]
    assert all(re.fullmatch(r"V\d+\.\d+\.\d+", line) for line in ids)
    assert ids == sorted(set(ids), key=number)
    assert Counter(line.partition(".")[0] for line in ids) == CHAPTERS
    assert Counter(row[1] for row in ROWS) == LEVELS
    assert len(ids) == 231


@every_line
def test_state_is_a_known_one(row: list[str]) -> None:
    """A line is met, waits for what is described, is somebody else's, or says why it is not: none is open."""
    assert len(row) == 5
    line, level, what, state, shown_by = row
    assert what
    kind, _, rest = state.partition(": ")
    assert state in STATES or (kind == "waits" and rest in capabilities()) or (kind in TOLD and rest), line
    # What is not claimed is of the level that is not asked for as a whole.
    assert kind != "not held" or level == "L3"
    assert state != "met" or TEST.search(shown_by)
    assert state != "operator" or LINK.search(shown_by)


@every_line
def test_named_tests_exist(row: list[str]) -> None:
    """Each test is in the file that is named for it, and nothing else stands beside it but a page."""
    shown_by = row[4]
    for path, name in TEST.findall(shown_by):
        assert name in functions_of(path), name
    rest = LINK.sub("", TEST.sub("", shown_by))
    assert rest.strip(" ,\u2013") == ""


def test_capabilities_are_described() -> None:
    """Each has a sentence, and there is none that a line could wait for unnoticed."""
    assert capabilities() >= {row[3].partition(": ")[2] for row in ROWS if row[3].startswith("waits")}
    assert len(capabilities()) > 3
