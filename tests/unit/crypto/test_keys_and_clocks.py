"""The key that signs, where the clocks of the operator and of the containers differ."""

from __future__ import annotations

import pytest

from infra import keys as infra_keys
from tests.unit.key_containers import Container
from tests.world.parameters import PREFIX


@pytest.mark.parametrize("behind", [1, 90, 120, 86400])
def test_first_and_emergency_keys_sign_by_any_clock(behind: int) -> None:
    """A container whose clock is behind the operator's signs with the key that is there, of each kind."""
    for leaked in (False, True):
        container = Container()
        if leaked:
            container.rotate(leaked=True)
        container.clock.advance(-behind - 3600 * (not leaked))
        assert container.ring.signing_key().kid == container.kid
        for secret in (container.ring.session_secret(), container.ring.login_secret()):
            assert secret.activate_at > container.clock.now()


def test_key_in_place_of_a_lost_one_signs_by_any_clock(container: Container) -> None:
    """Where the signing key's private half is lost, the new key signs, also by a clock that is two minutes behind."""
    del container.parameters.values[f"{PREFIX}/signing/{container.kid}"]
    infra_keys.ensure(container.parameters, PREFIX, "ES256", container.clock.now())  # type: ignore[arg-type]  # as in Container
    new = container.published()[-1]["kid"]
    container.clock.advance(-120)
    assert container.ring.signing_key().kid == new


def test_oldest_key_signs_while_all_are_to_come(container: Container) -> None:
    """A planned key never signs before its time, because an older key is there."""
    container.rotate(leaked=True)
    first = container.kid
    container.rotate()
    container.publish(container.published()[::-1])
    container.clock.advance(-90)
    assert container.ring.signing_key().kid == first
