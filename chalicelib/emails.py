"""Email addresses: which strings can be one, and the one spelling that accounts are unique by.

The rules are those of the package email-validator. Almost every address is plain ASCII, for which the same rules stand
here in two patterns: reading the package costs a cold start 27 ms, most of it for IDNA's tables. A test holds the two
against each other (tests/unit/test_emails.py).
"""

from __future__ import annotations

import re
import unicodedata

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


def canonical_email(email: str) -> str:
    """The address in the spelling that accounts are unique by: NFC, lower case, its domain in Unicode.

    InvalidEmail where it cannot be one: lists, display names, quoted local parts, IP addresses in place of a domain.
    Upper and lower case are one mailbox here. RFC 5321 lets a local part differ by case, no provider does, and two
    accounts that look alike help an attacker alone.
    """
    # Normalising takes the square of the time for a long run of accents, and shortens nothing to less than a quarter.
    if len(email) > 4 * MAX_LENGTH:
        raise InvalidEmail
    if not email.isascii():
        return _canonical_unicode(email)
    plain = email.lower()
    local, _, domain = plain.rpartition("@")
    if domain.startswith("xn--") or ".xn--" in domain:
        return _canonical_unicode(email)
    valid = (
        len(plain) <= MAX_LENGTH
        and len(local) <= MAX_LOCAL_LENGTH
        and PLAIN_LOCAL_PART.fullmatch(local)
        and PLAIN_DOMAIN.fullmatch(domain)
        and domain.rpartition(".")[2] not in SPECIAL_USE
    )
    if not valid:
        raise InvalidEmail
    return plain


def _canonical_unicode(email: str) -> str:
    canonical = _canonical_once(email)
    # Lower case is another string, which has to be an address as well, and its own canonical form.
    if _canonical_once(canonical) != canonical:
        raise InvalidEmail
    return canonical


def _canonical_once(email: str) -> str:
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
    if re.search(INVISIBLE, address.local_part) or any(_redraws(character) for character in address.local_part):
        raise InvalidEmail
    # A sigma ends a word in another form; which one it had is lost in capitals.
    local = unicodedata.normalize("NFC", address.local_part.lower().replace("\u03c2", "\u03c3"))
    return f"{local}@{address.domain}"


def _redraws(character: str) -> bool:
    """Whether it is another drawing of a character that there is: full or half width, bold, circled, raised.

    A mailbox of its own it may be, and looks like somebody else's. The domain has none: IDNA maps them (UTS #46).
    Compositions of several letters have the tag `<compat>`; Thai and Lao need those.
    """
    tag = unicodedata.decomposition(character).partition(" ")[0]
    return tag.startswith("<") and tag != "<compat>"
