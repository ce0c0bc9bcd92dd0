"""The token blacklist: what it denies, what gives way when it is full, and what no overflow may ever do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.denials import (
    DENIED_SESSIONS,
    DENIED_TOKENS,
    KEPT,
    LONGEST_ACCESS_TTL,
    MARGIN,
    MOST_SESSIONS,
    MOST_TOKENS,
    SETTLED,
    Denials,
    deny_until,
    entry,
)
from chalicelib.services.sessions.sessions import Sessions
from chalicelib.store import keys
from chalicelib.store.items.values import number, text_set
from tests.store.sizes import size_of
from tests.unit.signing import CLAIMS
from tests.world.clock import START, FrozenClock
from tests.world.keyturn import RecordingAudit
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.domain.access_tokens import AccessTokenClaims

WRITE_UNIT, READ_UNIT = 1024, 4096  # bytes
CLOCKS = 5  # seconds by which two containers' clocks differ at most
REQUEST = 10  # seconds that a request takes at most


def names(count: int, *, denied_at: int = START, prefix: str = "name") -> frozenset[str]:
    """Entries of so many names, all denied at this second."""
    return frozenset(entry(f"{prefix}-{number}", deny_until(denied_at)) for number in range(count))


def plain(entries: Iterable[str]) -> set[str]:
    """The entries' names."""
    return {each.rpartition("#")[2] for each in entries}


def issued(iat: int, sid: str = "living", jti: str = "jti") -> AccessTokenClaims:
    """An access token of this second."""
    return CLAIMS._replace(sid=sid, jti=jti, iat=iat, exp=iat + 900)


def test_entry_outlives_every_token_that_it_denies() -> None:
    """The longest lifetime that may be set, a request under way, both clocks, and the verifiers' leeway of 60 s."""
    assert deny_until(START) - START == KEPT == LONGEST_ACCESS_TTL + MARGIN
    assert MARGIN >= REQUEST + CLOCKS + 60
    assert SETTLED >= REQUEST + CLOCKS


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("until", [0, START, 2**40])
def test_name_denies_by_itself_alone(until: int, *, legacy: bool) -> None:
    """With its time or, of a version before, without; no part of it denies, and no name of the other kind."""

    def listed(name: str) -> str:
        return name if legacy else entry(name, until)

    assert Denials(sessions=frozenset({listed(CLAIMS.sid)})).deny(CLAIMS)
    assert Denials(tokens=frozenset({listed(CLAIMS.jti)})).deny(CLAIMS)
    others = {listed(name) for name in (CLAIMS.sid[:-1], CLAIMS.sid + "x", CLAIMS.sub, CLAIMS.sid.lower(), "")}
    assert not Denials(sessions=frozenset({*others, listed(CLAIMS.jti)})).deny(CLAIMS)
    assert not Denials(tokens=frozenset({*others, listed(CLAIMS.sid)})).deny(CLAIMS)


def test_name_is_added_where_there_is_room() -> None:
    """Nothing gives way, and no moment is set; the item lives as long as its last entry."""
    seen = Denials(3, START - 999, names(DENIED_SESSIONS - 1), names(DENIED_TOKENS - 1), expires_at=deny_until(START))
    held = seen.with_name("sessions", "new", START + 1).with_name("tokens", "also new", START + 2)
    assert held == replace(
        seen,
        sessions=seen.sessions | {entry("new", deny_until(START + 1))},
        tokens=seen.tokens | {entry("also new", deny_until(START + 2))},
    )
    assert held.expires_at == deny_until(START + 2)
    # A clock that is behind shortens no life.
    assert held.with_name("sessions", "third", START - 5).expires_at == deny_until(START + 2)


@pytest.mark.parametrize("kind", ["sessions", "tokens"])
def test_names_whose_time_is_over_count_no_more(kind: Literal["sessions", "tokens"]) -> None:
    """They go first, at the second at which their time is over, and leave no moment behind."""
    over, last = names(20, denied_at=START - KEPT), entry("last", deny_until(START - KEPT + 1))
    seen = Denials(sessions=over | {last}, tokens=over | {last}, expires_at=deny_until(START))
    held = seen.with_name(kind, "new", START)
    new = {entry("new", deny_until(START))}
    assert held.issued_before == 0
    assert held.sessions == ({last} | new if kind == "sessions" else {last})
    assert held.tokens == ({last} | new if kind == "tokens" else {last})


def test_names_of_before_have_the_items_time() -> None:
    """A name without a time counts until the item's own, and gives way to the moment as an old name does."""
    legacy = frozenset(f"legacy-{number}" for number in range(DENIED_SESSIONS))
    seen = Denials(sessions=legacy, expires_at=START + 1)
    assert seen.with_name("sessions", "new", START + 1).sessions == {entry("new", deny_until(START + 1))}
    held = seen.with_name("sessions", "new", START)
    assert held.issued_before == START - SETTLED
    assert held.sessions == {entry("new", deny_until(START))}
    few = Denials(sessions=frozenset({"legacy"}), expires_at=START + 1)
    assert few.with_name("sessions", "new", START).sessions == {"legacy", entry("new", deny_until(START))}


def test_name_that_is_denied_again_takes_no_second_place() -> None:
    """Whoever revokes one token again and again fills no list: its last entry alone is kept."""
    held = Denials(sessions=frozenset({"one"}), expires_at=START + 1)
    for second in range(60):
        held = held.with_name("sessions", "one", START + second).with_name("tokens", "two", START + second)
    assert held.sessions == {entry("one", deny_until(START + 59))}
    assert held.tokens == {entry("two", deny_until(START + 59))}
    assert held.issued_before == 0
    twice = Denials(tokens=names(9, denied_at=START) | names(9, denied_at=START + 1), expires_at=deny_until(START + 1))
    assert twice.with_name("tokens", "new", START + 2).tokens == {
        *names(9, denied_at=START + 1),
        entry("new", deny_until(START + 2)),
    }


@pytest.mark.parametrize("full", ["sessions", "tokens"])
def test_old_names_give_way_and_recent_names_stay(full: Literal["sessions", "tokens"]) -> None:
    """Of both kinds, whichever is full: a name that was denied 30 s ago stays, one of a second earlier is dropped."""
    settled = START - 2 * SETTLED
    old, recent = names(5, denied_at=settled - 1, prefix="old"), names(5, denied_at=settled, prefix="recent")
    more = names(DENIED_SESSIONS if full == "sessions" else DENIED_TOKENS, prefix="more")
    seen = Denials(sessions=old | recent, tokens=old | recent, expires_at=deny_until(START))
    seen = replace(seen, **{full: getattr(seen, full) | more})
    held = seen.with_name(full, "new", START)
    new = entry("new", deny_until(START))
    if full == "tokens":  # 5 + 10 + 1 recent tokens are one more than an item takes: the oldest one goes
        assert len(held.tokens) == MOST_TOKENS
        assert held.tokens < recent | more | {new}
        assert more | {new} < held.tokens
        assert held.sessions == recent
        return
    assert held.sessions == recent | more | {new}
    assert held.tokens == recent
    assert held.issued_before == START - SETTLED


def test_moment_is_in_the_past_and_never_goes_back() -> None:
    """A token of the last 15 s goes on; a later moment holds, and so does any where no name is old."""
    seen = Denials(0, START - 40, names(DENIED_SESSIONS, denied_at=START - 31), expires_at=deny_until(START))
    held = seen.with_name("sessions", "new", START)
    assert held.issued_before == START - SETTLED
    assert not held.deny(issued(START - SETTLED))
    assert held.deny(issued(START - SETTLED - 1))
    later = replace(seen, issued_before=START + 3)
    assert later.with_name("sessions", "new", START).issued_before == START + 3
    fresh = replace(seen, sessions=names(DENIED_SESSIONS, denied_at=START - 30))
    assert fresh.with_name("sessions", "new", START).issued_before == START - 40
    assert len(fresh.with_name("sessions", "new", START).sessions) == DENIED_SESSIONS + 1


@pytest.mark.parametrize(("kind", "most"), [("sessions", MOST_SESSIONS), ("tokens", MOST_TOKENS)])
def test_too_many_recent_names_give_way_from_the_oldest(kind: Literal["sessions", "tokens"], most: int) -> None:
    """The moment then lies after every token of the names that were dropped, even if that is ahead of now."""
    held = Denials()
    for second in range(most + 3):
        held = held.with_name(kind, f"name-{second}", START + second // 8)
    kept = plain(getattr(held, kind))
    dropped = {f"name-{second}" for second in range(most + 3)} - kept
    assert len(kept) == most
    assert held.issued_before == START + SETTLED + 1
    assert dropped < {f"name-{second}" for second in range(8)}
    for name in dropped:
        # Its session may have issued tokens until it was deleted, by a clock that is ahead.
        last = issued(START + REQUEST + CLOCKS, **{"sid" if kind == "sessions" else "jti": name})
        assert held.deny(last)


@pytest.mark.parametrize("kind", ["sessions", "tokens"])
@pytest.mark.parametrize("epoch", [0, 10**12])
def test_fullest_item_is_one_read_unit(kind: Literal["sessions", "tokens"], epoch: int) -> None:
    """However many names come: what DynamoDB counts stays within 4 KB, so that an authorizer reads it for one unit."""
    held = Denials(before_epoch=epoch)
    for count in range(3 * MOST_SESSIONS):
        held = held.with_name("tokens", f"{count:022}", START).with_name("sessions", f"{count:022}", START)
        held = held.with_name(kind, f"{count:022}", START + 1)
        assert item_size(held) <= READ_UNIT
    assert (len(held.sessions), len(held.tokens)) == (MOST_SESSIONS, MOST_TOKENS)


def test_list_of_27_names_is_one_write_unit() -> None:
    """Most users' lists: 1 KB, with an epoch of up to a thousand changes and a moment."""
    for sessions in range(17, DENIED_SESSIONS + 1):
        held = Denials(999, START, sids(sessions), sids(27 - sessions), expires_at=deny_until(START))
        assert item_size(held) <= WRITE_UNIT
    one_more = Denials(999, START, sids(DENIED_SESSIONS), sids(3), expires_at=deny_until(START))
    assert item_size(one_more) > WRITE_UNIT


def sids(count: int) -> frozenset[str]:
    """Entries of names as long as real ones."""
    return frozenset(entry(f"{each:022}", deny_until(START)) for each in range(count))


def item_size(held: Denials) -> int:
    """What DynamoDB counts for the item of this list."""
    sets = {name: text_set(each) for name, each in (("sessions", held.sessions), ("tokens", held.tokens)) if each}
    numbers = {name: number(getattr(held, name)) for name in ("before_epoch", "issued_before", "expires_at")}
    return size_of({**keys.deny("s" * 22), **numbers, **sets})


@dataclass
class World:
    """One user's sessions and their access tokens, and containers whose clocks differ, over the real service.

    `now` is the true time, which no container knows. A container's clock is up to 5 s ahead of it.
    """

    store: FakeStore = field(default_factory=FakeStore)
    now: int = START
    tokens: list[AccessTokenClaims] = field(default_factory=list)
    ending: dict[str, int] = field(default_factory=dict)  # sessions that were denied, until when they may issue
    revoked: set[str] = field(default_factory=set)
    denied_lately: list[int] = field(default_factory=list)
    sessions: int = 0

    def pass_on(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds
        self.tokens = [token for token in self.tokens if token.exp + 60 > self.now]

    def log_in(self, ahead: int, ttl: int) -> None:
        """Begin a session, in a container whose clock is so far ahead."""
        self.sessions += 1
        self.issue(f"session-{self.sessions - 1}", ahead, ttl)

    def issue(self, sid: str, ahead: int, ttl: int) -> None:
        """Issue an access token of the session, if it may issue any."""
        if self.now > self.ending.get(sid, self.now):
            return
        iat = self.now + ahead
        token = CLAIMS._replace(sid=sid, jti=f"token-{len(self.tokens)}-{self.now}", iat=iat, exp=iat + ttl)
        self.tokens.append(token)

    def end(self, sid: str, ahead: int) -> None:
        """Deny the session, in a container whose clock is so far ahead. It issues tokens for 10 s more at most."""
        if self.may_name_a_session() and sid not in self.ending:
            self.denied_lately.append(self.now)
            self.sessions_service(ahead).end(CLAIMS.sub, sid)
            self.ending[sid] = self.now + REQUEST

    def revoke(self, token: AccessTokenClaims, ahead: int) -> None:
        """Deny one token, which ends its session where ten were denied within half a minute."""
        if token.sid in self.ending or not self.may_name_a_session():
            return
        self.sessions_service(ahead).deny_token(CLAIMS.sub, token.sid, token.jti)
        self.revoked.add(token.jti)
        held = self.store.find_denials(CLAIMS.sub)
        if held.deny(token._replace(jti="another", iat=self.now + CLOCKS)):
            self.denied_lately.append(self.now)
            self.ending[token.sid] = self.now + REQUEST

    def may_name_a_session(self) -> bool:
        """Whether fewer were named in the last 30 s than the list takes, by the clocks' difference."""
        since = self.now - 2 * SETTLED - CLOCKS
        return len([at for at in self.denied_lately if at >= since]) < MOST_SESSIONS

    def sessions_service(self, ahead: int) -> Sessions:
        """The use cases in a container whose clock is so far ahead."""
        return Sessions(self.store, FrozenClock(self.now + ahead), RecordingAudit())

    def check(self) -> None:
        """No token of a denied session, and no denied token, is accepted; none of a living session dies at birth."""
        held = self.store.find_denials(CLAIMS.sub)
        for token in self.tokens:
            if token.sid in self.ending or token.jti in self.revoked:
                assert held.deny(token), "a token that was revoked lives"
            elif token.iat >= self.now + CLOCKS - SETTLED:
                assert not held.deny(token), "a token of a living session is dead at birth"
        assert item_size(held) <= READ_UNIT


ahead = st.integers(min_value=0, max_value=CLOCKS)
steps = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0, 1, 1, 2, 5, 9, 10, 11, 14, 15, 16, 29, 30, 31, 60, 900, KEPT])),
    st.tuples(st.just("log in"), ahead, st.integers(1, 12), st.sampled_from([60, 900, LONGEST_ACCESS_TTL])),
    st.tuples(st.just("issue"), ahead, st.integers(0, 40), st.sampled_from([60, 900, LONGEST_ACCESS_TTL])),
    st.tuples(st.just("end"), ahead, st.integers(0, 40), st.integers(1, 30)),
    st.tuples(st.just("revoke"), ahead, st.integers(0, 40), st.integers(1, 16)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, min_size=1, max_size=60))
def test_no_sequence_revives_a_token_or_kills_one_at_birth(sequence: list[tuple[str, int, int, int]]) -> None:
    """Whatever logins, refreshes, logouts, revocations and overflows come, by clocks that differ by 5 s."""
    world = World()
    for _ in range(DENIED_SESSIONS + 15):
        world.log_in(0, LONGEST_ACCESS_TTL)
    for kind, *numbers in sequence:
        if kind == "pass":
            world.pass_on(*numbers)
        else:
            clock, which, more = numbers
            play(world, kind, clock, which, more)
        world.check()


def play(world: World, kind: str, clock: int, which: int, more: int) -> None:
    """One step of a sequence."""
    living = [f"session-{each}" for each in range(world.sessions)]
    if kind == "log in":
        for _ in range(which):
            world.log_in(clock, more)
    elif kind == "issue":
        for sid in living[-which - 1 :]:
            world.issue(sid, clock, more)
    elif kind == "end":
        for sid in [each for each in living if each not in world.ending][which : which + more]:
            world.end(sid, clock)
    else:
        for token in world.tokens[which : which + more]:
            world.revoke(token, clock)


def test_sequence_that_overflows_again_and_again() -> None:
    """Sessions end at a rate that drops names all the time, each issuing a last token ten seconds after it ended."""
    world = World()
    for turn in range(120):
        world.log_in(5, 900)
        world.log_in(0, LONGEST_ACCESS_TTL)
        world.end(f"session-{2 * turn}", turn % (CLOCKS + 1))
        for sid in list(world.ending)[-12:]:
            world.issue(sid, CLOCKS, LONGEST_ACCESS_TTL)
        world.pass_on(1)
        world.check()
    held = world.store.find_denials(CLAIMS.sub)
    assert held.issued_before > START
    assert len(held.sessions) < 60
