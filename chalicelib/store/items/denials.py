"""Users' token blacklists. Their writes make no item: they add to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.denials import Denials
from chalicelib.store.items.values import number_from

if TYPE_CHECKING:
    from collections.abc import Mapping


def denials_from(item: Mapping[str, Any]) -> Denials:
    """The blacklist that the item holds; no item is an empty one."""
    return Denials(
        before_epoch=number_from(item, "before_epoch"),
        issued_before=number_from(item, "issued_before"),
        sessions=_members(item, "sessions"),
        tokens=_members(item, "tokens"),
        expires_at=number_from(item, "expires_at"),
    )


def _members(item: Mapping[str, Any], name: str) -> frozenset[str]:
    return frozenset(item[name]["SS"]) if name in item else frozenset()
