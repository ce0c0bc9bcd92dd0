"""The key ring: what a container knows of the keys, and for how long."""

from __future__ import annotations

import json
from typing import NoReturn

import pytest

from chalicelib import deadline
from chalicelib.crypto import keys
from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.crypto.keyring import COOLDOWN, KEPT, OUTLIVES
from chalicelib.errors import ConfigurationError, Unavailable
from infra import keys as infra_keys
from infra.keys import PUBLISHED_AHEAD
from tests.unit.key_containers import LOGINS, PUBLIC, SESSIONS, WITHDRAWN, Container

# Caching --------------------------------------------------------------------------------------------------------------


def test_sets_are_read_once_a_minute(container: Container) -> None:
    """Every use within 60 s is answered from memory; the next use reads all sets in one call."""
    for _ in range(KEPT):
        container.ring.public_keys()
        container.ring.session_secrets()
        container.ring.login_secrets()
        assert container.parameters.fetches == 1
        container.clock.advance(1)
    container.ring.public_keys()
    assert container.parameters.asked == [{PUBLIC, SESSIONS, LOGINS, WITHDRAWN}] * 2


def test_signing_key_is_read_once(container: Container) -> None:
    """A private key is read when it is first needed, and not again while it signs."""
    first = container.ring.signing_key()
    reads = container.parameters.fetches
    assert container.ring.signing_key() is first
    container.clock.advance(KEPT)
    assert container.ring.signing_key() is first
    assert container.parameters.fetches == reads + 1  # the public set alone


GROUP_PARAMETERS = {keys.SESSIONS: SESSIONS, keys.LOGINS: LOGINS}


@pytest.mark.parametrize("groups", [(), (keys.SESSIONS,), (keys.LOGINS,)])
def test_other_groups_are_never_asked_for(groups: tuple[str, ...]) -> None:
    """A container asks for its groups of root secrets and no other: its policy refuses the whole call otherwise.

    Nor does it find a secret of another group. `guard` reads the group `sessions`, `authorize` none.
    """
    container = Container(groups)
    names = {GROUP_PARAMETERS[group] for group in groups}
    for name in {SESSIONS, LOGINS} - names:
        del container.parameters.values[name]
    assert [key.kid for key in container.ring.public_keys()] == [container.kid]
    found = {keys.SESSIONS: container.ring.session_secrets(), keys.LOGINS: container.ring.login_secrets()}
    assert {group for group, secrets in found.items() if secrets} == {*groups}
    container.clock.advance(KEPT)
    container.ring.find_session_secret("unknown")
    for group, read in ((keys.SESSIONS, container.ring.session_secret), (keys.LOGINS, container.ring.login_secret)):
        if group not in groups:
            with pytest.raises(ConfigurationError):
                read()
    assert container.parameters.asked == [{PUBLIC, WITHDRAWN, *names}] * 2


def test_removed_key_is_refused_within_a_minute(container: Container) -> None:
    """A key that was taken out of the set verifies for 60 s more at most: that bounds the answer to a leak."""
    old = container.kid
    assert container.ring.verification_key(old) is not None
    container.rotate(leaked=True)
    container.clock.advance(KEPT - 1)
    assert container.ring.verification_key(old) is not None
    container.clock.advance(1)
    assert container.ring.verification_key(old) is None


def test_removed_secret_is_refused_within_a_minute(container: Container) -> None:
    """The same of root secrets, of each group."""
    (old,), (old_login,) = container.ring.session_secrets(), container.ring.login_secrets()
    container.rotate(leaked=True)
    container.clock.advance(KEPT)
    (new,), (new_login,) = container.ring.session_secrets(), container.ring.login_secrets()
    assert old.id != new.id
    assert old.refresh_key != new.refresh_key
    assert old_login.id != new_login.id
    assert old_login.device_key != new_login.device_key


def test_unknown_kid_is_looked_for_once_a_cooldown(container: Container) -> None:
    """A key that another container has just published is found; random ids cause no more reads (CVE-2026-48524)."""
    container.ring.public_keys()
    container.clock.advance(COOLDOWN)
    container.rotate()
    newest = container.published()[-1]["kid"]
    found = container.ring.verification_key(newest)
    assert found is not None
    assert found.kid == newest
    reads = container.parameters.fetches
    for number in range(100):
        assert container.ring.verification_key(f"unknown-{number}") is None
    assert container.parameters.fetches == reads
    container.clock.advance(COOLDOWN)
    assert container.ring.verification_key("unknown") is None
    assert container.parameters.fetches == reads + 1


def test_unknown_kid_during_an_outage_is_no_verdict(container: Container) -> None:
    """While the store is away an unknown id is no verdict, within the cooldown either; known ones go on verifying."""
    container.ring.public_keys()
    container.clock.advance(COOLDOWN)
    container.parameters.away = True
    for find in (container.ring.verification_key, container.ring.find_session_secret):
        with pytest.raises(Unavailable):
            find("unknown")
    assert container.ring.verification_key(container.kid) is not None
    container.parameters.away = False
    container.clock.advance(COOLDOWN)
    assert container.ring.verification_key("unknown") is None


# Outages --------------------------------------------------------------------------------------------------------------


def test_last_good_set_outlives_an_outage_by_an_hour(container: Container) -> None:
    """With the store away, the set that was read last verifies for an hour, and then nothing does."""
    container.ring.public_keys()
    container.parameters.away = True
    for _ in range(OUTLIVES // 30 - 1):
        container.clock.advance(30)
        assert container.ring.verification_key(container.kid) is not None
    container.clock.advance(30)
    for _ in range(2):  # within the cooldown too
        with pytest.raises(Unavailable):
            container.ring.verification_key(container.kid)


def test_outage_is_asked_about_once_a_cooldown(container: Container) -> None:
    """A store that is away is not asked at every request: its timeouts would slow all of them."""
    container.ring.public_keys()
    container.parameters.away = True
    container.clock.advance(KEPT)
    before = container.parameters.fetches
    for _ in range(COOLDOWN * 3):
        container.ring.public_keys()
        container.clock.advance(1)
    assert container.parameters.fetches == before + 3


def test_store_that_hangs_leaves_time_for_the_table(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that is at hand is read again by one attempt at most: what the request waits for next still fits."""
    container.ring.public_keys()
    left: list[float] = []

    def hang(_names: object) -> NoReturn:
        left.append(deadline.remaining())
        raise Unavailable

    monkeypatch.setattr(container.parameters, "fetch", hang)
    container.clock.advance(KEPT)
    with deadline.start():
        assert container.ring.verification_key(container.kid) is not None
    assert len(left) == 1
    assert deadline.REQUEST_SECONDS - left[0] > 1.0


def test_end_of_an_outage_is_noticed(container: Container) -> None:
    """Once the store answers again, what it holds now is what counts."""
    container.ring.public_keys()
    container.parameters.away = True
    container.clock.advance(KEPT)
    container.ring.public_keys()
    container.rotate(leaked=True)
    container.parameters.away = False
    container.clock.advance(COOLDOWN)
    assert [key.kid for key in container.ring.public_keys()] == [container.kid]


def test_outage_at_the_start_is_not_remembered(container: Container) -> None:
    """A cold container whose store is away answers Unavailable, and asks again at the next request."""
    container.parameters.away = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            container.ring.signing_key()
    assert container.parameters.fetches == 2
    container.parameters.away = False
    assert container.ring.signing_key().kid == container.kid


def test_outage_before_the_private_key_was_read(container: Container) -> None:
    """A container that has the public set alone does not sign while the store is away, and does afterwards."""
    container.ring.public_keys()
    container.parameters.away = True
    codec = JwtAccessTokenCodec(container.ring, issuer="https://auth.example.com", audience="api")
    with pytest.raises(Unavailable):
        codec.prepare()
    container.parameters.away = False
    codec.prepare()


def test_broken_set_refuses_within_a_minute(container: Container) -> None:
    """What the store answers counts, a broken set too: the last good one is for when it does not answer."""
    container.ring.public_keys()
    container.parameters.values[PUBLIC] = "{}"
    container.clock.advance(KEPT)
    with pytest.raises(ConfigurationError):
        container.ring.public_keys()


def test_secret_that_is_new_is_looked_for(container: Container) -> None:
    """A refresh token under a root secret that this container has not read yet is genuine, as an access token is."""
    container.ring.public_keys()
    container.clock.advance(COOLDOWN)
    container.rotate(leaked=True)
    newest = json.loads(container.parameters.values[SESSIONS])["secrets"][-1]["id"]
    assert container.ring.find_session_secret(newest) is not None


def test_signing_goes_on_while_the_new_private_key_cannot_be_read(container: Container) -> None:
    """A store that is away when the next key becomes active stops no login: the key before signs on."""
    old = container.ring.signing_key().kid
    container.rotate()
    container.clock.advance(KEPT)
    container.ring.public_keys()
    container.clock.advance(PUBLISHED_AHEAD)
    container.parameters.away = True
    assert container.ring.signing_key().kid == old
    container.parameters.away = False
    assert container.ring.signing_key().kid != old


# Rotation -------------------------------------------------------------------------------------------------------------


def test_new_key_signs_when_it_is_active(container: Container) -> None:
    """A key verifies once it is published and signs ten minutes later, by the clock; the old one goes on verifying."""
    old = container.kid
    container.rotate()
    new = container.published()[-1]["kid"]
    assert container.ring.signing_key().kid == old
    assert container.ring.verification_key(new) is not None
    container.clock.advance(infra_keys.PUBLISHED_AHEAD - 1)
    assert container.ring.signing_key().kid == old
    container.clock.advance(1)
    assert container.ring.signing_key().kid == new
    assert container.ring.verification_key(old) is not None


def test_new_secret_is_used_when_it_is_active(container: Container) -> None:
    """The same of root secrets, of each group; old and new are live meanwhile."""
    (old,), (old_login,) = container.ring.session_secrets(), container.ring.login_secrets()
    container.rotate()
    container.clock.advance(KEPT)
    assert (container.ring.session_secret(), container.ring.login_secret()) == (old, old_login)
    assert len(container.ring.session_secrets()) == len(container.ring.login_secrets()) == 2
    container.clock.advance(infra_keys.PUBLISHED_AHEAD - KEPT)
    assert container.ring.session_secret().id != old.id
    assert container.ring.login_secret().id != old_login.id
    assert container.ring.session_secrets()[0] == old
    assert container.ring.login_secrets()[0] == old_login


def test_order_in_the_document_means_nothing(container: Container) -> None:
    """The newest active key signs, wherever it stands in the set."""
    container.rotate()
    container.clock.advance(infra_keys.PUBLISHED_AHEAD)
    newest = container.published()[-1]["kid"]
    container.publish(container.published()[::-1])
    assert container.ring.signing_key().kid == newest
