"""Settings of identity providers: each has the same variables, and half of a provider is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chalicelib.settings.providers import PROVIDER_VARIABLE, ProviderSettings
from tests.unit.settings.reading import GOOGLE, problems, read


def test_provider_is_off_without_its_variables() -> None:
    """Nothing of a provider is set: there is no such provider. An empty variable is none."""
    assert read().providers == {}
    assert read(KEYTURN_GOOGLE_CLIENT_ID="", KEYTURN_GOOGLE_ISSUER=" ").providers == {}


def test_provider() -> None:
    """Client id and secret are enough; each provider is read by its name."""
    native = "ios.example=com.example.app:/callback https://app.example.com/open; mac.example=com.example.mac:/cb"
    config = read(
        **GOOGLE,
        KEYTURN_GOOGLE_NATIVE_CLIENT_IDS=native,
        KEYTURN_OIDC_CLIENT_ID="keyturn",
        KEYTURN_OIDC_CLIENT_SECRET_PARAMETER="/keyturn/prod/provider/oidc",
        KEYTURN_OIDC_ISSUER="https://login.example.com/tenant/v2.0",
    )
    assert config.providers == {
        "google": ProviderSettings(
            profile="google",
            client_id="123.apps.googleusercontent.com",
            secret_parameter="/keyturn/prod/provider/google",
            native_clients={
                "com.example.app:/callback": "ios.example",
                "https://app.example.com/open": "ios.example",
                "com.example.mac:/cb": "mac.example",
            },
        ),
        "oidc": ProviderSettings(
            profile="oidc",
            client_id="keyturn",
            secret_parameter="/keyturn/prod/provider/oidc",
            issuer="https://login.example.com/tenant/v2.0",
        ),
    }


def test_several_providers_of_one_kind() -> None:
    """An OpenID provider of the operator's own name is read beside `oidc`, with what only some providers need."""
    named = {
        "CLIENT_ID": "keyturn",
        "CLIENT_SECRET_PARAMETER": "/keyturn/prod/provider/okta",
        "ISSUER": "https://example.okta.com",
        "TRUSTED_AUDIENCES": "project, other",
        "SECONDS": "5",
    }
    config = read(**{f"KEYTURN_OIDC_OKTA_{suffix}": value for suffix, value in named.items()})
    assert config.providers == {
        "okta": ProviderSettings(
            profile="oidc",
            client_id="keyturn",
            secret_parameter="/keyturn/prod/provider/okta",
            issuer="https://example.okta.com",
            trusted_audiences=frozenset({"project", "other"}),
            seconds=5,
        )
    }


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"KEYTURN_OIDC_OKTA_CLIENT_ID": ""}, "KEYTURN_OIDC_OKTA_CLIENT_ID"),
        ({"KEYTURN_OIDC_OKTA_CLIENT_SECRET_PARAMETER": "okta"}, "KEYTURN_OIDC_OKTA_CLIENT_SECRET_PARAMETER"),
        ({"KEYTURN_OIDC_OKTA_ISSUER": "okta"}, "KEYTURN_OIDC_OKTA_ISSUER"),
        ({"KEYTURN_OIDC_OKTA_SECONDS": "7"}, "KEYTURN_OIDC_OKTA_SECONDS"),
        ({"KEYTURN_OKTA_CLIENT_ID": "x"}, "KEYTURN_OIDC_OKTA_CLIENT_ID"),
    ],
)
def test_problem_of_a_named_provider(changes: dict[str, str], named: str) -> None:
    """The problem names the variable as the operator has written it."""
    settings = {
        "KEYTURN_OIDC_OKTA_CLIENT_ID": "keyturn",
        "KEYTURN_OIDC_OKTA_CLIENT_SECRET_PARAMETER": "/keyturn/prod/provider/okta",
        "KEYTURN_OIDC_OKTA_ISSUER": "https://example.okta.com",
    }
    assert any(problem.startswith(f"{named} ") for problem in problems(**{**settings, **changes}))


@pytest.mark.parametrize("left_out", sorted(GOOGLE))
def test_half_a_provider_is_refused(left_out: str) -> None:
    """A provider that is begun is finished, or the operator is told what is missing."""
    found = problems(**{name: value for name, value in GOOGLE.items() if name != left_out})
    assert any(problem.startswith(left_out) for problem in found)
    assert all("KEYTURN_GOOGLE_" in problem for problem in found)


@pytest.mark.parametrize("parameter", ["GOCSPX-secret", "/keyturn/prod/root", "/keyturn/dev/provider/google", "google"])
def test_client_secret_is_a_parameters_name(parameter: str) -> None:
    """Never the secret itself, and no parameter that the function's policy does not name."""
    (problem,) = problems(**{**GOOGLE, "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": parameter})
    assert problem.endswith(" must name a parameter under /keyturn/prod/provider/, as the function's policy does")


@pytest.mark.parametrize(
    "redirect",
    [
        "callback:/x",
        "javascript:/x",
        "com.example.app:callback",
        "http://app.example.com/x",
        "https://a.example/x?y",
        "*",
    ],
)
def test_redirects_of_native_clients(redirect: str) -> None:
    """A web address, or a scheme of the app's own, which has a dot (RFC 8252 section 7.1)."""
    (problem,) = problems(**GOOGLE, KEYTURN_GOOGLE_NATIVE_CLIENT_IDS=f"ios={redirect}")
    assert problem.startswith("KEYTURN_GOOGLE_NATIVE_CLIENT_IDS holds")


def test_redirect_of_two_clients() -> None:
    """Which client a code is of follows from its redirect."""
    (problem,) = problems(**GOOGLE, KEYTURN_GOOGLE_NATIVE_CLIENT_IDS="a=com.example.app:/x; b=com.example.app:/x")
    assert "for two clients" in problem


def test_page_documents_every_variable_of_a_provider() -> None:
    """The page of providers has one line for each variable that a provider has, by the end of its name."""
    page = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")
    suffixes = re.findall(r"[A-Z]+(?:_[A-Z]+)*", PROVIDER_VARIABLE.pattern.rpartition("(?:")[2])
    assert re.findall(r"^\| `…_([A-Z_]+)` \|", page, re.MULTILINE) == suffixes
