"""What roles come to."""

from __future__ import annotations

import pytest

from chalicelib.domain.requirements import scope_of

ROLE_SCOPES = {"user": ("profile", "orders:read"), "clerk": ("orders:read", "orders:write")}


@pytest.mark.parametrize(
    ("roles", "scope"),
    [
        ((), ""),
        (("unknown",), ""),
        (("user",), "profile orders:read"),
        (("user", "clerk"), "profile orders:read orders:write"),
        (("clerk", "user"), "orders:read orders:write profile"),
        (("user", "user"), "profile orders:read"),
    ],
)
def test_scope_of_roles(roles: tuple[str, ...], scope: str) -> None:
    """Each name once, in the order of roles and setting; a role without a setting gives none."""
    assert scope_of(roles, ROLE_SCOPES) == scope
