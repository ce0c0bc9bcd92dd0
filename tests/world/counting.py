"""What a piece of work costs in DynamoDB: calls, units as they are billed, and sequential waits."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_dynamodb import DynamoDBClient

_READS = frozenset({"BatchGetItem", "GetItem", "Query"})


@dataclass(slots=True)
class Cost:
    """Read and write units as DynamoDB bills them, and `round_trips`: how often the caller waited for DynamoDB.

    Calls made at once are one wait: one of them is made on the caller's thread, and only that thread's calls count.
    """

    round_trips: int = 0
    read_units: float = 0
    write_units: float = 0
    operations: list[str] = field(default_factory=list)


class Meter:
    """Attached to a client, measures what is called through it. One measurement at a time."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._cost: Cost | None = None
        self._thread = 0
        self._lock = Lock()
        client.meta.events.register("before-parameter-build.dynamodb", self._ask_for_units)
        client.meta.events.register("after-call.dynamodb", self._count)

    @contextmanager
    def measure(self) -> Iterator[Cost]:
        """Count what is called inside, on this thread and on those that it starts."""
        self._cost, self._thread = Cost(), get_ident()
        try:
            yield self._cost
        finally:
            self._cost = None

    def _ask_for_units(self, params: dict[str, Any], model: Any, **_: object) -> None:
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "TOTAL"

    def _count(self, parsed: dict[str, Any], model: Any, **_: object) -> None:
        cost = self._cost
        if cost is None:
            return
        units = _units(parsed)
        with self._lock:
            cost.operations.append(model.name)
            cost.round_trips += get_ident() == self._thread
            if model.name in _READS:
                cost.read_units += units
            else:
                cost.write_units += units


def _units(parsed: dict[str, Any]) -> float:
    """Units of one call. An error that is none of the two below never reached an item, and is free.

    A failed condition is billed as a write of the item, which is 1 unit here because items stay under 1 KB; dynoxide
    reports nothing for it. What a cancelled transaction is billed AWS does not say; its items were prepared, so it is
    counted as if all of them had been written, 2 units each, which is the most that it can be.
    """
    match parsed.get("Error", {}).get("Code"):
        case "ConditionalCheckFailedException":
            return 1
        case "TransactionCanceledException":
            return 2.0 * len(parsed["CancellationReasons"])
    consumed = parsed.get("ConsumedCapacity", [])
    parts = consumed if isinstance(consumed, list) else [consumed]
    return float(sum(part["CapacityUnits"] for part in parts))
