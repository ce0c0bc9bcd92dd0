"""Records: how long a session lives, and which access tokens a blacklist denies."""

from __future__ import annotations

import pytest

from chalicelib.domain.denials import Denials
from tests.unit.domain.test_rotation import HELD
from tests.unit.signing import CLAIMS
from tests.world.clock import START


@pytest.mark.parametrize(
    ("idle", "absolute", "lives"),
    [(1, 1, True), (0, 1, False), (1, 0, False), (-1, 1, False), (1, -1, False), (10**6, 10**6, True)],
)
def test_limits_are_exact(idle: int, absolute: int, lives: bool) -> None:  # noqa: FBT001  # a column of the table above
    """A session lives before both of its limits, and not at either (ASVS V7.3.1, V7.3.2)."""
    session = HELD._replace(idle_expires_at=START + idle, absolute_expires_at=START + absolute)
    assert session.lives(HELD.epoch, START) is lives


@pytest.mark.parametrize(
    ("used_at", "last_used_at", "idle_limit"),
    [
        (0, START, START + 1000),  # never noted: the last turn, or the login, counts
        (START - 60, START, START + 1000),  # noted before the last renewal
        (START, START, START + 1000),
        (START + 1, START + 1, START + 1001),
        (START + 900, START + 900, START + 1900),
    ],
)
def test_noted_use_moves_the_idle_limit(used_at: int, last_used_at: int, idle_limit: int) -> None:
    """The session ends as long after its last use as it would have after its login; the absolute limit stays."""
    session = HELD._replace(transport="session", used_at=used_at, absolute_expires_at=START + 1500)
    end = min(idle_limit, START + 1500)
    assert (session.last_used_at, session.ends_at(START + 900)) == (last_used_at, end)
    assert session.lives(HELD.epoch, end - 1)
    assert not session.lives(HELD.epoch, end)


@pytest.mark.parametrize("epoch", [HELD.epoch - 1, HELD.epoch + 1])
def test_session_lives_in_its_epoch(epoch: int) -> None:
    """A session of another epoch than the account's is dead."""
    assert HELD.lives(HELD.epoch, START)
    assert not HELD.lives(epoch, START)


@pytest.mark.parametrize(
    ("denials", "denied"),
    [
        (Denials(), False),
        (Denials(before_epoch=CLAIMS.ver), False),
        (Denials(before_epoch=CLAIMS.ver + 1), True),
        (Denials(issued_before=CLAIMS.iat), False),
        (Denials(issued_before=CLAIMS.iat + 1), True),
        (Denials(sessions=frozenset({CLAIMS.sid})), True),
        (Denials(sessions=frozenset({f"{2**40}#{CLAIMS.sid}"})), True),
        (Denials(tokens=frozenset({CLAIMS.jti})), True),
        (Denials(tokens=frozenset({f"0#{CLAIMS.jti}"})), True),
        (Denials(sessions=frozenset({CLAIMS.jti, CLAIMS.sub, CLAIMS.sid.lower()})), False),
        (Denials(tokens=frozenset({CLAIMS.sid, CLAIMS.sub, f"0#{CLAIMS.sid}"})), False),
        (Denials(CLAIMS.ver, CLAIMS.iat, frozenset({"other"})), False),
        (Denials(CLAIMS.ver + 1, CLAIMS.iat + 1, frozenset({CLAIMS.sid})), True),
    ],
)
def test_each_reason_denies_alone(denials: Denials, denied: bool) -> None:  # noqa: FBT001  # a column of the table above
    """An older epoch, an earlier issue, an ended session, the token itself: each denies, and nothing else does."""
    assert denials.deny(CLAIMS) is denied
