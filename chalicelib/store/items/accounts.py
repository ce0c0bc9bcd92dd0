"""Accounts: the login under the address, and the state under the sub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.accounts import Account, Login
from chalicelib.store import keys
from chalicelib.store.items.identities import identity_from, identity_list
from chalicelib.store.items.values import flag, number, text, text_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.store.items.values import Item


def login_item(login: Login) -> Item:
    """What opens the account, under the address. Without a password there is no attribute for its digest."""
    password = {} if login.password_digest is None else {"password_digest": text(login.password_digest)}
    return {
        **keys.login(login.account.email),
        "sub": text(login.account.sub),
        **password,
        "identities": identity_list(login.identities),
        **_standing(login.account),
    }


def login_from(item: Mapping[str, Any]) -> Login:
    """The login that the item holds. One from before there were identities has no attribute for them."""
    return Login(
        account=_account(item, sub=item["sub"]["S"], email=keys.email_of(item)),
        password_digest=item["password_digest"]["S"] if "password_digest" in item else None,
        identities=tuple(identity_from(held["M"]) for held in item["identities"]["L"]) if "identities" in item else (),
        given_up=tuple(value["S"] for value in item["given_up"]["L"]) if "given_up" in item else (),
    )


def state_item(account: Account) -> Item:
    """What every other operation asks about the account, under its sub. No secret."""
    return {**keys.state(account.sub), "email": text(account.email), **_standing(account)}


def account_from(item: Mapping[str, Any]) -> Account:
    """The account that the state item holds."""
    return _account(item, sub=keys.sub_of(item), email=item["email"]["S"])


def _standing(account: Account) -> Item:
    return {
        "epoch": number(account.epoch),
        "disabled": flag(value=account.disabled),
        "roles": text_list(account.roles),
        "email_verified": flag(value=account.email_verified),
        # Both items hold it, because refreshing and /me read the state alone. Without it the canonical one is meant.
        **({} if account.address is None else {"address": text(account.address)}),
    }


def _account(item: Mapping[str, Any], *, sub: str, email: str) -> Account:
    address = item["address"]["S"] if "address" in item else email
    return Account(
        sub=sub,
        email=email,
        epoch=int(item["epoch"]["N"]),
        disabled=item["disabled"]["BOOL"],
        roles=tuple(value["S"] for value in item["roles"]["L"]),
        email_verified=item["email_verified"]["BOOL"],
        address=None if address == email else address,
    )
