"""Tokens: what a login grants, and what a refresh makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.refresh_tokens import ID_BYTES, SECRET_BYTES, RefreshToken, digest, same, unwrap, wrap
from chalicelib.domain.records import AccessTokenClaims
from chalicelib.domain.roles import scope_of
from chalicelib.domain.rotation import Verdict, judge
from chalicelib.errors import InvalidGrant, Unavailable
from chalicelib.store.protocol import NotRotated, Rotated, Rotation

if TYPE_CHECKING:
    from chalicelib.config import Config
    from chalicelib.crypto.csrf_tokens import CsrfTokens
    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.domain.records import Account, Client, Session, Transport
    from chalicelib.ports import AccessTokenCodec, AuditLog, Clock, TokenSource
    from chalicelib.services.sessions import Sessions
    from chalicelib.store.protocol import Store


@dataclass(frozen=True, slots=True)
class RefreshGrant:
    """The long-lived half of a grant, and how it travels: a refresh token, or what a session cookie holds."""

    refresh_token: str
    expires_in: int  # seconds until it is of no use any more, if it is not used meanwhile; a session's: in any case
    transport: Transport
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a client gets: the token response before it is JSON and cookies."""

    account: Account
    session_id: str
    access_token: str | None  # None where the session's cookie is looked up at every request
    expires_in: int  # seconds
    refresh: RefreshGrant | None  # None where the client keeps the refresh token that it has
    device_token: str | None = None  # what the device is known by at its next login; None where it keeps what it has


@dataclass(slots=True, eq=False, repr=False)
class Tokens:
    """Issues grants and rotates refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14)."""

    store: Store
    sessions: Sessions
    clock: Clock
    source: TokenSource
    access_tokens: AccessTokenCodec
    refresh_tokens: RefreshTokenCodec
    csrf_tokens: CsrfTokens
    audit: AuditLog
    config: Config

    def grant(self, account: Account, session: Session, refresh_token: RefreshToken, now: int) -> Grant:
        """The grant for a session that is, or is about to be, in the table with this refresh token.

        One of the transport `session` gets no access token, and signs nothing.
        """
        refresh = RefreshGrant(
            refresh_token=self.refresh_tokens.encode(refresh_token, session.key_id, session.transport),
            expires_in=_outlasts(session) - now,
            transport=session.transport,
            csrf_token=self.csrf_tokens.issue(session.sid),
        )
        if session.transport == "session":
            return Grant(account, session.sid, None, refresh.expires_in, refresh)
        access_token = self._access_token(account, session.sid, session.auth_time, session.amr, now)
        return Grant(account, session.sid, access_token, self.config.access_ttl, refresh)

    def grant_access(self, account: Account, sid: str, now: int, amr: tuple[str, ...], auth_time: int) -> Grant:
        """A grant of an access token alone, for a session whose user was authenticated by `amr` at `auth_time`."""
        access_token = self._access_token(account, sid, auth_time, amr, now)
        return Grant(account, sid, access_token, self.config.access_ttl, refresh=None)

    def renew(self, account: Account, session: Session, now: int) -> tuple[Grant, bytes]:
        """A grant of the next secret of a session of the transport `session`, and its digest. Nothing is written.

        It counts as the next generation, so that whoever comes with the one of before is not taken for a forger.
        """
        secret = self.source.token(SECRET_BYTES)
        successor = RefreshToken(session.sub, session.sid, session.generation + 1, secret)
        renewed = replace(session, key_id=self.refresh_tokens.current_key_id())
        return self.grant(account, renewed, successor, now), digest(secret)

    def _access_token(self, account: Account, sid: str, auth_time: int, amr: tuple[str, ...], now: int) -> str:
        # `now` is when the request began, so that `iat` is never later than the write that may end the session.
        return self.access_tokens.issue(
            AccessTokenClaims(
                sub=account.sub,
                sid=sid,
                jti=b64url(self.source.token(ID_BYTES)),
                ver=account.epoch,
                iat=now,
                exp=now + self.config.access_ttl,
                auth_time=auth_time,
                amr=amr,
                roles=account.roles,
                scope=scope_of(account.roles, self.config.role_scopes),
                email_verified=account.email_verified,
            )
        )

    def refresh(self, presented: RefreshToken, client: Client) -> Grant:
        """Turn the key: the successor of the presented token and a new access token.

        Clients that present one token at the same time, or again because an answer was lost, all get the same successor
        inside the rotation window. InvalidGrant for every token that is dead; a replayed one ends its session.
        """
        now = self.clock.now()
        # Before anything is written: a signing key that is away must not cost the client the answer to its rotation.
        self.access_tokens.prepare()
        secret = self.source.token(SECRET_BYTES)
        account = self._account(presented)
        outcome = self._rotate(presented, account, secret, client, now)
        verdict = self._judge(outcome, presented, account, now)
        if verdict is Verdict.EPOCH_MOVED:
            # A password change moved the session between our two calls. Not theft: decide on the account as it is now.
            account = self._account(presented)
            outcome = self._rotate(presented, account, secret, client, now)
            verdict = self._judge(outcome, presented, account, now)
        if isinstance(outcome, NotRotated):
            session, successor = self._answer_to_replay(verdict, outcome.held, presented, client)
        else:
            session, successor = outcome.session, _successor(presented, secret)
        return self.grant(account, session, successor, now)

    def _account(self, presented: RefreshToken) -> Account:
        account = self.store.find_account(presented.sub)
        if account is None or account.disabled:
            raise InvalidGrant(debug="no such account, or disabled")
        return account

    def _rotate(
        self, presented: RefreshToken, account: Account, secret: bytes, client: Client, now: int
    ) -> Rotated | NotRotated:
        return self.store.rotate_refresh_token(
            Rotation(
                sub=presented.sub,
                sid=presented.sid,
                generation=presented.generation,
                digest=digest(presented.secret),
                epoch=account.epoch,
                next_digest=digest(secret),
                wrapped=wrap(secret, presented.secret, presented.sid, presented.generation),
                key_id=self.refresh_tokens.current_key_id(),
                idle_expires_at=now + self.config.refresh_idle_ttl,
                now=now,
                client=client,
            )
        )

    def _judge(
        self, outcome: Rotated | NotRotated, presented: RefreshToken, account: Account, now: int
    ) -> Verdict | None:
        if isinstance(outcome, Rotated):
            return None
        return judge(outcome.held, presented.generation, account.epoch, now, self.config.rotation_window)

    def _answer_to_replay(
        self, verdict: Verdict | None, held: Session | None, presented: RefreshToken, client: Client
    ) -> tuple[Session, RefreshToken]:
        """The session and the successor that the presented token has already got; InvalidGrant where it has none."""
        if held is None or verdict is Verdict.DEAD:
            raise InvalidGrant(debug="session is over")
        who: dict[str, str] = {"sub": presented.sub, "sid": presented.sid}
        if verdict is Verdict.EPOCH_MOVED:
            raise Unavailable(debug="account moved twice during one refresh")
        if verdict is Verdict.REPLAYED:
            raise self._theft(who, client)
        if verdict in {Verdict.PREDECESSOR, Verdict.LATE}:
            secret = unwrap(held.wrapped, presented.secret, presented.sid, presented.generation)
            if same(digest(secret), held.digest):
                if verdict is Verdict.LATE:
                    raise self._theft(who, client)
                if client.address != held.address and client.user_agent != held.user_agent:
                    self.audit.record("refresh_from_elsewhere", client, **who)
                return held, _successor(presented, secret)
        # A genuine MAC with a secret that we never issued, or a generation that is still to come: somebody may know the
        # MAC key, or the table was restored from a backup. That is an alarm, and no reason to end the session.
        self.audit.record("refresh_token_forged", client, **who)
        raise InvalidGrant(debug="wrong secret under a good MAC")

    def _theft(self, who: dict[str, str], client: Client) -> InvalidGrant:
        # Recorded first: were the answer to the deletion lost, no retry would find the theft again.
        self.audit.record("refresh_token_reused", client, **who)
        # RFC 9700 section 4.14.2: which of the two is the attacker cannot be told, so both lose the session.
        self.sessions.end(who["sub"], who["sid"])
        return InvalidGrant(debug="replayed outside the window")


def _outlasts(session: Session) -> int:
    """The moment at which what the client keeps is of no use any more (seconds since the epoch).

    A cookie of the transport `session` is set once and not at each use, so that it must outlast every idle limit.
    """
    if session.transport == "session":
        return session.absolute_expires_at
    return min(session.idle_expires_at, session.absolute_expires_at)


def _successor(presented: RefreshToken, secret: bytes) -> RefreshToken:
    return RefreshToken(presented.sub, presented.sid, presented.generation + 1, secret)
