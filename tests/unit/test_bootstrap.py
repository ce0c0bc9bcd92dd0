"""Composition: once a container, at the first request, and never half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib import authorizers, bootstrap
from chalicelib.clock import SystemClock
from chalicelib.errors import ConfigurationError, Unavailable
from tests.fakes import PREFIX, FrozenClock, MemoryParameters, parameters_with_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTINGS = {
    "KEYTURN_TABLE": "keyturn-test",
    "KEYTURN_ISSUER": "https://auth.example.com",
    "KEYTURN_AUDIENCE": "https://api.example.com",
    "KEYTURN_PARAMETERS": PREFIX,
}
# Every way to compose: the API's function, the two authorizers.
COMPOSE: dict[str, Callable[[], object]] = {
    "api": bootstrap.services,
    "authorize": authorizers.authorization,
    "guard": authorizers.guarding,
}


@pytest.fixture
def parameters(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryParameters]:
    """The parameter store of a container that has not served any request yet."""
    source = parameters_with_keys()
    for module in (bootstrap, authorizers):
        monkeypatch.setattr(module, "clock", FrozenClock())
        monkeypatch.setattr(module, "make_parameters_client", lambda _: None)
        monkeypatch.setattr(module, "make_dynamodb_client", lambda _: None)
        monkeypatch.setattr(module, "SystemsManagerParameters", lambda _client: source)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    bootstrap.config.cache_clear()
    bootstrap.services.cache_clear()
    authorizers.authorization.cache_clear()
    authorizers.guarding.cache_clear()
    yield source
    bootstrap.config.cache_clear()
    bootstrap.services.cache_clear()
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
    services = bootstrap.services()
    assert services.config.access_ttl == 300
    assert services.tokens.config is services.sessions.config is services.accounts.config is services.config


@pytest.mark.parametrize("missing", ["public", "root", "signing"])
def test_missing_keys_refuse_to_start(parameters: MemoryParameters, missing: str) -> None:
    """A container without a key refuses its first request whole, with the remedy, and starts when the key is there."""
    names = [name for name in parameters.values if f"/{missing}" in name]
    kept = {name: parameters.values.pop(name) for name in names}
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="make deploy"):
            bootstrap.services()
    parameters.values |= kept
    assert bootstrap.services().config.table == "keyturn-test"


def test_absent_parameter_store_is_asked_again(parameters: MemoryParameters) -> None:
    """A store that is away is 503 now, and the next request asks it again."""
    parameters.away = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            bootstrap.services()
    assert parameters.fetches == 2
    parameters.away = False
    assert bootstrap.services().config.table == "keyturn-test"


def test_clock_is_utc_in_whole_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds since the epoch, cut and not rounded."""
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.999)
    assert SystemClock().now() == 1_800_000_000
