"""Attribute values as DynamoDB spells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.sessions import USER_AGENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Item = dict[str, Any]
Value = dict[str, Any]


def text(value: str) -> Value:
    """A string."""
    return {"S": value}


def number(value: int) -> Value:
    """A whole number."""
    return {"N": str(value)}


def binary(value: bytes) -> Value:
    """Bytes."""
    return {"B": value}


def flag(*, value: bool) -> Value:
    """A truth value."""
    return {"BOOL": value}


def text_list(values: Iterable[str]) -> Value:
    """Strings in their order; unlike a set, a list may be empty."""
    return {"L": [{"S": value} for value in values]}


def number_list(values: Iterable[int]) -> Value:
    """Whole numbers in their order."""
    return {"L": [number(value) for value in values]}


def text_set(values: Iterable[str]) -> Value:
    """Strings without an order; DynamoDB knows no empty set."""
    return {"SS": sorted(values)}


def user_agent(value: str) -> Value:
    """A user agent, cut to 160 bytes of UTF-8 between two characters.

    The header is the caller's: what is no character at all (a lone surrogate) becomes a question mark.
    """
    return text(value.encode("utf-8", "replace")[:USER_AGENT_BYTES].decode("utf-8", "ignore"))


def number_from(item: Mapping[str, Any], name: str) -> int:
    """The whole number that the item holds under the name; 0 where there is no such attribute."""
    return int(item[name]["N"]) if name in item else 0


def bytes_from(item: Mapping[str, Any], name: str) -> bytes:
    """The bytes that the item holds under the name; empty where there is no such attribute."""
    return bytes(item[name]["B"]) if name in item else b""
