"""Refreshing inside the window: the key turns once, one successor for each token, whoever asks, however often."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.callers import Caller
from chalicelib.errors import InvalidGrant, InvalidToken, Unavailable
from tests.flows.steps import (
    ELSEWHERE,
    assert_dead,
    assert_works,
    bearer,
    change_password,
    decoded,
    device_token,
    generation_of,
    log_in,
    long_lived,
    publish_keys,
    redeployed,
    refresh,
    sign_up,
    without_signing_key,
)
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from chalicelib.domain.sessions import Session
    from chalicelib.services.sessions.grants import Grant

WINDOW = 20


def text_of(grant: Grant) -> str:
    """The refresh token as the client keeps it."""
    return long_lived(grant).refresh_token


def session_of(keyturn: Keyturn, grant: Grant) -> Session | None:
    """The grant's session as the table holds it."""
    return keyturn.store.find_session(grant.account.sub, grant.session_id)


def test_each_refresh_turns_the_key(anywhere: Keyturn) -> None:
    """Refresh token, access token and generation move on; session, CSRF token, auth_time and amr stay."""
    first = sign_up(anywhere.services)
    authenticated_at = anywhere.clock.now()
    grant = first
    for generation in (1, 2, 3):
        anywhere.clock.advance(900)
        successor = refresh(anywhere.services, grant)
        assert text_of(successor) != text_of(grant)
        assert generation_of(anywhere, successor) == generation
        claims = anywhere.authorize(successor.access_token)
        assert (claims.sid, claims.iat, claims.auth_time) == (first.session_id, anywhere.clock.now(), authenticated_at)
        assert claims.amr == ("pwd",)
        assert long_lived(successor).csrf_token == long_lived(first).csrf_token
        grant = successor


@pytest.mark.parametrize("later", [0, 1, WINDOW])
def test_losers_of_a_race_get_the_same_successor(anywhere: Keyturn, later: int) -> None:
    """Up to the window's last second an old token is answered with its successor, byte for byte; nothing is written.

    Tabs that lose a race stay logged in (keycloak #14122, okta-auth-js #717).
    """
    first = sign_up(anywhere.services)
    winner = refresh(anywhere.services, first)
    held = anywhere.store.find_session(first.account.sub, first.session_id)
    anywhere.clock.advance(later)
    for _ in range(3):
        loser = refresh(anywhere.container(), first)
        assert text_of(loser) == text_of(winner)
        assert anywhere.authorize(loser.access_token).sid == first.session_id
    assert anywhere.store.find_session(first.account.sub, first.session_id) == held
    assert_works(anywhere, winner)


def test_window_does_not_slide(anywhere: Keyturn) -> None:
    """It is counted from the rotation, whatever was answered since: at 21 s the old token is a thief's."""
    first = sign_up(anywhere.services)
    winner = refresh(anywhere.services, first)
    for _ in range(WINDOW // 5):
        anywhere.clock.advance(5)
        assert text_of(refresh(anywhere.services, first)) == text_of(winner)
    anywhere.clock.advance(1)
    with pytest.raises(InvalidGrant):
        refresh(anywhere.services, first)
    assert_dead(anywhere, winner, first)


def test_key_turns_once_a_window(anywhere: Keyturn) -> None:
    """The token held, presented again inside the window, is answered with itself, byte for byte; nothing is written."""
    first = sign_up(anywhere.services)
    held = refresh(anywhere.services, first)
    item = session_of(anywhere, first)
    for later in (0, 1, WINDOW - 1):
        anywhere.clock.advance(later)
        again = refresh(anywhere.container(), held)
        assert text_of(again) == text_of(held)
        assert long_lived(again).csrf_token == long_lived(held).csrf_token
        assert anywhere.authorize(again.access_token).iat == anywhere.clock.now()
        assert bearer(again) != bearer(held)
    assert session_of(anywhere, first) == item
    anywhere.clock.advance(1)
    turned = refresh(anywhere.services, held)
    assert text_of(turned) != text_of(held)
    assert generation_of(anywhere, first) == 2


def test_first_token_turns_at_once(anywhere: Keyturn) -> None:
    """A session that was never turned is in no window: a page that refreshes right after its login turns the key."""
    first = sign_up(anywhere.services)
    assert text_of(refresh(anywhere.services, first)) != text_of(first)
    assert generation_of(anywhere, first) == 1


@pytest.mark.parametrize("order", list(permutations("ABC")), ids="".join)
@pytest.mark.parametrize("apart", [0, 1, WINDOW // 3])
def test_tabs_in_any_order_lose_nothing(anywhere: Keyturn, order: tuple[str, ...], apart: int) -> None:
    """A and B hold g; C has just got g + 1: whichever request is handled first, inside a window all hold one token.

    A turns g, then C presents g + 1, then B presents g: two generations behind, were the key turned for C
    (supabase/auth #1318, auth0/nextjs-auth0 #142).
    """
    old = refresh(anywhere.services, sign_up(anywhere.services))
    anywhere.clock.advance(900)
    held = refresh(anywhere.services, old)  # C's own answer; A's and B's requests are on their way with the old token
    holds = {"A": old, "B": old, "C": held}
    for tab in order:
        holds[tab] = refresh(anywhere.container(), holds[tab])
        anywhere.clock.advance(apart)
    assert {text_of(grant) for grant in holds.values()} == {text_of(held)}
    assert set(anywhere.audit.names()) == {"signed_up"}
    assert_works(anywhere, holds["B"])


@pytest.mark.parametrize("order", list(permutations("ABCD")), ids="".join)
def test_tabs_that_restore_together_lose_nothing(keyturn: Keyturn, order: tuple[str, ...]) -> None:
    """Each presents what the browser holds by then, or held when the tab began, in any order of the answers."""
    began = refresh(keyturn.services, sign_up(keyturn.services))
    keyturn.clock.advance(900)
    jar = began
    for place, tab in enumerate(order):
        holds = began if tab in "AB" else jar  # C and D are late enough to find the newest cookie
        answer = refresh(keyturn.container(), holds)
        jar = answer
        keyturn.clock.advance(place)
    assert generation_of(keyturn, began) == 2
    assert set(keyturn.audit.names()) == {"signed_up"}
    assert_works(keyturn, jar)


@pytest.mark.parametrize("behind", [1, 5])
def test_clocks_that_differ_turn_nothing_twice(anywhere: Keyturn, behind: int) -> None:
    """A container whose clock is behind finds the last turn ahead of it: that is inside the window."""
    first = sign_up(anywhere.services)
    held = refresh(anywhere.services, first)
    anywhere.clock.advance(-behind)
    for grant in (held, first):
        assert text_of(refresh(anywhere.container(), grant)) == text_of(held)
    assert generation_of(anywhere, first) == 1


def test_window_of_zero_answers_nobody_twice() -> None:
    """With a window of 0 the held token turns each time, and the second use of a token ends the session at once."""
    keyturn = Keyturn(FakeStore(), config=config(rotation_window=0))
    first = sign_up(keyturn.services)
    grant = first
    for generation in (1, 2, 3):
        turned = refresh(keyturn.services, grant)
        assert text_of(turned) != text_of(grant)
        assert generation_of(keyturn, first) == generation
        grant, earlier = turned, grant
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, earlier)
    assert_dead(keyturn, grant, earlier, first)
    assert keyturn.audit.names()[-1] == "refresh_token_reused"


@pytest.mark.parametrize("later", [0, 1, 3600])
def test_window_of_zero_answers_nobody_late(later: int) -> None:
    """No tolerance at all: the session's own device gets no late answer either."""
    keyturn = Keyturn(FakeStore(), config=config(rotation_window=0))
    first = sign_up(keyturn.services)
    winner = refresh(keyturn.services, first)
    keyturn.clock.advance(later)
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, first, device_token=device_token(first))
    assert_dead(keyturn, winner, first)


@pytest.mark.parametrize("device", [True, False])
def test_only_the_immediate_predecessor_is_answered(anywhere: Keyturn, device: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """A token two generations old ends the session inside the window too (regressions: django-oauth-toolkit #1617)."""
    first = sign_up(anywhere.services)
    second = refresh(anywhere.services, first)
    anywhere.clock.advance(WINDOW + 1)
    third = refresh(anywhere.services, second)
    with pytest.raises(InvalidGrant):
        refresh(anywhere.services, first, device_token=device_token(first) if device else None)
    assert_dead(anywhere, third, second, first)


def test_losers_get_the_same_successor_across_key_rotation() -> None:
    """The successor is authenticated by the root secret that the winner used, not by the one of the loser's moment."""
    keyturn = Keyturn(FakeStore(), config=config(rotation_window=60))
    first = sign_up(keyturn.services)
    publish_keys(keyturn)
    keyturn.clock.advance(599)
    winner = refresh(keyturn.container(), first)
    keyturn.clock.advance(2)
    cold = keyturn.container()
    assert cold.refresh_tokens.current_key_id() != text_of(winner).split(".")[1]
    loser = refresh(cold, first)
    assert text_of(loser) == text_of(winner)
    keyturn.clock.advance(60)
    assert text_of(assert_works(keyturn, winner)).split(".")[1] == cold.refresh_tokens.current_key_id()


def test_tokens_of_an_old_root_secret_are_turned_into_new_ones(keyturn: Keyturn) -> None:
    """Key rotation logs nobody out: a token of the old secret works, and its successor is of the new one."""
    grant = sign_up(keyturn.services)
    csrf_token = long_lived(grant).csrf_token
    for _ in range(3):
        publish_keys(keyturn)
        keyturn.clock.advance(601)
        grant = assert_works(keyturn, grant)
        assert keyturn.services.csrf_tokens.verify(csrf_token, grant.session_id)


def test_answer_that_was_lost_is_given_again(anywhere: Keyturn) -> None:
    """The rotation happened and its answer was lost: the retry gets the successor and turns nothing further."""
    first = sign_up(anywhere.services)
    losing = Keyturn(FaultyStore(anywhere.store), anywhere.clock, anywhere.parameters)
    assert isinstance(losing.store, FaultyStore)
    losing.store.fail_after("rotate_refresh_token")
    with pytest.raises(Unavailable):
        refresh(losing.services, first)
    anywhere.clock.advance(WINDOW)
    successor = refresh(anywhere.container(), first)
    assert generation_of(anywhere, first) == 1
    assert_works(anywhere, successor)


ADDRESS, USER_AGENT = (
    Caller(ELSEWHERE.address, CLIENT.user_agent),
    Caller(CLIENT.address, ELSEWHERE.user_agent),
)
CHANGES = [
    (CLIENT, None, {}),
    (ADDRESS, "refresh_from_changed_client", {"what": "address"}),
    (USER_AGENT, "refresh_from_changed_client", {"what": "user_agent"}),
    (ELSEWHERE, "refresh_from_elsewhere", {}),
]


@pytest.mark.parametrize("presented", ["held", "predecessor"])
@pytest.mark.parametrize(("client", "event", "facts"), CHANGES)
def test_answer_to_another_client_is_an_event(
    anywhere: Keyturn, client: Caller, event: str | None, facts: dict[str, str], presented: str
) -> None:
    """Address or user agent differ from the winner's: an event; both: an alarm. Each names the session."""
    first = sign_up(anywhere.services, client=ELSEWHERE)
    winner = refresh(anywhere.services, first)  # whom the last turn was answered to counts, not the login
    token = winner if presented == "held" else first
    assert text_of(refresh(anywhere.services, token, client)) == text_of(winner)
    told = {"caller": client, "sub": first.account.sub, "sid": first.session_id, **facts}
    assert anywhere.audit.events[1:] == ([(event, told)] if event else [])


@pytest.mark.parametrize(("client", "event", "facts"), CHANGES)
def test_every_answer_to_another_client_is_an_event(
    keyturn: Keyturn, client: Caller, event: str | None, facts: dict[str, str]
) -> None:
    """Whoever comes inside the window again and again leaves as many events: the owner's list shows the series."""
    grant = sign_up(keyturn.services)
    for _ in range(5):
        keyturn.clock.advance(3600)
        grant, former = refresh(keyturn.services, grant), grant
        refresh(keyturn.services, former, client)
    assert keyturn.audit.names().count(str(event)) == (5 if event else 0)
    assert all(facts.items() <= told.items() for name, told in keyturn.audit.events if name == event)


@pytest.mark.parametrize("client", [ADDRESS, USER_AGENT, ELSEWHERE])
def test_turn_from_another_client_is_no_event(keyturn: Keyturn, client: Caller) -> None:
    """A phone that has moved turns the key as always; from then on it is the one that was answered last."""
    first = sign_up(keyturn.services)
    winner = refresh(keyturn.services, first, client)
    refresh(keyturn.services, winner, client)
    assert keyturn.audit.names() == ["signed_up"]
    refresh(keyturn.services, winner, CLIENT)
    assert keyturn.audit.names()[1].startswith("refresh_from_")


def test_session_of_a_version_before_is_compared_with_its_login(keyturn: Keyturn) -> None:
    """A session whose last turn kept nobody's digest has the address and user agent of before."""
    first = sign_up(keyturn.services)
    winner = refresh(keyturn.services, first)
    assert isinstance(keyturn.store, FakeStore)
    key = (first.account.sub, first.session_id)
    keyturn.store.sessions[key] = keyturn.store.sessions[key]._replace(answered=b"")
    refresh(keyturn.services, winner)
    assert keyturn.audit.names() == ["signed_up"]
    refresh(keyturn.services, winner, ADDRESS)
    assert keyturn.audit.events[-1][1]["what"] == "address"


def test_nothing_is_written_while_the_key_store_is_away(anywhere: Keyturn) -> None:
    """A container that cannot sign does not turn the key: the client's token is as good as before."""
    first = sign_up(anywhere.services)
    presented = decoded(anywhere.services, first)
    anywhere.parameters.away = True
    for container in (anywhere.container(), without_signing_key(anywhere)):
        with pytest.raises(Unavailable):
            container.refresh(presented, CLIENT)
        assert generation_of(anywhere, first) == 0
    anywhere.parameters.away = False
    assert_works(anywhere, first)


def test_running_containers_outlive_an_hour_without_the_key_store(keyturn: Keyturn) -> None:
    """With the last good keys everything goes on for an hour; then it is 503 until the store is back."""
    grant = sign_up(keyturn.services)
    keyturn.parameters.away = True
    keyturn.clock.advance(3599)
    grant = refresh(keyturn.services, grant)
    keyturn.clock.advance(1)
    with pytest.raises(Unavailable):
        refresh(keyturn.services, grant)
    keyturn.parameters.away = False
    assert_works(keyturn, grant)


@pytest.mark.parametrize("nth", ["find_account", "rotate_refresh_token"])
def test_refresh_that_meets_its_own_password_change_is_refused(anywhere: Keyturn, nth: str) -> None:
    """The change has renewed the credential that the refresh presents: invalid_grant without an event; no theft."""
    first = sign_up(anywhere.services)
    changed: list[Grant] = []

    def change_once(verb: str, _: int) -> None:
        if verb == nth and not changed:
            changed.append(change_password(anywhere.services, first))

    racing = Keyturn(FaultyStore(anywhere.store, at_call=change_once), anywhere.clock, anywhere.parameters)
    with pytest.raises(InvalidGrant):
        refresh(racing.services, first)
    assert racing.audit.names() == []
    assert_works(anywhere, *changed)


def test_token_of_after_a_password_change_is_decided_by_the_account_of_after(keyturn: Keyturn) -> None:
    """The account was read before the change and the session after it: it is read again, and the key turns."""
    first = sign_up(keyturn.services)
    before = keyturn.store.find_account(first.account.sub)
    changed = change_password(keyturn.services, first)
    after = keyturn.store.find_account(first.account.sub)
    for readings, outcome in (((before, after), None), ((before, before), Unavailable)):
        store, read = FaultyStore(keyturn.store), iter(readings)
        store.find_account = lambda _, read=read: next(read)  # type: ignore[attr-defined]  # as it was
        racing = Keyturn(store, keyturn.clock, keyturn.parameters)
        if outcome:
            with pytest.raises(outcome):
                refresh(racing.services, changed)
        else:
            changed = refresh(racing.services, changed)
        assert racing.audit.names() == []
    assert_works(keyturn, changed)


@pytest.mark.parametrize("later", [0, WINDOW, WINDOW + 1, 3600])
@pytest.mark.parametrize("turns", [0, 1, 2])
def test_tokens_of_before_a_renewal_are_dead(anywhere: Keyturn, turns: int, later: int) -> None:
    """Whatever the session held before its password change: invalid_grant, no write, no event, and never a 500.

    Not even the predecessor inside its window is answered: nothing is wrapped for it.
    """
    grants = [sign_up(anywhere.services)]
    for _ in range(turns):
        anywhere.clock.advance(60)
        grants.append(refresh(anywhere.services, grants[-1]))
    changed = change_password(anywhere.services, grants[-1])
    anywhere.clock.advance(later)
    item, events = session_of(anywhere, changed), list(anywhere.audit.names())
    for grant in grants:
        for device in (None, device_token(grants[0])):
            with pytest.raises(InvalidGrant):
                refresh(anywhere.container(), grant, ELSEWHERE, device_token=device)
    assert session_of(anywhere, changed) == item
    assert anywhere.audit.names() == events
    successor = refresh(anywhere.container(), changed)
    assert anywhere.authorize(successor.access_token).sid == changed.session_id


def test_renewal_begins_a_window(anywhere: Keyturn) -> None:
    """The renewed token is answered with itself inside it: a renewal is a turn, and tabs hold what it gave out."""
    changed = change_password(anywhere.services, sign_up(anywhere.services))
    assert text_of(refresh(anywhere.services, changed)) == text_of(changed)
    anywhere.clock.advance(WINDOW + 1)
    assert text_of(refresh(anywhere.services, changed)) != text_of(changed)


@pytest.mark.parametrize("transport", ["body", "cookie"])
def test_transport_survives_rotation(keyturn: Keyturn, transport: str) -> None:
    """A session's tokens travel as its first one did."""
    grant = sign_up(keyturn.services, transport="cookie" if transport == "cookie" else "body")
    for _ in range(3):
        grant = refresh(keyturn.services, grant)
        assert long_lived(grant).transport == transport
        keyturn.clock.advance(WINDOW + 1)


def test_idle_limit_is_counted_from_the_last_rotation(anywhere: Keyturn) -> None:
    """One second before it the session lives and is prolonged; at the limit it is over (ASVS V7.3.1)."""
    idle = anywhere.config.sessions.idle_ttl
    grant = sign_up(anywhere.services)
    for _ in range(3):
        anywhere.clock.advance(idle - 1)
        grant = refresh(anywhere.services, grant)
    anywhere.clock.advance(idle)
    assert_dead(anywhere, grant)


def test_losers_do_not_prolong_the_session() -> None:
    """Answers inside the window write nothing, the idle limit included."""
    keyturn = Keyturn(FakeStore(), config=config(idle_ttl=300, rotation_window=60))
    first = sign_up(keyturn.services)
    winner = refresh(keyturn.services, first)
    keyturn.clock.advance(60)
    assert long_lived(refresh(keyturn.services, first)).expires_in == 240
    keyturn.clock.advance(240)
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, winner)


def test_absolute_limit_ends_a_busy_session(anywhere: Keyturn) -> None:
    """However often it is used, a session ends at its absolute limit, and the cookie with it (ASVS V7.3.2)."""
    tight = redeployed(anywhere, idle_ttl=400, absolute_ttl=1000)
    grant = sign_up(tight.services)
    for elapsed, left in ((300, 400), (300, 400), (300, 100), (99, 1)):
        tight.clock.advance(elapsed)
        grant = refresh(tight.services, grant)
        assert long_lived(grant).expires_in == left
    tight.clock.advance(1)
    with pytest.raises(InvalidGrant):
        refresh(tight.services, grant)


def test_lowered_limits_hold_from_the_next_rotation(keyturn: Keyturn) -> None:
    """A shorter idle limit reaches a session when its key turns; the absolute limit is the one it was made with."""
    grant = sign_up(keyturn.services)
    made_at = keyturn.clock.now()
    tighter = redeployed(keyturn, idle_ttl=300, absolute_ttl=600)
    tighter.clock.advance(3600)
    grant = refresh(tighter.services, grant)
    assert long_lived(grant).expires_in == 300
    session = tighter.store.find_session(grant.account.sub, grant.session_id)
    assert session
    assert session.absolute_expires_at == made_at + keyturn.config.sessions.absolute_ttl
    tighter.clock.advance(300)
    with pytest.raises(InvalidGrant):
        refresh(tighter.services, grant)


def test_raised_limits_bring_no_session_back(keyturn: Keyturn) -> None:
    """What has expired stays dead after a deployment with longer limits, and no session outlives its absolute one."""
    short = redeployed(keyturn, idle_ttl=300, absolute_ttl=600)
    idle, busy = sign_up(short.services), log_in(short.services)
    short.clock.advance(270)
    busy = refresh(short.services, busy)
    short.clock.advance(30)
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, idle)
    busy = refresh(keyturn.services, busy)
    assert long_lived(busy).expires_in == 300
    keyturn.clock.advance(300)
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, busy)


def test_access_tokens_end_on_time(keyturn: Keyturn) -> None:
    """An access token is refused from the second of its `exp` on; the session goes on."""
    grant = sign_up(keyturn.services)
    keyturn.clock.advance(keyturn.config.sessions.access_ttl - 1)
    keyturn.authorize(grant.access_token)
    keyturn.clock.advance(1)
    with pytest.raises(InvalidToken):
        keyturn.authorize(grant.access_token)
    assert_works(keyturn, refresh(keyturn.services, grant))
