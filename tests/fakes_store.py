"""The store's Protocol in memory, for tests of what stands above it. tests/store holds it to the same contract."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS, Denials, deny_until, entry
from chalicelib.store.items.values import user_agent
from chalicelib.store.outcomes import AccessChanged, NotRotated, Renewal, Rotated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.domain.events import Rank
    from chalicelib.domain.limits import LimitPolicy
    from chalicelib.domain.records import Account, LinkedIdentity, Login, PendingLogin, SecurityEvent, Session
    from chalicelib.store.outcomes import Rotation


class FakeStore:
    """Each verb happens as a whole or not at all, under one lock. Repeated, it says that it is done.

    Nothing expires, because the table's TTL may lag for days. Tests may look into the dictionaries.
    """

    def __init__(self) -> None:
        self.attempts: dict[tuple[str, str, int], tuple[int, int]] = {}
        self.logins: dict[str, Login] = {}
        self.accounts: dict[str, Account] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.markers: dict[tuple[str, str], tuple[str, int]] = {}
        self.transactions: dict[bytes, PendingLogin] = {}
        self.taken_by: dict[bytes, str] = {}
        self.denials: dict[str, Denials] = {}
        self.events: dict[tuple[str, int, str], SecurityEvent] = {}
        self._lock = Lock()

    def count_attempt(self, policy: LimitPolicy, value: str, now: int) -> int:
        """Count if the spacing has passed; else the seconds to wait."""
        key = (policy.kind, value, policy.window_start(now))
        with self._lock:
            attempts, last_at = self.attempts.get(key, (0, 0))
            spacing = policy.spacing(attempts) if attempts else 0
            if spacing and now - last_at < spacing:  # without a spacing, a clock that went back holds nobody up
                return policy.retry_after(attempts, last_at, now)
            self.attempts[key] = (attempts + 1, now)
            return 0

    def return_attempt(self, policy: LimitPolicy, value: str, now: int) -> None:
        """Count one less, and free the slot that it had used."""
        key = (policy.kind, value, policy.window_start(now))
        with self._lock:
            attempts, _ = self.attempts.get(key, (0, 0))
            if attempts:
                self.attempts[key] = (attempts - 1, now - policy.final_spacing)

    def create_account(self, login: Login, session: Session) -> bool:
        """Make all of them, or none where the address or an identity is taken."""
        with self._lock:
            held = self.logins.get(login.account.email)
            if held:
                return held.account.sub == login.account.sub
            if any((identity.issuer, identity.subject) in self.markers for identity in login.identities):
                return False
            for identity in login.identities:
                self._mark(login.account.sub, identity)
            self.logins[login.account.email] = login
            self.accounts[login.account.sub] = login.account
            self._write_session(session)
            return True

    def find_login(self, email: str) -> Login | None:
        """Read the login."""
        with self._lock:
            return self.logins.get(email)

    def find_account(self, sub: str) -> Account | None:
        """Read the account."""
        with self._lock:
            return self.accounts.get(sub)

    def replace_password_digest(self, email: str, old_digest: str, new_digest: str) -> bool:
        """Swap the digest if it is the old one."""
        with self._lock:
            login = self.logins.get(email)
            if login is None or login.password_digest != old_digest:
                return login is not None and login.password_digest == new_digest
            self.logins[email] = replace(login, password_digest=new_digest)
            return True

    def change_password(self, login: Login, new_digest: str, renewal: Renewal, *, deny_until: int) -> AccessChanged:
        """Change login, account, session and blacklist together."""
        account = login.account
        with self._lock:
            held = self.logins.get(account.email)
            if held and held.password_digest == new_digest:
                return AccessChanged.CHANGED
            if held is None or held.password_digest != login.password_digest or not self._at_epoch(account):
                return AccessChanged.LOGIN_MOVED
            if not self._may_renew(renewal, account.epoch):
                return AccessChanged.SESSION_MOVED
            self._raise_epoch(account, deny_until, disabled=held.account.disabled)
            self.logins[account.email] = replace(self.logins[account.email], password_digest=new_digest)
            self._renew(renewal)
            return AccessChanged.CHANGED

    def raise_epoch(self, account: Account, *, deny_until: int, disable: bool = False) -> bool:
        """Change login, account and blacklist together."""
        with self._lock:
            if not self._at_epoch(account):
                return False
            self._raise_epoch(account, deny_until, disabled=disable or self.accounts[account.sub].disabled)
            return True

    def find_identity(self, issuer: str, subject: str) -> str | None:
        """Read the marker."""
        with self._lock:
            marker = self.markers.get((issuer, subject))
            return marker[0] if marker else None

    def link_identity(
        self, login: Login, identity: LinkedIdentity, *, proves: str | None, session: Renewal | Session | None
    ) -> AccessChanged:
        """Change marker, login and session, and the account where its address is proven, together."""
        account = login.account
        with self._lock:
            if (identity.issuer, identity.subject) in self.markers:
                return AccessChanged.IDENTITY_TAKEN
            if not self._as_read(login):
                return AccessChanged.LOGIN_MOVED
            if isinstance(session, Renewal):
                if not self._may_renew(session, account.epoch):
                    return AccessChanged.SESSION_MOVED
                self._renew(session)
            elif session is not None:
                there = self.sessions.get((session.sub, session.sid))
                if there is None or (there.epoch, there.floor) != (account.epoch, session.floor):
                    return AccessChanged.SESSION_MOVED
            self._mark(account.sub, identity)
            held = self.logins[account.email]
            given_up = tuple(name for name in held.given_up if name != identity.provider)
            self.logins[account.email] = replace(held, identities=(*held.identities, identity), given_up=given_up)
            if proves is not None:
                self._prove_address(account, proves)
            return AccessChanged.CHANGED

    def take_over_account(self, login: Login, identity: LinkedIdentity, *, proves: str, deny_until: int) -> bool:
        """Change login, account, blacklist and markers together."""
        account = login.account
        with self._lock:
            opens, _ = self.markers.get((identity.issuer, identity.subject), (None, 0))
            if account.email_verified or not self._as_read(login) or opens not in {None, account.sub}:
                return False
            self._unmark(login.identities)
            self._mark(account.sub, identity)
            self._raise_epoch(account, deny_until, disabled=self.accounts[account.sub].disabled)
            held = self.logins[account.email]
            self.logins[account.email] = replace(held, password_digest=None, identities=(identity,), given_up=())
            self._prove_address(account, proves)
            return True

    def unlink_identity(self, login: Login, provider: str, renewal: Renewal) -> AccessChanged:
        """Change login, session and marker together."""
        with self._lock:
            if not self._as_read(login):
                return AccessChanged.LOGIN_MOVED
            if not self._may_renew(renewal, login.account.epoch):
                return AccessChanged.SESSION_MOVED
            self._renew(renewal)
            left = tuple(identity for identity in login.identities if identity.provider != provider)
            self._unmark(identity for identity in login.identities if identity not in left)
            held = self.logins[login.account.email]
            given_up = tuple(sorted({*held.given_up, *(gone.provider for gone in held.identities if gone not in left)}))
            self.logins[login.account.email] = replace(held, identities=left, given_up=given_up)
            return AccessChanged.CHANGED

    def begin_login(self, digest: bytes, transaction: PendingLogin) -> None:
        """Keep the transaction, unless it is there."""
        with self._lock:
            self.transactions.setdefault(digest, transaction)

    def take_login(self, digest: bytes, attempt: str, now: int) -> PendingLogin | None:
        """Take the transaction, once."""
        with self._lock:
            transaction = self.transactions.get(digest)
            if transaction is None or (digest not in self.taken_by and now >= transaction.expires_at):
                return None
            return transaction if self.taken_by.setdefault(digest, attempt) == attempt else None

    def create_session(self, session: Session) -> None:
        """Write the session, unless it is there."""
        with self._lock:
            if (session.sub, session.sid) not in self.sessions:
                self._write_session(session)

    def renew_session(self, renewal: Renewal) -> bool:
        """Renew the session's credentials, if it is as it was read."""
        with self._lock:
            held = self.sessions.get((renewal.session.sub, renewal.session.sid))
            if held and held.digest == renewal.next_digest:
                return True
            if not self._may_renew(renewal, renewal.epoch):
                return False
            self._renew(renewal)
            return True

    def rotate_refresh_token(self, rotation: Rotation) -> Rotated | NotRotated:
        """Turn the key if everything that must be held is held."""
        with self._lock:
            held = self.sessions.get((rotation.sub, rotation.sid))
            if held and held.digest == rotation.next_digest:
                return Rotated(held)
            if (
                held is None
                or (held.generation, held.digest) != (rotation.generation, rotation.digest)
                or not held.lives(rotation.epoch, rotation.now)
                or (rotation.turned_before is not None and held.rotated_at >= rotation.turned_before)
            ):
                return NotRotated(held)
            late = rotation.late
            turned = replace(
                held,
                generation=held.generation + 1,
                digest=rotation.next_digest,
                wrapped=rotation.wrapped,
                key_id=rotation.key_id,
                rotated_at=rotation.now,
                idle_expires_at=rotation.idle_expires_at,
                answered=rotation.answered,
                late_base=late.late_base if late else None,
                late_wrapped=late.late_wrapped if late else b"",
                late_at=late.late_at if late else held.late_at,
            )
            return Rotated(self._write_session(turned))

    def find_session(self, sub: str, sid: str) -> Session | None:
        """Read the session."""
        with self._lock:
            return self.sessions.get((sub, sid))

    def find_session_and_account(self, sub: str, sid: str) -> tuple[Session | None, Account | None]:
        """Read both."""
        with self._lock:
            return self.sessions.get((sub, sid)), self.accounts.get(sub)

    def touch_session(self, sub: str, sid: str, *, now: int, unless_since: int) -> None:
        """Note the use, if the session is there and none was noted lately."""
        with self._lock:
            held = self.sessions.get((sub, sid))
            if held is not None and (not held.used_at or held.used_at < unless_since):
                self._write_session(replace(held, used_at=now))

    def list_sessions(self, sub: str, *, after: str | None, limit: int) -> tuple[tuple[Session, ...], str | None]:
        """Read the account's sessions, in the order of their keys."""
        with self._lock:
            owned = sorted(key for key in self.sessions if key[0] == sub and (after is None or key[1] > after))
            found = tuple(self.sessions[key] for key in owned[:limit])
            return found, found[-1].sid if len(owned) > limit else None

    def delete_sessions(self, sub: str, sids: Sequence[str]) -> None:
        """Forget the sessions."""
        with self._lock:
            for sid in sids:
                self.sessions.pop((sub, sid), None)

    def deny_session(self, sub: str, sid: str, *, now: int) -> Denials | None:
        """Add the session to the set, or return the list that is full."""
        with self._lock:
            held = self.denials.get(sub, Denials())
            sessions = held.sessions | {entry(sid, deny_until(now))}
            if sessions != held.sessions and len(held.sessions) >= DENIED_SESSIONS:
                return held
            self.denials[sub] = replace(held, sessions=sessions, expires_at=deny_until(now))
            return None

    def deny_token(self, sub: str, jti: str, *, now: int) -> Denials | None:
        """Add the access token to the set, or return the list that is full."""
        with self._lock:
            held = self.denials.get(sub, Denials())
            tokens = held.tokens | {entry(jti, deny_until(now))}
            if tokens != held.tokens and len(held.tokens) >= DENIED_TOKENS:
                return held
            self.denials[sub] = replace(held, tokens=tokens, expires_at=deny_until(now))
            return None

    def replace_denials(self, sub: str, seen: Denials, compacted: Denials) -> bool:
        """Put the compacted list in the place of the seen one."""
        with self._lock:
            held = self.denials.get(sub, Denials())
            if replace(held, before_epoch=0) not in (replace(seen, before_epoch=0), replace(compacted, before_epoch=0)):
                return False
            self.denials[sub] = replace(compacted, before_epoch=held.before_epoch)
            return True

    def delete_session(self, sub: str, sid: str) -> None:
        """Forget the session."""
        with self._lock:
            self.sessions.pop((sub, sid), None)

    def find_denials(self, sub: str) -> Denials:
        """Read the blacklist."""
        with self._lock:
            return self.denials.get(sub, Denials())

    def record_events(self, events: Sequence[SecurityEvent]) -> None:
        """Keep each under its key."""
        with self._lock:
            for event in events:
                kept = replace(event, user_agent=user_agent(event.user_agent)["S"])
                self.events[event.sub, event.at, event.id] = kept

    def list_events(self, sub: str, *, rank: Rank, now: int, limit: int) -> tuple[SecurityEvent, ...]:
        """The last ones by their keys, the last one first."""
        with self._lock:
            owned = [event for event in self.events.values() if event.sub == sub and event.rank == rank]
            shown = [event for event in owned if event.shown_at <= now]
            shown.sort(key=lambda event: (event.shown_at, event.id), reverse=True)
            return tuple(shown[:limit])

    def _may_renew(self, renewal: Renewal, epoch: int) -> bool:
        read, held = renewal.session, self.sessions.get((renewal.session.sub, renewal.session.sid))
        return (
            held is not None
            and (held.generation, held.digest, held.epoch) == (read.generation, read.digest, epoch)
            and renewal.now < held.absolute_expires_at
        )

    def _renew(self, renewal: Renewal) -> None:
        held = self.sessions[renewal.session.sub, renewal.session.sid]
        self._write_session(
            replace(
                held,
                generation=held.generation + 1,
                floor=held.generation + 1,
                digest=renewal.next_digest,
                wrapped=b"",
                key_id=renewal.key_id,
                epoch=renewal.epoch,
                rotated_at=renewal.now,
                idle_expires_at=renewal.idle_expires_at,
                answered=renewal.answered,
                auth_time=renewal.auth_time,
                amr=renewal.amr,
                late_base=None,
                late_wrapped=b"",
            )
        )

    def _at_epoch(self, account: Account) -> bool:
        login, state = self.logins.get(account.email), self.accounts.get(account.sub)
        return (
            login is not None
            and state is not None
            and login.account.sub == account.sub
            and login.account.epoch == state.epoch == account.epoch
        )

    def _as_read(self, login: Login) -> bool:
        held = self.logins.get(login.account.email)
        return (
            held is not None
            and self._at_epoch(login.account)
            and held.account.email_verified == login.account.email_verified
            and held.identities == login.identities
        )

    def _mark(self, sub: str, identity: LinkedIdentity) -> None:
        self.markers[identity.issuer, identity.subject] = (sub, identity.linked_at)

    def _unmark(self, identities: Iterable[LinkedIdentity]) -> None:
        for identity in identities:
            del self.markers[identity.issuer, identity.subject]

    def _prove_address(self, account: Account, address: str) -> None:
        login, state = self.logins[account.email], self.accounts[account.sub]
        self.logins[account.email] = replace(login, account=login.account.proven(address))
        self.accounts[account.sub] = state.proven(address)

    def _raise_epoch(self, account: Account, deny_until: int, *, disabled: bool) -> None:
        raised = account.epoch + 1
        login, state = self.logins[account.email], self.accounts[account.sub]
        self.logins[account.email] = replace(login, account=replace(login.account, epoch=raised, disabled=disabled))
        self.accounts[account.sub] = replace(state, epoch=raised, disabled=disabled)
        held = self.denials.get(account.sub, Denials())
        self.denials[account.sub] = replace(held, before_epoch=raised, expires_at=deny_until)

    def _write_session(self, session: Session) -> Session:
        stored = replace(session, user_agent=user_agent(session.user_agent)["S"])
        self.sessions[session.sub, session.sid] = stored
        return stored
