"""Hashes of passwords for attempts that were counted: what cannot be hashed now was no attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.errors import ConfigurationError

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Login
    from chalicelib.ports import PasswordHasher
    from chalicelib.services.attempts import Attempt, Attempts


@dataclass(slots=True, eq=False, repr=False)
class Hashing:
    """The password hasher, which gives attempts back while the machine has no memory for it."""

    hasher: PasswordHasher
    attempts: Attempts

    def verify(self, login: Login | None, password: str, *attempts: Attempt) -> bool:
        """Whether the password is the login's, for which the attempts were counted. Unavailable gives them back."""
        with self.attempts.given_back_if_unavailable(*attempts):
            try:
                return self.hasher.verify(login.password_digest if login else None, password)
            except ConfigurationError as error:
                sub = login.account.sub if login else None
                raise ConfigurationError(debug=f"account {sub}: {error.debug}") from error

    def hash(self, password: str, attempt: Attempt) -> str:
        """The digest of a new password, for which the attempt was counted. Unavailable gives it back."""
        with self.attempts.given_back_if_unavailable(attempt):
            return self.hasher.hash(password)
