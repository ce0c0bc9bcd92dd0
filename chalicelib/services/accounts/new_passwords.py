"""New passwords: which of them are taken, and what the person is told about the others.

No reason repeats the password or a part of it, and none depends on anything but the password and the address that were
given: an address with an account and one without are told the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.crypto.common_passwords import is_common
from chalicelib.crypto.passwords import breach_digest
from chalicelib.domain.passwords import accept_new
from chalicelib.errors import PasswordRejected, Unavailable

if TYPE_CHECKING:
    from chalicelib.domain.callers import Caller
    from chalicelib.ports import AuditLog, BreachedPasswords

PREFIX = 5  # hex digits of a SHA-1 that leave the function: 2**20 ranges, each with hundreds of passwords


@dataclass(slots=True, eq=False, repr=False)
class NewPasswords:
    """What a new password has to pass. `breached` is None where the operator names no such list."""

    breached: BreachedPasswords | None
    audit: AuditLog
    min_length: int  # characters
    context_words: frozenset[str]

    def accept_new(self, password: str, email: str) -> None:
        """Check a normalised new password against all that this function knows itself. PasswordRejected.

        It costs no call, no hash and no wait, so it may come before the limiter: a request that can never succeed is
        told why, and counts for nobody.
        """
        accept_new(password, email, min_length=self.min_length, words=self.context_words)
        if is_common(password):
            detail = "This password is one of the most common ones, which are guessed first. Choose another one."
            raise PasswordRejected(detail)

    def require_unbreached(self, password: str, caller: Caller) -> None:
        """PasswordRejected where a breach has made the password known (ASVS V6.2.12). After the limiter: it waits.

        Where the list does not answer in time or as it must, the password is taken: the checks of `accept_new` hold,
        and an outage of somebody else's service would close sign-up otherwise. The log tells it.
        """
        if self.breached is None:
            return
        digest = breach_digest(password)
        try:
            suffixes = self.breached.suffixes(digest[:PREFIX])
        except Unavailable as error:
            self.audit.record("breach_lookup_failed", caller, why=error.debug)
            return
        # In no constant time: the one who could measure it has sent the password.
        if digest[PREFIX:] in suffixes:
            detail = (
                "This password is known from a data breach of another service, so it is guessed early. Choose another"
                " one, and change it wherever you use it."
            )
            raise PasswordRejected(detail)
