"""Security events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.events import SecurityEvent
from chalicelib.store import keys
from chalicelib.store.items.values import number, text, user_agent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.store.items.values import Item


def event_item(event: SecurityEvent) -> Item:
    """A security event, under the time from which the list has it; `at` where that is later than the event itself."""
    return {
        **keys.event(event.sub, event.shown_at, event.id, rank=event.rank),
        "event": text(event.event),
        "outcome": text(event.outcome),
        "request_id": text(event.request_id),
        "address": text(event.address),
        "user_agent": user_agent(event.user_agent),
        "facts": {"M": {name: text(fact) for name, fact in event.facts.items()}},
        "expires_at": number(event.expires_at),
        **({"at": number(event.at)} if event.at != event.shown_at else {}),
    }


def event_from(item: Mapping[str, Any]) -> SecurityEvent:
    """The security event that the item holds."""
    sub, shown_at, event_id, rank = keys.event_of(item)
    return SecurityEvent(
        sub=sub,
        at=int(item["at"]["N"]) if "at" in item else shown_at,
        id=event_id,
        event=item["event"]["S"],
        outcome=item["outcome"]["S"],
        request_id=item["request_id"]["S"],
        address=item["address"]["S"],
        user_agent=item["user_agent"]["S"],
        facts={name: value["S"] for name, value in item["facts"]["M"].items()},
        shown_at=shown_at,
        expires_at=int(item["expires_at"]["N"]),
        rank=rank,
    )
