"""What introspection says of a session, by its record alone (RFC 7662 section 2.2)."""

from __future__ import annotations

import pytest

from chalicelib.handlers import oauth
from tests.store.samples import NOW, a_session
from tests.world.keyturn import config


@pytest.mark.parametrize(("transport", "issued_at"), [("body", NOW + 60), ("cookie", NOW + 60), ("session", NOW)])
def test_issue_is_the_last_rotation_or_the_login(transport: str, issued_at: int) -> None:
    """A refresh token is as old as its rotation; a session's cookie stays the same while its use is noted."""
    session = a_session("sub", transport=transport, rotated_at=NOW + 60)
    assert oauth._of_session(session, config(), NOW + 60)["iat"] == issued_at


@pytest.mark.parametrize(("idle", "absolute", "expiry"), [(10, 20, 10), (20, 10, 10)])
def test_expiry_is_the_limit_that_comes_first(idle: int, absolute: int, expiry: int) -> None:
    """Whichever limit it is, nothing is accepted beyond it."""
    session = a_session("sub", idle_expires_at=NOW + idle, absolute_expires_at=NOW + absolute)
    assert oauth._of_session(session, config(), NOW)["exp"] == NOW + expiry
