"""Two operations race, one of them run whole at every store call of the other: what was revoked is dead afterwards.

A login or a refresh (the newcomer) meets what ends sessions (the ender), each nested into the other, before and after
each call. Which state a newcomer was made with is decided by the order of two calls: its read of the account, and the
ender's write.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import AuthError, InvalidCredentials, InvalidGrant, Unavailable
from tests.fakes import CLIENT, Keyturn
from tests.fakes_store import FakeStore
from tests.faults import FaultyStore
from tests.flows.contents import contents
from tests.flows.operations import World
from tests.flows.steps import (
    EMAIL,
    NEW_PASSWORD,
    assert_dead,
    assert_works,
    change_password,
    decoded,
    log_in,
    log_out,
    refresh,
    with_dearer_hash,
)
from tests.flows.tables import a_table, fill_blacklist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.services import Services
    from chalicelib.services.tokens import Grant
    from chalicelib.store.protocol import Store

    Act = Callable[[World, Services], Any]


class RacedStore(FaultyStore):
    """Lets `rival` run whole before or after one call, and notes the calls of both sides in `timeline`."""

    def __init__(self, inner: Store, timeline: list[str]) -> None:
        super().__init__(inner)
        self.timeline = timeline
        self.before: int | None = None
        self.after: int | None = None
        self.rival: Callable[[], None] | None = None
        self._turn = RLock()

    def _call(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._turn:  # calls that are made at once are raced one by one
            position = len(self.calls)
            if position == self.before and self.rival:
                self.rival()
            outcome = super()._call(verb, *args, **kwargs)
            self.timeline.append(verb.__name__)
            if position == self.after and self.rival:
                self.rival()
            return outcome


@dataclass
class Outcome:
    """What an operation came to."""

    grant: Grant | None = None
    refusal: type[AuthError] | None = None


@dataclass(frozen=True)
class Ender:
    """What ends sessions: `write` is the call that does it."""

    act: Act
    write: str
    password: str | None = "correct horse battery"  # what logs in afterwards
    ends_here: bool = True
    ends_there: bool = True


def _from_there(world: World, services: Services) -> Any:
    return change_password(services, world.keyturn.principal(world.there.access_token))


def _full_list(world: World, services: Services) -> None:
    fill_blacklist(services.sessions.store.inner, world.principal.sub)  # type: ignore[attr-defined]  # the racing store
    log_out(services, world.here)


def _later(act: Act) -> Act:
    def at_the_next_second(world: World, services: Services) -> Any:
        world.keyturn.clock.advance(1)
        return act(world, services)

    return at_the_next_second


NEWCOMERS: dict[str, Act] = {
    "login": lambda _, services: log_in(services),
    "login with a session": lambda world, services: log_in(services, carried=decoded(services, world.here)),
    "login with a rehash": lambda _, services: log_in(with_dearer_hash(services)),
    "refresh": lambda world, services: refresh(services, world.here),
    "refresh that loses": lambda world, services: refresh(services, world.earlier),
}
ENDERS = {
    "password change": Ender(_from_there, "change_password", password=NEW_PASSWORD, ends_there=False),
    "own password change": Ender(
        lambda world, services: change_password(services, world.principal),
        "change_password",
        password=NEW_PASSWORD,
        ends_here=False,
    ),
    "logout everywhere": Ender(
        lambda world, services: services.accounts.log_out_everywhere(world.principal, CLIENT), "raise_epoch"
    ),
    "disabling": Ender(
        lambda world, services: services.accounts.disable(world.principal.sub, CLIENT), "raise_epoch", password=None
    ),
    "logout": Ender(lambda world, services: log_out(services, world.here), "delete_session", ends_there=False),
    "logout, list full": Ender(_full_list, "delete_session", ends_there=False),
    "end of the session": Ender(
        lambda world, services: services.sessions.end_one(
            world.keyturn.principal(world.there.access_token), world.here.session_id, CLIENT
        ),
        "delete_session",
        ends_there=False,
    ),
}


@dataclass
class Race:
    """One newcomer against one ender, over one store."""

    newcomer: Act
    ender: Ender
    store: Store

    def __post_init__(self) -> None:
        self.world = World(Keyturn(self.store))
        self.world.turn()
        self.timeline: list[str] = []
        self.outcomes: dict[str, Outcome] = {}

    def run(self, outer: str, *, before: int | None = None, after: int | None = None) -> int:
        """Run the outer side, and the other one whole at the chosen call; how many calls the outer one made."""
        store = RacedStore(self.store, self.timeline)
        store.before, store.after = before, after
        store.rival = lambda: self._side("ender" if outer == "newcomer" else "newcomer", RacedStore(self.store, self.timeline))
        self._side(outer, store)
        return len(store.calls)

    def _side(self, side: str, store: RacedStore) -> None:
        act = self.newcomer if side == "newcomer" else self.ender.act
        racing = Keyturn(store, self.world.keyturn.clock, self.world.keyturn.parameters)
        outcome = self.outcomes[side] = Outcome()
        try:
            grant = act(self.world, racing.services)
        except AuthError as refusal:
            outcome.refusal = type(refusal)
        else:
            outcome.grant = grant
        self.audit = racing.audit
