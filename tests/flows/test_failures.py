"""The table fails at each call of each operation, before and after the effect: 503 or success, retries converge."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import AuthError, InvalidToken, Unavailable
from chalicelib.store.dynamodb import DynamoDBStore
from tests.flows.contents import contents
from tests.flows.operations import OPERATIONS, Operation, World
from tests.flows.tables import a_table
from tests.store.fault_proxy import Fault, FaultProxy
from tests.world import engines
from tests.world.faults import VERBS, FaultyStore
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from _pytest.mark import ParameterSet

    from chalicelib.store.protocol import Store

    Stage = tuple[World, FaultyStore, Callable[[], object]]

CALLS = {"login from a known device": 3, "refresh": 2, "logout": 3}  # to DynamoDB


def staged(operation: Operation, store: Store) -> Stage:
    """A world that is ready for the operation, the store that its container calls, and the act."""
    world = World.over(store)
    operation.ready(world)
    faulty = FaultyStore(store, at_call=world.at_call)
    world.failing = Keyturn(faulty, world.keyturn.clock, world.keyturn.parameters, providers=world.keyturn.providers)
    return world, faulty, lambda: operation.act(world, world.failing.services)


def outcome_of(act: Callable[[], object]) -> type[Exception] | None:
    """How the operation ended: None if well."""
    try:
        act()
    except AuthError as refusal:
        return type(refusal)
    return None


def assert_ended_means_denied(world: World) -> None:
    """No session is gone from the table while its access tokens are still accepted: no retry would find it."""
    held = contents(world.keyturn.store)
    held.assert_whole()
    for grant in (world.here, world.there):
        if grant.session_id not in held.sessions:
            with pytest.raises(InvalidToken):
                world.keyturn.authorize(grant.access_token)


def on_both_stores() -> list[ParameterSet]:
    """Each operation on the fake and on a real table; on the table most are slow."""
    quick = {"login from a known device", "refresh", "logout", "callback that links"}
    on_fake = [pytest.param(name, FakeStore, id=f"{name}-fake") for name in OPERATIONS]
    return on_fake + [
        pytest.param(name, a_table, id=f"{name}-dynoxide", marks=() if name in quick else pytest.mark.slow)
        for name in OPERATIONS
    ]


@pytest.mark.parametrize(("name", "make_store"), on_both_stores())
def test_each_failure_is_503_or_nothing_and_the_retry_converges(name: str, make_store: Callable[[], Store]) -> None:
    """Which calls there are is taken from a run without faults, so that no verb can be left out."""
    operation = OPERATIONS[name]
    world, recorded, act = staged(operation, make_store())
    assert outcome_of(act) == operation.refusal
    operation.settled(world)
    for call in sorted(set(recorded.calls)):
        for fail in (FaultyStore.fail_before, FaultyStore.fail_after):
            world, faulty, act = staged(operation, make_store())
            fail(faulty, *call)
            try:
                assert outcome_of(act) in {Unavailable, operation.refusal}
                assert_ended_means_denied(world)
                assert outcome_of(act) in {operation.refusal, *operation.again}
                assert_ended_means_denied(world)
                operation.settled(world)
            except BaseException as error:
                error.add_note(f"{name}: {fail.__name__} {call}")
                raise


def test_every_verb_fails_somewhere() -> None:
    """The operations above call every verb that the store has, but for the one that tests alone look by."""
    called: set[str] = set()
    for operation in OPERATIONS.values():
        _, recorded, act = staged(operation, FakeStore())
        outcome_of(act)
        called.update(recorded.verbs)
    assert called == VERBS - {"find_session"}  # a session is read with its account beside it


@pytest.mark.parametrize(
    ("name", "last", "event"),
    [
        ("signup", "create_account", "signed_up"),
        ("login", "create_session", "logged_in"),
        ("logout", "delete_session", "logged_out"),
        ("logout everywhere", "raise_epoch", "logged_out_everywhere"),
        ("password change", "change_password", "password_changed"),
        ("disabling", "raise_epoch", "account_disabled"),
        ("end of one session", "delete_session", "session_ended"),
        ("revocation of an access token", "deny_token", "token_revoked"),
        ("revocation of a refresh token", "delete_session", "token_revoked"),
        ("unlinking", "unlink_identity", "identity_unlinked"),
        ("first password", "change_password", "password_changed"),
    ],
)
def test_what_failed_is_not_logged_as_done(name: str, last: str, event: str) -> None:
    """The event is written after the last write, and by the retry."""
    world, faulty, act = staged(OPERATIONS[name], FakeStore())
    faulty.fail_before(last)
    assert outcome_of(act) is Unavailable
    assert event not in world.failing.audit.names()
    act()
    assert event in world.failing.audit.names()


@pytest.mark.parametrize(
    ("name", "last", "event"),
    [
        ("callback", "create_session", "logged_in"),
        ("callback of a first arrival", "create_account", "signed_up"),
        ("callback that links by address", "link_identity", "identity_linked"),
        ("callback that takes over", "take_over_account", "account_taken_over"),
        ("callback that links", "link_identity", "identity_linked"),
        ("exchange", "create_session", "logged_in"),
        ("link by code", "link_identity", "identity_linked"),
    ],
)
def test_arrival_that_failed_is_not_logged_as_done(name: str, last: str, event: str) -> None:
    """The same, where a code or a transaction is used up by then; where nothing fails, the event is there."""
    world, _, act = staged(OPERATIONS[name], FakeStore())
    act()
    assert event in world.failing.audit.names()
    world, faulty, act = staged(OPERATIONS[name], FakeStore())
    faulty.fail_before(last)
    assert outcome_of(act) is Unavailable
    assert event not in world.failing.audit.names()


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST, Fault.STALLED_ANSWER], ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", CALLS)
def test_failures_on_the_wire_are_503_and_the_retry_converges(
    name: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Throttled, lost or timed out, met by botocore at the last call: once is mended unseen, twice is 503."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)  # before botocore's own retry
    monkeypatch.setattr("chalicelib.deadline.READ_SECONDS", 0.4)
    operation = OPERATIONS[name]
    proxy = FaultProxy(engines.start("dynoxide"))
    with proxy.serve() as endpoint:
        for times, outcome in ((1, None), (2, Unavailable)):
            direct = a_table()
            store = DynamoDBStore(engines.connect(endpoint), direct._table)
            world = World.over(direct)
            container = Keyturn(store, world.keyturn.clock, world.keyturn.parameters).services
            act = partial(operation.act, world, container)
            proxy.faults.extend([Fault.NONE] * (CALLS[name] - 1) + [fault] * times)
            assert outcome_of(act) == outcome
            assert not proxy.faults
            assert_ended_means_denied(world)
            if outcome:
                assert outcome_of(act) is None
            operation.settled(world)
