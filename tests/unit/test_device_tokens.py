"""Device tokens: bound to device, account and epoch; forgeries, expiry and key rotation."""

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

from chalicelib.crypto.device_tokens import ID_BYTES, LIFE, MAC_BYTES, Device, DeviceTokens
from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.crypto.keyring import COOLDOWN, KEPT, KeyRing
from chalicelib.crypto.random import SystemTokenSource
from tests.fakes import PREFIX, START, FrozenClock, MemoryParameters, parameters_with_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

EMAIL = "alice@example.com"
ROOT = f"{PREFIX}/root"


def over(parameters: MemoryParameters, clock: FrozenClock) -> DeviceTokens:
    """Over keys that may change."""
    return DeviceTokens(KeyRing(parameters, PREFIX, clock, with_secrets=True), SystemTokenSource())


@pytest.fixture(scope="module")
def devices() -> DeviceTokens:
    """Over keys that stay as they are."""
    return over(parameters_with_keys(), FrozenClock())


def known(devices: DeviceTokens, token: str, email: str = EMAIL, now: int = START) -> Device:
    """The device, which there is."""
    device = devices.verify(token, email, now)
    assert device is not None
    return device


def parts(token: str) -> tuple[str, bytes]:
    """What stands before the payload, and the payload."""
    head, _, payload = token.rpartition(".")
    return head, from_b64url(payload)


def test_token_tells_a_device_and_an_epoch(devices: DeviceTokens) -> None:
    """What was issued is taken apart again; id, epoch, expiry and MAC are in it and nothing else, no address."""
    token = devices.issue(EMAIL, 7, START)
    device = known(devices, token)
    assert (len(from_b64url(device.id)), device.epoch) == (ID_BYTES, 7)
    head, raw = parts(token)
    assert re.fullmatch(r"kd1\.[\w-]{1,32}", head)
    expected = from_b64url(device.id) + (7).to_bytes(4, "big") + (START + LIFE).to_bytes(4, "big")
    assert raw[:-MAC_BYTES] == expected


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
    assert devices.verify(token, EMAIL, START + LIFE - 1) is not None
    assert devices.verify(token, EMAIL, START + LIFE) is None


def test_every_byte_counts(devices: DeviceTokens) -> None:
    """A token with any bit of any byte changed is none."""
    head, raw = parts(devices.issue(EMAIL, 0, START))
    for position in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[position] ^= 1 << bit
            assert devices.verify(f"{head}.{b64url(bytes(changed))}", EMAIL, START) is None


def spellings(token: str) -> Iterable[str]:
    """Other strings for the same token, and things near it."""
    head, _, payload = token.rpartition(".")
    yield from (f"{head}.{payload[:-1]}{last}" for last in f"{ascii_letters}{digits}-_" if last != payload[-1])
    yield from (token[:-1], f"{token}A", f"{token}=", f"{token}\n", f" {token}", token.upper(), token.swapcase())
    yield from (token.replace("kd1.", "kd2."), token.replace("kd1.", "kt1."), payload, f"kd1.{payload}", "kd1..", "")
    yield from (f"kd1.other.{payload}", f"kd1.{'k' * 33}.{payload}", f"{head}.{payload}.{payload}")


def test_every_other_spelling_is_refused(devices: DeviceTokens) -> None:
    """One token has one spelling, and no other key id fits it."""
    for other in spellings(devices.issue(EMAIL, 0, START)):
        assert devices.verify(other, EMAIL, START) is None, other


@settings(max_examples=200, deadline=None)
@given(token=st.one_of(st.none(), st.text(max_size=120), st.from_regex(r"kd1\.[\w-]{1,32}\.[\w-]{54}", fullmatch=True)))
def test_no_string_breaks_the_check(devices: DeviceTokens, token: str | None) -> None:
    """Whatever comes is looked at and is none, never a failure."""
    assert devices.verify(token, EMAIL, START) is None


def test_keys_of_other_purposes_make_none() -> None:
    """Whoever has leaked the refresh MAC's, the CSRF tokens' and the states' keys cannot make a device known."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    devices = over(parameters, clock)
    ring = KeyRing(parameters, PREFIX, clock, with_secrets=True)
    (root,) = ring.root_secrets()
    head, raw = parts(devices.issue(EMAIL, 0, START))
    body, message = raw[:-MAC_BYTES], f"{head}.".encode() + raw[:-MAC_BYTES] + EMAIL.encode()

    def made_with(key: bytes) -> str:
        return f"{head}.{b64url(body + hmac.digest(key, message, sha256)[:MAC_BYTES])}"

    assert devices.verify(made_with(root.device_key), EMAIL, START) is not None  # the form that cannot change any more
    for key in (root.refresh_key, root.csrf_key, root.state_key, bytes(32), b""):
        assert devices.verify(made_with(key), EMAIL, START) is None


def test_token_survives_rotation_of_the_root_secret() -> None:
    """A token of a live older secret is known, one of a removed secret is not; new ones are of the newest secret."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    devices = over(parameters, clock)
    old = devices.issue(EMAIL, 0, START)
    (held,) = json.loads(parameters.values[ROOT])["secrets"]
    new = {"id": "new", "key": b64url(bytes(range(150, 182))), "activate_at": START}
    parameters.values[ROOT] = json.dumps({"secrets": [held, new]})
    clock.advance(KEPT)
    assert devices.verify(old, EMAIL, START) is not None
    assert devices.issue(EMAIL, 0, START).startswith("kd1.new.")
    parameters.values[ROOT] = json.dumps({"secrets": [new]})
    clock.advance(KEPT)
    assert devices.verify(old, EMAIL, START) is None


def test_unknown_key_id_asks_nobody() -> None:
    """A storm of key ids reads no parameter, and a store that is away makes no error of it."""
    parameters, clock = parameters_with_keys(), FrozenClock()
    devices = over(parameters, clock)
    token = devices.issue(EMAIL, 0, START)
    fetches = parameters.fetches
    parameters.away = True
    for number in range(20):
        clock.advance(COOLDOWN // 10)
        assert devices.verify(f"kd1.unknown{number}.{token.rpartition('.')[2]}", EMAIL, START) is None
    assert parameters.fetches == fetches
