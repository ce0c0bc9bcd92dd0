"""Sessions in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store.outcomes import NotRotated, Rotated
from tests.world.store.table import FakeTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.accounts import Account
    from chalicelib.domain.sessions import Session
    from chalicelib.store.outcomes import Renewal, Rotation


class FakeSessions(FakeTable):
    """The SessionStore of chalicelib/store/protocol.py."""

    def create_session(self, session: Session) -> None:
        """Write the session, unless it is there."""
        with self._lock:
            if (session.sub, session.sid) not in self.sessions:
                self._write_session(session)

    def renew_session(self, renewal: Renewal) -> bool:
        """Renew the session's credentials, if it is as it was read."""
        with self._lock:
            held = self.sessions.get((renewal.session.sub, renewal.session.sid))
            if held and held.digest == renewal.next_digest:
                return True
            if not self._may_renew(renewal, renewal.epoch):
                return False
            self._renew(renewal)
            return True

    def rotate_refresh_token(self, rotation: Rotation) -> Rotated | NotRotated:
        """Turn the key if everything that must be held is held."""
        with self._lock:
            held = self.sessions.get((rotation.sub, rotation.sid))
            if held and held.digest == rotation.next_digest:
                return Rotated(held)
            if (
                held is None
                or (held.generation, held.digest) != (rotation.generation, rotation.digest)
                or not held.lives(rotation.epoch, rotation.now)
                or (rotation.turned_before is not None and held.rotated_at >= rotation.turned_before)
            ):
                return NotRotated(held)
            late = rotation.late
            turned = held._replace(
                generation=held.generation + 1,
                digest=rotation.next_digest,
                wrapped=rotation.wrapped,
                key_id=rotation.key_id,
                rotated_at=rotation.now,
                idle_expires_at=rotation.idle_expires_at,
                answered=rotation.answered,
                late_base=late.late_base if late else None,
                late_wrapped=late.late_wrapped if late else b"",
                late_at=late.late_at if late else held.late_at,
            )
            return Rotated(self._write_session(turned))

    def find_session(self, sub: str, sid: str) -> Session | None:
        """Read the session."""
        with self._lock:
            return self.sessions.get((sub, sid))

    def find_session_and_account(self, sub: str, sid: str) -> tuple[Session | None, Account | None]:
        """Read both."""
        with self._lock:
            return self.sessions.get((sub, sid)), self.accounts.get(sub)

    def touch_session(self, sub: str, sid: str, *, now: int, unless_since: int) -> None:
        """Note the use, if the session is there and none was noted lately."""
        with self._lock:
            held = self.sessions.get((sub, sid))
            if held is not None and (not held.used_at or held.used_at < unless_since):
                self._write_session(held._replace(used_at=now))

    def list_sessions(self, sub: str, *, after: str | None, limit: int) -> tuple[tuple[Session, ...], str | None]:
        """Read the account's sessions, in the order of their keys."""
        with self._lock:
            owned = sorted(key for key in self.sessions if key[0] == sub and (after is None or key[1] > after))
            found = tuple(self.sessions[key] for key in owned[:limit])
            return found, found[-1].sid if len(owned) > limit else None

    def delete_session(self, sub: str, sid: str) -> None:
        """Forget the session."""
        with self._lock:
            self.sessions.pop((sub, sid), None)

    def delete_sessions(self, sub: str, sids: Sequence[str]) -> None:
        """Forget the sessions."""
        with self._lock:
            for sid in sids:
                self.sessions.pop((sub, sid), None)
