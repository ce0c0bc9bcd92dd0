"""How often somebody may try. Attempts are counted in windows; the more there were, the further apart they must be."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class LimitPolicy(NamedTuple):
    """Growing delays: `tiers` are (attempts, seconds apart), ascending; beyond the last one, `final_spacing` seconds.

    An attempt that is refused is not counted, so nobody can push another person's delay past `final_spacing`, and a
    window ends after `window` seconds: nobody is locked out for good (ASVS V6.1.1).
    """

    kind: str
    window: int
    tiers: tuple[tuple[int, int], ...]
    final_spacing: int

    @property
    def quota(self) -> int:
        """How many attempts of one window need not be apart."""
        return max((attempts for attempts, seconds in self.tiers if not seconds), default=0)

    def window_start(self, now: int) -> int:
        """Start of the window that `now` falls into, in seconds since the epoch."""
        return now - now % self.window

    def spacing(self, attempts: int) -> int:
        """How many seconds must lie between the last of `attempts` and the next."""
        return next((seconds for limit, seconds in self.tiers if attempts < limit), self.final_spacing)

    def retry_after(self, attempts: int, last_at: int, now: int) -> int:
        """How many seconds until the next attempt is let through: at least 1, at most the rest of the window."""
        window_end = self.window_start(now) + self.window
        return max(1, min(last_at + self.spacing(attempts), window_end) - now)


HOUR = 3600

# The settings' defaults stand in settings/limits.py. Whatever they are, an hour lets through so many, and then one in
# `final_spacing` seconds at most.


def login_by_account(attempts: int) -> LimitPolicy:
    """How often a stranger may try an account's password, where so many in an hour are free (the setting, 20).

    A person who mistypes does not get to 20 in an hour. A program that guesses does, and then gets one in five minutes:
    47 in an hour, which is two years for the million passwords that people use most.
    """
    return _by_password("login-account", attempts)


def login_by_device(attempts: int) -> LimitPolicy:
    """The same for one device that has logged in to the account before, which strangers' attempts do not count for."""
    return _by_password("login-device", attempts)


def change_by_device(attempts: int) -> LimitPolicy:
    """The same for the current password, asked of a session on such a device."""
    return _by_password("change-device", attempts)


def login_by_address(attempts: int) -> LimitPolicy:
    """How often one client address may try passwords, whatever the account, where so many an hour are free (300).

    An office behind one address logs in a few hundred times an hour; the delay there stays short, the account's counts.
    """
    return _by_address("login-address", attempts)


def provider_by_address(attempts: int) -> LimitPolicy:
    """How often one client address may begin logins at providers, bring codes and link: as many as it may log in.

    By a counter of its own: using it up holds no login with a password up.
    """
    return _by_address("provider-address", attempts)


def provider_by_device(attempts: int) -> LimitPolicy:
    """The same for a browser that has had a login before; requests of other clients at its address do not count.

    No password is tried there, so that it may be as much as for an address: to be known must not be a disadvantage.
    """
    return _by_address("provider-device", attempts)


def signup_by_address(attempts: int) -> LimitPolicy:
    """How often one client address may sign up, where so many in an hour are free (the setting, 100).

    A class that signs up together does not get to 100. Nothing is guessed by it: it costs a hash and seven write units.
    """
    return LimitPolicy("signup-address", HOUR, ((attempts, 0), (2 * attempts, 10)), 60)


def new_devices() -> LimitPolicy:
    """How many devices of an hour an account gets to know by logins of strangers: 5.

    Each known device has attempts of its own, so that devices without end would be attempts without end.
    """
    return LimitPolicy("new-device", HOUR, ((5, 0),), HOUR)


def address_bucket(address: str) -> str:
    """The part of a client address that one party controls: IPv4 whole, IPv6 by /64 (regressions: CVE-2026-45364).

    An IPv4-mapped IPv6 address is its IPv4 address. What is no address at all is one bucket of its own.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


def _by_password(kind: str, attempts: int) -> LimitPolicy:
    return LimitPolicy(kind, HOUR, ((attempts, 0), (attempts * 3 // 2, 30), (2 * attempts, 120)), 300)


def _by_address(kind: str, attempts: int) -> LimitPolicy:
    return LimitPolicy(kind, HOUR, ((attempts, 0), (2 * attempts, 2)), 10)
