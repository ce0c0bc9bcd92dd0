"""Accounts and what opens them. Pure, frozen; times are whole seconds since the epoch."""

from __future__ import annotations

from typing import NamedTuple


class Account(NamedTuple):
    """A person's account. `epoch` counts revocations: tokens and sessions of an older epoch are dead.

    Accounts are unique by `email`, the canonical address. `address` is the address as it was typed or proven, where
    that is another spelling.
    """

    sub: str
    email: str
    epoch: int = 0
    disabled: bool = False
    roles: tuple[str, ...] = ()
    email_verified: bool = False
    address: str | None = None

    @property
    def held_address(self) -> str:
        """The address that the account holds: where its mail goes, and what its owner is shown."""
        return self.email if self.address is None else self.address

    def proven(self, address: str) -> Account:
        """The account with its address as it has been proven."""
        return self._replace(email_verified=True, address=None if address == self.email else address)


class LinkedIdentity(NamedTuple):
    """An identity that opens an account: the provider's, and `subject` at `issuer`, which is the configured issuer.

    `email` is what the provider told when it was linked: for the person to know it by, never to decide by.
    """

    provider: str
    issuer: str
    subject: str
    email: str
    linked_at: int


class Login(NamedTuple):
    """An account with its ways in: the digest that a password is verified against, if any, and identities.

    `given_up` are the providers whose identity its owner has removed: no address links one again, the owner does.
    """

    account: Account
    password_digest: str | None
    identities: tuple[LinkedIdentity, ...] = ()
    given_up: tuple[str, ...] = ()

    def identity(self, provider: str) -> LinkedIdentity | None:
        """The identity of this provider; an account has one of each at most."""
        return next((identity for identity in self.identities if identity.provider == provider), None)
