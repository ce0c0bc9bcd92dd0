"""What surrounds every use case: the time, chance and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chalicelib.ports import AuditLog, Clock, TokenSource


class Surroundings(NamedTuple):
    """The clock, the source of what cannot be guessed, and the audit log."""

    clock: Clock
    source: TokenSource
    audit: AuditLog
