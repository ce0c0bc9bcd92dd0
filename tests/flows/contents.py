"""What a store holds, item by item, and whether it hangs together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.store import keys
from chalicelib.store.dynamodb import DynamoDBStore
from chalicelib.store.items.accounts import account_from, login_from
from chalicelib.store.items.denials import denials_from
from chalicelib.store.items.once import pending_login_from
from chalicelib.store.items.sessions import session_from
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from typing import Any

    from chalicelib.domain.accounts import Account, Login
    from chalicelib.domain.denials import Denials
    from chalicelib.domain.federation import PendingLogin
    from chalicelib.domain.sessions import Session
    from chalicelib.store.protocol import Store


@dataclass
class Contents:
    """Every item but the limiter's counters and the security events.

    Logins by address, accounts and blacklists by sub, sessions by sid, pending logins by digest; by (issuer, subject)
    each identity's marker: whose it is (sub), and since when.
    """

    logins: dict[str, Login] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    denials: dict[str, Denials] = field(default_factory=dict)
    markers: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    pending_logins: dict[bytes, PendingLogin] = field(default_factory=dict)

    def assert_whole(self) -> None:
        """Nothing is half-written: what belongs together is there together and says the same."""
        assert {login.account.sub: login.account for login in self.logins.values()} == self.accounts
        for session in self.sessions.values():
            assert session.sub in self.accounts, "a session without an account"
            assert session.epoch <= self.accounts[session.sub].epoch, "a session of an epoch to come"
        for sub, account in self.accounts.items():
            before_epoch = self.denials[sub].before_epoch if sub in self.denials else 0
            assert before_epoch == account.epoch, "an epoch that rose without the blacklist"
        listed = [(login.account.sub, identity) for login in self.logins.values() for identity in login.identities]
        places = {(sub, identity.provider) for sub, identity in listed}
        assert len(places) == len(listed), "two identities of one provider"
        entries = {(identity.issuer, identity.subject): (sub, identity.linked_at) for sub, identity in listed}
        assert len(entries) == len(listed), "an identity that is listed twice"
        assert entries == self.markers, "a marker that no login lists, or an identity without its marker"


def rows(store: DynamoDBStore) -> list[dict[str, Any]]:
    """Every item of the table, as DynamoDB holds it."""
    pages = store._client.get_paginator("scan").paginate(TableName=store._table, ConsistentRead=True)
    return [row for page in pages for row in page["Items"]]


def contents(store: Store) -> Contents:
    """What the store holds now."""
    if isinstance(store, FakeStore):
        sessions = {sid: session for (_, sid), session in store.sessions.items()}
        return Contents(
            dict(store.logins),
            dict(store.accounts),
            sessions,
            dict(store.denials),
            dict(store.markers),
            dict(store.pending_logins),
        )
    assert isinstance(store, DynamoDBStore)
    held = Contents()
    for row in rows(store):
        prefix, _, rest = row["pk"]["S"].partition("#")
        match prefix, row["sk"]["S"].partition("#")[0]:
            case "login", "login":
                held.logins[keys.email_of(row)] = login_from(row)
            case "user", "state":
                held.accounts[keys.sub_of(row)] = account_from(row)
            case "user", "session":
                held.sessions[keys.sid_of(row)] = session_from(row)
            case "deny", "deny":
                held.denials[rest] = denials_from(row)
            case "identity", "identity":
                issuer, _, subject = rest.partition("#")
                held.markers[issuer, subject] = row["sub"]["S"], int(row["linked_at"]["N"])
            case "once", "login":
                held.pending_logins[bytes.fromhex(rest)] = pending_login_from(row)
            case kind:
                assert kind[0] in {"limit", "events"}
    return held
