"""What a verb of the table takes and answers, where that is more than a record of the domain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chalicelib.domain.sessions import Session


class LateAnswer(NamedTuple):
    """What a late answer leaves beside a turn of the key: see Session."""

    late_base: int
    late_wrapped: bytes
    late_at: tuple[int, ...]


class Rotation(NamedTuple):
    """One turn of the key: what must be held for it to happen, and what is held afterwards.

    `turned_before`: the last turn must be earlier than this second; None where that does not matter.
    """

    sub: str
    sid: str
    # must be held
    generation: int
    digest: bytes
    epoch: int
    turned_before: int | None
    # is held afterwards, as generation + 1
    next_digest: bytes
    wrapped: bytes
    key_id: str
    idle_expires_at: int
    now: int
    answered: bytes
    late: LateAnswer | None = None


class Renewal(NamedTuple):
    """New credentials for a session that changes a way in. All of its earlier refresh tokens and cookies are dead.

    `session` is the session as it was read, which must not have changed. It holds `next_digest` afterwards, as the next
    generation, which is its floor from then on. `auth_time` and `amr` are the session's afterwards; `epoch` too.
    """

    session: Session
    next_digest: bytes
    key_id: str
    answered: bytes
    now: int
    idle_expires_at: int
    epoch: int
    auth_time: int
    amr: tuple[str, ...]


# Two answers of one verb are no named tuples: tuples with the same content are equal, whatever their types.
@dataclass(frozen=True, slots=True)
class Rotated:
    """The key was turned; the session as it is now."""

    session: Session


@dataclass(frozen=True, slots=True)
class NotRotated:
    """Something that must be held is not. `held` is the session as the refused write found it; None if it is gone."""

    held: Session | None


class AccessChanged(Enum):
    """What came of a change to who may get in to an account."""

    CHANGED = "changed"
    LOGIN_MOVED = "login_moved"  # the login is not as it was read: read again
    IDENTITY_TAKEN = "identity_taken"  # the identity opens an account already, maybe this one: read again
    SESSION_MOVED = "session_moved"  # the session that asked is not as it was read, or gone: read again
