"""What roles come to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NEW_ACCOUNT_ROLES = ("user",)

# RFC 6749 section 3.3: %x21 / %x23-5B / %x5D-7E. Neither `"` nor `\`, so that WWW-Authenticate can quote a scope.
SCOPE_TOKEN = re.compile(r"[!#-\[\]-~]+")


def is_role(name: str) -> bool:
    """Whether the text can be a role's name: printable, without blanks. Guarded functions get roles between blanks."""
    # A blank in a name would make two roles of one: `not admin` would give `admin`. str.isprintable() is False for
    # every blank but U+0020, for control characters and for lone surrogates.
    return name.isprintable() and name != "" and " " not in name


def is_scope_token(name: str) -> bool:
    """Whether the text can be one name of a scope (RFC 6749 section 3.3)."""
    return SCOPE_TOKEN.fullmatch(name) is not None


def scope_of(roles: Iterable[str], role_scopes: Mapping[str, tuple[str, ...]]) -> str:
    """The scope that the roles give, each name once, in the order of the setting (RFC 6749 section 3.3)."""
    return " ".join(dict.fromkeys(name for role in roles for name in role_scopes.get(role, ())))
