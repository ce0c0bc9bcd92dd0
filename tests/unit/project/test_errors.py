"""The errors: one code each, one status each, and a page that lists them all."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from chalicelib import errors
from chalicelib.errors import AuthError, TooManyRequests, Unavailable
from chalicelib.web.boundary import FRAMEWORK, STATUS

PAGE = (Path(__file__).parents[3] / "docs" / "errors.md").read_text(encoding="utf-8")


def subclasses(of: type[AuthError]) -> list[type[AuthError]]:
    """Every error below this one that the product defines."""
    return [deeper for error in of.__subclasses__() for deeper in (error, *subclasses(error))]


ERRORS = [error for error in subclasses(AuthError) if error.__module__ == errors.__name__]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_a_status(error: type[AuthError]) -> None:
    """The boundary answers each error by its own line: none falls through to a parent or to 500."""
    assert HTTPStatus(STATUS[error]) >= HTTPStatus.BAD_REQUEST


def test_statuses_are_of_errors_that_exist() -> None:
    """The table has no line for an error that is gone."""
    assert set(STATUS) == set(ERRORS)


def test_codes_are_unique_and_stable_words() -> None:
    """One code for each error, in snake case: clients decide by it."""
    codes = [error.code for error in ERRORS]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_titles_are_one_sentence() -> None:
    """A title is a short sentence of its own, without a stop."""
    titles = [error.title for error in ERRORS]
    assert len(titles) == len(set(titles))
    assert all(title[0].isupper() and not title.endswith(".") and len(title) < 70 for title in titles)


@pytest.mark.parametrize("error", ERRORS)
def test_tree_in_the_docstring_is_the_tree(error: type[AuthError]) -> None:
    """The module's picture shows each class with its code, under its parent."""
    lines = str(errors.__doc__).splitlines()
    line = next(line for line in lines if re.search(rf"── {error.__name__} ", line))
    assert f" {error.code} " in line
    depth = len(error.__mro__) - len(AuthError.__mro__)
    assert line.index("── ") == 1 + 4 * (depth - 1)


def test_details_are_for_callers_and_debugs_for_the_log() -> None:
    """The two texts never mix; the log's is the exception's own message."""
    error = errors.InvalidGrant("for the caller", debug="for the log")
    assert (error.detail, error.debug, str(error)) == ("for the caller", "for the log", "for the log")
    assert str(errors.InvalidGrant("for the caller")) == "for the caller"
    assert str(errors.InvalidGrant()) == errors.InvalidGrant.title


def test_waits_are_told() -> None:
    """The errors that pass say after how many seconds."""
    refusal = TooManyRequests(30, policy="login-account", quota=20, window=3600)
    assert refusal.retry_after == 30
    assert "30 s" in str(refusal.detail)
    assert Unavailable().retry_after >= 1


def answers() -> set[tuple[str, int]]:
    """Every pair of code and status that the API answers, the framework's and the gateway's included."""
    ours = {(error.code, status) for error, status in STATUS.items()}
    return ours | {(code, status) for status, (code, _) in FRAMEWORK.items()}


def test_page_lists_every_error() -> None:
    """docs/errors.md has one line for each code, with its status, and no line more."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \| [^|]+\. \| [^|]+\. \|$", PAGE, re.MULTILINE)
    assert len(rows) == len([line for line in PAGE.splitlines() if line.startswith("| `")])
    assert sorted((code, int(status)) for code, status in rows) == sorted(answers())


def test_one_code_has_one_title() -> None:
    """Where the framework answers with a code of ours, it says what we say; 429 is a caller too, not an attempt."""
    titles = {error.code: error.title for error in ERRORS}
    for status, (code, title) in FRAMEWORK.items():
        assert status == 429 or titles.get(code, title) == title


def test_example_of_the_page_is_an_answer() -> None:
    """The example is what the API really says."""
    assert f'"title": "{errors.InvalidGrant.title}", "status": 401, "code": "invalid_grant"' in PAGE
