"""What a function can do that may write `used_at` under `user#` and nothing else, if it means harm: next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.store import keys
from chalicelib.store.outcomes import NotRotated
from tests.store.samples import NOW, a_rotation, a_session, identifier

if TYPE_CHECKING:
    from chalicelib.domain.callers import Transport
    from chalicelib.domain.sessions import Session
    from tests.store.conftest import Table


def note(table: Table, key: keys.Key, used_at: dict[str, Any]) -> None:
    """Write `used_at` into an item, or make one of it: IAM asks for no condition."""
    table.client.update_item(
        TableName=table.name,
        Key=key,
        UpdateExpression="SET used_at = :used_at",
        ExpressionAttributeValues={":used_at": used_at},
    )


def test_item_that_is_a_note_alone_is_no_session(table: Table) -> None:
    """It is passed over wherever sessions are read, turned or noted, and the page of sessions goes on behind it."""
    sub, store = identifier(), table.store
    session = a_session(sub)
    store.create_session(session)
    made = [f"{first}{identifier()[1:]}" for first in "-z"]
    for sid in made:
        note(table, keys.session(sub, sid), {"N": str(NOW)})
        assert store.find_session(sub, sid) is None
        assert store.find_session_and_account(sub, sid) == (None, None)
        assert store.rotate_refresh_token(a_rotation(a_session(sub, sid=sid))) == NotRotated(None)
    found: list[Session] = []
    cursor = None
    for _ in range(4):
        page, cursor = store.list_sessions(sub, after=cursor, limit=1)
        found += page
        if cursor is None:
            break
    assert found == [session]


@pytest.mark.parametrize("used_at", [{"S": "x"}, {"BOOL": True}, {"L": []}, {"NULL": True}, {"N": "1.5"}])
def test_note_of_another_type_is_none(table: Table, used_at: dict[str, Any]) -> None:
    """The session is read as if nobody had noted anything."""
    session = a_session(identifier(), transport="session")
    table.store.create_session(session)
    note(table, keys.session(session.sub, session.sid), used_at)
    assert table.store.find_session(session.sub, session.sid) == session


@pytest.mark.parametrize("transport", ["cookie", "body"])
def test_note_in_a_session_with_refresh_tokens_moves_no_limit(transport: Transport) -> None:
    """No use of a refresh token is noted: the note is of somebody who means harm, and the idle limit stays."""
    session = a_session(identifier(), transport=transport)
    noted = session._replace(used_at=session.idle_expires_at)
    assert noted.ends_at(session.idle_expires_at) == session.ends_at(session.idle_expires_at)
    assert noted.last_used_at == session.last_used_at


@pytest.mark.parametrize("ahead", [0, 1, 10**6, 10**11])
def test_note_of_a_use_to_come_counts_as_one_of_now(ahead: int) -> None:
    """Whoever notes uses ahead of time keeps no session past its idle limit; the absolute limit holds in any case."""
    session = a_session(identifier(), transport="session", used_at=NOW + 100 + ahead)
    idle = session.idle_expires_at - session.rotated_at
    assert session.ends_at(NOW + 100) == NOW + 100 + idle
    assert session.ends_at(NOW - 100) == session.idle_expires_at
    assert not session.lives(0, session.absolute_expires_at)
