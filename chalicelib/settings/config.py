"""Settings, read from the environment once and checked all together. Each group is a module of this room."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.domain import access_tokens
from chalicelib.domain.requirements import NEW_ACCOUNT_ROLES, scope_of
from chalicelib.settings import providers
from chalicelib.settings.environment import Environment
from chalicelib.settings.guards import GuardSettings
from chalicelib.settings.limits import LimitSettings
from chalicelib.settings.pages import PageSettings
from chalicelib.settings.passwords import PasswordSettings
from chalicelib.settings.sessions import SessionSettings
from chalicelib.settings.urls import is_local

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.settings.providers import ProviderSettings


class Config(NamedTuple):
    """Every setting: the stage's own names, and the groups. The README's table says what each is for."""

    table: str
    issuer: str
    audience: str
    parameters: str
    sessions: SessionSettings = SessionSettings()
    pages: PageSettings = PageSettings()
    passwords: PasswordSettings = PasswordSettings()
    limits: LimitSettings = LimitSettings()
    guards: GuardSettings = GuardSettings()
    providers: Mapping[str, ProviderSettings] = MappingProxyType({})

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Read `KEYTURN_…`. ConfigurationError names every variable that is missing or wrong, and how, at once."""
        return cls.read(Environment(environ))

    @classmethod
    def read(cls, env: Environment) -> Config:
        """Read them from this environment, as `from_env` does. `env.asked` then holds the name of every setting."""
        env.text("KEYTURN_ISSUER")  # which must be there; `url` says what it must be
        config = cls(
            table=env.text("KEYTURN_TABLE"),
            issuer=env.url("KEYTURN_ISSUER"),
            audience=env.text("KEYTURN_AUDIENCE"),
            parameters=env.prefix("KEYTURN_PARAMETERS"),
            sessions=SessionSettings.read(env),
            pages=PageSettings.read(env),
            passwords=PasswordSettings.read(env),
            limits=LimitSettings.read(env),
            guards=GuardSettings.read(env),
            providers=providers.read(env),
        )
        if config.passwords.argon2_profile == "testing" and not is_local(config.issuer):
            env.problem("KEYTURN_ARGON2_PROFILE", "`testing` protects nothing; use `default`")
        config._check_access_tokens(env)
        config._check_providers(env)
        env.finish()
        return config

    def _check_access_tokens(self, env: Environment) -> None:
        """Refuse settings under which an access token could be longer than is accepted: it would be dead at birth."""
        parties = {"KEYTURN_ISSUER": self.issuer, "KEYTURN_AUDIENCE": self.audience}
        too_long = [name for name, value in parties.items() if len(json.dumps(value)) - 2 > access_tokens.MAX_PARTY]
        for name in too_long:
            env.problem(name, f"has more than {access_tokens.MAX_PARTY} characters, as JSON has them")
        if not self.audience.isprintable():
            env.problem("KEYTURN_AUDIENCE", f"must be printable, not {self.audience!r}")
        role_scopes = self.sessions.role_scopes
        roles = sorted({*NEW_ACCOUNT_ROLES, *role_scopes})
        scope = scope_of(roles, role_scopes)
        longest = access_tokens.longest(issuer=self.issuer, audience=self.audience, roles=roles, scope=scope)
        if longest > access_tokens.MAX_LENGTH and not too_long:
            most = access_tokens.MAX_LENGTH
            what = f"makes access tokens of up to {longest} characters, and at most {most} are accepted"
            remedy = "name fewer or shorter roles and scopes, or shorten KEYTURN_AUDIENCE or KEYTURN_ISSUER"
            env.problem("KEYTURN_ROLE_SCOPES", f"{what}: {remedy}")

    def _check_providers(self, env: Environment) -> None:
        """Refuse Keyturn's own callbacks as redirects of others, and secrets that the function may not read."""
        # The provider sends codes there for Keyturn itself, which must not redeem them for whoever asks.
        callbacks = {f"{self.issuer}/login/{name}/callback" for name in self.providers}
        for page in sorted(callbacks & self.pages.return_to):
            env.problem("KEYTURN_RETURN_TO", f"holds {page!r}, which is Keyturn's own callback")
        for name, provider in self.providers.items():
            for redirect in sorted(callbacks & provider.native_clients.keys()):
                what = f"holds {redirect!r}, which is Keyturn's own callback"
                env.problem(provider.variable(name, "NATIVE_CLIENT_IDS"), what)
            if not provider.secret_parameter.startswith(f"{self.parameters}/provider/"):
                what = f"must name a parameter under {self.parameters}/provider/, as the function's policy does"
                env.problem(provider.variable(name, "CLIENT_SECRET_PARAMETER"), what)
