"""Limits: how the delays grow, that they end, and what counts as one client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.limits import (
    HOUR,
    LimitPolicy,
    address_bucket,
    change_by_device,
    login_by_account,
    login_by_address,
    login_by_device,
    provider_by_address,
    provider_by_device,
    signup_by_address,
)
from tests.world.clock import START
from tests.world.keyturn import config

if TYPE_CHECKING:
    from collections.abc import Callable

BY_PROVIDER = (provider_by_address, provider_by_device)
MADE_BY = (login_by_account, login_by_device, change_by_device, login_by_address, *BY_PROVIDER, signup_by_address)
LOGIN_BY_ACCOUNT = login_by_account(config().limits.login_attempts)
LOGIN_BY_ADDRESS = login_by_address(config().limits.address_attempts)
SIGNUP_BY_ADDRESS = signup_by_address(config().limits.signup_attempts)
POLICIES = (*(made_by(20) for made_by in MADE_BY), LOGIN_BY_ADDRESS, SIGNUP_BY_ADDRESS)
bounded = settings(max_examples=150, deadline=None)
policies = st.sampled_from(POLICIES)
moments = st.integers(min_value=START, max_value=START + 10 * HOUR)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 0), (1, 0), (19, 0), (20, 30), (29, 30), (30, 120), (39, 120), (40, 300), (41, 300), (10**9, 300)],
)
def test_delays_of_an_account(attempts: int, seconds: int) -> None:
    """Twenty attempts are free; then they are 30 s, 120 s and at last 300 s apart (ASVS V6.3.1)."""
    assert LOGIN_BY_ACCOUNT.spacing(attempts) == seconds


@bounded
@given(policies, st.integers(min_value=0, max_value=2000))
def test_delays_only_grow(policy: LimitPolicy, attempts: int) -> None:
    """One more attempt never shortens the delay, and none is longer than the final one."""
    assert policy.spacing(attempts) <= policy.spacing(attempts + 1) <= policy.final_spacing


@bounded
@given(policies, moments)
def test_windows_tile_the_time(policy: LimitPolicy, now: int) -> None:
    """Every moment is in exactly one window."""
    start = policy.window_start(now)
    assert start <= now < start + policy.window
    assert policy.window_start(start) == start
    assert policy.window_start(start - 1) == start - policy.window


@bounded
@given(policies, st.integers(min_value=1, max_value=2000), moments, st.integers(min_value=0, max_value=HOUR))
def test_waiting_as_told_is_enough(policy: LimitPolicy, attempts: int, now: int, ago: int) -> None:
    """Who waits as long as told is let through, by the spacing or by the next window: nobody is locked out for good."""
    last_at = max(policy.window_start(now), now - ago)
    told = policy.retry_after(attempts, last_at, now)
    then = now + told
    assert told >= 1
    assert told <= max(1, policy.final_spacing)
    assert then - last_at >= policy.spacing(attempts) or policy.window_start(then) > policy.window_start(now)


def test_wait_never_reaches_beyond_the_window() -> None:
    """Near the window's end the wait ends with it."""
    end = LOGIN_BY_ACCOUNT.window_start(START) + HOUR
    assert LOGIN_BY_ACCOUNT.retry_after(50, end - 10, end - 7) == 7


def test_policies_have_names_of_their_own() -> None:
    """Two policies never share a counter, and no name can reach into another's key."""
    assert len({made_by(20).kind for made_by in MADE_BY}) == len(MADE_BY)
    assert all("#" not in policy.kind for policy in POLICIES)


def test_defaults() -> None:
    """What the settings' defaults come to: the table of docs/decisions/0017-limits.md."""
    assert LimitPolicy("login-account", HOUR, ((20, 0), (30, 30), (40, 120)), 300) == LOGIN_BY_ACCOUNT
    assert LimitPolicy("login-address", HOUR, ((300, 0), (600, 2)), 10) == LOGIN_BY_ADDRESS
    assert LimitPolicy("signup-address", HOUR, ((100, 0), (200, 10)), 60) == SIGNUP_BY_ADDRESS
    for made_by in (login_by_device, change_by_device):
        assert (made_by(20).tiers, made_by(20).final_spacing) == (LOGIN_BY_ACCOUNT.tiers, 300)
    for made_by in BY_PROVIDER:  # to be known is no disadvantage
        assert (made_by(300).tiers, made_by(300).final_spacing) == (LOGIN_BY_ADDRESS.tiers, 10)


@bounded
@given(st.sampled_from(MADE_BY), st.integers(min_value=5, max_value=100_000))
def test_every_setting_makes_a_policy(made_by: Callable[[int], LimitPolicy], attempts: int) -> None:
    """As many attempts as the setting says are free, then delays grow, tier by tier, and end with the window."""
    policy = made_by(attempts)
    assert policy.quota == attempts
    assert policy.spacing(attempts - 1) == 0 < policy.spacing(attempts)
    limits, seconds = zip(*policy.tiers, strict=True)
    assert list(limits) == sorted(set(limits))
    assert [*seconds, policy.final_spacing] == sorted({*seconds, policy.final_spacing})
    assert policy.final_spacing < policy.window


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("0:0:0:0:0:FFFF:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:0db8:0000:0000:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:DB8::ABCD", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fe80::1%25eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_bucket_is_what_one_party_controls(address: str, bucket: str) -> None:
    """IPv6 counts by /64, mapped IPv4 as IPv4, and spelling makes no difference (CVE-2026-45364)."""
    assert address_bucket(address) == bucket


@pytest.mark.parametrize(
    "garbage",
    [
        *("", "unknown", "localhost", "192.0.2", "192.0.2.256", "192.0.2.1.", "192.0.2.1, 198.51.100.1", " 192.0.2.1"),
        *("192.0.2.1:443", "[2001:db8::1]", "\uff11.2.3.4", "1.2.3.\u0664", "0x7f.0.0.1", "2130706433", "01.2.3.4"),
        *("2001:db8::/64", "%eth0", "\x00", "\ud800", "a" * 10_000),
    ],
)
def test_what_is_no_address_is_one_bucket(garbage: str) -> None:
    """Nobody gets a counter of their own by a strange spelling."""
    assert address_bucket(garbage) == "unknown"


@bounded
@given(st.ip_addresses(v=6), st.integers(min_value=0, max_value=2**64 - 1))
def test_one_network_is_one_bucket(address: object, host: int) -> None:
    """Turning through a /64 changes nothing (CVE-2026-45364)."""
    network = int(address) >> 64 << 64  # type: ignore[call-overload]  # an IPv6Address is an int to int()
    if network:
        other = type(address)(network | host)  # type: ignore[call-arg]  # the same
        assert address_bucket(str(other)) == address_bucket(str(address))


@bounded
@given(st.one_of(st.text(max_size=60), st.ip_addresses().map(str)))
def test_bucket_never_fails(address: str) -> None:
    """Whatever the gateway says, there is a bucket, in a form that fits a key."""
    assert len(address_bucket(address)) <= 43
