"""Two operations race, one of them run whole at every store call of the other: what was revoked is dead afterwards.

A newcomer (a login, a refresh) meets an ender (what revokes sessions), each nested into the other, before and after
each call. With which state a login was made is told by the order of two calls: its read, and the ender's write.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import AuthError, InvalidCredentials, InvalidGrant, InvalidToken, SessionNotFound, Unavailable
from tests.flows.contents import contents
from tests.flows.operations import World
from tests.flows.racing import RacedStore
from tests.flows.steps import (
    NEW_PASSWORD,
    assert_dead,
    assert_works,
    change_password,
    decoded,
    device_token,
    log_in,
    log_out,
    refresh,
    with_dearer_hash,
)
from tests.flows.tables import a_table
from tests.world.constants import CLIENT, PASSWORD
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store


@dataclass(frozen=True)
class Newcomer:
    """What uses the state that an ender changes. `refreshes`: the session `here`, or else it makes one of its own.

    `later`: so many seconds ago `here` has turned its key.
    """

    act: Callable[[World, Services], Grant]
    refreshes: bool = False
    later: int = 0
    ends_here: bool = False


@dataclass(frozen=True)
class Ender:
    """What revokes: `here` in any case. `write` is the call that does it for the whole account, if it does.

    `renews` is the session that goes on, by what the ender is answered with; what it held before is dead.
    """

    act: Callable[[World, Services], Grant | None]
    write: str | None = None
    ends_there: bool = False
    password: str | None = PASSWORD  # which logs in afterwards
    renews: str | None = None
    list_full: bool = False  # then every access token of so far is denied, and clients refresh


def _log_in_carrying(world: World, services: Services) -> Grant:
    return log_in(services, carried=decoded(services, world.here))


def _change_password_from_there(world: World, services: Services) -> Grant:
    return change_password(services, world.there)


def _end_here_from_there(world: World, services: Services) -> None:
    principal = world.keyturn.principal(world.there.access_token)
    services.sessions.end_one(principal, world.here.session_id, CLIENT)


NEWCOMERS = {
    "login": Newcomer(lambda _, services: log_in(services)),
    "login with a session": Newcomer(_log_in_carrying, ends_here=True),
    "login with a rehash": Newcomer(lambda _, services: log_in(with_dearer_hash(services))),
    "refresh": Newcomer(lambda world, services: refresh(services, world.here), refreshes=True, later=21),
    "refresh again": Newcomer(lambda world, services: refresh(services, world.here), refreshes=True),
    "refresh that loses": Newcomer(lambda world, services: refresh(services, world.earlier), refreshes=True),
    "refresh that is late": Newcomer(
        lambda world, services: refresh(services, world.earlier, device_token=device_token(world.earlier)),
        refreshes=True,
        later=21,
    ),
}
ENDERS = {
    "password change": Ender(
        _change_password_from_there, "change_password", ends_there=True, password=NEW_PASSWORD, renews="there"
    ),
    "own password change": Ender(
        lambda world, services: change_password(services, world.here),
        "change_password",
        ends_there=True,
        renews="here",
        password=NEW_PASSWORD,
    ),
    "logout everywhere": Ender(
        lambda world, services: services.accounts.log_out_everywhere(world.principal, CLIENT),
        "raise_epoch",
        ends_there=True,
    ),
    "disabling": Ender(
        lambda world, services: services.accounts.disable(world.principal.sub, CLIENT),
        "raise_epoch",
        ends_there=True,
        password=None,
    ),
    "logout": Ender(lambda world, services: log_out(services, world.here)),
    "logout, blacklist full": Ender(lambda world, services: log_out(services, world.here), list_full=True),
    "end of the session": Ender(_end_here_from_there),
}

ACCOUNT_WIDE = [name for name, ender in ENDERS.items() if ender.write]


class Race:
    """One newcomer and one ender over one store, where `here` has turned its key once."""

    def __init__(self, newcomer: Newcomer, ender: Ender, store: Store) -> None:
        self.newcomer, self.ender = newcomer, ender
        self.world = World.over(store)
        self.world.turn(later=newcomer.later)
        self.keyturn = self.world.keyturn
        if ender.list_full:
            self.world.fill_blacklist()
        self.timeline: list[tuple[str, str]] = []
        self.grants: dict[str, Grant | None] = {}
        self.refusals: dict[str, type[AuthError]] = {}

    def run(self, outer: str, *, before: int | None = None, after: int | None = None, tick: int = 0) -> int:
        """Run the outer side, the other one whole at its chosen call, `tick` seconds later; the outer side's calls."""
        inner = "ender" if outer == "newcomer" else "newcomer"
        store = RacedStore(self.keyturn.store, outer, self.timeline)
        store.before, store.after = before, after

        def rival() -> None:
            self.keyturn.clock.advance(tick)
            self._act(inner, RacedStore(self.keyturn.store, inner, self.timeline))

        store.rival = rival
        self._act(outer, store)
        return len(store.calls)

    def _act(self, side: str, store: RacedStore) -> None:
        act = self.newcomer.act if side == "newcomer" else self.ender.act
        keyturn = self.keyturn
        racing = Keyturn(store, keyturn.clock, keyturn.parameters, keyturn.audit)
        try:
            self.grants[side] = act(self.world, racing.services)
        except AuthError as refusal:
            self.refusals[side] = type(refusal)
            if isinstance(refusal, Unavailable):  # the client sends it again
                self._act(side, RacedStore(keyturn.store, side, self.timeline))

    def judge(self) -> None:
        """What must hold after any interleaving."""
        contents(self.keyturn.store).assert_whole()
        assert "refresh_token_reused" not in self.keyturn.audit.names(), "nobody has stolen anything"
        ended = "ender" in self.grants
        if not ended:
            # The newcomer's login took away the session that the ender would have ended, or asked from.
            assert self.newcomer.ends_here
            assert self.refusals["ender"] in {InvalidToken, SessionNotFound}
        self.judge_newcomer(ended)
        world = self.world
        here_is_over = ended or (self.newcomer.ends_here and "newcomer" in self.grants)
        if here_is_over:
            assert_dead(self.keyturn, world.here, world.earlier)
        elif not self.newcomer.refreshes:
            self.assert_lives(world.here)
        if ended and self.ender.ends_there:
            assert_dead(self.keyturn, world.there)
        else:
            self.assert_lives(world.there)
        self.judge_renewal()
        self.judge_passwords(self.ender.password if ended else PASSWORD)

    def judge_renewal(self) -> None:
        """The session that a password change renews goes on, unless a login that carried it has found it living."""
        renewed = self.grants.get("ender")
        if renewed is None:
            return
        taken_away = self.newcomer.ends_here and self.ender.renews == "here" and "newcomer" in self.grants
        write = self.timeline.index(("ender", "change_password"))
        if taken_away and ("newcomer", "find_session_and_account") in self.timeline[:write]:
            assert_dead(self.keyturn, renewed)
        else:
            assert_works(self.keyturn, renewed)

    def judge_newcomer(self, ended: bool) -> None:  # noqa: FBT001 - the one fact that decides
        """A session of the old state is dead, one of the new state works, and no refusal is without a reason."""
        grant = self.grants.get("newcomer")
        if self.newcomer.refreshes:
            assert grant or self.refusals["newcomer"] is InvalidGrant
            if grant:
                assert_dead(self.keyturn, grant)
            return
        old = ended and self.ender.write is not None and self.read_before(self.ender.write)
        if grant is None:
            assert self.refusals["newcomer"] is InvalidCredentials
            assert not old
            assert self.ender.password != PASSWORD
        elif old:
            assert_dead(self.keyturn, grant)
        else:
            self.assert_lives(grant)

    def judge_passwords(self, password: str | None) -> None:
        """The password of now logs in; no other one does."""
        for candidate in (PASSWORD, NEW_PASSWORD):
            if candidate == password:
                assert_works(self.keyturn, log_in(self.keyturn.services, candidate))
            else:
                with pytest.raises(InvalidCredentials):
                    log_in(self.keyturn.services, candidate)

    def read_before(self, write: str) -> bool:
        """Whether the login read the account before the ender's write was done."""
        return self.timeline.index(("newcomer", "find_login")) < self.timeline.index(("ender", write))

    def assert_lives(self, grant: Grant) -> None:
        """The session goes on. Its access token of before the race may be denied: clients refresh then."""
        if self.ender.list_full:
            self.keyturn.clock.advance(1)
        assert_works(self.keyturn, refresh(self.keyturn.container(), grant))


def interleavings(newcomer: Newcomer, ender: Ender, make_store: Callable[[], Store]) -> Iterator[tuple[str, str, int]]:
    """Every place at which the one can run within the other: counted in a run without a race."""
    for outer in ("newcomer", "ender"):
        calls = Race(newcomer, ender, make_store()).run(outer)
        for position in range(calls):
            yield outer, "before", position
            yield outer, "after", position


QUICK_ON_A_TABLE = {("login", "logout everywhere"), ("refresh", "password change")}


@pytest.mark.parametrize("ender", ENDERS)
@pytest.mark.parametrize("newcomer", NEWCOMERS)
def test_nothing_of_the_old_state_is_accepted(newcomer: str, ender: str) -> None:
    """At every call, both ways, within one second (ASVS V7.4.1; CVE-2026-22706)."""
    run_all(NEWCOMERS[newcomer], ENDERS[ender], FakeStore, tick=0)


@pytest.mark.parametrize(
    "ender",
    [
        "logout everywhere",
        *(pytest.param(ender, marks=pytest.mark.slow) for ender in ("disabling", "logout", "logout, blacklist full")),
    ],
)
@pytest.mark.parametrize("newcomer", NEWCOMERS)
def test_nothing_of_the_old_state_is_accepted_a_second_later(newcomer: str, ender: str) -> None:
    """The clock moves while the one waits for the other: what was issued late is denied as well."""
    run_all(NEWCOMERS[newcomer], ENDERS[ender], FakeStore, tick=1)


@pytest.mark.parametrize(
    ("newcomer", "ender"),
    [
        pytest.param(*pair, marks=() if pair in QUICK_ON_A_TABLE else pytest.mark.slow)
        for pair in [
            *product(["login", "refresh"], [*ACCOUNT_WIDE, "logout"]),
            ("login with a rehash", "password change"),
            ("login with a rehash", "own password change"),
        ]
    ],
)
def test_nothing_of_the_old_state_is_accepted_by_a_real_table(newcomer: str, ender: str) -> None:
    """The same on the persistent engine."""
    run_all(NEWCOMERS[newcomer], ENDERS[ender], a_table, tick=1)


def run_all(newcomer: Newcomer, ender: Ender, make_store: Callable[[], Store], tick: int) -> None:
    """Race the two in every way."""
    for outer, when, position in interleavings(newcomer, ender, make_store):
        race = Race(newcomer, ender, make_store())
        try:
            race.run(outer, **{when: position}, tick=tick)
            assert {"newcomer", "ender"} == {*race.grants, *race.refusals}
            race.judge()
        except BaseException as error:
            error.add_note(f"{outer} met the other side {when} call {position}: {race.timeline}")
            raise
