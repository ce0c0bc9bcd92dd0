"""What changes who may get in renews every credential of the session that asks, and asks for that session's own."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import CredentialRequired, InvalidCredentials, InvalidGrant, InvalidToken, Unavailable
from chalicelib.services.federation.requests import LoginRequest
from tests.flows.contents import contents
from tests.flows.federated import Federated, code_for, exchange
from tests.flows.steps import (
    ELSEWHERE,
    EMAIL,
    NEW_PASSWORD,
    assert_dead,
    assert_works,
    bearer,
    change_password,
    decoded,
    holder,
    link,
    log_in,
    log_out,
    long_lived,
    refresh,
    sign_up,
    tampered,
    unlink,
    without_signing_key,
)
from tests.world.constants import CLIENT, PAGE, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Caller, Principal, Transport
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant

    Ask = Callable[[Federated, Services, Principal, RefreshToken | None], Grant]

ELSE = Person("person-7", "somewhere@else.example")
TRANSPORTS: tuple[Transport, ...] = ("cookie", "body", "session")


def _change(_: Federated, services: Services, principal: Principal, presented: RefreshToken | None) -> Grant:
    return services.change_password(principal, PASSWORD, NEW_PASSWORD, presented, CLIENT)


def _link(world: Federated, services: Services, principal: Principal, presented: RefreshToken | None) -> Grant:
    return services.exchange_code.link(principal, "google", code_for(world.google, ELSE), presented, CLIENT)


def _unlink(_: Federated, services: Services, principal: Principal, presented: RefreshToken | None) -> Grant:
    return services.identities.unlink(principal, "oidc", presented, CLIENT)


def _link_again(world: Federated, services: Services, principal: Principal, presented: RefreshToken | None) -> Grant:
    person = Person("mine", "mine@else.example")
    return services.exchange_code.link(principal, "oidc", code_for(world.oidc, person), presented, CLIENT)


# Each renewing act, and whether it raises the epoch, so that access tokens of before are dead at once, too.
ACTS: dict[str, tuple[Ask, bool]] = {
    "password change": (_change, True),
    "link": (_link, False),
    "link again": (_link_again, False),
    "unlink": (_unlink, False),
}
EVERY_ACT = pytest.mark.parametrize("act", ACTS)
EVERY_TRANSPORT = pytest.mark.parametrize("transport", TRANSPORTS)


@pytest.fixture
def world(federated_anywhere: Federated) -> Federated:
    """An account with a password and an identity at `oidc`, over the fake and over a real table."""
    ready = federated_anywhere
    mine = code_for(ready.oidc, Person("mine", "mine@else.example"))
    link(ready.services, sign_up(ready.services), "oidc", mine)
    return ready


def ask(world: Federated, act: str, grant: Grant, services: Services | None = None) -> Grant:
    """Do the act as the grant's holder, with its credential."""
    services = services or world.services
    return ACTS[act][0](world, services, holder(services, grant), decoded(services, grant))


def assert_refuses(world: Federated, grant: Grant, client: Caller = CLIENT) -> None:
    """The grant's long-lived credential is dead, without a write and without an event."""
    before, events = contents(world.keyturn.store), world.keyturn.audit.names()
    if grant.refresh.transport == "session":
        with pytest.raises(InvalidToken):
            world.keyturn.enter(grant, client)
    else:
        for device in (None, grant.device_token):
            with pytest.raises(InvalidGrant):
                refresh(world.keyturn.container(), grant, client, device_token=device)
    assert (contents(world.keyturn.store), world.keyturn.audit.names()) == (before, events)


@EVERY_ACT
@EVERY_TRANSPORT
def test_every_credential_of_before_is_dead(world: Federated, act: str, transport: Transport) -> None:
    """The one that asked, its predecessors, inside the window and after it: dead, no theft; the answer's own works."""
    grants = [log_in(world.services, transport=transport)]
    if transport != "session":
        for _ in range(2):
            world.keyturn.clock.advance(21)
            grants.append(refresh(world.services, grants[-1]))
    renewed = ask(world, act, grants[-1])
    assert (renewed.session_id, renewed.refresh.transport) == (grants[-1].session_id, transport)
    assert long_lived(renewed).csrf_token == long_lived(grants[0]).csrf_token
    for later in (0, 21, 3600):
        world.keyturn.clock.advance(later)
        for grant in reversed(grants):
            assert_refuses(world, grant, ELSEWHERE)
    if transport != "session":
        renewed = refresh(world.services, renewed)
    assert_works(world.keyturn, renewed)


@EVERY_ACT
@pytest.mark.parametrize("transport", ["cookie", "body"])
def test_access_token_of_before_says_of_its_login_what_it_said(
    world: Federated, act: str, transport: Transport
) -> None:
    """A raised epoch ends it at once. Else it goes on until it expires and gains nothing: to act takes a credential."""
    grant = log_in(world.services, transport=transport)
    renewed = ask(world, act, grant)
    if ACTS[act][1]:
        with pytest.raises(InvalidToken):
            world.keyturn.authorize(grant.access_token)
    else:
        assert world.keyturn.authorize(grant.access_token).sid == renewed.session_id
        for presented in (None, decoded(world.services, grant)):
            with pytest.raises((CredentialRequired, InvalidGrant)):
                _change(world, world.services, holder(world.services, grant), presented)
    assert world.keyturn.authorize(bearer(renewed)).sid == grant.session_id


@EVERY_ACT
@EVERY_TRANSPORT
def test_credential_is_required(world: Federated, act: str, transport: Transport) -> None:
    """A bearer alone changes nothing, nor with the credential of the person's other session, or of another person's."""
    grant = log_in(world.services, transport=transport)
    bob = sign_up(world.services, email="bob@example.com", transport=transport)
    for other in (None, log_in(world.services, transport=transport), bob):
        presented = decoded(world.services, other) if other else None
        before, events = contents(world.keyturn.store), world.keyturn.audit.names()
        store = FaultyStore(world.keyturn.store)
        services = world.with_providers("google", "oidc", store=store).services
        with pytest.raises(CredentialRequired):
            ACTS[act][0](world, services, holder(services, grant), presented)
        assert store.calls == []
        assert (contents(world.keyturn.store), world.keyturn.audit.names()) == (before, events)
    assert_works(world.keyturn, grant)


def test_credential_is_required_to_begin_linking(world: Federated) -> None:
    """A redirect is proven when it begins: its callback may come without a cookie."""
    grant, other = log_in(world.services), log_in(world.services)
    request, principal = LoginRequest(return_to=PAGE, transport="cookie"), holder(world.services, grant)
    for presented in (None, decoded(world.services, other)):
        with pytest.raises(CredentialRequired):
            world.services.begin_login.linking(principal, "google", request, None, presented, CLIENT)
    assert "authorization_url" not in world.google.calls


@EVERY_ACT
def test_predecessor_asks_inside_the_window(world: Federated, act: str) -> None:
    """Another tab has turned the key a moment ago: the tab that asks is the same browser's, and gets the renewal."""
    grant = log_in(world.services)
    turned = refresh(world.services, grant)
    world.keyturn.clock.advance(20)
    renewed = ask(world, act, grant)
    assert_refuses(world, turned)
    assert_works(world.keyturn, renewed)


@EVERY_ACT
def test_predecessor_does_not_ask_after_the_window(world: Federated, act: str) -> None:
    """By then it is a copy, or a page that has slept: refused, without an event, and nothing is ended."""
    grant = log_in(world.services)
    turned = refresh(world.services, grant)
    world.keyturn.clock.advance(21)
    before, events = contents(world.keyturn.store), world.keyturn.audit.names()
    with pytest.raises(InvalidGrant):
        ask(world, act, grant)
    after = contents(world.keyturn.store)
    assert (after.logins, after.sessions, after.denials) == (before.logins, before.sessions, before.denials)
    assert world.keyturn.audit.names() == events
    assert_works(world.keyturn, turned)


@EVERY_ACT
@EVERY_TRANSPORT
@pytest.mark.parametrize("generations", [0, 1])
def test_forged_credential_is_an_alarm_and_changes_nothing(
    world: Federated, act: str, transport: Transport, generations: int
) -> None:
    """A good MAC over a secret that was never issued: somebody may know the MAC key."""
    grant = log_in(world.services, transport=transport)
    forged = tampered(world.keyturn, grant, generations=generations, secret=bytes(32))
    with pytest.raises(InvalidGrant):
        ACTS[act][0](world, world.services, holder(world.services, grant), forged)
    name = "session_cookie_forged" if transport == "session" else "refresh_token_forged"
    assert world.keyturn.audit.events[-1][0] == name
    assert world.keyturn.audit.events[-1][1]["sid"] == grant.session_id
    assert_works(world.keyturn, grant)


@EVERY_ACT
@pytest.mark.parametrize("later", [0, 21])
def test_tab_that_refreshes_with_the_renewed_predecessor_is_told_invalid_grant(
    world: Federated, act: str, later: int
) -> None:
    """Never a forgery alarm and never a 500: nothing is wrapped for the credential of before."""
    grant = refresh(world.services, log_in(world.services))
    ask(world, act, grant)
    world.keyturn.clock.advance(later)
    assert_refuses(world, grant)
    log_out(world.services, grant)  # nor does it end the session
    assert world.keyturn.store.find_session(grant.account.sub, grant.session_id) is not None


@EVERY_ACT
def test_renewal_meets_a_refresh(world: Federated, act: str) -> None:
    """Another tab turns the key just before the write: the session has moved, is read again, and is renewed."""
    grant = log_in(world.services)
    turned: list[Grant] = []
    writes = {"change_password", "link_identity", "unlink_identity", "renew_session"}

    def at_call(verb: str, _: int) -> None:
        if verb in writes and not turned:
            turned.append(refresh(world.services, grant))

    store = FaultyStore(world.keyturn.store, at_call=at_call)
    renewed = ask(world, act, grant, world.with_providers("google", "oidc", store=store).services)
    assert len(turned) == 1
    assert_refuses(world, turned[0])
    assert_refuses(world, grant)
    assert_works(world.keyturn, renewed)


@EVERY_ACT
def test_renewal_that_is_two_turns_behind_is_refused(federated: Federated, act: str) -> None:
    """Two windows pass while the request is under way: what it presented is a copy by then. Nothing has changed."""
    world = federated
    link(world.services, sign_up(world.services), "oidc", code_for(world.oidc, Person("mine", "mine@else.example")))
    grant = log_in(world.services)
    held = [grant]
    writes = {"change_password", "link_identity", "unlink_identity", "renew_session"}

    def at_call(verb: str, _: int) -> None:
        if verb in writes:
            world.keyturn.clock.advance(21)
            held.append(refresh(world.services, held[-1]))

    before = contents(world.keyturn.store)
    store = FaultyStore(world.keyturn.store, at_call=at_call)
    with pytest.raises(InvalidGrant):
        ask(world, act, grant, world.with_providers("google", "oidc", store=store).services)
    after = contents(world.keyturn.store)
    assert (after.logins, after.markers) == (before.logins, before.markers)
    assert_works(world.keyturn, held[-1])
    assert "refresh_token_reused" not in world.keyturn.audit.names()


@EVERY_ACT
def test_lost_answer_of_a_renewal_means_logging_in_again(world: Federated, act: str) -> None:
    """The change stands and the new credential is not known: the old one is dead, and the next login works.

    The owner's list says that it may have been changed: no retry would find anything to tell.
    """
    grant = log_in(world.services)
    store = FaultyStore(world.keyturn.store)
    for verb in ("change_password", "link_identity", "unlink_identity", "renew_session"):
        store.fail_after(verb)
    with pytest.raises(Unavailable):
        ask(world, act, grant, world.with_providers("google", "oidc", store=store).services)
    assert_refuses(world, grant)
    told = [event["what"] for name, event in world.keyturn.audit.events if name == "access_may_have_changed"]
    what = {"password change": "password_changed", "link": "identity_linked", "unlink": "identity_unlinked"}
    assert told == ([what[act]] if act in what else [])
    assert_works(world.keyturn, log_in(world.services, NEW_PASSWORD if act == "password change" else PASSWORD))


@EVERY_ACT
def test_renewal_that_failed_before_its_write_costs_nothing(world: Federated, act: str) -> None:
    """The session's credential is as good as before, and so is the retry."""
    grant = log_in(world.services)
    store = FaultyStore(world.keyturn.store)
    for verb in ("change_password", "link_identity", "unlink_identity", "renew_session"):
        store.fail_before(verb)
    with pytest.raises(Unavailable):
        ask(world, act, grant, world.with_providers("google", "oidc", store=store).services)
    renewed = ask(world, act, grant)
    assert_works(world.keyturn, renewed)


@EVERY_ACT
def test_signing_key_that_is_away_costs_no_credential(federated: Federated, act: str) -> None:
    """The answer is signed before anything is written."""
    world = federated
    link(world.services, sign_up(world.services), "oidc", code_for(world.oidc, Person("mine", "mine@else.example")))
    grant = log_in(world.services)
    principal, presented = holder(world.services, grant), decoded(world.services, grant)
    before = contents(world.keyturn.store)
    cold = without_signing_key(world.with_providers("google", "oidc"))
    with pytest.raises(Unavailable):
        ACTS[act][0](world, cold, principal, presented)
    world.keyturn.parameters.away = False
    after = contents(world.keyturn.store)
    assert (after.logins, after.sessions) == (before.logins, before.sessions)
    assert_works(world.keyturn, grant)


def test_password_change_authenticates_anew_and_a_link_does_not(world: Federated) -> None:
    """`auth_time` and `amr` of the answer: the current password was given just now; a link says nothing new."""
    world.keyturn.clock.advance(300)
    grant = log_in(world.services)
    begun = world.keyturn.clock.now()
    world.keyturn.clock.advance(300)
    linked = ask(world, "link", grant)
    changed = ask(world, "password change", linked)
    times = [world.keyturn.authorize(bearer(changed)).auth_time]
    session = world.keyturn.store.find_session(grant.account.sub, grant.session_id)
    assert session
    assert [*times, session.auth_time] == [begun + 300] * 2
    claims = world.services.access_tokens.verify(bearer(linked), world.keyturn.clock.now())
    assert (claims.auth_time, claims.amr) == (begun, ("pwd",))


@EVERY_TRANSPORT
def test_redirect_link_renews_by_the_callbacks_cookie(world: Federated, transport: Transport) -> None:
    """The callback that carries the session's cookie answers with its next credential; one without it with none."""
    grant = log_in(world.services, transport=transport)
    browser = world.browser()
    query = world.google.approve(browser.begin_linking(grant), ELSE)
    returned = browser.come_back(query, carried=decoded(world.services, grant))
    assert returned.linked
    assert returned.grant is not None
    assert returned.grant.session_id == grant.session_id
    assert_refuses(world, grant)
    assert_works(world.keyturn, returned.grant)
    unlinked = unlink(world.services, returned.grant, "google")
    query = world.google.approve(browser.begin_linking(unlinked), ELSE)
    bare = browser.come_back(query)
    assert (bare.linked, bare.grant, bare.error) == (True, None, None)
    assert_works(world.keyturn, unlinked)


def test_dead_session_is_renewed_by_nothing(world: Federated) -> None:
    """Its own credential is refused as the session is: InvalidToken, whatever the act."""
    grant = log_in(world.services)
    log_out(world.services, grant)
    for act in ACTS:
        with pytest.raises(InvalidToken):
            ask(world, act, grant)
    assert_dead(world.keyturn, grant)
    with pytest.raises(InvalidCredentials):
        log_in(world.services, NEW_PASSWORD)


@EVERY_ACT
@pytest.mark.parametrize("verb", ["find_session_and_account", "find_login", "change_password", "renew_session"])
def test_logout_everywhere_during_a_renewal_leaves_no_session(federated: Federated, act: str, verb: str) -> None:
    """Between whichever reads the epoch moves: no renewal takes a dead session along into the next epoch."""
    world = federated
    link(world.services, sign_up(world.services), "oidc", code_for(world.oidc, Person("mine", "mine@else.example")))
    grant = log_in(world.services)
    once = iter([None])

    def at_call(made: str, _: int) -> None:
        if made == verb:
            for _nothing in once:
                world.services.accounts.log_out_everywhere(holder(world.services, grant), CLIENT)

    store = FaultyStore(world.keyturn.store, at_call=at_call)
    answered: list[Grant] = []
    with suppress(InvalidToken, InvalidGrant, Unavailable):
        answered.append(ask(world, act, grant, world.with_providers("google", "oidc", store=store).services))
    if next(once, 0) is None:
        return  # the act does not call this verb
    assert_dead(world.keyturn, *answered, grant)
    account = world.keyturn.store.find_account(grant.account.sub)
    assert account
    assert all(
        not one.lives(account.epoch, world.keyturn.clock.now())
        for one in contents(world.keyturn.store).sessions.values()
    )


def test_first_password_renews_in_every_transport() -> None:
    """Of an account that a provider has opened: the credential of before is dead, the answer's works."""
    for transport in TRANSPORTS:
        world = Federated.over(FakeStore())
        grant = exchange(world.services, world.google, Person(email=EMAIL), transport=transport)
        renewed = change_password(world.services, grant, None)
        assert_refuses(world, grant)
        assert_works(world.keyturn, renewed)
        assert_works(world.keyturn, log_in(world.services, NEW_PASSWORD))
