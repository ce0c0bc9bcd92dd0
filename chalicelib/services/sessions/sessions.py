"""Sessions: listing them, ending one for good, and whether a credential's session lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.domain.access_tokens import AccessTokenClaims
from chalicelib.domain.denials import DENIED_TOKENS
from chalicelib.domain.moments import is_recent
from chalicelib.errors import InsufficientUserAuthentication, SessionNotFound, Unavailable
from chalicelib.services.in_parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.domain.accounts import Account
    from chalicelib.domain.callers import Caller, Principal
    from chalicelib.domain.denials import Denials, Kind
    from chalicelib.domain.sessions import RefreshToken, Session
    from chalicelib.ports import AuditLog, Clock
    from chalicelib.store.protocol import AccountsSessionsAndDenials

DENY_ATTEMPTS = 8  # where others deny at the same time, and the list has to be compacted for each
RECENT_SECONDS = 600
PAGE = 50  # sessions: at most 1 KB each, so that a page takes 7 read units at most


@dataclass(slots=True, eq=False, repr=False)
class Sessions:
    """The use cases around sessions that need no new refresh token."""

    store: AccountsSessionsAndDenials
    clock: Clock
    audit: AuditLog

    def list(self, principal: Principal, cursor: str | None = None) -> tuple[list[Session], str | None]:
        """A page of the user's living sessions, and the cursor of the next page, if there is one.

        A page is 50 items of the table, in no order of time, without the dead ones: it may be short, or empty. Each
        page is sorted by itself, with the newest first.
        """
        account, (found, following) = in_parallel(
            lambda: self.store.find_account(principal.sub),
            lambda: self.store.list_sessions(principal.sub, after=cursor, limit=PAGE),
        )
        if account is None:
            return [], None
        now = self.clock.now()
        living = [session for session in found if session.lives(account.epoch, now)]
        return sorted(living, key=lambda session: session.created_at, reverse=True), following

    def find_living(self, sub: str, sid: str) -> tuple[Session | None, Account | None]:
        """The session and its account, as far as they live.

        The two are read side by side, maybe on both sides of a password change that takes the session along. A session
        that is newer than the account that was read is read again. One that is older is over: either the change has
        ended it, or its credentials were renewed by it, and what was read here is of before.
        """
        session, account = self.store.find_session_and_account(sub, sid)
        if session and account and session.epoch > account.epoch:
            session, account = self.store.find_session_and_account(sub, sid)
        if session is None or account is None or account.disabled:
            return None, account
        return session if session.lives(account.epoch, self.clock.now()) else None, account

    def require_recent_login(self, principal: Principal) -> None:
        """InsufficientUserAuthentication where the presented credential's login is over ten minutes ago (ASVS V7.5.1).

        By the credential, not by the session: a copy of an older token gains nothing by its owner's next login.
        """
        if not is_recent(principal.auth_time, self.clock.now(), RECENT_SECONDS):
            raise InsufficientUserAuthentication(RECENT_SECONDS, debug="not a recent login")

    def end_one(self, principal: Principal, sid: str, caller: Caller) -> None:
        """End one of the user's own sessions. SessionNotFound where the user has no such living one (ASVS V8.2.2)."""
        session, _ = self.find_living(principal.sub, sid)
        if session is None:
            raise SessionNotFound
        self.end(principal.sub, sid)
        self.audit.record("session_ended", caller, sub=principal.sub, sid=sid, by="user")

    def log_out(self, presented: Iterable[RefreshToken], bearer: AccessTokenClaims | None, caller: Caller) -> None:
        """End the sessions that these genuine credentials are of, as far as each of them still stands.

        A dead credential changes nothing: its session is gone, over a limit or of another epoch, or its credentials
        were renewed since (design, section 3). A superseded generation of a living session ends it, and an access token
        that has expired.
        """
        credentials: list[RefreshToken | AccessTokenClaims] = [*presented, *([bearer] if bearer else [])]
        for sub, sid in {(credential.sub, credential.sid) for credential in credentials}:
            session, account = self.find_living(sub, sid)
            own = (each for each in credentials if (each.sub, each.sid) == (sub, sid))
            if session and account and any(_stands(credential, session, account) for credential in own):
                self.end(sub, sid)
                self.audit.record("logged_out", caller, sub=sub, sid=sid)

    def standing(self, credential: RefreshToken | AccessTokenClaims) -> bool:
        """Whether the genuine credential's session lives, and the credential has not been renewed since."""
        session, _ = self.find_standing(credential)
        return session is not None

    def find_standing(self, credential: RefreshToken | AccessTokenClaims) -> tuple[Session | None, Account | None]:
        """The session and the account of a genuine credential that stands; two times None where it does not."""
        session, account = self.find_living(credential.sub, credential.sid)
        if session and account and _stands(credential, session, account):
            return session, account
        return None, None

    def end(self, sub: str, sid: str) -> None:
        """Deny the session's access tokens, then delete it. Safe to repeat; the session need not exist.

        In this order: were the item deleted first and the second write lost, its access tokens would live on and a
        retry would find nothing to end.
        """
        self._deny(sub, "sessions", sid, lambda now: self.store.deny_session(sub, sid, now=now))
        self.store.delete_session(sub, sid)

    def deny_token(self, sub: str, sid: str, jti: str) -> None:
        """Deny one access token, and nothing else of its session. Safe to repeat.

        Where ten were denied within half a minute, the session `sid` ends instead. One more name would take a moment
        that lies ahead, and a stolen session could so deny the tokens of all others at birth, again and again.
        """
        self._deny(sub, "tokens", jti, lambda now: self.store.deny_token(sub, jti, now=now), otherwise=sid)

    def _deny(
        self, sub: str, kind: Kind, name: str, put: Callable[[int], Denials | None], *, otherwise: str | None = None
    ) -> None:
        """Have `put` name a session or a token on the blacklist, or compact the list with this name on it."""
        for _ in range(DENY_ATTEMPTS):
            full = put(self.clock.now())
            if full is not None and otherwise and full.recent_tokens(self.clock.now()) >= DENIED_TOKENS:
                self.end(sub, otherwise)
                return
            if full is None or self.store.replace_denials(sub, full, full.with_name(kind, name, self.clock.now())):
                return
        raise Unavailable(debug="blacklist contended")


def _stands(credential: RefreshToken | AccessTokenClaims, session: Session, account: Account) -> bool:
    if isinstance(credential, AccessTokenClaims):
        return credential.ver == account.epoch
    return credential.generation >= session.floor
