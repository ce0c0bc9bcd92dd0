"""The contract of the verbs on sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.records import Client
from chalicelib.store import keys
from chalicelib.store.protocol import NotRotated, Rotated
from tests.store.samples import NOW, a_login, a_rotation, a_session, identifier

if TYPE_CHECKING:
    from typing import Any

    from chalicelib.domain.records import Session
    from chalicelib.store.protocol import Rotation, Store
    from tests.store.conftest import Table

ELSEWHERE = Client(address="2001:db8::9", user_agent="somebody else's browser")


def created(store: Store, **changes: Any) -> Session:
    """A session that the store holds."""
    session = a_session(identifier(), **changes)
    store.create_session(session)
    return session


def turned(session: Session, rotation: Rotation) -> Session:
    """The session as the rotation leaves it."""
    return replace(
        session,
        generation=session.generation + 1,
        digest=rotation.next_digest,
        wrapped=rotation.wrapped,
        key_id=rotation.key_id,
        rotated_at=rotation.now,
        idle_expires_at=rotation.idle_expires_at,
        address=rotation.client.address,
        user_agent=rotation.client.user_agent,
    )


def test_session_is_found_as_it_was_made(store: Store) -> None:
    """Every field comes back, whatever transport it is of."""
    session = created(store, transport="body", amr=("pwd", "otp"), wrapped=b"\xff" * 32, generation=7, epoch=2)
    assert store.find_session(session.sub, session.sid) == session


def test_session_of_another_user_is_not_found(store: Store) -> None:
    """A sid is looked up under its own sub alone."""
    session = created(store)
    assert store.find_session(identifier(), session.sid) is None


def test_creating_a_session_again_does_not_undo_its_rotation(store: Store) -> None:
    """A late repetition of the first write finds the session and leaves it."""
    session = created(store)
    rotation = a_rotation(session)
    store.rotate_refresh_token(rotation)
    store.create_session(session)
    assert store.find_session(session.sub, session.sid) == turned(session, rotation)


def test_rotation_holds_the_next_generation(store: Store) -> None:
    """The outcome is the session that is held afterwards; what a rotation does not name stays."""
    session = created(store)
    rotation = a_rotation(session)
    assert store.rotate_refresh_token(rotation) == Rotated(turned(session, rotation))
    assert store.find_session(session.sub, session.sid) == turned(session, rotation)


def test_rotation_goes_on_from_generation_to_generation(store: Store) -> None:
    """Each outcome is what the next rotation must hold."""
    session = created(store)
    for generation in (1, 2, 3):
        outcome = store.rotate_refresh_token(a_rotation(session))
        assert isinstance(outcome, Rotated)
        session = outcome.session
        assert session.generation == generation


def test_second_rotation_of_one_token_sees_what_the_first_one_left(store: Store) -> None:
    """The loser of a race gets the winner's session, from which it can unwrap the successor."""
    session = created(store)
    winner, loser = a_rotation(session), a_rotation(session)
    store.rotate_refresh_token(winner)
    assert store.rotate_refresh_token(loser) == NotRotated(turned(session, winner))
    assert store.find_session(session.sub, session.sid) == turned(session, winner)


def test_rotation_that_is_sent_twice_happens_once(store: Store) -> None:
    """The SDK's repetition of a write whose answer was lost is told that it was done, not that it lost."""
    session = created(store)
    rotation = a_rotation(session)
    store.rotate_refresh_token(rotation)
    assert store.rotate_refresh_token(rotation) == Rotated(turned(session, rotation))
    assert store.find_session(session.sub, session.sid) == turned(session, rotation)


@pytest.mark.parametrize(
    "missing",
    [
        {"generation": 3},
        {"generation": 5},
        {"digest": b"\x01" * 32},
        {"epoch": 1},
        {"epoch": 3},
    ],
    ids=lambda change: "-".join(f"{name}-{value!r:.8}" for name, value in change.items()),
)
def test_rotation_needs_everything_that_it_names(store: Store, missing: dict[str, Any]) -> None:
    """Another generation, secret or epoch turns nothing and returns what is held."""
    session = created(store, generation=4, epoch=2)
    assert store.rotate_refresh_token(a_rotation(session, **missing)) == NotRotated(session)
    assert store.find_session(session.sub, session.sid) == session


@pytest.mark.parametrize("limit", ["idle_expires_at", "absolute_expires_at"])
def test_rotation_ends_at_each_limit(store: Store, limit: str) -> None:
    """One second before a limit the key turns; at the limit it does not."""
    session = created(store, **{limit: NOW + 100})
    assert store.rotate_refresh_token(a_rotation(session, now=NOW + 100)) == NotRotated(session)
    assert isinstance(store.rotate_refresh_token(a_rotation(session, now=NOW + 99)), Rotated)


def test_rotation_of_a_session_that_is_gone_makes_none(store: Store) -> None:
    """A deleted session stays deleted."""
    session = created(store)
    store.delete_session(session.sub, session.sid)
    assert store.rotate_refresh_token(a_rotation(session)) == NotRotated(None)
    assert store.find_session(session.sub, session.sid) is None


def test_session_is_found_with_its_account(store: Store) -> None:
    """Both as they are, dead or alive, and either without the other; nobody else's."""
    login, other = a_login(), a_login()
    session = a_session(login.account.sub, epoch=7, idle_expires_at=1)
    store.create_account(login, session)
    store.create_account(other, a_session(other.account.sub))
    sub = login.account.sub
    assert store.find_session_and_account(sub, session.sid) == (session, login.account)
    assert store.find_session_and_account(sub, identifier()) == (None, login.account)
    assert store.find_session_and_account(other.account.sub, session.sid) == (None, other.account)
    assert store.find_session_and_account(identifier(), session.sid) == (None, None)
    lone = created(store)
    assert store.find_session_and_account(lone.sub, lone.sid) == (lone, None)


def touched(session: Session, now: int = NOW + 60) -> Session:
    """The session as its use leaves it."""
    return replace(
        session,
        rotated_at=now,
        idle_expires_at=now + 1000,
        address=ELSEWHERE.address,
        user_agent=ELSEWHERE.user_agent,
    )


def touch(store: Store, session: Session, now: int = NOW + 60) -> None:
    """Note a use of the session as it was read."""
    store.touch_session(session, idle_expires_at=now + 1000, now=now, client=ELSEWHERE)


def test_use_is_noted(store: Store) -> None:
    """When and from where, with the next idle limit; nothing else changes. Each use is noted on what the last left."""
    session = created(store, transport="session")
    touch(store, session)
    assert store.find_session(session.sub, session.sid) == touched(session)
    touch(store, touched(session), NOW + 120)
    assert store.find_session(session.sub, session.sid) == touched(session, NOW + 120)


def test_use_is_noted_once(store: Store) -> None:
    """Of two requests that read the same session one writes, in whichever order they come; a repetition is nothing."""
    session = created(store, transport="session")
    touch(store, session, NOW + 61)
    for now in (NOW + 60, NOW + 61, NOW + 62):
        touch(store, session, now)
    assert store.find_session(session.sub, session.sid) == touched(session, NOW + 61)


@pytest.mark.parametrize(
    "read",
    [{"digest": b"\x01" * 32}, {"epoch": 1}, {"epoch": 3}, {"rotated_at": NOW - 1}],
    ids=lambda read: str([*read]),
)
def test_use_of_what_has_changed_is_not_noted(store: Store, read: dict[str, Any]) -> None:
    """A session that has another secret, epoch or use by now than the request saw stays as it is."""
    session = created(store, transport="session", epoch=2)
    touch(store, replace(session, **read))
    assert store.find_session(session.sub, session.sid) == session


@pytest.mark.parametrize("limit", ["idle_expires_at", "absolute_expires_at"])
def test_use_revives_nothing(store: Store, limit: str) -> None:
    """One second before a limit it is noted; at the limit it is not, nor for a session that is gone."""
    session = created(store, **{limit: NOW + 100})
    touch(store, session, NOW + 100)
    assert store.find_session(session.sub, session.sid) == session
    touch(store, session, NOW + 99)
    assert store.find_session(session.sub, session.sid) == touched(session, NOW + 99)
    store.delete_session(session.sub, session.sid)
    touch(store, touched(session, NOW + 99), NOW + 99)
    assert store.find_session(session.sub, session.sid) is None


def test_used_session_is_garbage_at_the_earlier_limit(table: Table) -> None:
    """The TTL follows the idle limit, and never goes beyond the absolute one."""
    session = created(table.store, absolute_expires_at=NOW + 2000)
    for now, expires_at in ((NOW + 60, NOW + 1060), (NOW + 1040, NOW + 2000)):
        held = table.store.find_session(session.sub, session.sid)
        assert held
        touch(table.store, held, now)
        item = table.client.get_item(TableName=table.name, Key=keys.session(session.sub, session.sid))["Item"]
        assert item["expires_at"] == {"N": str(expires_at)}


def test_deleting_a_session_deletes_that_one(store: Store) -> None:
    """Other sessions of the user stay; deleting again is nothing."""
    session = created(store)
    other = a_session(session.sub)
    store.create_session(other)
    store.delete_session(session.sub, session.sid)
    store.delete_session(session.sub, session.sid)
    assert store.list_sessions(session.sub) == (None, (other,))


def test_sessions_are_listed_with_their_account(store: Store) -> None:
    """All of the user's and nobody else's, dead ones too: services judge."""
    login = a_login()
    first = a_session(login.account.sub, idle_expires_at=1)
    store.create_account(login, first)
    second = a_session(login.account.sub, epoch=9)
    store.create_session(second)
    created(store)
    account, sessions = store.list_sessions(login.account.sub)
    assert account == login.account
    assert sorted(sessions, key=lambda session: session.sid) == sorted((first, second), key=lambda session: session.sid)


def test_nobody_has_no_sessions(store: Store) -> None:
    """An unknown sub lists nothing."""
    assert store.list_sessions(identifier()) == (None, ())


def test_sessions_on_further_pages_are_listed(table: Table) -> None:
    """A user with more sessions than one page holds sees all of them, and the account once."""
    login = a_login()
    first = a_session(login.account.sub)
    table.store.create_account(login, first)
    sessions = {first.sid: first}
    for _ in range(4):
        session = a_session(login.account.sub)
        table.store.create_session(session)
        sessions[session.sid] = session

    def small_pages(params: dict[str, Any], **_: object) -> None:
        params["Limit"] = 2

    table.client.meta.events.register("before-parameter-build.dynamodb.Query", small_pages)
    account, listed = table.store.list_sessions(login.account.sub)
    assert account == login.account
    assert {session.sid: session for session in listed} == sessions
    assert len(listed) == len(sessions)
