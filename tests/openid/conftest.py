"""Keyturn over HTTP, and the real providers; each started once for a test process.

A test that takes `keyturn` runs with both providers, each as `google` with another issuer and as `oidc`. A test that
takes `each` runs with Apple, Microsoft and GitHub, as emulate plays them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http.server import Containers, Server, serve
from tests.openid import emulated as emulation
from tests.openid import providers
from tests.openid.keyturn import EXCHANGE_REDIRECT, NATIVE_REDIRECT, Keyturn
from tests.world.constants import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.openid.emulated import Emulated
    from tests.openid.providers import RealProvider

NAMES = ("google", "oidc")
COMBINATIONS = [
    ("mock", "google"),
    ("mock", "oidc"),
    ("panva", "google"),
    ("panva", "oidc"),
    ("panva-id-token", "oidc"),
]


@pytest.fixture(scope="session")
def one_server() -> Iterator[Server]:
    """Keyturn, served."""
    with serve() as server:
        yield server


@pytest.fixture(scope="session")
def redirects(one_server: Server) -> list[str]:
    """Where the confidential client is called back."""
    return [*(f"{one_server.url}/login/{name}/callback" for name in NAMES), EXCHANGE_REDIRECT]


@pytest.fixture(scope="session")
def mock(redirects: list[str]) -> Iterator[RealProvider]:
    """The one from PyPI."""
    with providers.oidc_provider_mock(redirects, [NATIVE_REDIRECT]) as provider:
        yield provider


@pytest.fixture(scope="session")
def both_of_panva(redirects: list[str]) -> Iterator[tuple[RealProvider, RealProvider]]:
    """The two from npm."""
    with providers.panva(redirects, [NATIVE_REDIRECT]) as both:
        yield both


@pytest.fixture(scope="session")
def panva(both_of_panva: tuple[RealProvider, RealProvider]) -> RealProvider:
    """The one that tells the address at userinfo."""
    return both_of_panva[0]


@pytest.fixture(scope="session")
def panva_id_token(both_of_panva: tuple[RealProvider, RealProvider]) -> RealProvider:
    """The one that tells the address in the ID token."""
    return both_of_panva[1]


@pytest.fixture(scope="session")
def containers() -> Callable[[str, str], Containers]:
    """For each combination the containers that have its settings."""
    started: dict[tuple[str, str], Containers] = {}
    return lambda kind, name: started.setdefault((kind, name), Containers())


@pytest.fixture(params=COMBINATIONS, ids="-as-".join)
def keyturn(
    request: pytest.FixtureRequest, one_server: Server, containers: Callable[[str, str], Containers]
) -> Iterator[Keyturn]:
    """Keyturn, set up for one provider."""
    kind, name = request.param
    provider = request.getfixturevalue(kind.replace("-", "_"))
    prefix = f"KEYTURN_{name.upper()}"
    secret = f"{one_server.prefix}/provider/{kind}"
    environment = {
        f"{prefix}_CLIENT_ID": provider.client_id,
        f"{prefix}_CLIENT_SECRET_PARAMETER": secret,
        f"{prefix}_ISSUER": provider.issuer,
        f"{prefix}_NATIVE_CLIENT_IDS": f"{provider.native_client_id}={NATIVE_REDIRECT}",
        "KEYTURN_RETURN_TO": f"{PAGE},{EXCHANGE_REDIRECT}",
    }
    one_server.parameters.put_parameter(Name=secret, Value=provider.client_secret, Type="SecureString", Overwrite=True)
    with one_server.running(containers(kind, name), environment):
        yield Keyturn(one_server.url, name, provider, tells_subject="email" if kind == "mock" else "name")


@pytest.fixture(scope="session")
def emulated(one_server: Server) -> Iterator[Emulated]:
    """Apple, Microsoft and GitHub, and their secrets in the parameter store."""
    with emulation.emulate({name: f"{one_server.url}/login/{name}/callback" for name in emulation.NAMES}) as emulated:
        for name, provider in emulated.providers.items():
            parameter = f"{one_server.prefix}/provider/{name}"
            one_server.parameters.put_parameter(Name=parameter, Value=provider.client_secret, Type="SecureString")
        yield emulated


@pytest.fixture(scope="session")
def named_settings(one_server: Server, emulated: Emulated) -> Mapping[str, str]:
    """Settings that switch the three on."""
    return emulated.settings(one_server.prefix) | {"KEYTURN_RETURN_TO": PAGE}


@pytest.fixture
def named(
    one_server: Server,
    emulated: Emulated,
    named_settings: Mapping[str, str],
    containers: Callable[[str, str], Containers],
) -> Iterator[dict[str, Keyturn]]:
    """Keyturn, set up for the three; by each name, as it is used with that provider."""
    with one_server.running(containers("emulate", "common"), named_settings):
        yield {
            name: Keyturn(one_server.url, name, provider, tells_subject="email")
            for name, provider in emulated.providers.items()
        }


@pytest.fixture(params=emulation.NAMES)
def each(request: pytest.FixtureRequest, named: dict[str, Keyturn]) -> Keyturn:
    """Keyturn, as it is used with one of the three."""
    return named[request.param]
