"""What must hold when many call one verb at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING, TypeVar

from chalicelib.domain.limits import LimitPolicy
from chalicelib.domain.records import Denials
from chalicelib.store.dynamodb import DENIED_SESSIONS
from chalicelib.store.protocol import NotRotated, PasswordChanged, Rotated
from tests.store.samples import NOW, a_login, a_rotation, a_session, identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.store.protocol import Store
    from tests.store.conftest import Table

Outcome = TypeVar("Outcome")

CALLERS = 12
DENY_UNTIL = NOW + 1020


def at_once(calls: Iterable[Callable[[], Outcome]]) -> list[Outcome]:
    """Make all of the calls at the same moment, each on a thread of its own; their outcomes in order."""
    waiting = list(calls)
    start = Barrier(len(waiting))

    def run(call: Callable[[], Outcome]) -> Outcome:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(waiting)) as threads:
        return list(threads.map(run, waiting))


def test_one_refresh_token_turns_once(store: Store) -> None:
    """Of parallel rotations one wins, and every loser gets the winner's session (regressions: CVE-2026-1035)."""
    session = a_session(identifier())
    store.create_session(session)
    rotations = [a_rotation(session) for _ in range(CALLERS)]
    outcomes = at_once(partial(store.rotate_refresh_token, rotation) for rotation in rotations)
    held = store.find_session(session.sub, session.sid)
    assert held
    assert held.generation == 1
    assert [outcome for outcome in outcomes if isinstance(outcome, Rotated)] == [Rotated(held)]
    assert outcomes.count(NotRotated(held)) == CALLERS - 1


def test_one_email_makes_one_account(store: Store) -> None:
    """Of parallel signups with one address one is told that it made the account, and its account is the one held."""
    logins = [a_login(email="raced@example.com") for _ in range(CALLERS)]
    outcomes = at_once(partial(store.create_account, login, a_session(login.account.sub)) for login in logins)
    assert outcomes.count(True) == 1
    assert store.find_login("raced@example.com") == logins[outcomes.index(True)]


def test_lost_signups_leave_nothing_behind(table: Table) -> None:
    """After parallel signups the table holds the winner's three items and not one more."""
    logins = [a_login(email="raced@example.com") for _ in range(CALLERS)]
    outcomes = at_once(partial(table.store.create_account, login, a_session(login.account.sub)) for login in logins)
    winner = logins[outcomes.index(True)].account.sub
    rows = table.client.scan(TableName=table.name, ConsistentRead=True)["Items"]
    assert sorted(row["pk"]["S"] for row in rows) == ["login#raced@example.com", f"user#{winner}", f"user#{winner}"]


def test_parallel_attempts_do_not_outrun_the_limiter(store: Store) -> None:
    """As many pass as the policy allows in one moment, and exactly one at each later turn."""
    policy = LimitPolicy("race", 3600, ((5, 0), (8, 30)), 300)
    start = NOW - NOW % 3600
    for moment, allowed in ((start, 5), (start + 29, 0), (start + 30, 1), (start + 60, 1)):
        answers = at_once([partial(store.count_attempt, policy, "value", moment)] * CALLERS)
        assert answers.count(0) == allowed


def test_one_password_changes_once(store: Store) -> None:
    """Of parallel changes that verified one password one happens; the epoch rises by one."""
    login = a_login()
    session = a_session(login.account.sub)
    store.create_account(login, session)
    digests = [f"$argon2id${n}" for n in range(CALLERS)]
    outcomes = at_once(
        partial(store.change_password, login, digest, session.sid, now=NOW, deny_until=DENY_UNTIL) for digest in digests
    )
    assert outcomes.count(PasswordChanged.CHANGED) == 1
    held = store.find_login(login.account.email)
    assert held
    assert held.password_digest == digests[outcomes.index(PasswordChanged.CHANGED)]
    assert held.account.epoch == 1
    assert store.find_account(login.account.sub) == held.account


def test_one_epoch_is_raised_once(store: Store) -> None:
    """Of parallel raises of one reading one happens."""
    login = a_login()
    store.create_account(login, a_session(login.account.sub))
    outcomes = at_once([partial(store.raise_epoch, login.account, deny_until=DENY_UNTIL)] * CALLERS)
    assert outcomes.count(True) == 1
    account = store.find_account(login.account.sub)
    assert account
    assert account.epoch == 1


def test_last_places_of_the_blacklist_are_given_once(store: Store) -> None:
    """Parallel denials fill it to the last place and no further; who is refused gets the full list."""
    sub, places = identifier(), 3
    for _ in range(DENIED_SESSIONS - places):
        store.deny_session(sub, identifier(), deny_until=DENY_UNTIL)
    sids = [identifier() for _ in range(CALLERS)]
    outcomes = at_once(partial(store.deny_session, sub, sid, deny_until=DENY_UNTIL) for sid in sids)
    held = store.find_denials(sub)
    assert len(held.sessions) == DENIED_SESSIONS
    assert {sid for sid, outcome in zip(sids, outcomes, strict=True) if outcome is None} == held.sessions & set(sids)
    assert outcomes.count(held) == CALLERS - places


def test_no_denial_is_lost_when_the_list_becomes_a_moment(store: Store) -> None:
    """Whoever denies a session while others replace the list finds it denied afterwards, by name or by moment."""
    sub = identifier()
    seen = Denials(sessions=frozenset(identifier() for _ in range(DENIED_SESSIONS)))
    for sid in seen.sessions:
        store.deny_session(sub, sid, deny_until=DENY_UNTIL)
    sids = [identifier() for _ in range(CALLERS - 2)]
    replace = partial(store.deny_issued_before, sub, seen, NOW, deny_until=DENY_UNTIL)
    denials = [partial(store.deny_session, sub, sid, deny_until=DENY_UNTIL) for sid in sids]
    outcomes: list[Denials | bool | None] = at_once([replace, replace, *denials])
    held = store.find_denials(sub)
    assert outcomes[:2] == [True, True]
    assert held.issued_before == NOW
    assert held.sessions == {sid for sid, listed in zip(sids, outcomes[2:], strict=True) if listed is None}
