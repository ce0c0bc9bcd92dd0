"""The list of one's own sessions, and ending one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.records import Principal
from chalicelib.errors import SessionNotFound
from tests.fakes import CLIENT
from tests.flows.steps import (
    ELSEWHERE,
    assert_dead,
    assert_works,
    change_password,
    log_in,
    log_out,
    refresh,
    sign_up,
)

if TYPE_CHECKING:
    from chalicelib.services.grants import Grant
    from tests.fakes import Keyturn


def listed(keyturn: Keyturn, grant: Grant) -> list[str]:
    """The session ids that the grant's user sees."""
    return [session.sid for session in keyturn.services.sessions.list(keyturn.principal(grant.access_token))]


def test_sessions_are_listed_by_last_use(anywhere: Keyturn) -> None:
    """The one used last comes first, with where and how it was used last."""
    first = sign_up(anywhere.services)
    anywhere.clock.advance(10)
    second = log_in(anywhere.services, transport="cookie")
    assert listed(anywhere, second) == [second.session_id, first.session_id]
    anywhere.clock.advance(10)
    first = refresh(anywhere.services, first, ELSEWHERE)
    latest, earlier = anywhere.services.sessions.list(anywhere.principal(first.access_token))
    assert (latest.sid, latest.rotated_at, latest.created_at) == (
        first.session_id,
        anywhere.clock.now(),
        anywhere.clock.now() - 20,
    )
    assert (latest.address, latest.user_agent, latest.transport) == (ELSEWHERE.address, ELSEWHERE.user_agent, "body")
    assert (earlier.sid, earlier.transport) == (second.session_id, "cookie")


def test_ended_sessions_are_not_listed(anywhere: Keyturn) -> None:
    """Neither what was logged out, nor what a password change ended and whose items still lie there."""
    first, second, third = sign_up(anywhere.services), log_in(anywhere.services), log_in(anywhere.services)
    log_out(anywhere.services, second)
    assert sorted(listed(anywhere, first)) == sorted([first.session_id, third.session_id])
    changed = change_password(anywhere.services, anywhere.principal(first.access_token))
    assert anywhere.store.find_session(third.account.sub, third.session_id) is not None
    assert listed(anywhere, changed) == [first.session_id]


def test_expired_sessions_are_not_listed(keyturn: Keyturn) -> None:
    """The table's TTL lags by days; what is over a limit is not shown meanwhile."""
    sign_up(keyturn.services)
    keyturn.clock.advance(keyturn.config.refresh_idle_ttl)
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
    assert keyturn.services.sessions.list(principal) == []


def test_one_session_is_ended(anywhere: Keyturn) -> None:
    """The chosen one dies at once, access tokens too; the one that asked goes on. The second time there is none."""
    here, there = sign_up(anywhere.services), log_in(anywhere.services)
    principal = anywhere.principal(here.access_token)
    anywhere.services.sessions.end_one(principal, there.session_id, CLIENT)
    assert_dead(anywhere, there)
    assert anywhere.audit.events[-1] == (
        "session_ended",
        {"client": CLIENT, "sub": here.account.sub, "sid": there.session_id, "by": "user"},
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
