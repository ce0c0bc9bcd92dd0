"""Refreshing: one successor for each token, whoever asks, however often, inside the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.records import Client
from chalicelib.errors import InvalidGrant, InvalidToken, Unavailable
from tests.fakes import CLIENT, PASSWORD, Keyturn, config
from tests.fakes_store import FakeStore
from tests.faults import FaultyStore
from tests.flows.steps import (
    ELSEWHERE,
    NEW_PASSWORD,
    assert_dead,
    assert_works,
    change_password,
    decoded,
    generation_of,
    log_in,
    long_lived,
    publish_keys,
    redeployed,
    refresh,
    sign_up,
    without_signing_key,
)

if TYPE_CHECKING:
    from chalicelib.services.grants import Grant

WINDOW = 20


def text_of(grant: Grant) -> str:
    """The refresh token as the client keeps it."""
    return long_lived(grant).refresh_token


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


def test_window_of_zero_answers_nobody_twice() -> None:
    """With a window of 0 the second use of a token ends the session, in the same second too."""
    keyturn = Keyturn(FakeStore(), config=config(rotation_window=0))
    first = sign_up(keyturn.services)
    winner = refresh(keyturn.services, first)
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, first)
    assert_dead(keyturn, winner, first)


def test_only_the_immediate_predecessor_is_answered(anywhere: Keyturn) -> None:
    """A token two generations old ends the session inside the window too (regressions: django-oauth-toolkit #1617)."""
    first = sign_up(anywhere.services)
    third = refresh(anywhere.services, refresh(anywhere.services, first))
    with pytest.raises(InvalidGrant):
        refresh(anywhere.services, first)
    assert_dead(anywhere, third, first)


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


@pytest.mark.parametrize(
    ("client", "audited"),
    [
        (CLIENT, False),
        (ELSEWHERE, True),
        (Client(CLIENT.address, ELSEWHERE.user_agent), False),
        (Client(ELSEWHERE.address, CLIENT.user_agent), False),
    ],
)
def test_answer_to_somebody_elsewhere_is_audited(keyturn: Keyturn, client: Client, audited: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """A second use from another address and another user agent than the winner's leaves a trace; a moved phone not."""
    first = sign_up(keyturn.services)
    winner = refresh(keyturn.services, first)
    assert text_of(refresh(keyturn.services, first, client)) == text_of(winner)
    assert ("refresh_from_elsewhere" in keyturn.audit.names()) is audited


def test_nothing_is_written_while_the_key_store_is_away(anywhere: Keyturn) -> None:
    """A container that cannot sign does not turn the key: the client's token is as good as before."""
    first = sign_up(anywhere.services)
    presented = decoded(anywhere.services, first)
    anywhere.parameters.away = True
    for container in (anywhere.container(), without_signing_key(anywhere)):
        with pytest.raises(Unavailable):
            container.tokens.refresh(presented, CLIENT)
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


def test_refresh_that_meets_its_own_password_change_goes_on(anywhere: Keyturn) -> None:
    """The session moved to the next epoch between two calls of the refresh: no theft, and nobody is logged out."""
    first = sign_up(anywhere.services)
    principal = anywhere.principal(first.access_token)
    changes = iter([lambda: change_password(anywhere.services, principal)])

    def change_once(verb: str, _: int) -> None:
        if verb == "rotate_refresh_token":
            next(changes, lambda: None)()

    racing = Keyturn(FaultyStore(anywhere.store, at_call=change_once), anywhere.clock, anywhere.parameters)
    successor = refresh(racing.services, first)
    assert_works(anywhere, successor)
    assert "refresh_token_reused" not in racing.audit.names()


def test_refresh_that_meets_one_password_change_after_the_other_is_unavailable(keyturn: Keyturn) -> None:
    """Each time the account is read it has moved again by the write: 503, and the retry goes on."""
    first = sign_up(keyturn.services)
    principal = keyturn.principal(first.access_token)
    passwords = [PASSWORD, NEW_PASSWORD, "third horse battery"]

    def change(verb: str, nth: int) -> None:
        if verb == "rotate_refresh_token":
            change_password(keyturn.services, principal, *passwords[nth - 1 : nth + 1])

    racing = Keyturn(FaultyStore(keyturn.store, at_call=change), keyturn.clock, keyturn.parameters)
    with pytest.raises(Unavailable):
        refresh(racing.services, first)
    assert_works(keyturn, refresh(keyturn.services, first))


def test_loser_after_a_password_change_is_answered(anywhere: Keyturn) -> None:
    """A lost answer is repeated although the password was changed inside the window."""
    first = sign_up(anywhere.services)
    winner = refresh(anywhere.services, first)
    change_password(anywhere.services, anywhere.principal(winner.access_token))
    loser = refresh(anywhere.services, first)
    assert text_of(loser) == text_of(winner)
    assert_works(anywhere, loser)


@pytest.mark.parametrize("transport", ["body", "cookie"])
def test_transport_survives_rotation(keyturn: Keyturn, transport: str) -> None:
    """A session's tokens travel as its first one did."""
    grant = sign_up(keyturn.services, transport="cookie" if transport == "cookie" else "body")
    for _ in range(3):
        grant = refresh(keyturn.services, grant)
        assert long_lived(grant).transport == transport


def test_idle_limit_is_counted_from_the_last_rotation(anywhere: Keyturn) -> None:
    """One second before it the session lives and is prolonged; at the limit it is over (ASVS V7.3.1)."""
    idle = anywhere.config.refresh_idle_ttl
    grant = sign_up(anywhere.services)
    for _ in range(3):
        anywhere.clock.advance(idle - 1)
        grant = refresh(anywhere.services, grant)
    anywhere.clock.advance(idle)
    assert_dead(anywhere, grant)


def test_losers_do_not_prolong_the_session() -> None:
    """Answers inside the window write nothing, the idle limit included."""
    keyturn = Keyturn(FakeStore(), config=config(refresh_idle_ttl=300, rotation_window=60))
    first = sign_up(keyturn.services)
    winner = refresh(keyturn.services, first)
    keyturn.clock.advance(60)
    assert long_lived(refresh(keyturn.services, first)).expires_in == 240
    keyturn.clock.advance(240)
    with pytest.raises(InvalidGrant):
        refresh(keyturn.services, winner)


def test_absolute_limit_ends_a_busy_session(anywhere: Keyturn) -> None:
    """However often it is used, a session ends at its absolute limit, and the cookie with it (ASVS V7.3.2)."""
    tight = redeployed(anywhere, refresh_idle_ttl=400, refresh_absolute_ttl=1000)
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
    tighter = redeployed(keyturn, refresh_idle_ttl=300, refresh_absolute_ttl=600)
    tighter.clock.advance(3600)
    grant = refresh(tighter.services, grant)
    assert long_lived(grant).expires_in == 300
    session = tighter.store.find_session(grant.account.sub, grant.session_id)
    assert session
    assert session.absolute_expires_at == made_at + keyturn.config.refresh_absolute_ttl
    tighter.clock.advance(300)
    with pytest.raises(InvalidGrant):
        refresh(tighter.services, grant)


def test_raised_limits_bring_no_session_back(keyturn: Keyturn) -> None:
    """What has expired stays dead after a deployment with longer limits, and no session outlives its absolute one."""
    short = redeployed(keyturn, refresh_idle_ttl=300, refresh_absolute_ttl=600)
    idle, busy = sign_up(short.services), log_in(short.services)
    short.clock.advance(299)
    busy = refresh(short.services, busy)
    short.clock.advance(1)
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
    keyturn.clock.advance(keyturn.config.access_ttl - 1)
    keyturn.authorize(grant.access_token)
    keyturn.clock.advance(1)
    with pytest.raises(InvalidToken):
        keyturn.authorize(grant.access_token)
    assert_works(keyturn, refresh(keyturn.services, grant))
