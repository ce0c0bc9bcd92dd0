"""The contract of the verbs on the token blacklist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS, Denials
from chalicelib.domain.records import Account
from chalicelib.store import keys
from tests.store.samples import NOW, a_login, a_session, identifier

if TYPE_CHECKING:
    from chalicelib.store.protocol import Store
    from tests.store.conftest import Table

DENY_UNTIL = NOW + 1020
WRITE_UNIT = 1024  # bytes


def filled(store: Store) -> tuple[str, frozenset[str]]:
    """A user whose blacklist has room for no more sessions, and those on it."""
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
    """One session too many is refused with the list that is held; one that is on it is not refused."""
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
    store.deny_token(sub, "two", deny_until=DENY_UNTIL)
    store.raise_epoch(login.account, deny_until=DENY_UNTIL)
    assert store.find_denials(sub) == Denials(1, NOW, frozenset({"one"}), frozenset({"two"}))


def test_denied_tokens_add_up_beside_the_sessions(store: Store) -> None:
    """Each token stays denied, and is no session; denying it again is nothing new."""
    sub = identifier()
    store.deny_session(sub, "session", deny_until=DENY_UNTIL)
    for jti in ("one", "two", "one"):
        assert store.deny_token(sub, jti, deny_until=DENY_UNTIL) is None
    assert store.find_denials(sub) == Denials(sessions=frozenset({"session"}), tokens=frozenset({"one", "two"}))
    assert store.find_denials(identifier()) == Denials()


def test_each_set_has_room_of_its_own(store: Store) -> None:
    """One token too many is refused with the list that is held; one that is on it is not. Sessions do not count."""
    sub, sids = filled(store)
    jtis = frozenset(identifier() for _ in range(DENIED_TOKENS))
    for jti in jtis:
        assert store.deny_token(sub, jti, deny_until=DENY_UNTIL) is None
    full = Denials(sessions=sids, tokens=jtis)
    assert store.deny_token(sub, "one too many", deny_until=DENY_UNTIL) == full
    assert store.deny_session(sub, "one too many", deny_until=DENY_UNTIL) == full
    assert store.deny_token(sub, min(jtis), deny_until=DENY_UNTIL) is None
    assert store.find_denials(sub) == full


def test_moment_takes_the_place_of_both_sets(store: Store) -> None:
    """It replaces what was seen of either, and swallows no entry of either that was not."""
    sub = identifier()
    store.deny_session(sub, "session", deny_until=DENY_UNTIL)
    store.deny_token(sub, "token", deny_until=DENY_UNTIL)
    seen = store.find_denials(sub)
    for stale in (Denials(), Denials(sessions=seen.sessions), Denials(tokens=seen.tokens)):
        assert store.deny_issued_before(sub, stale, NOW, deny_until=DENY_UNTIL) is False
        assert store.find_denials(sub) == seen
    assert store.deny_issued_before(sub, seen, NOW, deny_until=DENY_UNTIL) is True
    assert store.find_denials(sub) == Denials(issued_before=NOW)
    store.deny_token(sub, "late", deny_until=DENY_UNTIL)
    assert store.deny_issued_before(sub, Denials(issued_before=NOW), NOW + 1, deny_until=DENY_UNTIL) is False
    assert store.find_denials(sub) == Denials(issued_before=NOW, tokens=frozenset({"late"}))


def test_fullest_blacklist_is_one_write_unit(table: Table) -> None:
    """Both sets full, every number as long as it can get: what DynamoDB counts stays within 1 KB."""
    sub = "s" * 22
    account = Account(sub, f"{sub}@example.com", epoch=10**15)
    login = a_login(sub=sub, email=account.email, epoch=account.epoch)
    table.store.create_account(login, a_session(sub, epoch=account.epoch))
    table.store.deny_issued_before(sub, Denials(), 99_999_999_999, deny_until=99_999_999_999)
    assert table.store.raise_epoch(account, deny_until=99_999_999_999)
    for number in range(DENIED_SESSIONS):
        assert table.store.deny_session(sub, f"{number:022}", deny_until=99_999_999_999) is None
    for number in range(DENIED_TOKENS):
        assert table.store.deny_token(sub, f"{number:022}", deny_until=99_999_999_999) is None
    item = table.client.get_item(TableName=table.name, Key=keys.deny(sub))["Item"]
    assert set(item) == {"pk", "sk", "before_epoch", "issued_before", "expires_at", "sessions", "tokens"}
    assert 900 < size_of(item) <= WRITE_UNIT


def size_of(item: Any) -> int:
    """An item's size as DynamoDB documents it, rounded up: a number takes a byte for two digits, and one or two more.

    For sets it documents no overhead. That of lists is taken here: 3 bytes, and one a member.
    """
    size = 0
    for name, value in item.items():
        ((kind, held),) = value.items()
        size += len(name)
        if kind == "SS":
            size += 3 + sum(len(member) + 1 for member in held)
        else:
            size += len(held) // 2 + 3 if kind == "N" else len(held)
    return size
