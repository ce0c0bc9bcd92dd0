"""The flow with an honest provider: what is sent to it, and what is taken from its answers."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from chalicelib.errors import ConfigurationError, InvalidCode, ProviderError, Unavailable
from tests.providers.party import CALLBACK, NATIVE_REDIRECT, SECRET_PARAMETER, Party
from tests.world.clock import START
from tests.world.constants import CHALLENGE, NONCE, VERIFIER
from tests.world.forgery import ABSENT
from tests.world.misdeeds import METADATA, TOKEN, USERINFO
from tests.world.stand_in import StandIn

# The authorization request -------------------------------------------------------------------------------------------


def test_person_logs_in(party: Party) -> None:
    """The whole flow tells who the person is at the configured issuer, with the address and the time of the login."""
    identity = party.log_in()
    assert (identity.provider, identity.issuer, identity.subject) == ("google", party.stand_in.url, "person-1")
    assert party.provider.knows_issuer(party.stand_in.url)
    assert (identity.email, identity.email_verified, identity.auth_time) == ("person@example.com", True, START)


def test_authorization_request(party: Party) -> None:
    """Exactly the parameters of the code flow with PKCE are sent, each once; `max_age` only when it is asked for."""
    expected = {
        "response_type": "code",
        "client_id": "web-client",
        "redirect_uri": CALLBACK,
        "scope": "openid email",
        "state": "a&b=c",
        "nonce": NONCE,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    sent = urlsplit(party.authorization_url(state="a&b=c"))
    assert f"{sent.scheme}://{sent.netloc}{sent.path}" == f"{party.stand_in.url}/authorize"
    assert sorted(parse_qsl(sent.query)) == sorted(expected.items())
    for max_age in (0, 300):
        asked = parse_qsl(urlsplit(party.authorization_url(max_age=max_age)).query)
        assert ("max_age", str(max_age)) in asked


@pytest.mark.parametrize(("query", "before"), [("?tenant=a%20b", "?tenant=a%20b&resp"), ("?", "?resp")])
def test_query_of_the_endpoint_is_kept(party: Party, query: str, before: str) -> None:
    """An authorization endpoint with a query of its own keeps it (RFC 6749 section 3.1)."""
    party.stand_in.metadata["authorization_endpoint"] = f"{party.stand_in.url}/authorize{query}"
    assert party.authorization_url().startswith(f"{party.stand_in.url}/authorize{before}")


def test_query_of_the_endpoint_names_no_parameter_of_ours(party: Party) -> None:
    """Which of two client ids or redirects a provider would take is not left to it."""
    party.stand_in.metadata["authorization_endpoint"] = f"{party.stand_in.url}/authorize?redirect_uri="
    with pytest.raises(ProviderError):
        party.authorization_url()


# The authorization response ------------------------------------------------------------------------------------------


def test_issuer_of_the_response(party: Party) -> None:
    """`iss` is the metadata's issuer exactly (RFC 9207 section 2.4); none is refused where the provider says one."""
    party.provider.check_issuer(party.stand_in.url)
    for iss in (f"{party.stand_in.url}/", party.stand_in.url.upper(), "https://accounts.google.com", "", None):
        with pytest.raises(ProviderError):
            party.provider.check_issuer(iss)


def test_issuer_of_the_response_is_optional(party: Party) -> None:
    """A provider that does not announce `iss` may leave it out; another one's is refused all the same."""
    party.stand_in.says_issuer = False
    party.provider.check_issuer(None)
    with pytest.raises(ProviderError):
        party.provider.check_issuer("https://evil.example.com")


# The token request ---------------------------------------------------------------------------------------------------


def test_web_client_authenticates(party: Party) -> None:
    """Id and secret go in the header, form-encoded (RFC 6749 section 2.3.1), and nothing of them in the body."""
    code = party.code()
    party.provider.identify(code)
    (headers, form) = next(request[1:] for request in party.stand_in.requests if request[0] == TOKEN)
    assert headers["Authorization"].startswith("Basic ")
    assert form == {
        "grant_type": "authorization_code",
        "code": code.code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }


def test_client_id_with_a_colon(party: Party) -> None:
    """Id and secret are told apart whatever characters they have."""
    party.stand_in.client_id = "web:client+1 %"
    assert party.container().identify(party.code()).subject == "person-1"


@pytest.mark.parametrize(
    ("methods", "in_body"),
    [
        (["client_secret_post"], True),
        (["client_secret_post", "client_secret_basic"], False),
        (["private_key_jwt"], False),
        ("client_secret_post", False),
        (ABSENT, False),
    ],
)
def test_secret_in_the_body(party: Party, methods: Any, in_body: bool) -> None:  # noqa: FBT001  # a table's column
    """The secret goes in the body where the provider takes it there alone."""
    party.stand_in.metadata["token_endpoint_auth_methods_supported"] = methods
    party.provider.identify(party.code())
    (headers, form) = next(request[1:] for request in party.stand_in.requests if request[0] == TOKEN)
    assert (form.get("client_secret") == party.stand_in.client_secret) is in_body
    assert ("Authorization" in headers) is not in_body


def test_native_client_has_no_secret(party: Party) -> None:
    """A code of a native client's redirect is redeemed with its public client id; no secret is sent or even read."""
    assert party.provider.knows_redirect(NATIVE_REDIRECT)
    assert not party.provider.knows_redirect(CALLBACK)
    identity = party.provider.identify(party.code(NATIVE_REDIRECT, "native-client"))
    assert identity.subject == "person-1"
    (headers, form) = next(request[1:] for request in party.stand_in.requests if request[0] == TOKEN)
    assert form["client_id"] == "native-client"
    assert "client_secret" not in form
    assert "Authorization" not in headers
    assert party.parameters.fetches == 0


@pytest.mark.parametrize(("redirect_uri", "audience"), [(CALLBACK, "native-client"), (NATIVE_REDIRECT, "web-client")])
def test_audience_is_of_the_redirect(party: Party, redirect_uri: str, audience: str) -> None:
    """A token for one of the two clients is not taken from a redirect of the other."""
    code = party.code(redirect_uri, "native-client" if redirect_uri == NATIVE_REDIRECT else None)
    party.stand_in.forgery.claims = {"aud": audience, "azp": ABSENT}
    with pytest.raises(ProviderError):
        party.provider.identify(code)


def test_code_is_of_this_login(party: Party) -> None:
    """A code with another verifier, redirect, or that was used, or never was, is InvalidCode."""
    used = party.code()
    party.provider.identify(used)
    for wrong in (
        used,
        dataclasses.replace(used, code="unknown"),
        dataclasses.replace(party.code(), code_verifier="w" * 43),
        dataclasses.replace(party.code(), redirect_uri="https://auth.example.com/other"),
        dataclasses.replace(party.code(), nonce="of another login"),
    ):
        with pytest.raises(InvalidCode):
            party.provider.identify(wrong)


@pytest.mark.parametrize("name", ["code", "code_verifier", "redirect_uri"])
@pytest.mark.parametrize("value", ["", "\ud800", "ü", "a\r\nb", "a" * 5000])
def test_characters_of_no_code(party: Party, name: str, value: str) -> None:
    """What no provider can have made is refused without asking it."""
    code = dataclasses.replace(party.code(), **{name: value})
    with pytest.raises(InvalidCode):
        party.provider.identify(code)
    assert party.stand_in.fetches[TOKEN] == 0


@pytest.mark.parametrize(
    ("status", "error", "expected", "said"),
    [
        (400, "invalid_grant", InvalidCode, "invalid_grant"),
        (401, "invalid_grant", InvalidCode, "invalid_grant"),
        (200, "invalid_grant", InvalidCode, "invalid_grant"),
        (200, "bad_verification_code", InvalidCode, "bad_verification_code"),
        (200, "incorrect_client_credentials", ProviderError, "incorrect_client_credentials"),
        (400, "invalid_client", ProviderError, "invalid_client"),
        (401, "invalid_client", ProviderError, "invalid_client"),
        (403, "unauthorized_client", ProviderError, "unauthorized_client"),
        (400, "the code 4/0A secret", ProviderError, "no error code"),
        (400, "a" * 65, ProviderError, "no error code"),
        (400, ["invalid_grant"], ProviderError, "no error code"),
        (400, None, ProviderError, "no error code"),
        (404, "invalid_grant", InvalidCode, "invalid_grant"),
        (201, "", ProviderError, "201"),
        (429, "invalid_grant", Unavailable, "429"),
        (503, "invalid_grant", Unavailable, "503"),
    ],
)
def test_refused_code(party: Party, status: int, error: Any, expected: type[Exception], said: str) -> None:
    """`invalid_grant` is the code's fault by any status; other refusals are not. The log gets the bare code."""
    party.stand_in.refusal = (status, error)
    with pytest.raises(expected) as caught:
        party.provider.identify(party.code())
    assert caught.type is expected
    assert said in str(caught.value)
    assert "because" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"id_token": ABSENT},
        {"id_token": None},
        {"id_token": ["a.b.c"]},
        {"access_token": 1},
        {"access_token": "a b"},
        {"access_token": "a\r\nX-Evil: 1"},
        {"token_type": "DPoP"},
        {"token_type": "N_A"},
    ],
)
def test_malformed_token_response(party: Party, changes: dict[str, Any]) -> None:
    """A token response that OpenID Connect does not allow is believed in no part."""
    party.stand_in.token_response = changes
    party.stand_in.forgery.claims = {"at_hash": ABSENT}
    with pytest.raises(ProviderError):
        party.provider.identify(party.code())


def test_token_response_variants(party: Party) -> None:
    """`token_type` is compared in any case, and an access token is not needed to know who somebody is."""
    party.stand_in.token_response = {"token_type": "bEARER"}
    assert party.provider.identify(party.code()).access_token
    for missing in (ABSENT, None):
        party.stand_in.token_response = {"access_token": missing, "token_type": missing}
        party.stand_in.forgery.claims = {"at_hash": missing}
        assert party.provider.identify(party.code()).access_token == ""


@pytest.mark.parametrize("length", [8193, 16_385, 200_000])
@pytest.mark.parametrize("kind", ["access_token", "id_token", "refresh_token", "scope"])
def test_token_of_any_length(party: Party, kind: str, length: int) -> None:
    """No standard limits a token's length: what fits into the answer is taken, and what is not used ends nothing.

    (akhq #2383, keycloak #49472.)
    """
    party.stand_in.forgery.claims = {"at_hash": ABSENT}
    if kind == "id_token":
        party.stand_in.forgery.claims["groups"] = ["g" * (length // 2)]
    else:
        party.stand_in.token_response = {kind: "a" * length}
    identity = party.log_in()
    assert (identity.subject, identity.email_verified) == ("person-1", True)


def test_times_with_a_fraction(party: Party) -> None:
    """NumericDates may have a fraction (RFC 7519 section 2; panva/openid-client #263, authlib #801)."""
    party.stand_in.forgery.claims = {"iat": START - 0.75, "exp": START + 299.25, "nbf": START - 0.75}
    assert party.provider.identify(party.code(auth_time=START - 9.25)).auth_time == START - 10


# The secret ----------------------------------------------------------------------------------------------------------


def test_secret_is_read_once_a_minute(party: Party) -> None:
    """A new secret is used within 60 s, and the parameter store is asked no more often."""
    for _ in range(3):
        party.log_in()
    assert party.parameters.fetches == 1
    party.stand_in.client_secret = party.parameters.values[SECRET_PARAMETER] = "the next secret"
    party.clock.advance(60)
    party.log_in()
    assert party.parameters.fetches == 2


def test_secret_outlives_the_parameter_store(party: Party) -> None:
    """While the parameter store is away the last secret goes on for an hour."""
    party.log_in()
    party.parameters.away = True
    party.clock.advance(3599)
    party.log_in()
    party.clock.advance(1)
    with pytest.raises(Unavailable):
        party.log_in()


def test_secret_ends_with_its_line(party: Party) -> None:
    """A parameter that was written from a file has a line's end, which is not the secret's."""
    party.parameters.values[SECRET_PARAMETER] += "\n"
    assert party.log_in().subject == "person-1"


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_missing_secret_names_its_setting(party: Party, value: str | None) -> None:
    """An operator who forgot the secret is told which setting names which parameter."""
    del party.parameters.values[SECRET_PARAMETER]
    if value is not None:
        party.parameters.values[SECRET_PARAMETER] = value
    with pytest.raises(ConfigurationError, match=f"KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER.*{SECRET_PARAMETER}"):
        party.log_in()


# The identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth_time", "expected"),
    [
        (START, START),
        (START - 9000, START - 9000),
        (START + 60, START),
        (float(START), START),
        (START - 0.5, START - 1),
        (START + 59.5, START),
        (None, None),
    ],
)
def test_auth_time(party: Party, auth_time: Any, expected: int | None) -> None:
    """When the person was seen is never of the future, beyond what clocks differ, and never guessed."""
    assert party.provider.identify(party.code(auth_time=auth_time)).auth_time == expected


@pytest.mark.parametrize("auth_time", [START + 61, START + 60.5, -1, -0.5, True, str(START), [], {}])
def test_auth_time_that_is_none(party: Party, auth_time: Any) -> None:
    """What is no time of the past is not taken for "just now": a recent login could be had by it."""
    with pytest.raises(ProviderError):
        party.provider.identify(party.code(auth_time=auth_time))


LONG = "a" * 242 + "@example.com"  # 254 characters


@pytest.mark.parametrize(
    ("claims", "email", "verified"),
    [
        ({"email": "a@example.com", "email_verified": True}, "a@example.com", True),
        ({"email": "a@example.com", "email_verified": False}, "a@example.com", False),
        ({"email": "a@example.com", "email_verified": "true"}, "a@example.com", False),
        ({"email": "a@example.com", "email_verified": 1}, "a@example.com", False),
        ({"email": "a@example.com", "email_verified": None}, "a@example.com", None),
        ({"email": "a@example.com"}, "a@example.com", None),
        ({"email": LONG}, LONG, None),
        ({"email": f"a{LONG}"}, None, None),
        ({"email": ["a@example.com"]}, None, None),
        ({"email": "a@example.com\n"}, None, None),
        ({"email": "\ud800@example.com"}, None, None),
        ({"email": ""}, None, None),
        ({}, None, None),
    ],
)
def test_email_of_the_id_token(
    party: Party,
    claims: dict[str, Any],
    email: str | None,
    verified: bool | None,  # noqa: FBT001  # a table's column
) -> None:
    """An address counts as proven by `true` alone; what is no address is none."""
    identity = party.provider.identify(party.code(**claims))
    assert (identity.email, identity.email_verified) == (email, verified)
    assert party.stand_in.fetches[USERINFO] == 0


# Settings ------------------------------------------------------------------------------------------------------------


def test_generic_provider() -> None:
    """Any issuer serves as `oidc`, by discovery alone."""
    party = Party(name="oidc")
    with party.stand_in:
        identity = party.log_in()
    assert (identity.provider, identity.issuer) == ("oidc", party.stand_in.url)


def test_nothing_is_asked_before_it_is_needed(party: Party) -> None:
    """A container that serves no login by this provider asks neither the provider nor the parameter store."""
    party.container()
    assert not party.stand_in.fetches
    assert party.parameters.fetches == 0
    party.authorization_url()
    assert party.stand_in.fetches == {METADATA: 1}
    assert party.parameters.fetches == 0


def test_secrets_stay_out_of_representations(party: Party) -> None:
    """What could be logged by accident holds neither code nor access token."""
    code = party.code()
    identity = party.provider.identify(code)
    assert code.code not in repr(code)
    assert identity.access_token not in repr(identity)


def test_stand_in_is_strict() -> None:
    """The stand-in refuses what a real provider does: otherwise what passes it would show nothing."""
    with StandIn(lambda: START) as stand_in:
        party = Party(stand_in)
        party.parameters.values[SECRET_PARAMETER] = "wrong"
        with pytest.raises(ProviderError, match="invalid_client"):
            party.log_in()
