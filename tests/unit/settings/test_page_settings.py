"""Settings of pages: origins and pages are compared byte for byte."""

from __future__ import annotations

import pytest

from tests.unit.settings.reading import GOOGLE, problems, read


def test_origins_are_a_list() -> None:
    """Several origins, separated by commas, with or without blanks; doubles are one."""
    origins = " https://app.example.com,https://admin.example.com:8443 ,,http://localhost:3000,https://app.example.com,"
    assert read(KEYTURN_ALLOWED_ORIGINS=origins).pages.allowed_origins == {
        "https://app.example.com",
        "https://admin.example.com:8443",
        "http://localhost:3000",
    }


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "*",
            "null",
            "app.example.com",
            "https://*.example.com",
            "https://app.example.com/",
            "https://app.example.com/a",
        ),
        *(
            "http://app.example.com",
            "https://App.example.com",
            "HTTPS://app.example.com",
            "https://app.example.com:443",
        ),
        *(
            "http://localhost:80",
            "https://app.example.com:08443",
            "https://bücher.example",
            "https://u@app.example.com",
        ),
        *(
            "https://app.example.com https://b.example.com",
            "https://app.example.com;https://b.example.com",
            "https://[",
        ),
    ],
)
def test_other_origins_are_refused(origin: str) -> None:
    """What no browser would ever send as Origin is refused: it would silently match nothing, or too much."""
    (problem,) = problems(KEYTURN_ALLOWED_ORIGINS=f"https://app.example.com,{origin}")
    assert repr(origin) in problem


def test_every_wrong_origin_is_named() -> None:
    """Each origin that is wrong is a problem of its own."""
    assert len(problems(KEYTURN_ALLOWED_ORIGINS="*,null,https://app.example.com")) == 2


def test_pages() -> None:
    """Pages are kept as they are written, the slash at the end included: they are compared byte for byte."""
    pages = "https://app.example.com/, https://app.example.com/welcome,http://localhost:3000"
    assert read(KEYTURN_RETURN_TO=pages).pages.return_to == frozenset(pages.replace(" ", "").split(","))


@pytest.mark.parametrize(
    "page",
    [
        "app.example.com",
        "//app.example.com",
        "http://app.example.com/x",
        "https://app.example.com/?next=1",
        "https://app.example.com/#x",
        "https://user@app.example.com/",
        "https://*.example.com/",
        "javascript:alert(1)",
        "https://app.example.com\\x",
        "https://auth.example.com/prod/login/google/callback",
    ],
)
def test_pages_that_are_refused(page: str) -> None:
    """No page that a browser could take for another one, and never Keyturn's own callback."""
    (problem,) = problems(**GOOGLE, KEYTURN_RETURN_TO=page)
    assert problem.startswith("KEYTURN_RETURN_TO holds")
