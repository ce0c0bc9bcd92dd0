"""Faults at chosen calls of any store, and a record of the verbs that were called."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from chalicelib.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    from chalicelib.store.protocol import Linked, NotRotated, PasswordChanged, Rotated, Rotation, Store

    Call = tuple[str, int]

Arguments = ParamSpec("Arguments")
Outcome = TypeVar("Outcome")


class FaultyStore:
    """`inner`, with each call recorded, announced and, where asked for, failed.

    A call is known by its verb and how many calls of that verb there were, itself included: ("find_login", 1). `calls`
    lists them in order. `at_call` is run at the start of each, and may do to `inner` what a racing request would.
    """

    def __init__(self, inner: Store, *, at_call: Callable[[str, int], None] | None = None) -> None:
        self.inner = inner
        self.at_call = at_call
        self.calls: list[Call] = []
        self._counts: Counter[str] = Counter()
        self._before: set[Call] = set()
        self._after: set[Call] = set()
        self._lock = Lock()

    @property
    def verbs(self) -> list[str]:
        """The verbs that were called, in order."""
        return [verb for verb, _ in self.calls]

    def fail_before(self, verb: str, nth: int = 1) -> None:
        """Make the nth call of the verb fail without any effect."""
        self._before.add((verb, nth))

    def fail_after(self, verb: str, nth: int = 1) -> None:
        """Make the nth call of the verb fail after its effect, as when an answer is lost."""
        self._after.add((verb, nth))

    def count_attempt(self, policy: LimitPolicy, value: str, now: int) -> int:
        """As Store."""
        return self._call(self.inner.count_attempt, policy, value, now)

    def create_account(self, login: Login, session: Session) -> bool:
        """As Store."""
        return self._call(self.inner.create_account, login, session)

    def find_login(self, email: str) -> Login | None:
        """As Store."""
        return self._call(self.inner.find_login, email)

    def find_account(self, sub: str) -> Account | None:
        """As Store."""
        return self._call(self.inner.find_account, sub)

    def replace_password_digest(self, email: str, old_digest: str, new_digest: str) -> bool:
        """As Store."""
        return self._call(self.inner.replace_password_digest, email, old_digest, new_digest)

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
        """As Store."""
        return self._call(
            self.inner.change_password,
            login,
            new_digest,
            sid,
            now=now,
            deny_until=deny_until,
            auth_time=auth_time,
            session_digest=session_digest,
        )

    def raise_epoch(self, account: Account, *, deny_until: int, disable: bool = False) -> bool:
        """As Store."""
        return self._call(self.inner.raise_epoch, account, deny_until=deny_until, disable=disable)

    def find_identity(self, issuer: str, subject: str) -> str | None:
        """As Store."""
        return self._call(self.inner.find_identity, issuer, subject)

    def link_identity(
        self, login: Login, identity: LinkedIdentity, *, proves_email: bool, sid: str | None, now: int
    ) -> Linked:
        """As Store."""
        return self._call(self.inner.link_identity, login, identity, proves_email=proves_email, sid=sid, now=now)

    def take_over_account(self, login: Login, identity: LinkedIdentity, *, deny_until: int) -> bool:
        """As Store."""
        return self._call(self.inner.take_over_account, login, identity, deny_until=deny_until)

    def unlink_identity(self, login: Login, provider: str) -> bool:
        """As Store."""
        return self._call(self.inner.unlink_identity, login, provider)

    def create_transaction(self, digest: bytes, transaction: LoginTransaction) -> None:
        """As Store."""
        self._call(self.inner.create_transaction, digest, transaction)

    def consume_transaction(self, digest: bytes, attempt: str, now: int) -> LoginTransaction | None:
        """As Store."""
        return self._call(self.inner.consume_transaction, digest, attempt, now)

    def create_session(self, session: Session) -> None:
        """As Store."""
        self._call(self.inner.create_session, session)

    def rotate_refresh_token(self, rotation: Rotation) -> Rotated | NotRotated:
        """As Store."""
        return self._call(self.inner.rotate_refresh_token, rotation)

    def find_session(self, sub: str, sid: str) -> Session | None:
        """As Store."""
        return self._call(self.inner.find_session, sub, sid)

    def find_session_and_account(self, sub: str, sid: str) -> tuple[Session | None, Account | None]:
        """As Store."""
        return self._call(self.inner.find_session_and_account, sub, sid)

    def touch_session(self, session: Session, *, idle_expires_at: int, now: int, client: Client) -> None:
        """As Store."""
        self._call(self.inner.touch_session, session, idle_expires_at=idle_expires_at, now=now, client=client)

    def list_sessions(self, sub: str) -> tuple[Account | None, tuple[Session, ...]]:
        """As Store."""
        return self._call(self.inner.list_sessions, sub)

    def deny_session(self, sub: str, sid: str, *, deny_until: int) -> Denials | None:
        """As Store."""
        return self._call(self.inner.deny_session, sub, sid, deny_until=deny_until)

    def deny_issued_before(self, sub: str, seen: Denials, moment: int, *, deny_until: int) -> bool:
        """As Store."""
        return self._call(self.inner.deny_issued_before, sub, seen, moment, deny_until=deny_until)

    def deny_token(self, sub: str, jti: str, *, deny_until: int) -> Denials | None:
        """As Store."""
        return self._call(self.inner.deny_token, sub, jti, deny_until=deny_until)

    def delete_session(self, sub: str, sid: str) -> None:
        """As Store."""
        self._call(self.inner.delete_session, sub, sid)

    def find_denials(self, sub: str) -> Denials:
        """As Store."""
        return self._call(self.inner.find_denials, sub)

    def record_events(self, events: Sequence[SecurityEvent]) -> None:
        """As Store."""
        self._call(self.inner.record_events, events)

    def list_events(self, sub: str, limit: int) -> tuple[SecurityEvent, ...]:
        """As Store."""
        return self._call(self.inner.list_events, sub, limit)

    def _call(self, verb: Callable[Arguments, Outcome], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Outcome:
        name = verb.__name__
        with self._lock:
            self._counts[name] += 1
            call = (name, self._counts[name])
            self.calls.append(call)
        if self.at_call:
            self.at_call(*call)
        if call in self._before:
            raise Unavailable(debug=f"{name} failed before its effect")
        outcome = verb(*args, **kwargs)
        if call in self._after:
            raise Unavailable(debug=f"{name} failed after its effect")
        return outcome
