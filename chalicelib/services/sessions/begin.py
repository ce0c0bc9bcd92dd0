"""Beginning a session: the one place where an authenticated person becomes a session, however they came.

What happens beside the write of a session of an account that exists, in the same round trip:

    the device is not known          the account's devices of the hour are counted: beyond five it gets no device token
    the browser brought a session    it is read, and ended afterwards if it lives (ASVS V7.2.4)
    one login in sixteen             the account's sessions are read, and those beyond a hundred removed afterwards
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib import deadline
from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.refresh_tokens import ID_BYTES, SECRET_BYTES, answered_to, digest
from chalicelib.domain.limits import new_devices
from chalicelib.domain.sessions import Device, RefreshToken, Session
from chalicelib.errors import Unavailable
from chalicelib.services.in_parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.crypto.device_tokens import DeviceTokens
    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.domain.accounts import Account
    from chalicelib.domain.callers import Caller, Transport
    from chalicelib.services.sessions.grants import Grant, Grants
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.services.surroundings import Surroundings
    from chalicelib.store.protocol import SessionsAndLimits

MOST_SESSIONS = 100  # items of an account
LOOKED_AT = 160  # items that a login reads at most, to find what is over: 13 read units with the longest of them
REMOVED_AT_ONCE = 25  # items: one call of BatchWriteItem, and more than the 16 logins between two removals bring
ONE_IN = 16  # logins look for what is over


class Authenticated(NamedTuple):
    """A person whose way in has been accepted, and how the session that begins is to travel.

    `amr` is how they were authenticated, `pwd` (RFC 8176) or a provider's name, and `auth_time` when. `carried` are the
    sessions that the browser came with; `device` is what it is known as, in whatever epoch.
    """

    account: Account
    amr: tuple[str, ...]
    auth_time: int
    transport: Transport
    caller: Caller
    carried: tuple[RefreshToken, ...] = ()
    device: Device | None = None


class NewSession(NamedTuple):
    """A session that is about to be written, with what its client gets for it."""

    who: Authenticated
    session: Session
    grant: Grant


@dataclass(slots=True, eq=False, repr=False)
class NewSessions:
    """Prepares sessions, writes those of accounts that exist, and ends the sessions that they replace."""

    store: SessionsAndLimits
    sessions: Sessions
    grants: Grants
    refresh_tokens: RefreshTokenCodec
    devices: DeviceTokens
    around: Surroundings
    idle_ttl: int  # seconds
    absolute_ttl: int  # seconds

    def prepare(self, who: Authenticated, now: int) -> NewSession:
        """A session of the account as it was read, and its grant. Nothing is written.

        The ids are fresh: a session id never comes from the request, so none can be fixed beforehand (ASVS V7.2.4).
        All is signed before anything is written: a key that is away must not leave a session behind that nobody holds.
        """
        account, caller = who.account, who.caller
        sid, secret = b64url(self.around.source.token(ID_BYTES)), self.around.source.token(SECRET_BYTES)
        device = Device(who.device.id if who.device else b64url(self.around.source.token(ID_BYTES)), account.epoch)
        session = Session(
            sub=account.sub,
            sid=sid,
            generation=0,
            digest=digest(secret),
            wrapped=b"",
            key_id=self.refresh_tokens.current_key_id(),
            epoch=account.epoch,
            created_at=now,
            rotated_at=now,
            idle_expires_at=now + self.idle_ttl,
            absolute_expires_at=now + self.absolute_ttl,
            transport=who.transport,
            auth_time=who.auth_time,
            amr=who.amr,
            address=caller.address,
            user_agent=caller.user_agent,
            answered=answered_to(sid, caller.address, caller.user_agent),
            device=from_b64url(device.id),
        )
        grant = self.grants.grant(account, session, RefreshToken(account.sub, sid, 0, secret), now)
        device_token = self.devices.issue(account.email, account.epoch, now, device)
        return NewSession(who, session, grant._replace(device_token=device_token))

    def write(
        self, new: NewSession, beside: Callable[[], object] | None = None
    ) -> tuple[Grant, object, Callable[[], None]]:
        """Write the session, and run `beside` and the side reads drawn above in the same round trip.

        The grant as it is to be answered, what `beside` returned, and what has to follow once the login stands: it
        ends the sessions that this one replaces.
        """
        who, session, grant = new.who, new.session, new.grant
        known = who.device is not None and who.device.epoch == who.account.epoch
        besides: dict[str, Callable[[], object]] = {"beside": beside} if beside else {}
        if not known:
            besides["device"] = lambda: self._may_know_device(session)
        if who.carried:
            besides["carried"] = lambda: self._living(who.carried)
        if looks_for_more(session.sid):
            besides["over"] = lambda: self._over(session, who.account)
        _, *found = in_parallel(lambda: self.store.create_session(session), *besides.values())
        answers: dict[str, Any] = dict(zip(besides, found, strict=True))
        if not answers.get("device", True):
            grant = grant._replace(device_token=None)

        def follow() -> None:
            self._end(answers.get("carried", ()), who.caller)
            self._remove(session.sub, answers.get("over", ()), who.caller)

        return grant, answers.get("beside"), follow

    def begin(self, new: NewSession, beside: Callable[[], object] | None = None) -> Grant:
        """Write the session, with `beside` in the same round trip, and end what it takes the place of."""
        grant, _, follow = self.write(new, beside)
        follow()
        return grant

    def end_carried(self, who: Authenticated) -> None:
        """End the living sessions that a browser came with to a sign-up, whose own session is written by now."""
        self._end(self._living(who.carried), who.caller)

    def _living(self, carried: Iterable[RefreshToken]) -> list[RefreshToken]:
        return [former for former in carried if self.sessions.standing(former)]

    def _end(self, carried: Iterable[RefreshToken], caller: Caller) -> None:
        # After the new session is there: whoever cannot have it keeps the old one.
        for former in carried:
            self.sessions.end(former.sub, former.sid)
            self.around.audit.record("session_ended", caller, sub=former.sub, sid=former.sid, by="login")

    def _may_know_device(self, session: Session) -> bool:
        # A counter that cannot be asked costs the device its token, and not the person the login.
        with suppress(Unavailable):
            return self.store.count_attempt(new_devices(), session.sub, session.created_at) == 0
        return False

    def _over(self, new: Session, account: Account) -> list[Session]:
        """Session items beyond the bound: dead ones first, then those that nobody has used for longest."""
        found: Sequence[Session] = ()
        with suppress(Unavailable), deadline.start(deadline.ONE_ATTEMPT_SECONDS):
            found, _ = self.store.list_sessions(new.sub, after=None, limit=LOOKED_AT)
        others = [session for session in found if session.sid != new.sid]
        # A session of an epoch that is newer than the account as it was read was moved along since: it lives.
        others.sort(key=lambda held: (held.lives(max(held.epoch, account.epoch), new.created_at), held.last_used_at))
        return others[: max(0, len(others) + 1 - MOST_SESSIONS)][:REMOVED_AT_ONCE]

    def _remove(self, sub: str, over: Sequence[Session], caller: Caller) -> None:
        if not over:
            return
        # The login stands, whatever becomes of this: the next one in sixteen tries again.
        with suppress(Unavailable), deadline.start(deadline.ONE_ATTEMPT_SECONDS):
            self.store.delete_sessions(sub, [session.sid for session in over])
            self.around.audit.record("sessions_removed", caller, sub=sub, count=len(over))


def looks_for_more(sid: str) -> bool:
    """Whether the login that begins this session looks for sessions beyond the bound: one in sixteen, at random."""
    return from_b64url(sid)[0] % ONE_IN == 0
