"""Records: how long a session lives, and which access tokens a blacklist denies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.denials import Denials
from tests.fakes import START
from tests.unit.signing import CLAIMS
from tests.unit.test_rotation import HELD


@pytest.mark.parametrize(
    ("idle", "absolute", "lives"),
    [(1, 1, True), (0, 1, False), (1, 0, False), (-1, 1, False), (1, -1, False), (10**6, 10**6, True)],
)
def test_limits_are_exact(idle: int, absolute: int, lives: bool) -> None:  # noqa: FBT001  # a column of the table above
    """A session lives before both of its limits, and not at either (ASVS V7.3.1, V7.3.2)."""
    session = replace(HELD, idle_expires_at=START + idle, absolute_expires_at=START + absolute)
    assert session.lives(HELD.epoch, START) is lives


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
        (Denials(sessions=frozenset({CLAIMS.jti, CLAIMS.sub, CLAIMS.sid.lower()})), False),
        (Denials(CLAIMS.ver, CLAIMS.iat, frozenset({"other"})), False),
        (Denials(CLAIMS.ver + 1, CLAIMS.iat + 1, frozenset({CLAIMS.sid})), True),
    ],
)
def test_each_reason_denies_alone(denials: Denials, denied: bool) -> None:  # noqa: FBT001  # a column of the table above
    """An older epoch, an earlier issue, an ended session: any one of them denies, and nothing else does."""
    assert denials.deny(CLAIMS) is denied
