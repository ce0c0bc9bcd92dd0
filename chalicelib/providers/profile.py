"""What one OpenID provider is known by, and what each claim of its ID tokens is taken for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Use(Enum):
    """What a claim is taken for."""

    CHECKED = auto()  # decides whether the token is believed; goes no further
    USED = auto()  # becomes part of the Identity
    IGNORED = auto()  # on purpose, with the reason beside it


@dataclass(frozen=True, slots=True)
class Profile:
    """A provider's constants. `issuer` is empty where each deployment names its own.

    `spellings` are the values of `iss` that tokens of `issuer` carry; tokens of any other issuer carry exactly that.
    An address is proven where `proof`, a claim, is one of `proven`, of the same type. `form_post`: the provider answers
    by a form alone. `key_secret`: the secret parameter holds a private key, which signs a client secret for each call.
    `many_tenants`: an issuer may stand for many. `native_clients`: apps can redeem codes. `openid`: False where the
    provider speaks OAuth 2 alone, and has a class of its own.
    """

    name: str
    claims: Mapping[str, Use]
    issuer: str = ""
    spellings: frozenset[str] = frozenset()
    scope: str = "openid email"
    proof: str = "email_verified"
    proven: tuple[object, ...] = (True,)
    form_post: bool = False
    key_secret: bool = False
    many_tenants: bool = False
    native_clients: bool = True
    openid: bool = True
