"""CPU and cold starts of functions as deployed: their zip under awslambdaric, in a process of nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.rehearsal.runtime import FunctionConfig, LambdaProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.bench.script import Event, Function, Operation
    from tests.bench.sessions import Table

TIMEOUT = 10  # seconds
HANDLERS: dict[Function, str] = {
    "api_handler": "app.app",
    "authorize": "chalicelib.authorizers.authorize",
    "guard": "chalicelib.authorizers.guard",
}


@dataclass(frozen=True, slots=True)
class Runner:
    """Starts containers. `client` is the runtime client's directory, `aws` the variables that reach AWS."""

    client: Path
    aws: Mapping[str, str]
    log: Path

    def start(self, task_root: Path, handler: str, environment: Mapping[str, str]) -> LambdaProcess:
        """A fresh container, which the caller closes."""
        config = FunctionConfig(
            name="bench",
            arn="arn:aws:lambda:eu-central-1:123456789012:function:bench",
            handler=handler,
            timeout=TIMEOUT,
            memory=1769,
            environment=environment,
            task_root=task_root,
            log_group="/aws/lambda/bench",
        )
        return _PromptProcess(config, self.client, self.aws, self.log)


class _PromptProcess(LambdaProcess):
    """A container that is handed its work in one packet.

    Headers and body in two wait for each other's acknowledgement, 40 ms each time, and a process that has just slept
    uses half as much CPU again.
    """

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        handler = super()._handler()
        handler.wbufsize = -1
        return handler


def cpu_seconds(process: LambdaProcess) -> float:
    """CPU time of the process, with that of its threads that have ended: its own clock, as clock_getcpuclockid(3)."""
    return time.clock_gettime((~process._process.pid << 3) | 2)


class WarmStage:
    """script.Stage on one container of each function. `cpu`: by operation, milliseconds a call, one figure a batch."""

    def __init__(self, runner: Runner, task_root: Path, environment: Mapping[str, str], table: Table) -> None:
        self._table = table
        self._processes = {
            function: runner.start(task_root, handler, environment) for function, handler in HANDLERS.items()
        }
        self.cpu: dict[Operation, list[float]] = {}

    def call(self, function: Function, event: Event) -> Event:
        """As script.Stage."""
        outcome = self._processes[function].invoke(event)
        return dict(outcome.error or outcome.result)

    def measure(self, operation: Operation, events: Sequence[Event]) -> list[Event]:
        """As script.Stage. The runtime client's work is part of it: the function pays for it on Lambda too."""
        process = self._processes[operation.function]
        before = cpu_seconds(process)
        answers = [self.call(operation.function, event) for event in events]
        self.cpu.setdefault(operation, []).append((cpu_seconds(process) - before) / len(events) * 1000)
        return answers

    def age(self, grant: Event, seconds: int) -> None:
        """As script.Stage."""
        self._table.age(grant, seconds)

    def close(self) -> None:
        """End the containers."""
        for process in self._processes.values():
            process.close()


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Milliseconds of CPU and on the clock: `init` until the process asks for work, `first` for its first event."""

    init_cpu: float
    init_wall: float
    first_cpu: float
    first_wall: float

    @property
    def cpu(self) -> float:
        """Until the first answer."""
        return self.init_cpu + self.first_cpu

    @property
    def wall(self) -> float:
        """Until the first answer."""
        return self.init_wall + self.first_wall


def cold_start(process: LambdaProcess, event: Event) -> tuple[ColdStart, Any]:
    """Measure a container that has just been started, and end it. Returns its answer too."""
    try:
        process.wait_until_ready()
        ready, ready_cpu = time.monotonic(), cpu_seconds(process)
        outcome = process.invoke(event)
        answered, answered_cpu = time.monotonic(), cpu_seconds(process)
    finally:
        process.close()
    assert outcome.error is None, outcome.error
    start = ColdStart(
        init_cpu=ready_cpu * 1000,
        init_wall=(ready - process.started) * 1000,
        first_cpu=(answered_cpu - ready_cpu) * 1000,
        first_wall=(answered - ready) * 1000,
    )
    return start, outcome.result
