"""People: whom an identity provider knows, and under which address."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Person:
    """A person with an account at a provider, where `name` is the login's name.

    The stand-ins of this folder have `name` as the subject of their tokens too. `email` and `email_verified` are told
    unless they are None.
    """

    name: str = "person-1"
    email: str | None = "alice@example.com"
    email_verified: bool | None = True
    auth_time: int | None = None

    @property
    def claims(self) -> dict[str, Any]:
        """The claims about the address that a provider tells."""
        told = {"email": self.email, "email_verified": self.email_verified}
        return {name: value for name, value in told.items() if value is not None}


def new_email() -> str:
    """An address that no other test has."""
    return f"{uuid.uuid4().hex}@example.com"


def new_person(prefix: str = "p") -> Person:
    """A person that no other test has, with a verified address."""
    name = f"{prefix}{uuid.uuid4().hex}"
    return Person(name, f"{name}@example.com")


def person_of(email: str) -> Person:
    """The person who has verified this address at the provider."""
    return Person(f"subject of {email}", email)
