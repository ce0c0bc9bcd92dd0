"""The contract of the verbs on the blacklist. What gives way where it is full: tests/unit/domain/test_denials.py."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.accounts import Account
from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS, Denials, deny_until, entry
from chalicelib.store import keys
from chalicelib.store.items import values
from tests.store.samples import NOW, a_login, a_session, identifier
from tests.store.sizes import size_of

if TYPE_CHECKING:
    from chalicelib.store.protocol import Store
    from tests.store.conftest import Table

WRITE_UNIT, READ_UNIT = 1024, 4096  # bytes


def listed(*names: str, now: int = NOW) -> frozenset[str]:
    """The names as they are listed when they are denied at `now`."""
    return frozenset(entry(name, deny_until(now)) for name in names)


def filled(store: Store, now: int = NOW) -> tuple[str, Denials]:
    """A user whose blacklist has room for no more sessions, and the list."""
    sub = identifier()
    sids = [identifier() for _ in range(DENIED_SESSIONS)]
    for sid in sids:
        assert store.deny_session(sub, sid, now=now) is None
    return sub, Denials(sessions=listed(*sids, now=now))


def test_nothing_is_denied_at_first(store: Store) -> None:
    """An unknown user has an empty blacklist."""
    assert store.find_denials(identifier()) == Denials()


def test_denied_sessions_add_up(store: Store) -> None:
    """Each session stays denied; the repetition of a write whose answer was lost is nothing new."""
    sub = identifier()
    for sid in ("one", "two", "one"):
        assert store.deny_session(sub, sid, now=NOW) is None
    held = store.find_denials(sub)
    assert held == Denials(sessions=listed("one", "two"))
    assert held.expires_at == deny_until(NOW)


def test_denials_are_the_users_own(store: Store) -> None:
    """Nobody else's tokens are denied."""
    store.deny_session(identifier(), "one", now=NOW)
    assert store.find_denials(identifier()) == Denials()


def test_item_lives_as_long_as_its_last_entry(store: Store) -> None:
    """Each entry moves the time from which on the list may be dropped."""
    sub = identifier()
    store.deny_session(sub, "one", now=NOW)
    store.deny_token(sub, "two", now=NOW + 9)
    assert store.find_denials(sub).expires_at == deny_until(NOW + 9)
    store.deny_session(sub, "three", now=NOW + 20)
    assert store.find_denials(sub).expires_at == deny_until(NOW + 20)


def test_full_blacklist_takes_no_more_sessions(store: Store) -> None:
    """One session too many is refused with the list that is held; a repetition of one that is on it is not refused."""
    sub, full = filled(store)
    refused = store.deny_session(sub, "one too many", now=NOW + 1)
    assert refused == full
    assert refused.expires_at == deny_until(NOW)
    sid = min(full.sessions).partition("#")[2]
    assert store.deny_session(sub, sid, now=NOW) is None
    assert store.find_denials(sub) == full


def test_compacted_list_takes_the_place_of_the_full_one(store: Store) -> None:
    """With the moment, the new name and the new time to live; there is room again where names have gone."""
    sub, full = filled(store)
    later = NOW + 60
    compacted = full.with_name("sessions", "new", later)
    assert store.replace_denials(sub, full, compacted) is True
    held = store.find_denials(sub)
    assert held == Denials(issued_before=later - 15, sessions=listed("new", now=later))
    assert held.expires_at == deny_until(later)
    assert store.deny_session(sub, "next", now=later) is None
    assert store.find_denials(sub).sessions == listed("new", "next", now=later)


def test_compacted_list_may_be_longer_than_a_full_one(store: Store) -> None:
    """Where every name is recent none goes, and the next denial finds it full again."""
    sub, full = filled(store)
    compacted = full.with_name("sessions", "new", NOW + 1)
    assert store.replace_denials(sub, full, compacted) is True
    assert len(store.find_denials(sub).sessions) == DENIED_SESSIONS + 1
    assert store.deny_session(sub, "next", now=NOW + 2) == compacted


@pytest.mark.parametrize("denied", ["session", "token", "moment"])
def test_list_that_was_not_seen_is_not_replaced(store: Store, denied: str) -> None:
    """An entry that came after the reading, or a moment, would be lost: the caller reads again."""
    sub, _ = filled(store)
    store.deny_token(sub, "seen", now=NOW)
    seen = store.find_denials(sub)
    if denied == "session":
        room = replace(seen, sessions=frozenset(sorted(seen.sessions)[1:]))
        assert store.replace_denials(sub, seen, room)
        seen = store.find_denials(sub)
        store.deny_session(sub, "late", now=NOW)
    elif denied == "token":
        store.deny_token(sub, "late", now=NOW)
    else:
        assert store.replace_denials(sub, seen, replace(seen, issued_before=NOW - 15))
    held = store.find_denials(sub)
    assert store.replace_denials(sub, seen, seen.with_name("sessions", "new", NOW + 60)) is False
    assert store.find_denials(sub) == held
    compacted = held.with_name("sessions", "new", NOW + 60)
    assert store.replace_denials(sub, held, compacted) is True
    assert store.find_denials(sub) == compacted


@pytest.mark.parametrize(
    "stale",
    [
        Denials(),
        Denials(sessions=listed("session")),
        Denials(tokens=listed("token")),
        Denials(sessions=listed("session", "more"), tokens=listed("token")),
        Denials(sessions=listed("session"), tokens=listed("token"), issued_before=NOW),
        Denials(sessions=listed("session", now=NOW + 1), tokens=listed("token")),
    ],
)
def test_each_part_of_the_list_must_be_as_it_was_seen(store: Store, stale: Denials) -> None:
    """Either set, the moment, and the time of each entry."""
    sub = identifier()
    store.deny_session(sub, "session", now=NOW)
    store.deny_token(sub, "token", now=NOW)
    held = store.find_denials(sub)
    assert store.replace_denials(sub, stale, stale.with_name("tokens", "new", NOW + 60)) is False
    assert store.find_denials(sub) == held


def test_replacement_that_is_sent_twice_is_done(store: Store) -> None:
    """The repetition of a write whose answer was lost finds its own work."""
    sub, _ = filled(store)
    store.deny_token(sub, "token", now=NOW)
    full = store.find_denials(sub)
    for later in (NOW + 1, NOW + 60):
        compacted = full.with_name("sessions", "new", later)
        for _ in range(2):
            assert store.replace_denials(sub, full, compacted) is True
            assert store.find_denials(sub) == compacted
        full = compacted


def test_replacement_leaves_no_empty_set(store: Store) -> None:
    """A set whose names have all gone is not there any more, and can be filled again."""
    sub = identifier()
    store.deny_session(sub, "session", now=NOW)
    store.deny_token(sub, "token", now=NOW)
    seen = store.find_denials(sub)
    nothing = replace(seen, issued_before=NOW, sessions=frozenset(), tokens=frozenset())
    assert store.replace_denials(sub, seen, nothing) is True
    assert store.find_denials(sub) == Denials(issued_before=NOW)
    assert store.deny_token(sub, "again", now=NOW) is None
    assert store.find_denials(sub) == Denials(issued_before=NOW, tokens=listed("again"))


def test_list_can_be_replaced_where_nothing_is_denied(store: Store) -> None:
    """An empty list can be what was seen."""
    sub = identifier()
    compacted = Denials(issued_before=NOW, sessions=listed("one"), expires_at=deny_until(NOW))
    assert store.replace_denials(sub, Denials(), compacted) is True
    assert store.find_denials(sub) == compacted


def test_epoch_moment_and_names_stand_side_by_side(store: Store) -> None:
    """Each way to deny leaves the others as they are; an epoch that is raised meanwhile is no other list."""
    login = a_login()
    sub = login.account.sub
    store.create_account(login, a_session(sub))
    store.deny_session(sub, "one", now=NOW)
    store.deny_token(sub, "two", now=NOW)
    seen = store.find_denials(sub)
    store.raise_epoch(login.account, deny_until=deny_until(NOW))
    assert store.find_denials(sub) == Denials(1, 0, listed("one"), listed("two"))
    assert store.replace_denials(sub, seen, replace(seen, issued_before=NOW)) is True
    assert store.find_denials(sub) == Denials(1, NOW, listed("one"), listed("two"))


def test_denied_tokens_add_up_beside_the_sessions(store: Store) -> None:
    """Each token stays denied, and is no session; denying it again is nothing new."""
    sub = identifier()
    store.deny_session(sub, "session", now=NOW)
    for jti in ("one", "two", "one"):
        assert store.deny_token(sub, jti, now=NOW) is None
    assert store.find_denials(sub) == Denials(sessions=listed("session"), tokens=listed("one", "two"))
    assert store.find_denials(identifier()) == Denials()


def test_each_set_has_room_of_its_own(store: Store) -> None:
    """One token too many is refused with the list that is held; one that is on it is not. Sessions do not count."""
    sub, sessions = filled(store)
    jtis = [identifier() for _ in range(DENIED_TOKENS)]
    for jti in jtis:
        assert store.deny_token(sub, jti, now=NOW) is None
    full = replace(sessions, tokens=listed(*jtis))
    assert store.deny_token(sub, "one too many", now=NOW) == full
    assert store.deny_session(sub, "one too many", now=NOW) == full
    assert store.deny_token(sub, min(jtis), now=NOW) is None
    assert store.find_denials(sub) == full


def test_list_of_a_version_before(table: Table) -> None:
    """Names without a time deny beside new ones, and give way half a minute after the last of these."""
    sub = identifier()
    old = frozenset(f"old-{number}" for number in range(DENIED_SESSIONS - 1))
    item = {"sessions": values.text_set(old), "tokens": values.text_set(["old"]), "expires_at": values.number(NOW + 9)}
    table.client.put_item(TableName=table.name, Item={**keys.deny(sub), **item})
    held = table.store.find_denials(sub)
    assert held == Denials(sessions=old, tokens=frozenset({"old"}))
    assert held.expires_at == NOW + 9
    assert table.store.deny_session(sub, "new", now=NOW) is None
    full = table.store.deny_session(sub, "one too many", now=NOW)
    assert full == Denials(sessions=old | listed("new"), tokens=frozenset({"old"}))
    for now, sessions in (
        (NOW + 30, {*old, *listed("new"), *listed("more", now=NOW + 30)}),
        (NOW + 61, listed("more", now=NOW + 61)),
    ):
        compacted = full.with_name("sessions", "more", now)
        assert compacted.sessions == sessions
        assert table.store.replace_denials(sub, full, compacted) is True
        full = table.store.find_denials(sub)
        assert full == compacted


def test_item_of_a_blacklist(table: Table) -> None:
    """27 names are one write unit, and the fullest list that denials alone make is one read unit by far."""
    sub = "s" * 22
    account = Account(sub, f"{sub}@example.com", epoch=998)
    login = a_login(sub=sub, email=account.email, epoch=account.epoch)
    table.store.create_account(login, a_session(sub, epoch=account.epoch))
    moment = Denials(issued_before=NOW, expires_at=deny_until(NOW))
    assert table.store.replace_denials(sub, Denials(), moment)
    assert table.store.raise_epoch(account, deny_until=deny_until(NOW))
    for number in range(DENIED_SESSIONS):
        assert table.store.deny_session(sub, f"{number:022}", now=NOW) is None
    for number in range(DENIED_TOKENS):
        item = table.client.get_item(TableName=table.name, Key=keys.deny(sub))["Item"]
        assert (size_of(item) <= WRITE_UNIT) is (number <= 27 - DENIED_SESSIONS)
        assert table.store.deny_token(sub, f"{number:022}", now=NOW) is None
    item = table.client.get_item(TableName=table.name, Key=keys.deny(sub))["Item"]
    assert set(item) == {"pk", "sk", "before_epoch", "issued_before", "expires_at", "sessions", "tokens"}
    assert size_of(item) <= READ_UNIT / 3
