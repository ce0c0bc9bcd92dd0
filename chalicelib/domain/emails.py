"""Email addresses: which strings can be one, and the one spelling that accounts are unique by."""

from __future__ import annotations

import re
import unicodedata

from chalicelib.errors import InvalidEmail

MAX_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets
MAX_LOCAL_LENGTH = 64  # RFC 5321 section 4.5.3.1.1

# A dot-string (RFC 5321 section 4.1.2; RFC 6531 for letters beyond ASCII): no quotes, spaces, commas or brackets, which
# mail systems read in more than one way (CVE-2022-35924). Each part is matched on its own and no quantifier
# is nested in another: linear time (ASVS V1.3.12).
LOCAL_PART = re.compile(r"[^\s\x00-\x20\x7f\"(),:;<>@\[\\\]]+")
DOMAIN_LABEL = re.compile(r"(?!-)[^\W_](?:[^\W_]|-){0,62}(?<!-)")


def canonical_email(email: str) -> str:
    """The address in the spelling that accounts are unique by: NFC, lower case. InvalidEmail where it cannot be one.

    Upper and lower case are one mailbox here. RFC 5321 lets a local part differ by case, no provider does, and two
    accounts that look alike help an attacker alone.
    """
    # Normalising takes the square of the time for a long run of accents, and shortens nothing to less than a quarter.
    if len(email) > 4 * MAX_LENGTH:
        raise InvalidEmail
    canonical = unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).lower())
    local, at, domain = canonical.rpartition("@")
    labels = domain.split(".")
    valid = (
        at
        and len(canonical) <= MAX_LENGTH
        and len(local) <= MAX_LOCAL_LENGTH
        and LOCAL_PART.fullmatch(local)
        and not local.startswith(".")
        and not local.endswith(".")
        and ".." not in local
        and len(labels) > 1
        and all(DOMAIN_LABEL.fullmatch(label) for label in labels)
        and canonical.isprintable()
    )
    if not valid:
        raise InvalidEmail
    return canonical
