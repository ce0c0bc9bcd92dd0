"""What a refused rotation means. Decided from the session as the refused write found it; nothing else is read.

    generation     n-2        n-1            n (held)       n+1
    ───────────────┼──────────┼──────────────┼──────────────┼────▶
    presented      REPLAYED   PREDECESSOR    CURRENT        UNKNOWN
                              or LATE, once the window is over

The window begins with the rotation that made n and does not slide: whatever is answered inside it writes nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.domain.records import Session


class Verdict(Enum):
    """Which place on the line above the presented token has, or why the line does not matter any more."""

    DEAD = "dead"  # the session is gone, over a limit, or of an epoch that was revoked
    EPOCH_MOVED = "epoch_moved"  # the session is newer than the account that was read: read the account again
    CURRENT = "current"  # of the held generation: its secret has to be right
    PREDECESSOR = "predecessor"  # one before it, inside the window: a lost answer, a second tab, a retry
    LATE = "late"  # one before it, after the window: theft, if its secret is right
    REPLAYED = "replayed"  # older: theft
    UNKNOWN = "unknown"  # newer than what is held: the table was restored from a backup, or the MAC key is known


def judge(held: Session | None, generation: int, epoch: int, now: int, window: int) -> Verdict:
    """The verdict on a token of `generation` for an account that was read with `epoch`. Times in seconds."""
    if held is None or held.epoch < epoch or not held.lives(held.epoch, now):
        return Verdict.DEAD
    if held.epoch > epoch:
        return Verdict.EPOCH_MOVED
    if generation == held.generation:
        return Verdict.CURRENT
    if generation > held.generation:
        return Verdict.UNKNOWN
    if generation < held.generation - 1:
        return Verdict.REPLAYED
    # A window of 0 accepts no predecessor at all, not even within the same second.
    return Verdict.PREDECESSOR if window > 0 and now - held.rotated_at <= window else Verdict.LATE
