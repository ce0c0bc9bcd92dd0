"""One server for each test process; for each test an address and accounts of its own, because limiters count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http.client import CheckedClient, Held, sign_up
from tests.http.server import Containers, Server, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world.client import Client


@pytest.fixture(scope="session")
def one_server() -> Iterator[Server]:
    """Keyturn, served."""
    with serve() as server:
        yield server


@pytest.fixture(scope="module")
def containers(one_server: Server) -> Containers:
    """The warm containers. A module whose tests look at all of a table has containers apart instead."""
    return one_server.warm


@pytest.fixture
def server(one_server: Server, containers: Containers) -> Iterator[Server]:
    """Keyturn, served by warm containers, whatever other tests have made of the environment."""
    with one_server.running(containers):
        yield one_server


@pytest.fixture
def client(server: Server) -> Client:
    """A client at an address of its own."""
    return CheckedClient(server.url)


@pytest.fixture
def app_user(client: Client) -> Held:
    """A fresh account, with a session of the transport `body`."""
    return sign_up(client, "body")


@pytest.fixture
def browser(client: Client) -> Held:
    """A fresh account, with a session of the transport `cookie`."""
    return sign_up(client, "cookie")


@pytest.fixture
def page(client: Client) -> Held:
    """A fresh account, with a session of the transport `session`."""
    return sign_up(client, "session")
