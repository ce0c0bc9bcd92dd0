"""Two people, two addresses, two providers: whatever they do in whatever order, an address's owner alone gets in.

Each person has proven one of the addresses, and may claim the other. The model is the table of rules in
services/federation/log_in.py, written again; the last invariant does not know these rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib.domain.limits import HOUR
from chalicelib.errors import (
    AccessDenied,
    AuthError,
    EmailTaken,
    IdentityNotFound,
    IdentityTaken,
    InsufficientUserAuthentication,
    InvalidCredentials,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    LastWayIn,
)
from tests.flows.contents import contents
from tests.flows.federated import Federated, code_for, exchange, granted
from tests.flows.steps import change_password, credentials, decoded, link, refresh, unlink
from tests.flows.tables import a_table
from tests.world.constants import CLIENT, PASSWORD
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Principal
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store
    from tests.world.provider import FakeProvider

RECENT = 600  # seconds
PASSWORDS_AN_HOUR = 18  # tried for each address; the limiter has tests of its own
OWNER_OF = {"alice@example.com": "alice", "bob@example.com": "bob"}

names = st.sampled_from(("alice", "bob"))
emails = st.sampled_from(tuple(OWNER_OF))
providers = st.sampled_from(("google", "oidc"))
numbers = st.sampled_from((1, 1, 1, 2))  # of a person's identities at one provider
someone = st.integers(0, 59)  # of a list, modulo its length


@dataclass(eq=False)
class Account:
    """An account as it must be."""

    email: str
    sub: str
    password: str | None = None
    set_by: str = ""  # who knows the password
    verified: bool = False
    disabled: bool = False
    epoch: int = 0
    identities: dict[str, str] = field(default_factory=dict)  # subjects, by provider
    given_up: set[str] = field(default_factory=set)  # providers


@dataclass(eq=False)
class Held:
    """A session, and who has it."""

    who: str
    account: Account
    grant: Grant
    epoch: int
    auth_time: int

    def lives(self) -> bool:
        """Whether nothing has ended it."""
        return self.epoch == self.account.epoch and not self.account.disabled


class WaysIn(RuleBasedStateMachine):
    """What two people do, and what must come of it."""

    make_store: ClassVar[Callable[[], Store]]

    @initialize()
    def begin(self) -> None:
        """Nobody has an account."""
        self.world = Federated.over(type(self).make_store())
        self.accounts: dict[str, Account] = {}
        self.sessions: list[Held] = []
        self.passwords = 0
        self.tried: dict[tuple[str, int], int] = {}

    @property
    def now(self) -> int:
        """The time everywhere."""
        return self.world.keyturn.clock.now()

    def provider(self, name: str) -> FakeProvider:
        """The provider of this name."""
        return {"google": self.world.google, "oidc": self.world.oidc}[name]

    def opened_by(self, provider: str, subject: str) -> Account | None:
        """The account that the identity opens."""
        found = [account for account in self.accounts.values() if account.identities.get(provider) == subject]
        assert len(found) <= 1
        return found[0] if found else None

    def expect(self, refusal: type[AuthError] | None, act: Callable[[], Any]) -> Any:
        """What the act returns, or None where it is refused as it must be."""
        if refusal is None:
            return act()
        with pytest.raises(refusal) as refused:
            act()
        assert type(refused.value) is refusal
        return None

    def let_in(self, who: str, account: Account, grant: Grant, auth_time: int | None = None) -> None:
        """Somebody has a session of the account."""
        assert (grant.account.sub, grant.account.email) == (account.sub, account.email)
        assert grant.account.email_verified == account.verified
        self.sessions.append(Held(who, account, grant, account.epoch, self.now if auth_time is None else auth_time))

    def fresh_password(self) -> str:
        """One that nobody has used before."""
        self.passwords += 1
        return f"{PASSWORD} number {self.passwords}"

    def may_try(self, email: str) -> bool:
        """Whether the limiter lets one more password through; counts it."""
        key = (email, self.now // HOUR)
        self.tried[key] = self.tried.get(key, 0) + 1
        return self.tried[key] <= PASSWORDS_AN_HOUR

    def session(self, which: int) -> tuple[Held, Principal] | None:
        """One that lives, refreshed, as its holder uses it."""
        living = [held for held in self.sessions if held.lives()]
        if not living:
            return None
        held = living[which % len(living)]
        held.grant = refresh(self.world.services, held.grant)
        return held, self.world.keyturn.principal(held.grant.access_token)

    def renew(self, held: Held, grant: Grant | None) -> None:
        """Who changed who may get in has new credentials; what they had before is dead."""
        if grant is not None:
            former, held.grant = held.grant, grant
            with pytest.raises(InvalidGrant):
                refresh(self.world.services, former)

    def is_recent(self, held: Held) -> bool:
        """Whether the session's login is not too long ago."""
        return self.now - held.auth_time <= RECENT

    # --- what they do

    @rule(who=names, email=emails)
    def sign_up(self, who: str, email: str) -> None:
        """With an address that is theirs, or is not."""
        password = self.fresh_password()
        taken = EmailTaken if email in self.accounts else None
        sign = self.world.services.sign_up
        grant = self.expect(taken, lambda: sign(credentials(password, email=email), CLIENT))
        if grant:
            self.accounts[email] = Account(email, grant.account.sub, password, who)
            self.let_in(who, self.accounts[email], grant)

    @rule(who=names, email=emails)
    def log_in_by_password(self, who: str, email: str) -> None:
        """With the password that they have set, or with some other one."""
        if not self.may_try(email):
            return
        account = self.accounts.get(email)
        mine = account is not None and account.password is not None and account.set_by == who
        password = account.password if account and mine else "some other password"
        assert password
        refusal = None if account and mine and not account.disabled else InvalidCredentials
        log_in = self.world.services.log_in
        grant = self.expect(refusal, lambda: log_in(credentials(password, email=email), CLIENT))
        if grant and account:
            self.let_in(who, account, grant)

    @rule(
        who=names,
        email=emails,
        provider=providers,
        number=numbers,
        tells=st.booleans(),
        by_browser=st.booleans(),
        seconds_ago=st.sampled_from((None, 0, 601)),
    )
    def arrive(
        self,
        who: str,
        email: str,
        provider: str,
        number: int,
        tells: bool,  # noqa: FBT001 - hypothesis passes it by name
        by_browser: bool,  # noqa: FBT001
        seconds_ago: int | None,
    ) -> None:
        """By an identity of theirs, whose provider tells an address and whether it is theirs."""
        verified = tells and OWNER_OF[email] == who
        auth_time = None if seconds_ago is None else self.now - seconds_ago
        person = Person(f"{who} {number}", email, verified, auth_time)
        account, refusal = self.predict_arrival(person.name, provider, email, verified=verified)
        at = self.provider(provider)
        if by_browser:
            returned = self.world.browser().log_in(at, person)
            assert returned.error == (refusal.code if refusal else None)
            grant = None if refusal else granted(returned)
        else:
            grant = self.expect(refusal, lambda: exchange(self.world.services, at, person))
        if grant:
            if account is None:
                account = Account(email, grant.account.sub, verified=verified, identities={provider: person.name})
                self.accounts[email] = account
            self.let_in(who, account, grant, auth_time)

    def predict_arrival(
        self, subject: str, provider: str, email: str, *, verified: bool
    ) -> tuple[Account | None, type[AuthError] | None]:
        """Which account it comes to, None for a new one, or how it is refused; what it changes is changed."""
        known = self.opened_by(provider, subject)
        account = known or self.accounts.get(email)
        if account is None:
            return None, None
        if known is None and not verified:
            return None, EmailTaken
        if account.disabled:
            return None, AccessDenied
        if known is None and account.verified and provider in account.identities.keys() | account.given_up:
            return None, EmailTaken
        if known is None and not account.verified:
            account.password, account.identities, account.given_up, account.verified = None, {}, set(), True
            account.epoch += 1
        account.identities[provider] = subject
        return account, None

    @rule(which=someone, provider=providers, number=numbers, elsewhere=st.booleans(), tells=st.booleans())
    def link(self, which: int, provider: str, number: int, elsewhere: bool, tells: bool) -> None:  # noqa: FBT001
        """Somebody links an identity of theirs, of the account's address or another, to an account that they are in."""
        if (found := self.session(which)) is None:
            return
        held, _ = found
        account, subject = held.account, f"{held.who} {number}"
        email = next(one for one in OWNER_OF if (one != account.email) == elsewhere)
        verified = tells and OWNER_OF[email] == held.who
        refusal: type[AuthError] | None = None
        if not self.is_recent(held):
            refusal = InsufficientUserAuthentication
        elif account.identities.get(provider, subject) != subject or self.opened_by(provider, subject) not in {
            None,
            account,
        }:
            refusal = IdentityTaken
        elif provider not in account.identities:
            account.identities[provider] = subject
            account.given_up.discard(provider)
            account.verified |= verified and not elsewhere
        code = code_for(self.provider(provider), Person(subject, email, verified))
        self.renew(held, self.expect(refusal, lambda: link(self.world.services, held.grant, provider, code)))

    @rule(which=someone, provider=providers)
    def unlink(self, which: int, provider: str) -> None:
        """Somebody gives an identity up."""
        if (found := self.session(which)) is None:
            return
        held, _ = found
        account = held.account
        refusal: type[AuthError] | None = None
        if not self.is_recent(held):
            refusal = InsufficientUserAuthentication
        elif provider not in account.identities:
            refusal = IdentityNotFound
        elif account.password is None and len(account.identities) == 1:
            refusal = LastWayIn
        else:
            del account.identities[provider]
            account.given_up.add(provider)
        self.renew(held, self.expect(refusal, lambda: unlink(self.world.services, held.grant, provider)))

    @rule(which=someone, gives=st.booleans())
    def set_password(self, which: int, gives: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """Somebody sets a password, and gives the current one, or none."""
        if (found := self.session(which)) is None or not self.may_try(found[0].account.email):
            return
        held, _ = found
        account = held.account
        current = (account.password or "never set by anybody") if gives else None
        refusal: type[AuthError] | None = None
        if gives and account.password is None:
            refusal = InvalidCredentials
        elif not gives and account.password is not None:
            refusal = InvalidRequest
        elif not gives and not self.is_recent(held):
            refusal = InsufficientUserAuthentication
        new = self.fresh_password()
        grant = self.expect(refusal, lambda: change_password(self.world.services, held.grant, current, new))
        self.renew(held, grant)
        if grant:
            account.password, account.set_by = new, held.who
            account.epoch += 1
            held.epoch = account.epoch
            if gives:  # who sets a first password has given none, and is as recent as before
                held.auth_time = self.now

    @rule(which=someone)
    def log_out_everywhere(self, which: int) -> None:
        """Somebody ends all sessions of the account."""
        if (found := self.session(which)) is not None:
            self.world.services.accounts.log_out_everywhere(found[1], CLIENT)
            found[0].account.epoch += 1

    @precondition(lambda self: len(self.sessions) > 4)
    @rule(email=emails)
    def disable(self, email: str) -> None:
        """The operator closes an account."""
        if email in self.accounts:
            self.world.services.accounts.disable(self.accounts[email].sub, CLIENT)
            self.accounts[email].epoch += 1
            self.accounts[email].disabled = True

    @rule(seconds=st.sampled_from((1, RECENT, RECENT + 1)))
    def time_passes(self, seconds: int) -> None:
        """Nobody does anything for a while."""
        self.world.keyturn.clock.advance(seconds)

    # --- what must hold

    @invariant()
    def table_is_as_predicted(self) -> None:
        """Every account has the ways in that the model says, each marker its entry, and no account has none."""
        if not hasattr(self, "world"):
            return
        held = contents(self.world.keyturn.store)
        held.assert_whole()
        assert set(held.logins) == set(self.accounts)
        for email, login in held.logins.items():
            account = self.accounts[email]
            state = login.account
            assert (state.sub, state.epoch, state.disabled, state.email_verified) == (
                account.sub,
                account.epoch,
                account.disabled,
                account.verified,
            )
            assert (login.password_digest is None) == (account.password is None)
            assert {one.provider: one.subject for one in login.identities} == account.identities
            assert account.disabled or login.password_digest or login.identities, "nobody gets in any more"

    @invariant()
    def proven_account_is_its_owners(self) -> None:
        """Nobody but the address's owner has an identity of it, and nobody else's token is accepted."""
        if not hasattr(self, "world"):
            return
        for email, login in contents(self.world.keyturn.store).logins.items():
            if login.account.email_verified:
                assert {one.subject.split()[0] for one in login.identities} <= {OWNER_OF[email]}
                for held in self.sessions:
                    if held.grant.account.sub == login.account.sub and held.who != OWNER_OF[email]:
                        with pytest.raises(InvalidToken):
                            self.world.keyturn.authorize(held.grant.access_token)

    def teardown(self) -> None:
        """Every session is alive or dead as the model says, and every identity and password opens what it must."""
        if not hasattr(self, "world"):
            return
        for held in self.sessions:
            services = self.world.keyturn.container()
            presented = decoded(services, held.grant)
            if held.lives():
                assert services.refresh(presented, CLIENT).session_id == held.grant.session_id
            else:
                with pytest.raises(InvalidGrant):
                    services.refresh(presented, CLIENT)
        self.world.keyturn.clock.advance(HOUR)
        for account in self.accounts.values():
            log_in = self.world.services.log_in
            if account.password and not account.disabled:
                assert log_in(credentials(account.password, email=account.email), CLIENT).account.sub == account.sub
            for provider, subject in account.identities.items():
                person = Person(subject, email=None)
                refusal = AccessDenied if account.disabled else None
                at = self.provider(provider)
                grant = self.expect(refusal, lambda: exchange(self.world.services, at, person))  # noqa: B023
                assert grant is None or grant.account.sub == account.sub


class WaysInInMemory(WaysIn):
    """Over the fake."""

    make_store = FakeStore


class WaysInOnDynoxide(WaysIn):
    """Over a real table."""

    make_store = staticmethod(a_table)


@pytest.mark.parametrize(
    ("machine", "examples"),
    [
        pytest.param(WaysInInMemory, 60, id="fake, a few"),
        pytest.param(WaysInInMemory, 250, id="fake", marks=pytest.mark.slow),
        pytest.param(WaysInOnDynoxide, 10, id="dynoxide", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(400)  # hypothesis takes up to 300 s to find the shortest way to a failure
def test_accounts_open_to_their_owners_alone(machine: type[WaysIn], examples: int) -> None:
    """Every arrival, link and password comes to what the rules say, and a proven account is its owner's."""
    bounds = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(machine, settings=bounds)
