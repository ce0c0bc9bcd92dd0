"""What was measured, as tables on standard output, each with its verdict."""

from __future__ import annotations

import sys
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.script import BEGIN, CALLBACK, LOGIN, OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.deployed import ColdStart
    from tests.bench.script import Operation
    from tests.world.counting import Cost

PLAIN = "plain chalice + boto3"
RATIO = 0.5  # of the plain package's cold start that ours must stay under

# USD for a million units of DynamoDB on demand. Source: Airbyte's account of its prices, read on 2025-07-21, after they
# were halved on 2024-11-01.
WRITE_UNITS_USD = 0.625
READ_UNITS_USD = 0.125
TRANSACTION_WRITES = 2  # keeping what a login at a provider has begun, and taking it back


def operations(
    costs: Mapping[Operation, Cost], cpu: Mapping[Operation, float], cpu_with_argon2: Mapping[Operation, float]
) -> bool:
    """Print a row for each operation; return whether none costs more than the contract allows."""
    rows = []
    exceeded = False
    for operation in OPERATIONS:
        cost = costs[operation]
        pairs = (
            (cost.round_trips, operation.round_trips),
            (cost.read_units, operation.read_units),
            (cost.write_units, operation.write_units),
        )
        holds = all(measured <= allowed for measured, allowed in pairs)
        exceeded |= not holds
        # Chance decides which logins look for sessions beyond the bound: a container cannot be asked for them alone.
        spent, with_argon2 = cpu.get(operation), cpu_with_argon2.get(operation)
        argon2 = f"{with_argon2 - spent:.1f}" if operation.hashes and spent and with_argon2 else "-"
        rows.append(
            [
                operation.name,
                *(f"{measured:g} / {allowed}" for measured, allowed in pairs),
                "ok" if holds else "EXCEEDED",
                f"{spent:.2f}" if spent else "-",
                argon2,
            ]
        )
    _print_table(
        ["operation", "round trips", "read units", "write units", "contract", "CPU ms", "argon2 ms"],
        rows,
        "Each cost: measured / allowed by the cost contract. CPU: of the function for a call, argon2's apart.",
    )
    return not exceeded


def login_at_a_provider(costs: Mapping[Operation, Cost]) -> bool:
    """Print what a login at a provider waits for and is billed, beside one with a password and two writes more.

    Return whether it is no more. Read and write units are weighed by their prices: it reads once more, and writes less.
    """
    begin, callback, login = costs[BEGIN], costs[CALLBACK], costs[LOGIN]
    ours = (
        begin.round_trips + callback.round_trips,
        begin.read_units + callback.read_units,
        begin.write_units + callback.write_units,
    )
    bound = (login.round_trips + TRANSACTION_WRITES, login.read_units, login.write_units + TRANSACTION_WRITES)
    prices = [reads * READ_UNITS_USD + writes * WRITE_UNITS_USD for _, reads, writes in (ours, bound)]
    holds = ours[0] <= bound[0] and prices[0] <= prices[1]
    rows = [
        [name, *(f"{figure:g}" for figure in figures), f"{price:.2f}", verdict]
        for name, figures, price, verdict in (
            ("at a provider: begin and callback", ours, prices[0], "ok" if holds else "EXCEEDED"),
            ("with a password, and two writes", bound, prices[1], "-"),
        )
    ]
    _print_table(
        ["a whole login", "round trips", "read units", "write units", "USD per million", "no higher"],
        rows,
        f"USD {WRITE_UNITS_USD} for a million write units, {READ_UNITS_USD} for a million read units.",
    )
    return holds


def cold_starts(starts: Mapping[str, Sequence[ColdStart]], sizes: Mapping[str, int]) -> bool:
    """Print a row for each function, medians; return whether ours stay under half of the plain one's CPU."""
    plain_cpu = median(start.cpu for start in starts[PLAIN])
    plain_wall = median(start.wall for start in starts[PLAIN])
    rows = []
    exceeded = False
    for name, measured in starts.items():
        cpu = median(start.cpu for start in measured)
        wall = median(start.wall for start in measured)
        holds = name == PLAIN or cpu / plain_cpu < RATIO
        exceeded |= not holds
        rows.append(
            [
                name,
                f"{median(start.init_cpu for start in measured):.0f}",
                f"{median(start.first_cpu for start in measured):.0f}",
                f"{cpu:.0f}",
                f"{cpu / plain_cpu:.2f}",
                "-" if name == PLAIN else "ok" if holds else "EXCEEDED",
                f"{median(start.init_wall for start in measured):.0f}",
                f"{median(start.first_wall for start in measured):.0f}",
                f"{wall:.0f}",
                f"{wall / plain_wall:.2f}",
                f"{sizes[name] / 1e6:.1f}",
            ]
        )
    _print_table(
        [
            "cold start",
            *("init CPU ms", "first call", "both", "ratio", f"< {RATIO}"),
            *("init wall ms", "first call", "both", "ratio", "zip MB"),
        ],
        rows,
        f"Medians of {len(starts[PLAIN])} fresh processes each, taken in turn; the ratio is to the plain package's.",
    )
    return not exceeded


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> None:
    """The first column is text, the others are figures."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [""]
    for first, *others in (heads, ["-" * width for width in widths], *rows):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    sys.stdout.write("\n".join([*lines, note, ""]))
