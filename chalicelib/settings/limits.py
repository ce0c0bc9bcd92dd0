"""Settings of how much is let through: attempts by Keyturn, requests by API Gateway and WAF."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chalicelib.settings.environment import Environment

LEAST_WAF_RATE = 10  # requests in five minutes: what AWS takes


class LimitSettings(NamedTuple):
    """Attempts: how many an hour, before delays begin; why so many: domain/limits.py.

    What is throttled and `waf_rate`, deployment gives to API Gateway and WAF; the functions do not read it.
    """

    login_attempts: int = 20
    address_attempts: int = 300
    signup_attempts: int = 100
    throttle_rate: int = 100  # requests a second
    throttle_burst: int = 200  # requests
    waf_rate: int = 0  # requests in five minutes; 0 is no limit

    @classmethod
    def read(cls, env: Environment) -> LimitSettings:
        """Read them. Whatever is wrong, `env` remembers."""
        default = cls()
        settings = cls(
            login_attempts=env.number("KEYTURN_LOGIN_ATTEMPTS", default.login_attempts, 5, 1000),
            address_attempts=env.number("KEYTURN_ADDRESS_ATTEMPTS", default.address_attempts, 20, 100_000),
            signup_attempts=env.number("KEYTURN_SIGNUP_ATTEMPTS", default.signup_attempts, 5, 100_000),
            throttle_rate=env.number(
                "KEYTURN_THROTTLE_RATE", default.throttle_rate, 1, 10_000, " of requests a second"
            ),
            throttle_burst=env.number("KEYTURN_THROTTLE_BURST", default.throttle_burst, 1, 5000, " of requests"),
            waf_rate=env.number("KEYTURN_WAF_RATE", default.waf_rate, 0, 20_000_000, " of requests in five minutes"),
        )
        if 0 < settings.waf_rate < LEAST_WAF_RATE:
            env.problem("KEYTURN_WAF_RATE", f"must be 0, which is no limit, or at least {LEAST_WAF_RATE}")
        return settings
