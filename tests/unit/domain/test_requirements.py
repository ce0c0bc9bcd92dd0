"""What variants of the authorizer ask for, and how it is written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.callers import Principal
from chalicelib.domain.requirements import Requirement, parse
from chalicelib.domain.sessions import LONGEST_SESSION
from tests.world.clock import START

PRINCIPAL = Principal(
    sub="sub",
    sid="sid",
    roles=("user", "admin"),
    scope="orders:read orders:write",
    email_verified=True,
    auth_time=START,
)


def asking(*roles: str, scopes: tuple[str, ...] = (), max_age: int | None = None) -> Requirement:
    """A requirement of these."""
    return Requirement(frozenset(roles), frozenset(scopes), max_age)


def test_nothing_asked() -> None:
    """An empty requirement holds for everybody, however long ago the login."""
    assert Requirement().unmet(PRINCIPAL, START + 10**9) is None


@pytest.mark.parametrize(
    ("requirement", "holds"),
    [
        (asking("admin"), True),
        (asking("admin", "user"), True),
        (asking("owner"), False),
        (asking("admin", "owner"), False),
        (asking("adm"), False),
        (asking("Admin"), False),
        (asking("user admin"), False),
        (asking(scopes=("orders:read",)), True),
        (asking(scopes=("orders:read", "orders:write")), True),
        (asking(scopes=("orders:read", "orders:delete")), False),
        (asking(scopes=("orders:",)), False),
        (asking(scopes=("read orders:write",)), False),
        (asking("admin", scopes=("orders:read",)), True),
        (asking("admin", scopes=("reports:read",)), False),
        (asking("owner", scopes=("orders:read",)), False),
    ],
)
def test_all_roles_and_scopes_must_be_there(requirement: Requirement, holds: bool) -> None:  # noqa: FBT001  # a table's column
    """Every role and every scope that is named, as a whole word; else `insufficient_scope` (RFC 6750 section 3.1)."""
    assert requirement.unmet(PRINCIPAL, START) == (None if holds else "insufficient_scope")


def test_no_roles_at_all() -> None:
    """Somebody without roles and scopes meets no requirement of any."""
    nobody = PRINCIPAL._replace(roles=(), scope="")
    assert asking("user").unmet(nobody, START) == "insufficient_scope"
    assert asking(scopes=("orders:read",)).unmet(nobody, START) == "insufficient_scope"


@pytest.mark.parametrize(
    ("seconds", "holds"),
    [(-86400, False), (-61, False), (-60, True), (0, True), (300, True), (301, False), (10**9, False)],
)
def test_login_is_recent(seconds: int, holds: bool) -> None:  # noqa: FBT001  # a table's column
    """The login may lie back `max_age` seconds and not one more (RFC 9470); a clock a minute behind harms nobody.

    A login of the future was written down by a wrong clock: it is not recent for as long as that clock was ahead.
    """
    unmet = asking("user", max_age=300).unmet(PRINCIPAL, START + seconds)
    assert unmet == (None if holds else "insufficient_user_authentication")


def test_another_login_is_asked_for_last() -> None:
    """Who lacks a role is not sent to log in again for nothing."""
    assert asking("owner", max_age=300).unmet(PRINCIPAL, START + 301) == "insufficient_scope"


def test_notation() -> None:
    """Conditions are separated by blanks, in any order; roles and scopes may stand more than once."""
    assert parse("role=admin") == asking("admin")
    assert parse(" max_age=300  scope=reports:read role=a role=b scope=x=y ") == Requirement(
        frozenset({"a", "b"}), frozenset({"reports:read", "x=y"}), 300
    )
    assert parse("answer=policy") == Requirement(answer="policy")
    assert parse("answer=simple role=a") == asking("a")
    assert parse(f"max_age={LONGEST_SESSION}") == asking(max_age=LONGEST_SESSION)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "admin", "role", "role=", "role= admin", "role =admin", "Role=admin", "roles=admin", "role:admin"),
        *("max_age=", "max_age=0", "max_age=-1", "max_age=1.5", "max_age=5m", "max_age=\u0663", "max_age=34560001"),
        *("max_age=1 max_age=2", "answer=", "answer=yes", "answer=policy answer=simple", "answer=policy answer=policy"),
        *("role=a, role=b =", "role=a unknown=b", "max_age=9999999999999"),
    ],
)
def test_other_texts_state_nothing(text: str) -> None:
    """What is not wholly understood is no requirement: a guard must not ask for less than its operator meant."""
    assert parse(text) is None


@given(st.text(max_size=80))
def test_no_text_breaks_the_notation(text: str) -> None:
    """Whatever an operator writes is a requirement that asks for something, or none."""
    requirement = parse(text)
    assert requirement is None or text.strip()
