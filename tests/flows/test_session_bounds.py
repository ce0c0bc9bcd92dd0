"""A hundred session items an account, about: one login in sixteen removes what is over, and fails for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib import deadline
from chalicelib.services.sessions.begin import LOOKED_AT, MOST_SESSIONS, REMOVED_AT_ONCE
from tests.flows.federated import Federated, exchange
from tests.flows.steps import assert_works, change_password, holder, log_in, refresh, sign_up
from tests.flows.tables import a_table
from tests.store.samples import a_session
from tests.world.clock import START
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import ChosenSessions, Keyturn, config
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store

WITHOUT_LIMITS = config(login_attempts=10_000, address_attempts=10_000)
BOTH = pytest.mark.parametrize("make_store", [FakeStore, a_table], ids=["fake", "dynoxide"])


class EverySixteenth(ChosenSessions):
    """The randomness of sids, without its luck: one in sixteen, to the login."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = 0

    def token(self, size: int) -> bytes:
        """Of each new session's ids the first is its sid."""
        self._drawn += 1
        self._first = self._drawn // 3 % 16  # a sid, a secret and a device's id are drawn for each
        return super().token(size)


def looking(store: Store, keyturn: Keyturn | None = None) -> Keyturn:
    """Keyturn each of whose logins looks for what is over."""
    if keyturn is None:
        return Keyturn(store, source=ChosenSessions(look=True))
    return Keyturn(store, keyturn.clock, keyturn.parameters, keyturn.audit, source=ChosenSessions(look=True))


def fill(keyturn: Keyturn, sub: str, count: int, prefix: str, **changes: int) -> list[str]:
    """Give the account so many sessions more, used one second after the other, the first one longest ago."""
    sids = []
    for number in range(count):
        sid = f"{prefix}{number:021}"
        used = {"created_at": START - 5000 + number, "rotated_at": START - 5000 + number}
        keyturn.store.create_session(
            a_session(sub, **{"sid": sid, "idle_expires_at": START + 86400, **used, **changes})
        )
        sids.append(sid)
    return sids


def items_of(keyturn: Keyturn, sub: str) -> set[str]:
    """The ids of the account's session items, dead or alive."""
    found, cursor = keyturn.store.list_sessions(sub, after=None, limit=1000)
    assert cursor is None
    return {session.sid for session in found}


@pytest.mark.parametrize(
    "make_store", [pytest.param(FakeStore, id="fake"), pytest.param(a_table, id="dynoxide", marks=pytest.mark.slow)]
)
def test_flood_of_logins_stays_bounded(make_store: Callable[[], Store]) -> None:
    """Hundreds of logins, one in sixteen of which looks: never many more than a hundred items, and the newest work."""
    many = 700 if make_store is FakeStore else 250
    keyturn = Keyturn(make_store(), source=EverySixteenth(), config=WITHOUT_LIMITS)
    grants = [sign_up(keyturn.services)]
    sub, most = grants[0].account.sub, 0
    for number in range(many):
        grants.append(log_in(keyturn.services))
        if number % 20 == 0:
            keyturn.clock.advance(30)
            most = max(most, len(items_of(keyturn, sub)))
    assert MOST_SESSIONS <= most <= LOOKED_AT
    for grant in grants[-5:]:
        assert_works(keyturn, grant)
    page, _ = keyturn.services.sessions.list(holder(keyturn.services, grants[-1]))
    assert page
    keyturn.services.accounts.log_out_everywhere(keyturn.principal(grants[-1].access_token), CLIENT)
    keyturn.clock.advance(3600)
    grant = log_in(keyturn.services)
    seen, cursor = [], None
    for _ in range(1 + LOOKED_AT // 50):
        page, cursor = keyturn.services.sessions.list(holder(keyturn.services, grant), cursor)
        seen += [session.sid for session in page]
        if cursor is None:
            break
    assert seen == [grant.session_id]


@BOTH
@pytest.mark.parametrize(
    ("there", "left"),
    [
        (MOST_SESSIONS - 2, MOST_SESSIONS - 1),
        (MOST_SESSIONS - 1, MOST_SESSIONS),
        (MOST_SESSIONS, MOST_SESSIONS),
        (MOST_SESSIONS + 9, MOST_SESSIONS),
        (MOST_SESSIONS + REMOVED_AT_ONCE - 1, MOST_SESSIONS),
        (MOST_SESSIONS + 60, MOST_SESSIONS + 61 - REMOVED_AT_ONCE),
    ],
)
def test_login_that_looks_leaves_a_hundred(make_store: Callable[[], Store], there: int, left: int) -> None:
    """Itself among them; of more than it can remove at once, the next one removes the rest."""
    keyturn = looking(make_store())
    sub = sign_up(keyturn.services).account.sub
    fill(keyturn, sub, there - 1, "s")
    grant = log_in(keyturn.services)
    assert len(items_of(keyturn, sub)) == left
    assert grant.session_id in items_of(keyturn, sub)
    removed = [facts for name, facts in keyturn.audit.events if name == "sessions_removed"]
    over = there + 1 - left
    assert removed == ([{"caller": CLIENT, "sub": sub, "count": over}] if over else [])


@BOTH
def test_dead_sessions_go_first_then_the_longest_unused(make_store: Callable[[], Store]) -> None:
    """A dead one that was used a moment ago goes before a living one of long ago."""
    keyturn = looking(make_store())
    sub = sign_up(keyturn.services).account.sub
    living = fill(keyturn, sub, MOST_SESSIONS - 1, "a")
    dead = fill(keyturn, sub, 3, "b", rotated_at=START - 1, idle_expires_at=START)
    old = fill(keyturn, sub, 2, "c", rotated_at=START - 1, epoch=-1)
    log_in(keyturn.services)
    assert not {*dead, *old} & items_of(keyturn, sub)
    assert living[0] not in items_of(keyturn, sub)
    assert set(living[1:]) <= items_of(keyturn, sub)


@BOTH
def test_use_keeps_a_session_that_began_long_ago(make_store: Callable[[], Store]) -> None:
    """What is in use stays: by a turn, and by the note of a session cookie's use."""
    keyturn = looking(make_store())
    sub = sign_up(keyturn.services).account.sub
    noted = "a" + "n".zfill(21)
    session = a_session(sub, sid=noted, transport="session", created_at=START - 6000, rotated_at=START - 6000)
    keyturn.store.create_session(session._replace(idle_expires_at=START + 86400))
    sids = fill(keyturn, sub, MOST_SESSIONS + 5, "a")
    keyturn.store.touch_session(sub, noted, now=START, unless_since=START - 60)
    log_in(keyturn.services)
    left = items_of(keyturn, sub)
    assert noted in left
    assert not {*sids[:7]} & left


@BOTH
def test_sessions_of_before_a_password_change_go_first(make_store: Callable[[], Store]) -> None:
    """An epoch that was revoked is dead, whatever its sessions' limits; the one that moved along lives."""
    keyturn = looking(make_store())
    grant = sign_up(keyturn.services)
    sids = fill(keyturn, grant.account.sub, MOST_SESSIONS + 10, "a", rotated_at=START + 60)
    changed = change_password(keyturn.services, grant, new="correct horse battery")
    keyturn.clock.advance(60)
    for _ in range(5):
        log_in(keyturn.services)
    left = items_of(keyturn, grant.account.sub)
    assert len(left) <= MOST_SESSIONS
    assert len({*sids} - left) == MOST_SESSIONS + 10 - len({*sids} & left) > 0
    assert changed.session_id in left
    assert_works(keyturn, refresh(keyturn.services, changed))


def test_session_that_moves_along_meanwhile_is_not_taken_for_dead() -> None:
    """A password change between the login's read of the account and its look: the moved session's epoch is newer."""
    keyturn = Keyturn(FakeStore())
    grant = sign_up(keyturn.services)
    fill(keyturn, grant.account.sub, MOST_SESSIONS, "a")
    changed: list[Grant] = []

    def at_call(verb: str, _: int) -> None:
        if verb == "list_sessions" and not changed:
            changed.append(change_password(keyturn.services, grant, new="correct horse battery"))

    log_in(looking(FaultyStore(keyturn.store, at_call=at_call), keyturn).services)
    assert_works(keyturn, *changed)


def test_other_logins_look_at_nothing(keyturn: Keyturn) -> None:
    """Fifteen of sixteen cost what a login costs, however many sessions there are."""
    sub = sign_up(keyturn.services).account.sub
    fill(keyturn, sub, 2 * MOST_SESSIONS, "a")
    store = FaultyStore(keyturn.store)
    log_in(Keyturn(store, keyturn.clock, keyturn.parameters).services)
    assert not {"list_sessions", "delete_sessions"} & {*store.verbs}


def test_one_login_in_sixteen_looks(keyturn: Keyturn) -> None:
    """By the first byte of the session's id, which is random: sixteen of 256 values."""
    sign_up(keyturn.services)
    store = FaultyStore(keyturn.store)

    class Counted(ChosenSessions):
        """Sids that begin with each byte in turn."""

        first = 0

        def token(self, size: int) -> bytes:
            """The chosen byte, and random ones."""
            return bytes([self.first]) + super().token(size)[1:]

    source = Counted()
    services = Keyturn(
        store, keyturn.clock, keyturn.parameters, config=config(login_attempts=1000), source=source
    ).services
    for source.first in range(256):
        log_in(services)
    assert store.verbs.count("list_sessions") == 16


@pytest.mark.parametrize("fail", [FaultyStore.fail_before, FaultyStore.fail_after])
@pytest.mark.parametrize("verb", ["list_sessions", "delete_sessions"])
@pytest.mark.parametrize("way", ["password", "provider"])
def test_removal_that_fails_fails_no_login(verb: str, fail: Callable[[FaultyStore, str], None], way: str) -> None:
    """A table that does not list or delete in time still lets everybody in; the next look removes what is over."""
    federated = Federated.over(FakeStore())
    keyturn = federated.keyturn
    grant = federated.log_in(federated.google, Person())
    fill(keyturn, grant.account.sub, MOST_SESSIONS + 5, "a")
    change_password(keyturn.services, grant, None)
    store = FaultyStore(keyturn.store)
    fail(store, verb)
    racing = Keyturn(
        store,
        keyturn.clock,
        keyturn.parameters,
        keyturn.audit,
        providers=keyturn.providers,
        source=ChosenSessions(look=True),
    )
    new = (
        log_in(racing.services, "fresh horse battery")
        if way == "password"
        else exchange(racing.services, federated.google, Person())
    )
    assert verb in store.verbs
    assert_works(keyturn, new)
    assert keyturn.audit.names()[-1] in {"logged_in", "sessions_removed"}
    exchange(racing.services, federated.google, Person())
    assert len(items_of(keyturn, grant.account.sub)) <= MOST_SESSIONS + 5


def test_looking_takes_no_more_than_an_attempt() -> None:
    """Neither the list nor the removal may keep a login waiting for the whole time it has."""
    left: list[tuple[str, float]] = []

    def at_call(verb: str, _: int) -> None:
        if verb in {"list_sessions", "delete_sessions"}:
            left.append((verb, deadline.remaining()))

    inner = FakeStore()
    keyturn = Keyturn(inner)
    sub = sign_up(keyturn.services).account.sub
    fill(keyturn, sub, MOST_SESSIONS + 5, "a")
    racing = looking(FaultyStore(inner, at_call=at_call), keyturn)
    with deadline.start():
        log_in(racing.services)
    assert [verb for verb, _ in left] == ["list_sessions", "delete_sessions"]
    assert all(seconds <= deadline.ONE_ATTEMPT_SECONDS for _, seconds in left)


@pytest.mark.parametrize("way", ["callback", "exchange", "login"])
def test_every_way_of_logging_in_looks(federated: Federated, way: str) -> None:
    """A provider's logins are bounded as a password's are."""
    keyturn = federated.keyturn
    grant = federated.log_in(federated.google, Person())
    change_password(keyturn.services, grant, None)
    fill(keyturn, grant.account.sub, MOST_SESSIONS + 5, "a")
    keyturn.source = ChosenSessions(look=True)
    keyturn.services = keyturn.container()
    if way == "callback":
        federated.log_in(federated.google, Person())
    elif way == "exchange":
        exchange(keyturn.services, federated.google, Person())
    else:
        log_in(keyturn.services, "fresh horse battery")
    assert len(items_of(keyturn, grant.account.sub)) == MOST_SESSIONS
