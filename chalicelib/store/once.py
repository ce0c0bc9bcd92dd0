"""What is taken once, on the table: logins that have begun at a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store import keys, requests
from chalicelib.store.calls import ConditionFailed, send
from chalicelib.store.items.once import pending_login_from, pending_login_item
from chalicelib.store.items.values import number, text
from chalicelib.store.table import Table

if TYPE_CHECKING:
    from chalicelib.domain.federation import PendingLogin


class PendingLoginVerbs(Table):
    """The PendingLoginStore (protocol.py) on the table."""

    def begin_login(self, digest: bytes, pending: PendingLogin) -> None:
        """Put the pending login. It is never put over one that is there: that one may be taken by now."""
        try:
            item = pending_login_item(digest, pending)
            send(self._client.put_item, requests.put_new(self._table, item))
        except ConditionFailed:
            return  # a digest is fresh: this very call has written it and its answer was lost

    def take_login(self, digest: bytes, attempt: str, now: int) -> PendingLogin | None:
        """Mark it as taken in one write. A deleted item could not tell a retry that the retry itself has deleted it."""
        not_taken = "attribute_not_exists(#taken_by)"
        in_time = "#expires_at > :now"  # holds for no item that is not there, so that none is made
        request = requests.update_if(
            self._table,
            keys.pending_login(digest),
            f"{not_taken} AND {in_time}",
            "SET #taken_by = :attempt",
            {":attempt": text(attempt), ":now": number(now)},
        )
        try:
            response = send(self._client.update_item, {**request, "ReturnValues": "ALL_NEW"})
        except ConditionFailed as refused:
            taken_by_this_call = refused.held.get("taken_by") == text(attempt)
            return pending_login_from(refused.held) if taken_by_this_call else None
        return pending_login_from(response["Attributes"])
