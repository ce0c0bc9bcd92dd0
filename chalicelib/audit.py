"""The log: one JSON object a line, one line an event, to standard output, which is where Lambda keeps logs from."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.domain.records import Client
    from chalicelib.ports import Clock

MAX_FACT = 8192  # characters; a line that names every wrong setting fits, and nothing fills the log


class JsonAuditLog:
    """ports.AuditLog over standard output."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def record(self, event: str, client: Client, **facts: str | int | bool) -> None:
        """Write one line. json escapes line breaks and control characters: no fact can forge a line (ASVS V16.4.1)."""
        line = {
            "time": datetime.fromtimestamp(self._clock.now(), UTC).isoformat(),
            "event": event,
            "request_id": client.request_id,
            "address": client.address,
            "user_agent": client.user_agent,
            **{name: fact[:MAX_FACT] if isinstance(fact, str) else fact for name, fact in facts.items()},
        }
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
        sys.stdout.flush()
