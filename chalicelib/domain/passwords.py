"""What a password may be. Length counts; there are no composition rules (ASVS V6.2.5, NIST SP 800-63B)."""

from __future__ import annotations

import unicodedata

from chalicelib.errors import InvalidRequest, PasswordRejected

MAX_LENGTH = 256  # code points: far beyond ASVS V6.2.9's 64, and a bound for the hash's input


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


def accept_new(password: str, email: str, *, min_length: int) -> None:
    """Check a normalised new password against the policy. PasswordRejected says what to change."""
    if len(password) < min_length:
        detail = f"A password needs at least {min_length} characters."
        raise PasswordRejected(detail)
    # ASVS V2.2.3: what everybody knows about the account is tried first.
    if password.lower() in {email, email.partition("@")[0]}:
        detail = "A password must not be the email address."
        raise PasswordRejected(detail)
