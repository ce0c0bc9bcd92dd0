"""The function that keeps owners' security events in the table: CloudWatch Logs hands it the other functions' lines.

Requests write the log and nothing else: an event costs them no write and no time, and none that the answer to a wrong
password could be told apart by (docs/decisions/0018-security-events.md). Lambda asks again where this function fails,
and CloudWatch may hand over a line twice: an event's key is made of what it is, so that it is kept once.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint

from chalicelib import deadline
from chalicelib.domain import invocations
from chalicelib.domain.callers import Caller
from chalicelib.domain.events import EVENTS, KEPT, SHOWN_FACTS, SecurityEvent
from chalicelib.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from chalicelib.store.protocol import Store

chronicle = Blueprint("chalicelib.chronicle")

SECONDS = 20.0  # for all writes of one delivery; the function's own timeout is longer (.chalice/config.json)
# Bytes of lines in one delivery. Lambda takes events of 1 MB at most, compressed and in base64, and lines like ours
# shrink to a tenth: what unpacks to more than this is no log of ours. The function's memory has room for it.
MAX_LINES = 24 * 1024 * 1024
MAX_TEXT = 64  # characters of a fact, an address or an id

_GZIP = 31  # zlib: a gzip header, and the largest window
# Compiled at the first line: the API's function, which imports this module for its registration, never sees one.
_SUB = r"[A-Za-z0-9_-]{1,64}"
_LOG_ID = r"[A-Za-z0-9-]{1,64}"


@lru_cache(maxsize=1)
def table() -> Store:
    """The table, once per container. ConfigurationError, which is not remembered."""
    store: Store = _container().table()
    return store


@chronicle.lambda_function(name="chronicle")
def keep(event: Any, context: Any) -> dict[str, str]:  # noqa: ANN401, ARG001  # what Lambda hands over
    """Keep the owners' events among the lines of one delivery.

    Unavailable where the table does not take all of them in time: Lambda then asks again, twice. What is no delivery,
    or no line of ours, is passed over: no second attempt would make more of it. An event of another source is named in
    the log and in the answer, which is empty otherwise.
    """
    if invocations.is_ping(event):
        with suppress(AuthError):
            table()
        return {}
    if not (isinstance(event, dict) and "awslogs" in event):
        return _foreign(event)
    events = [found for message in messages(event) if (found := event_of(*message))]
    if events:
        with deadline.start(SECONDS):
            table().record_events(events)
    return {}


def messages(event: object) -> Iterator[tuple[str, str]]:
    """Id and line of each log event in a delivery of CloudWatch Logs; none where it is not one.

    (Amazon CloudWatch Logs user guide, subscription filters: base64 of gzip of JSON. A CONTROL_MESSAGE tries whether
    the function can be reached.)
    """
    delivery = _unpacked(event)
    if not isinstance(delivery, dict) or delivery.get("messageType") != "DATA_MESSAGE":
        return
    listed = delivery.get("logEvents")
    for entry in listed if isinstance(listed, list) else ():
        match entry:
            case {"id": str(log_id), "message": str(line)}:
                yield log_id, line


def event_of(log_id: str, line: str) -> SecurityEvent | None:
    """The event of a line, for its owner to see; None for every other line.

    A line is believed where it is, byte for byte, what audit.py writes: one JSON object and no more. What callers send
    is inside that object's strings, where it cannot become a member, let alone a line.
    """
    members = _members(line)
    sub, name = members.get("sub"), members.get("event")
    kind = EVENTS.get(name) if isinstance(name, str) else None
    at = _seconds(members.get("time"))
    if kind is None or not kind.shown or at is None or not isinstance(sub, str):
        return None
    if not re.fullmatch(_SUB, sub) or not re.fullmatch(_LOG_ID, log_id):
        return None
    request_id = _text(members.get("request_id"))
    return SecurityEvent(
        sub=sub,
        at=at,
        # CloudWatch's own id first: it grows with time, so that events of one second keep their order.
        id=f"{log_id}#{request_id}#{name}",
        event=str(name),
        outcome=kind.outcome,
        request_id=request_id,
        address=_text(members.get("address")),
        user_agent=str(members.get("user_agent", "")),  # the store cuts it
        facts={shown: _text(members[fact]) for fact, shown in SHOWN_FACTS.items() if fact in members},
        shown_at=at + kind.shown_after,
        expires_at=at + KEPT,
        rank=kind.rank,
    )


def _foreign(event: object) -> dict[str, str]:
    error = invocations.error(event, "deliveries of CloudWatch Logs")
    _container().audit.record("foreign_event", Caller("", ""), why=error["errorMessage"])
    return error


def _container() -> ModuleType:
    # Loaded at the first event: the API's function imports this module for its registration alone.
    from chalicelib.functions import container  # noqa: PLC0415

    return container


def _unpacked(event: object) -> object:
    match event:
        case {"awslogs": {"data": str(encoded)}}:
            pass
        case _:
            return None
    unpacking = zlib.decompressobj(wbits=_GZIP)
    try:
        contents = unpacking.decompress(base64.b64decode(encoded, validate=True), MAX_LINES)
        # At its end, so that nothing is left of a larger one.
        return json.loads(contents) if unpacking.eof else None
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        return None


def _members(line: str) -> Mapping[str, Any]:
    try:
        members = json.loads(line)
        whole = isinstance(members, dict) and json.dumps(members, separators=(",", ":")) == line.removesuffix("\n")
    except (ValueError, RecursionError):
        return {}
    return members if whole else {}


def _seconds(time: object) -> int | None:
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else None
    except (ValueError, OverflowError):
        return None
    if moment is None or moment.tzinfo is None:
        return None
    return max(0, int(moment.timestamp()))


def _text(value: object) -> str:
    """A fact as text that the table takes: what is no character at all becomes a question mark."""
    return str(value)[:MAX_TEXT].encode("utf-8", "replace").decode()
