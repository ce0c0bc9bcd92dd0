"""The limiter: every attempt is counted before anything is hashed, or asked of a provider, for it.

What counts on what (the policies are in domain/limits.py):

    login by a stranger              account and client address, both at once
    login from a known device        that device, and nothing that strangers can fill
    password change                  account, as a login; from a known device that device
    login at a provider, linking     client address, by a counter that passwords do not count on
    the same from a known browser    that browser, and nothing that strangers can fill
    sign-up                          client address

Where a counter cannot be asked, Unavailable goes through: nobody hashes what nobody has counted. Where an attempt was
counted and the machine cannot hash, no guess was made: the attempt is given back.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chalicelib import deadline
from chalicelib.domain import limits
from chalicelib.errors import TooManyRequests, Unavailable
from chalicelib.services.in_parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chalicelib.domain.accounts import Account
    from chalicelib.domain.callers import Caller
    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.domain.moments import Moment
    from chalicelib.domain.sessions import Device
    from chalicelib.ports import AuditLog, Clock
    from chalicelib.store.protocol import LimitStore

    Counter = tuple[LimitPolicy, str]  # a policy, and the value that it counts

T = TypeVar("T")

# Refusals that one container keeps in mind; half a megabyte of them at the longest addresses. Forgetting one costs a
# write, so that whoever makes it forget has spent as much.
REMEMBERED = 1024


class Attempt(NamedTuple):
    """An attempt that was counted: on which counters, and when (seconds since the epoch)."""

    counters: tuple[Counter, ...]
    at: int


class Refusals:
    """What the table has refused, for as long as it is bound to go on refusing.

    A refusal holds until the last attempt's spacing is over or its window ends. Attempts that others get through
    meanwhile only move that further away, so that nothing is held back here which the table would let through. An
    attempt that is given back is the exception: its own container forgets the refusal, others hold it until its end.
    A clock that is set back ends it too: the table is asked again.
    """

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str, int], tuple[Moment, int]] = {}
        self._lock = Lock()

    def remember(self, policy: LimitPolicy, value: str, now: Moment, wait: int) -> None:
        """Keep that the table wanted the next attempt `wait` seconds after `now`. The oldest makes room."""
        key = (policy.kind, value, policy.window_start(now.wall))
        with self._lock:
            self._refused.pop(key, None)
            self._refused[key] = now, wait
            if len(self._refused) > REMEMBERED:
                del self._refused[next(iter(self._refused))]

    def wait(self, policy: LimitPolicy, value: str, now: Moment) -> int:
        """How many seconds the table is bound to refuse for, as far as is known here; 0: ask it."""
        # By window: each window has a counter of its own in the table.
        key = (policy.kind, value, policy.window_start(now.wall))
        with self._lock:
            if key not in self._refused:
                return 0
            refused_at, wait = self._refused[key]
            left = wait - now.since(refused_at)
            if left > 0:
                return ceil(left)
            del self._refused[key]
            return 0

    def forget(self, policy: LimitPolicy, value: str, now: int) -> None:
        """Ask the table again."""
        with self._lock:
            self._refused.pop((policy.kind, value, policy.window_start(now)), None)


class Attempts:
    """Asks the counters; TooManyRequests where one refuses, written down with what refused and why."""

    def __init__(
        self,
        store: LimitStore,
        clock: Clock,
        audit: AuditLog,
        *,
        login_attempts: int,
        address_attempts: int,
        signup_attempts: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._audit = audit
        self._refusals = Refusals()
        self.by_account = limits.login_by_account(login_attempts)
        self.by_device = limits.login_by_device(login_attempts)
        self.change_by_device = limits.change_by_device(login_attempts)
        self.by_address = limits.login_by_address(address_attempts)
        self.at_provider_by_address = limits.provider_by_address(address_attempts)
        self.at_provider_by_device = limits.provider_by_device(address_attempts)
        self.by_signup = limits.signup_by_address(signup_attempts)

    def log_in(self, email: str, caller: Caller) -> Attempt:
        """Count a login of a stranger, on account and address in one round trip.

        The account's slot is not used up by an address that is known to be refused.
        """
        account, address = (self.by_account, email), (self.by_address, limits.address_bucket(caller.address))
        now = self._clock.moment()
        self._refuse_from_memory(caller, now, account, address)
        waits = in_parallel(lambda: self._count(account, now), lambda: self._count(address, now))
        self._refuse(caller, {self.by_account: waits[0], self.by_address: waits[1]})
        return Attempt((account, address), now.wall)

    def log_in_from(self, device: Device, caller: Caller) -> Attempt:
        """Count a login from a known device.

        By its epoch too: a token of before a password change, stolen before it, delays nothing that comes after it.
        """
        return self._ask(caller, (self.by_device, f"{device.id}.{device.epoch}"))

    def reauthenticate(
        self, account: Account, device: Device | None, caller: Caller, beside: Callable[[], T]
    ) -> tuple[Attempt, T]:
        """Count an attempt at the password of a session's account, and do `beside` in the same round trip.

        `device` is known, and of the account's epoch. It counts by its id alone: each change of the password raises the
        epoch, and would begin to count anew.
        """
        counter = (self.change_by_device, device.id) if device else (self.by_account, account.email)
        now = self._clock.moment()
        self._refuse_from_memory(caller, now, counter, sub=account.sub)
        wait, answer = in_parallel(lambda: self._count(counter, now), beside)
        self._refuse(caller, {counter[0]: wait}, sub=account.sub)
        return Attempt((counter,), now.wall), answer

    def log_in_at_provider(
        self, caller: Caller, browser: str | None, beside: Callable[[], object] | None = None
    ) -> None:
        """Count a login at a provider, and do `beside` in the same round trip.

        `browser` is the device id of a browser that has had a login before, to any account: which account is meant now
        is not known yet. None for every other browser, and for programs.
        """
        address = self.at_provider_by_address, limits.address_bucket(caller.address)
        self._ask(caller, (self.at_provider_by_device, browser) if browser else address, beside)

    def sign_up(self, caller: Caller) -> Attempt:
        """Count a sign-up."""
        return self._ask(caller, (self.by_signup, limits.address_bucket(caller.address)))

    @contextmanager
    def given_back_if_unavailable(self, *attempts: Attempt) -> Iterator[None]:
        """Give the attempts back where what is done inside raises Unavailable; the error goes through.

        For what hashes a password: while the machine cannot, nobody learns whether a guess was right. Where a counter
        does not answer within the request's time, its attempt stays counted: the answer is 503 in any case.
        """
        try:
            yield
        except Unavailable:
            for attempt in attempts:
                for counter in attempt.counters:
                    self._give_back(counter, attempt.at)
            raise

    def _give_back(self, counter: Counter, at: int) -> None:
        with suppress(Unavailable), deadline.start(deadline.ONE_ATTEMPT_SECONDS):
            self._store.return_attempt(*counter, at)
            self._refusals.forget(*counter, at)

    def _ask(self, caller: Caller, counter: Counter, beside: Callable[[], object] | None = None) -> Attempt:
        now = self._clock.moment()
        self._refuse_from_memory(caller, now, counter)
        count = partial(self._count, counter, now)
        wait = in_parallel(count, beside)[0] if beside else count()
        self._refuse(caller, {counter[0]: wait})
        return Attempt((counter,), now.wall)

    def _count(self, counter: Counter, now: Moment) -> int:
        wait = self._store.count_attempt(*counter, now.wall)
        if wait:
            self._refusals.remember(*counter, now, wait)
        return wait

    def _refuse_from_memory(self, caller: Caller, now: Moment, *counters: Counter, **who: str) -> None:
        waits = {policy: self._refusals.wait(policy, value, now) for policy, value in counters}
        self._refuse(caller, waits, from_memory=True, **who)

    def _refuse(
        self, caller: Caller, waits: Mapping[LimitPolicy, int], *, from_memory: bool = False, **who: str
    ) -> None:
        """TooManyRequests where one has to wait. Of two, the caller is told the one that takes longer."""
        policy = max(waits, key=lambda policy: waits[policy])
        wait = waits[policy]
        if wait:
            self._audit.record(
                "too_many_attempts", caller, what=policy.kind, retry_after=wait, from_memory=from_memory, **who
            )
            raise TooManyRequests(wait, policy=policy.kind, quota=policy.quota, window=policy.window)
