"""Identities on the table, and the transactions that change which of them open an account.

An identity opens the account whose sub its marker holds. The login lists the same identities, so that one read tells
every way in. No transaction here changes the one without the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.sessions import Session
from chalicelib.store import keys, requests
from chalicelib.store.calls import TransactionRefused, transact
from chalicelib.store.denials import deny_older_epochs
from chalicelib.store.items.identities import identity_list, marker_item
from chalicelib.store.items.values import flag, number, text, text_list
from chalicelib.store.outcomes import AccessChanged, Renewal
from chalicelib.store.sessions import renew
from chalicelib.store.table import Table

if TYPE_CHECKING:
    from chalicelib.domain.accounts import LinkedIdentity, Login
    from chalicelib.store.items.values import Value
    from chalicelib.store.requests import Request

# Positions in the transactions of `_link` and `_unlink`, by which a refusal is understood. Where no session asks, there
# is none at its position.
_SESSION = 1
_MARKER = -1  # of `_link`: the last one

_SAME_EPOCH = "#epoch = :epoch"
_SAME_FLOOR = "(attribute_not_exists(#floor) OR #floor = :floor)"
_OF_ACCOUNT = "#sub = :sub"
_PROVEN = "#email_verified = :verified, #address = :address"


class IdentityVerbs(Table):
    """The IdentityStore (protocol.py) on the table."""

    def find_identity(self, issuer: str, subject: str) -> str | None:
        """Read the marker."""
        marker = self._get(keys.identity(issuer, subject))
        return marker["sub"]["S"] if marker else None

    def link_identity(
        self, login: Login, identity: LinkedIdentity, *, proves: str | None, session: Renewal | Session | None
    ) -> AccessChanged:
        """Put the marker and update login and, with a proof, state: 4 or 6 write units; 2 more for a session."""
        writes = _link(self._table, login, identity, proves=proves, session=session)
        try:
            transact(self._client, writes)
        except TransactionRefused as refused:
            if len(writes) + _MARKER in refused.held:
                return AccessChanged.IDENTITY_TAKEN
            return _moved(refused, asked=session is not None)
        return AccessChanged.CHANGED

    def take_over_account(self, login: Login, identity: LinkedIdentity, *, proves: str, deny_until: int) -> bool:
        """Update login, state and blacklist, write and delete markers: 8 write units, and 2 an identity of before."""
        return self._all_hold(_take_over(self._table, login, identity, proves=proves, deny_until=deny_until))

    def unlink_identity(self, login: Login, provider: str, renewal: Renewal) -> AccessChanged:
        """Update login and session and delete the marker in one transaction: 6 write units."""
        try:
            transact(self._client, _unlink(self._table, login, provider, renewal))
        except TransactionRefused as refused:
            return _moved(refused, asked=True)
        return AccessChanged.CHANGED


def _link(
    table: str, login: Login, identity: LinkedIdentity, *, proves: str | None, session: Renewal | Session | None
) -> list[Request]:
    """Put the identity's marker and add it to the login; see Store.link_identity."""
    account = login.account
    condition, values = _as_read(login)
    change = "SET #identities = :linked"
    values[":linked"] = identity_list((*login.identities, identity))
    if identity.provider in login.given_up:
        change += ", #given_up = :given_up"
        values[":given_up"] = text_list(name for name in login.given_up if name != identity.provider)
    if proves is not None:
        change += f", {_PROVEN}"
        values |= _proven(proves)
    writes = [{"Update": requests.update_if(table, keys.login(account.email), condition, change, values)}]
    match session:
        case Renewal():
            writes.append({"Update": renew(table, session, account.epoch)})
        case Session():
            here = keys.session(session.sub, session.sid)
            # A renewal since then has another floor: what was proven with a credential of before is dead.
            as_read = {":epoch": number(account.epoch), ":floor": number(session.floor)}
            writes.append({"ConditionCheck": requests.check(table, here, f"{_SAME_EPOCH} AND {_SAME_FLOOR}", as_read)})
    if proves is not None:
        epoch = {":epoch": number(account.epoch)}
        state = keys.state(account.sub)
        writes.append(
            {"Update": requests.update_if(table, state, _SAME_EPOCH, f"SET {_PROVEN}", {**epoch, **_proven(proves)})}
        )
    writes.append({"Put": requests.put_new(table, marker_item(account.sub, identity))})
    return writes


def _take_over(table: str, login: Login, identity: LinkedIdentity, *, proves: str, deny_until: int) -> list[Request]:
    """Leave nothing of the account's ways in but the identity, in a new epoch; see Store.take_over_account."""
    account = login.account
    condition, values = _as_read(login)
    unproven = "#email_verified = :unproven"  # whoever read it as proven has no reason to take it
    raised = {":next_epoch": number(account.epoch + 1), **_proven(proves)}
    change = f"SET #epoch = :next_epoch, {_PROVEN}"
    login_update = requests.update_if(
        table,
        keys.login(account.email),
        f"{condition} AND {unproven}",
        f"{change}, #identities = :linked REMOVE #password_digest, #given_up",
        {**values, **raised, ":unproven": flag(value=False), ":linked": identity_list([identity])},
    )
    state_update = requests.update_if(
        table, keys.state(account.sub), _SAME_EPOCH, change, {":epoch": number(account.epoch), **raised}
    )
    before = [held for held in login.identities if not _same(held, identity)]
    kept = len(before) < len(login.identities)
    return [
        {"Update": login_update},
        {"Update": state_update},
        {"Update": deny_older_epochs(table, account, deny_until)},
        _renew_marker(table, account.sub, identity)
        if kept
        else {"Put": requests.put_new(table, marker_item(account.sub, identity))},
        *(_delete_marker(table, account.sub, held) for held in before),
    ]


def _unlink(table: str, login: Login, provider: str, renewal: Renewal) -> list[Request]:
    """Take the provider's identity off the login and delete its marker; see Store.unlink_identity."""
    account = login.account
    condition, values = _as_read(login)
    values[":left"] = identity_list(held for held in login.identities if held.provider != provider)
    removed = [held for held in login.identities if held.provider == provider]
    values[":given_up"] = text_list(sorted({*login.given_up, *(held.provider for held in removed)}))
    change = "SET #identities = :left, #given_up = :given_up"
    return [
        {"Update": requests.update_if(table, keys.login(account.email), condition, change, values)},
        {"Update": renew(table, renewal, account.epoch)},
        *(_delete_marker(table, account.sub, held) for held in removed),
    ]


def _moved(refused: TransactionRefused, *, asked: bool) -> AccessChanged:
    """What a refused change of identities has found moved: the session that asked alone, or the login."""
    # A session that is refused beside the login has moved along with a password change, maybe.
    session_alone = asked and set(refused.held) == {_SESSION}
    return AccessChanged.SESSION_MOVED if session_alone else AccessChanged.LOGIN_MOVED


def _as_read(login: Login) -> tuple[str, dict[str, Value]]:
    """The login as one condition, with the values that it names. A disabled one is of another epoch."""
    same_standing = "#email_verified = :email_verified"
    same_identities = "#identities = :identities"
    if not login.identities:  # a login from before there were identities has no list
        same_identities = f"(attribute_not_exists(#identities) OR {same_identities})"
    values = {
        ":sub": text(login.account.sub),
        ":epoch": number(login.account.epoch),
        ":email_verified": flag(value=login.account.email_verified),
        ":identities": identity_list(login.identities),
    }
    return f"{_OF_ACCOUNT} AND {_SAME_EPOCH} AND {same_standing} AND {same_identities}", values


def _proven(address: str) -> dict[str, Value]:
    return {":verified": flag(value=True), ":address": text(address)}


def _same(one: LinkedIdentity, other: LinkedIdentity) -> bool:
    return (one.issuer, one.subject) == (other.issuer, other.subject)


def _renew_marker(table: str, sub: str, identity: LinkedIdentity) -> Request:
    """Keep the marker, which a transaction cannot both delete and put."""
    key = keys.identity(identity.issuer, identity.subject)
    values = {":sub": text(sub), ":linked_at": number(identity.linked_at)}
    return {"Update": requests.update_if(table, key, _OF_ACCOUNT, "SET #linked_at = :linked_at", values)}


def _delete_marker(table: str, sub: str, identity: LinkedIdentity) -> Request:
    key = keys.identity(identity.issuer, identity.subject)
    return {"Delete": requests.delete_if(table, key, _OF_ACCOUNT, {":sub": text(sub)})}
