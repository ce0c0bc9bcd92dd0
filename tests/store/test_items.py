"""What lies in the table, attribute by attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.domain.callers import TRANSPORTS
from chalicelib.domain.denials import Denials, deny_until, entry
from chalicelib.domain.limits import LimitPolicy
from chalicelib.providers import PROFILES
from chalicelib.store import keys
from chalicelib.store.items.accounts import account_from, login_from, login_item, state_item
from chalicelib.store.items.events import event_from, event_item
from chalicelib.store.items.once import pending_login_from, pending_login_item
from chalicelib.store.items.sessions import session_from, session_item
from chalicelib.store.outcomes import LateAnswer
from tests.store.samples import (
    NOW,
    PROVEN,
    a_login,
    a_renewal,
    a_rotation,
    a_session,
    a_transaction,
    an_arrival,
    an_event,
    an_identity,
    elsewhere,
    identifier,
)
from tests.store.sizes import size_of

if TYPE_CHECKING:
    from chalicelib.domain.callers import Transport
    from chalicelib.domain.sessions import Session
    from chalicelib.store.protocol import Store
    from tests.store.conftest import Table

DENY_UNTIL = NOW + 1020
TRANSACTION = {"provider", "return_to", "transport", "expires_at"}
EVENT = {"event", "outcome", "request_id", "address", "user_agent", "facts", "expires_at"}
STANDING = {"epoch", "disabled", "roles", "email_verified"}
SESSION = {
    "generation", "digest", "wrapped", "key_id", "epoch", "created_at", "rotated_at", "idle_expires_at",
    "absolute_expires_at", "expires_at", "transport", "auth_time", "amr", "address", "user_agent", "from", "device",
}  # fmt: skip
LATE = {"late_base", "late_wrapped", "late_at"}
WRITE_UNIT = 1024  # bytes


def held(table: Table) -> dict[tuple[str, str], dict[str, Any]]:
    """Every item of the table by its keys, without them."""
    scanned = table.client.scan(TableName=table.name, ConsistentRead=True)["Items"]
    rows: list[dict[str, Any]] = [dict(item) for item in scanned]
    return {(row.pop("pk")["S"], row.pop("sk")["S"]): row for row in rows}


def test_items_hold_what_the_design_lists_and_nothing_else(table: Table) -> None:
    """Keys and attributes are those of the table's description; no secret is in the state, none in clear anywhere."""
    identity = an_identity()
    login = a_login(identity)
    sub, email = login.account.sub, login.account.email
    session = a_session(sub)
    policy = LimitPolicy("login-account", 3600, ((20, 0),), 300)
    table.store.create_account(login, session)
    table.store.rotate_refresh_token(a_rotation(session))
    late = a_session(sub, generation=4)
    table.store.create_session(late)
    table.store.rotate_refresh_token(a_rotation(late, late=LateAnswer(3, bytes(32), (NOW,))))
    renewed = a_session(sub, late_base=3, late_wrapped=bytes(32), late_at=(NOW,))
    table.store.create_session(renewed)
    table.store.renew_session(a_renewal(renewed))
    cookie = a_session(sub, transport="session", device=b"")
    table.store.create_session(cookie)
    table.store.touch_session(sub, cookie.sid, now=NOW, unless_since=0)
    table.store.count_attempt(policy, email, NOW)
    table.store.deny_session(sub, session.sid, now=NOW)
    table.store.raise_epoch(login.account, deny_until=DENY_UNTIL)
    table.store.begin_login(bytes(32), a_transaction())
    table.store.begin_login(bytes([255] * 32), a_transaction(linking=(sub, session.sid, 7)))
    table.store.take_login(bytes(32), "attempt", NOW)
    event, alarm = an_event(sub), an_event(sub, shown_at=NOW + 7200, rank="alarm")
    change = an_event(sub, rank="access")
    table.store.record_events([event, alarm, change])

    rows = held(table)
    assert {key: set(row) for key, row in rows.items()} == {
        (f"login#{email}", "login"): {"sub", "password_digest", "identities", *STANDING},
        (f"user#{sub}", "state"): {"email", *STANDING},
        (f"user#{sub}", f"session#{session.sid}"): SESSION,
        (f"user#{sub}", f"session#{late.sid}"): SESSION | LATE,
        (f"user#{sub}", f"session#{renewed.sid}"): SESSION | {"floor", "late_at"},
        (f"user#{sub}", f"session#{cookie.sid}"): (SESSION - {"device"}) | {"used_at"},
        (f"identity#{identity.issuer}#{identity.subject}", "identity"): {"sub", "linked_at"},
        (f"once#{'00' * 32}", "login"): {*TRANSACTION, "taken_by"},
        (f"once#{'ff' * 32}", "login"): {*TRANSACTION, "sub", "sid", "generation"},
        (f"deny#{sub}", "deny"): {"before_epoch", "sessions", "expires_at"},
        (f"limit#login-account#{email}", str(NOW - NOW % 3600)): {"n", "last_at", "expires_at"},
        (f"events#{sub}", f"{NOW:012d}#{event.id}"): EVENT,
        (f"events#{sub}", f"alarm#{NOW + 7200:012d}#{alarm.id}"): {*EVENT, "at"},
        (f"events#{sub}", f"access#{NOW:012d}#{change.id}"): EVENT,
    }


def test_blacklist_names_each_with_its_time(table: Table) -> None:
    """`<until>#<name>`; where a moment took the place of a set, the set is gone from the item."""
    sub = identifier()
    key, until = (f"deny#{sub}", "deny"), deny_until(NOW)
    table.store.deny_session(sub, "one", now=NOW)
    table.store.deny_token(sub, "two", now=NOW)
    assert held(table)[key] == {
        "sessions": {"SS": [f"{until}#one"]},
        "tokens": {"SS": [f"{until}#two"]},
        "expires_at": {"N": str(until)},
    }
    seen = table.store.find_denials(sub)
    compacted = Denials(issued_before=NOW, tokens=frozenset({entry("two", until)}), expires_at=until + 1)
    table.store.replace_denials(sub, seen, compacted)
    assert held(table)[key] == {
        "issued_before": {"N": str(NOW)},
        "tokens": {"SS": [f"{until}#two"]},
        "expires_at": {"N": str(until + 1)},
    }


def test_login_lists_identities_always_and_a_password_where_there_is_one(table: Table) -> None:
    """The list is there without an identity too; the digest's attribute is not there without a password."""
    identity = an_identity()
    with_password, without = a_login(), an_arrival(identity)
    for login in (with_password, without):
        table.store.create_account(login, a_session(login.account.sub))
    rows = held(table)
    assert rows[f"login#{with_password.account.email}", "login"]["identities"] == {"L": []}
    row = rows[f"login#{without.account.email}", "login"]
    assert "password_digest" not in row
    assert row["identities"] == {
        "L": [
            {
                "M": {
                    "provider": {"S": identity.provider},
                    "issuer": {"S": identity.issuer},
                    "subject": {"S": identity.subject},
                    "email": {"S": identity.email},
                    "linked_at": {"N": str(identity.linked_at)},
                }
            }
        ]
    }


def test_transaction_is_garbage_when_it_has_expired(table: Table) -> None:
    """expires_at is the end of its validity, also after it was taken."""
    table.store.begin_login(b"digest", a_transaction(expires_at=NOW + 1))
    table.store.take_login(b"digest", "attempt", NOW)
    assert held(table)[f"once#{b'digest'.hex()}", "login"]["expires_at"] == {"N": str(NOW + 1)}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_session_is_garbage_after_the_nearer_limit(table: Table, transport: Transport) -> None:
    """The nearer limit, and the idle one after a rotation; of a session cookie the absolute one from the start."""
    session = a_session(identifier(), transport=transport, idle_expires_at=NOW + 400, absolute_expires_at=NOW + 500)
    key = (f"user#{session.sub}", f"session#{session.sid}")
    table.store.create_session(session)
    assert held(table)[key]["expires_at"] == {"N": str(NOW + (500 if transport == "session" else 400))}
    if transport == "session":
        return
    nearer = a_session(session.sub, transport=transport, idle_expires_at=NOW + 500, absolute_expires_at=NOW + 400)
    table.store.create_session(nearer)
    assert held(table)[key[0], f"session#{nearer.sid}"]["expires_at"] == {"N": str(NOW + 400)}
    table.store.rotate_refresh_token(a_rotation(session, idle_expires_at=NOW + 600))
    assert held(table)[key]["expires_at"] == held(table)[key]["idle_expires_at"] == {"N": str(NOW + 600)}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_session_of_a_version_before(table: Table, transport: Transport) -> None:
    """Without the attributes that came later it reads, turns, is renewed and noted as any other session."""
    session = a_session(identifier(), transport=transport, generation=3, answered=b"", device=b"", wrapped=b"w" * 32)
    item = session_item(session)
    for name in {"from", "floor"} & item.keys():
        del item[name]
    later = {"from", "floor", "device", "used_at", "late_base", "late_wrapped", "late_at"}
    assert item.keys() == {"pk", "sk", *SESSION} - later
    table.client.put_item(TableName=table.name, Item=item)
    # A session cookie's generation was raised by renewals alone: older secrets are dead, as under a floor.
    assert session.floor == (3 if transport == "session" else 0)
    assert table.store.find_session(session.sub, session.sid) == session
    assert (session.last_used_at, session.ends_at(NOW)) == (session.rotated_at, session.idle_expires_at)
    table.store.touch_session(session.sub, session.sid, now=NOW + 61, unless_since=NOW + 2)
    touched = table.store.find_session(session.sub, session.sid)
    assert touched == session._replace(used_at=NOW + 61)
    assert touched.ends_at(NOW + 61) == session.idle_expires_at + (61 if transport == "session" else 0)
    if transport != "session":
        rotation = a_rotation(session)
        table.store.rotate_refresh_token(rotation)
        turned = table.store.find_session(session.sub, session.sid)
        assert turned
        assert (turned.generation, turned.answered, turned.floor) == (4, rotation.answered, 0)
        session = turned
    assert table.store.renew_session(a_renewal(session)) is True
    renewed = table.store.find_session(session.sub, session.sid)
    assert renewed
    assert renewed.floor == renewed.generation == session.generation + 1


LARGEST = 2**32 - 1  # generations are 4 bytes in a token; seconds have as many digits until the year 2286
LONGEST_ADDRESS = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"


def longest(transport: Transport, user_agent: str) -> Session:
    """A session with every attribute that its kind can have, each as long as it can get."""
    provider = max(PROFILES, key=len)
    late = {"late_base": LARGEST - 2, "late_wrapped": bytes(32), "late_at": (LARGEST - 1, LARGEST)}
    by_turning: dict[str, Any] = {"wrapped": b"\xff" * 32, **late}
    return a_session(
        identifier(),
        generation=LARGEST,
        floor=LARGEST,
        digest=b"\xff" * 32,
        key_id="k" * 32,
        epoch=LARGEST,
        created_at=LARGEST,
        rotated_at=LARGEST,
        idle_expires_at=LARGEST,
        absolute_expires_at=LARGEST,
        auth_time=LARGEST,
        used_at=LARGEST,
        transport=transport,
        amr=(provider, "otp", "recovery_code"),
        address=LONGEST_ADDRESS,
        user_agent=user_agent,
        answered=b"\xff" * 16,
        device=b"\xff" * 16,
        **({"wrapped": b""} if transport == "session" else by_turning),
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("user_agent", ["M" * 1000, "é" * 1000, "x" + "🗝" * 1000, "\ud800" * 1000])
def test_longest_session_is_one_write_unit(table: Table, transport: Transport, user_agent: str) -> None:
    """At most 1,024 bytes as DynamoDB counts them, or every login and refresh would cost two units."""
    session = longest(transport, user_agent)
    table.store.create_session(session)
    table.store.touch_session(session.sub, session.sid, now=LARGEST, unless_since=LARGEST + 1)
    key = keys.session(session.sub, session.sid)
    item = table.client.get_item(TableName=table.name, Key=key)["Item"]
    assert item.keys() == {"pk", "sk", *SESSION, "floor", "used_at", *(() if transport == "session" else LATE)}
    assert 600 < size_of(item) <= WRITE_UNIT
    # With `second_at`, the time of a second factor, which a session is to have one day.
    assert size_of({**item, "second_at": {"N": str(LARGEST)}}) <= WRITE_UNIT
    read = table.store.find_session(session.sub, session.sid)
    assert read
    assert size_of(session_item(read)) == size_of(item)


def test_denials_and_counters_outlive_what_they_guard(table: Table) -> None:
    """A blacklist entry lives as long as it is told to, a counter beyond its window."""
    login = a_login()
    table.store.create_account(login, a_session(login.account.sub))
    table.store.raise_epoch(login.account, deny_until=DENY_UNTIL)
    taken = a_login()
    table.store.create_account(taken, a_session(taken.account.sub))
    table.store.take_over_account(taken, an_identity(), proves=PROVEN, deny_until=DENY_UNTIL + 1)
    table.store.count_attempt(LimitPolicy("test", 600, (), 60), "value", NOW)
    rows = held(table)
    assert rows[f"deny#{taken.account.sub}", "deny"]["expires_at"] == {"N": str(DENY_UNTIL + 1)}
    start = NOW - NOW % 600
    assert rows[f"deny#{login.account.sub}", "deny"]["expires_at"] == {"N": str(DENY_UNTIL)}
    assert int(rows["limit#test#value", str(start)]["expires_at"]["N"]) > start + 600


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        ("a" * 160, "a" * 160),
        ("a" * 161, "a" * 160),
        ("a" * 158 + "é", "a" * 158 + "é"),
        ("a" * 159 + "é", "a" * 159),
        ("a" * 157 + "🗝", "a" * 157),
        ("🗝" * 41, "🗝" * 40),
        ("\udc80agent\ud800", "?agent?"),
        ("nul\x00 and \u2028", "nul\x00 and \u2028"),
    ],
)
def test_user_agent_is_cut_between_characters(store: Store, given: str, kept: str) -> None:
    """At most 160 bytes of UTF-8 are kept when the session is made, whatever was sent, and no turn changes them."""
    session = a_session(identifier(), user_agent=given)
    store.create_session(session)
    found = store.find_session(session.sub, session.sid)
    assert found
    assert found.user_agent == kept
    store.rotate_refresh_token(a_rotation(found))
    rotated = store.find_session(session.sub, session.sid)
    assert rotated
    assert (rotated.user_agent, rotated.address) == (kept, session.address)


@pytest.mark.parametrize(
    "email",
    [
        "zoë@exämple.com",
        "密码@例え.jp",
        "a#b@example.com",
        "#",
        "login#x@y",
        "o'brien+tag@example.com",
        f"{'x' * 240}@e.com",
    ],
)
def test_emails_are_keys_as_they_are(store: Store, email: str) -> None:
    """No character of an address means anything to the store, and none is lost."""
    login = a_login(email=email)
    assert store.create_account(login, a_session(login.account.sub)) is True
    assert store.find_login(email) == login
    assert store.find_account(login.account.sub) == login.account
    assert store.find_login(f"{email} ") is None


def test_any_32_bytes_and_any_seconds_are_kept(store: Store) -> None:
    """Digests of every byte value and numbers up to a distant year come back exactly."""
    session = a_session(
        identifier(),
        digest=bytes(range(32)),
        wrapped=bytes(range(224, 256)),
        generation=2**32 - 1,
        idle_expires_at=2**40,
        absolute_expires_at=2**40,
    )
    store.create_session(session)
    assert store.find_session(session.sub, session.sid) == session


def test_records_survive_the_round_trip() -> None:
    """Every record is what its item says, without any engine in between."""
    login = a_login(epoch=5, disabled=True, email_verified=True, roles=("a", "b"))
    session = a_session(login.account.sub, transport="body")
    assert login_from(login_item(login)) == login
    arrival = an_arrival(an_identity(email=""), elsewhere())
    assert login_from(login_item(arrival)) == arrival
    for transaction in (a_transaction(), a_transaction(transport="body", linking=("sub", "sid", 7))):
        item = pending_login_item(b"digest", transaction)
        assert pending_login_from(item) == transaction
    assert account_from(state_item(login.account)) == login.account
    assert session_from(session_item(session)) == session
    assert session_from(session_item(session._replace(amr=()))) == session._replace(amr=())
    late = session._replace(late_base=0, late_wrapped=bytes(32), late_at=(NOW,), floor=2, used_at=NOW, device=b"")
    assert session_from(session_item(late)) == late
    for event in (
        an_event("sub"),
        an_event("sub", facts={}, address="", id="a#b#c"),
        an_event("sub", rank="alarm"),
        an_event("sub", rank="access", id="alarm#1#access#"),
        an_event("sub", shown_at=NOW + 7200),
        an_event("sub", shown_at=NOW + 7200, rank="alarm", id="a#b#c"),
    ):
        assert event_from(event_item(event)) == event
