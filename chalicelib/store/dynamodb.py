"""The store's verbs on one DynamoDB table. Each clause of a condition has a name that says when it holds."""

from __future__ import annotations

from chalicelib.store.accounts import AccountVerbs
from chalicelib.store.denials import DenialVerbs
from chalicelib.store.events import EventVerbs
from chalicelib.store.identities import IdentityVerbs
from chalicelib.store.limits import LimitVerbs
from chalicelib.store.once import PendingLoginVerbs
from chalicelib.store.sessions import SessionVerbs


class DynamoDBStore(
    AccountVerbs,
    IdentityVerbs,
    SessionVerbs,
    DenialVerbs,
    EventVerbs,
    LimitVerbs,
    PendingLoginVerbs,
):
    """The Store (protocol.py) on the table that infra/table.py defines: each aggregate has a file of its own."""
