"""What must hold when many call one verb at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING, TypeVar

import pytest

from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS, deny_until, entry
from chalicelib.domain.limits import LimitPolicy
from chalicelib.errors import Unavailable
from chalicelib.services.sessions.sessions import Sessions
from chalicelib.store.outcomes import AccessChanged, LateAnswer, NotRotated, Rotated
from tests.flows.contents import contents
from tests.store.samples import (
    NOW,
    PROVEN,
    a_login,
    a_renewal,
    a_rotation,
    a_session,
    a_transaction,
    an_arrival,
    an_identity,
    elsewhere,
    identifier,
)
from tests.world.clock import FrozenClock
from tests.world.keyturn import RecordingAudit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.store.protocol import Store
    from tests.store.conftest import Table

Outcome = TypeVar("Outcome")

CALLERS = 12
MANY = 20
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


def test_one_token_is_answered_late_once(store: Store) -> None:
    """Of parallel late answers to one token one turns the key; every loser gets what it has to unwrap from."""
    session = a_session(identifier(), generation=4)
    store.create_session(session)
    answers = [a_rotation(session, late=LateAnswer(3, bytes([number] * 32), (NOW,))) for number in range(CALLERS)]
    outcomes = at_once(partial(store.rotate_refresh_token, answer) for answer in answers)
    held = store.find_session(session.sub, session.sid)
    assert held
    assert (held.generation, held.late_base) == (5, 3)
    assert [outcome for outcome in outcomes if isinstance(outcome, Rotated)] == [Rotated(held)]
    assert outcomes.count(NotRotated(held)) == CALLERS - 1


def test_session_is_renewed_once(store: Store) -> None:
    """Of parallel renewals and turns that read one session one happens, and what it leaves is whole."""
    session = a_session(identifier(), generation=4, wrapped=bytes(32))
    store.create_session(session)
    renewals = [a_renewal(session) for _ in range(CALLERS // 2)]
    rotations = [a_rotation(session) for _ in range(CALLERS // 2)]
    outcomes: list[bool | Rotated | NotRotated] = at_once(
        [
            *(partial(store.renew_session, renewal) for renewal in renewals),
            *(partial(store.rotate_refresh_token, rotation) for rotation in rotations),
        ]
    )
    held = store.find_session(session.sub, session.sid)
    assert held
    won = [outcome for outcome in outcomes if outcome is True or isinstance(outcome, Rotated)]
    assert len(won) == 1
    assert held.generation == 5
    if won == [True]:
        assert held.digest == renewals[outcomes.index(True)].next_digest
        assert (held.floor, held.wrapped) == (5, b"")
    else:
        assert won == [Rotated(held)]
        assert (held.floor, held.wrapped != b"") == (0, True)


def test_one_minute_of_use_is_noted_once(store: Store) -> None:
    """Parallel requests with one cookie leave one note, and nothing else of the session changes."""
    session = a_session(identifier(), transport="session")
    store.create_session(session)
    moments = [NOW + 60 + number for number in range(CALLERS)]
    touch = partial(store.touch_session, session.sub, session.sid)
    at_once(partial(touch, now=moment, unless_since=moment - 59) for moment in moments)
    held = store.find_session(session.sub, session.sid)
    assert held
    assert held.used_at in moments
    assert held == session._replace(used_at=held.used_at)


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


def test_parallel_returns_give_back_what_was_counted(store: Store) -> None:
    """Attempts that are counted and given back at once leave the counter as it was: no return is lost, none doubled."""
    policy = LimitPolicy("race", 3600, ((CALLERS, 0),), 300)
    start = NOW - NOW % 3600
    assert at_once([partial(store.count_attempt, policy, "value", start)] * CALLERS) == [0] * CALLERS
    assert store.count_attempt(policy, "value", start) == 300
    at_once([partial(store.return_attempt, policy, "value", start)] * (CALLERS - 1))
    answers = at_once([partial(store.count_attempt, policy, "value", start)] * (2 * CALLERS))
    assert answers.count(0) == CALLERS - 1


def test_one_password_changes_once(store: Store) -> None:
    """Of parallel changes that verified one password one happens; the epoch rises by one."""
    login = a_login()
    session = a_session(login.account.sub)
    store.create_account(login, session)
    digests = [f"$argon2id${n}" for n in range(CALLERS)]
    renewals = [a_renewal(session, epoch=1) for _ in digests]
    outcomes = at_once(
        partial(store.change_password, login, digest, renewal, deny_until=DENY_UNTIL)
        for digest, renewal in zip(digests, renewals, strict=True)
    )
    assert outcomes.count(AccessChanged.CHANGED) == 1
    winner = outcomes.index(AccessChanged.CHANGED)
    held = store.find_login(login.account.email)
    assert held
    assert held.password_digest == digests[winner]
    renewed = store.find_session(session.sub, session.sid)
    assert renewed
    assert (renewed.digest, renewed.floor, renewed.epoch) == (renewals[winner].next_digest, 1, 1)
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
        store.deny_session(sub, identifier(), now=NOW)
    sids = [identifier() for _ in range(CALLERS)]
    outcomes = at_once(partial(store.deny_session, sub, sid, now=NOW) for sid in sids)
    held = store.find_denials(sub)
    assert len(held.sessions) == DENIED_SESSIONS
    taken = {entry(sid, deny_until(NOW)) for sid, outcome in zip(sids, outcomes, strict=True) if outcome is None}
    assert taken == held.sessions & {entry(sid, deny_until(NOW)) for sid in sids}
    assert outcomes.count(held) == CALLERS - places


def test_sessions_and_tokens_do_not_take_each_others_places(store: Store) -> None:
    """Parallel denials of both kinds fill both sets to the last place and no further."""
    sub = identifier()
    for _ in range(DENIED_SESSIONS - 2):
        store.deny_session(sub, identifier(), now=NOW)
    for _ in range(DENIED_TOKENS - 2):
        store.deny_token(sub, identifier(), now=NOW)
    sessions = [partial(store.deny_session, sub, identifier(), now=NOW) for _ in range(4)]
    tokens = [partial(store.deny_token, sub, identifier(), now=NOW) for _ in range(4)]
    outcomes = at_once([*sessions, *tokens])
    held = store.find_denials(sub)
    assert (len(held.sessions), len(held.tokens)) == (DENIED_SESSIONS, DENIED_TOKENS)
    assert (outcomes[:4].count(None), outcomes[4:].count(None)) == (2, 2)


def test_full_list_is_compacted_once(store: Store) -> None:
    """Of parallel replacements of one list, each with a name of its own, one happens; the others read again."""
    sub = identifier()
    for _ in range(DENIED_SESSIONS):
        store.deny_session(sub, identifier(), now=NOW)
    seen = store.find_denials(sub)
    compacted = [seen.with_name("sessions", identifier(), NOW + 60) for _ in range(CALLERS)]
    outcomes = at_once(partial(store.replace_denials, sub, seen, each) for each in compacted)
    assert outcomes.count(True) == 1
    assert store.find_denials(sub) == compacted[outcomes.index(True)]


@pytest.mark.parametrize("later", [1, 60])
def test_no_denial_is_lost_when_the_list_is_compacted(store: Store, later: int) -> None:
    """Sessions that end at one moment, over a full list, are all denied by name afterwards."""
    sub, before = identifier(), [identifier() for _ in range(DENIED_SESSIONS)]
    for sid in before:
        store.deny_session(sub, sid, now=NOW)
    sids = [identifier() for _ in range(CALLERS)]
    sessions = Sessions(store, FrozenClock(NOW + later), RecordingAudit())

    def end(sid: str) -> None:
        for _ in range(CALLERS):  # a client that is told 503 comes again
            with suppress(Unavailable):
                sessions.end(sub, sid)
                return
        pytest.fail("never ended")

    at_once(partial(end, sid) for sid in sids)
    held = store.find_denials(sub)
    named = {each.partition("#")[2] for each in held.sessions}
    assert named == ({*sids} if later == 60 else {*before, *sids})
    assert held.issued_before == (NOW + 45 if later == 60 else 0)


def test_one_transaction_is_taken_once(store: Store) -> None:
    """Of parallel callbacks with one state one gets the transaction (regressions: CVE-2026-22751)."""
    transaction = a_transaction()
    store.begin_login(b"digest", transaction)
    outcomes = at_once(partial(store.take_login, b"digest", f"attempt-{n}", NOW) for n in range(MANY))
    assert outcomes.count(transaction) == 1
    assert outcomes.count(None) == MANY - 1


@pytest.mark.parametrize("email", ["raced@example.com", None])
def test_one_identity_makes_one_account(store: Store, email: str | None) -> None:
    """Of parallel first arrivals one makes the account, also where each tells another address."""
    identity = an_identity()
    addresses = [email or f"{n}@example.com" for n in range(MANY)]
    logins = [an_arrival(identity, email=address) for address in addresses]
    outcomes = at_once(partial(store.create_account, login, a_session(login.account.sub)) for login in logins)
    assert outcomes.count(True) == 1
    winner = logins[outcomes.index(True)]
    assert store.find_identity(identity.issuer, identity.subject) == winner.account.sub
    held = contents(store)
    held.assert_whole()
    assert list(held.logins.values()) == [winner]
    assert len(held.sessions) == 1


def test_one_identity_is_linked_to_one_account(store: Store) -> None:
    """Of accounts that link one identity at once one has it; each other one is told that it is taken."""
    identity, logins = an_identity(), [a_login() for _ in range(CALLERS)]
    for login in logins:
        store.create_account(login, a_session(login.account.sub))
    outcomes = at_once(partial(store.link_identity, login, identity, proves=None, session=None) for login in logins)
    assert outcomes.count(AccessChanged.CHANGED) == 1
    assert outcomes.count(AccessChanged.IDENTITY_TAKEN) == CALLERS - 1
    winner = logins[outcomes.index(AccessChanged.CHANGED)]
    assert store.find_identity(identity.issuer, identity.subject) == winner.account.sub
    contents(store).assert_whole()


def test_account_is_linked_or_taken_over(store: Store) -> None:
    """Of links and take-overs that read one login one happens; no take-over leaves a link of before in place."""
    login = a_login()
    store.create_account(login, a_session(login.account.sub))
    linked = [an_identity() for _ in range(CALLERS // 2)]
    taking = [elsewhere() for _ in range(CALLERS // 2)]
    link = partial(store.link_identity, login, proves=None, session=None)
    take_over = partial(store.take_over_account, login, proves=PROVEN, deny_until=DENY_UNTIL)
    outcomes: list[AccessChanged | bool] = at_once(
        [*(partial(link, identity) for identity in linked), *(partial(take_over, identity) for identity in taking)]
    )
    won = [
        identity
        for identity, outcome in zip(linked + taking, outcomes, strict=True)
        if outcome in {AccessChanged.CHANGED, True}
    ]
    assert len(won) == 1
    held = store.find_login(login.account.email)
    assert held
    assert held.identities == tuple(won)
    assert (held.password_digest is None) == (won[0].provider == "oidc")
    contents(store).assert_whole()


def test_one_of_two_last_ways_in_stays(store: Store) -> None:
    """Of two calls that each take away one of two identities, as read with both of them, one happens."""
    google, other = an_identity(), elsewhere()
    login = an_arrival(google, other)
    session = a_session(login.account.sub)
    store.create_account(login, session)
    renewals = [a_renewal(session), a_renewal(session)]
    outcomes = at_once(
        partial(store.unlink_identity, login, provider, renewal)
        for provider, renewal in zip(("google", "oidc"), renewals, strict=True)
    )
    assert set(outcomes) == {AccessChanged.CHANGED, AccessChanged.LOGIN_MOVED}
    winner = outcomes.index(AccessChanged.CHANGED)
    held = store.find_login(login.account.email)
    assert held
    assert held.identities == ((google,) if winner else (other,))
    renewed = store.find_session(session.sub, session.sid)
    assert renewed
    assert renewed.digest == renewals[winner].next_digest
    contents(store).assert_whole()
