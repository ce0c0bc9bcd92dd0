"""Updates of the limiter's counters. A policy's condition is in requests.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store import keys, requests
from chalicelib.store.values import number

if TYPE_CHECKING:
    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.store.requests import Request

# A counter outlives its window by what clocks may differ, so that no container misses it.
CLOCK_SKEW = 120  # seconds


def count(table: str, policy: LimitPolicy, value: str, now: int) -> Request:
    """Count one attempt where the policy lets it through."""
    window_start = policy.window_start(now)
    condition, values = requests.lets_through(policy, now)
    values |= {
        ":zero": number(0),
        ":one": number(1),
        ":now": number(now),
        ":expires_at": number(window_start + policy.window + CLOCK_SKEW),
    }
    change = "SET #n = if_not_exists(#n, :zero) + :one, #last_at = :now, #expires_at = :expires_at"
    return requests.update_if(table, keys.limit(policy.kind, value, window_start), condition, change, values)


def give_back(table: str, policy: LimitPolicy, value: str, now: int) -> Request:
    """Count one attempt less, as if it had not been made at `now`.

    lets_through then holds at `now`, whatever the number of attempts: the final spacing has passed.
    """
    counted = "#n > :zero"  # holds for no item that is not there, so that none is made
    change = "SET #n = #n - :one, #last_at = :rested"
    values = {":zero": number(0), ":one": number(1), ":rested": number(now - policy.final_spacing)}
    key = keys.limit(policy.kind, value, policy.window_start(now))
    return requests.update_if(table, key, counted, change, values)
