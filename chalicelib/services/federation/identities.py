"""Identities: which ones open an account, seen and changed by its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.emails import parse_email, same_mailbox
from chalicelib.errors import (
    CredentialRequired,
    IdentityNotFound,
    IdentityTaken,
    InvalidEmail,
    InvalidGrant,
    InvalidToken,
    LastWayIn,
    Unavailable,
)
from chalicelib.services.federation.log_in import link_of
from chalicelib.store.outcomes import AccessChanged

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account, Login
    from chalicelib.domain.callers import Caller, Principal
    from chalicelib.domain.federation import Identity
    from chalicelib.domain.sessions import RefreshToken, Session
    from chalicelib.ports import AuditLog, Clock, IdentityProvider
    from chalicelib.services.federation.providers import Providers
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.services.sessions.renewals import Renewals
    from chalicelib.store.protocol import AccountsSessionsAndIdentities

ATTEMPTS = 3


@dataclass(slots=True, eq=False, repr=False)
class Identities:
    """The use cases of an account's identities."""

    store: AccountsSessionsAndIdentities
    renewals: Renewals
    providers: Providers
    clock: Clock
    audit: AuditLog

    def ways_in(self, principal: Principal) -> Login:
        """The account with everything that opens it. InvalidToken where it is gone or disabled."""
        account = self.store.find_account(principal.sub)
        if account is None or account.disabled:
            raise InvalidToken(debug="no such account, or disabled")
        return self._login(account)

    def link(
        self,
        sub: str,
        sid: str,
        identity: Identity,
        provider: IdentityProvider,
        presented: RefreshToken | None,
        caller: Caller,
        *,
        proven_by: int | None = None,
    ) -> Grant | None:
        """Let the identity open the account, for a session that lives in the same write. Linking it twice is once.

        `presented` is the session's long-lived credential, which is renewed in that write: the grant is the session's
        next one. `proven_by` is the generation that proved the session when a redirect began: then the identity is
        linked also where the credential does not come along, and the answer is None, as long as nothing has renewed the
        session's credentials since. Else a thief could begin a link, and finish it after the owner's password change.

        IdentityTaken where it opens another account, or the account has another identity of this provider; InvalidToken
        where the session is over, or renewed since `proven_by`; CredentialRequired, InvalidGrant as Renewals.asking.
        Where the provider has verified the account's own address, the account has, too.
        """
        identity = provider.with_email(identity)
        now = self.clock.now()
        linked = link_of(identity, now)
        for _ in range(ATTEMPTS):
            session, account, renews = self._asking(sub, sid, presented, caller, proven_by)
            login = self._login(account)
            held = login.identity(identity.provider)
            if held is not None and (held.issuer, held.subject) != (identity.issuer, identity.subject):
                detail = "The account has another identity of this provider; remove that one first."
                raise IdentityTaken(detail)
            proves = _proven_address(identity, login.account) if held is None else None
            proven = login.account if proves is None else login.account.proven(proves)
            grant, renewal = self.renewals.prepare(proven, session, caller, now) if renews else (None, None)
            if held is not None:
                if renewal is None or self.store.renew_session(renewal):
                    return grant
                continue
            with self.renewals.told("identity_linked", session, caller):
                outcome = self.store.link_identity(login, linked, proves=proves, session=renewal or session)
            if outcome is AccessChanged.CHANGED:
                self.audit.record("identity_linked", caller, sub=sub, sid=sid, provider=identity.provider, by="user")
                return grant
            # None or this account: somebody's write came between, maybe this very one's, whose answer was lost.
            if outcome is AccessChanged.IDENTITY_TAKEN and self.store.find_identity(
                identity.issuer, identity.subject
            ) not in {None, sub}:
                detail = "The identity opens another account."
                raise IdentityTaken(detail)
        raise Unavailable(debug="account contended")

    def unlink(self, principal: Principal, provider: str, presented: RefreshToken | None, caller: Caller) -> Grant:
        """Take the provider's identity from the account, and renew the credentials of the session that asks.

        IdentityNotFound where it has none; LastWayIn where nothing else opens the account;
        InsufficientUserAuthentication where the presented login is too long ago; CredentialRequired, InvalidGrant and
        InvalidToken as Renewals.asking.
        """
        now = self.clock.now()
        for _ in range(ATTEMPTS):
            session, account = self.renewals.asking(principal.sub, principal.sid, presented, caller, now)
            self.renewals.sessions.require_recent_login(principal)
            login = self._login(account)
            if login.identity(provider) is None:
                raise IdentityNotFound
            if not self._opens_without(login, provider):
                raise LastWayIn
            grant, renewal = self.renewals.prepare(login.account, session, caller, now)
            with self.renewals.told("identity_unlinked", session, caller):
                outcome = self.store.unlink_identity(login, provider, renewal)
            if outcome is AccessChanged.CHANGED:
                self.audit.record("identity_unlinked", caller, sub=principal.sub, sid=principal.sid, provider=provider)
                return grant
        raise Unavailable(debug="account contended")

    def _asking(
        self, sub: str, sid: str, presented: RefreshToken | None, caller: Caller, proven_by: int | None
    ) -> tuple[Session, Account, bool]:
        """The session that asks, its account, and whether its credentials are renewed."""
        try:
            return *self.renewals.asking(sub, sid, presented, caller, self.clock.now()), True
        except (CredentialRequired, InvalidGrant):
            if proven_by is None:
                raise
        session, account = self.renewals.living(sub, sid)
        if proven_by < session.floor:
            raise InvalidToken(debug="the session's credentials were renewed since the link was begun")
        return session, account, False

    def _opens_without(self, login: Login, provider: str) -> bool:
        """Whether there is another way in that works today: an identity of a provider that is off is none."""
        others = (identity for identity in login.identities if identity.provider != provider)
        return login.password_digest is not None or any(
            other.provider in self.providers.connected
            and self.providers.connected[other.provider].knows_issuer(other.issuer)
            for other in others
        )

    def _login(self, account: Account) -> Login:
        login = self.store.find_login(account.email)
        if login is None or login.account.disabled or login.account.sub != account.sub:
            raise InvalidToken(debug="no such account, or disabled")
        return login


def _proven_address(identity: Identity, account: Account) -> str | None:
    """The account's unproven address as the provider has verified it; None where the provider has verified another."""
    if account.email_verified or identity.email_verified is not True:
        return None
    try:
        told = parse_email(identity.email or "").as_typed
    except InvalidEmail:
        return None
    return told if same_mailbox(told, account.held_address) else None
