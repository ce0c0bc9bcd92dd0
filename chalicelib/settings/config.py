"""Settings, read from the environment once and checked all together."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from chalicelib.domain import access_tokens
from chalicelib.domain.denials import LONGEST_ACCESS_TTL
from chalicelib.domain.requirements import NEW_ACCOUNT_ROLES, scope_of
from chalicelib.domain.sessions import LONGEST_SESSION
from chalicelib.settings.environment import Environment, provider_variable
from chalicelib.settings.urls import is_local

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.requirements import Requirement
    from chalicelib.settings.environment import ProviderSettings

SameSite = Literal["Strict", "Lax", "None"]

# Of each the first is the default.
SAME_SITES: tuple[SameSite, ...] = ("Lax", "Strict", "None")
SIGNING_ALGORITHMS = ("RS256", "ES256", "EdDSA")
ARGON2_PROFILES = ("default", "rfc9106", "testing")

DAY = 86400
LEAST_ROTATION_WINDOW = 10  # seconds: a shorter window logs out tabs that a slow network or two clocks keep apart
LEAST_WAF_RATE = 10  # requests in five minutes: what AWS takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting. The README's table says what each is for; a test compares the two."""

    table: str
    issuer: str
    audience: str
    parameters: str
    allowed_origins: frozenset[str] = frozenset()
    access_ttl: int = 900
    refresh_idle_ttl: int = 14 * DAY
    refresh_absolute_ttl: int = 90 * DAY
    rotation_window: int = 20
    signing_algorithm: str = SIGNING_ALGORITHMS[0]
    cookie_samesite: SameSite = SAME_SITES[0]
    argon2_profile: str = ARGON2_PROFILES[0]
    password_min_length: int = 8
    role_scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    return_to: frozenset[str] = frozenset()
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    guards: Mapping[str, Requirement] = field(default_factory=dict)
    guarded_apis: frozenset[str] = frozenset()
    # How often an hour somebody may try before delays begin; why so often: domain/limits.py.
    login_attempts: int = 20
    address_attempts: int = 300
    signup_attempts: int = 100
    context_words: frozenset[str] = frozenset()
    breached_passwords: str = ""  # where to look passwords up; empty: nowhere
    # What deployment gives to API Gateway and WAF; the functions do not read it.
    throttle_rate: int = 100
    throttle_burst: int = 200
    waf_rate: int = 0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Read `KEYTURN_…`. ConfigurationError names every variable that is missing or wrong, and how, at once."""
        return cls.read(Environment(environ))

    @classmethod
    def read(cls, env: Environment) -> Config:
        """Read them from this environment, as `from_env` does. `env.asked` then holds the name of every setting."""
        default = cls(table="", issuer="", audience="", parameters="")
        config = cls(
            table=env.text("KEYTURN_TABLE"),
            issuer=env.issuer("KEYTURN_ISSUER"),
            audience=env.text("KEYTURN_AUDIENCE"),
            parameters=env.prefix("KEYTURN_PARAMETERS"),
            allowed_origins=env.origins("KEYTURN_ALLOWED_ORIGINS"),
            access_ttl=env.seconds("KEYTURN_ACCESS_TTL", default.access_ttl, 60, LONGEST_ACCESS_TTL),
            refresh_idle_ttl=env.seconds("KEYTURN_REFRESH_IDLE_TTL", default.refresh_idle_ttl, 300, LONGEST_SESSION),
            refresh_absolute_ttl=env.seconds(
                "KEYTURN_REFRESH_ABSOLUTE_TTL", default.refresh_absolute_ttl, 300, LONGEST_SESSION
            ),
            rotation_window=env.seconds("KEYTURN_ROTATION_WINDOW", default.rotation_window, 0, 60),
            signing_algorithm=env.choice("KEYTURN_SIGNING_ALGORITHM", SIGNING_ALGORITHMS),
            cookie_samesite=cast("SameSite", env.choice("KEYTURN_COOKIE_SAMESITE", SAME_SITES)),
            argon2_profile=env.choice("KEYTURN_ARGON2_PROFILE", ARGON2_PROFILES),
            password_min_length=env.number("KEYTURN_PASSWORD_MIN_LENGTH", default.password_min_length, 8, 64),
            role_scopes=env.role_scopes("KEYTURN_ROLE_SCOPES"),
            return_to=env.pages("KEYTURN_RETURN_TO"),
            providers=env.providers(),
            guards=env.guards("KEYTURN_GUARDS"),
            guarded_apis=env.apis("KEYTURN_GUARDED_APIS"),
            login_attempts=env.number("KEYTURN_LOGIN_ATTEMPTS", default.login_attempts, 5, 1000),
            address_attempts=env.number("KEYTURN_ADDRESS_ATTEMPTS", default.address_attempts, 20, 100_000),
            signup_attempts=env.number("KEYTURN_SIGNUP_ATTEMPTS", default.signup_attempts, 5, 100_000),
            context_words=env.words("KEYTURN_CONTEXT_WORDS"),
            breached_passwords=env.url("KEYTURN_BREACHED_PASSWORDS"),
            throttle_rate=env.number(
                "KEYTURN_THROTTLE_RATE", default.throttle_rate, 1, 10_000, " of requests a second"
            ),
            throttle_burst=env.number("KEYTURN_THROTTLE_BURST", default.throttle_burst, 1, 5000, " of requests"),
            waf_rate=env.number("KEYTURN_WAF_RATE", default.waf_rate, 0, 20_000_000, " of requests in five minutes"),
        )
        if config.refresh_idle_ttl > config.refresh_absolute_ttl:
            env.problem("KEYTURN_REFRESH_IDLE_TTL", "must not be longer than KEYTURN_REFRESH_ABSOLUTE_TTL")
        if config.argon2_profile == "testing" and not is_local(config.issuer):
            env.problem("KEYTURN_ARGON2_PROFILE", "`testing` protects nothing; use `default`")
        if 0 < config.rotation_window < LEAST_ROTATION_WINDOW:
            what = f"must be 0, which tolerates nothing, or from {LEAST_ROTATION_WINDOW} to 60 seconds"
            env.problem("KEYTURN_ROTATION_WINDOW", what)
        if 0 < config.waf_rate < LEAST_WAF_RATE:
            env.problem("KEYTURN_WAF_RATE", f"must be 0, which is no limit, or at least {LEAST_WAF_RATE}")
        config._bound_access_tokens(env)
        callbacks = {f"{config.issuer}/login/{name}/callback" for name in config.providers}
        # The provider sends codes there for Keyturn itself, which must not redeem them for whoever asks.
        for page in sorted(callbacks & config.return_to):
            env.problem("KEYTURN_RETURN_TO", f"holds {page!r}, which is Keyturn's own callback")
        for name, provider in config.providers.items():
            for redirect in sorted(callbacks & provider.native_clients.keys()):
                what = f"holds {redirect!r}, which is Keyturn's own callback"
                env.problem(provider_variable(name, provider, "NATIVE_CLIENT_IDS"), what)
            if not provider.secret_parameter.startswith(f"{config.parameters}/provider/"):
                what = f"must name a parameter under {config.parameters}/provider/, as the function's policy does"
                env.problem(provider_variable(name, provider, "CLIENT_SECRET_PARAMETER"), what)
        env.finish()
        return config

    def _bound_access_tokens(self, env: Environment) -> None:
        """Refuse settings under which an access token could be longer than is accepted: it would be dead at birth."""
        parties = {"KEYTURN_ISSUER": self.issuer, "KEYTURN_AUDIENCE": self.audience}
        too_long = [name for name, value in parties.items() if len(json.dumps(value)) - 2 > access_tokens.MAX_PARTY]
        for name in too_long:
            env.problem(name, f"has more than {access_tokens.MAX_PARTY} characters, as JSON has them")
        if not self.audience.isprintable():
            env.problem("KEYTURN_AUDIENCE", f"must be printable, not {self.audience!r}")
        roles = sorted({*NEW_ACCOUNT_ROLES, *self.role_scopes})
        scope = scope_of(roles, self.role_scopes)
        longest = access_tokens.longest(issuer=self.issuer, audience=self.audience, roles=roles, scope=scope)
        if longest > access_tokens.MAX_LENGTH and not too_long:
            most = access_tokens.MAX_LENGTH
            what = f"makes access tokens of up to {longest} characters, and at most {most} are accepted"
            remedy = "name fewer or shorter roles and scopes, or shorten KEYTURN_AUDIENCE or KEYTURN_ISSUER"
            env.problem("KEYTURN_ROLE_SCOPES", f"{what}: {remedy}")
