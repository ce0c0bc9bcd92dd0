"""The keys as one container sees them: read from the parameter store, kept for a minute, or for an hour's outage."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from chalicelib import deadline
from chalicelib.crypto import keys
from chalicelib.domain.moments import Moment
from chalicelib.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from chalicelib.crypto.keys import LoginSecret, SessionSecret, SigningKey, VerificationKey
    from chalicelib.ports import Clock, ParameterSource

T = TypeVar("T")

KEPT = 60  # seconds that a key set is used unasked: how long a removed key is still accepted
COOLDOWN = 10  # seconds between two reads that an unknown `kid` or a failing store can cause
OUTLIVES = 3600  # seconds that the last good set goes on when the parameter store is away


@dataclass(frozen=True, slots=True)
class KeySets:
    """Keys that were read at once, without those that are withdrawn.

    A group of root secrets that the container may not read is empty. `whole`: every set that it reads holds a key.
    """

    public: tuple[VerificationKey, ...]
    sessions: tuple[SessionSecret, ...]
    logins: tuple[LoginSecret, ...]
    whole: bool


class KeyRing:
    """Caches key sets. Safe to share between threads.

    `groups` are the groups of root secrets that the function may read: `keys.SESSIONS`, `keys.LOGINS`, both or none.
    """

    def __init__(self, source: ParameterSource, prefix: str, clock: Clock, *, groups: Collection[str]) -> None:
        self._source = source
        self._public_name = f"{prefix}/public"
        self._withdrawn_name = f"{prefix}/withdrawn"
        self._group_names = {group: f"{prefix}/{group}" for group in groups}
        self._signing_name = f"{prefix}/signing/"
        self._clock = clock
        self._lock = threading.Lock()
        self._sets: KeySets | None = None
        self._read_at = self._asked_at = Moment(0, 0)
        self._signer: SigningKey | None = None

    def verification_key(self, kid: str) -> VerificationKey | None:
        """The public key with this id, None where there is none. A set that does not know it is read again.

        Unavailable where it could not be read: whether the key is ours cannot be told then.
        """
        return self._find(lambda sets: next((key for key in sets.public if key.kid == kid), None))

    def find_session_secret(self, key_id: str) -> SessionSecret | None:
        """The root secret of `sessions` with this id, as `verification_key` finds a key."""
        return self._find(lambda sets: next((root for root in sets.sessions if root.id == key_id), None))

    def public_keys(self) -> tuple[VerificationKey, ...]:
        """Every key that verifies, those to come included."""
        return self._current().public

    def signing_key(self) -> SigningKey:
        """The key that signs now; while its private half cannot be read, the one before, if that still verifies."""
        public = self._current().public
        newest, signer = keys.newest_active_key(public, self._clock.now()), self._signer
        if signer is not None and signer.kid == newest.kid:
            return signer
        if signer is None or all(key.kid != signer.kid for key in public):
            self._signer = self._read_signing_key(newest)
            return self._signer
        try:
            with deadline.start(deadline.ONE_ATTEMPT_SECONDS):
                self._signer = self._read_signing_key(newest)
        except Unavailable:
            return signer
        return self._signer

    def session_secrets(self) -> tuple[SessionSecret, ...]:
        """Every root secret of `sessions` that verifies, oldest first."""
        return self._current().sessions

    def session_secret(self) -> SessionSecret:
        """The root secret that new refresh tokens and CSRF tokens are made with now."""
        return keys.newest_active_secret(self._readable(keys.SESSIONS).sessions, self._clock.now())

    def login_secrets(self) -> tuple[LoginSecret, ...]:
        """Every root secret of `logins` that verifies, oldest first."""
        return self._current().logins

    def login_secret(self) -> LoginSecret:
        """The root secret that new login states and device tokens are made with now."""
        return keys.newest_active_secret(self._readable(keys.LOGINS).logins, self._clock.now())

    def _readable(self, group: str) -> KeySets:
        """The sets now. ConfigurationError where the function may not read the group."""
        if group not in self._group_names:
            raise ConfigurationError(debug=f"this function reads no root secret of `{group}`; {keys.REMEDY}")
        return self._current()

    def _current(self) -> KeySets:
        with self._lock:
            now = self._clock.moment()
            if self._sets is None:
                return self._read(now)
            age = now.since(self._read_at)
            # A leak rotation withdraws every key before it publishes the next, moments later.
            kept = KEPT if self._sets.whole else COOLDOWN
            if age < kept or (now.since(self._asked_at) < COOLDOWN and age < OUTLIVES):
                return self._sets
            return self._read_or_keep(now, self._sets)

    def _find(self, find: Callable[[KeySets], T | None]) -> T | None:
        found = find(self._current())
        if found is not None:
            return found
        with self._lock:
            now, sets = self._clock.moment(), self._sets
            # Once a cooldown: a storm of random ids causes one read (CVE-2026-48524).
            if sets is not None and now.since(self._asked_at) >= COOLDOWN:
                found = find(self._read_or_keep(now, sets))
            if found is None and self._read_at != self._asked_at:
                raise Unavailable(debug="unknown key id, and the parameter store is away")
        return found

    def _read_or_keep(self, now: Moment, last_good: KeySets) -> KeySets:
        """Newer sets, or the last good ones where the store is away. What it answers counts, a broken set too."""
        try:
            # The request goes on with what is at hand: a store that hangs must not use its time up.
            with deadline.start(deadline.ONE_ATTEMPT_SECONDS):
                return self._read(now)
        except Unavailable:
            if now.since(self._read_at) >= OUTLIVES:
                raise
            return last_good

    def _read(self, now: Moment) -> KeySets:
        self._asked_at = now
        groups = self._group_names
        needed = [self._public_name, *groups.values()]
        found = self._source.fetch([*needed, self._withdrawn_name])
        missing = [name for name in needed if name not in found]
        if missing:
            message = f"missing in the parameter store: {', '.join(missing)}; {keys.REMEDY}"
            raise ConfigurationError(debug=message)
        withdrawn = keys.parse_withdrawn(found.get(self._withdrawn_name))
        public = keys.parse_public_keys(found[self._public_name])
        sessions = keys.parse_session_secrets(found[groups[keys.SESSIONS]]) if keys.SESSIONS in groups else ()
        logins = keys.parse_login_secrets(found[groups[keys.LOGINS]]) if keys.LOGINS in groups else ()
        sets = _without(withdrawn, public, sessions, logins)
        self._sets, self._read_at = sets, now
        return sets

    def _read_signing_key(self, public: VerificationKey) -> SigningKey:
        name = self._signing_name + public.kid
        pem = self._source.fetch([name]).get(name)
        if pem is None:
            message = f"the parameter {name} does not exist; {keys.REMEDY}"
            raise ConfigurationError(debug=message)
        return keys.parse_signing_key(pem, public)


def _without(
    withdrawn: Collection[str],
    public: tuple[VerificationKey, ...],
    sessions: tuple[SessionSecret, ...],
    logins: tuple[LoginSecret, ...],
) -> KeySets:
    """The sets without withdrawn keys, wherever they appear: a late writer may have published a leaked key again."""
    left = (
        tuple(key for key in public if key.kid not in withdrawn),
        tuple(root for root in sessions if root.id not in withdrawn),
        tuple(root for root in logins if root.id not in withdrawn),
    )
    whole = all(kept or not held for held, kept in zip((public, sessions, logins), left, strict=True))
    return KeySets(*left, whole=whole)
