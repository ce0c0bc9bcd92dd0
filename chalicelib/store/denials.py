"""Users' token blacklists on the table. What is on such a list, and when it is full: domain/denials.py.

An item that both sets fill is 1.2 KB, so that the last few names cost a second write unit; until 27 names are listed
one covers it. An authorizer reads it for one unit however full it is (4 KB).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS, deny_until, entry
from chalicelib.store import keys, requests
from chalicelib.store.calls import ConditionFailed, send
from chalicelib.store.items.denials import denials_from
from chalicelib.store.items.values import number, text, text_set
from chalicelib.store.table import Table

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account
    from chalicelib.domain.denials import Denials
    from chalicelib.store.items.values import Value
    from chalicelib.store.requests import Request


class DenialVerbs(Table):
    """The DenialStore (protocol.py) on the table."""

    def deny_session(self, sub: str, sid: str, *, now: int) -> Denials | None:
        """Add the session to the blacklist's set in one write."""
        return self._deny(_add(self._table, sub, "sessions", sid, DENIED_SESSIONS, now))

    def deny_token(self, sub: str, jti: str, *, now: int) -> Denials | None:
        """Add the access token to the blacklist's set in one write."""
        return self._deny(_add(self._table, sub, "tokens", jti, DENIED_TOKENS, now))

    def replace_denials(self, sub: str, seen: Denials, compacted: Denials) -> bool:
        """Replace both sets and the moment in one write."""
        held = self._deny(_replace_all(self._table, sub, seen, compacted))
        # Where the compacted list is found, this very call has written it, or another one the same.
        return held is None or (held.issued_before, held.sessions, held.tokens) == (
            compacted.issued_before,
            compacted.sessions,
            compacted.tokens,
        )

    def find_denials(self, sub: str) -> Denials:
        """Read the blacklist and nothing else."""
        return denials_from(self._get(keys.deny(sub)))

    def _deny(self, update: Request) -> Denials | None:
        """None when done; the blacklist as it is where the condition does not hold."""
        try:
            send(self._client.update_item, update)
        except ConditionFailed as refused:
            return denials_from(refused.held)
        return None


def deny_older_epochs(table: str, account: Account, deny_until: int) -> Request:
    """Deny the access tokens of the account's epoch and of those before it."""
    return requests.update(
        table,
        keys.deny(account.sub),
        "SET #before_epoch = :next_epoch, #expires_at = :expires_at",
        {":next_epoch": number(account.epoch + 1), ":expires_at": number(deny_until)},
    )


def _replace_all(table: str, sub: str, seen: Denials, compacted: Denials) -> Request:
    """Put the compacted list in the place of the seen one; see Store.replace_denials."""
    values: dict[str, Value] = {
        ":moment": number(compacted.issued_before),
        ":seen_moment": number(seen.issued_before),
        ":expires_at": number(compacted.expires_at),
    }
    same_moment = "#issued_before = :seen_moment"
    if not seen.issued_before:  # a list has none until it is compacted
        same_moment = f"(attribute_not_exists(#issued_before) OR {same_moment})"
    unchanged = [same_moment]
    change, removed = "SET #issued_before = :moment, #expires_at = :expires_at", []
    for name, before, after in (
        ("sessions", seen.sessions, compacted.sessions),
        ("tokens", seen.tokens, compacted.tokens),
    ):
        if before:
            unchanged.append(f"#{name} = :seen_{name}")
            values[f":seen_{name}"] = text_set(before)
        else:
            unchanged.append(f"attribute_not_exists(#{name})")
        if after:
            change += f", #{name} = :{name}"
            values[f":{name}"] = text_set(after)
        else:
            removed.append(f"#{name}")
    if removed:
        change += f" REMOVE {', '.join(removed)}"
    return requests.update_if(table, keys.deny(sub), " AND ".join(unchanged), change, values)


def _add(table: str, sub: str, name: str, member: str, room: int, now: int) -> Request:
    none_listed = f"attribute_not_exists(#{name})"
    room_left = f"size(#{name}) < :room"
    listed_already = f"contains(#{name}, :member)"  # a retry of this very write
    listed = entry(member, deny_until(now))
    values: dict[str, Value] = {
        ":room": number(room),
        ":member": text(listed),
        ":members": text_set([listed]),
        ":expires_at": number(deny_until(now)),
    }
    return requests.update_if(
        table,
        keys.deny(sub),
        f"{none_listed} OR {room_left} OR {listed_already}",
        f"ADD #{name} :members SET #expires_at = :expires_at",
        values,
    )
