"""What requests may say: each body, form and query once, for the reading (request.py) and for openapi.py alike.

Every member is a string: what the whole API takes is flat objects of strings. These are named tuples, and patterns are
compiled at their first use, because as dataclasses with patterns they took 1.8 ms of each cold start, and so 0.6. Why
this is no library: docs/decisions/0015-input.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.domain.records import TRANSPORTS
from chalicelib.settings.environment import MAX_URL
from chalicelib.web.cookies import OF_TRANSPORT

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


_TRANSPORT = Member(
    "How the long-lived credential travels; `cookie` where it is left out.", required=False, choices=TRANSPORTS
)
_PASSWORD = Member(
    "The password, verbatim: it is normalised to NFC and never cut.",
    max_length=MAX_PASSWORD,
    format="password",
    secret=True,
)
_EMAIL = Member("The account's address, in any spelling of it.", max_length=MAX_EMAIL, format="email")

_DEVICE_TOKEN = Member(
    "What an earlier login of the transport `body` gave this device: strangers' failures do not delay it then.",
    max_length=MAX_DEVICE_TOKEN,
    required=False,
    secret=True,
)

SIGN_UP = Fields("SignUp", {"email": _EMAIL, "password": _PASSWORD, "transport": _TRANSPORT})
LOG_IN = Fields(
    "LogIn",
    {
        "email": _EMAIL,
        "password": _PASSWORD,
        "transport": _TRANSPORT,
        "device_token": _DEVICE_TOKEN,
    },
)
_REFRESH_TOKEN = Member("The refresh token of the transport `body`.", required=False, secret=True)
CHANGE_PASSWORD = Fields(
    "ChangePassword",
    {
        "current_password": Member(
            "The password of today; left out where the account has none.",
            max_length=MAX_PASSWORD,
            required=False,
            format="password",
            secret=True,
        ),
        "new_password": _PASSWORD,
        "refresh_token": _REFRESH_TOKEN,
        "device_token": _DEVICE_TOKEN,
    },
)
NOTHING = Fields("Nothing", {})

REFRESH = Fields(
    "Refresh",
    {
        "refresh_token": _REFRESH_TOKEN,
        "device_token": _DEVICE_TOKEN._replace(
            description="This device's newest `device_token`. With it, a lost answer is answered after the window too."
        ),
    },
)
LOG_OUT = Fields("LogOut", {"refresh_token": _REFRESH_TOKEN})

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
LINK = Fields("Link", {**CODE, "refresh_token": _REFRESH_TOKEN, "device_token": _DEVICE_TOKEN})
UNLINK = Fields("Unlink", {"refresh_token": _REFRESH_TOKEN})
EXCHANGE = Fields("Exchange", {**CODE, "device_token": _DEVICE_TOKEN, "transport": _TRANSPORT})

_RETURN_TO = Member(
    "The page to come back to; one of `KEYTURN_RETURN_TO`, byte for byte.", max_length=MAX_URL, min_length=1
)
BEGIN_LINKING = Fields("BeginLinking", {"return_to": _RETURN_TO, "refresh_token": _REFRESH_TOKEN})

# Forms (application/x-www-form-urlencoded). Unknown parameters are let pass, as RFC 6749 section 3.2 demands; tokens of
# any length and alphabet are looked at: what they are worth is not the form's business.
_TOKEN = Member(
    "The token: a refresh token, a session cookie's value or an access token.", 16 * 1024, min_length=1, secret=True
)
_TOKEN_TYPE_HINT = Member(
    "Let pass and not read: Keyturn sees a token's kind from the token.", 16 * 1024, required=False
)
REVOKE = Fields("Revoke", {"token": _TOKEN, "token_type_hint": _TOKEN_TYPE_HINT})
INTROSPECT = Fields("Introspect", {"token": _TOKEN, "token_type_hint": _TOKEN_TYPE_HINT})

# Queries. An unknown parameter is let pass: links gather them on their way.
LIST_SESSIONS = Fields(
    "ListSessions",
    {
        "cursor": Member(
            "The `next_cursor` of the page before.",
            max_length=22,
            required=False,
            pattern="(?:[A-Za-z0-9_-]{22})?",  # an empty parameter is one that is left out
            form="be the next_cursor of a page",
        )
    },
)
BEGIN_LOGIN = Fields(
    "BeginLogin",
    {
        "return_to": _RETURN_TO,
        "transport": Member(
            "How the session's credential travels; a browser brings nothing else back. `cookie` where it is left out.",
            required=False,
            choices=tuple(sorted(OF_TRANSPORT)),
        ),
        "max_age": Member(
            "How many seconds ago the provider may have seen the person.",
            max_length=9,
            required=False,
            pattern="[0-9]{1,9}",
            form="be a number of seconds",
        ),
    },
)
# What a provider sends a browser back with (RFC 6749 section 4.1.2, RFC 9207). One that is malformed is an absent one.
FINISH_LOGIN = Fields(
    "FinishLogin",
    {
        "state": Member("The login's `state`.", required=False, secret=True),
        "code": Member("The authorization code.", required=False, secret=True),
        "error": Member("Why there is no code (RFC 6749 section 4.1.2.1).", required=False),
        "iss": Member("Who answers (RFC 9207).", required=False),
    },
)
