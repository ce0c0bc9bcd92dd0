"""Roles and scopes, and what a route may ask for beyond a genuine credential: those, and a recent login."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from chalicelib.domain.moments import is_recent
from chalicelib.domain.sessions import LONGEST_SESSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.domain.callers import Principal

NEW_ACCOUNT_ROLES = ("user",)

# RFC 6749 section 3.3: %x21 / %x23-5B / %x5D-7E. Neither `"` nor `\`, so that WWW-Authenticate can quote a scope.
SCOPE_TOKEN = re.compile(r"[!#-\[\]-~]+")

# RFC 6750 section 3.1: the request requires higher privileges than the access token provides.
INSUFFICIENT_SCOPE = "insufficient_scope"
# RFC 9470 section 3: the authentication event does not meet the requirements.
INSUFFICIENT_USER_AUTHENTICATION = "insufficient_user_authentication"


# One condition of the notation, `max_age=300`. A scope may hold `=` itself (RFC 6749 section 3.3).
CONDITION = re.compile(r"(role|scope)=(\S+)|max_age=([0-9]{1,9})|answer=(policy|simple)", re.ASCII)


class Requirement(NamedTuple):
    """All of it must hold; an empty one asks for nothing. `max_age`: seconds that the login may lie back.

    `answer` is the form in which HTTP APIs of payload 2.0 are answered; every other kind takes a policy alone.
    """

    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    max_age: int | None = None
    answer: Literal["policy", "simple"] = "simple"

    def unmet(self, principal: Principal, now: int) -> str | None:
        """The error code of the first thing that is missing; None where all holds.

        What another login cannot mend comes first: nobody is sent to log in for nothing.
        """
        if not self.roles <= set(principal.roles) or not self.scopes <= set(principal.scope.split()):
            return INSUFFICIENT_SCOPE
        if self.max_age is not None and not is_recent(principal.auth_time, now, self.max_age):
            return INSUFFICIENT_USER_AUTHENTICATION
        return None


def parse(text: str) -> Requirement | None:
    """The requirement that a text such as `role=admin max_age=300` states; None where it states none.

    Conditions are separated by blanks. Several roles and scopes are all asked for; the two others stand once.
    """
    named: dict[str, set[str]] = {"role": set(), "scope": set()}
    ages: list[int] = []
    answers: list[str] = []
    for condition in text.split():
        match = CONDITION.fullmatch(condition)
        if match is None:
            return None
        kind, name, age, answer = match.groups()
        if kind:
            # A name that no token can hold would shut the guard for everybody.
            if not (is_role if kind == "role" else is_scope_token)(name):
                return None
            named[kind].add(name)
        elif age:
            ages.append(int(age))
        else:
            answers.append(answer)
    stated = bool(text.split()) and len(ages) <= 1 and len(answers) <= 1
    if not stated or any(not 1 <= age <= LONGEST_SESSION for age in ages):
        return None
    return Requirement(
        roles=frozenset(named["role"]),
        scopes=frozenset(named["scope"]),
        max_age=ages[0] if ages else None,
        answer="policy" if answers == ["policy"] else "simple",
    )


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
