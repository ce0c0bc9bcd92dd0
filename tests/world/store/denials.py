"""Token blacklists in memory."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS, Denials, deny_until, entry
from tests.world.store.table import FakeTable


class FakeDenials(FakeTable):
    """The DenialStore of chalicelib/store/protocol.py."""

    def deny_session(self, sub: str, sid: str, *, now: int) -> Denials | None:
        """Add the session to the set, or return the list that is full."""
        with self._lock:
            held = self.denials.get(sub, Denials())
            sessions = held.sessions | {entry(sid, deny_until(now))}
            if sessions != held.sessions and len(held.sessions) >= DENIED_SESSIONS:
                return held
            self.denials[sub] = replace(held, sessions=sessions, expires_at=deny_until(now))
            return None

    def deny_token(self, sub: str, jti: str, *, now: int) -> Denials | None:
        """Add the access token to the set, or return the list that is full."""
        with self._lock:
            held = self.denials.get(sub, Denials())
            tokens = held.tokens | {entry(jti, deny_until(now))}
            if tokens != held.tokens and len(held.tokens) >= DENIED_TOKENS:
                return held
            self.denials[sub] = replace(held, tokens=tokens, expires_at=deny_until(now))
            return None

    def replace_denials(self, sub: str, seen: Denials, compacted: Denials) -> bool:
        """Put the compacted list in the place of the seen one."""
        with self._lock:
            held = self.denials.get(sub, Denials())
            if replace(held, before_epoch=0) not in (replace(seen, before_epoch=0), replace(compacted, before_epoch=0)):
                return False
            self.denials[sub] = replace(compacted, before_epoch=held.before_epoch)
            return True

    def find_denials(self, sub: str) -> Denials:
        """Read the blacklist."""
        with self._lock:
            return self.denials.get(sub, Denials())
