"""GitHub: OAuth 2 without OpenID Connect, with the answers that its documentation has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.errors import InvalidCode, ProviderError, Unavailable
from tests.providers.party import Party
from tests.world.constants import CHALLENGE, VERIFIER
from tests.world.misdeeds import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN, USER, EMAILS = "/login/oauth/access_token", "/api/v3/user", "/api/v3/user/emails"
ADDRESSES = [
    {"email": "octocat@users.noreply.github.com", "verified": True, "primary": False, "visibility": None},
    {"email": "octocat@github.com", "verified": True, "primary": True, "visibility": "private"},
]


@pytest.fixture
def github() -> Iterator[Party]:
    """An Enterprise Server: GitHub's paths on another host."""
    party = Party(name="github", native=False)
    party.stand_in.answers = {
        TOKEN: (
            200,
            {"access_token": "gho_of-this-login", "scope": "user:email", "token_type": "bearer"},
        ),
        USER: (200, {"login": "octocat", "id": 583231, "email": None, "name": "The Octocat"}),
        EMAILS: (200, ADDRESSES),
    }
    with party.stand_in:
        yield party


def log_in(party: Party) -> Any:
    """The back channel of a login."""
    return party.provider.with_email(party.provider.identify(party.code()))


def test_authorization_request(github: Party) -> None:
    """The browser goes to GitHub's page with PKCE, and without what GitHub does not know."""
    url = urlsplit(github.authorization_url(max_age=300))
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{github.stand_in.url}/login/oauth/authorize"
    assert asked.pop("redirect_uri").startswith("https://")
    assert asked == {
        "client_id": "web-client",
        "scope": "user:email",
        "state": "state-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }


def test_person_logs_in(github: Party) -> None:
    """The number of the user is the subject, and the primary address the address."""
    identity = log_in(github)
    assert (identity.provider, identity.issuer, identity.subject) == ("github", github.stand_in.url, "583231")
    assert (identity.email, identity.email_verified, identity.auth_time) == ("octocat@github.com", True, None)
    forms = [form for path, _, form in github.stand_in.requests if path == TOKEN]
    assert [form["code_verifier"] for form in forms] == [VERIFIER]
    assert forms[0]["client_secret"] == github.stand_in.client_secret


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, {"error": "bad_verification_code", "error_description": "…"}), InvalidCode),
        ((200, {"error": "incorrect_client_credentials"}), ProviderError),
        ((200, {"error": "redirect_uri_mismatch"}), ProviderError),
        ((200, {"scope": "", "token_type": "bearer"}), ProviderError),
        ((404, {}), ProviderError),
        ((503, {}), Unavailable),
    ],
    ids=str,
)
def test_refused_code(github: Party, answer: tuple[int, Any], expected: type[Exception]) -> None:
    """GitHub says by 200 what is wrong with a code (its page on errors of the access token request)."""
    github.stand_in.answers[TOKEN] = answer
    with pytest.raises(Unavailable if expected is not InvalidCode else InvalidCode) as raised:
        log_in(github)
    assert raised.type is expected


@pytest.mark.parametrize(
    "person", [{}, [], {"id": None}, {"id": "583231"}, {"id": True}, {"id": 0}, {"id": 1.5}, {"id": 2**70}]
)
def test_user_without_a_number(github: Party, person: Any) -> None:
    """A login name is no identity: it can be given up and taken by another person."""
    github.stand_in.answers[USER] = (200, person)
    with pytest.raises(ProviderError):
        log_in(github)


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ([{**ADDRESSES[1], "verified": False}], ("octocat@github.com", False)),
        ([{**ADDRESSES[1], "verified": "true"}], ("octocat@github.com", False)),
        ([ADDRESSES[0]], (None, False)),
        ([{**ADDRESSES[1], "primary": 1}], (None, False)),
        ([None, 1, {"primary": True, "email": 1}], (None, False)),
        ([], (None, False)),
        ({}, (None, False)),
    ],
    ids=str,
)
def test_addresses(github: Party, addresses: Any, expected: tuple[str | None, bool]) -> None:
    """The primary address counts, and it is proven where GitHub has verified it."""
    github.stand_in.answers[EMAILS] = (200, addresses)
    identity = log_in(github)
    assert (identity.email, identity.email_verified) == expected


@pytest.mark.parametrize("path", [TOKEN, USER, EMAILS])
@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.CLOSE, Fault.PAGE], ids=lambda fault: fault.name)
def test_fault(github: Party, path: str, fault: Fault) -> None:
    """GitHub that fails ends the login as any provider that fails, and nothing is made up."""
    github.stand_in.faults[path] = fault
    with pytest.raises(Unavailable):
        log_in(github)


def test_rate_limit(github: Party) -> None:
    """403 with no requests left is GitHub that asks to come later."""
    github.stand_in.answers[USER] = (403, {"message": "API rate limit exceeded"})
    github.stand_in.headers[USER] = {"X-RateLimit-Remaining": "0"}
    with pytest.raises(Unavailable) as raised:
        log_in(github)
    assert raised.type is Unavailable


def test_answer_of_another_issuer(github: Party) -> None:
    """An `iss` is compared where there is one."""
    github.provider.check_issuer(None)
    github.provider.check_issuer(github.stand_in.url)
    with pytest.raises(ProviderError):
        github.provider.check_issuer("https://evil.example.com")
    assert github.provider.knows_issuer(github.stand_in.url)
    assert not github.provider.knows_redirect("com.example.app:/callback")
