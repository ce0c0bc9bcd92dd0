"""The steps that services ask of the table: a Protocol for each aggregate, and `Store`, which is all of them.

Each verb is one conditional write, one transaction or one read.

Every verb raises Unavailable when the table did not answer in time, throttled the call, or two transactions met; the
write may then have happened or not, and calling again is safe. Every read is strongly consistent, but for lists. Verbs
return what happened; services decide what it means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.accounts import Account, LinkedIdentity, Login
    from chalicelib.domain.denials import Denials
    from chalicelib.domain.events import Rank, SecurityEvent
    from chalicelib.domain.federation import PendingLogin
    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.domain.sessions import Session
    from chalicelib.store.outcomes import AccessChanged, NotRotated, Renewal, Rotated, Rotation


class AccountStore(Protocol):
    """Accounts: what opens each of them, and the state that every other operation asks about."""

    def create_account(self, login: Login, session: Session) -> bool:
        """Make the account, its identities' markers and its first session in one transaction.

        False if the address has an account or an identity opens another one; nothing is written then.
        """

    def find_login(self, email: str) -> Login | None:
        """The login of this canonical address."""

    def find_account(self, sub: str) -> Account | None:
        """The account's state, without any secret."""

    def replace_password_digest(self, email: str, old_digest: str, new_digest: str) -> bool:
        """Swap the digest of an unchanged password (rehash); False if the login holds another digest by now."""

    def change_password(self, login: Login, new_digest: str, renewal: Renewal, *, deny_until: int) -> AccessChanged:
        """Set the digest and raise the epoch in one transaction; the renewed session moves along, every other one dies.

        Conditions: the login still has the digest and the epoch that were read; the session is as it was read, in that
        epoch. `deny_until` is when the blacklist entry may expire. A retry of its own lost write says CHANGED.
        """

    def raise_epoch(self, account: Account, *, deny_until: int, disable: bool = False) -> bool:
        """End every session and deny every access token of the account in one transaction.

        With `disable` the account is disabled in the same write. False if the epoch is not the one that was read.
        """


class IdentityStore(Protocol):
    """Identities at providers, each of which opens at most one account."""

    def find_identity(self, issuer: str, subject: str) -> str | None:
        """The sub of the account that the identity opens."""

    def link_identity(
        self, login: Login, identity: LinkedIdentity, *, proves: str | None, session: Renewal | Session | None
    ) -> AccessChanged:
        """Let the identity open the account, which then has not given its provider up, in one transaction.

        Conditions: the login is as it was read (account, epoch, `email_verified`, identities); the identity opens no
        account; the session, where one asks, is there in that epoch, and as it was read if its credentials are renewed
        with it. Where the identity `proves` the account's address, the account holds that spelling, as
        verified, from the same write on. A retry of its own lost write may say IDENTITY_TAKEN.
        """

    def take_over_account(self, login: Login, identity: LinkedIdentity, *, proves: str, deny_until: int) -> bool:
        """Give an account whose address nobody had proven to the identity that has proven it, in one transaction.

        The password and every other identity are gone, the epoch is raised (so that every session and access token of
        before is dead), the account holds the address that the identity `proves`, as verified, and the identity opens
        it. Conditions: the login is as it was read, with `email_verified` False; the identity opens no other account.
        False otherwise; a retry of its own lost write may say False too.
        """

    def unlink_identity(self, login: Login, provider: str, renewal: Renewal) -> AccessChanged:
        """Take the provider's identity from the account, which has given the provider up, in one transaction.

        Conditions: the login is as it was read, and so is the session, whose credentials are renewed. The login's
        identities and its epoch tell: a password goes by neither alone. A retry of its own lost write may say
        LOGIN_MOVED.
        """


class SessionStore(Protocol):
    """Sessions, and the turns of their keys."""

    def create_session(self, session: Session) -> None:
        """Write a new session. Its sid is fresh, so that writing it twice is the same as once."""

    def renew_session(self, renewal: Renewal) -> bool:
        """Renew the session's credentials in one conditional write; False if the session is not as it was read.

        A retry of its own lost write says True.
        """

    def rotate_refresh_token(self, rotation: Rotation) -> Rotated | NotRotated:
        """Turn the key in one conditional write; see Rotation. A retry of its own lost write counts as Rotated."""

    def find_session(self, sub: str, sid: str) -> Session | None:
        """One session, dead or alive: callers ask `Session.lives`."""

    def find_session_and_account(self, sub: str, sid: str) -> tuple[Session | None, Account | None]:
        """The session and its account's state, read at once: one round trip, two read units."""

    def touch_session(self, sub: str, sid: str, *, now: int, unless_since: int) -> None:
        """Note that the session is in use at `now`, if it is there and no use was noted since `unless_since`.

        The note decides nothing but the idle limit of sessions that have one, so that its writer needs no other right.
        """

    def list_sessions(self, sub: str, *, after: str | None, limit: int) -> tuple[tuple[Session, ...], str | None]:
        """At most `limit` session items of the account, dead or alive, behind the session id `after`, in its order.

        The second value is the id to go on behind; None at the end. Not strongly consistent, for half the units.
        """

    def delete_session(self, sub: str, sid: str) -> None:
        """Delete the session's item. Deny it first: the item is what a retry would find the session by."""

    def delete_sessions(self, sub: str, sids: Sequence[str]) -> None:
        """Delete at most 25 items of sessions whose access tokens nobody has to deny any more. Safe to repeat.

        Unavailable may come after some of them are deleted.
        """


class DenialStore(Protocol):
    """The users' token blacklists."""

    def deny_session(self, sub: str, sid: str, *, now: int) -> Denials | None:
        """Put the session on the blacklist. None when done; the list as it is when it has to be compacted first."""

    def deny_token(self, sub: str, jti: str, *, now: int) -> Denials | None:
        """Put one access token on the blacklist. None when done; the list when it has to be compacted first."""

    def replace_denials(self, sub: str, seen: Denials, compacted: Denials) -> bool:
        """Put the compacted list in the place of the one that was seen. False if another entry has come since."""

    def find_denials(self, sub: str) -> Denials:
        """The user's blacklist; empty if there is none."""


class EventStore(Protocol):
    """The users' security events."""

    def record_events(self, events: Sequence[SecurityEvent]) -> None:
        """Keep the events until each one's `expires_at`. One that is kept already is kept once: its key is its own.

        Unavailable may come after some of them are kept; sending all of them again is safe.
        """

    def list_events(self, sub: str, *, rank: Rank, now: int, limit: int) -> tuple[SecurityEvent, ...]:
        """The user's last `limit` events of the rank that are shown at `now`, the newest first.

        Expired ones are included. Ranks are kept apart, so that nobody pushes an event out of reach by making events
        of another rank; what is not shown yet pushes nothing out of reach either.

        Not strongly consistent, for half the units: events come to the table late anyway.
        """


class LimitStore(Protocol):
    """The limiter's counters."""

    def count_attempt(self, policy: LimitPolicy, value: str, now: int) -> int:
        """Count one attempt of `value` if the policy lets it through; 0 if so, else the seconds to wait.

        One conditional write: n and last_at move only when the policy's spacing has passed, so that parallel attempts
        cannot outrun it. A refused attempt changes nothing. The policy's spacings only grow.
        """

    def return_attempt(self, policy: LimitPolicy, value: str, now: int) -> None:
        """Give back an attempt of `value` that was counted at `now`, for which nothing was tried in the end.

        One conditional write: n is one less, where it is above 0, and last_at lies `final_spacing` back, so that the
        slot which the attempt had used is free again. It gives no guess away: the attempt that is given back was
        counted and never judged. A counter that is not there, and every other window, stays as it is.
        """


class PendingLoginStore(Protocol):
    """Logins that have begun at a provider, each of which is taken once."""

    def begin_login(self, digest: bytes, pending: PendingLogin) -> None:
        """Keep a login that has begun under the digest of what its browser holds. The digest is fresh."""

    def take_login(self, digest: bytes, attempt: str, now: int) -> PendingLogin | None:
        """Take the pending login, once: None for one that is not there, has expired or was taken.

        One conditional write. `attempt` is random for each call, so that a retry of its own lost write is known.
        """


class Store(
    AccountStore,
    IdentityStore,
    SessionStore,
    DenialStore,
    EventStore,
    LimitStore,
    PendingLoginStore,
    Protocol,
):
    """Every verb of the table."""


# For services that need several aggregates: Python has no type for "this Protocol and that Protocol".


class AccountsAndIdentities(AccountStore, IdentityStore, Protocol):
    """Accounts and identities."""


class AccountsAndPendingLogins(AccountStore, PendingLoginStore, Protocol):
    """Accounts and pending logins."""


class AccountsAndSessions(AccountStore, SessionStore, Protocol):
    """Accounts and sessions."""


class AccountsSessionsAndDenials(AccountStore, SessionStore, DenialStore, Protocol):
    """Accounts, sessions and the token blacklist."""


class AccountsSessionsAndIdentities(AccountStore, SessionStore, IdentityStore, Protocol):
    """Accounts, sessions and identities."""


class SessionsAndDenials(SessionStore, DenialStore, Protocol):
    """Sessions and the token blacklist."""


class SessionsAndLimits(SessionStore, LimitStore, Protocol):
    """Sessions and the limiter's counters."""
