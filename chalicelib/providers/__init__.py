"""Services outside AWS: the identity providers, and the list of breached passwords (breached.py).

A new identity provider is a file with its Profile and a line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import ConfigurationError
from chalicelib.providers import apple, github, google, microsoft, oidc
from chalicelib.providers.client_secrets import Secret, SignedSecret
from chalicelib.providers.github import GitHub
from chalicelib.providers.openid import OpenIdProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.ports import ClientSecretIssuer, Clock, IdentityProvider, IdTokenVerifier, ParameterSource
    from chalicelib.providers.profile import Profile
    from chalicelib.settings.providers import ProviderSettings

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (apple.PROFILE, github.PROFILE, google.PROFILE, microsoft.PROFILE, oidc.PROFILE)
}
# A session's `amr` names the provider that the session was begun at. The registered values mean other methods (RFC 8176
# section 2): a provider of such a name would be taken for a password, or for a second factor.
REGISTERED_METHODS = {
    *("face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba", "retina"),
    *("sc", "sms", "swk", "tel", "user", "vbm", "wia"),
}


def require_known(settings: Mapping[str, ProviderSettings]) -> None:
    """ConfigurationError names every setting of a provider that does not exist, or that does not fit it."""
    problems: list[str] = []
    issuers: dict[str, str] = {}
    for name, given in settings.items():
        profile = PROFILES.get(given.profile or name)
        if profile is None:
            problems.append(f"KEYTURN_{name.upper()}_CLIENT_ID names no provider")
            continue
        problems.extend(_problems(name, given, profile))
        issuer = given.issuer or profile.issuer
        if not issuer:
            problems.append(f"{given.variable(name, 'ISSUER')} is not set")
        elif issuer in issuers:
            # An identity is known by its issuer and opens one account: of two such providers, one could not be linked.
            problems.append(f"{given.variable(name, 'ISSUER')} is that of {issuers[issuer]} too")
        issuers[issuer] = name
    if problems:
        raise ConfigurationError(debug="; ".join(problems))


def connect(
    settings: Mapping[str, ProviderSettings],
    parameters: ParameterSource,
    id_tokens: IdTokenVerifier,
    signer: ClientSecretIssuer,
    clock: Clock,
) -> dict[str, IdentityProvider]:
    """The providers that are configured, by name. None is asked anything before it is needed.

    ConfigurationError as `require_known`.
    """
    require_known(settings)
    made: dict[str, IdentityProvider] = {}
    for name, given in settings.items():
        profile = PROFILES[given.profile or name]
        kept = Secret(name, given, parameters, clock)
        if not profile.openid:
            made[name] = GitHub(given, kept)
            continue
        signed = SignedSecret(kept, given, given.issuer or profile.issuer, signer, clock)
        secret = signed if profile.key_secret else kept
        made[name] = OpenIdProvider(name, profile, given, secret, id_tokens, clock)
    return made


def _problems(name: str, given: ProviderSettings, profile: Profile) -> Iterator[str]:
    if name != profile.name and (name in PROFILES or name in REGISTERED_METHODS):
        yield f"{given.variable(name, 'CLIENT_ID')} has the name of something else: choose another name"
    for suffix, value in (("TEAM_ID", given.team_id), ("KEY_ID", given.key_id)):
        variable = given.variable(name, suffix)
        if profile.key_secret and not value:
            yield f"{variable} is not set"
        if value and not profile.key_secret:
            yield f"{variable} is for a provider whose client secrets are signed, such as apple"
    if given.native_clients and not profile.native_clients:
        yield f"{given.variable(name, 'NATIVE_CLIENT_IDS')} is set, and {profile.name} has no native clients"
    if given.trusted_audiences and not profile.openid:
        yield f"{given.variable(name, 'TRUSTED_AUDIENCES')} is set, and {profile.name} has no audiences"
