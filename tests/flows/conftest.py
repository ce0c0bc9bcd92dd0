"""Keyturn over the tests' fake, and over a table of its own on the persistent engine."""

from __future__ import annotations

import pytest

from tests.flows.federated import Federated
from tests.flows.tables import a_table
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore


@pytest.fixture
def keyturn() -> Keyturn:
    """Keyturn over the fake: for what services decide, whatever the table is."""
    return Keyturn(FakeStore())


@pytest.fixture(params=["fake", "dynoxide"])
def anywhere(request: pytest.FixtureRequest) -> Keyturn:
    """Keyturn over the fake and over a real table: for what both must agree on."""
    return Keyturn(FakeStore() if request.param == "fake" else a_table(request.param))


@pytest.fixture
def federated() -> Federated:
    """Keyturn with two providers over the fake."""
    return Federated.over(FakeStore())


@pytest.fixture(params=["fake", "dynoxide"])
def federated_anywhere(request: pytest.FixtureRequest) -> Federated:
    """Keyturn with two providers over the fake and over a real table."""
    return Federated.over(FakeStore() if request.param == "fake" else a_table(request.param))
