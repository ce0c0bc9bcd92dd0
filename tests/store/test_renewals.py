"""The contract of renewals: a session's next credentials, which no credential of before leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.store import keys
from chalicelib.store.outcomes import LateAnswer, NotRotated, Rotated
from tests.store.samples import NOW, a_renewal, a_rotation, a_session, identifier

if TYPE_CHECKING:
    from typing import Any

    from chalicelib.domain.sessions import Session
    from chalicelib.store.outcomes import Renewal
    from chalicelib.store.protocol import Store
    from tests.store.conftest import Table

LATE = {"late_base": 2, "late_wrapped": b"\x05" * 32, "late_at": (NOW - 9, NOW)}


def created(store: Store, **changes: Any) -> Session:
    """A session that the store holds."""
    session = a_session(identifier(), **changes)
    store.create_session(session)
    return session


def renewed(renewal: Renewal) -> Session:
    """The session as the renewal leaves it: its next generation is its floor, and no wrap leads there."""
    session = renewal.session
    return session._replace(
        generation=session.generation + 1,
        floor=session.generation + 1,
        digest=renewal.next_digest,
        wrapped=b"",
        key_id=renewal.key_id,
        epoch=renewal.epoch,
        rotated_at=renewal.now,
        idle_expires_at=renewal.idle_expires_at,
        answered=renewal.answered,
        auth_time=renewal.auth_time,
        amr=renewal.amr,
        late_base=None,
        late_wrapped=b"",
    )


@pytest.mark.parametrize("transport", ["cookie", "body", "session"])
@pytest.mark.parametrize("generation", [0, 4])
def test_renewal_leaves_no_way_from_before(store: Store, transport: str, generation: int) -> None:
    """Next generation and digest, floor, no wrap and no late answer; what it does not name stays."""
    late = LATE if generation and transport != "session" else {}
    session = created(store, transport=transport, generation=generation, wrapped=b"w" * 32, used_at=NOW + 7, **late)
    renewal = a_renewal(session, auth_time=NOW + 55, amr=("pwd", "otp"))
    for _ in range(2):  # the repetition of a write whose answer was lost is told that it was done, and renews nothing
        assert store.renew_session(renewal) is True
        assert store.find_session(session.sub, session.sid) == renewed(renewal)
    assert store.renew_session(renewal._replace(next_digest=bytes(range(32)))) is False
    assert store.find_session(session.sub, session.sid) == renewed(renewal)


@pytest.mark.parametrize(
    "moved",
    [{"generation": 3}, {"generation": 5}, {"digest": b"\x01" * 32}, {"epoch": 1}, {"epoch": 3}],
    ids=lambda change: "-".join(f"{name}-{value!r:.8}" for name, value in change.items()),
)
def test_renewal_needs_the_session_that_was_read(store: Store, moved: dict[str, Any]) -> None:
    """Another generation, secret or epoch renews nothing: a turn in between is read again."""
    session = created(store, generation=4, epoch=2)
    assert store.renew_session(a_renewal(session._replace(**moved))) is False
    assert store.find_session(session.sub, session.sid) == session


def test_renewal_needs_a_session_that_is_there(store: Store) -> None:
    """None is made, nor beside it one of another account with the same id."""
    session = created(store)
    other = a_session(identifier(), sid=session.sid)
    assert store.renew_session(a_renewal(other)) is False
    assert store.find_session(other.sub, other.sid) is None
    store.delete_session(session.sub, session.sid)
    assert store.renew_session(a_renewal(session)) is False
    assert store.find_session(session.sub, session.sid) is None


def test_renewal_ends_at_the_absolute_limit(store: Store) -> None:
    """One second before it, credentials are renewed; at the limit they are not."""
    session = created(store, absolute_expires_at=NOW + 100)
    assert store.renew_session(a_renewal(session, now=NOW + 100)) is False
    assert store.find_session(session.sub, session.sid) == session
    assert store.renew_session(a_renewal(session, now=NOW + 99)) is True


def test_use_that_is_noted_meanwhile_does_not_stop_a_renewal(store: Store) -> None:
    """The note decides nothing: the request that changes a password must not lose to one that reads."""
    session = created(store, transport="session")
    store.touch_session(session.sub, session.sid, now=NOW + 59, unless_since=NOW)
    renewal = a_renewal(session)
    assert store.renew_session(renewal) is True
    assert store.find_session(session.sub, session.sid) == renewed(renewal)._replace(used_at=NOW + 59)


def test_key_turned_meanwhile_is_not_renewed_over(store: Store) -> None:
    """Of a turn and a renewal that read one session the second one sees the first one's work, in either order."""
    session = created(store, generation=4)
    rotation, renewal = a_rotation(session), a_renewal(session)
    outcome = store.rotate_refresh_token(rotation)
    assert isinstance(outcome, Rotated)
    assert store.renew_session(renewal) is False
    assert store.find_session(session.sub, session.sid) == outcome.session
    again = a_renewal(outcome.session)
    assert store.renew_session(again) is True
    for late in (None, LateAnswer(3, bytes(32), (NOW,))):
        stale = a_rotation(outcome.session, late=late)
        assert store.rotate_refresh_token(stale) == NotRotated(renewed(again))


def test_renewed_session_turns_on(store: Store) -> None:
    """From its new generation, and keeps its floor: what stood under it stays dead."""
    session = created(store, generation=4, **LATE)
    renewal = a_renewal(session)
    store.renew_session(renewal)
    for generation in (6, 7):
        held = store.find_session(session.sub, session.sid)
        assert held
        outcome = store.rotate_refresh_token(a_rotation(held))
        assert isinstance(outcome, Rotated)
        assert (outcome.session.generation, outcome.session.floor) == (generation, 5)
        assert outcome.session.late_at == session.late_at


@pytest.mark.parametrize(
    ("transport", "absolute", "expires_at"),
    [
        ("cookie", NOW + 90 * 86400, NOW + 1000),
        ("cookie", NOW + 500, NOW + 500),
        ("body", NOW + 500, NOW + 500),
        ("session", NOW + 90 * 86400, NOW + 90 * 86400),
        ("session", NOW + 500, NOW + 500),
    ],
)
def test_renewed_session_is_garbage_at_its_limit(table: Table, transport: str, absolute: int, expires_at: int) -> None:
    """The nearer limit; of a session cookie, whose idle limit moves with notes of its use, the absolute one."""
    session = created(table.store, transport=transport, absolute_expires_at=absolute)
    table.store.renew_session(a_renewal(session, idle_expires_at=NOW + 1000))
    item = table.client.get_item(TableName=table.name, Key=keys.session(session.sub, session.sid))["Item"]
    assert item["expires_at"] == {"N": str(expires_at)}
    assert not item.keys() & {"late_base", "late_wrapped"}
