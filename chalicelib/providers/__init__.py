"""Services outside AWS: the identity providers, and the list of breached passwords (breached.py).

A new identity provider is a file with its Profile and a line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import ConfigurationError
from chalicelib.providers import google, oidc
from chalicelib.providers.openid import OpenIdProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.environment import ProviderSettings
    from chalicelib.ports import Clock, IdTokenVerifier, ParameterSource
    from chalicelib.providers.profile import Profile

PROFILES: dict[str, Profile] = {
    "google": google.PROFILE,
    "oidc": oidc.PROFILE,
}


def require_known(settings: Mapping[str, ProviderSettings]) -> None:
    """ConfigurationError names every setting of a provider that does not exist, or has no issuer of its own."""
    problems: list[str] = []
    issuers: dict[str, str] = {}
    for name, given in settings.items():
        if name not in PROFILES:
            problems.append(f"KEYTURN_{name.upper()}_CLIENT_ID names no provider")
            continue
        issuer = given.issuer or PROFILES[name].issuer
        if not issuer:
            problems.append(f"KEYTURN_{name.upper()}_ISSUER is not set")
        elif issuer in issuers:
            # An identity is known by its issuer and opens one account: of two such providers, one could not be linked.
            problems.append(f"KEYTURN_{name.upper()}_ISSUER is that of {issuers[issuer]} too")
        issuers[issuer] = name
    if problems:
        raise ConfigurationError(debug="; ".join(problems))


def connect(
    settings: Mapping[str, ProviderSettings], parameters: ParameterSource, id_tokens: IdTokenVerifier, clock: Clock
) -> dict[str, OpenIdProvider]:
    """The providers that are configured, by name. None is asked anything before it is needed.

    ConfigurationError as `require_known`.
    """
    require_known(settings)
    return {
        name: OpenIdProvider(PROFILES[name], given, parameters, id_tokens, clock) for name, given in settings.items()
    }
