"""What DynamoDB counts as an item's size, by which it bills (Developer Guide, "DynamoDB item sizes and formats")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def size_of(item: Mapping[str, Any]) -> int:
    """Bytes, rounded up: names and values in UTF-8. For sets no overhead is documented: that of lists is taken."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def _value(value: Mapping[str, Any]) -> int:
    ((kind, held),) = value.items()
    match kind:
        case "S" | "B":
            size = len(held.encode() if kind == "S" else held)
        case "N":  # a byte for two significant digits, and one; trailing zeros are taken as digits
            size = (len(held) + 1) // 2 + 1
        case "BOOL":
            size = 1
        case "SS":
            size = 3 + sum(1 + len(member.encode()) for member in held)
        case "L":
            size = 3 + sum(1 + _value(member) for member in held)
        case "M":
            size = 3 + sum(1 + len(name.encode()) + _value(member) for name, member in held.items())
    return size
