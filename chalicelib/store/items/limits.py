"""The limiter's counters. Their writes make no item: they count in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.store.items.values import number_from

if TYPE_CHECKING:
    from collections.abc import Mapping


def attempts_from(item: Mapping[str, Any]) -> tuple[int, int]:
    """How many attempts the counter has let through, and when the last one was (seconds since the epoch)."""
    return number_from(item, "n"), number_from(item, "last_at")
