"""Logins at providers: an identity opens the account that it is linked to; the first time, one is found or made.

What holds, from the top:

    the identity opens an account            that one
    nobody has its address                   a new account, without a password
    the provider has not verified it         refused: whoever has the account logs in and links it
    the account holds another spelling       refused too: by emails.same_mailbox it is another mailbox
    the account has not verified it          taken over: its password, sessions and other identities are gone
    both have                                linked to the account that has it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.refresh_tokens import ID_BYTES
from chalicelib.domain.accounts import Account, LinkedIdentity, Login
from chalicelib.domain.denials import deny_until
from chalicelib.domain.requirements import NEW_ACCOUNT_ROLES
from chalicelib.emails import parse_email, same_mailbox
from chalicelib.errors import AccessDenied, EmailRequired, EmailTaken, InvalidEmail, Unavailable
from chalicelib.services.sessions.begin import Authenticated
from chalicelib.store.outcomes import AccessChanged

if TYPE_CHECKING:
    from chalicelib.crypto.device_tokens import DeviceTokens
    from chalicelib.domain.callers import Caller, Transport
    from chalicelib.domain.federation import Identity
    from chalicelib.domain.sessions import RefreshToken, Session
    from chalicelib.emails import Address
    from chalicelib.ports import IdentityProvider
    from chalicelib.services.sessions.begin import NewSession, NewSessions
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.services.surroundings import Surroundings
    from chalicelib.store.protocol import AccountsAndIdentities

ATTEMPTS = 3
LINK_IT = "Log in to the account in another way; then link this identity."


class SessionRequest(NamedTuple):
    """Who arrives, and how the session that begins is to travel; `device_token` as in accounts.Credentials."""

    transport: Transport
    caller: Caller
    carried: tuple[RefreshToken, ...] = ()
    device_token: str | None = None


@dataclass(slots=True, eq=False, repr=False)
class ProviderLogins:
    """The one use case: begin a session for an identity that a provider has vouched for."""

    store: AccountsAndIdentities
    sessions: Sessions
    new_sessions: NewSessions
    devices: DeviceTokens
    around: Surroundings

    def log_in(self, identity: Identity, provider: IdentityProvider, wanted: SessionRequest) -> Grant:
        """Begin a session of the account that the identity opens, or now comes to open.

        AccessDenied where the account is disabled, EmailTaken and EmailRequired as above; what the provider raises when
        it is asked for the address. Two first arrivals at once make one account: the later one finds it.
        """
        for _ in range(ATTEMPTS):
            sub = self.store.find_identity(identity.issuer, identity.subject)
            if sub is not None:
                grant = self._return(sub, identity, wanted)
            else:
                identity = provider.with_email(identity)
                grant = self._first_login(identity, wanted)
            if grant is not None:
                return grant
        raise Unavailable(debug="account contended")

    def _return(self, sub: str, identity: Identity, wanted: SessionRequest) -> Grant | None:
        """None where the identity was taken away meanwhile: read again.

        The account may have been taken over between the reads of the identity and of the account, and its new epoch
        would make the session one of the new owner's. So the identity is read once more, beside the write.
        """
        account = self.store.find_account(sub)
        if account is None or account.disabled:
            raise AccessDenied(debug="no such account, or disabled")
        new = self._prepare(account, identity, wanted)
        grant, opens, follow = self.new_sessions.write(
            new, lambda: self.store.find_identity(identity.issuer, identity.subject)
        )
        if opens != sub:
            self.sessions.end(sub, new.session.sid)
            return None
        # After the session is there: a code is good for once, and who cannot have the new session keeps the old one.
        follow()
        self._logged_in(new.session, identity, wanted)
        return grant

    def _first_login(self, identity: Identity, wanted: SessionRequest) -> Grant | None:
        """None where somebody else's write came between: read again."""
        linked = link_of(identity, self.around.clock.now())
        proven = _usable_email(identity)
        login = self.store.find_login(proven.canonical)
        if login is None:
            return self._make_account(proven, identity, linked, wanted)
        if any((held.issuer, held.subject) == (linked.issuer, linked.subject) for held in login.identities):
            # Another first arrival of this very identity, between the two reads.
            return None
        if not identity.email_verified:
            raise EmailTaken(LINK_IT, debug="the provider has not verified the address")
        if not same_mailbox(proven.as_typed, login.account.held_address):
            # Also where nobody has proven the account's address: it may be its owner's, who is another person.
            raise EmailTaken(LINK_IT, debug="the account holds another spelling of the address")
        if login.account.disabled:
            raise AccessDenied(debug="disabled")
        account = self._join(login, linked, proven.as_typed, wanted.caller)
        return None if account is None else self._begin(account, identity, wanted)

    def _make_account(
        self, told: Address, identity: Identity, linked: LinkedIdentity, wanted: SessionRequest
    ) -> Grant | None:
        account = Account(
            sub=b64url(self.around.source.token(ID_BYTES)),
            email=told.canonical,
            address=told.other_spelling,
            roles=NEW_ACCOUNT_ROLES,
            email_verified=identity.email_verified is True,
        )
        new = self._prepare(account, identity, wanted)
        if not self.store.create_account(Login(account, None, (linked,)), new.session):
            return None
        self.around.audit.record(
            "signed_up", wanted.caller, sub=account.sub, sid=new.session.sid, method=identity.provider
        )
        self.new_sessions.end_carried(new.who)
        return new.grant

    def _join(self, login: Login, linked: LinkedIdentity, address: str, caller: Caller) -> Account | None:
        """The account of the address as the identity opens it from now on; None where it changed meanwhile."""
        now = self.around.clock.now()
        account = login.account
        if account.email_verified:
            if login.identity(linked.provider) is not None or linked.provider in login.given_up:
                # An address is given to another person at times; and who removed an identity meant it.
                raise EmailTaken(LINK_IT, debug="the account has, or had, another identity of this provider")
            outcome = self.store.link_identity(login, linked, proves=None, session=None)
            if outcome is not AccessChanged.CHANGED:
                return None
            self.around.audit.record("identity_linked", caller, sub=account.sub, provider=linked.provider, by="email")
            return account
        # Whoever signed up with the address never proved it, and may have done so to wait for its owner (pre-hijack).
        try:
            until = deny_until(now)
            taken = self.store.take_over_account(login, linked, proves=address, deny_until=until)
        except Unavailable:
            # Done or not: were the answer lost, the person's next login would find nothing to tell.
            self.around.audit.record("account_may_be_taken_over", caller, sub=account.sub, provider=linked.provider)
            raise
        if not taken:
            return None
        self.around.audit.record("account_taken_over", caller, sub=account.sub, provider=linked.provider)
        return account.proven(address)._replace(epoch=account.epoch + 1)

    def _begin(self, account: Account, identity: Identity, wanted: SessionRequest) -> Grant:
        new = self._prepare(account, identity, wanted)
        grant = self.new_sessions.begin(new)
        self._logged_in(new.session, identity, wanted)
        return grant

    def _logged_in(self, session: Session, identity: Identity, wanted: SessionRequest) -> None:
        self.around.audit.record("logged_in", wanted.caller, sub=session.sub, sid=session.sid, method=identity.provider)

    def _prepare(self, account: Account, identity: Identity, wanted: SessionRequest) -> NewSession:
        now = self.around.clock.now()
        who = Authenticated(
            account=account,
            amr=(identity.provider,),
            # ASVS V6.8.4: when the provider saw the person, where it tells; else this login is the moment.
            auth_time=now if identity.auth_time is None else identity.auth_time,
            transport=wanted.transport,
            caller=wanted.caller,
            carried=wanted.carried,
            device=self.devices.verify(wanted.device_token, account.email, now),
        )
        return self.new_sessions.prepare(who, now)


def link_of(identity: Identity, now: int) -> LinkedIdentity:
    """The identity as an account keeps it."""
    return LinkedIdentity(identity.provider, identity.issuer, identity.subject, identity.email or "", now)


def _usable_email(identity: Identity) -> Address:
    try:
        return parse_email(identity.email or "")
    except InvalidEmail:
        raise EmailRequired(debug="no address, or none that can be one") from None
