"""The transactions that raise an account's epoch, as plain values: whatever is of an older one is dead from then on.

The login, the state and the blacklist hold the epoch, so that each is read alone. No transaction here changes one of
them without the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store import keys, requests, sessions
from chalicelib.store.values import flag, number, text

if TYPE_CHECKING:
    from chalicelib.domain.records import Account, Login
    from chalicelib.store.outcomes import Renewal
    from chalicelib.store.requests import Request

# Positions in the transaction of `change_password`, by which a refusal is understood.
SESSION = 0
LOGIN = 1

_SAME_ACCOUNT = "#sub = :sub"
_SAME_EPOCH = "#epoch = :epoch"
_RAISE = "SET #epoch = :next_epoch"


def change_password(table: str, login: Login, new_digest: str, renewal: Renewal, *, deny_until: int) -> list[Request]:
    """Set the digest, and take the renewed session along into the next epoch; see Store.change_password."""
    account = login.account
    epochs = {":epoch": number(account.epoch), ":next_epoch": number(account.epoch + 1)}
    same_password, digest = requests.same_password(login)
    login_update = requests.update_if(
        table,
        keys.login(account.email),
        f"{_SAME_ACCOUNT} AND {same_password} AND {_SAME_EPOCH}",
        f"{_RAISE}, #password_digest = :new_digest",
        {":sub": text(account.sub), ":new_digest": text(new_digest), **digest, **epochs},
    )
    state_update = requests.update_if(table, keys.state(account.sub), _SAME_EPOCH, _RAISE, epochs)
    updates = (
        sessions.renew(table, renewal, account.epoch),
        login_update,
        state_update,
        requests.deny_older_epochs(table, account, deny_until),
    )
    return [{"Update": update} for update in updates]


def end_everything(table: str, account: Account, *, deny_until: int, disable: bool) -> list[Request]:
    """Leave no session behind; see Store.raise_epoch."""
    change = _RAISE
    values = {":epoch": number(account.epoch), ":next_epoch": number(account.epoch + 1)}
    if disable:
        change += ", #disabled = :disabled"
        values[":disabled"] = flag(value=True)
    login_update = requests.update_if(
        table,
        keys.login(account.email),
        f"{_SAME_ACCOUNT} AND {_SAME_EPOCH}",
        change,
        {":sub": text(account.sub), **values},
    )
    state_update = requests.update_if(table, keys.state(account.sub), _SAME_EPOCH, change, values)
    updates = (login_update, state_update, requests.deny_older_epochs(table, account, deny_until))
    return [{"Update": update} for update in updates]
