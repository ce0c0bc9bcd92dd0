"""Passwords are hashed with argon2id (RFC 9106).

The cost is the point: whoever has stolen the table pays it for every guess. A faster hash would help nobody else.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from threading import TIMEOUT_MAX, BoundedSemaphore
from typing import TYPE_CHECKING, NamedTuple

from argon2 import PasswordHasher as Argon2Hasher
from argon2 import Type
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError

from chalicelib import deadline
from chalicelib.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

# A digest that argon2 can read: type, version, memory, passes, lanes, salt and tag (the PHC string format).
READABLE = re.compile(
    r"\$argon2(?:id|i|d)\$v=[0-9]+\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{6,}", re.ASCII
)

LOCAL_MEMORY = 512  # MB that hashes may reckon with where no Lambda function sets the bound


UNREADABLE = (
    "the stored digest of a password is no argon2 digest; restore it, or remove `password_digest` from the login's item"
)


class Profile(NamedTuple):
    """argon2id's parameters: memory in KiB, passes over it, lanes."""

    memory_cost: int
    time_cost: int
    parallelism: int


PROFILES = {
    # OWASP's first choice for one lane; the design's default (ASVS V11.4.2).
    "default": Profile(memory_cost=19456, time_cost=2, parallelism=1),
    # RFC 9106 section 4, second recommendation: 64 MiB. Five times the CPU; give the function memory for it.
    "rfc9106": Profile(memory_cost=65536, time_cost=3, parallelism=4),
    # Tests only: it protects nothing. Config refuses it for an issuer that is not on this machine.
    "testing": Profile(memory_cost=8, time_cost=1, parallelism=1),
}


def hashes_at_once(profile: Profile, memory: int) -> int:
    """How many hashes half of `memory` MB bears, one at least. The other half is for Python and the request's own."""
    return max(1, memory * 1024 // 2 // profile.memory_cost)


def breach_digest(password: str) -> str:
    """The 40 capital hex digits that lists of breached passwords have of a password: its SHA-1. It protects nothing."""
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


class Argon2PasswordHasher:
    """ports.PasswordHasher with one profile, on a machine that gives it `memory` MB.

    Every hash takes the profile's memory for as long as it runs. As many run at once as the memory bears; the next one
    waits, within the request's deadline, and is Unavailable after it. One request at a time, as Lambda has it, never
    waits; threads that share a process do.

    argon2 raises VerificationError for every failure. VerifyMismatchError alone means another password. Everything else
    is the machine's trouble, memory mostly, and Unavailable (authelia #866, argon2_elixir #25).
    """

    def __init__(self, profile: Profile, memory: int = LOCAL_MEMORY) -> None:
        self._turns = BoundedSemaphore(hashes_at_once(profile, memory))
        self._argon2 = Argon2Hasher(
            time_cost=profile.time_cost,
            memory_cost=profile.memory_cost,
            parallelism=profile.parallelism,
            hash_len=32,
            salt_len=16,
            type=Type.ID,
        )
        # Verified against when there is no account, so that an unknown address costs what a known one does. It is no
        # password's digest: its tag was not computed, which is why a match is still answered with False below.
        self._nobody = (
            f"$argon2id$v=19$m={profile.memory_cost},t={profile.time_cost},p={profile.parallelism}"
            f"${'A' * 22}${'A' * 43}"
        )

    def hash(self, password: str) -> str:
        """A PHC string with a fresh 16-byte salt. Unavailable where too many hash at once, or memory is missing."""
        try:
            with self._turn():
                return self._argon2.hash(password)
        except (HashingError, MemoryError) as error:
            raise _no_answer(error) from error

    def verify(self, password_digest: str | None, password: str) -> bool:
        """Whether the digest is this password's; None costs one hash and is False.

        Unavailable as `hash`. ConfigurationError for a digest that cannot be read: no password fits such a digest, and
        no password can be called wrong. The login fails, and the log tells the operator.
        """
        try:
            with self._turn():
                self._argon2.verify(self._nobody if password_digest is None else password_digest, password)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, UnicodeEncodeError, VerificationError, MemoryError) as error:
            if password_digest is not None and not READABLE.fullmatch(password_digest):
                raise ConfigurationError(debug=UNREADABLE) from error
            if isinstance(error, UnicodeEncodeError):  # the password's, which handlers refuse
                raise
            raise _no_answer(error) from error
        return password_digest is not None

    def needs_rehash(self, password_digest: str) -> bool:
        """Whether other parameters made the digest."""
        return self._argon2.check_needs_rehash(password_digest)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Time is left for one call to the table: for the session after the hash, or to give the attempt back.
        patience = deadline.remaining() - deadline.ONE_ATTEMPT_SECONDS
        if not self._turns.acquire(timeout=min(max(patience, 0), TIMEOUT_MAX)):
            raise Unavailable(debug="too many passwords are hashed at once")
        try:
            yield
        finally:
            self._turns.release()


def _no_answer(error: Exception) -> Unavailable:
    # argon2's own words, such as "Memory allocation error": they hold nothing of the password.
    return Unavailable(debug=f"argon2: {type(error).__name__}: {error}")
