"""Email addresses: which strings can be one, the spelling that accounts are unique by, and which two are one mailbox.

The rules are those of the package email-validator. Almost every address is plain ASCII, for which the same rules stand
here in two patterns: reading the package costs a cold start 27 ms, most of it for IDNA's tables. A test holds the two
against each other (tests/unit/test_emails.py).
"""

from __future__ import annotations

import re
import unicodedata
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

from chalicelib.errors import InvalidEmail

MAX_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets; bytes
MAX_LOCAL_LENGTH = 64  # RFC 5321 section 4.5.3.1.1

# A dot-atom (RFC 5322 section 3.2.3), and a host name (RFC 1123 section 2.1) of two labels at least whose last one ends
# with a letter. Two hyphens after two letters are reserved (RFC 5891 section 4.2.3.1), Punycode is not plain. The
# quantifiers that are nested in others begin with a dot that their inside does not hold: linear time (ASVS V1.3.12).
_ATEXT = r"[a-z0-9_!#$%&'*+\-/=?^`{|}~]+"
PLAIN_LOCAL_PART = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_LABEL = r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
PLAIN_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+(?<=[a-z])")

# What Unicode calls default-ignorable and counts as a letter or an accent all the same (DerivedCoreProperties): it is
# drawn as nothing, so that two addresses that differ by it look the same. The package refuses the others (category Cf).
INVISIBLE = r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"

# Names under which nobody on the internet has a mailbox, as the package has them: an account with one could never be
# reached, and within the team's network mail to it would go to whoever answers to the name (RFC 6761, RFC 6762).
SPECIAL_USE = ("arpa", "invalid", "local", "localhost", "onion", "test")

# Letters of everyday Thai, Lao and Armenian that Unicode calls compositions of two others. Keyboards have no other.
COMPOSED_LETTERS = frozenset("\u0e33\u0eb3\u0edc\u0edd\u0587")
# The parts of the first two are drawn as the letter itself. Those of the others are not joined, and look different.
DRAWN_ALIKE = {"\u0e4d\u0e32": "\u0e33", "\u0ecd\u0eb2": "\u0eb3"}

_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


class Address(NamedTuple):
    """An email address in two spellings.

    Accounts are unique by `canonical`, and mail goes to `as_typed`: NFC, with the domain in its canonical form.
    """

    canonical: str
    as_typed: str

    @property
    def other_spelling(self) -> str | None:
        """`as_typed` where it is not the canonical spelling, else None: what an account keeps beside that."""
        return None if self.as_typed == self.canonical else self.as_typed


def canonical_email(email: str) -> str:
    """The spelling that accounts are unique by: NFC, lower case, a final sigma as any other, the domain in Unicode.

    InvalidEmail as `parse_email`.
    """
    return parse_email(email).canonical


def parse_email(email: str) -> Address:
    """The address in both spellings.

    InvalidEmail where it cannot be one: lists, display names, quoted local parts, IP addresses in place of a domain,
    and local parts with other drawings of characters that there are.

    Upper and lower case are one account here. RFC 5321 lets a local part differ by case, no provider does, and two
    accounts that look alike help an attacker alone.
    """
    # Normalising takes the square of the time for a long run of accents, and shortens nothing to less than a quarter.
    if len(email) > 4 * MAX_LENGTH:
        raise InvalidEmail
    if not email.isascii():
        return _parse_unicode(email)
    plain = email.lower()
    local, _, domain = plain.rpartition("@")
    if domain.startswith("xn--") or ".xn--" in domain:
        return _parse_unicode(email)
    valid = (
        len(plain) <= MAX_LENGTH
        and len(local) <= MAX_LOCAL_LENGTH
        and PLAIN_LOCAL_PART.fullmatch(local)
        and PLAIN_DOMAIN.fullmatch(domain)
        and domain.rpartition(".")[2] not in SPECIAL_USE
    )
    if not valid:
        raise InvalidEmail
    return Address(plain, f"{email[: len(local)]}@{domain}")


def same_mailbox(address: str, other: str) -> bool:
    """Whether two addresses, each as typed or canonical, are one mailbox, so that a proof of one proves both.

    ASCII letters may differ by case in the local part. Any other letter must be the same: a provider may give
    `\u03b1\u03c2` to one person and `\u03b1\u03c3` to another, though both have one canonical form.
    """
    return address.translate(_ASCII_LOWER) == other.translate(_ASCII_LOWER)


def _parse_unicode(email: str) -> Address:
    address = _parse_once(email)
    # Lower case is another string, which has to be an address as well, and its own canonical form.
    if _parse_once(address.canonical).canonical != address.canonical:
        raise InvalidEmail
    return address


def _parse_once(email: str) -> Address:
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415  # 27 ms, for one address in thousands

    try:
        address = validate_email(
            email,
            allow_smtputf8=True,
            allow_empty_local=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            strict=True,
            check_deliverability=False,
            test_environment=False,
            globally_deliverable=True,
        )
    except EmailNotValidError:
        raise InvalidEmail from None
    local = unicodedata.normalize("NFC", address.local_part)
    if re.search(INVISIBLE, local) or any(_redraws(character) for character in local):
        raise InvalidEmail
    return Address(f"{_folded(local)}@{address.domain}", f"{local}@{address.domain}")


def _folded(local: str) -> str:
    # A sigma ends a word in another form; which one it had is lost in capitals.
    folded = unicodedata.normalize("NFC", local.lower().replace("\u03c2", "\u03c3"))
    for parts, letter in DRAWN_ALIKE.items():
        folded = folded.replace(parts, letter)
    return folded


def _redraws(character: str) -> bool:
    """Whether it is another drawing of characters that there are: full width, bold, raised, a ligature, a numeral.

    A mailbox of its own it may be, and looks like somebody else's. The domain has none: IDNA maps them (UTS #46).
    """
    decomposed, drawn = (unicodedata.normalize(form, character) for form in ("NFD", "NFKD"))
    return decomposed != drawn and character not in COMPOSED_LETTERS
