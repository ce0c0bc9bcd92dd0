"""What every use case does that the limiter has refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import TooManyRequests

if TYPE_CHECKING:
    from chalicelib.domain.records import Client
    from chalicelib.ports import AuditLog


def too_many(what: str, wait: int, audit: AuditLog, client: Client) -> TooManyRequests:
    """The refusal of an attempt that the limiter `what` wants `wait` seconds later, written down."""
    audit.record("too_many_attempts", client, what=what, retry_after=wait)
    return TooManyRequests(wait)
