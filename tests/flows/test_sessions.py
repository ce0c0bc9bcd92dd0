"""The list of one's own sessions, page by page, and ending one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.callers import Principal
from chalicelib.errors import SessionNotFound
from chalicelib.services.sessions.sessions import PAGE
from tests.flows.contents import contents
from tests.flows.steps import (
    ELSEWHERE,
    NEW_PASSWORD,
    assert_dead,
    assert_works,
    change_password,
    holder,
    log_in,
    log_out,
    refresh,
    sign_up,
)
from tests.flows.tables import a_table
from tests.store.samples import a_session
from tests.world.clock import START
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.sessions import Session
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store

BOTH = pytest.mark.parametrize("make_store", [FakeStore, a_table], ids=["fake", "dynoxide"])


def pages(keyturn: Keyturn, grant: Grant) -> list[list[Session]]:
    """Every page that the grant's user sees."""
    seen: list[list[Session]] = []
    cursor: str | None = None
    while cursor or not seen:
        page, cursor = keyturn.services.sessions.list(holder(keyturn.services, grant), cursor)
        seen.append(page)
        assert len(seen) < 20, "the cursor goes round in circles"
    return seen


def listed(keyturn: Keyturn, grant: Grant) -> list[str]:
    """The session ids that the grant's user sees, of one page."""
    (page,) = pages(keyturn, grant)
    return [session.sid for session in page]


def fill(keyturn: Keyturn, sub: str, count: int, **changes: int | str) -> list[str]:
    """Give the account so many sessions more, begun a second apart in no order of their ids."""
    sids = []
    for number in range(count):
        session = a_session(sub, **{"created_at": START - number, "rotated_at": START, **changes})
        keyturn.store.create_session(session)
        sids.append(session.sid)
    return sids


def test_sessions_are_listed_by_their_beginning(anywhere: Keyturn) -> None:
    """The newest login comes first, with where and how it began; a turn from elsewhere changes nothing of it."""
    first = sign_up(anywhere.services)
    anywhere.clock.advance(10)
    second = log_in(anywhere.services, transport="cookie", client=ELSEWHERE)
    anywhere.clock.advance(10)
    first = refresh(anywhere.services, first, ELSEWHERE)
    assert listed(anywhere, second) == [second.session_id, first.session_id]
    ((latest, earlier),) = pages(anywhere, first)
    assert (latest.created_at, latest.transport) == (START + 10, "cookie")
    assert (latest.address, latest.user_agent) == (ELSEWHERE.address, ELSEWHERE.user_agent)
    assert (earlier.sid, earlier.created_at, earlier.transport) == (first.session_id, START, "body")
    assert (earlier.address, earlier.user_agent) == (CLIENT.address, CLIENT.user_agent)


@BOTH
@pytest.mark.parametrize("count", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 120])
def test_pages_hold_every_session_once(make_store: Callable[[], Store], count: int) -> None:
    """Fifty a page, each page the newest first; together every session of the account, and no other.

    DynamoDB tells that there is no more only where it has looked: a page may be empty.
    """
    keyturn = Keyturn(make_store())
    grant = sign_up(keyturn.services)
    sids = {grant.session_id, *fill(keyturn, grant.account.sub, count - 1)}
    fill(keyturn, sign_up(keyturn.services, email="bob@example.com").account.sub, 5)
    seen = [page for page in pages(keyturn, grant) if page]
    assert [len(page) for page in seen] == [PAGE] * (count // PAGE) + [count % PAGE] * bool(count % PAGE)
    assert {session.sid for page in seen for session in page} == sids
    for page in seen:
        assert [one.created_at for one in page] == sorted((one.created_at for one in page), reverse=True)


@BOTH
def test_page_may_be_short_or_empty_where_sessions_are_over(make_store: Callable[[], Store]) -> None:
    """Dead items are left out and the cursor goes on behind them: a living one on the last page is found."""
    keyturn = Keyturn(make_store())
    grant = sign_up(keyturn.services)
    fill(keyturn, grant.account.sub, 3 * PAGE, idle_expires_at=START)
    seen = pages(keyturn, grant)
    assert len(seen) == 4
    assert sum(not page for page in seen) == 3
    assert [session.sid for page in seen for session in page] == [grant.session_id]


@BOTH
@pytest.mark.parametrize("cursor", ["A" * 22, "z" * 22, "_" * 22, "-" * 22])
def test_cursor_that_is_no_session_is_a_place_in_the_order(make_store: Callable[[], Store], cursor: str) -> None:
    """A cursor is where to go on, whether its session is there any more or not; it opens nobody else's list."""
    keyturn = Keyturn(make_store())
    grant = sign_up(keyturn.services)
    sids = [grant.session_id, *fill(keyturn, grant.account.sub, 5)]
    page, following = keyturn.services.sessions.list(holder(keyturn.services, grant), cursor)
    assert sorted(session.sid for session in page) == sorted(sid for sid in sids if sid > cursor)
    assert following is None


@BOTH
def test_page_goes_on_where_its_last_session_has_ended(make_store: Callable[[], Store]) -> None:
    """Between two pages the session that the cursor names ends: no other is left out or seen twice."""
    keyturn = Keyturn(make_store())
    grant = sign_up(keyturn.services)
    sids = {grant.session_id, *fill(keyturn, grant.account.sub, PAGE + 9)}
    principal = holder(keyturn.services, grant)
    first, cursor = keyturn.services.sessions.list(principal)
    assert cursor is not None
    keyturn.store.delete_session(grant.account.sub, cursor)
    second, end = keyturn.services.sessions.list(principal, cursor)
    assert end is None
    assert sorted(session.sid for session in (*first, *second)) == sorted(sids)


def test_ended_sessions_are_not_listed(anywhere: Keyturn) -> None:
    """Neither what was logged out, nor what a password change ended and whose items still lie there."""
    first, second, third = sign_up(anywhere.services), log_in(anywhere.services), log_in(anywhere.services)
    log_out(anywhere.services, second)
    assert sorted(listed(anywhere, first)) == sorted([first.session_id, third.session_id])
    changed = change_password(anywhere.services, first)
    assert anywhere.store.find_session(third.account.sub, third.session_id) is not None
    assert listed(anywhere, changed) == [first.session_id]


def test_expired_sessions_are_not_listed(keyturn: Keyturn) -> None:
    """The table's TTL lags by days; what is over a limit is not shown meanwhile."""
    sign_up(keyturn.services)
    keyturn.clock.advance(keyturn.config.sessions.idle_ttl)
    grant = log_in(keyturn.services)
    assert listed(keyturn, grant) == [grant.session_id]


def test_sessions_of_others_are_not_listed(anywhere: Keyturn) -> None:
    """A user sees the own ones alone."""
    grant, other = sign_up(anywhere.services), sign_up(anywhere.services, email="bob@example.com")
    assert listed(anywhere, grant) == [grant.session_id]
    assert listed(anywhere, other) == [other.session_id]


def test_account_that_is_not_there_has_no_sessions(keyturn: Keyturn) -> None:
    """A principal whose account is gone sees an empty list."""
    principal = Principal("A" * 22, "B" * 22, ("user",), "", email_verified=False, auth_time=0)
    assert keyturn.services.sessions.list(principal) == ([], None)


def test_one_session_is_ended(anywhere: Keyturn) -> None:
    """The chosen one dies at once, access tokens too; the one that asked goes on. The second time there is none."""
    here, there = sign_up(anywhere.services), log_in(anywhere.services)
    principal = anywhere.principal(here.access_token)
    anywhere.services.sessions.end_one(principal, there.session_id, CLIENT)
    assert_dead(anywhere, there)
    assert anywhere.audit.events[-1] == (
        "session_ended",
        {"caller": CLIENT, "sub": here.account.sub, "sid": there.session_id, "by": "user"},
    )
    with pytest.raises(SessionNotFound):
        anywhere.services.sessions.end_one(principal, there.session_id, CLIENT)
    assert_works(anywhere, here)


def test_own_session_can_be_ended(anywhere: Keyturn) -> None:
    """Ending the session that asks is a logout."""
    grant = sign_up(anywhere.services)
    anywhere.services.sessions.end_one(anywhere.principal(grant.access_token), grant.session_id, CLIENT)
    assert_dead(anywhere, grant)


def test_session_of_somebody_else_cannot_be_ended(anywhere: Keyturn) -> None:
    """An id that is another user's is as unknown as one that never was, and denies nothing (ASVS V8.2.2)."""
    grant, victim = sign_up(anywhere.services), sign_up(anywhere.services, email="bob@example.com")
    principal = anywhere.principal(grant.access_token)
    for sid in (victim.session_id, "A" * 22, "", "state"):
        with pytest.raises(SessionNotFound):
            anywhere.services.sessions.end_one(principal, sid, CLIENT)
    assert anywhere.store.find_denials(grant.account.sub).sessions == frozenset()
    assert_works(anywhere, victim)


def _is_idle(keyturn: Keyturn, grant: Grant) -> Grant:
    keyturn.clock.advance(keyturn.config.sessions.idle_ttl)
    return grant


def _everything_ended(keyturn: Keyturn, grant: Grant) -> Grant:
    keyturn.services.accounts.log_out_everywhere(holder(keyturn.services, grant), CLIENT)
    return grant


def _password_changed(keyturn: Keyturn, grant: Grant) -> Grant:
    return change_password(keyturn.services, grant)


@pytest.mark.parametrize("death", [_is_idle, _everything_ended, _password_changed])
def test_ending_a_dead_session_is_not_found_and_writes_nothing(
    anywhere: Keyturn, death: Callable[[Keyturn, Grant], Grant]
) -> None:
    """Its item may lie there for days: many of them, ended by id, would fill the blacklist for nothing."""
    here, there = sign_up(anywhere.services), log_in(anywhere.services)
    here = death(anywhere, here)
    assert anywhere.store.find_session(there.account.sub, there.session_id) is not None
    before, events = contents(anywhere.store), anywhere.audit.names()
    store = FaultyStore(anywhere.store)
    watched = Keyturn(store, anywhere.clock, anywhere.parameters, anywhere.audit)
    with pytest.raises(SessionNotFound):
        watched.services.sessions.end_one(holder(anywhere.services, here), there.session_id, CLIENT)
    assert store.verbs == ["find_session_and_account"]
    assert contents(anywhere.store) == before
    assert anywhere.audit.names() == events
    log_in(anywhere.services, NEW_PASSWORD if death is _password_changed else "correct horse battery")
