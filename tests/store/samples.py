"""Records to fill a store with. Every one is somebody else's: subs and sids are random."""

from __future__ import annotations

import uuid
from typing import Any

from chalicelib.domain.accounts import Account, LinkedIdentity, Login
from chalicelib.domain.callers import Caller
from chalicelib.domain.events import SecurityEvent
from chalicelib.domain.federation import PendingLogin
from chalicelib.domain.sessions import Session
from chalicelib.store.outcomes import Renewal, Rotation

NOW = 1_800_000_000
PROVEN = "Proven@example.com"  # an address as a provider has proven it
CLIENT = Caller(address="203.0.113.7", user_agent="curl/8.5")


def identifier() -> str:
    """128 random bits, as long as a real sub or sid."""
    return uuid.uuid4().hex[:22]


def a_login(*identities: LinkedIdentity, **changes: Any) -> Login:
    """A login of a new account, with a password and these identities."""
    sub = identifier()
    fields = {"sub": sub, "email": f"{sub}@example.com", "roles": ("user",)}
    return Login(Account(**{**fields, **changes}), f"$argon2id$of-{sub}", identities)


def an_arrival(*identities: LinkedIdentity, **changes: Any) -> Login:
    """A login of a new account that its identities alone open."""
    return a_login(*identities, **changes)._replace(password_digest=None)


def digest_of(login: Login) -> str:
    """The digest of a login that has a password."""
    assert login.password_digest is not None
    return login.password_digest


def an_identity(**changes: Any) -> LinkedIdentity:
    """Somebody's identity at a provider."""
    subject = identifier()
    fields: dict[str, Any] = {
        "provider": "google",
        "issuer": "https://accounts.google.com",
        "subject": subject,
        "email": f"{subject}@example.org",
        "linked_at": NOW - 3600,
    }
    return LinkedIdentity(**{**fields, **changes})


def elsewhere(**changes: Any) -> LinkedIdentity:
    """Somebody's identity at another provider."""
    return an_identity(**{"provider": "oidc", "issuer": "https://login.example.net/tenant", **changes})


def a_transaction(**changes: Any) -> PendingLogin:
    """A login that a browser has just begun."""
    fields: dict[str, Any] = {
        "provider": "google",
        "return_to": "https://app.example.com/welcome",
        "transport": "cookie",
        "expires_at": NOW + 600,
    }
    return PendingLogin(**{**fields, **changes})


def a_session(sub: str, **changes: Any) -> Session:
    """A session of the account, as login makes one."""
    fields: dict[str, Any] = {
        "sub": sub,
        "sid": identifier(),
        "generation": 0,
        "digest": b"\x00" * 32,
        "wrapped": b"",
        "key_id": "k1",
        "epoch": 0,
        "created_at": NOW,
        "rotated_at": NOW,
        "idle_expires_at": NOW + 14 * 86400,
        "absolute_expires_at": NOW + 90 * 86400,
        "transport": "cookie",
        "auth_time": NOW,
        "amr": ("pwd",),
        "address": CLIENT.address,
        "user_agent": CLIENT.user_agent,
        "answered": uuid.uuid4().bytes,
        "device": uuid.uuid4().bytes,
    }
    if changes.get("transport") == "session":
        fields["floor"] = changes.get("generation", 0)  # as items/sessions.py reads it
    return Session(**{**fields, **changes})


def a_rotation(session: Session, **changes: Any) -> Rotation:
    """The next turn of the session's key, a minute after the last one."""
    now = session.rotated_at + 60
    fields: dict[str, Any] = {
        "sub": session.sub,
        "sid": session.sid,
        "generation": session.generation,
        "digest": session.digest,
        "epoch": session.epoch,
        "turned_before": now - 20 if session.generation else None,
        "next_digest": uuid.uuid4().bytes * 2,
        "wrapped": uuid.uuid4().bytes * 2,
        "key_id": "k2",
        "idle_expires_at": now + 14 * 86400,
        "now": now,
        "answered": uuid.uuid4().bytes,
    }
    return Rotation(**{**fields, **changes})


def a_renewal(session: Session, **changes: Any) -> Renewal:
    """New credentials of the session, a minute after its last turn."""
    now = session.rotated_at + 60
    fields: dict[str, Any] = {
        "session": session,
        "next_digest": uuid.uuid4().bytes * 2,
        "key_id": "k2",
        "answered": uuid.uuid4().bytes,
        "now": now,
        "idle_expires_at": now + 14 * 86400,
        "epoch": session.epoch,
        "auth_time": session.auth_time,
        "amr": session.amr,
    }
    return Renewal(**{**fields, **changes})


def an_event(sub: str, **changes: Any) -> SecurityEvent:
    """A login of the account, as `chronicle` keeps it."""
    fields: dict[str, Any] = {
        "sub": sub,
        "at": NOW,
        "id": f"{'7' * 56}#{uuid.uuid4()}#logged_in",
        "event": "logged_in",
        "outcome": "success",
        "request_id": str(uuid.uuid4()),
        "address": CLIENT.address,
        "user_agent": CLIENT.user_agent,
        "facts": {"method": "pwd", "session_id": identifier()},
        "shown_at": changes.get("at", NOW),
        "expires_at": NOW + 90 * 86400,
    }
    return SecurityEvent(**{**fields, **changes})
