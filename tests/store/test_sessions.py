"""The contract of the verbs on sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.store import keys
from chalicelib.store.outcomes import LateAnswer, NotRotated, Rotated
from tests.store.samples import NOW, a_login, a_rotation, a_session, identifier

if TYPE_CHECKING:
    from typing import Any

    from chalicelib.domain.sessions import Session
    from chalicelib.store.outcomes import Rotation
    from chalicelib.store.protocol import Store
    from tests.store.conftest import Table

LATE = LateAnswer(late_base=3, late_wrapped=b"\x05" * 32, late_at=(NOW - 9, NOW + 60))


def created(store: Store, **changes: Any) -> Session:
    """A session that the store holds."""
    session = a_session(identifier(), **changes)
    store.create_session(session)
    return session


def turned(session: Session, rotation: Rotation) -> Session:
    """The session as the rotation leaves it: address and user agent stay the login's."""
    late = rotation.late
    return session._replace(
        generation=session.generation + 1,
        digest=rotation.next_digest,
        wrapped=rotation.wrapped,
        key_id=rotation.key_id,
        rotated_at=rotation.now,
        idle_expires_at=rotation.idle_expires_at,
        answered=rotation.answered,
        late_base=late.late_base if late else None,
        late_wrapped=late.late_wrapped if late else b"",
        late_at=late.late_at if late else session.late_at,
    )


def test_session_is_found_as_it_was_made(store: Store) -> None:
    """Every field comes back, whatever transport it is of."""
    session = created(store, transport="body", amr=("pwd", "otp"), wrapped=b"\xff" * 32, generation=7, epoch=2)
    assert store.find_session(session.sub, session.sid) == session
    late = {"late_base": 5, "late_wrapped": b"\xfe" * 32, "late_at": (NOW - 8, NOW)}
    full = created(store, generation=7, floor=3, device=bytes(range(16)), used_at=NOW, **late)
    assert store.find_session(full.sub, full.sid) == full
    cookie = created(store, transport="session", generation=7, used_at=NOW, device=b"")
    assert store.find_session(cookie.sub, cookie.sid) == cookie


@pytest.mark.parametrize("base", [0, None])
def test_late_base_of_0_is_one(store: Store, base: int | None) -> None:
    """The first generation of all can be answered late; a session without a late answer has no base."""
    session = created(store, generation=2, late_base=base, late_wrapped=b"" if base is None else bytes(32))
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


@pytest.mark.parametrize(("last_turn", "turns"), [(-1, True), (0, False), (1, False)])
def test_key_turns_once_a_window(store: Store, last_turn: int, *, turns: bool) -> None:
    """Where the last turn has to be earlier than a second, it is; a rotation that names none asks for no time."""
    session = created(store, generation=4, rotated_at=NOW + last_turn)
    rotation = a_rotation(session, turned_before=NOW)
    left = Rotated(turned(session, rotation)) if turns else NotRotated(session)
    assert store.rotate_refresh_token(rotation) == left
    held = store.find_session(session.sub, session.sid)
    assert held
    assert isinstance(store.rotate_refresh_token(a_rotation(held, turned_before=None)), Rotated)


@pytest.mark.parametrize("before", [None, 1], ids=["first", "after another one"])
def test_late_answer_is_held_until_the_key_turns(store: Store, before: int | None) -> None:
    """It is written with the turn; the next turn removes its base and its secret, and keeps the times."""
    earlier = {} if before is None else {"late_base": before, "late_wrapped": bytes(32), "late_at": (NOW - 9,)}
    session = created(store, generation=4, **earlier)
    late = a_rotation(session, late=LATE)
    answered = turned(session, late)
    for _ in range(2):  # the repetition of a write whose answer was lost is told the same
        assert store.rotate_refresh_token(late) == Rotated(answered)
    assert (answered.late_base, answered.late_wrapped, answered.late_at) == (3, LATE.late_wrapped, LATE.late_at)
    assert store.find_session(session.sub, session.sid) == answered
    turn = a_rotation(answered)
    assert store.rotate_refresh_token(turn) == Rotated(turned(answered, turn))
    held = store.find_session(session.sub, session.sid)
    assert held
    assert (held.late_base, held.late_wrapped, held.late_at) == (None, b"", LATE.late_at)


def test_late_answer_that_loses_writes_nothing(store: Store) -> None:
    """Of two late answers to one token the second sees the first one's session, from which it can unwrap."""
    session = created(store, generation=4)
    winner, loser = a_rotation(session, late=LATE), a_rotation(session, late=LATE._replace(late_wrapped=bytes(32)))
    store.rotate_refresh_token(winner)
    assert store.rotate_refresh_token(loser) == NotRotated(turned(session, winner))
    assert store.find_session(session.sub, session.sid) == turned(session, winner)


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


def touch(store: Store, session: Session, now: int) -> None:
    """Note a use of the session, once a minute."""
    store.touch_session(session.sub, session.sid, now=now, unless_since=now - 59)


@pytest.mark.parametrize("transport", ["session", "cookie"])
def test_use_is_noted(store: Store, transport: str) -> None:
    """When, and nothing else: whoever may note it decides nothing about anybody by it."""
    session = created(store, transport=transport)
    touch(store, session, NOW + 60)
    assert store.find_session(session.sub, session.sid) == session._replace(used_at=NOW + 60)
    touch(store, session, NOW + 120)
    assert store.find_session(session.sub, session.sid) == session._replace(used_at=NOW + 120)


def test_use_is_noted_once_a_minute(store: Store) -> None:
    """Of requests within a minute one writes, in whichever order they come; a note never goes back."""
    session = created(store, transport="session")
    touch(store, session, NOW + 61)
    for now in (NOW, NOW + 1, NOW + 60, NOW + 61, NOW + 62, NOW + 120):
        touch(store, session, now)
        assert store.find_session(session.sub, session.sid) == session._replace(used_at=NOW + 61)
    touch(store, session, NOW + 121)
    assert store.find_session(session.sub, session.sid) == session._replace(used_at=NOW + 121)


def test_use_revives_nothing(store: Store) -> None:
    """No item is made for a session that is gone, and no state is taken for one."""
    login = a_login()
    session = a_session(login.account.sub, transport="session")
    store.create_account(login, session)
    store.delete_session(session.sub, session.sid)
    touch(store, session, NOW + 60)
    assert store.find_session_and_account(session.sub, session.sid) == (None, login.account)
    assert listed(store, session.sub) == ()


def test_use_moves_no_ttl(table: Table) -> None:
    """A session cookie's item is garbage at the absolute limit from the start: notes of its use need not move it."""
    session = created(table.store, transport="session", absolute_expires_at=NOW + 90 * 86400)
    for now in (None, NOW + 60):
        if now:
            touch(table.store, session, now)
        item = table.client.get_item(TableName=table.name, Key=keys.session(session.sub, session.sid))["Item"]
        assert item["expires_at"] == {"N": str(NOW + 90 * 86400)}
        assert item["idle_expires_at"] == {"N": str(NOW + 14 * 86400)}


def test_deleting_a_session_deletes_that_one(store: Store) -> None:
    """Other sessions of the user stay; deleting again is nothing."""
    session = created(store)
    other = a_session(session.sub)
    store.create_session(other)
    store.delete_session(session.sub, session.sid)
    store.delete_session(session.sub, session.sid)
    assert listed(store, session.sub) == (other,)


@pytest.mark.parametrize("number", [0, 1, 25])
def test_sessions_are_deleted_together(store: Store, number: int) -> None:
    """Up to 25, those that are there; deleting them again is nothing. Others, and other users', stay."""
    login = a_login()
    stays = a_session(login.account.sub)
    store.create_account(login, stays)
    elsewhere = created(store)
    going = [a_session(login.account.sub) for _ in range(number)]
    for session in going[1:]:
        store.create_session(session)
    for _ in range(2):
        if going:
            store.delete_sessions(login.account.sub, [session.sid for session in going])
        assert listed(store, login.account.sub) == (stays,)
    assert store.find_account(login.account.sub) == login.account
    assert store.find_session(elsewhere.sub, elsewhere.sid) == elsewhere


def test_sessions_are_listed(store: Store) -> None:
    """All of the user's and nobody else's, dead ones too: services judge. In the order of their ids."""
    login = a_login()
    sub = login.account.sub
    sessions = [a_session(sub, sid=sid) for sid in ("-", "0", "A", "_", "a", "z" * 22)]
    store.create_account(login, sessions[3]._replace(idle_expires_at=1))
    for session in (sessions[0], sessions[5]._replace(epoch=9), sessions[2], sessions[4], sessions[1]):
        store.create_session(session)
    created(store)
    store.create_session(a_session(f"{sub}x"))
    found, following = store.list_sessions(sub, after=None, limit=50)
    assert following is None
    assert found == (*sessions[:3], sessions[3]._replace(idle_expires_at=1), sessions[4], sessions[5]._replace(epoch=9))


def test_nobody_has_no_sessions(store: Store) -> None:
    """An unknown sub lists nothing, behind any id."""
    assert store.list_sessions(identifier(), after=None, limit=50) == ((), None)
    assert store.list_sessions(identifier(), after=identifier(), limit=50) == ((), None)


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_pages_hold_every_session_once(store: Store, limit: int) -> None:
    """Page by page, whatever comes and goes behind the reader; a prefix of an id is another id."""
    login = a_login()
    sub = login.account.sub
    sids = ["0", "00", "A", "AA", "a", "a-", "aa"]
    for sid in sids:
        store.create_session(a_session(sub, sid=sid))
    seen: list[str] = []
    after: str | None = None
    for _ in range(len(sids) + 1):
        page, after = store.list_sessions(sub, after=after, limit=limit)
        assert len(page) <= limit
        seen += [session.sid for session in page]
        if after is None:
            break
        assert after == page[-1].sid
        store.delete_session(sub, page[-1].sid)  # the id to go on behind need not be there any more
        store.create_session(a_session(sub, sid="!"))
    assert after is None
    assert [sid for sid in seen if sid != "!"] == sids


def listed(store: Store, sub: str) -> tuple[Session, ...]:
    """The account's sessions, as one page."""
    found, following = store.list_sessions(sub, after=None, limit=50)
    assert following is None
    return found
