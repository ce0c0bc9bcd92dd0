"""A credential acts only while its session lives: a dead one changes nothing anywhere, and leaves no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.denials import DENIED_SESSIONS
from chalicelib.errors import InvalidCredentials
from chalicelib.services.federation.log_in import SessionRequest
from tests.flows.contents import contents
from tests.flows.federated import Federated, code_for
from tests.flows.steps import (
    assert_dead,
    assert_works,
    bearer,
    change_password,
    credentials,
    decoded,
    link,
    log_in,
    log_out,
    long_lived,
    refresh,
    sign_up,
    unlink,
)
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.access_tokens import AccessTokenClaims
    from chalicelib.domain.callers import Transport
    from chalicelib.services.sessions.grants import Grant

READS = {"find_session_and_account", "find_account", "find_session", "find_login", "find_identity"}
TRANSPORTS: tuple[Transport, ...] = ("cookie", "body", "session")
GUEST = Person("guest", "somewhere@else.example")


def claims_of(keyturn: Keyturn, grant: Grant) -> AccessTokenClaims:
    """What the grant's access token says, expired or not."""
    return keyturn.services.access_tokens.verify(bearer(grant), keyturn.clock.now(), accept_expired=True)


def _logged_out(world: Federated, grant: Grant) -> None:
    log_out(world.services, grant)


def _logged_out_everywhere(world: Federated, grant: Grant) -> None:
    principal = world.keyturn.principal(log_in(world.services).access_token)
    assert principal.sub == grant.account.sub
    world.services.accounts.log_out_everywhere(principal, CLIENT)


def _password_changed_elsewhere(world: Federated, _: Grant) -> None:
    change_password(world.services, log_in(world.services), new="correct horse battery")


def _password_changed_here(world: Federated, grant: Grant) -> None:
    change_password(world.services, grant, new="correct horse battery")


def _disabled(world: Federated, grant: Grant) -> None:
    world.services.accounts.disable(grant.account.sub, CLIENT)


def _idle(world: Federated, _: Grant) -> None:
    world.keyturn.clock.advance(world.keyturn.config.sessions.idle_ttl)


def _item_is_gone(world: Federated, grant: Grant) -> None:
    world.keyturn.store.delete_session(grant.account.sub, grant.session_id)


def _linked(world: Federated, grant: Grant) -> None:
    assert link(world.services, grant, "google", code_for(world.google, GUEST)).session_id == grant.session_id


def _unlinked(world: Federated, grant: Grant) -> None:
    other = log_in(world.services)
    link(world.services, other, "google", code_for(world.google, GUEST))
    unlink(world.services, grant, "google")


# Each way to die, and whether the session's access tokens die with it: a renewal that leaves the epoch alone renews the
# long-lived credential, and an access token of before goes on until it expires.
DEATHS: dict[str, tuple[Callable[[Federated, Grant], None], bool]] = {
    "logged out": (_logged_out, True),
    "logged out everywhere": (_logged_out_everywhere, True),
    "password changed elsewhere": (_password_changed_elsewhere, True),
    "password changed here": (_password_changed_here, True),
    "disabled": (_disabled, True),
    "idle": (_idle, True),
    "item is gone": (_item_is_gone, True),
    "linked": (_linked, False),
    "unlinked": (_unlinked, False),
}


def dead(world: Federated, death: str, transport: Transport) -> Grant:
    """A grant whose long-lived credential is dead, by this death."""
    sign_up(world.services)
    grant = log_in(world.services, transport=transport)
    DEATHS[death][0](world, grant)
    return grant


def assert_nothing_happens(world: Federated, store: FaultyStore, act: Callable[[], object]) -> None:
    """The act writes nothing and is no event, beside what a login writes."""
    before, events = contents(world.keyturn.store), world.keyturn.audit.names()
    store.calls.clear()
    act()
    assert set(store.verbs) <= READS, store.verbs
    assert contents(world.keyturn.store) == before
    assert world.keyturn.audit.names() == events


def watched(world: Federated) -> tuple[Keyturn, FaultyStore]:
    """A container over the same table, whose calls are known."""
    store = FaultyStore(world.keyturn.store)
    return world.with_providers("google", store=store), store


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("death", DEATHS)
def test_dead_long_lived_credential_changes_nothing(
    federated_anywhere: Federated, death: str, transport: Transport
) -> None:
    """At logout, at revocation, in whichever transport: reads alone, and no event."""
    world = federated_anywhere
    grant = dead(world, death, transport)
    keyturn, store = watched(world)
    presented, text = decoded(world.services, grant), long_lived(grant).refresh_token
    assert_nothing_happens(world, store, lambda: keyturn.services.sessions.log_out([presented], None, CLIENT))
    assert len(store.calls) == 1
    assert_nothing_happens(world, store, lambda: keyturn.services.revocation.revoke(text, CLIENT))
    assert len(store.calls) == 1


@pytest.mark.parametrize("transport", ["cookie", "body"])
@pytest.mark.parametrize("death", [name for name, (_, with_tokens) in DEATHS.items() if with_tokens])
def test_access_token_of_a_dead_session_changes_nothing(
    federated_anywhere: Federated, death: str, transport: Transport
) -> None:
    """Neither one that is denied nor one that has expired; together with the session's dead refresh token, too."""
    world = federated_anywhere
    grant = dead(world, death, transport)
    keyturn, store = watched(world)
    presented, claims = decoded(world.services, grant), claims_of(world.keyturn, grant)
    for _ in range(2):
        assert_nothing_happens(world, store, lambda: keyturn.services.sessions.log_out([], claims, CLIENT))
        assert_nothing_happens(world, store, lambda: keyturn.services.sessions.log_out([presented], claims, CLIENT))
        assert_nothing_happens(world, store, lambda: keyturn.services.revocation.revoke(bearer(grant), CLIENT))
        world.keyturn.clock.advance(world.keyturn.config.sessions.access_ttl)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("death", [name for name in DEATHS if name not in {"disabled", "idle"}])
@pytest.mark.parametrize("way", ["password", "provider", "sign-up"])
def test_login_that_carries_a_dead_credential_ends_nothing(
    federated: Federated, death: str, transport: Transport, way: str
) -> None:
    """Whichever way somebody logs in: the new session is all that is written, and its event all that is told."""
    world = federated
    grant = dead(world, death, transport)
    world.log_in(world.oidc, Person("known", "carol@example.com"))
    keyturn, store = watched(world)
    keyturn = world.with_providers("google", "oidc", store=store)
    carried = decoded(world.services, grant)
    before, events = contents(world.keyturn.store), world.keyturn.audit.names()
    if way == "password":
        log_in(keyturn.services, carried=carried)
    elif way == "provider":
        visit = SessionRequest(transport="body", caller=CLIENT, carried=(carried,))
        keyturn.services.exchange_code("oidc", code_for(world.oidc, Person("known", "")), visit)
    else:
        sign_up(keyturn.services, email="dave@example.com", carried=carried)
    assert not {"deny_session", "replace_denials", "delete_session", "delete_sessions"} & set(store.verbs)
    after = contents(world.keyturn.store)
    assert after.denials == before.denials
    assert before.sessions.items() <= after.sessions.items()
    assert len(world.keyturn.audit.names()) == len(events) + 1


def test_dead_tokens_do_not_overflow_the_blacklist(anywhere: Keyturn) -> None:
    """More tokens of before a password change than the list has names, each sent to logout and revocation twice.

    No access token of the user is denied for them, the one that the change has answered included.
    """
    sign_up(anywhere.services)
    old = []
    for _ in range(DENIED_SESSIONS + 1):
        anywhere.clock.advance(300)
        old.append(log_in(anywhere.services))
    changed = change_password(anywhere.services, old[0])
    before = anywhere.store.find_denials(changed.account.sub)
    for _ in range(2):
        for grant in old:
            log_out(anywhere.services, grant)
            anywhere.services.sessions.log_out([], claims_of(anywhere, grant), CLIENT)
            anywhere.services.revocation.revoke(long_lived(grant).refresh_token, CLIENT)
            anywhere.services.revocation.revoke(bearer(grant), CLIENT)
    held = anywhere.store.find_denials(changed.account.sub)
    assert (held, held.expires_at) == (before, before.expires_at)
    assert anywhere.authorize(changed.access_token).sid == changed.session_id
    assert_works(anywhere, changed)
    assert_dead(anywhere, *old)


@pytest.mark.parametrize("death", DEATHS)
def test_logouts_with_one_dead_token_leave_the_owners_list_alone(federated: Federated, death: str) -> None:
    """Fifty of them are no event: nothing is pushed off the list of what has happened."""
    grant = dead(federated, death, "cookie")
    events = federated.keyturn.audit.names()
    for _ in range(50):
        log_out(federated.services, grant)
        federated.services.revocation.revoke(long_lived(grant).refresh_token, CLIENT)
    assert federated.keyturn.audit.names() == events


@pytest.mark.parametrize("age", ["held", "predecessor", "three behind"])
@pytest.mark.parametrize("way", ["logout", "revocation"])
def test_any_generation_of_a_living_session_ends_it(anywhere: Keyturn, age: str, way: str) -> None:
    """What was turned is not dead: whoever has it in a jar or in a log may end its session."""
    grants = [sign_up(anywhere.services)]
    for _ in range(3):
        anywhere.clock.advance(60)
        grants.append(refresh(anywhere.services, grants[-1]))
    grant = grants[{"held": 3, "predecessor": 2, "three behind": 0}[age]]
    other = log_in(anywhere.services)
    if way == "logout":
        log_out(anywhere.services, grant)
    else:
        anywhere.services.revocation.revoke(long_lived(grant).refresh_token, CLIENT)
    assert anywhere.audit.names()[-1] == ("logged_out" if way == "logout" else "token_revoked")
    assert_dead(anywhere, *reversed(grants))
    assert_works(anywhere, other)


def test_generation_on_the_floor_ends_the_session(anywhere: Keyturn) -> None:
    """The floor itself is the first that stands, as long as the session lives, and so is every one after it."""
    changed = change_password(anywhere.services, sign_up(anywhere.services))
    anywhere.clock.advance(60)
    turned = refresh(anywhere.services, changed)
    log_out(anywhere.services, changed)
    assert_dead(anywhere, turned, changed)


@pytest.mark.parametrize("later", [0, 900, 86400])
def test_access_token_of_a_living_session_ends_it_at_logout(anywhere: Keyturn, later: int) -> None:
    """A fresh one and one that has expired (ASVS V7.4.4)."""
    grant, other = sign_up(anywhere.services), log_in(anywhere.services)
    anywhere.clock.advance(later)
    anywhere.services.sessions.log_out([], claims_of(anywhere, grant), CLIENT)
    assert_dead(anywhere, grant)
    assert_works(anywhere, refresh(anywhere.services, other))


def test_access_token_of_before_a_link_still_logs_out(federated_anywhere: Federated) -> None:
    """Linking renews the long-lived credential; an access token of before is of a living session, and ends it."""
    world = federated_anywhere
    grant = sign_up(world.services)
    linked = link(world.services, grant, "google", code_for(world.google, GUEST))
    world.services.sessions.log_out([], claims_of(world.keyturn, grant), CLIENT)
    assert_dead(world.keyturn, linked, grant)


def test_each_credential_of_a_logout_is_judged_by_itself(anywhere: Keyturn) -> None:
    """A browser with two cookies and a bearer: of three sessions, those end that live, each with its event."""
    here, gone, by_bearer = sign_up(anywhere.services), log_in(anywhere.services), log_in(anywhere.services)
    left = log_in(anywhere.services)
    log_out(anywhere.services, gone)
    presented = [decoded(anywhere.services, grant) for grant in (here, gone)]
    anywhere.services.sessions.log_out(presented, claims_of(anywhere, by_bearer), CLIENT)
    ended = [facts["sid"] for name, facts in anywhere.audit.events if name == "logged_out"]
    assert sorted(ended) == sorted([gone.session_id, here.session_id, by_bearer.session_id])
    assert_dead(anywhere, here, by_bearer, gone)
    assert_works(anywhere, left)


def test_dead_and_living_credential_of_one_session_end_it_once(anywhere: Keyturn) -> None:
    """The refresh token is from before the renewal, the bearer from after it: the session ends, and is told once."""
    grant = sign_up(anywhere.services)
    changed = change_password(anywhere.services, grant)
    presented, claims = decoded(anywhere.services, grant), claims_of(anywhere, changed)
    anywhere.services.sessions.log_out([presented], claims, CLIENT)
    assert anywhere.audit.names().count("logged_out") == 1
    assert_dead(anywhere, changed, grant)


def test_dead_credential_is_no_way_to_end_somebody_elses_login(keyturn: Keyturn) -> None:
    """A refused login with a carried session, dead or alive, ends nothing and reads no session."""
    held = sign_up(keyturn.services)
    store = FaultyStore(keyturn.store)
    racing = Keyturn(store, keyturn.clock, keyturn.parameters)
    for carried in (held, log_in(keyturn.services)):
        with pytest.raises(InvalidCredentials):
            racing.services.log_in(credentials("wrong horse", carried=decoded(keyturn.services, carried)), CLIENT)
        assert_works(keyturn, carried)
    assert "find_session_and_account" not in store.verbs


def test_absolute_limit_is_a_death_too() -> None:
    """A session over its absolute limit that was used a moment ago."""
    keyturn = Keyturn(FakeStore(), config=config(idle_ttl=600, absolute_ttl=900))
    grant = sign_up(keyturn.services)
    keyturn.clock.advance(500)
    grant = refresh(keyturn.services, grant)
    keyturn.clock.advance(400)
    events = keyturn.audit.names()
    log_out(keyturn.services, grant)
    keyturn.services.sessions.log_out([], claims_of(keyturn, grant), CLIENT)
    assert keyturn.audit.names() == events
    assert keyturn.store.find_denials(grant.account.sub).sessions == frozenset()
    log_in(keyturn.services, carried=decoded(keyturn.services, grant))
    assert keyturn.store.find_denials(grant.account.sub).sessions == frozenset()
