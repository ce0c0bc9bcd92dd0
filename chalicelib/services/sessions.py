"""Sessions: beginning one, listing them, ending one for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.config import LONGEST_ACCESS_TTL
from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.refresh_tokens import ID_BYTES, SECRET_BYTES, RefreshToken, digest
from chalicelib.domain.records import Session
from chalicelib.errors import InsufficientUserAuthentication, InvalidToken, SessionNotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.config import Config
    from chalicelib.domain.records import Account, Client, Denials, Principal, Transport
    from chalicelib.ports import AuditLog, Clock, TokenSource
    from chalicelib.store.protocol import Store

# A blacklist entry outlives the tokens it denies by this: a response on its way, and clocks that differ.
DENY_MARGIN = 120
DENY_ATTEMPTS = 4
RECENT_SECONDS = 600


@dataclass(slots=True, eq=False, repr=False)
class Sessions:
    """The use cases around sessions that need no refresh token."""

    store: Store
    clock: Clock
    source: TokenSource
    audit: AuditLog
    config: Config

    def new(
        self,
        account: Account,
        transport: Transport,
        key_id: str,
        client: Client,
        now: int,
        *,
        amr: tuple[str, ...],
        auth_time: int,
    ) -> tuple[Session, RefreshToken]:
        """A session of the account as it was read, and its first refresh token. Nothing is written.

        `amr` is how the person was authenticated, `pwd` (RFC 8176) or a provider's name, and `auth_time` when.

        The ids are fresh: a session id never comes from the request, so none can be fixed beforehand (ASVS V7.2.4).
        """
        sid = b64url(self.source.token(ID_BYTES))
        secret = self.source.token(SECRET_BYTES)
        session = Session(
            sub=account.sub,
            sid=sid,
            generation=0,
            digest=digest(secret),
            wrapped=b"",
            key_id=key_id,
            epoch=account.epoch,
            created_at=now,
            rotated_at=now,
            idle_expires_at=now + self.config.refresh_idle_ttl,
            absolute_expires_at=now + self.config.refresh_absolute_ttl,
            transport=transport,
            auth_time=auth_time,
            amr=amr,
            address=client.address,
            user_agent=client.user_agent,
        )
        return session, RefreshToken(account.sub, sid, 0, secret)

    def list(self, principal: Principal) -> list[Session]:
        """The user's living sessions, the one used last first."""
        account, sessions = self.store.list_sessions(principal.sub)
        if account is None:
            return []
        now = self.clock.now()
        living = [session for session in sessions if session.lives(account.epoch, now)]
        return sorted(living, key=lambda session: session.rotated_at, reverse=True)

    def require_recent_login(self, principal: Principal) -> Session:
        """The principal's session, for what may change how one gets into the account (ASVS V7.5.1).

        InsufficientUserAuthentication where its login is more than ten minutes ago; InvalidToken where it is over.
        """
        session = self.store.find_session(principal.sub, principal.sid)
        now = self.clock.now()
        if session is None or not session.lives(session.epoch, now):
            raise InvalidToken(debug="the session has ended")
        if now - session.auth_time > RECENT_SECONDS:
            raise InsufficientUserAuthentication(RECENT_SECONDS, debug="not a recent login")
        return session

    def end_one(self, principal: Principal, sid: str, client: Client) -> None:
        """End one of the user's own sessions. SessionNotFound where the user has no such one (ASVS V8.2.2)."""
        session = self.store.find_session(principal.sub, sid)
        if session is None:
            raise SessionNotFound
        self.end(principal.sub, sid)
        self.audit.record("session_ended", client, sub=principal.sub, sid=sid, by="user")

    def log_out(self, sub: str, sid: str, client: Client) -> None:
        """End the session that a credential of its own names."""
        self.end(sub, sid)
        self.audit.record("logged_out", client, sub=sub, sid=sid)

    def end_carried(self, carried: Iterable[RefreshToken], client: Client) -> None:
        """End the sessions that a browser came with to a login, if any.

        ASVS V7.2.4: they end with the new login, or their cookies would live on unseen.
        """
        for former in carried:
            self.end(former.sub, former.sid)
            self.audit.record("session_ended", client, sub=former.sub, sid=former.sid, by="login")

    def end(self, sub: str, sid: str) -> None:
        """Deny the session's access tokens, then delete it. Safe to repeat; the session need not exist.

        In this order: were the item deleted first and the second write lost, its access tokens would live on and a
        retry would find nothing to end.
        """
        self._deny(sub, lambda deny_until: self.store.deny_session(sub, sid, deny_until=deny_until))
        self.store.delete_session(sub, sid)

    def deny_token(self, sub: str, jti: str) -> None:
        """Deny one access token, and nothing else of its session. Safe to repeat."""
        self._deny(sub, lambda deny_until: self.store.deny_token(sub, jti, deny_until=deny_until))

    def deny_until(self, now: int) -> int:
        """When a blacklist entry that is written now may go: after every access token that was issued before it.

        By the longest lifetime that the setting takes, not by today's: a deployment that changes it brings none back.
        """
        return now + LONGEST_ACCESS_TTL + DENY_MARGIN

    def _deny(self, sub: str, put: Callable[[int], Denials | None]) -> None:
        """Have `put` name a session or a token on the blacklist until a moment, and make room where there is none."""
        for _ in range(DENY_ATTEMPTS):
            full = put(self.deny_until(self.clock.now()))
            if full is None:
                return
            # The clock is read after the full list was: every entry on it was written before `now`, and no token of an
            # ended session was issued later than the write that ended it. This session is not ended yet: it is named
            # next, where there is room now, or a refresh that comes before the deletion would get round the moment.
            now = self.clock.now()
            self.store.deny_issued_before(sub, full, now + 1, deny_until=self.deny_until(now))
        raise Unavailable(debug="blacklist contended")
