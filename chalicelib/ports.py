"""What services need from the world, as Protocols. bootstrap.py chooses who answers; tests choose others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.domain.records import AccessTokenClaims, Client


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> int:
        """Whole seconds since the epoch."""


class TokenSource(Protocol):
    """The only source of randomness."""

    def token(self, size: int) -> bytes:
        """`size` bytes that nobody can guess (ASVS V11.5.1)."""


class PasswordHasher(Protocol):
    """Slow on purpose. Every call costs the same, whether there is an account or not."""

    def hash(self, password: str) -> str:
        """A digest of the password with a fresh salt, in the PHC string format."""

    def verify(self, password_digest: str | None, password: str) -> bool:
        """Whether the digest is this password's. None costs one hash and is never right (ASVS V6.3.8)."""

    def needs_rehash(self, password_digest: str) -> bool:
        """Whether the digest was made with other parameters than today's (ASVS V11.2.2)."""


class AccessTokenCodec(Protocol):
    """Signs access tokens and verifies them."""

    def prepare(self) -> None:
        """Make sure that `issue` will work. Unavailable where the key store is away: ask before writing anything."""

    def issue(self, claims: AccessTokenClaims) -> str:
        """A signed access token (RFC 9068)."""

    def verify(self, access_token: str, now: int, *, accept_expired: bool = False) -> AccessTokenClaims:
        """Claims of a genuine token of ours. InvalidToken for every other string, without telling why."""


class ParameterSource(Protocol):
    """Reads named configuration and key material from where the operator keeps it."""

    def fetch(self, names: Iterable[str]) -> Mapping[str, str]:
        """Values by name; names that do not exist are absent. Unavailable where the source does not answer."""


class AuditLog(Protocol):
    """Takes one event for each security decision."""

    def record(self, event: str, client: Client, **facts: str | int | bool) -> None:
        """Write the event down. `facts` never hold a token, a cookie, a password or a code (ASVS V16.2.5)."""
