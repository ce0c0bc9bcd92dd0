"""A password's age: none is too old, and none has to be replaced for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flows.steps import assert_works, log_in, sign_up

if TYPE_CHECKING:
    from tests.world.keyturn import Keyturn

YEAR = 366 * 86400


@pytest.mark.parametrize("years", [1, 10])
def test_passwords_do_not_expire(anywhere: Keyturn, years: int) -> None:
    """What opened the account years ago opens it now, and nobody is asked for another one (ASVS V6.2.10)."""
    sign_up(anywhere.services)
    anywhere.clock.advance(years * YEAR)
    grant = log_in(anywhere.services)
    assert_works(anywhere, grant)
