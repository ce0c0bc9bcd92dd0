"""The token blacklist of one user: what is revoked among access tokens that have not expired yet.

A name on it is a session's id or an access token's `jti`, as `<until>#<name>`: it counts until then. When too many are
listed, names give way to one moment before which every token was issued that is denied:

    dropped              kept                                  now
    |<- denied here ->|<-------------- 2 x SETTLED ------------>|
                      |<-- SETTLED -->|<------ SETTLED -------->|
                                      ^ issued_before

A session that was denied is deleted within SETTLED seconds, clocks that differ included, and no access token of it is
issued later. So every token of a dropped name was issued before the moment, and each token of the last SETTLED seconds
goes on unless its session is named: nobody is answered with an access token that is dead at birth.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.domain.access_tokens import AccessTokenClaims

    Kind = Literal["sessions", "tokens"]

# Names that are listed before the list is compacted.
DENIED_SESSIONS = 25
DENIED_TOKENS = 10
# The most that compacting leaves, where all of them are recent: one read unit (4 KB) has to cover the item. An account
# has no more sessions than these.
MOST_SESSIONS = 100
MOST_TOKENS = 15

# Seconds. Lambda ends a request after 10 s, and two containers' clocks differ by 5 s at most.
SETTLED = 15

# An entry outlives the tokens it denies by this: a response on its way, and clocks that differ (seconds).
MARGIN = 120
LONGEST_ACCESS_TTL = 3600  # seconds: the most that KEYTURN_ACCESS_TTL takes
KEPT = LONGEST_ACCESS_TTL + MARGIN


def deny_until(now: int) -> int:
    """When a blacklist entry that is written now may go: after every access token that was issued before it.

    By the longest lifetime that the setting takes, not by today's: a deployment that changes it brings no token back.
    """
    return now + KEPT


def entry(name: str, until: int) -> str:
    """A name as the list has it."""
    return f"{until}#{name}"


@dataclass(frozen=True, slots=True)
class Denials:
    """The blacklist as it is read. `sessions` and `tokens` are entries; `expires_at` is the item's TTL.

    Entries of versions before have no time. They count as long as the item is there.
    """

    before_epoch: int = 0
    issued_before: int = 0
    sessions: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()
    expires_at: int = field(default=0, compare=False)

    def deny(self, claims: AccessTokenClaims) -> bool:
        """Whether the access token is revoked: by its account's epoch, by its age, with its session, or by itself."""
        return (
            claims.ver < self.before_epoch
            or claims.iat < self.issued_before
            or _names(self.sessions, claims.sid)
            or _names(self.tokens, claims.jti)
        )

    def recent_tokens(self, now: int) -> int:
        """How many access tokens were denied so lately that none of them can give way to a moment in the past."""
        return sum(self._denied_at(each) >= now - 2 * SETTLED for each in self.tokens)

    def with_name(self, kind: Kind, name: str, now: int) -> Denials:
        """The list with this name, denied at `now`, and every dispensable name removed; see the picture above.

        Names whose time is over go first. Where there are still too many, those that were denied long enough ago give
        way to a moment in the past. Where even the recent ones are too many, the oldest of them give way to a moment
        that may lie SETTLED seconds ahead: clients refresh until it is over.
        """
        new = {entry(name, deny_until(now))}
        sessions = self._living(self.sessions | new if kind == "sessions" else self.sessions, now)
        tokens = self._living(self.tokens | new if kind == "tokens" else self.tokens, now)
        moment = self.issued_before
        if len(sessions) > DENIED_SESSIONS or len(tokens) > DENIED_TOKENS:
            settled = now - 2 * SETTLED
            old = {each for each in sessions | tokens if self._denied_at(each) < settled}
            if old:
                moment = max(moment, now - SETTLED)
            sessions, tokens = sessions - old, tokens - old
            for names, most in ((sessions, MOST_SESSIONS), (tokens, MOST_TOKENS)):
                for oldest in sorted(names, key=self._denied_at)[: max(0, len(names) - most)]:
                    moment = max(moment, self._denied_at(oldest) + SETTLED + 1)
                    names.remove(oldest)
        return replace(
            self,
            issued_before=moment,
            sessions=frozenset(sessions),
            tokens=frozenset(tokens),
            expires_at=max(self.expires_at, deny_until(now)),
        )

    def _living(self, entries: Iterable[str], now: int) -> set[str]:
        """Each name that still counts, with its last entry alone: a name that is denied again takes no second place."""
        last = {_name(each): each for each in sorted(entries, key=self._until) if self._until(each) > now}
        return set(last.values())

    def _denied_at(self, each: str) -> int:
        return self._until(each) - KEPT

    def _until(self, each: str) -> int:
        until, separator, _ = each.partition("#")
        return int(until) if separator else self.expires_at


def _name(each: str) -> str:
    return each.rpartition("#")[2]


def _names(entries: Iterable[str], name: str) -> bool:
    return any(_name(each) == name for each in entries)
