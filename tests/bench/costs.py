"""Round trips and units of each operation: the app and the authorizers in this process, their clients metered."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

from chalicelib.services.sessions import begin
from tests.bench.sessions import Table
from tests.world.counting import Cost, Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.store.dynamodb import DynamoDBStore
    from tests.bench.script import Event, Function, Operation


# Of Lambda's context the functions look at the ARN that they were invoked by alone.
CONTEXT = SimpleNamespace(invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:bench")


class MeteredStage:
    """script.Stage. The environment has to be a function's when it is made."""

    def __init__(self) -> None:
        # Imported here: the authorizer's module reads its setting when it is imported.
        import app  # noqa: PLC0415
        from chalicelib.functions import api, authorizers  # noqa: PLC0415

        stores = {
            "api_handler": api.services().refresh.store,
            "authorize": authorizers.authorization().store,
            "guard": authorizers.guarding().authorization.store,
        }
        self._functions: dict[str, Callable[[Event, Any], Any]] = {
            "api_handler": app.app,
            "authorize": authorizers.authorize,
            "guard": authorizers.guard,
        }
        self._meters = {name: Meter(cast("DynamoDBStore", store)._client) for name, store in stores.items()}
        self.costs: dict[Operation, Cost] = {}
        self.table = Table.of_environment()

    def age(self, grant: Event, seconds: int) -> None:
        """As script.Stage."""
        self.table.age(grant, seconds)

    def call(self, function: Function, event: Event) -> Event:
        """As script.Stage."""
        with redirect_stdout(io.StringIO()):  # the audit log's
            try:
                return cast("Event", self._functions[function](event, CONTEXT))
            except Exception as error:  # noqa: BLE001 - what an authorizer raises is its answer
                return {"errorMessage": str(error)}

    def measure(self, operation: Operation, events: Sequence[Event]) -> list[Event]:
        """As script.Stage; of calls that cost differently the most is kept."""
        answers = []
        most = self.costs.setdefault(operation, Cost())
        for event in events:
            # Which logins look for sessions beyond the bound is chance: here those that are measured for it.
            looks = mock.patch.object(begin, "looks_for_more", return_value=operation.looks)
            with looks, self._meters[operation.function].measure() as cost:
                answers.append(self.call(operation.function, event))
            most.round_trips = max(most.round_trips, cost.round_trips)
            most.read_units = max(most.read_units, cost.read_units)
            most.write_units = max(most.write_units, cost.write_units)
        return answers
