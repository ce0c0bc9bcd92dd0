"""One AWS for the session, and one stage in it that most tests share. Each test makes accounts of its own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.rehearsal.aws import LocalAws
from tests.rehearsal.rights import enforced
from tests.rehearsal.stack import deployed
from tests.world.client import Client
from tests.world.constants import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rehearsal.stack import RunningStack


@pytest.fixture(scope="session")
def refused() -> list[str]:
    """The calls of functions that their roles do not allow, since the last test ended."""
    return []


@pytest.fixture(scope="session")
def aws(refused: list[str]) -> Iterator[LocalAws]:
    """AWS, empty at first. A function may make only the calls that its deployed role allows."""
    with LocalAws() as server, enforced(server, refused):
        yield server


@pytest.fixture(autouse=True)
def _rights_suffice(refused: list[str]) -> Iterator[None]:
    """Every call that a function made was allowed by its role. A function may hide a refusal by trying again."""
    yield
    beyond = [*refused]
    refused.clear()
    assert beyond == []


@pytest.fixture(scope="session")
def dev(aws: LocalAws) -> Iterator[RunningStack]:
    """The stage `dev`, deployed."""
    with deployed("dev", aws=aws) as stack:
        yield stack


@pytest.fixture
def client(dev: RunningStack) -> Client:
    """A client of the stage `dev`."""
    return Client(dev.url)


@pytest.fixture
def credentials() -> dict[str, Any]:
    """Members for signup and login, of an account that no other test has, over the transport `body`."""
    return {"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD, "transport": "body"}
