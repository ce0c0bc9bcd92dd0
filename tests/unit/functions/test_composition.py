"""Composition: once a container, at the first request, and never half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.aws import parameters as aws_parameters
from chalicelib.clock import SystemClock
from chalicelib.crypto.encoding import b64url
from chalicelib.domain.limits import signup_by_address
from chalicelib.errors import ConfigurationError, InvalidGrant, InvalidToken, Unavailable
from chalicelib.functions import api, authorizers, container
from tests.unit.key_containers import AskedParameters
from tests.world.clock import FrozenClock
from tests.world.iam import STAGES, allows, policy_of, stage_of, to_parameter
from tests.world.parameters import PREFIX, MemoryParameters, parameters_with_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTINGS = {
    "KEYTURN_TABLE": "keyturn-test",
    "KEYTURN_ISSUER": "https://auth.example.com",
    "KEYTURN_AUDIENCE": "https://api.example.com",
    "KEYTURN_PARAMETERS": PREFIX,
}
UNKNOWN_BEARER = ".".join((b64url(b'{"alg":"ES256","typ":"at+jwt","kid":"unknown"}'), "e30", "A" * 86))
# Every way to compose: the API's function, the two authorizers.
COMPOSE: dict[str, Callable[[], object]] = {
    "api": api.services,
    "authorize": authorizers.authorization,
    "guard": authorizers.guarding,
}


@pytest.fixture
def parameters(monkeypatch: pytest.MonkeyPatch) -> Iterator[AskedParameters]:
    """The parameter store of a container that has not served any request yet."""
    source = AskedParameters()
    source.values |= parameters_with_keys().values
    monkeypatch.setattr(container, "clock", FrozenClock())
    monkeypatch.setattr(container, "make_dynamodb_client", lambda _: None)
    monkeypatch.setattr(aws_parameters, "make_client", lambda _: None)
    monkeypatch.setattr(aws_parameters, "SystemsManagerParameters", lambda _client: source)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    container.config.cache_clear()
    api.services.cache_clear()
    authorizers.authorization.cache_clear()
    authorizers.guarding.cache_clear()
    yield source
    container.config.cache_clear()
    api.services.cache_clear()
    authorizers.authorization.cache_clear()
    authorizers.guarding.cache_clear()


@pytest.mark.parametrize("function", COMPOSE)
def test_container_is_composed_once(parameters: MemoryParameters, function: str) -> None:
    """The second request finds what the first one has built."""
    composed = COMPOSE[function]()
    reads = parameters.fetches
    assert COMPOSE[function]() is composed
    assert parameters.fetches == reads


@pytest.mark.parametrize("function", COMPOSE)
def test_wrong_settings_are_told_until_mended(
    parameters: MemoryParameters, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """A container with wrong settings refuses every request, before it asks for any key, and starts once mended."""
    monkeypatch.setenv("KEYTURN_ROTATION_WINDOW", "61")
    monkeypatch.delenv("KEYTURN_AUDIENCE")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"KEYTURN_AUDIENCE is not set.*KEYTURN_ROTATION_WINDOW"):
            COMPOSE[function]()
    assert parameters.fetches == 0
    monkeypatch.setenv("KEYTURN_ROTATION_WINDOW", "60")
    monkeypatch.setenv("KEYTURN_AUDIENCE", "api")
    COMPOSE[function]()


@pytest.mark.usefixtures("parameters")
def test_settings_reach_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says is what the services go by."""
    monkeypatch.setenv("KEYTURN_ACCESS_TTL", "300")
    monkeypatch.setenv("KEYTURN_ROTATION_WINDOW", "30")
    monkeypatch.setenv("KEYTURN_REFRESH_IDLE_TTL", "3600")
    monkeypatch.setenv("KEYTURN_REFRESH_ABSOLUTE_TTL", "7200")
    monkeypatch.setenv("KEYTURN_PASSWORD_MIN_LENGTH", "15")
    monkeypatch.setenv("KEYTURN_CONTEXT_WORDS", "acme")
    monkeypatch.setenv("KEYTURN_RETURN_TO", "https://app.example.com/")
    monkeypatch.setenv("KEYTURN_ROLE_SCOPES", "user=orders:read")
    monkeypatch.setenv("KEYTURN_SIGNUP_ATTEMPTS", "7")
    services = api.services()
    assert services.config.sessions.access_ttl == 300
    grants, new_sessions, passwords = services.refresh.grants, services.log_in.new_sessions, services.sign_up.passwords
    assert (grants.access_ttl, grants.role_scopes) == (300, {"user": ("orders:read",)})
    assert services.introspection.authorization.role_scopes == grants.role_scopes
    assert (new_sessions.idle_ttl, new_sessions.absolute_ttl) == (3600, 7200)
    assert {(user.rotation_window, user.idle_ttl) for user in (services.refresh, services.renewals)} == {(30, 3600)}
    assert (passwords.min_length, passwords.context_words) == (15, frozenset({"acme"}))
    assert (services.providers.return_to, services.providers.issuer) == (
        frozenset({"https://app.example.com/"}),
        SETTINGS["KEYTURN_ISSUER"],
    )
    assert services.sign_up.attempts.by_signup == signup_by_address(7)


@pytest.mark.parametrize("missing", ["public", "sessions", "logins", "signing"])
def test_missing_keys_refuse_to_start(parameters: MemoryParameters, missing: str) -> None:
    """A container without a key refuses its first request whole, with the remedy, and starts when the key is there."""
    names = [name for name in parameters.values if f"/{missing}" in name]
    kept = {name: parameters.values.pop(name) for name in names}
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="make deploy"):
            api.services()
    parameters.values |= kept
    assert api.services().config.table == "keyturn-test"


def ask_api() -> None:
    """Start, and sign."""
    api.services().keys.signing_key()


def ask_guard() -> None:
    """A bearer token and a session cookie, both under keys that nobody has heard of."""
    guard = authorizers.guarding()
    with pytest.raises(InvalidToken):
        guard.authorization.authorize(UNKNOWN_BEARER)
    with pytest.raises(InvalidGrant):
        guard.session_tokens.decode(f"kt1.unknown.{'A' * 112}", "session")
    assert not guard.csrf_tokens.verify("A" * 43, "sid")


def ask_authorize() -> None:
    """A bearer token."""
    with pytest.raises(InvalidToken):
        authorizers.authorization().authorize(UNKNOWN_BEARER)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("function", "ask", "names"),
    [
        ("api_handler", ask_api, {"public", "sessions", "logins", "signing", "withdrawn"}),
        ("guard", ask_guard, {"public", "sessions", "withdrawn"}),
        ("authorize", ask_authorize, {"public", "withdrawn"}),
    ],
    ids=["api", "guard", "authorize"],
)
def test_keys_are_those_of_the_policy(  # a table
    monkeypatch: pytest.MonkeyPatch,
    parameters: AskedParameters,
    stage: str,
    function: str,
    ask: Callable[[], None],
    names: set[str],
) -> None:
    """A function asks for the parameters that its policy names: `guard` never for `logins`, `authorize` for no secret.

    A call that asks for a parameter too many is refused whole.
    """
    prefix = stage_of(stage).parameters
    parameters.values = {name.replace(PREFIX, prefix): value for name, value in parameters.values.items()}
    monkeypatch.setenv("KEYTURN_PARAMETERS", prefix)
    ask()
    asked = {name for names in parameters.asked for name in names}
    assert {name.removeprefix(f"{prefix}/").partition("/")[0] for name in asked} == names
    assert [name for name in asked if not allows(policy_of(stage, function), to_parameter(name))] == []


def test_absent_parameter_store_is_asked_again(parameters: MemoryParameters) -> None:
    """A store that is away is 503 now, and the next request asks it again."""
    parameters.away = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            api.services()
    assert parameters.fetches == 2
    parameters.away = False
    assert api.services().config.table == "keyturn-test"


def test_clock_is_utc_in_whole_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds since the epoch, cut and not rounded."""
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.999)
    assert SystemClock().now() == 1_800_000_000


def test_moment_is_of_both_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock as `now` tells it, and the clock that nobody can set."""
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.999)
    monkeypatch.setattr("time.monotonic", lambda: 12.5)
    assert SystemClock().moment() == (1_800_000_000, 12.5)
