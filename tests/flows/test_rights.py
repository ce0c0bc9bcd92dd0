"""What each function asks of AWS is allowed by its policy: real requests to a table, evaluated as IAM would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.services.sessions.authorization import TOUCH_SECONDS
from chalicelib.store.dynamodb import DynamoDBStore
from tests.flows.federated import Federated
from tests.flows.steps import bearer, log_in, log_out, refresh, sign_up
from tests.store.samples import an_event, identifier
from tests.world import engines, iam
from tests.world.iam import STAGES, Ask, allows
from tests.world.keyturn import Keyturn

if TYPE_CHECKING:
    from collections.abc import Callable


class Wire:
    """A table of its own, and what is asked of it."""

    def __init__(self) -> None:
        client = engines.connect_patiently(engines.start("dynoxide"))
        self.table = engines.make_table(client)
        self.store = DynamoDBStore(client, self.table)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        client.meta.events.register("provide-client-params.dynamodb", self._note)

    def _note(self, params: dict[str, Any], model: Any, **_: object) -> None:
        self.requests.append((model.name, params))

    def asked(self, act: Callable[[], object]) -> list[Ask]:
        """What acting asks of IAM; something is asked."""
        self.requests.clear()
        act()
        asked = [ask for request in self.requests for ask in iam.of_request(*request)]
        assert asked
        return asked

    def policy(self, stage: str, function: str) -> dict[str, Any]:
        """The function's policy, with this table in the place of the stage's."""
        document = json.dumps(iam.policy_of(stage, function))
        return json.loads(document.replace(f":table/{iam.stage_of(stage).table}", f":table/{self.table}"))  # type: ignore[no-any-return]  # JSON

    def assert_allowed(self, function: str, asked: list[Ask]) -> None:
        """Every stage's policy of the function allows all of it."""
        for stage in STAGES:
            assert [ask for ask in asked if not allows(self.policy(stage, function), ask)] == []


@pytest.fixture(scope="module")
def wire() -> Wire:
    """One table for all tests here: each has accounts of its own."""
    return Wire()


@pytest.fixture
def keyturn(wire: Wire) -> Keyturn:
    """Keyturn over that table."""
    return Keyturn(wire.store)


def test_api_may_do_what_it_does(wire: Wire, keyturn: Keyturn) -> None:
    """Sign-up, login, refresh, logout and a login at a provider are within the policy of the API's function."""
    services, email = keyturn.services, "api@example.com"

    def day() -> None:
        grant = sign_up(services, email=email)
        log_in(services, email=email)
        refresh(services, grant)
        services.sessions.list(keyturn.principal(grant.access_token))
        log_out(services, grant)
        federated = Federated.over(wire.store)
        federated.log_in(federated.google)

    asked = wire.asked(day)
    wire.assert_allowed("api_handler", asked)
    assert {"PutItem", "UpdateItem", "DeleteItem", "GetItem"} <= {ask.action.rpartition(":")[2] for ask in asked}


def test_authorizers_may_look_at_the_blacklist(wire: Wire, keyturn: Keyturn) -> None:
    """A bearer token costs `authorize` and `guard` one read that both may do, and no write."""
    grant = sign_up(keyturn.services, email="bearer@example.com")
    asked = wire.asked(lambda: keyturn.authorize(bearer(grant)))
    assert [ask.action for ask in asked] == ["dynamodb:GetItem"]
    for function in ("authorize", "guard"):
        wire.assert_allowed(function, asked)


def test_guard_may_look_at_a_session(wire: Wire, keyturn: Keyturn) -> None:
    """A session cookie costs `guard` one read of two items; `authorize` may not do that."""
    grant = sign_up(keyturn.services, email="cookie@example.com", transport="session")
    asked = wire.asked(lambda: keyturn.enter(grant))
    assert [ask.action for ask in asked] == ["dynamodb:BatchGetItem"]
    wire.assert_allowed("guard", asked)
    assert not allows(wire.policy(STAGES[0], "authorize"), asked[0])


def test_guard_may_note_a_use(wire: Wire, keyturn: Keyturn) -> None:
    """The note of a session's use, a minute later, names no attribute but that of the note."""
    grant = sign_up(keyturn.services, email="note@example.com", transport="session")
    keyturn.clock.advance(TOUCH_SECONDS)
    asked = wire.asked(lambda: keyturn.enter(grant))
    assert [ask.action for ask in asked] == ["dynamodb:BatchGetItem", "dynamodb:UpdateItem"]
    wire.assert_allowed("guard", asked)


def test_guard_may_do_nothing_else_of_the_api(wire: Wire, keyturn: Keyturn) -> None:
    """Every write that the API's requests consist of is refused to `guard`, `authorize` and `chronicle`."""
    services, email = keyturn.services, "writes@example.com"

    def day() -> None:
        grant = sign_up(services, email=email)
        log_in(services, email=email)
        refresh(services, grant)
        log_out(services, grant)

    reads = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}
    writes = [ask for ask in wire.asked(day) if ask.action not in reads]
    assert len({ask.action for ask in writes}) >= 3
    for stage in STAGES:
        for function in ("guard", "authorize", "chronicle"):
            assert [ask for ask in writes if allows(wire.policy(stage, function), ask)] == []


def test_chronicle_may_keep_events(wire: Wire) -> None:
    """What it writes is within its policy, and it asks for nothing else."""
    asked = wire.asked(lambda: wire.store.record_events([an_event(identifier())]))
    assert [ask.action for ask in asked] == ["dynamodb:BatchWriteItem"]
    wire.assert_allowed("chronicle", asked)
