"""Records as DynamoDB items and back, by hand: boto3's serializer goes through Decimal and costs several times as much.

Attributes are named as the records' fields. An item holds what its line of the design's table lists and nothing else;
`expires_at` is the table's TTL, which deletes late and never early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.denials import Denials
from chalicelib.domain.records import (
    Account,
    LinkedIdentity,
    Login,
    SecurityEvent,
    Session,
)
from chalicelib.store import keys
from chalicelib.store.values import binary, flag, number, number_list, text, text_list, user_agent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.domain.records import Transport
    from chalicelib.store.values import Item, Value


def identity_list(identities: Iterable[LinkedIdentity]) -> Value:
    """Identities in their order. Conditions compare the whole of it, so that equal records must make equal values."""
    return {"L": [{"M": _identity_map(identity)} for identity in identities]}


def login_item(login: Login) -> Item:
    """What opens the account, under the address. Without a password there is no attribute for its digest."""
    password = {} if login.password_digest is None else {"password_digest": text(login.password_digest)}
    return {
        **keys.login(login.account.email),
        "sub": text(login.account.sub),
        **password,
        "identities": identity_list(login.identities),
        **_standing(login.account),
    }


def marker_item(sub: str, identity: LinkedIdentity) -> Item:
    """The marker that lets the identity open the account."""
    return {
        **keys.identity(identity.issuer, identity.subject),
        "sub": text(sub),
        "linked_at": number(identity.linked_at),
    }


def state_item(account: Account) -> Item:
    """What every other operation asks about the account, under its sub. No secret."""
    return {**keys.state(account.sub), "email": text(account.email), **_standing(account)}


def session_ttl(transport: Transport, idle_expires_at: int, absolute_expires_at: int) -> int:
    """When a session's item may be collected: when one of its limits is reached.

    The idle limit of a session cookie moves with notes of its use, whose writer may not move the TTL.
    """
    return absolute_expires_at if transport == "session" else min(idle_expires_at, absolute_expires_at)


def session_item(session: Session) -> Item:
    """A session: at most 1,024 bytes, or every write of it would cost two units. What is not there has no attribute."""
    expires_at = session_ttl(session.transport, session.idle_expires_at, session.absolute_expires_at)
    late: Item = {}
    if session.late_base is not None:
        late |= {"late_base": number(session.late_base), "late_wrapped": binary(session.late_wrapped)}
    if session.late_at:
        late["late_at"] = number_list(session.late_at)
    return {
        **keys.session(session.sub, session.sid),
        "generation": number(session.generation),
        "digest": binary(session.digest),
        "wrapped": binary(session.wrapped),
        "key_id": text(session.key_id),
        "epoch": number(session.epoch),
        "created_at": number(session.created_at),
        "rotated_at": number(session.rotated_at),
        "idle_expires_at": number(session.idle_expires_at),
        "absolute_expires_at": number(session.absolute_expires_at),
        "expires_at": number(expires_at),
        "transport": text(session.transport),
        "auth_time": number(session.auth_time),
        "amr": text_list(session.amr),
        "address": text(session.address),
        "user_agent": user_agent(session.user_agent),
        "from": binary(session.answered),
        **({"floor": number(session.floor)} if session.floor else {}),
        **({"device": binary(session.device)} if session.device else {}),
        **({"used_at": number(session.used_at)} if session.used_at else {}),
        **late,
    }


def event_item(event: SecurityEvent) -> Item:
    """A security event, under the time from which the list has it; `at` where that is later than the event itself."""
    return {
        **keys.event(event.sub, event.shown_at, event.id, rank=event.rank),
        "event": text(event.event),
        "outcome": text(event.outcome),
        "request_id": text(event.request_id),
        "address": text(event.address),
        "user_agent": user_agent(event.user_agent),
        "facts": {"M": {name: text(fact) for name, fact in event.facts.items()}},
        "expires_at": number(event.expires_at),
        **({"at": number(event.at)} if event.at != event.shown_at else {}),
    }


def login_from(item: Mapping[str, Any]) -> Login:
    """The login that the item holds. One from before there were identities has no attribute for them."""
    return Login(
        account=_account(item, sub=item["sub"]["S"], email=keys.email_of(item)),
        password_digest=item["password_digest"]["S"] if "password_digest" in item else None,
        identities=tuple(_identity(value["M"]) for value in item["identities"]["L"]) if "identities" in item else (),
        given_up=tuple(value["S"] for value in item["given_up"]["L"]) if "given_up" in item else (),
    )


def account_from(item: Mapping[str, Any]) -> Account:
    """The account that the state item holds."""
    return _account(item, sub=keys.sub_of(item), email=item["email"]["S"])


def is_session(item: Mapping[str, Any]) -> bool:
    """Whether the item holds a session. The note of a use makes an item of its own where its writer means harm."""
    return "digest" in item


def session_from(item: Mapping[str, Any]) -> Session:
    """The session that the item holds.

    An item of an older version has no `from`: `address` and `user_agent` take its place. It has no `floor` either: a
    session cookie's generation always is its floor.
    """
    transport: Transport = item["transport"]["S"]
    generation = int(item["generation"]["N"])
    return Session(
        sub=keys.sub_of(item),
        sid=keys.sid_of(item),
        generation=generation,
        digest=item["digest"]["B"],
        wrapped=item["wrapped"]["B"],
        key_id=item["key_id"]["S"],
        epoch=int(item["epoch"]["N"]),
        created_at=int(item["created_at"]["N"]),
        rotated_at=int(item["rotated_at"]["N"]),
        idle_expires_at=int(item["idle_expires_at"]["N"]),
        absolute_expires_at=int(item["absolute_expires_at"]["N"]),
        transport=transport,
        auth_time=int(item["auth_time"]["N"]),
        amr=tuple(value["S"] for value in item["amr"]["L"]),
        address=item["address"]["S"],
        user_agent=item["user_agent"]["S"],
        answered=_bytes(item, "from"),
        floor=generation if transport == "session" else _count(item, "floor"),
        device=_bytes(item, "device"),
        late_base=int(item["late_base"]["N"]) if "late_base" in item else None,
        late_wrapped=_bytes(item, "late_wrapped"),
        late_at=tuple(int(value["N"]) for value in item["late_at"]["L"]) if "late_at" in item else (),
        used_at=_note_of_use(item),
    )


def _note_of_use(item: Mapping[str, Any]) -> int:
    """`used_at`, or 0 where it is no whole number: its writer is trusted with nothing else, and not with its form."""
    try:
        return int(item["used_at"]["N"])
    except (KeyError, ValueError):
        return 0


def event_from(item: Mapping[str, Any]) -> SecurityEvent:
    """The security event that the item holds."""
    sub, shown_at, event_id, rank = keys.event_of(item)
    return SecurityEvent(
        sub=sub,
        at=int(item["at"]["N"]) if "at" in item else shown_at,
        id=event_id,
        event=item["event"]["S"],
        outcome=item["outcome"]["S"],
        request_id=item["request_id"]["S"],
        address=item["address"]["S"],
        user_agent=item["user_agent"]["S"],
        facts={name: value["S"] for name, value in item["facts"]["M"].items()},
        shown_at=shown_at,
        expires_at=int(item["expires_at"]["N"]),
        rank=rank,
    )


def denials_from(item: Mapping[str, Any]) -> Denials:
    """The blacklist that the item holds; no item is an empty one."""
    return Denials(
        before_epoch=_count(item, "before_epoch"),
        issued_before=_count(item, "issued_before"),
        sessions=_members(item, "sessions"),
        tokens=_members(item, "tokens"),
        expires_at=_count(item, "expires_at"),
    )


def attempts_from(item: Mapping[str, Any]) -> tuple[int, int]:
    """How many attempts the counter has let through, and when the last one was (seconds since the epoch)."""
    return _count(item, "n"), _count(item, "last_at")


def _standing(account: Account) -> Item:
    return {
        "epoch": number(account.epoch),
        "disabled": flag(value=account.disabled),
        "roles": text_list(account.roles),
        "email_verified": flag(value=account.email_verified),
        # Both items hold it, because refreshing and /me read the state alone. Without it the canonical one is meant.
        **({} if account.address is None else {"address": text(account.address)}),
    }


def _account(item: Mapping[str, Any], *, sub: str, email: str) -> Account:
    address = item["address"]["S"] if "address" in item else email
    return Account(
        sub=sub,
        email=email,
        epoch=int(item["epoch"]["N"]),
        disabled=item["disabled"]["BOOL"],
        roles=tuple(value["S"] for value in item["roles"]["L"]),
        email_verified=item["email_verified"]["BOOL"],
        address=None if address == email else address,
    )


def _identity_map(identity: LinkedIdentity) -> Item:
    return {
        "provider": text(identity.provider),
        "issuer": text(identity.issuer),
        "subject": text(identity.subject),
        "email": text(identity.email),
        "linked_at": number(identity.linked_at),
    }


def _identity(held: Mapping[str, Any]) -> LinkedIdentity:
    return LinkedIdentity(
        provider=held["provider"]["S"],
        issuer=held["issuer"]["S"],
        subject=held["subject"]["S"],
        email=held["email"]["S"],
        linked_at=int(held["linked_at"]["N"]),
    )


def _count(item: Mapping[str, Any], name: str) -> int:
    return int(item[name]["N"]) if name in item else 0


def _bytes(item: Mapping[str, Any], name: str) -> bytes:
    return bytes(item[name]["B"]) if name in item else b""


def _members(item: Mapping[str, Any], name: str) -> frozenset[str]:
    return frozenset(item[name]["SS"]) if name in item else frozenset()
