"""Passwords are hashed with argon2id (RFC 9106).

The cost is the point: whoever has stolen the table pays it for every guess. A faster hash would help nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from argon2 import PasswordHasher as Argon2Hasher
from argon2 import Type
from argon2.exceptions import InvalidHashError, VerificationError


@dataclass(frozen=True, slots=True)
class Profile:
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


class Argon2PasswordHasher:
    """ports.PasswordHasher with one profile."""

    def __init__(self, profile: Profile) -> None:
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
        """A PHC string with a fresh 16-byte salt."""
        return self._argon2.hash(password)

    def verify(self, password_digest: str | None, password: str) -> bool:
        """Whether the digest is this password's; None costs one hash and is False."""
        try:
            self._argon2.verify(password_digest or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_digest is not None

    def needs_rehash(self, password_digest: str) -> bool:
        """Whether other parameters made the digest."""
        return self._argon2.check_needs_rehash(password_digest)
