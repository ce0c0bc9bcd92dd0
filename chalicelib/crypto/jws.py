"""JSON objects of signed tokens (RFC 7515), read so that each text has one meaning."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping


def json_object(raw: bytes) -> dict[str, Any]:
    """A JSON object with distinct member names and finite numbers, in UTF-8 without a byte order mark.

    At every depth (RFC 7515 section 4, RFC 7519 section 4). TypeError or ValueError for any other text, RecursionError
    where it is nested too deep.
    """
    members = json.loads(
        raw.decode("utf-8"), object_pairs_hook=_distinct, parse_float=_finite, parse_constant=_no_constant
    )
    if not isinstance(members, dict):
        message = "no JSON object"
        raise TypeError(message)
    return members


def present(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that are there: one that is null says no more than one that is left out.

    For what other issuers make, who write so what they have no value for. Nested members are left as they are.
    """
    return {name: value for name, value in members.items() if value is not None}


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "two members of one name"
        raise ValueError(message)
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        message = "a number beyond all bounds"
        raise ValueError(message)
    return number


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)
