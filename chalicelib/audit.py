"""The log: one JSON object a line, one line an event, to standard output, which is where Lambda keeps logs from.

What an alarm has to see carries a metric with it, in CloudWatch's embedded metric format: CloudWatch reads it from the
line, so that no request waits for a call. What an owner has to see, chronicle.py takes from the log.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.domain.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Caller
    from chalicelib.ports import Clock

MAX_FACT = 8192  # characters; a line that names every wrong setting fits, and nothing fills the log
NAMESPACE = "Keyturn"


def write_to_stdout(line: str) -> None:
    """Write a line to what is standard output now, at once: Lambda stops a container between two requests."""
    sys.stdout.write(line)
    sys.stdout.flush()


class JsonAuditLog:
    """ports.AuditLog over `write`, which is given whole lines."""

    def __init__(self, clock: Clock, write: Callable[[str], None] = write_to_stdout) -> None:
        self._clock = clock
        self._write = write

    def record(self, event: str, caller: Caller, **facts: str | int | bool) -> None:
        """Write one line. json escapes line breaks and control characters: no fact can forge a line (ASVS V16.4.1)."""
        now = self._clock.now()
        kind = EVENTS.get(event)
        line = {
            "time": datetime.fromtimestamp(now, UTC).isoformat(),
            "event": event,
            "outcome": kind.outcome if kind else "unknown",
            "request_id": caller.request_id,
            "address": caller.address,
            "user_agent": caller.user_agent,
            **{name: fact[:MAX_FACT] if isinstance(fact, str) else fact for name, fact in facts.items()},
        }
        if kind and kind.metric:
            line |= _metric(kind.metric, now)
        self._write(json.dumps(line, separators=(",", ":")) + "\n")


def _metric(name: str, now: int) -> dict[str, Any]:
    """One count of a metric, as members of the line (CloudWatch embedded metric format, its specification's schema).

    By function and by nothing that a caller chooses: every further value of a dimension is a metric that AWS bills.
    """
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["FunctionName"]],
        "Metrics": [{"Name": name, "Unit": "Count"}],
    }
    return {
        "_aws": {"Timestamp": now * 1000, "CloudWatchMetrics": [directive]},
        "FunctionName": os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local"),
        name: 1,
    }
