"""Settings of sessions and tokens: limits that fit each other, and the scopes of roles."""

from __future__ import annotations

import pytest

from tests.unit.settings.reading import problems, read


@pytest.mark.parametrize("window", range(1, 10))
def test_window_that_tabs_fall_out_of_is_refused(window: int) -> None:
    """From 1 to 9 seconds, which were taken once, the setting is named; 0 and 10 to 60 are taken."""
    (problem,) = problems(KEYTURN_ROTATION_WINDOW=str(window))
    assert problem == "KEYTURN_ROTATION_WINDOW must be 0, which tolerates nothing, or from 10 to 60 seconds"
    for taken in (0, 10, 20, 60):
        assert read(KEYTURN_ROTATION_WINDOW=str(taken)).sessions.rotation_window == taken
    assert read().sessions.rotation_window == 20


def test_idle_limit_is_within_the_absolute_one() -> None:
    """An idle limit that is longer than the absolute one would mean nothing."""
    (problem,) = problems(KEYTURN_REFRESH_IDLE_TTL="7200", KEYTURN_REFRESH_ABSOLUTE_TTL="3600")
    assert "KEYTURN_REFRESH_ABSOLUTE_TTL" in problem
    same = read(KEYTURN_REFRESH_IDLE_TTL="3600", KEYTURN_REFRESH_ABSOLUTE_TTL="3600")
    assert same.sessions.idle_ttl == same.sessions.absolute_ttl


def test_roles_give_scopes() -> None:
    """Roles are separated by semicolons, their scopes by blanks."""
    config = read(KEYTURN_ROLE_SCOPES="user=orders:read; admin = orders:read  orders:write ;")
    assert config.sessions.role_scopes == {"user": ("orders:read",), "admin": ("orders:read", "orders:write")}


@pytest.mark.parametrize("entry", ["user", "user=", "=orders:read", " = ", "user:orders"])
def test_half_a_role_is_refused(entry: str) -> None:
    """A role without scopes, or scopes without a role, is a mistake."""
    (problem,) = problems(KEYTURN_ROLE_SCOPES=f"admin=a; {entry}")
    assert problem.startswith("KEYTURN_ROLE_SCOPES holds")
