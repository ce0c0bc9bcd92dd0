"""Identities: which ones open an account, seen and changed by its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.emails import canonical_email
from chalicelib.errors import IdentityNotFound, IdentityTaken, InvalidEmail, InvalidToken, LastWayIn, Unavailable
from chalicelib.services.arrivals import link_of
from chalicelib.store.protocol import Linked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.records import Client, Identity, Login, Principal
    from chalicelib.ports import AuditLog, Clock, IdentityProvider
    from chalicelib.services.sessions import Sessions
    from chalicelib.store.protocol import Store

ATTEMPTS = 3


@dataclass(slots=True, eq=False, repr=False)
class Identities:
    """The use cases of an account's identities."""

    store: Store
    sessions: Sessions
    providers: Mapping[str, IdentityProvider]
    clock: Clock
    audit: AuditLog

    def ways_in(self, principal: Principal) -> Login:
        """The account with everything that opens it. InvalidToken where it is gone or disabled."""
        return self._login(principal.sub)

    def link(self, sub: str, sid: str, identity: Identity, provider: IdentityProvider, client: Client) -> None:
        """Let the identity open the account, for a session that lives in the same write. Linking it twice is once.

        IdentityTaken where it opens another account, or the account has another identity of this provider; InvalidToken
        where the session is over. Where the provider has verified the account's own address, the account has, too.
        """
        identity = provider.with_email(identity)
        now = self.clock.now()
        linked = link_of(identity, now)
        for _ in range(ATTEMPTS):
            login = self._login(sub)
            held = login.identity(identity.provider)
            if held is not None:
                if (held.issuer, held.subject) == (identity.issuer, identity.subject):
                    return
                detail = "The account has another identity of this provider; remove that one first."
                raise IdentityTaken(detail)
            proves_email = not login.account.email_verified and _proves(identity, login.account.email)
            outcome = self.store.link_identity(login, linked, proves_email=proves_email, sid=sid, now=now)
            if outcome is Linked.SESSION_GONE:
                raise InvalidToken(debug="the session that asked has ended")
            if outcome is Linked.LINKED:
                self.audit.record("identity_linked", client, sub=sub, sid=sid, provider=identity.provider, by="user")
                return
            # None or this account: somebody's write came between, maybe this very one's, whose answer was lost.
            if self.store.find_identity(identity.issuer, identity.subject) not in {None, sub}:
                detail = "The identity opens another account."
                raise IdentityTaken(detail)
        raise Unavailable(debug="account contended")

    def unlink(self, principal: Principal, provider: str, client: Client) -> None:
        """Take the provider's identity from the account.

        IdentityNotFound where it has none; LastWayIn where nothing else opens the account;
        InsufficientUserAuthentication where the session's login is too long ago; InvalidToken where it is over.
        """
        for _ in range(ATTEMPTS):
            login = self._login(principal.sub)
            # Read after the account: the write below needs the account's epoch, and so the session's life, unchanged.
            if self.sessions.require_recent_login(principal).epoch < login.account.epoch:
                raise InvalidToken(debug="the session has ended")
            if login.identity(provider) is None:
                raise IdentityNotFound
            if not self._opens_without(login, provider):
                raise LastWayIn
            if self.store.unlink_identity(login, provider):
                self.audit.record("identity_unlinked", client, sub=principal.sub, provider=provider)
                return
        raise Unavailable(debug="account contended")

    def _opens_without(self, login: Login, provider: str) -> bool:
        """Whether there is another way in that works today: an identity of a provider that is off is none."""
        others = (identity for identity in login.identities if identity.provider != provider)
        return login.password_digest is not None or any(
            other.provider in self.providers and self.providers[other.provider].issuer == other.issuer
            for other in others
        )

    def _login(self, sub: str) -> Login:
        account = self.store.find_account(sub)
        login = self.store.find_login(account.email) if account else None
        if login is None or login.account.disabled or login.account.sub != sub:
            raise InvalidToken(debug="no such account, or disabled")
        return login


def _proves(identity: Identity, email: str) -> bool:
    try:
        return identity.email_verified is True and canonical_email(identity.email or "") == email
    except InvalidEmail:
        return False
