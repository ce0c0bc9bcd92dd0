"""The blacklist's arithmetic: whatever is denied stays denied, however many there are, and nothing is dead at birth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.denials import DENIED_SESSIONS, KEPT, SETTLED, Denials
from chalicelib.errors import InvalidToken, Unavailable
from tests.flows.steps import (
    assert_dead,
    assert_works,
    bearer,
    deny_sessions,
    log_in,
    log_out,
    redeployed,
    refresh,
    sign_up,
)
from tests.flows.tables import fill_blacklist
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from chalicelib.services.sessions.grants import Grant


def long_lived_tokens(keyturn: Keyturn) -> Keyturn:
    """A deployment whose access tokens live for an hour: as long as the setting takes."""
    return redeployed(keyturn, access_ttl=3600)


def many_logouts(keyturn: Keyturn, count: int, apart: int = 300) -> list[Grant]:
    """So many sessions of the account, each ended, so many seconds after the one before."""
    grants = []
    for _ in range(count):
        keyturn.clock.advance(apart)
        if isinstance(keyturn.store, FakeStore):
            keyturn.store.attempts.clear()  # nobody logs in so often; the limiter would say so
        grants.append(log_in(keyturn.services))
        log_out(keyturn.services, grants[-1])
    return grants


def overflow(keyturn: Keyturn, sub: str) -> None:
    """Let so many sessions of the user be ended that the list is compacted. They need not exist for that."""
    now, sessions = keyturn.clock.now(), keyturn.services.sessions
    for number in range(DENIED_SESSIONS + 1):
        sessions.end(sub, f"overflow-{now}-{number}")


def denied(keyturn: Keyturn, grant: Grant) -> Denials:
    """The list of the grant's user."""
    return keyturn.store.find_denials(grant.account.sub)


def test_full_blacklist_denies_by_time(anywhere: Keyturn) -> None:
    """Names of long ago give way to a moment before which everything is denied; who refreshes afterwards goes on."""
    keyturn = long_lived_tokens(anywhere)
    here, other = sign_up(keyturn.services), log_in(keyturn.services)
    fill_blacklist(keyturn.store, here.account.sub)
    keyturn.clock.advance(60)
    log_out(keyturn.services, here)
    assert_dead(keyturn, here)
    with pytest.raises(InvalidToken):
        keyturn.authorize(other.access_token)
    assert_works(keyturn, refresh(keyturn.services, other))
    held = denied(keyturn, here)
    assert held.issued_before == keyturn.clock.now() - SETTLED
    assert ([name.partition("#")[2] for name in held.sessions], held.tokens) == ([here.session_id], frozenset())


@pytest.mark.parametrize("count", [DENIED_SESSIONS, DENIED_SESSIONS + 1, 2 * DENIED_SESSIONS + 5, 200])
def test_every_one_of_many_logouts_holds(keyturn: Keyturn, count: int) -> None:
    """Logouts beyond the list's room are denied as the first ones are, for as long as their tokens would live."""
    long = long_lived_tokens(keyturn)
    survivor = sign_up(long.services)
    grants = many_logouts(long, count, apart=10)
    assert_dead(long, *grants)
    assert_works(long, refresh(long.services, survivor))


def test_many_logouts_hold_on_a_real_table(anywhere: Keyturn) -> None:
    """The same where the sets are DynamoDB's, with the last name on the list and the first moment."""
    long = long_lived_tokens(anywhere)
    survivor = sign_up(long.services)
    overflow(long, survivor.account.sub)
    long.clock.advance(31)
    grants = many_logouts(long, 3, apart=31)
    assert_dead(long, *grants)
    assert_works(long, refresh(long.services, survivor))
    assert len(denied(long, survivor).sessions) <= DENIED_SESSIONS


@pytest.mark.parametrize("many", [1, 3])
@pytest.mark.parametrize("apart", [0, 1, SETTLED, 2 * SETTLED + 1])
def test_overflow_between_denial_and_deletion_revives_nothing(anywhere: Keyturn, many: int, apart: int) -> None:
    """Others fill the list again and again just after a session is denied: its access tokens stay dead."""
    keyturn = long_lived_tokens(anywhere)
    grant, other = sign_up(keyturn.services), log_in(keyturn.services)
    newest: list[Grant] = []

    def at_call(verb: str, _: int) -> None:
        if verb == "delete_session" and not newest:
            newest.append(refresh(keyturn.services, grant))  # a request that was under way gets its answer last
            for _ in range(many):
                overflow(keyturn, grant.account.sub)

    racing = Keyturn(
        FaultyStore(keyturn.store, at_call=at_call), keyturn.clock, keyturn.parameters, config=keyturn.config
    )
    log_out(racing.services, grant)
    assert_dead(keyturn, *newest, grant)
    keyturn.clock.advance(apart)
    overflow(keyturn, grant.account.sub)
    assert_dead(keyturn, *newest, grant)
    keyturn.clock.advance(SETTLED + 1)
    assert_works(keyturn, refresh(keyturn.services, other))


def test_token_of_the_second_of_an_overflow_stays_denied(anywhere: Keyturn) -> None:
    """One access token that was revoked: an overflow of sessions in the same second does not bring it back."""
    keyturn = long_lived_tokens(anywhere)
    grant = sign_up(keyturn.services)
    keyturn.services.revocation.revoke(bearer(grant), CLIENT)
    for apart in (0, 1, 2 * SETTLED, 1, 600):
        keyturn.clock.advance(apart)
        overflow(keyturn, grant.account.sub)
        with pytest.raises(InvalidToken):
            keyturn.authorize(grant.access_token)
    assert_works(keyturn, refresh(keyturn.services, grant))


@pytest.mark.parametrize("born", ["login", "refresh", "refresh again", "before"])
@pytest.mark.parametrize("many", [1, 4])
def test_access_token_of_the_second_of_an_overflow_works(anywhere: Keyturn, born: str, many: int) -> None:
    """A 200 with an access token that is dead at birth helps nobody: what is issued in that very second is accepted."""
    here = sign_up(anywhere.services)
    fill_blacklist(anywhere.store, here.account.sub)
    anywhere.clock.advance(900)
    last = refresh(anywhere.services, here) if born == "before" else here
    for _ in range(many):
        log_out(anywhere.services, log_in(anywhere.services))
    assert denied(anywhere, here).issued_before > 0
    if born == "login":
        last = log_in(anywhere.services)
    elif born != "before":
        last = refresh(anywhere.services, here)
    if born == "refresh again":
        last = refresh(anywhere.services, last)
    assert anywhere.authorize(last.access_token).sid == last.session_id


def test_names_that_have_expired_do_not_count(keyturn: Keyturn) -> None:
    """A list that is full of names whose tokens are long gone has room: nobody is denied by a moment for them."""
    survivor = sign_up(keyturn.services)
    fill_blacklist(keyturn.store, survivor.account.sub)
    keyturn.clock.advance(KEPT)
    grant = refresh(keyturn.services, survivor)
    keyturn.clock.advance(60)
    ended = log_in(keyturn.services)
    log_out(keyturn.services, ended)
    held = denied(keyturn, grant)
    assert (held.issued_before, len(held.sessions), held.tokens) == (0, 1, frozenset())
    assert keyturn.authorize(grant.access_token).sid == grant.session_id
    assert_dead(keyturn, ended)


def test_names_that_count_stay_where_others_have_expired(keyturn: Keyturn) -> None:
    """Of a full list, what is over goes first; what is not stays by its name, and no moment is set."""
    survivor = sign_up(keyturn.services)
    sub, now = survivor.account.sub, keyturn.clock.now()
    deny_sessions(keyturn.store, sub, *[f"old-{number}" for number in range(DENIED_SESSIONS - 5)], now=now)
    keyturn.clock.advance(KEPT - 60)
    survivor = refresh(keyturn.services, survivor)
    ended = many_logouts(keyturn, 5, apart=10)
    keyturn.clock.advance(60)
    ended += many_logouts(keyturn, 1, apart=0)
    held = denied(keyturn, survivor)
    assert (held.issued_before, len(held.sessions)) == (0, 6)
    assert_dead(keyturn, *ended)
    assert keyturn.authorize(survivor.access_token).sid == survivor.session_id


def test_overflow_after_overflow_leaves_the_user_in(keyturn: Keyturn) -> None:
    """Thousands of logouts in an hour: who refreshes after each has an access token that works."""
    grant = sign_up(keyturn.services)
    for _ in range(40):
        keyturn.clock.advance(91)
        overflow(keyturn, grant.account.sub)
        keyturn.clock.advance(SETTLED + 1)
        grant = refresh(keyturn.services, grant)
        assert keyturn.authorize(grant.access_token).sid == grant.session_id


def test_access_tokens_outlive_an_overflow_that_settles(keyturn: Keyturn) -> None:
    """An overflow denies what was issued up to 15 s before it: later tokens go on without a refresh."""
    sub = sign_up(keyturn.services).account.sub
    overflow(keyturn, sub)
    keyturn.clock.advance(2 * SETTLED + 1 + 1)
    grant = log_in(keyturn.services)
    keyturn.clock.advance(SETTLED)
    overflow(keyturn, sub)
    assert keyturn.authorize(grant.access_token).sid == grant.session_id


def test_refresh_while_a_full_list_is_replaced_is_denied() -> None:
    """A session that turns its key between its denial and its deletion, a second later, is denied as well."""
    keyturn = Keyturn(FakeStore())
    grant = sign_up(keyturn.services)
    fill_blacklist(keyturn.store, grant.account.sub)
    late: list[Grant] = []

    def refresh_late(verb: str, _: int) -> None:
        if verb == "delete_session":
            keyturn.clock.advance(1)
            late.append(refresh(keyturn.services, grant))

    racing = Keyturn(FaultyStore(keyturn.store, at_call=refresh_late), keyturn.clock, keyturn.parameters)
    log_out(racing.services, grant)
    assert_dead(keyturn, *late, grant)


@pytest.mark.parametrize("kind", ["sessions", "tokens"])
def test_contended_blacklist_is_unavailable(kind: str) -> None:
    """A logout that cannot get onto the list says so, and has not deleted the session: the retry ends it."""
    keyturn = Keyturn(FakeStore())
    grant = sign_up(keyturn.services)
    sub, now = grant.account.sub, keyturn.clock.now()
    fill_blacklist(keyturn.store, sub)

    def fill(verb: str, nth: int) -> None:
        if verb == "deny_session":
            deny_others(keyturn.store, sub, nth)
        if verb == "replace_denials":  # another entry has come since
            seen = keyturn.store.find_denials(sub)
            name = "sessions" if kind == "sessions" else "tokens"
            assert keyturn.store.replace_denials(sub, seen, seen.with_name(name, f"rival-{nth}", now))  # type: ignore[arg-type]

    def deny_others(store: object, sub: str, nth: int) -> None:
        assert isinstance(store, FakeStore)
        del store.denials[sub]
        fill_blacklist(store, sub, now + nth)

    contended = Keyturn(FaultyStore(keyturn.store, at_call=fill), keyturn.clock, keyturn.parameters)
    with pytest.raises(Unavailable):
        log_out(contended.services, grant)
    assert keyturn.store.find_session(sub, grant.session_id) is not None
    log_out(keyturn.services, grant)
    assert_dead(keyturn, grant)


@pytest.mark.parametrize("end", ["logout", "logout everywhere", "full list"])
def test_denial_outlives_tokens_of_other_settings(end: str) -> None:
    """A deployment that changes ACCESS_TTL brings no token back, though containers of both run side by side."""
    store = FakeStore()
    keyturn = Keyturn(store, config=config(access_ttl=3600))
    grant = sign_up(keyturn.services)
    expires_at = keyturn.authorize(grant.access_token).exp
    shorter = redeployed(keyturn, access_ttl=60)
    sub = grant.account.sub
    if end == "full list":
        fill_blacklist(store, sub)
    if end == "logout everywhere":
        shorter.services.accounts.log_out_everywhere(keyturn.principal(grant.access_token), CLIENT)
    else:
        log_out(shorter.services, grant)
    assert store.denials[sub].expires_at > expires_at
    keyturn.clock.time = expires_at - 1
    with pytest.raises(InvalidToken):
        keyturn.authorize(grant.access_token)


@pytest.mark.parametrize("kind", ["sessions", "tokens"])
def test_list_of_a_version_before_counts_until_its_item_goes(kind: str) -> None:
    """Names without a time are believed as long as the item is there, and expire with it."""
    store = FakeStore()
    keyturn = Keyturn(store)
    grant, other = sign_up(keyturn.services), log_in(keyturn.services)
    claims = keyturn.authorize(grant.access_token)
    names = frozenset({claims.sid if kind == "sessions" else claims.jti, *(f"old-{number}" for number in range(9))})
    goes_at = keyturn.clock.now() + 600
    listed: dict[str, frozenset[str]] = {kind: names}
    store.denials[grant.account.sub] = Denials(**listed, expires_at=goes_at)  # type: ignore[arg-type]
    with pytest.raises(InvalidToken):
        keyturn.authorize(grant.access_token)
    log_out(keyturn.services, other)
    assert_dead(keyturn, other)
    with pytest.raises(InvalidToken):
        keyturn.authorize(grant.access_token)
