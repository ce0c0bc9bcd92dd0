"""Accounts on the table, and the transactions that raise an account's epoch.

Whatever is of an older epoch is dead from then on. The login, the state and the blacklist hold the epoch, so that each
is read alone. No transaction changes the epoch in one of them without the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store import keys, requests
from chalicelib.store.calls import ConditionFailed, TransactionRefused, send, transact
from chalicelib.store.denials import deny_older_epochs
from chalicelib.store.items.accounts import account_from, login_from, login_item, state_item
from chalicelib.store.items.identities import marker_item
from chalicelib.store.items.sessions import session_item
from chalicelib.store.items.values import flag, number, text
from chalicelib.store.outcomes import AccessChanged
from chalicelib.store.sessions import renew
from chalicelib.store.table import Table

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account, Login
    from chalicelib.domain.sessions import Session
    from chalicelib.store.items.values import Value
    from chalicelib.store.outcomes import Renewal
    from chalicelib.store.requests import Request

# Positions in the transaction of `change_password`, by which a refusal is understood.
_SESSION = 0
_LOGIN = 1

_SAME_ACCOUNT = "#sub = :sub"
_SAME_EPOCH = "#epoch = :epoch"
_RAISE = "SET #epoch = :next_epoch"


class AccountVerbs(Table):
    """The AccountStore (protocol.py) on the table."""

    def create_account(self, login: Login, session: Session) -> bool:
        """Put login, state, session and markers, none of which may be there: 6 write units, and 2 an identity."""
        markers = (marker_item(login.account.sub, identity) for identity in login.identities)
        new = (login_item(login), state_item(login.account), session_item(session), *markers)
        try:
            transact(self._client, [{"Put": requests.put_new(self._table, item)} for item in new])
        except TransactionRefused as refused:
            # A sub is random: where ours is found, this very call has written it and its answer was lost.
            return bool(refused.held.get(0, {}).get("sub") == text(login.account.sub))
        return True

    def find_login(self, email: str) -> Login | None:
        """Read the login."""
        item = self._get(keys.login(email))
        return login_from(item) if item else None

    def find_account(self, sub: str) -> Account | None:
        """Read the state."""
        item = self._get(keys.state(sub))
        return account_from(item) if item else None

    def replace_password_digest(self, email: str, old_digest: str, new_digest: str) -> bool:
        """Swap the digest in one write."""
        unchanged, change = "#password_digest = :old", "SET #password_digest = :new"
        values = {":old": text(old_digest), ":new": text(new_digest)}
        request = requests.update_if(self._table, keys.login(email), unchanged, change, values)
        try:
            send(self._client.update_item, request)
        except ConditionFailed as refused:
            # A digest is freshly salted: where ours is found, this very call has written it.
            return bool(refused.held.get("password_digest") == text(new_digest))
        return True

    def change_password(self, login: Login, new_digest: str, renewal: Renewal, *, deny_until: int) -> AccessChanged:
        """Update login, state, session and blacklist in one transaction: 8 write units."""
        writes = _change_password(self._table, login, new_digest, renewal, deny_until=deny_until)
        try:
            transact(self._client, writes)
        except TransactionRefused as refused:
            if refused.held.get(_LOGIN, {}).get("password_digest") == text(new_digest):
                return AccessChanged.CHANGED  # by this very call: a digest is freshly salted
            moved = set(refused.held) == {_SESSION}
            return AccessChanged.SESSION_MOVED if moved else AccessChanged.LOGIN_MOVED
        return AccessChanged.CHANGED

    def raise_epoch(self, account: Account, *, deny_until: int, disable: bool = False) -> bool:
        """Update login, state and blacklist in one transaction: 6 write units.

        Another writer's next epoch looks like ours, but a password change spares a session: a refusal is never called
        our own lost write.
        """
        return self._all_hold(_end_everything(self._table, account, deny_until=deny_until, disable=disable))


def _change_password(table: str, login: Login, new_digest: str, renewal: Renewal, *, deny_until: int) -> list[Request]:
    """Set the digest, and take the renewed session along into the next epoch; see Store.change_password."""
    account = login.account
    epochs = {":epoch": number(account.epoch), ":next_epoch": number(account.epoch + 1)}
    same_password, digest = _same_password(login)
    login_update = requests.update_if(
        table,
        keys.login(account.email),
        f"{_SAME_ACCOUNT} AND {same_password} AND {_SAME_EPOCH}",
        f"{_RAISE}, #password_digest = :new_digest",
        {":sub": text(account.sub), ":new_digest": text(new_digest), **digest, **epochs},
    )
    state_update = requests.update_if(table, keys.state(account.sub), _SAME_EPOCH, _RAISE, epochs)
    updates = (
        renew(table, renewal, account.epoch),
        login_update,
        state_update,
        deny_older_epochs(table, account, deny_until),
    )
    return [{"Update": update} for update in updates]


def _end_everything(table: str, account: Account, *, deny_until: int, disable: bool) -> list[Request]:
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
    updates = (login_update, state_update, deny_older_epochs(table, account, deny_until))
    return [{"Update": update} for update in updates]


def _same_password(login: Login) -> tuple[str, dict[str, Value]]:
    """That the login has the password that was read, or none as it was read, with the values that this names."""
    if login.password_digest is None:
        return "attribute_not_exists(#password_digest)", {}
    return "#password_digest = :digest", {":digest": text(login.password_digest)}
