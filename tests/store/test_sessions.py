"""The contract of the verbs on sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.store.protocol import NotRotated, Rotated
from tests.store.samples import NOW, a_login, a_rotation, a_session, identifier

if TYPE_CHECKING:
    from typing import Any

    from chalicelib.domain.records import Session
    from chalicelib.store.protocol import Rotation, Store
    from tests.store.conftest import Table


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
