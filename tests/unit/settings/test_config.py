"""Settings: each one's bounds, all problems at once, and the README's table of them."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.crypto.passwords import PROFILES
from chalicelib.errors import ConfigurationError
from chalicelib.providers import PROFILES as PROVIDERS
from chalicelib.settings.config import Config
from chalicelib.settings.guards import GuardSettings
from chalicelib.settings.limits import LimitSettings
from chalicelib.settings.pages import PageSettings
from chalicelib.settings.passwords import PasswordSettings
from chalicelib.settings.providers import PROVIDER_VARIABLE
from chalicelib.settings.sessions import DAY, SessionSettings
from tests.unit.settings.reading import LEAST, problems, read

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def test_defaults() -> None:
    """With what is needed and nothing else, every setting has the design's default."""
    assert read() == Config(
        table="keyturn-prod",
        issuer="https://auth.example.com/prod",
        audience="https://api.example.com",
        parameters="/keyturn/prod",
        sessions=SessionSettings(
            access_ttl=900,
            idle_ttl=14 * DAY,
            absolute_ttl=90 * DAY,
            rotation_window=20,
            signing_algorithm="RS256",
            role_scopes={},
        ),
        pages=PageSettings(allowed_origins=frozenset(), return_to=frozenset(), cookie_samesite="Lax"),
        passwords=PasswordSettings(
            argon2_profile="default", min_length=8, context_words=frozenset(), breached_passwords=""
        ),
        limits=LimitSettings(
            login_attempts=20,
            address_attempts=300,
            signup_attempts=100,
            throttle_rate=100,
            throttle_burst=200,
            waf_rate=0,
        ),
        guards=GuardSettings(requirements={}, apis=frozenset()),
        providers={},
    )


def test_empty_is_unset() -> None:
    """An empty variable, which deployment tools like to set, is one that is not there."""
    names = [name for name in variables_read() if name not in LEAST]
    assert read(**dict.fromkeys(names, "")) == read()
    assert read(**dict.fromkeys(names, "  ")) == read()


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize("empty", ["", " ", None])
def test_needed_ones_are_named(name: str, empty: str | None) -> None:
    """Each of the four that have no default is named where it is missing."""
    environ = {other: value for other, value in LEAST.items() if other != name}
    with pytest.raises(ConfigurationError, match=f"^{name} is not set$"):
        Config.from_env(environ if empty is None else {**environ, name: empty})


def test_all_problems_come_at_once() -> None:
    """One message names every variable that is wrong, so that one deployment mends all."""
    wrong = dict.fromkeys(variables_read(), "?")
    any_text = ("KEYTURN_TABLE", "KEYTURN_AUDIENCE", *(f"KEYTURN_{name.upper()}_CLIENT_ID" for name in PROVIDERS))
    wrong |= dict.fromkeys(any_text, "")
    message = "; ".join(problems(**wrong))
    assert [name for name in wrong if f"{name} " not in message] == []
    with pytest.raises(ConfigurationError) as raised:
        Config.from_env({})
    assert raised.value.debug.count("is not set") == 4


@pytest.mark.parametrize(
    ("name", "field", "least", "most"),
    [
        ("KEYTURN_ACCESS_TTL", "sessions.access_ttl", 60, 3600),
        ("KEYTURN_REFRESH_IDLE_TTL", "sessions.idle_ttl", 300, 90 * DAY),
        ("KEYTURN_REFRESH_ABSOLUTE_TTL", "sessions.absolute_ttl", 14 * DAY, 400 * DAY),
        ("KEYTURN_ROTATION_WINDOW", "sessions.rotation_window", 0, 60),
        ("KEYTURN_PASSWORD_MIN_LENGTH", "passwords.min_length", 8, 64),
        ("KEYTURN_LOGIN_ATTEMPTS", "limits.login_attempts", 5, 1000),
        ("KEYTURN_ADDRESS_ATTEMPTS", "limits.address_attempts", 20, 100_000),
        ("KEYTURN_SIGNUP_ATTEMPTS", "limits.signup_attempts", 5, 100_000),
        ("KEYTURN_THROTTLE_RATE", "limits.throttle_rate", 1, 10_000),
        ("KEYTURN_THROTTLE_BURST", "limits.throttle_burst", 1, 5000),
        ("KEYTURN_WAF_RATE", "limits.waf_rate", 0, 20_000_000),
    ],
)
def test_numbers_have_bounds(name: str, field: str, least: int, most: int) -> None:
    """The least and the most are taken, and one beyond either is not."""
    for value in (least, most):
        assert operator.attrgetter(field)(read(**{name: str(value)})) == value
    for value in (least - 1, most + 1):
        assert any(problem.startswith("KEYTURN_") for problem in problems(**{name: str(value)}))


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "-1",
        "+60",
        "60.0",
        "6e1",
        "0x3c",
        "60s",
        "1_000",
        "\u0666\u0660",
        "\uff16\uff10",
        "²",
        "9" * 10,
        "9" * 5000,
    ],
)
def test_numbers_are_plain_digits(text: str) -> None:
    """Signs, units, fractions and digits of other scripts are no numbers; int() would read some of them."""
    (problem,) = problems(KEYTURN_ACCESS_TTL=text)
    assert problem.startswith("KEYTURN_ACCESS_TTL must be a whole number of seconds from 60 to 3600")


def test_waf_takes_no_small_rate() -> None:
    """AWS refuses a rate below 10: deployment says so before it begins."""
    assert read(KEYTURN_WAF_RATE="10").limits.waf_rate == 10
    for rate in ("1", "9"):
        (problem,) = problems(KEYTURN_WAF_RATE=rate)
        assert problem == "KEYTURN_WAF_RATE must be 0, which is no limit, or at least 10"


def test_context_words() -> None:
    """Words are taken in lower case; what is too short to be a word is told."""
    assert read(KEYTURN_CONTEXT_WORDS=" Acme ,ordershop,, ").passwords.context_words == {"acme", "ordershop"}
    (problem,) = problems(KEYTURN_CONTEXT_WORDS="acme,it")
    assert problem == "KEYTURN_CONTEXT_WORDS holds 'it', which is no word: it has fewer than 3 characters"


@pytest.mark.parametrize(
    "url", ["http://api.pwnedpasswords.com/range", "https://a/range/", "https://a/range?x", "a", "*"]
)
def test_breached_passwords_are_looked_up_by_tls(url: str) -> None:
    """What is asked there is the beginning of a digest, and the answer decides: neither goes in the clear."""
    (problem,) = problems(KEYTURN_BREACHED_PASSWORDS=url)
    assert problem.startswith("KEYTURN_BREACHED_PASSWORDS must be an https URL")
    good = "https://api.pwnedpasswords.com/range"
    assert read(KEYTURN_BREACHED_PASSWORDS=good).passwords.breached_passwords == good


@pytest.mark.parametrize(
    ("name", "field", "choices"),
    [
        ("KEYTURN_SIGNING_ALGORITHM", "sessions.signing_algorithm", ["RS256", "ES256", "EdDSA"]),
        ("KEYTURN_COOKIE_SAMESITE", "pages.cookie_samesite", ["Lax", "Strict", "None"]),
        ("KEYTURN_ARGON2_PROFILE", "passwords.argon2_profile", ["default", "rfc9106"]),
    ],
)
def test_choices_are_exact(name: str, field: str, choices: list[str]) -> None:
    """Each documented word is taken as it is written, and no other."""
    value_of = operator.attrgetter(field)
    for choice in choices:
        assert value_of(read(**{name: choice})) == choice
        assert value_of(read(**{name: f" {choice} "})) == choice
    for other in (choices[0].upper() + "x", choices[1].swapcase(), "none " * 2, "HS256"):
        (problem,) = problems(**{name: other})
        assert all(choice in problem for choice in choices)


def test_every_profile_can_be_chosen() -> None:
    """The configuration knows the hasher's profiles, all of them."""
    for name in PROFILES:
        config = read(KEYTURN_ARGON2_PROFILE=name, KEYTURN_ISSUER="http://localhost:8000")
        assert config.passwords.argon2_profile == name


@pytest.mark.parametrize(
    "issuer", ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:8000", "https://localhost"]
)
def test_cheap_hash_is_for_this_machine(issuer: str) -> None:
    """The profile that protects nothing is taken where the issuer is on this machine."""
    assert read(KEYTURN_ARGON2_PROFILE="testing", KEYTURN_ISSUER=issuer).passwords.argon2_profile == "testing"


@pytest.mark.parametrize(
    "issuer",
    [
        *("https://auth.example.com", "https://localhost.example.com", "https://example.com/localhost"),
        *("https://localhost@evil.example", "http://localhost:x@evil.example", "https://[", "https://[::1", ""),
        *("http://127.0.0.1.example.com", "http://localhost#@evil.example", "http://localhost\\@evil.example"),
    ],
)
def test_cheap_hash_is_refused_elsewhere(issuer: str) -> None:
    """And refused for every other issuer, however it is dressed up."""
    found = problems(KEYTURN_ARGON2_PROFILE="testing", KEYTURN_ISSUER=issuer)
    assert any(problem.startswith("KEYTURN_ARGON2_PROFILE") for problem in found)


@pytest.mark.parametrize(
    "issuer",
    [
        *("https://auth.example.com", "https://auth.example.com:8443", "https://auth.example.com/v1/prod"),
        *("https://a1b2c3.execute-api.eu-central-1.amazonaws.com/prod", "https://xn--bcher-kva.example"),
        *("http://localhost:8000", "http://[::1]", "http://127.0.0.1:8000/prod"),
    ],
)
def test_issuers(issuer: str) -> None:
    """An https URL, or one of this machine; it is kept byte for byte, because it is compared so."""
    assert read(KEYTURN_ISSUER=issuer).issuer == issuer


@pytest.mark.parametrize(
    "issuer",
    [
        *("auth.example.com", "http://auth.example.com", "ftp://auth.example.com", "https://", "https:///prod"),
        *("https://auth.example.com/", "https://auth.example.com/prod/", "https://auth.example.com?a=b"),
        *(
            "https://auth.example.com#a",
            "https://auth.example.com?",
            "https://auth.example.com#",
            "https://u@auth.example",
        ),
        *("https://u:p@auth.example.com", "https://auth.example.com:443", "https://auth.example.com:0"),
        *(
            "https://auth.example.com:99999",
            "https://auth.example.com:",
            "https://auth.example.com:8a",
            "https://a b.example",
        ),
        *(
            "https://auth\texample.com",
            "https://auth.exam\nple.com",
            "https://bücher.example",
            "https://{api_id}.example",
        ),
        *(
            "https://*.example.com",
            "javascript:alert(1)",
            "https:auth.example.com",
            "https:\\\\auth.example.com",
            "https://[",
        ),
    ],
)
def test_other_issuers_are_refused(issuer: str) -> None:
    """Anything that a token's `iss` cannot be compared with byte for byte is refused, placeholders included."""
    (problem,) = problems(KEYTURN_ISSUER=issuer)
    assert problem.startswith("KEYTURN_ISSUER must be an https URL")


@pytest.mark.parametrize("prefix", ["keyturn/prod", "/keyturn/prod/", "/", "keyturn"])
def test_parameters_are_a_path(prefix: str) -> None:
    """The prefix begins with a slash and does not end with one."""
    (problem,) = problems(KEYTURN_PARAMETERS=prefix)
    assert problem.startswith("KEYTURN_PARAMETERS must be a parameter-store path")


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(LEAST)) | st.just("KEYTURN_ALLOWED_ORIGINS"), st.text(max_size=60)))
def test_no_text_breaks_the_reading(variables: dict[str, str]) -> None:
    """Whatever an operator writes gives settings, or a ConfigurationError."""
    with suppress(ConfigurationError):
        assert read(**variables).issuer.startswith("http")


class Watched(Mapping[str, str]):
    """An environment that keeps which names it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def variables_read() -> set[str]:
    """The names of all variables that the product's settings come from."""
    variables = ("CLIENT_ID", "CLIENT_SECRET_PARAMETER", "ISSUER", "NATIVE_CLIENT_IDS", "SECONDS")
    of_providers = {f"KEYTURN_{name.upper()}_{variable}" for name in PROVIDERS for variable in variables}
    environ = Watched(LEAST)
    Config.from_env(environ)
    return environ.asked | of_providers


def documented() -> dict[str, str]:
    """The README's table: each variable with what it says of its default."""
    return dict(re.findall(r"^\| `(KEYTURN_[A-Z0-9_]+)` \| ([^|]+?) \| [^|]+ \|$", README, re.MULTILINE))


def test_readme_documents_every_variable() -> None:
    """The README's table has one line for each variable, and no line more."""
    of_providers = {name for name in variables_read() if PROVIDER_VARIABLE.fullmatch(name)}
    assert set(documented()) == variables_read() - of_providers
    assert len(re.findall(r"^\| `KEYTURN_", README, re.MULTILINE)) == len(documented())


def test_readme_states_the_defaults() -> None:
    """A default that stands in the table is the one that holds. Names that a stage gives: test_deployment.py."""
    defaults = {name: text.strip("`") for name, text in documented().items() if text.startswith("`")}
    stated: dict[str, Any] = {name: text for name, text in defaults.items() if "<stage>" not in text}
    assert len(stated) >= 8
    assert read(**stated) == read()
