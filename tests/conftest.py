"""What every test process shares, and which part of the suite a run says it is at."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from typing import TYPE_CHECKING

import botocore.session
import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

# Sessions read the descriptions of AWS's services once in a process: nine tenths of a client's cost.
botocore.session.create_loader = cache(botocore.session.create_loader)

CHOSEN = {
    "": "All tests.",
    "not slow": "All tests but the slow ones, which `make check` runs too.",
    "slow": "The slow tests alone.",
}


def folder_of(nodeid: str) -> str:
    """The part of the suite: the folder under `tests`."""
    return "/".join(nodeid.split("/")[:2])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run folder by folder. Within a folder, and among folders, the order stays random."""
    folders: dict[str, list[pytest.Item]] = {}
    for item in items:
        folders.setdefault(folder_of(item.nodeid), []).append(item)
    items[:] = [item for folder in folders.values() for item in folder]


class Parts:
    """Prints which tests run, each folder where its tests begin, and at the end what each folder came to."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tests: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @property
    def terminal(self) -> TerminalReporter:
        """What pytest prints with."""
        reporter: TerminalReporter | None = self.config.pluginmanager.getplugin("terminalreporter")
        assert reporter is not None
        return reporter

    def pytest_sessionstart(self) -> None:
        """Say which tests were chosen."""
        chosen = self.config.option.markexpr
        self.terminal.write_line(CHOSEN.get(chosen, f"The tests that are `{chosen}`."))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Name a folder at its first test. Two processes can be in two folders for a while."""
        folder = folder_of(nodeid)
        if folder not in self.tests:
            self.terminal.write_line(f"\n{folder}")
        self.tests[folder] += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the seconds of setup, call and teardown."""
        self.seconds[folder_of(report.nodeid)] += report.duration

    def pytest_terminal_summary(self) -> None:
        """What each folder came to, the longest first; processes run side by side, so that the whole is shorter."""
        for folder, seconds in sorted(self.seconds.items(), key=lambda part: -part[1]):
            self.terminal.write_line(f"{folder}: {self.tests[folder]} tests, {seconds:.0f} s")


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that prints has parts to name."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Parts(config), "parts")
