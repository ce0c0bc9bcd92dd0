"""What may be wrong with an ID token, and the keys that sign it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import get_default_algorithms

from chalicelib.crypto.encoding import b64url

if TYPE_CHECKING:
    from collections.abc import Mapping


class Absent:
    """In place of a value: the member is left out."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


@dataclass
class Forgery:
    """What is wrong with the ID tokens. Each member replaces the honest choice."""

    algorithm: str = "RS256"
    key: Any = None  # what signs
    header: dict[str, Any] = field(default_factory=dict)  # changes; ABSENT leaves a member out
    claims: dict[str, Any] = field(default_factory=dict)
    token: str | None = None  # in place of everything

    def sign(self, kid: str, claims: dict[str, Any], honest: rsa.RSAPrivateKey) -> str:
        """The token that an honest provider would sign with its key, with these changes."""
        if self.token is not None:
            return self.token
        header = {"alg": self.algorithm, "kid": kid, "typ": "JWT"}
        parts = (changed(header, self.header), changed(claims, self.claims))
        signing_input = ".".join(b64url(json.dumps(part).encode()) for part in parts)
        key = honest if self.key is None else self.key
        signature = get_default_algorithms()[self.algorithm].sign(signing_input.encode(), key)
        return f"{signing_input}.{b64url(signature)}"


def changed(honest: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The members with these changes; ABSENT leaves a member out."""
    return {name: value for name, value in {**honest, **changes}.items() if value is not ABSENT}


@cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """One of a few keys for each test process: making one takes its time."""
    del number
    return rsa.generate_private_key(65537, 2048)
