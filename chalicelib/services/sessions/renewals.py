"""Renewals: whoever changes who may get in proves to hold the session's long-lived credential, and gets a new one.

Every refresh token and cookie of the session that was given out before is dead then (design, section 3): a copy of it
gains nothing by its owner's change, and a copied access token alone may not ask for one.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.crypto.refresh_tokens import SECRET_BYTES, answered_to, digest, held_secret
from chalicelib.domain.rotation import Place, is_inside, place
from chalicelib.domain.sessions import RefreshToken
from chalicelib.errors import CredentialRequired, InvalidGrant, InvalidToken, Unavailable
from chalicelib.store.outcomes import Renewal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.domain.accounts import Account
    from chalicelib.domain.callers import Caller
    from chalicelib.domain.sessions import Session
    from chalicelib.services.sessions.grants import Grant, Grants
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.services.surroundings import Surroundings

ATTEMPTS = 3  # at a change whose session's key another tab turns meanwhile


@dataclass(slots=True, eq=False, repr=False)
class Renewals:
    """Reads the session that asks, and prepares its next credentials."""

    sessions: Sessions
    grants: Grants
    refresh_tokens: RefreshTokenCodec
    around: Surroundings
    rotation_window: int  # seconds
    idle_ttl: int  # seconds

    def asking(
        self, sub: str, sid: str, presented: RefreshToken | None, caller: Caller, now: int
    ) -> tuple[Session, Account]:
        """The session that asks, which the presented credential holds, and its account.

        The held generation is accepted. Inside the window its predecessor is accepted too, because another tab may have
        turned the key.
        CredentialRequired where the credential is missing or another session's; InvalidToken where the session is over;
        InvalidGrant where the credential is not the session's any more.
        """
        if presented is None or (presented.sub, presented.sid) != (sub, sid):
            raise CredentialRequired(debug="no credential, or another session's")
        session, account = self.living(sub, sid)
        found = place(session, presented.generation, account.epoch, now)
        secret = held_secret(found, session, presented)
        inside = is_inside(session, now, self.rotation_window)
        if secret is not None and (found is Place.HELD or (found is Place.PREDECESSOR and inside)):
            return session, account
        if secret is None and found in {Place.HELD, Place.PREDECESSOR, Place.LATE_BASE, Place.NEWER}:
            # As for refresh tokens: somebody may know the MAC key, or the table was restored from a backup.
            if session.transport == "session":
                self.around.audit.record("session_cookie_forged", caller, sub=sub, sid=sid)
            else:
                self.around.audit.record("refresh_token_forged", caller, sub=sub, sid=sid)
        raise InvalidGrant(debug=f"{found.value}, not the session's credential any more")

    def living(self, sub: str, sid: str) -> tuple[Session, Account]:
        """The session and its account. InvalidToken where either is over."""
        session, account = self.sessions.find_living(sub, sid)
        if session is None or account is None:
            raise InvalidToken(debug="the session has ended")
        return session, account

    @contextmanager
    def told(self, what: str, session: Session, caller: Caller) -> Iterator[None]:
        """Around a write that changes who may get in; `what` is the event of its success.

        Its caller records that event. Where the write's answer is lost, it is done or not, and no retry would find
        anything to tell: the owner is told that it may have been done.
        """
        try:
            yield
        except Unavailable:
            self.around.audit.record("access_may_have_changed", caller, sub=session.sub, sid=session.sid, what=what)
            raise

    def prepare(
        self,
        account: Account,
        session: Session,
        caller: Caller,
        now: int,
        *,
        auth_time: int | None = None,
        amr: tuple[str, ...] | None = None,
    ) -> tuple[Grant, Renewal]:
        """The next grant of the session, and what the table has to write for it. Nothing is written here.

        `account` is the account as it is after the change. `auth_time` and `amr` where the person has just been
        authenticated. It is signed before it is written: a key that is away must not cost the session its credentials.
        """
        secret = self.around.source.token(SECRET_BYTES)
        renewal = Renewal(
            session=session,
            next_digest=digest(secret),
            key_id=self.refresh_tokens.current_key_id(),
            answered=answered_to(session.sid, caller.address, caller.user_agent),
            now=now,
            idle_expires_at=now + self.idle_ttl,
            epoch=account.epoch,
            auth_time=session.auth_time if auth_time is None else auth_time,
            amr=session.amr if amr is None else amr,
        )
        renewed = session._replace(
            generation=session.generation + 1,
            key_id=renewal.key_id,
            epoch=renewal.epoch,
            idle_expires_at=renewal.idle_expires_at,
            rotated_at=now,
            auth_time=renewal.auth_time,
            amr=renewal.amr,
        )
        token = RefreshToken(session.sub, session.sid, renewed.generation, secret)
        return self.grants.grant(account, renewed, token, now), renewal
