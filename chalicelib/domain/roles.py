"""What roles come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def scope_of(roles: Iterable[str], role_scopes: Mapping[str, tuple[str, ...]]) -> str:
    """The scope that the roles give, each name once, in the order of the setting (RFC 6749 section 3.3)."""
    return " ".join(dict.fromkeys(name for role in roles for name in role_scopes.get(role, ())))
