"""The cost contract: what each operation takes in round trips and units, on an engine that reports them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.domain.callers import TRANSPORTS
from chalicelib.domain.denials import DENIED_SESSIONS, DENIED_TOKENS
from chalicelib.errors import (
    InvalidCredentials,
    InvalidGrant,
    InvalidToken,
    LoginExpired,
    ProviderNotFound,
    TooManyRequests,
)
from chalicelib.store.dynamodb import DynamoDBStore
from tests.flows.federated import BrowserFlow, Federated, code_for, exchange, granted
from tests.flows.steps import (
    ELSEWHERE,
    WRONG_PASSWORD,
    bearer,
    change_password,
    decoded,
    deny_sessions,
    device_token,
    link,
    log_in,
    log_out,
    long_lived,
    refresh,
    sign_up,
    unlink,
    with_dearer_hash,
)
from tests.flows.tables import fill_blacklist
from tests.store.samples import a_session
from tests.world import engines
from tests.world.clock import START
from tests.world.constants import CLIENT
from tests.world.counting import Cost, Meter
from tests.world.keyturn import ChosenSessions, Keyturn
from tests.world.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Transport
    from chalicelib.services.federation.requests import Return
    from chalicelib.services.sessions.grants import Grant
    from tests.world.provider import FakeProvider

FREE = (0, 0, 0)
# What a session's item holds at most, beside what each holds.
LONGEST: dict[str, Any] = {
    "user_agent": "x" * 160,
    "address": "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "answered": bytes(16),
    "device": bytes(16),
    "late_base": 1,
    "late_wrapped": bytes(32),
    "late_at": (START - 60, START - 30),
    "used_at": START,
}
# USD a million on-demand units, as published on 2025-07-21; a write costs as much as five reads.
READ_PRICE, WRITE_PRICE = 0.125, 0.625


@dataclass
class Measured:
    """Keyturn over a table whose client is metered."""

    keyturn: Keyturn
    meter: Meter

    def cost(self, act: Callable[[], object], refusal: type[Exception] | None = None) -> tuple[float, float, float]:
        """Round trips, read units and write units of one operation, which ends with this refusal, if any."""
        with self.meter.measure() as cost:
            if refusal is None:
                act()
            else:
                with pytest.raises(refusal):
                    act()
        return _triple(cost)


def _triple(cost: Cost) -> tuple[float, float, float]:
    return cost.round_trips, cost.read_units, cost.write_units


@pytest.fixture
def measured() -> Measured:
    """A table of its own on dynoxide, which bills as DynamoDB does."""
    client = engines.connect_patiently(engines.start("dynoxide"))
    return Measured(Keyturn(DynamoDBStore(client, engines.make_table(client))), Meter(client))


@dataclass
class MeasuredFederated(Measured):
    """The same with two providers, whose own time and cost are not counted."""

    federated: Federated

    def callback(
        self,
        provider: FakeProvider,
        person: Person = Person(),  # noqa: B008  # frozen
        linking: Grant | None = None,
        *,
        with_cookie: bool = False,
    ) -> tuple[float, float, float]:
        """The cost of the callback alone, of a login or of a link."""
        browser = self.federated.browser()
        name = provider.name
        url = browser.begin_linking(linking, name) if linking else browser.begin(name)
        query = provider.approve(url, person)
        carried = decoded(self.keyturn.services, linking) if linking and with_cookie else None
        returned: list[Return] = []
        cost = self.cost(lambda: returned.append(browser.come_back(query, name, carried=carried)))
        assert returned[0].error is None
        return cost


@pytest.fixture
def federation() -> MeasuredFederated:
    """Two providers over a table of its own."""
    client = engines.connect_patiently(engines.start("dynoxide"))
    federated = Federated.over(DynamoDBStore(client, engines.make_table(client)))
    return MeasuredFederated(federated.keyturn, Meter(client), federated)


def test_signup(measured: Measured) -> None:
    """The limiter, then one transaction of three items."""
    assert measured.cost(lambda: sign_up(measured.keyturn.services)) == (2, 0, 7)


def test_authorize(measured: Measured) -> None:
    """One consistent read of the blacklist, whether there is one or not."""
    grant = sign_up(measured.keyturn.services)
    assert measured.cost(lambda: measured.keyturn.authorize(grant.access_token)) == (1, 1, 0)
    log_out(measured.keyturn.services, grant)
    assert measured.cost(lambda: measured.keyturn.authorize(grant.access_token), InvalidToken) == (1, 1, 0)


def test_authorize_session(measured: Measured) -> None:
    """One call for session and account, alive or not. A write once a minute at most, however many requests come."""
    grant = sign_up(measured.keyturn.services, transport="session")
    presented = decoded(measured.keyturn.services, grant)
    authorization = measured.keyturn.authorization()

    def enter() -> None:
        authorization.authorize_session(presented, CLIENT)

    assert measured.cost(enter) == (1, 2, 0)
    for _ in range(2):
        measured.keyturn.clock.advance(60)
        assert measured.cost(enter) == (2, 2, 1)
        measured.keyturn.clock.advance(59)
        assert measured.cost(enter) == (1, 2, 0)
        measured.keyturn.clock.advance(1)
    log_out(measured.keyturn.services, grant)
    assert measured.cost(enter, InvalidToken) == (1, 2, 0)


def test_login_for_a_session_cookie(measured: Measured) -> None:
    """As for every other transport."""
    assert measured.cost(lambda: sign_up(measured.keyturn.services, transport="session")) == (2, 0, 7)
    assert measured.cost(lambda: log_in(measured.keyturn.services, transport="session")) == (3, 1, 4)


def test_full_blacklist_costs_no_more(measured: Measured) -> None:
    """Full, with all else that it can hold, it is one unit to read; two to write, as it is over 1 KB by then."""
    grant = change_password(measured.keyturn.services, sign_up(measured.keyturn.services))
    sub, now, store = grant.account.sub, measured.keyturn.clock.now(), measured.keyturn.store
    seen = store.find_denials(sub)
    assert store.replace_denials(sub, seen, replace(seen, issued_before=1, expires_at=now + 3600))
    deny_sessions(store, sub, *(f"{number:022}" for number in range(DENIED_SESSIONS - 1)), now=now)
    assert measured.cost(lambda: measured.keyturn.services.sessions.end(sub, "A" * 22)) == (2, 0, 2)
    for number in range(DENIED_TOKENS):
        assert store.deny_token(sub, f"{number:022}", now=now) is None
    assert measured.cost(lambda: measured.keyturn.authorize(grant.access_token)) == (1, 1, 0)


def test_list_that_is_compacted_costs_a_write_more(measured: Measured) -> None:
    """The refused entry, the compacted list, the deletion; afterwards it is as cheap as before."""
    grants = [sign_up(measured.keyturn.services)] + [log_in(measured.keyturn.services) for _ in range(2)]
    fill_blacklist(measured.keyturn.store, grants[0].account.sub)
    trips, reads, writes = measured.cost(lambda: log_out(measured.keyturn.services, grants[0]))
    assert (trips, reads) == (4, 2)
    assert writes <= 5
    assert measured.cost(lambda: log_out(measured.keyturn.services, grants[1])) == (3, 2, 2)


def test_introspection(measured: Measured) -> None:
    """One look, of two items for a refresh token; none for what cannot be genuine."""
    grant, services = sign_up(measured.keyturn.services), measured.keyturn.services
    refresh_token = long_lived(grant).refresh_token
    assert measured.cost(lambda: services.introspection.introspect(bearer(grant))) == (1, 1, 0)
    assert measured.cost(lambda: services.introspection.introspect(refresh_token)) == (1, 2, 0)
    log_out(services, grant)
    assert measured.cost(lambda: services.introspection.introspect(bearer(grant))) == (1, 1, 0)
    for token in (f"{refresh_token}x", f"{refresh_token[:-4]}AAAA", f"{bearer(grant)}x", "x"):
        assert measured.cost(partial(services.introspection.introspect, token)) == FREE


def test_revocation(measured: Measured) -> None:
    """A look at the session, then one write for an access token; a logout's two for a refresh token, if it is alive."""
    grant, services = sign_up(measured.keyturn.services), measured.keyturn.services
    refresh_token = long_lived(grant).refresh_token
    for token in (f"{refresh_token}x", f"{refresh_token[:-4]}AAAA", f"{bearer(grant)}x", "x"):
        assert measured.cost(partial(services.revocation.revoke, token, CLIENT)) == FREE
    assert measured.cost(lambda: services.revocation.revoke(bearer(grant), CLIENT)) == (2, 2, 1)
    assert measured.cost(lambda: services.revocation.revoke(refresh_token, CLIENT)) == (3, 2, 2)
    for token in (refresh_token, bearer(grant)):
        trips, reads, writes = measured.cost(partial(services.revocation.revoke, token, CLIENT))
        assert (trips, writes) == (1, 0)
        assert reads <= 2


def test_refresh(measured: Measured) -> None:
    """The state, then one write; a loser's, or one that comes again, fails its condition and is billed all the same."""
    services = measured.keyturn.services
    first = sign_up(services)
    turned: list[Grant] = []
    assert measured.cost(lambda: turned.append(refresh(services, first))) == (2, 1, 1)
    for presented in (first, *turned):
        for client in (CLIENT, ELSEWHERE):
            assert measured.cost(partial(refresh, services, presented, client)) == (2, 1, 1)


def test_refresh_answered_late(measured: Measured) -> None:
    """The refused write tells what is held; the second write turns it. Its repetition costs what a loser's does."""
    services = measured.keyturn.services
    first = sign_up(services)
    refresh(services, first)
    measured.keyturn.clock.advance(21)
    late = partial(refresh, services, first, device_token=device_token(first))
    assert measured.cost(late) == (3, 1, 2)
    for later in (0, 3600):
        measured.keyturn.clock.advance(later)
        assert measured.cost(late) == (2, 1, 1)


def test_refresh_with_a_dead_token(measured: Measured) -> None:
    """A renewed one, one of another epoch and one of an ended session: the refused write at most."""
    services = measured.keyturn.services
    first, other = sign_up(services), log_in(services)
    changed = change_password(services, first)
    log_out(services, changed)
    for presented in (first, other, changed):
        assert measured.cost(partial(refresh, services, presented), InvalidGrant) == (2, 1, 1)


def test_refresh_by_a_thief(measured: Measured) -> None:
    """The refused write, then the denial and the deletion."""
    first = sign_up(measured.keyturn.services)
    refresh(measured.keyturn.services, first)
    measured.keyturn.clock.advance(21)
    assert measured.cost(lambda: refresh(measured.keyturn.services, first), InvalidGrant) == (4, 1, 3)


def test_login(measured: Measured) -> None:
    """Both limiter writes at once, the read, the session beside the device's counter. A wrong password saves both."""
    sign_up(measured.keyturn.services)
    assert measured.cost(lambda: log_in(measured.keyturn.services)) == (3, 1, 4)
    for _ in range(5):
        log_in(measured.keyturn.services)
    assert measured.cost(lambda: log_in(measured.keyturn.services)) == (3, 1, 4)  # the sixth device's is refused
    assert measured.cost(lambda: log_in(measured.keyturn.services, WRONG_PASSWORD), InvalidCredentials) == (2, 1, 2)
    unknown = measured.cost(lambda: log_in(measured.keyturn.services, email="x@example.com"), InvalidCredentials)
    assert unknown == (2, 1, 2)


def test_login_with_rehash(measured: Measured) -> None:
    """One write more, beside the session's."""
    sign_up(measured.keyturn.services)
    assert measured.cost(lambda: log_in(with_dearer_hash(measured.keyturn.services))) == (3, 1, 5)


def test_login_that_ends_the_former_session(measured: Measured) -> None:
    """The former one is read beside the session's write; two writes more, one after the other; none for a dead one."""
    services = measured.keyturn.services
    first = sign_up(services)
    token, carried = device_token(first), decoded(services, first)
    assert measured.cost(lambda: log_in(services, carried=carried)) == (5, 3, 6)
    trips, reads, writes = measured.cost(lambda: log_in(services, carried=carried))
    assert (trips, writes) == (3, 4)
    assert reads <= 3
    mine = decoded(services, log_in(services, device_token=token))
    assert measured.cost(lambda: log_in(services, carried=mine, device_token=token)) == (5, 3, 4)  # a counter less, too


@pytest.mark.parametrize(("there", "removed"), [(1, 0), (100, 1), (110, 11), (250, 25)])
def test_login_that_looks_for_what_is_over(measured: Measured, there: int, removed: int) -> None:
    """One in sixteen: the list beside the session's write, not consistent; what is over goes in one call more."""
    keyturn = measured.keyturn
    first = sign_up(keyturn.services)
    for _ in range(there - 1):
        keyturn.store.create_session(a_session(first.account.sub, **LONGEST))
    looking = Keyturn(keyturn.store, keyturn.clock, keyturn.parameters, source=ChosenSessions(look=True))
    trips, reads, writes = measured.cost(lambda: log_in(looking.services, device_token=device_token(first)))
    assert (trips, writes) == ((4, 2 + removed) if removed else (3, 2))
    assert reads <= 13


@pytest.mark.parametrize("sessions", [1, 50, 120])
def test_list_of_sessions(measured: Measured, sessions: int) -> None:
    """A page and the state, read at once: a page of fifty of the longest is at most seven units, not consistent."""
    grant = sign_up(measured.keyturn.services)
    for _ in range(sessions - 1):
        measured.keyturn.store.create_session(a_session(grant.account.sub, **LONGEST))
    principal, cursor = measured.keyturn.principal(grant.access_token), None
    for _ in range(1 + sessions // 50):
        trips, reads, writes = measured.cost(partial(measured.keyturn.services.sessions.list, principal, cursor))
        assert (trips, writes) == (1, 0)
        assert reads <= 8
        _, cursor = measured.keyturn.services.sessions.list(principal, cursor)
    assert cursor is None


def test_login_refused_by_the_limiter(measured: Measured) -> None:
    """One wait, no read, at most two writes."""
    sign_up(measured.keyturn.services)
    for _ in range(20):
        log_in(measured.keyturn.services)
    trips, reads, writes = measured.cost(lambda: log_in(measured.keyturn.services), TooManyRequests)
    assert (trips, reads) == (1, 0)
    assert writes <= 2


def test_login_refused_from_memory(measured: Measured) -> None:
    """The same container's next refusals cost nothing, right password or wrong, by account and by address."""
    token = device_token(sign_up(measured.keyturn.services))
    for _ in range(20):
        log_in(measured.keyturn.services)
        log_in(measured.keyturn.services, device_token=token)
    acts = (log_in, partial(log_in, password=WRONG_PASSWORD), partial(log_in, device_token=token))
    for act in acts:
        measured.cost(partial(act, measured.keyturn.services), TooManyRequests)
        assert measured.cost(partial(act, measured.keyturn.services), TooManyRequests) == FREE
    policy = measured.keyturn.services.log_in.attempts.by_signup
    for _ in range(policy.quota):
        measured.keyturn.store.count_attempt(policy, CLIENT.address, measured.keyturn.clock.now())
    for cost in ((1, 0, 1), FREE):
        newcomer = partial(sign_up, measured.keyturn.services, email="new@example.com")
        assert measured.cost(newcomer, TooManyRequests) == cost


def test_login_from_a_known_device(measured: Measured) -> None:
    """Its own counter, the read, the session: a write less than a stranger's. A wrong password saves the last."""
    services = measured.keyturn.services
    token = device_token(sign_up(services))
    assert measured.cost(lambda: log_in(services, device_token=token)) == (3, 1, 2)
    wrong = measured.cost(lambda: log_in(services, WRONG_PASSWORD, device_token=token), InvalidCredentials)
    assert wrong == (2, 1, 1)
    # Of another epoch it is a stranger's: its own counter, the read, the stranger's two at once.
    grant = log_in(services)
    change_password(services, grant)
    moved = measured.cost(lambda: log_in(services, WRONG_PASSWORD, device_token=token), InvalidCredentials)
    assert moved == (3, 1, 3)


def test_password_change_from_a_known_device(measured: Measured) -> None:
    """No dearer than from another one."""
    grant = sign_up(measured.keyturn.services)
    services = measured.keyturn.services
    cost = measured.cost(lambda: change_password(services, grant, device_token=device_token(grant)))
    assert cost == (3, 3, 9)


def test_forgeries_are_free(measured: Measured) -> None:
    """A forged or malformed token costs no call, wherever it is presented."""
    grant = sign_up(measured.keyturn.services)
    services = measured.keyturn.services
    forged = f"{long_lived(grant).refresh_token[:-8]}AAAAAAAA"
    for text in (forged, "", "nonsense"):
        assert measured.cost(partial(services.refresh_tokens.decode, text, "session"), InvalidGrant) == FREE
        assert measured.cost(partial(services.refresh_tokens.decode, text, "body"), InvalidGrant) == FREE
    for text in (f"{bearer(grant)[:-8]}AAAAAAAA", "", "nonsense", forged):
        assert measured.cost(partial(measured.keyturn.authorize, text), InvalidToken) == FREE


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_logout(measured: Measured, transport: Transport) -> None:
    """A look whether it lives, the denial, the deletion; with a dead credential the look alone."""
    services = measured.keyturn.services
    other = sign_up(services)
    grant = log_in(services, transport=transport)
    assert measured.cost(lambda: log_out(services, grant)) == (3, 2, 2)
    changed = change_password(services, other)
    for dead in (grant, other):
        trips, reads, writes = measured.cost(partial(log_out, services, dead))
        assert (trips, writes) == (1, 0)
        assert reads <= 2
    assert measured.cost(lambda: log_out(services, changed)) == (3, 2, 2)


@pytest.mark.parametrize("sessions", [1, 12])
def test_logout_everywhere(measured: Measured, sessions: int) -> None:
    """The state, then one transaction of three items, however many sessions there are."""
    grants = [sign_up(measured.keyturn.services)] + [log_in(measured.keyturn.services) for _ in range(sessions - 1)]
    principal = measured.keyturn.principal(grants[-1].access_token)
    accounts = measured.keyturn.services.accounts
    assert measured.cost(lambda: accounts.log_out_everywhere(principal, CLIENT)) == (2, 1, 6)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("sessions", [1, 12])
def test_password_change(measured: Measured, sessions: int, transport: Transport) -> None:
    """Session and state; limiter and login at once; one transaction of four items, however many sessions there are."""
    services = measured.keyturn.services
    grants = [sign_up(services, transport=transport)]
    grants += [log_in(services, transport=transport) for _ in range(sessions - 1)]
    assert measured.cost(lambda: change_password(services, grants[-1])) == (3, 3, 9)


def test_login_at_a_provider_costs_no_more_than_a_login_and_its_transaction(federation: MeasuredFederated) -> None:
    """As many waits as login and two more; no dearer than login and the two writes of the transaction."""
    federation.federated.log_in(federation.federated.google)
    sign_up(federation.keyturn.services, email="carol@example.com")
    begin = federation.cost(federation.federated.browser().begin)
    dora = sign_up(federation.keyturn.services, email="dora@example.com")
    known = BrowserFlow(federation.keyturn.services, device_token=device_token(dora))
    assert federation.cost(known.begin) == begin
    callback = federation.callback(federation.federated.google)
    login = federation.cost(lambda: log_in(federation.keyturn.services, email="carol@example.com"))
    # The transaction beside the limiter; taking it, the identity, the account, the session beside the identity again.
    # Login and callback both from a device that is not known: one counter more.
    assert (begin, callback, login) == ((1, 0, 2), (4, 3, 3), (3, 1, 4))
    trips, reads, writes = (there + back for there, back in zip(begin, callback, strict=True))
    assert trips <= login[0] + 2
    price = reads * READ_PRICE + writes * WRITE_PRICE
    assert price <= login[1] * READ_PRICE + (login[2] + 2) * WRITE_PRICE


def test_exchange(federation: MeasuredFederated) -> None:
    """The limiter in the place of the transaction."""
    federated = federation.federated
    federated.log_in(federated.google)
    assert federation.cost(lambda: exchange(federated.services, federated.google)) == (4, 3, 3)


def test_first_arrivals(federation: MeasuredFederated) -> None:
    """A new account: identity and login, then four items at once. Linked by address: two items, then the session."""
    federated = federation.federated
    assert federation.callback(federated.google) == (4, 2, 9)
    assert federation.callback(federated.oidc) == (5, 2, 7)
    sign_up(federated.services, email="carol@example.com")
    assert federation.callback(federated.oidc, Person("person-2", "carol@example.com")) == (5, 2, 11)


def test_ways_in(federation: MeasuredFederated) -> None:
    """The list, linking by browser and by code, unlinking: the session is read beside the state, and renewed."""
    federated = federation.federated
    grant = federated.log_in(federated.google)
    services = federated.services
    principal = federated.keyturn.principal(grant.access_token)
    assert federation.cost(lambda: services.identities.ways_in(principal)) == (2, 2, 0)
    assert federation.cost(lambda: federated.browser().begin_linking(grant, "oidc")) == (2, 2, 2)
    again = Person("person-3")  # whose address is proven already
    assert federation.callback(federated.oidc, again, grant) == (4, 3, 7)
    grants: list[Grant] = []
    assert federation.cost(lambda: grants.append(unlink(services, grant, "oidc"))) == (3, 3, 6)
    code = code_for(federated.oidc, again)
    assert federation.cost(lambda: grants.append(link(services, grants[-1], "oidc", code))) == (5, 5, 7)
    grant = unlink(services, grants[-1], "oidc")
    assert federation.callback(federated.oidc, again, grant, with_cookie=True) == (4, 3, 7)


def test_logins_that_nobody_began_are_free(federation: MeasuredFederated) -> None:
    """A forged state, a browser without a cookie and an unknown provider cost no call."""
    federated = federation.federated
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    forged = {**query, "state": query["state"][:-4] + "AAAA"}
    assert federation.cost(lambda: browser.come_back(forged), LoginExpired) == FREE
    assert federation.cost(lambda: browser.come_back(query, "oidc"), LoginExpired) == FREE
    assert federation.cost(lambda: BrowserFlow(federated.services).come_back(query)) == FREE
    assert federation.cost(lambda: browser.begin("facebook"), ProviderNotFound) == FREE
    assert federation.cost(lambda: browser.come_back(query, "facebook"), ProviderNotFound) == FREE
    # Only a browser that holds a secret makes the table look: one write that fails, and no read.
    stranger = BrowserFlow(federated.services, secret=bytes(32))
    assert federation.cost(lambda: stranger.come_back(query)) == (1, 0, 1)


def test_callback_that_is_loaded_again(federation: MeasuredFederated) -> None:
    """The write that fails, then session and account; the login where the session is not by this provider."""
    federated = federation.federated
    browser = federated.browser()
    query = federated.google.approve(browser.begin())
    carried = decoded(federated.services, granted(browser.come_back(query)))
    assert federation.cost(lambda: browser.come_back(query, carried=carried)) == (2, 2, 1)
    assert federation.cost(lambda: browser.come_back(query)) == (1, 0, 1)
    other = decoded(federated.services, sign_up(federated.services, email="carol@example.com"))
    assert federation.cost(lambda: browser.come_back(query, carried=other)) == (3, 3, 1)


def test_first_password(federation: MeasuredFederated) -> None:
    """A password change."""
    federated = federation.federated
    grant = federated.log_in(federated.google)
    assert federation.cost(lambda: change_password(federated.services, grant, None)) == (3, 3, 9)
