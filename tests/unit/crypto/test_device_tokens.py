"""Device tokens: bound to device, account and epoch, or to the browser alone; forgeries, expiry and key rotation."""

from __future__ import annotations

import hmac
import json
import re
from hashlib import sha256
from string import ascii_letters, digits
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.crypto.device_tokens import BODY_BYTES, ID_BYTES, LIFE, MAC_BYTES, DeviceTokens
from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.keyring import COOLDOWN, KEPT, KeyRing
from chalicelib.crypto.keys import LOGINS, SESSIONS
from chalicelib.crypto.random import SystemTokenSource
from chalicelib.domain.sessions import Device
from tests.world.clock import START, FrozenClock
from tests.world.parameters import PREFIX, MemoryParameters, parameters_with_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

EMAIL = "alice@example.com"
ROOT = f"{PREFIX}/{LOGINS}"
NOBODY = (None, None)

# A token of each form, of the root secret `vector`: what was given out must be read as it was meant for half a year.
VECTOR = {"id": "vector", "key": b64url(bytes(range(150, 182))), "activate_at": START}
KD1 = "kd1.vector.AAECAwQFBgcICQoLDA0ODwAAAAdsNyAAYJvCfHzcfYRZiWso0QzDKQ"
KD2 = "kd2.vector.AAECAwQFBgcICQoLDA0ODwAAAAdsNyAAQuM5uHnGUSzwCZMTgiF6hITeak9cQ0HsXpFbZx26Mtc"


def over(parameters: MemoryParameters, clock: FrozenClock) -> DeviceTokens:
    """Over keys that may change."""
    return DeviceTokens(KeyRing(parameters, PREFIX, clock, groups=(LOGINS,)), SystemTokenSource())


@pytest.fixture(scope="module")
def devices() -> DeviceTokens:
    """Over keys that stay as they are."""
    return over(parameters_with_keys(), FrozenClock())


def known(devices: DeviceTokens, token: str, email: str = EMAIL, now: int = START) -> Device:
    """The device, which there is."""
    device = devices.verify(token, email, now)
    assert device is not None
    return device


def read(devices: DeviceTokens, token: str | None, now: int = START) -> tuple[Device | None, str | None]:
    """What a token is worth, where the account is known and where it is not."""
    return devices.verify(token, EMAIL, now), devices.known_browser(token, now)


def parts(token: str) -> tuple[str, bytes]:
    """What stands before the payload, and the payload."""
    head, _, payload = token.rpartition(".")
    return head, from_b64url(payload)


def test_token_tells_a_device_and_an_epoch(devices: DeviceTokens) -> None:
    """What was issued is taken apart again; id, epoch, expiry and MACs are in it and nothing else, no address."""
    token = devices.issue(EMAIL, 7, START)
    device = known(devices, token)
    assert (len(from_b64url(device.id)), device.epoch) == (ID_BYTES, 7)
    head, raw = parts(token)
    assert re.fullmatch(r"kd2\.[\w-]{1,32}", head)
    expected = from_b64url(device.id) + (7).to_bytes(4, "big") + (START + LIFE).to_bytes(4, "big")
    assert raw[:BODY_BYTES] == expected
    assert len(raw) == BODY_BYTES + 2 * MAC_BYTES


def test_token_says_that_the_browser_is_known_without_the_account(devices: DeviceTokens) -> None:
    """Whoever does not know the account learns the device's id; neither the account nor the epoch changes it."""
    token = devices.issue(EMAIL, 0, START)
    device = known(devices, token)
    assert devices.known_browser(token, START) == device.id
    for email, epoch in (("bob@example.com", 0), (EMAIL, 8)):
        assert devices.known_browser(devices.issue(email, epoch, START, device), START) == device.id


def test_tokens_of_before_are_worth_what_they_were(devices: DeviceTokens) -> None:
    """A kd1 token tells device and epoch to whoever knows the account, and is no known browser's."""
    parameters = parameters_with_keys()
    parameters.values[ROOT] = json.dumps({"secrets": [VECTOR]})
    vectors, device = over(parameters, FrozenClock()), Device(b64url(bytes(range(16))), 7)
    assert read(vectors, KD1) == (device, None)
    assert read(vectors, KD2) == (device, device.id)
    assert vectors.issue(EMAIL, 7, START, device) == KD2
    for token in (KD1, KD2):
        assert vectors.verify(token, "bob@example.com", START) is None
        assert read(vectors, token, START + LIFE - 1)[0] == device
        assert read(vectors, token, START + LIFE) == NOBODY
        assert read(devices, token) == NOBODY


def test_parts_of_two_tokens_make_none(devices: DeviceTokens) -> None:
    """No part fits another token, nor stands in another one's place; a kd2 token cut down is no kd1 token."""
    device = known(devices, devices.issue(EMAIL, 0, START))
    head, mine = parts(devices.issue(EMAIL, 0, START, device))
    account, browser = BODY_BYTES, BODY_BYTES + MAC_BYTES
    for other in (
        devices.issue("bob@example.com", 0, START, device),
        devices.issue(EMAIL, 1, START, device),
        devices.issue(EMAIL, 0, START + 1, device),
    ):
        theirs = parts(other)[1]
        for mixed in (mine[:account] + theirs[account:], mine[:browser] + theirs[browser:]):
            assert mixed == theirs or read(devices, f"{head}.{b64url(mixed)}") == NOBODY
    macs = mine[account:browser], mine[browser:]
    for first, second in ((macs[1], macs[0]), (macs[0], macs[0]), (macs[1], macs[1])):
        assert read(devices, f"{head}.{b64url(mine[:account] + first + second)}") == NOBODY
    for mac in macs:
        for version in ("kd1", "kd2"):
            cut = f"{version}{head.removeprefix('kd2')}.{b64url(mine[:account] + mac)}"
            assert read(devices, cut) == NOBODY


def test_each_new_device_is_another(devices: DeviceTokens) -> None:
    """Its id is random; a device that was known before keeps its own, also into another epoch."""
    ids = {known(devices, devices.issue(EMAIL, 0, START)).id for _ in range(20)}
    assert len(ids) == 20
    device = Device(ids.pop(), 0)
    assert known(devices, devices.issue(EMAIL, 3, START, device)) == Device(device.id, 3)


def test_token_is_of_its_account_alone(devices: DeviceTokens) -> None:
    """Another address makes it none: those that begin or end alike too."""
    token = devices.issue(EMAIL, 0, START)
    for other in ("bob@example.com", "", EMAIL.upper(), EMAIL[:-1], f"{EMAIL}m", f" {EMAIL}", EMAIL[1:]):
        assert devices.verify(token, other, START) is None


def test_token_ends(devices: DeviceTokens) -> None:
    """It is none from the moment on that it names."""
    token = devices.issue(EMAIL, 0, START)
    assert None not in read(devices, token, START + LIFE - 1)
    assert read(devices, token, START + LIFE) == NOBODY


def test_every_byte_counts(devices: DeviceTokens) -> None:
    """A token with any bit of any byte changed is none."""
    head, raw = parts(devices.issue(EMAIL, 0, START))
    for position in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[position] ^= 1 << bit
            assert read(devices, f"{head}.{b64url(bytes(changed))}") == NOBODY


def spellings(token: str) -> Iterable[str]:
    """Other strings for the same token, and things near it."""
    head, _, payload = token.rpartition(".")
    yield from (f"{head}.{payload[:-1]}{last}" for last in f"{ascii_letters}{digits}-_" if last != payload[-1])
    yield from (token[:-1], f"{token}A", f"{token}=", f"{token}\n", f" {token}", token.upper(), token.swapcase())
    yield from (token.replace("kd2.", f"{prefix}.") for prefix in ("kd1", "kd3", "kt1", "kd", "KD2", ""))
    yield from (payload, f"kd2.{payload}", "kd2..", "", f"kd2.other.{payload}", f"kd2.{'k' * 33}.{payload}")
    yield f"{head}.{payload}.{payload}"


def test_every_other_spelling_is_refused(devices: DeviceTokens) -> None:
    """One token has one spelling, and no other key id fits it."""
    for other in spellings(devices.issue(EMAIL, 0, START)):
        assert read(devices, other) == NOBODY, other


@settings(max_examples=200, deadline=None)
@given(
    token=st.one_of(
        st.none(),
        st.text(max_size=120),
        st.from_regex(r"kd1\.[\w-]{1,32}\.[\w-]{54}", fullmatch=True),
        st.from_regex(r"kd2\.[\w-]{1,32}\.[\w-]{75}", fullmatch=True),
        st.from_regex(r"kd[12]\.[\w-]{1,32}\.[\w-]{40,90}", fullmatch=True),
    )
)
def test_no_string_breaks_the_check(devices: DeviceTokens, token: str | None) -> None:
    """Whatever comes is looked at and is none, never a failure."""
    assert read(devices, token) == NOBODY


def test_keys_of_other_purposes_make_none() -> None:
    """Whoever has leaked the refresh MAC's, the CSRF tokens' and the states' keys cannot make a device known."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    devices = over(parameters, clock)
    parameters.values[f"{PREFIX}/{SESSIONS}"] = parameters.values[f"{PREFIX}/{LOGINS}"]  # as of a stage of before
    ring = KeyRing(parameters, PREFIX, clock, groups=(SESSIONS, LOGINS))
    (root,), (session,) = ring.login_secrets(), ring.session_secrets()
    head, raw = parts(devices.issue(EMAIL, 0, START))
    body, token = raw[:BODY_BYTES], f"{head}.{b64url(raw)}"

    def mac(key: bytes, label: str, message: bytes) -> bytes:
        return hmac.digest(key, f"{head}.{label}.".encode() + body + message, sha256)[:MAC_BYTES]

    def made_with(account_key: bytes, browser_key: bytes) -> str:
        account_mac = mac(account_key, "account", EMAIL.encode())
        return f"{head}.{b64url(body + account_mac + mac(browser_key, 'browser', account_mac))}"

    assert made_with(root.device_key, root.device_key) == token  # the form that cannot change any more
    for key in (session.refresh_key, session.csrf_key, root.state_key, bytes(32), b""):
        assert read(devices, made_with(root.device_key, key)) == NOBODY
        assert devices.verify(made_with(key, root.device_key), EMAIL, START) is None
        assert read(devices, made_with(key, key)) == NOBODY


def test_token_survives_rotation_of_the_root_secret() -> None:
    """A token of a live older secret is known, one of a removed secret is not; new ones are of the newest secret."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    devices = over(parameters, clock)
    old = devices.issue(EMAIL, 0, START)
    (held,) = json.loads(parameters.values[ROOT])["secrets"]
    new = {"id": "new", "key": b64url(bytes(range(150, 182))), "activate_at": START}
    parameters.values[ROOT] = json.dumps({"secrets": [held, new]})
    clock.advance(KEPT)
    assert None not in read(devices, old)
    assert devices.issue(EMAIL, 0, START).startswith("kd2.new.")
    parameters.values[ROOT] = json.dumps({"secrets": [new]})
    clock.advance(KEPT)
    assert read(devices, old) == NOBODY


def test_unknown_key_id_asks_nobody() -> None:
    """A storm of key ids reads no parameter, and a store that is away makes no error of it."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    devices = over(parameters, clock)
    token = devices.issue(EMAIL, 0, START)
    fetches = parameters.fetches
    parameters.away = True
    for number in range(20):
        clock.advance(COOLDOWN // 10)
        assert read(devices, f"kd2.unknown{number}.{token.rpartition('.')[2]}") == NOBODY
    assert parameters.fetches == fetches
