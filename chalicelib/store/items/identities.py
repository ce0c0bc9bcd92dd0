"""Identities at providers, in the login that lists them and in the markers that make each of them open one account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.accounts import LinkedIdentity
from chalicelib.store import keys
from chalicelib.store.items.values import number, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.store.items.values import Item, Value


def identity_list(identities: Iterable[LinkedIdentity]) -> Value:
    """Identities in their order. Conditions compare the whole of it, so that equal records must make equal values."""
    return {"L": [{"M": _map(identity)} for identity in identities]}


def marker_item(sub: str, identity: LinkedIdentity) -> Item:
    """The marker that lets the identity open the account."""
    return {
        **keys.identity(identity.issuer, identity.subject),
        "sub": text(sub),
        "linked_at": number(identity.linked_at),
    }


def identity_from(held: Mapping[str, Any]) -> LinkedIdentity:
    """The identity that one value of a login's list holds."""
    return LinkedIdentity(
        provider=held["provider"]["S"],
        issuer=held["issuer"]["S"],
        subject=held["subject"]["S"],
        email=held["email"]["S"],
        linked_at=int(held["linked_at"]["N"]),
    )


def _map(identity: LinkedIdentity) -> Item:
    return {
        "provider": text(identity.provider),
        "issuer": text(identity.issuer),
        "subject": text(identity.subject),
        "email": text(identity.email),
        "linked_at": number(identity.linked_at),
    }
