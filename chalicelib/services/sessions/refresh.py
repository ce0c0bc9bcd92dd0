"""Refreshing: what a presented refresh token comes to. The table of rules stands in domain/rotation.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.crypto.encoding import from_b64url
from chalicelib.crypto.refresh_tokens import SECRET_BYTES, answered_to, digest, held_secret, same, wrap
from chalicelib.domain.rotation import Answer, Place, answer, late_answers, place
from chalicelib.domain.sessions import RefreshToken
from chalicelib.errors import InvalidGrant, Unavailable
from chalicelib.store.outcomes import LateAnswer, NotRotated, Rotated, Rotation

if TYPE_CHECKING:
    from chalicelib.crypto.device_tokens import DeviceTokens
    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.domain.accounts import Account
    from chalicelib.domain.callers import Caller
    from chalicelib.domain.sessions import Session
    from chalicelib.services.sessions.grants import Grant, Grants
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.services.surroundings import Surroundings
    from chalicelib.store.protocol import AccountsAndSessions

LATE_ATTEMPTS = 3


class Presentation(NamedTuple):
    """A refresh token as a request brings it; `secret` is for its successor, if it gets one."""

    token: RefreshToken
    caller: Caller
    device_token: str | None
    secret: bytes
    now: int

    @property
    def who(self) -> dict[str, str]:
        """Whose session it is of, for the log."""
        return {"sub": self.token.sub, "sid": self.token.sid}


@dataclass(slots=True, eq=False, repr=False)
class Refresh:
    """Rotates refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14)."""

    store: AccountsAndSessions
    sessions: Sessions
    grants: Grants
    refresh_tokens: RefreshTokenCodec
    devices: DeviceTokens
    around: Surroundings
    rotation_window: int  # seconds
    idle_ttl: int  # seconds

    def __call__(self, presented: RefreshToken, caller: Caller, device_token: str | None = None) -> Grant:
        """Turn the key: the successor of the presented token and a new access token.

        Clients that present one token at the same time, or again because an answer was lost, all get the same successor
        inside the rotation window; the session's own device, by `device_token`, after it too. The key turns once a
        window: the token held, presented again inside it, is answered with itself. InvalidGrant for every token that is
        dead; a replayed one ends its session.
        """
        # Before anything is written: a signing key that is away must not cost the client the answer to its rotation.
        self.grants.prepare()
        presentation = Presentation(
            presented, caller, device_token, self.around.source.token(SECRET_BYTES), self.around.clock.now()
        )
        account = self._account(presented)
        outcome = self._turn(presentation, account)
        if isinstance(outcome, NotRotated) and self._place(outcome, presentation, account) is Place.EPOCH_MOVED:
            # A password change moved the session between our two calls. Not theft: decide on the account as it is now.
            account = self._account(presented)
            outcome = self._turn(presentation, account)
        if isinstance(outcome, NotRotated):
            session, secret = self._answer(outcome, presentation, account)
        else:
            session, secret = outcome.session, presentation.secret
        token = RefreshToken(session.sub, session.sid, session.generation, secret)
        return self.grants.grant(account, session, token, presentation.now)

    def _account(self, presented: RefreshToken) -> Account:
        """The token's account, for which an access token can be signed."""
        account = self.store.find_account(presented.sub)
        if account is None or account.disabled:
            raise InvalidGrant(debug="no such account, or disabled")
        self.grants.require_issuable(account, presented.sid, self.around.clock.now())
        return account

    def _turn(self, presentation: Presentation, account: Account) -> Rotated | NotRotated:
        token, window = presentation.token, self.rotation_window
        return self._rotate(
            presentation,
            account,
            held=token,
            # A session that was never turned turns at once.
            turned_before=presentation.now - window if window and token.generation else None,
        )

    def _rotate(
        self,
        presentation: Presentation,
        account: Account,
        *,
        held: RefreshToken,
        turned_before: int | None = None,
        late: LateAnswer | None = None,
    ) -> Rotated | NotRotated:
        now, caller = presentation.now, presentation.caller
        return self.store.rotate_refresh_token(
            Rotation(
                sub=held.sub,
                sid=held.sid,
                generation=held.generation,
                digest=digest(held.secret),
                epoch=account.epoch,
                turned_before=turned_before,
                next_digest=digest(presentation.secret),
                wrapped=wrap(presentation.secret, held.secret, held.sid, held.generation),
                key_id=self.refresh_tokens.current_key_id(),
                idle_expires_at=now + self.idle_ttl,
                now=now,
                answered=answered_to(held.sid, caller.address, caller.user_agent),
                late=late,
            )
        )

    def _place(self, outcome: NotRotated, presentation: Presentation, account: Account) -> Place:
        return place(outcome.held, presentation.token.generation, account.epoch, presentation.now)

    def _answer(self, outcome: NotRotated, presentation: Presentation, account: Account) -> tuple[Session, bytes]:
        """The session and the secret of the generation that it holds, for a token that did not turn the key.

        InvalidGrant where the token has no answer.
        """
        for _ in range(LATE_ATTEMPTS):
            found, held = self._place(outcome, presentation, account), outcome.held
            if held is None or found is Place.DEAD:
                raise InvalidGrant(debug="the session is over, or its credentials were renewed")
            if found is Place.EPOCH_MOVED:
                raise Unavailable(debug="account moved twice during one refresh")
            secret = held_secret(found, held, presentation.token)
            if secret is None and found is not Place.OLDER:
                # A genuine MAC with a secret that we never issued, or a generation that is still to come: somebody may
                # know the MAC key, or the table was restored from a backup. That is an alarm, and no reason to end the
                # session.
                self.around.audit.record("refresh_token_forged", presentation.caller, **presentation.who)
                raise InvalidGrant(debug="wrong secret under a good MAC")
            own_device = self._is_own_device(held, presentation, account)
            decided = answer(found, held, presentation.now, self.rotation_window, own_device=own_device)
            if secret is None or decided is Answer.THEFT:
                raise self._theft(presentation)
            if decided in {Answer.ITSELF, Answer.SUCCESSOR}:
                self._note_another_caller(held, presentation)
                return held, secret
            if decided is Answer.TURN:
                break
            late = self._answer_late(held, secret, presentation, account)
            if isinstance(late, Rotated):
                return late.session, presentation.secret
            outcome = late
        raise Unavailable(debug="session contended")

    def _answer_late(
        self, held: Session, secret: bytes, presentation: Presentation, account: Account
    ) -> Rotated | NotRotated:
        """Turn the key for a token that has a successor already, which its device never used: its answer was lost."""
        token = presentation.token
        times, often = late_answers(held, presentation.now)
        late = LateAnswer(
            late_base=token.generation,
            late_wrapped=wrap(presentation.secret, token.secret, token.sid, token.generation, "late"),
            late_at=times,
        )
        try:
            outcome = self._rotate(
                presentation, account, held=RefreshToken(held.sub, held.sid, held.generation, secret), late=late
            )
        except Unavailable:
            # Done or not: were the answer lost, the device's next refresh would find nothing to tell.
            self._note_late(presentation, often=often)
            raise
        if isinstance(outcome, Rotated):
            self._note_late(presentation, often=often)
        return outcome

    def _is_own_device(self, held: Session, presentation: Presentation, account: Account) -> bool:
        device = self.devices.verify(presentation.device_token, account.email, presentation.now)
        if device is None or device.epoch != account.epoch:
            return False
        return same(from_b64url(device.id), held.device)

    def _note_late(self, presentation: Presentation, *, often: bool) -> None:
        self.around.audit.record("refresh_answered_late", presentation.caller, **presentation.who)
        if often:
            self.around.audit.record("refresh_answered_late_often", presentation.caller, **presentation.who)

    def _note_another_caller(self, held: Session, presentation: Presentation) -> None:
        """Leave a trace where the answer goes to another address or user agent than the last turn's did."""
        caller = presentation.caller
        last = held.answered or answered_to(held.sid, held.address, held.user_agent)
        this = answered_to(held.sid, caller.address, caller.user_agent)
        half = len(this) // 2
        address, user_agent = last[:half] != this[:half], last[half:] != this[half:]
        if address and user_agent:
            self.around.audit.record("refresh_from_elsewhere", caller, **presentation.who)
        elif address or user_agent:
            what = "address" if address else "user_agent"
            self.around.audit.record("refresh_from_changed_client", caller, **presentation.who, what=what)

    def _theft(self, presentation: Presentation) -> InvalidGrant:
        # Recorded first: were the answer to the deletion lost, no retry would find the theft again.
        self.around.audit.record("refresh_token_reused", presentation.caller, **presentation.who)
        # RFC 9700 section 4.14.2: which of the two is the attacker cannot be told, so both lose the session.
        self.sessions.end(presentation.token.sub, presentation.token.sid)
        return InvalidGrant(debug="replayed outside the window")
