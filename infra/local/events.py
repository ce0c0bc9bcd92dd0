"""What CloudWatch Logs does for a deployment, on this machine: lines of the log, handed to the function `chronicle`."""

from __future__ import annotations

import base64
import gzip
import json
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chalicelib.audit import write_to_stdout
from chalicelib.errors import Unavailable
from chalicelib.functions import chronicle

if TYPE_CHECKING:
    from collections.abc import Iterable

WAITING = 10_000  # lines; older ones are lost, as when nobody fetches them


class LocalLog:
    """Takes the lines of all functions. `write` is for JsonAuditLog."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str]] = deque(maxlen=WAITING)
        self._written = 0

    def write(self, line: str) -> None:
        """Write the line to standard output, as long as that is open, and keep it for `deliver`."""
        with suppress(OSError):  # `make run | head`: a pipe that is read no more is no reason to refuse a request
            write_to_stdout(line)
        self._written += 1
        # As long as CloudWatch's, and growing as those do.
        self._lines.append((f"{self._written:056d}", line))

    def deliver(self) -> None:
        """Hand `chronicle` what has been written since the last time. Lost where the table is away: the log has it."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        with suppress(Unavailable):
            chronicle.keep(delivery(lines), None)


def delivery(lines: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The event that a subscription filter makes of log events, given by id and line (CloudWatch Logs user guide)."""
    contents = {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": "/aws/lambda/keyturn-local",
        "logStream": "local",
        "subscriptionFilters": ["keyturn-security-events"],
        "logEvents": [{"id": log_id, "timestamp": 0, "message": line} for log_id, line in lines],
    }
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(contents).encode())).decode()}}
