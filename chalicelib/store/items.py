"""Records as DynamoDB items and back, by hand: boto3's serializer goes through Decimal and costs several times as much.

Attributes are named as the records' fields. An item holds what its line of the design's table lists and nothing else;
`expires_at` is the table's TTL, which deletes late and never early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.records import (
    Account,
    Denials,
    LinkedIdentity,
    Login,
    LoginTransaction,
    SecurityEvent,
    Session,
)
from chalicelib.store import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.domain.records import Transport

Item = dict[str, Any]
Value = dict[str, Any]

USER_AGENT_BYTES = 160


def text(value: str) -> Value:
    """A string."""
    return {"S": value}


def number(value: int) -> Value:
    """A whole number."""
    return {"N": str(value)}


def binary(value: bytes) -> Value:
    """Bytes."""
    return {"B": value}


def flag(*, value: bool) -> Value:
    """A truth value."""
    return {"BOOL": value}


def text_list(values: Iterable[str]) -> Value:
    """Strings in their order; unlike a set, a list may be empty."""
    return {"L": [{"S": value} for value in values]}


def text_set(values: Iterable[str]) -> Value:
    """Strings without an order; DynamoDB knows no empty set."""
    return {"SS": sorted(values)}


def user_agent(value: str) -> Value:
    """A user agent, cut to 160 bytes of UTF-8 between two characters.

    The header is the caller's: what is no character at all (a lone surrogate) becomes a question mark.
    """
    return text(value.encode("utf-8", "replace")[:USER_AGENT_BYTES].decode("utf-8", "ignore"))


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


def transaction_item(digest: bytes, transaction: LoginTransaction) -> Item:
    """A login that has begun; garbage as soon as it has expired. Who may link holds `sub` and `sid`."""
    item = {
        **keys.transaction(digest),
        "provider": text(transaction.provider),
        "return_to": text(transaction.return_to),
        "transport": text(transaction.transport),
        "expires_at": number(transaction.expires_at),
    }
    if transaction.linking is not None:
        sub, sid = transaction.linking
        item |= {"sub": text(sub), "sid": text(sid)}
    if transaction.max_age is not None:
        item["max_age"] = number(transaction.max_age)
    return item


def state_item(account: Account) -> Item:
    """What every other operation asks about the account, under its sub. No secret."""
    return {**keys.state(account.sub), "email": text(account.email), **_standing(account)}


def session_item(session: Session) -> Item:
    """A session; it may be collected as soon as one of its limits is reached."""
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
        "expires_at": number(min(session.idle_expires_at, session.absolute_expires_at)),
        "transport": text(session.transport),
        "auth_time": number(session.auth_time),
        "amr": text_list(session.amr),
        "address": text(session.address),
        "user_agent": user_agent(session.user_agent),
    }


def event_item(event: SecurityEvent) -> Item:
    """A security event."""
    return {
        **keys.event(event.sub, event.at, event.id, alarm=event.outcome == "alarm"),
        "event": text(event.event),
        "outcome": text(event.outcome),
        "request_id": text(event.request_id),
        "address": text(event.address),
        "user_agent": user_agent(event.user_agent),
        "facts": {"M": {name: text(fact) for name, fact in event.facts.items()}},
        "expires_at": number(event.expires_at),
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


def transaction_from(item: Mapping[str, Any]) -> LoginTransaction:
    """The login that the item says has begun."""
    transport: Transport = item["transport"]["S"]
    return LoginTransaction(
        provider=item["provider"]["S"],
        return_to=item["return_to"]["S"],
        transport=transport,
        expires_at=int(item["expires_at"]["N"]),
        linking=(item["sub"]["S"], item["sid"]["S"]) if "sid" in item else None,
        max_age=int(item["max_age"]["N"]) if "max_age" in item else None,
    )


def session_from(item: Mapping[str, Any]) -> Session:
    """The session that the item holds."""
    transport: Transport = item["transport"]["S"]
    return Session(
        sub=keys.sub_of(item),
        sid=keys.sid_of(item),
        generation=int(item["generation"]["N"]),
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
    )


def event_from(item: Mapping[str, Any]) -> SecurityEvent:
    """The security event that the item holds."""
    sub, at, event_id = keys.event_of(item)
    return SecurityEvent(
        sub=sub,
        at=at,
        id=event_id,
        event=item["event"]["S"],
        outcome=item["outcome"]["S"],
        request_id=item["request_id"]["S"],
        address=item["address"]["S"],
        user_agent=item["user_agent"]["S"],
        facts={name: value["S"] for name, value in item["facts"]["M"].items()},
        expires_at=int(item["expires_at"]["N"]),
    )


def denials_from(item: Mapping[str, Any]) -> Denials:
    """The blacklist that the item holds; no item is an empty one."""
    return Denials(
        before_epoch=_count(item, "before_epoch"),
        issued_before=_count(item, "issued_before"),
        sessions=_members(item, "sessions"),
        tokens=_members(item, "tokens"),
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
    }


def _account(item: Mapping[str, Any], *, sub: str, email: str) -> Account:
    return Account(
        sub=sub,
        email=email,
        epoch=int(item["epoch"]["N"]),
        disabled=item["disabled"]["BOOL"],
        roles=tuple(value["S"] for value in item["roles"]["L"]),
        email_verified=item["email_verified"]["BOOL"],
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


def _members(item: Mapping[str, Any], name: str) -> frozenset[str]:
    return frozenset(item[name]["SS"]) if name in item else frozenset()
