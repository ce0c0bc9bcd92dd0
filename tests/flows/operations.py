"""Every use case as a race or a fault finds it: a world that is ready for it, the act, and what it must come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidGrant,
    InvalidToken,
    SessionNotFound,
)
from chalicelib.services.authorization import Authorization
from tests.fakes import CLIENT
from tests.flows.steps import (
    ELSEWHERE,
    EMAIL,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    assert_dead,
    assert_works,
    change_password,
    decoded,
    generation_of,
    log_in,
    log_out,
    refresh,
    sign_up,
    tampered,
    with_dearer_hash,
)
from tests.flows.tables import fill_blacklist

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.records import Principal
    from chalicelib.services import Services
    from chalicelib.services.tokens import Grant
    from tests.fakes import Keyturn

NEWCOMER = "carol@example.com"


@dataclass
class World:
    """One account with two sessions, and whatever an operation needs besides."""

    keyturn: Keyturn
    here: Grant = field(init=False)
    there: Grant = field(init=False)
    principal: Principal = field(init=False)
    earlier: Grant = field(init=False)  # an older token of `here`, where there is one
    failing: Keyturn = field(init=False)  # over the same table, which may fail for it
    at_call: Callable[[str, int], None] | None = None  # what happens beside the operation, at each of its calls

    def __post_init__(self) -> None:
        self.here = self.earlier = sign_up(self.keyturn.services)
        self.there = log_in(self.keyturn.services, transport="cookie")
        self.principal = self.keyturn.principal(self.here.access_token)

    def turn(self, later: int = 0) -> None:
        """Let `here` refresh, and time pass."""
        self.earlier, self.here = self.here, refresh(self.keyturn.services, self.here)
        self.keyturn.clock.advance(later)

    def fill_blacklist(self) -> None:
        """Let the user have logged out as often as the blacklist has room for."""
        fill_blacklist(self.keyturn.store, self.principal.sub)


def nothing(_: World) -> None:
    """Ready as it is, or content with anything."""


@dataclass(frozen=True)
class Operation:
    """`act` runs in a container whose store may fail. `refusal`: how it ends where nothing fails, if not well.

    `again`: how else it may end when it is sent again after a 503. `settled` is checked after that.
    """

    act: Callable[[World, Services], object]
    ready: Callable[[World], None] = nothing
    refusal: type[Exception] | None = None
    again: tuple[type[Exception], ...] = ()
    settled: Callable[[World], None] = nothing


def both_work(world: World) -> None:
    """Both sessions go on."""
    assert_works(world.keyturn, world.here)
    assert_works(world.keyturn, world.there)


def here_is_over(world: World) -> None:
    """The one session is dead, with every token it ever had; the other one works."""
    assert_dead(world.keyturn, world.here, world.earlier)
    assert_works(world.keyturn, world.there)


def there_is_over(world: World) -> None:
    """The other way round."""
    assert_dead(world.keyturn, world.there)
    assert_works(world.keyturn, world.here)


def turned_once(world: World) -> None:
    """However often the token was presented, its session is one generation further, and works."""
    assert generation_of(world.keyturn, world.here) == 1
    assert_works(world.keyturn, refresh(world.keyturn.services, world.earlier))


def newcomer_logs_in(world: World) -> None:
    """The account is there, once, and its password fits."""
    assert_works(world.keyturn, log_in(world.keyturn.services, email=NEWCOMER))


def nobody_came(world: World) -> None:
    """There is one account, as before."""
    with pytest.raises(InvalidCredentials):
        log_in(world.keyturn.services, WRONG_PASSWORD)
    both_work(world)


def password_is_old(world: World) -> None:
    """The password is the one of before, and so are the sessions."""
    assert_works(world.keyturn, log_in(world.keyturn.services))
    both_work(world)


def password_is_new(world: World) -> None:
    """The new password fits and the old one does not; the session that asked goes on, the other one is over."""
    assert_dead(world.keyturn, world.there)
    assert_works(world.keyturn, refresh(world.keyturn.services, world.here))
    assert_works(world.keyturn, log_in(world.keyturn.services, NEW_PASSWORD))
    with pytest.raises(InvalidCredentials):
        log_in(world.keyturn.services)


def all_is_over(world: World) -> None:
    """No session of before is accepted; the next login is."""
    assert_dead(world.keyturn, world.here, world.earlier, world.there)
    assert_works(world.keyturn, log_in(world.keyturn.services))


def account_is_disabled(world: World) -> None:
    """No session of before is accepted, and no login."""
    assert_dead(world.keyturn, world.here, world.earlier, world.there)
    with pytest.raises(InvalidCredentials):
        log_in(world.keyturn.services)


def digest_is_new(world: World) -> None:
    """The digest is of today's parameters, and everybody stays logged in."""
    login = world.keyturn.store.find_login(EMAIL)
    assert login
    assert not with_dearer_hash(world.keyturn.services).accounts.hasher.needs_rehash(login.password_digest)
    both_work(world)


def _sign_up_carrying(world: World, services: Services) -> Grant:
    return sign_up(services, email=NEWCOMER, carried=decoded(world.keyturn.services, world.there))


def _log_in_carrying(world: World, services: Services) -> Grant:
    return log_in(services, carried=decoded(world.keyturn.services, world.there))


def _newcomer_carries(world: World) -> None:
    # A signup that is sent again is refused before it ends anything: the login that follows it does.
    log_in(world.keyturn.services, email=NEWCOMER, carried=decoded(world.keyturn.services, world.there))
    there_is_over(world)


def _forge(world: World, services: Services) -> Grant:
    return services.tokens.refresh(tampered(world.keyturn, world.here, secret=bytes(32)), ELSEWHERE)


def _authorize(world: World, services: Services) -> object:
    return Authorization(services.access_tokens, services.tokens.store, world.keyturn.clock).authorize(
        world.here.access_token
    )


def _turn_and_fill_blacklist(world: World) -> None:
    world.turn(later=21)
    world.fill_blacklist()


def _change_password_at_rotation(world: World) -> None:
    once = iter([change_password])

    def at_call(verb: str, _: int) -> None:
        if verb == "rotate_refresh_token":
            for change in once:
                change(world.keyturn.services, world.principal)

    world.at_call = at_call


def _end_there(world: World, services: Services) -> None:
    services.sessions.end_one(world.principal, world.there.session_id, CLIENT)


OPERATIONS = {
    "signup": Operation(
        lambda _, services: sign_up(services, email=NEWCOMER), again=(EmailTaken,), settled=newcomer_logs_in
    ),
    "signup with a session": Operation(_sign_up_carrying, again=(EmailTaken,), settled=_newcomer_carries),
    "signup with a known address": Operation(
        lambda _, services: sign_up(services), refusal=EmailTaken, settled=both_work
    ),
    "login": Operation(lambda _, services: log_in(services), settled=both_work),
    "login with a session": Operation(_log_in_carrying, settled=there_is_over),
    "login with a rehash": Operation(lambda _, services: log_in(with_dearer_hash(services)), settled=digest_is_new),
    "login with a wrong password": Operation(
        lambda _, services: log_in(services, WRONG_PASSWORD), refusal=InvalidCredentials, settled=nobody_came
    ),
    "refresh": Operation(lambda world, services: refresh(services, world.earlier), settled=turned_once),
    "refresh that loses a race": Operation(
        lambda world, services: refresh(services, world.earlier), ready=World.turn, settled=turned_once
    ),
    "refresh by a thief": Operation(
        lambda world, services: refresh(services, world.earlier),
        ready=lambda world: world.turn(later=21),
        refusal=InvalidGrant,
        settled=here_is_over,
    ),
    "refresh by a thief, blacklist full": Operation(
        lambda world, services: refresh(services, world.earlier),
        ready=_turn_and_fill_blacklist,
        refusal=InvalidGrant,
        settled=lambda world: assert_dead(world.keyturn, world.here, world.earlier),
    ),
    "refresh that meets a password change": Operation(
        lambda world, services: refresh(services, world.earlier),
        ready=_change_password_at_rotation,
        settled=turned_once,
    ),
    "refresh with a forged secret": Operation(_forge, refusal=InvalidGrant, settled=both_work),
    "logout": Operation(lambda world, services: log_out(services, world.here), settled=here_is_over),
    "logout, blacklist full": Operation(
        lambda world, services: log_out(services, world.here),
        ready=World.fill_blacklist,
        settled=lambda world: assert_dead(world.keyturn, world.here),
    ),
    "logout everywhere": Operation(
        lambda world, services: services.accounts.log_out_everywhere(world.principal, CLIENT), settled=all_is_over
    ),
    "password change": Operation(
        lambda world, services: change_password(services, world.principal),
        again=(InvalidCredentials,),
        settled=password_is_new,
    ),
    "password change with a wrong one": Operation(
        lambda world, services: change_password(services, world.principal, WRONG_PASSWORD),
        refusal=InvalidCredentials,
        settled=password_is_old,
    ),
    "disabling": Operation(
        lambda world, services: services.accounts.disable(world.principal.sub, CLIENT), settled=account_is_disabled
    ),
    "list of sessions": Operation(lambda world, services: services.sessions.list(world.principal), settled=both_work),
    "end of one session": Operation(_end_there, again=(SessionNotFound,), settled=there_is_over),
    "end of an unknown session": Operation(
        lambda world, services: services.sessions.end_one(world.principal, "A" * 22, CLIENT),
        refusal=SessionNotFound,
        settled=both_work,
    ),
    "account": Operation(lambda world, services: services.accounts.account(world.principal), settled=both_work),
    "authorize": Operation(_authorize, settled=both_work),
    "authorize after a logout": Operation(
        _authorize,
        ready=lambda world: log_out(world.keyturn.services, world.here),
        refusal=InvalidToken,
        settled=here_is_over,
    ),
}
