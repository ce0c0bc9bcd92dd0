"""What requests may say: the members of bodies, forms and queries, for the reading and for the description alike.

Each body, form and query is declared at its handler. Here are its parts, and the members that several of them share.

Every member is a string: what the whole API takes is flat objects of strings. These are named tuples, and patterns are
compiled at their first use, because as dataclasses with patterns they took 1.8 ms of each cold start, and so 0.6. Why
this is no library: docs/decisions/0015-input.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.domain.callers import TRANSPORTS
from chalicelib.settings.urls import MAX_URL

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT = 4096  # characters; nothing that is asked for comes near, a provider's code and state included
# Normalising to NFC shortens nothing to less than a quarter: longer than this, none can be one (characters).
MAX_EMAIL = 4 * 254
MAX_PASSWORD = 4 * 256
MAX_DEVICE_TOKEN = 256  # characters


class Member(NamedTuple):
    """One string: how long it may be, in characters, and what form or which choice of values it has.

    `form` says in words what `pattern` asks for, to callers who send something else. `secret` is what no log, example
    or form field should show; `format` is JSON Schema's name for what the string is, which nothing here is decided by.
    """

    description: str
    max_length: int = MAX_TEXT
    min_length: int = 0
    required: bool = True
    pattern: str = ""
    form: str = ""
    choices: tuple[str, ...] = ()
    format: str | None = None
    secret: bool = False

    def problem(self, value: object) -> str | None:
        """What is wrong with the value, to be said after the member's name; None where nothing is."""
        if not isinstance(value, str) or len(value) > self.max_length:
            return f"must be a string of at most {self.max_length} characters."
        if not _encodable(value):
            return "holds an unpaired surrogate."
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}."
        if not value and self.min_length:
            return "is empty."
        if self.pattern and not re.fullmatch(self.pattern, value, re.ASCII):
            return f"must {self.form}."
        return None


class Fields(NamedTuple):
    """The members of one body, form or query. `name` is the schema's."""

    name: str
    members: Mapping[str, Member]

    @property
    def required(self) -> list[str]:
        """The names of those that must be there."""
        return [name for name, member in self.members.items() if member.required]


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


TRANSPORT = Member(
    "How the long-lived credential travels; `cookie` where it is left out.", required=False, choices=TRANSPORTS
)
PASSWORD = Member(
    "The password, verbatim: it is normalised to NFC and never cut.",
    max_length=MAX_PASSWORD,
    format="password",
    secret=True,
)
EMAIL = Member("The account's address, in any spelling of it.", max_length=MAX_EMAIL, format="email")
DEVICE_TOKEN = Member(
    "What an earlier login of the transport `body` gave this device: strangers' failures do not delay it then.",
    max_length=MAX_DEVICE_TOKEN,
    required=False,
    secret=True,
)
REFRESH_TOKEN = Member("The refresh token of the transport `body`.", required=False, secret=True)
CODE = {
    "code": Member("The provider's authorization code.", min_length=1, secret=True),
    # PKCE is never skipped (CVE-2023-48228).
    "code_verifier": Member(
        "The verifier of the request's `code_challenge` (RFC 7636 section 4.1).",
        max_length=128,
        min_length=43,
        pattern="[A-Za-z0-9._~-]{43,128}",
        form="have 43 to 128 characters of A-Z a-z 0-9 - . _ ~",
        secret=True,
    ),
    "redirect_uri": Member("Where the code came to.", max_length=MAX_URL, min_length=1),
    "nonce": Member("The request's `nonce`.", min_length=1, secret=True),
}
RETURN_TO = Member(
    "The page to come back to; one of `KEYTURN_RETURN_TO`, byte for byte.", max_length=MAX_URL, min_length=1
)
NOTHING = Fields("Nothing", {})
