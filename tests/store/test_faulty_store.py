"""The wrapper that puts faults into any store does what tests rely on."""

from __future__ import annotations

from functools import partial
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, cast

import pytest

from chalicelib.errors import Unavailable
from chalicelib.store.dynamodb import DynamoDBStore
from chalicelib.store.protocol import Store
from tests.store.samples import a_login, a_session
from tests.world.faults import VERBS, FaultyStore
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    Heard = tuple[str, tuple[object, ...], dict[str, object]]


class Listener:
    """Has every verb, notes how each was called, and answers with the number of calls so far."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []

    def __getattr__(self, verb: str) -> Callable[..., int]:
        def called(*args: object, **kwargs: object) -> int:
            self.heard.append((verb, args, kwargs))
            return len(self.heard)

        called.__name__ = verb
        return called


@pytest.mark.parametrize("store", [DynamoDBStore, FakeStore])
def test_verbs_are_those_of_the_protocol(store: type[Store]) -> None:
    """Both stores have the verbs of the Protocol and no other ones, with the Protocol's own parameters."""
    assert {name for name in dir(store) if not name.startswith("_")} == VERBS
    for verb in VERBS:
        assert signature(getattr(store, verb)) == signature(getattr(Store, verb))


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_passed_on_and_failed(verb: str) -> None:
    """The first call fails before its effect, the second one after it, and the third one is the inner store's."""
    inner = Listener()
    store = FaultyStore(cast("Store", inner))
    store.fail_before(verb, 1)
    store.fail_after(verb, 2)
    _, *parameters = signature(getattr(Store, verb)).parameters.values()
    args = tuple(each.name for each in parameters if each.kind is Parameter.POSITIONAL_OR_KEYWORD)
    kwargs = {each.name: each.name for each in parameters if each.kind is Parameter.KEYWORD_ONLY}
    call: Callable[[], Any] = partial(getattr(store, verb), *args, **kwargs)
    with pytest.raises(Unavailable, match="before its effect"):
        call()
    assert inner.heard == []
    with pytest.raises(Unavailable, match="after its effect"):
        call()
    assert inner.heard == [(verb, args, kwargs)]
    assert call() == 2
    assert inner.heard == [(verb, args, kwargs)] * 2
    assert store.calls == [(verb, nth) for nth in (1, 2, 3)]


def test_nothing_but_verbs_is_passed_on() -> None:
    """A name that is no verb is unknown here, and no fault can be asked for at it."""
    store = FaultyStore(FakeStore())
    assert not hasattr(store, "sessions")
    for ask in (store.fail_before, store.fail_after):
        with pytest.raises(AssertionError):
            ask("find_logn")


def test_calls_are_passed_on_and_recorded() -> None:
    """Outcomes are the inner store's; verbs are listed in order, each call with its number."""
    store = FaultyStore(FakeStore())
    login = a_login()
    assert store.create_account(login, a_session(login.account.sub)) is True
    assert store.find_login(login.account.email) == login
    assert store.find_login("nobody@example.com") is None
    assert store.verbs == ["create_account", "find_login", "find_login"]
    assert store.calls == [("create_account", 1), ("find_login", 1), ("find_login", 2)]


@pytest.mark.parametrize("after", [False, True])
def test_chosen_call_fails_before_or_after_its_effect(*, after: bool) -> None:
    """That call alone is Unavailable; the effect is there only where it failed afterwards."""
    store = FaultyStore(FakeStore())
    (store.fail_after if after else store.fail_before)("create_session", 2)
    first, second = a_session("sub"), a_session("sub")
    store.create_session(first)
    with pytest.raises(Unavailable):
        store.create_session(second)
    assert (store.inner.find_session("sub", second.sid) is not None) is after
    store.create_session(second)
    assert store.inner.find_session("sub", second.sid) == second


def test_another_request_can_come_between() -> None:
    """What runs at a call happens before the call's effect."""
    inner = FakeStore()
    session = a_session("sub")

    def meanwhile(verb: str, nth: int) -> None:
        if (verb, nth) == ("find_session", 2):
            inner.delete_session("sub", session.sid)

    store = FaultyStore(inner, at_call=meanwhile)
    store.create_session(session)
    assert store.find_session("sub", session.sid) == session
    assert store.find_session("sub", session.sid) is None
