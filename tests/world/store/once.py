"""Pending logins in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world.store.table import FakeTable

if TYPE_CHECKING:
    from chalicelib.domain.federation import PendingLogin


class FakePendingLogins(FakeTable):
    """The PendingLoginStore of chalicelib/store/protocol.py."""

    def begin_login(self, digest: bytes, pending: PendingLogin) -> None:
        """Keep the pending login, unless it is there."""
        with self._lock:
            self.pending_logins.setdefault(digest, pending)

    def take_login(self, digest: bytes, attempt: str, now: int) -> PendingLogin | None:
        """Take the pending login, once."""
        with self._lock:
            pending = self.pending_logins.get(digest)
            if pending is None or (digest not in self.taken_by and now >= pending.expires_at):
                return None
            return pending if self.taken_by.setdefault(digest, attempt) == attempt else None
