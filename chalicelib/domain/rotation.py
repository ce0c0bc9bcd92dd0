"""Decides the answer to a refresh token (design, section 3), from the session that the refused write returned.

    generation     n-3       n-2          n-1            n (held)      n+1
    ───────────────┼─────────┼────────────┼──────────────┼─────────────┼────▶
    place          OLDER     OLDER, or    PREDECESSOR    HELD          NEWER
                             LATE_BASE

A session holds a `late_base` after a late answer, until the held token turns the key. Everything under the session's
floor is DEAD. The window begins with the turn that made n and does not slide: an answer inside it writes nothing.

    place           inside the window                  after it
    HELD            itself again                       the key is turned
    PREDECESSOR     the same successor                 answered late, from the session's own device, once; else theft
    LATE_BASE       the same successor, from the session's own device; else theft
    OLDER           theft: the key turns once a window at most, so that no honest client comes from so far back

A session that was never turned is outside every window, and so is everything where the window is 0.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.domain.sessions import Session

LATE_ANSWERS_KEPT = 2
OFTEN_SECONDS = 7 * 86400


class Place(Enum):
    """Where on the line above the presented token stands, or why the line does not matter any more."""

    DEAD = "dead"  # the session is gone, over a limit, or of an epoch that was revoked; or the token is under the floor
    EPOCH_MOVED = "epoch_moved"  # the session is newer than the account that was read: read the account again
    HELD = "held"
    PREDECESSOR = "predecessor"
    LATE_BASE = "late_base"
    OLDER = "older"
    NEWER = "newer"  # the table was restored from a backup, or the MAC key is known


class Answer(Enum):
    """The answer to a token whose secret is right."""

    ITSELF = "itself"  # the presented token, again
    TURN = "turn"  # a new generation
    SUCCESSOR = "successor"  # the held generation, which the presented token has already got
    LATE = "late"  # a new generation, although the presented token has got one that nobody has used
    THEFT = "theft"  # nothing: the session ends


def place(held: Session | None, generation: int, epoch: int, now: int) -> Place:
    """The place of a token of `generation`, for an account that was read with `epoch` at `now` (seconds)."""
    if held is None or held.epoch < epoch or not held.lives(held.epoch, now) or generation < held.floor:
        return Place.DEAD
    if held.epoch > epoch:
        return Place.EPOCH_MOVED
    if generation > held.generation:
        return Place.NEWER
    if generation == held.generation:
        return Place.HELD
    if generation == held.generation - 1:
        return Place.PREDECESSOR
    return Place.LATE_BASE if generation == held.late_base else Place.OLDER


def is_inside(held: Session, now: int, window: int) -> bool:
    """Whether the last turn is at most `window` seconds ago. A clock that is behind the turning one's is inside."""
    return window > 0 and held.generation > 0 and now - held.rotated_at <= window


def answer(found: Place, held: Session, now: int, window: int, *, own_device: bool) -> Answer:
    """What a token at this place of a living session comes to, whose secret is right. `window` in seconds.

    `own_device`: whether it comes from the device of the session's own login. Places that no secret is right for
    (DEAD, EPOCH_MOVED, NEWER) have no answer: ValueError.
    """
    inside = is_inside(held, now, window)
    may_be_late = own_device and window > 0
    match found:
        case Place.HELD:
            return Answer.ITSELF if inside else Answer.TURN
        case Place.PREDECESSOR if inside:
            return Answer.SUCCESSOR
        case Place.PREDECESSOR:
            return Answer.LATE if may_be_late and held.late_base is None else Answer.THEFT
        case Place.LATE_BASE:
            return Answer.SUCCESSOR if may_be_late else Answer.THEFT
        case Place.OLDER:
            return Answer.THEFT
    message = f"no answer to a token that is {found.value}"
    raise ValueError(message)


def late_answers(held: Session, now: int) -> tuple[tuple[int, ...], bool]:
    """The times of the last two late answers, the one of `now` among them; whether it is the third within 7 days."""
    times = (*held.late_at, now)
    third = len(times) > LATE_ANSWERS_KEPT and now - times[-1 - LATE_ANSWERS_KEPT] <= OFTEN_SECONDS
    return times[-LATE_ANSWERS_KEPT:], third
