"""Settings of identity providers: each has the same variables, with its own name in them."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.settings import urls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.settings.environment import Environment

# Each identity provider has these, with its name in capitals, after OIDC_ where the operator has named it. Which names
# there are, chalicelib/providers knows.
PROVIDER_VARIABLE = re.compile(
    r"KEYTURN_(OIDC_)?([A-Z][A-Z0-9]*)_"
    r"(?:CLIENT_ID|CLIENT_SECRET_PARAMETER|ISSUER|NATIVE_CLIENT_IDS|TRUSTED_AUDIENCES|SECONDS|TEAM_ID|KEY_ID)"
)
# Where an app is called back (RFC 8252 section 7): a web address, or a scheme of its own, which holds a dot (7.1).
APP_REDIRECT = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:/[\w./~-]*", re.ASCII)

# With Keyturn's own 2.5 s it ends within the function's 10 s, and the person is still there.
MOST_PROVIDER_SECONDS = 6


class ProviderSettings(NamedTuple):
    """One identity provider's settings. `issuer` is empty where the provider's own is meant.

    `profile`: the provider whose constants hold, empty where the provider's own name says it. `native_clients`: the
    public client's id by the redirect URI that it is registered with (RFC 8252 section 8.4). `trusted_audiences`: who
    may stand beside Keyturn's client in an ID token. `seconds`: for all calls in a request, without it the default.
    `team_id` and `key_id`: of a key that signs client secrets.
    """

    client_id: str
    secret_parameter: str
    profile: str = ""
    issuer: str = ""
    native_clients: Mapping[str, str] = MappingProxyType({})
    trusted_audiences: frozenset[str] = frozenset()
    seconds: int | None = None
    team_id: str = ""
    key_id: str = ""

    @classmethod
    def read(cls, env: Environment, prefix: str, profile: str) -> ProviderSettings:
        """Read those whose variables begin with the prefix. Whatever is wrong, `env` remembers."""
        return cls(
            client_id=env.text(f"{prefix}_CLIENT_ID"),
            secret_parameter=env.text(f"{prefix}_CLIENT_SECRET_PARAMETER"),
            profile=profile,
            issuer=_issuer(env, f"{prefix}_ISSUER"),
            native_clients=_native_clients(env, f"{prefix}_NATIVE_CLIENT_IDS"),
            trusted_audiences=frozenset(env.optional(f"{prefix}_TRUSTED_AUDIENCES").replace(",", " ").split()),
            seconds=env.seconds(f"{prefix}_SECONDS", 0, 1, MOST_PROVIDER_SECONDS) or None,
            team_id=env.optional(f"{prefix}_TEAM_ID"),
            key_id=env.optional(f"{prefix}_KEY_ID"),
        )

    def variable(self, name: str, suffix: str) -> str:
        """The name of the variable that sets this of the provider of this name."""
        named = self.profile == "oidc" != name
        return f"KEYTURN_{'OIDC_' if named else ''}{name.upper()}_{suffix}"


def read(env: Environment) -> dict[str, ProviderSettings]:
    """The settings of each identity provider that any variable names, by the provider's name."""
    found: dict[str, ProviderSettings] = {}
    for prefix, name in sorted({(match[1] or "", match[2]) for match in env.matching(PROVIDER_VARIABLE)}):
        if name.lower() in found:
            env.problem(f"KEYTURN_OIDC_{name}_CLIENT_ID", f"is beside KEYTURN_{name}_…, and a name is for one")
        profile = "oidc" if prefix else name.lower()
        found[name.lower()] = ProviderSettings.read(env, f"KEYTURN_{prefix}{name}", profile)
    return found


def _issuer(env: Environment, name: str) -> str:
    # To the letter as the provider says it, which may end with a slash.
    value = env.optional(name)
    if value and not urls.is_page(value):
        env.problem(name, f"must be an https URL without query or fragment, not {value!r}")
    return value


def _native_clients(env: Environment, name: str) -> dict[str, str]:
    clients: dict[str, str] = {}
    for client_id, redirects in env.grouped(name, "client_id=redirect_uri redirect_uri").items():
        for redirect in redirects:
            if not urls.is_page(redirect) and not APP_REDIRECT.fullmatch(redirect):
                example = "com.example.app:/callback"
                env.problem(name, f"holds {redirect!r}, which is no redirect URI such as {example}")
            env.bound_url(name, redirect)
            if redirect in clients:
                env.problem(name, f"names {redirect!r} for two clients")
            clients[redirect] = client_id
    return clients
