"""The wrapper that puts faults into any store does what tests rely on."""

from __future__ import annotations

import pytest

from chalicelib.errors import Unavailable
from tests.fakes_store import FakeStore
from tests.faults import FaultyStore
from tests.store.samples import a_login, a_session


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
