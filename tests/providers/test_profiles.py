"""Each provider's constants, and the settings that switch it on."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import providers
from chalicelib.crypto.client_secrets import SignedClientSecrets
from chalicelib.crypto.id_tokens import JwtIdTokenVerifier
from chalicelib.errors import ConfigurationError, InvalidCode, ProviderError
from chalicelib.providers import PROFILES, http
from chalicelib.providers.profile import Use
from chalicelib.settings.providers import ProviderSettings
from tests.providers.party import Party
from tests.world.clock import START, FrozenClock
from tests.world.forgery import ABSENT
from tests.world.misdeeds import KEYS, TOKEN
from tests.world.parameters import MemoryParameters

GOOGLE = "https://accounts.google.com"

# Another value of each claim than the honest token's.
OTHER: dict[str, Any] = {
    "iss": "https://evil.example.com",
    "aud": "another-client",
    "azp": "another-client",
    "exp": START - 3600,
    "iat": START - 3600,
    "nonce": "another-nonce",
    "at_hash": "AAAAAAAAAAAAAAAAAAAAAA",
    "sub": "person-2",
    "email": "b@example.com",
    "email_verified": False,
    "auth_time": START - 50,
}


def connect(settings: dict[str, ProviderSettings]) -> object:
    """The providers of these settings."""
    signer = SignedClientSecrets()
    return providers.connect(settings, MemoryParameters(), JwtIdTokenVerifier(), signer, FrozenClock())


@pytest.mark.parametrize(
    ("name", "claim", "use"),
    [
        (name, claim, use)
        for name, profile in PROFILES.items()
        for claim, use in profile.claims.items()
        if profile.openid and not profile.key_secret
    ],
)
def test_claims_are_what_the_profile_says(name: str, claim: str, use: Use) -> None:
    """A changed claim is refused where it is checked, changes the identity where it is used, and nothing else."""
    party = Party(name=name)
    honest: dict[str, Any] = {"email": "a@example.com", "email_verified": True, "auth_time": START - 100}
    with party.stand_in:
        party.stand_in.token_response = {"access_token": "the-same"}
        party.stand_in.forgery.claims = {"at_hash": ABSENT}
        expected = party.provider.identify(party.code(**honest))
        party.stand_in.forgery.claims |= {claim: OTHER.get(claim, "anything")}
        if use is Use.CHECKED:
            with pytest.raises((ProviderError, InvalidCode)):
                party.provider.identify(party.code(**honest))
        else:
            assert (party.provider.identify(party.code(**honest)) == expected) is (use is Use.IGNORED)


def test_every_claim_of_google_is_classified() -> None:
    """What Google documents in its ID tokens is known here, each claim with what it is taken for."""
    documented = (
        "iss azp aud sub at_hash hd email email_verified iat exp nonce name picture given_name family_name locale "
        "profile jti auth_time"
    )
    assert set(PROFILES["google"].claims) == set(documented.split())


@pytest.mark.parametrize(
    ("iss", "accepted"),
    [
        (GOOGLE, True),
        ("accounts.google.com", True),
        ("https://accounts.google.com/", False),
        ("http://accounts.google.com", False),
        ("https://accounts.google.com.evil.example.com", False),
        ("https://evil.example.com", False),
    ],
)
def test_issuers_of_google(iss: str, accepted: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """With Google's own issuer both of its documented spellings are taken, and they are one issuer to us."""
    party = Party()
    ask = http.call

    def call(url: str, **rest: Any) -> http.Answer:
        """Reach the stand-in in Google's place."""
        return ask(url.replace(GOOGLE, party.stand_in.url), **rest)

    monkeypatch.setattr(http, "call", call)
    endpoints = {"authorization_endpoint": "/authorize", "token_endpoint": TOKEN, "jwks_uri": KEYS}
    party.stand_in.metadata = {name: GOOGLE + path for name, path in endpoints.items()}
    party.stand_in.metadata |= {"issuer": GOOGLE, "userinfo_endpoint": ABSENT}
    with party.stand_in:
        provider = party.container(issuer="")
        party.stand_in.forgery.claims = {"iss": iss}
        if accepted:
            assert provider.identify(party.code()).issuer == GOOGLE
        else:
            with pytest.raises(ProviderError):
                provider.identify(party.code())


@pytest.mark.parametrize("iss", [GOOGLE, "accounts.google.com"])
def test_google_is_not_the_stand_in(party: Party, iss: str) -> None:
    """Where another issuer stands in for Google, Google's own names are nobody's."""
    party.stand_in.forgery.claims = {"iss": iss}
    with pytest.raises(ProviderError):
        party.provider.identify(party.code())


def test_unknown_provider_names_its_setting() -> None:
    """A provider that does not exist is told by the variable that names it, and every problem at once."""
    settings = ProviderSettings(client_id="id", secret_parameter="/name")
    with pytest.raises(ConfigurationError) as caught:
        connect({"googel": settings, "oidc": settings, "google": settings})
    assert "KEYTURN_GOOGEL_CLIENT_ID" in caught.value.debug
    assert "KEYTURN_OIDC_ISSUER" in caught.value.debug
    assert "KEYTURN_GOOGLE" not in caught.value.debug


@pytest.mark.parametrize("issuer", ["", GOOGLE])
def test_providers_have_issuers_of_their_own(issuer: str) -> None:
    """An identity is known by its issuer: two providers that share one could not both be linked to an account."""
    google = ProviderSettings(client_id="id", secret_parameter="/name", issuer=issuer)
    oidc = ProviderSettings(client_id="id", secret_parameter="/name", issuer=GOOGLE)
    with pytest.raises(ConfigurationError, match="KEYTURN_OIDC_ISSUER is that of google too"):
        connect({"google": google, "oidc": oidc})


def test_providers_are_off_without_settings() -> None:
    """Nothing that is not configured exists."""
    assert connect({}) == {}


@pytest.mark.parametrize("name", ["pwd", "otp", "mfa", "hwk", "google", "github"])
def test_name_that_means_something_else(name: str) -> None:
    """A provider that the operator names must not be taken for a factor in `amr`, or for a provider that is shipped."""
    given = ProviderSettings(client_id="c", secret_parameter="/p", profile="oidc", issuer="https://idp.example.com")
    with pytest.raises(ConfigurationError, match=f"KEYTURN_OIDC_{name.upper()}_CLIENT_ID has the name"):
        connect({name: given})
    assert connect({"okta": given})
