"""The contract of the verbs on the token blacklist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.records import Denials
from chalicelib.store.dynamodb import DENIED_SESSIONS
from tests.store.samples import NOW, a_login, a_session, identifier

if TYPE_CHECKING:
    from chalicelib.store.protocol import Store

DENY_UNTIL = NOW + 1020


def filled(store: Store) -> tuple[str, frozenset[str]]:
    """A user whose blacklist is full, and the sessions on it."""
    sub = identifier()
    sids = frozenset(identifier() for _ in range(DENIED_SESSIONS))
    for sid in sids:
        assert store.deny_session(sub, sid, deny_until=DENY_UNTIL) is None
    return sub, sids


def test_nothing_is_denied_at_first(store: Store) -> None:
    """An unknown user has an empty blacklist."""
    assert store.find_denials(identifier()) == Denials()


def test_denied_sessions_add_up(store: Store) -> None:
    """Each session stays denied; denying it again is nothing new."""
    sub = identifier()
    for sid in ("one", "two", "one"):
        assert store.deny_session(sub, sid, deny_until=DENY_UNTIL) is None
    assert store.find_denials(sub) == Denials(sessions=frozenset({"one", "two"}))


def test_denials_are_the_users_own(store: Store) -> None:
    """Nobody else's tokens are denied."""
    store.deny_session(identifier(), "one", deny_until=DENY_UNTIL)
    assert store.find_denials(identifier()) == Denials()


def test_full_blacklist_takes_no_more_sessions(store: Store) -> None:
    """The 101st session is refused with the list that is held; one that is on it is not refused."""
    sub, sids = filled(store)
    assert store.deny_session(sub, "one too many", deny_until=DENY_UNTIL) == Denials(sessions=sids)
    assert store.deny_session(sub, min(sids), deny_until=DENY_UNTIL) is None
    assert store.find_denials(sub) == Denials(sessions=sids)


def test_moment_takes_the_place_of_the_sessions(store: Store) -> None:
    """The set is gone, the moment is held, and there is room again."""
    sub, sids = filled(store)
    assert store.deny_issued_before(sub, Denials(sessions=sids), NOW, deny_until=DENY_UNTIL) is True
    assert store.find_denials(sub) == Denials(issued_before=NOW)
    assert store.deny_session(sub, "next", deny_until=DENY_UNTIL) is None
    assert store.find_denials(sub) == Denials(issued_before=NOW, sessions=frozenset({"next"}))


def test_moment_can_be_set_where_nothing_is_denied(store: Store) -> None:
    """An empty list can be what was seen."""
    sub = identifier()
    assert store.deny_issued_before(sub, Denials(), NOW, deny_until=DENY_UNTIL) is True
    assert store.find_denials(sub) == Denials(issued_before=NOW)


def test_moment_does_not_swallow_a_session_that_was_not_seen(store: Store) -> None:
    """A session that was denied after the reading may have tokens younger than the moment: it stays on the list."""
    sub = identifier()
    seen = store.find_denials(sub)
    store.deny_session(sub, "late", deny_until=DENY_UNTIL)
    assert store.deny_issued_before(sub, seen, NOW, deny_until=DENY_UNTIL) is False
    assert store.find_denials(sub) == Denials(sessions=frozenset({"late"}))
    also = Denials(sessions=frozenset({"early"}))
    assert store.deny_issued_before(sub, also, NOW, deny_until=DENY_UNTIL) is False
    assert store.find_denials(sub) == Denials(sessions=frozenset({"late"}))


def test_moment_never_goes_back(store: Store) -> None:
    """An earlier moment is covered by the later one that is held, and does not replace it."""
    sub = identifier()
    store.deny_issued_before(sub, Denials(), NOW, deny_until=DENY_UNTIL)
    for earlier in (NOW - 1, NOW):
        assert store.deny_issued_before(sub, Denials(), earlier, deny_until=DENY_UNTIL) is True
        assert store.find_denials(sub) == Denials(issued_before=NOW)
    assert store.deny_issued_before(sub, Denials(), NOW + 1, deny_until=DENY_UNTIL) is True
    assert store.find_denials(sub) == Denials(issued_before=NOW + 1)


def test_moment_that_is_set_twice_is_set(store: Store) -> None:
    """The repetition of a write whose answer was lost is told that it was done."""
    sub, sids = filled(store)
    seen = Denials(sessions=sids)
    assert store.deny_issued_before(sub, seen, NOW, deny_until=DENY_UNTIL) is True
    assert store.deny_issued_before(sub, seen, NOW, deny_until=DENY_UNTIL) is True


def test_epoch_moment_and_sessions_stand_side_by_side(store: Store) -> None:
    """Each way to deny leaves the others as they are."""
    login = a_login()
    sub = login.account.sub
    store.create_account(login, a_session(sub))
    store.deny_issued_before(sub, Denials(), NOW, deny_until=DENY_UNTIL)
    store.deny_session(sub, "one", deny_until=DENY_UNTIL)
    store.raise_epoch(login.account, deny_until=DENY_UNTIL)
    assert store.find_denials(sub) == Denials(before_epoch=1, issued_before=NOW, sessions=frozenset({"one"}))
