"""The limiter's counters on the table."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.store import keys, requests
from chalicelib.store.calls import ConditionFailed, send
from chalicelib.store.items.limits import attempts_from
from chalicelib.store.items.values import number
from chalicelib.store.table import Table

if TYPE_CHECKING:
    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.store.items.values import Value
    from chalicelib.store.requests import Request

# A counter outlives its window by what clocks may differ, so that no container misses it.
_CLOCK_SKEW = 120  # seconds


class LimitVerbs(Table):
    """The LimitStore (protocol.py) on the table."""

    def count_attempt(self, policy: LimitPolicy, value: str, now: int) -> int:
        """Count in one write. A lost answer may count one attempt twice, or delay it by one spacing; never skip it."""
        try:
            send(self._client.update_item, _count(self._table, policy, value, now))
        except ConditionFailed as refused:
            attempts, last_at = attempts_from(refused.held)
            return policy.retry_after(attempts, last_at, now)
        return 0

    def return_attempt(self, policy: LimitPolicy, value: str, now: int) -> None:
        """Give it back in one write. A lost answer may give it back twice: one attempt more in that window."""
        with suppress(ConditionFailed):
            send(self._client.update_item, _give_back(self._table, policy, value, now))


def _count(table: str, policy: LimitPolicy, value: str, now: int) -> Request:
    """Count one attempt where the policy lets it through."""
    window_start = policy.window_start(now)
    condition, values = _lets_through(policy, now)
    values |= {
        ":zero": number(0),
        ":one": number(1),
        ":now": number(now),
        ":expires_at": number(window_start + policy.window + _CLOCK_SKEW),
    }
    change = "SET #n = if_not_exists(#n, :zero) + :one, #last_at = :now, #expires_at = :expires_at"
    return requests.update_if(table, keys.limit(policy.kind, value, window_start), condition, change, values)


def _give_back(table: str, policy: LimitPolicy, value: str, now: int) -> Request:
    """Count one attempt less, as if it had not been made at `now`.

    _lets_through then holds at `now`, whatever the number of attempts: the final spacing has passed.
    """
    counted = "#n > :zero"  # holds for no item that is not there, so that none is made
    change = "SET #n = #n - :one, #last_at = :rested"
    values = {":zero": number(0), ":one": number(1), ":rested": number(now - policy.final_spacing)}
    key = keys.limit(policy.kind, value, policy.window_start(now))
    return requests.update_if(table, key, counted, change, values)


def _lets_through(policy: LimitPolicy, now: int) -> tuple[str, dict[str, Value]]:
    """The policy as one condition, with the values that it names.

    The counter is new, or few enough attempts lie behind it for a spacing that has passed since the last one, or the
    final spacing has passed. Spacings only grow, so that no clause lets through what an earlier one holds back.
    """
    clauses = ["attribute_not_exists(#n)"]
    values: dict[str, Value] = {}
    for tier, (limit, spacing) in enumerate(policy.tiers):
        below_limit = f"#n < :limit{tier}"
        values[f":limit{tier}"] = number(limit)
        if spacing:
            rested = f"#last_at <= :rested{tier}"
            values[f":rested{tier}"] = number(now - spacing)
            clauses.append(f"({below_limit} AND {rested})")
        else:
            clauses.append(below_limit)
    clauses.append("#last_at <= :rested")
    values[":rested"] = number(now - policy.final_spacing)
    return " OR ".join(clauses), values
