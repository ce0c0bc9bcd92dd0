"""What a password may be. Length counts; there are no composition rules (ASVS V6.2.5, NIST SP 800-63B)."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from chalicelib.errors import InvalidRequest, PasswordRejected

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LENGTH = 256  # code points: far beyond ASVS V6.2.9's 64, and a bound for the hash's input
LEAST_WORD = 3  # characters: what is shorter stands in many passwords by chance

# Compiled when first used, which re remembers: no cold start waits for them.
WORD_BREAKS = r"[\W_]+"
LETTERS = r"[^\W\d_]+"


def normalised(password: str) -> str:
    """The password as it is hashed: NFC, so that one typed on another keyboard matches; verbatim otherwise, never cut.

    InvalidRequest where it is longer than any password can be.
    """
    # Normalising takes the square of the time for a long run of accents, and shortens nothing to less than a quarter.
    text = unicodedata.normalize("NFC", password) if len(password) <= 4 * MAX_LENGTH else password
    if len(text) > MAX_LENGTH:
        detail = f"A password has at most {MAX_LENGTH} characters."
        raise InvalidRequest(detail)
    return text


def fold(text: str) -> str:
    """The text as it is compared with what others know: NFC, in one case. Never what is hashed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def accept_new(password: str, email: str, *, min_length: int, words: Iterable[str] = ()) -> None:
    """Check a normalised new password against the policy. PasswordRejected says what to change.

    It needs `min_length` characters beside the account's address, the address's parts and the operator's `words`: what
    everybody knows of an account is tried first (ASVS V6.2.11, V6.1.2; NIST SP 800-63B on context-specific words).
    """
    if len(password) < min_length:
        detail = f"A password needs at least {min_length} characters."
        raise PasswordRejected(detail)
    if _length_beside(password, _words_of(email) | set(words)) < min_length:
        detail = (
            f"A password needs at least {min_length} characters beside your email address, its parts and the names of"
            " this service, which do not count. Add other words."
        )
        raise PasswordRejected(detail)


def _words_of(email: str) -> set[str]:
    """The address, what is before and after its @, the domain's labels, and the words of all of these.

    The top-level domain is none of them: it is nobody's, and `com` stands in too many words.
    """
    local, _, domain = email.partition("@")
    own = domain.rpartition(".")[0]
    words = {*re.split(WORD_BREAKS, f"{local}@{own}"), *re.findall(LETTERS, f"{local}@{own}")}
    return {email, local, domain, own, *own.split("."), *words}


def _length_beside(password: str, words: Iterable[str]) -> int:
    """How many of the password's characters belong to no occurrence of any of the words, in any case.

    Occurrences may overlap and repeat. The time is at most the password's length times that of all words, both bounded:
    0.3 ms for the worst of addresses.
    """
    # Case by case, because one character may become two: each of these knows whose it is.
    folded = [(part, place) for place, character in enumerate(password) for part in character.casefold()]
    text = "".join(part for part, _ in folded)
    known = bytearray(len(text))
    for word in (unicodedata.normalize("NFC", word).casefold() for word in words):
        if len(word) < LEAST_WORD:
            continue
        start = text.find(word)
        while start >= 0:
            known[start : start + len(word)] = b"\x01" * len(word)
            start = text.find(word, start + 1)
    return len({place for (_, place), covered in zip(folded, known, strict=True) if not covered})
