"""The steps that services ask of the table. Each verb is one conditional write, one transaction or one read.

Every verb raises Unavailable when the table did not answer in time, throttled the call, or two transactions met; the
write may then have happened or not, and calling again is safe. Every read is strongly consistent, but for the list of
events. Verbs return what happened; services decide what it means.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.domain.records import (
        Account,
        Client,
        Denials,
        LinkedIdentity,
        Login,
        LoginTransaction,
        SecurityEvent,
        Session,
    )


@dataclass(frozen=True, slots=True)
class Rotation:
    """One turn of the key: what must be held for it to happen, and what is held afterwards."""

    sub: str
    sid: str
    # must be held
    generation: int
    digest: bytes
    epoch: int
    # is held afterwards, as generation + 1
    next_digest: bytes
    wrapped: bytes
    key_id: str
    idle_expires_at: int
    now: int
    client: Client


@dataclass(frozen=True, slots=True)
class Rotated:
    """The key was turned; the session as it is now."""

    session: Session


@dataclass(frozen=True, slots=True)
class NotRotated:
    """Something that must be held is not. `held` is the session as the refused write found it; None if it is gone."""

    held: Session | None


class PasswordChanged(Enum):
    """What came of a password change."""

    CHANGED = "changed"
    LOGIN_MOVED = "login_moved"  # the digest or the epoch is not the one that was read: read again
    SESSION_GONE = "session_gone"  # the session that asked was ended meanwhile


class Linked(Enum):
    """What came of linking an identity."""

    LINKED = "linked"
    LOGIN_MOVED = "login_moved"  # the login is not as it was read: read again
    IDENTITY_TAKEN = "identity_taken"  # the identity opens an account already, maybe this one: read again
    SESSION_GONE = "session_gone"  # the session that asked was ended meanwhile


class Store(Protocol):
    """The table's verbs."""

    def count_attempt(self, policy: LimitPolicy, value: str, now: int) -> int:
        """Count one attempt of `value` if the policy lets it through; 0 if so, else the seconds to wait.

        One conditional write: n and last_at move only when the policy's spacing has passed, so that parallel attempts
        cannot outrun it. A refused attempt changes nothing. The policy's spacings only grow.
        """

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

    def change_password(
        self,
        login: Login,
        new_digest: str,
        sid: str,
        *,
        now: int,
        deny_until: int,
        auth_time: int | None = None,
        session_digest: bytes | None = None,
    ) -> PasswordChanged:
        """Set the digest and raise the epoch in one transaction; the session `sid` moves along, every other one dies.

        With `session_digest` that session has another secret, as its next generation, from the same write on (transport
        `session`).

        Who gives the password has just authenticated: the session's auth_time becomes `now`. Who sets a first one has
        not: `auth_time` is when they were.

        Conditions: the login still has the digest and the epoch that were read; the session lives in that epoch.
        `deny_until` is when the blacklist entry may expire.
        """

    def raise_epoch(self, account: Account, *, deny_until: int, disable: bool = False) -> bool:
        """End every session and deny every access token of the account in one transaction.

        With `disable` the account is disabled in the same write. False if the epoch is not the one that was read.
        """

    def find_identity(self, issuer: str, subject: str) -> str | None:
        """The sub of the account that the identity opens."""

    def link_identity(
        self, login: Login, identity: LinkedIdentity, *, proves_email: bool, sid: str | None, now: int
    ) -> Linked:
        """Let the identity open the account, which then has not given its provider up, in one transaction.

        Conditions: the login is as it was read (account, epoch, `email_verified`, identities); the identity opens no
        account; the session `sid`, where one asks, lives in that epoch at `now`. With `proves_email` the account's
        address counts as verified from the same write on. A retry of its own lost write may say IDENTITY_TAKEN.
        """

    def take_over_account(self, login: Login, identity: LinkedIdentity, *, deny_until: int) -> bool:
        """Give an account whose address nobody had proven to the identity that has proven it, in one transaction.

        The password and every other identity are gone, the epoch is raised (so that every session and access token of
        before is dead), `email_verified` is True and the identity opens the account. Conditions: the login is as it was
        read, with `email_verified` False; the identity opens no other account. False otherwise; a retry of its own lost
        write may say False too.
        """

    def unlink_identity(self, login: Login, provider: str) -> bool:
        """Take the provider's identity from the account, which has given the provider up, in one transaction.

        Condition: the login is as it was read. Its identities and its epoch tell: a password goes by neither alone.
        False otherwise; a retry of its own lost write may say False too.
        """

    def create_transaction(self, digest: bytes, transaction: LoginTransaction) -> None:
        """Keep a login that has begun under the digest of what its browser holds. The digest is fresh."""

    def consume_transaction(self, digest: bytes, attempt: str, now: int) -> LoginTransaction | None:
        """Take the transaction, once: None for one that is not there, has expired or was taken.

        One conditional write. `attempt` is random for each call, so that a retry of its own lost write is known.
        """

    def create_session(self, session: Session) -> None:
        """Write a new session. Its sid is fresh, so that writing it twice is the same as once."""

    def rotate_refresh_token(self, rotation: Rotation) -> Rotated | NotRotated:
        """Turn the key in one conditional write; see Rotation. A retry of its own lost write counts as Rotated."""

    def find_session(self, sub: str, sid: str) -> Session | None:
        """One session, dead or alive: callers ask `Session.lives`."""

    def find_session_and_account(self, sub: str, sid: str) -> tuple[Session | None, Account | None]:
        """The session and its account's state, read at once: one round trip, two read units."""

    def touch_session(self, session: Session, *, idle_expires_at: int, now: int, client: Client) -> None:
        """Note that the session is in use, if it is as it was read (digest, epoch, last use) and within its limits.

        It is then last used at `now` from `client`, and its idle limit moves. Nothing happens where it has changed.
        """

    def list_sessions(self, sub: str) -> tuple[Account | None, tuple[Session, ...]]:
        """The account with all its session items, dead or alive."""

    def deny_session(self, sub: str, sid: str, *, deny_until: int) -> Denials | None:
        """Put the session on the blacklist. None when done; the list as it is when it is full."""

    def deny_issued_before(self, sub: str, seen: Denials, moment: int, *, deny_until: int) -> bool:
        """Deny every token issued before `moment`, in place of the sessions and tokens listed in `seen`.

        True also where this moment or a later one is held already. False if the list is not the one that was seen:
        another entry may have come that `moment` does not cover.
        """

    def deny_token(self, sub: str, jti: str, *, deny_until: int) -> Denials | None:
        """Put one access token on the blacklist. None when done; the list as it is when it is full."""

    def delete_session(self, sub: str, sid: str) -> None:
        """Delete the session's item. Deny it first: the item is what a retry would find the session by."""

    def find_denials(self, sub: str) -> Denials:
        """The user's blacklist; empty if there is none."""

    def record_events(self, events: Sequence[SecurityEvent]) -> None:
        """Keep the events until each one's `expires_at`. One that is kept already is kept once: its key is its own.

        Unavailable may come after some of them are kept; sending all of them again is safe.
        """

    def list_events(self, sub: str, limit: int) -> tuple[SecurityEvent, ...]:
        """The user's last `limit` events, expired ones included: alarms, then all others, of each the newest first.

        So nobody pushes an alarm out of reach by making other events.

        The one read that is not strongly consistent, for half the units: events come to the table late anyway.
        """
