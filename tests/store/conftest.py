"""The three stores that one contract holds for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest

from chalicelib.store.dynamodb import DynamoDBStore
from tests.world import engines
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from chalicelib.store.protocol import Store


@dataclass(frozen=True)
class Table:
    """A table of the test's own on one of the engines, with the client that reaches it."""

    client: DynamoDBClient
    name: str
    store: Store


# The engines that a test may want: moto is the slower one, and the second opinion.
ENGINES = ["dynoxide", pytest.param("moto", marks=pytest.mark.slow)]


@pytest.fixture(params=["fake", *ENGINES])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store: the tests' fake, or the product's on each engine."""
    return FakeStore() if request.param == "fake" else _table(_shared_client(request.param)).store


@pytest.fixture(params=ENGINES)
def table(request: pytest.FixtureRequest) -> Table:
    """An empty table on each engine."""
    return _table(engines.connect_patiently(engines.start(request.param)))


@pytest.fixture
def dynoxide_table() -> Table:
    """An empty table on the engine that reports consumed capacity as DynamoDB does."""
    return _table(engines.connect_patiently(engines.start("dynoxide")))


@cache
def _shared_client(engine: str) -> DynamoDBClient:
    """A client for tests that do not look at it: making one takes longer than most of them."""
    return engines.connect_patiently(engines.start(engine))


def _table(client: DynamoDBClient) -> Table:
    name = engines.make_table(client)
    return Table(client, name, DynamoDBStore(client, name))
