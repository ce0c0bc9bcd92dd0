"""The transport `session`: a cookie that is looked up at every request and lives by use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import InvalidCredentials, InvalidGrant, InvalidToken, Unavailable
from chalicelib.services.sessions.authorization import TOUCH_SECONDS
from tests.flows.federated import exchange
from tests.flows.steps import (
    ELSEWHERE,
    NEW_PASSWORD,
    assert_dead,
    assert_works,
    change_password,
    credentials,
    decoded,
    log_in,
    log_out,
    long_lived,
    publish_keys,
    redeployed,
    sign_up,
    tampered,
    without_signing_key,
)
from tests.world.clock import START
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.person import Person
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.services.sessions.grants import Grant
    from tests.flows.federated import Federated

DAY = 86400


def enter(keyturn: Keyturn) -> Grant:
    """The account's first session, by cookie."""
    return sign_up(keyturn.services, transport="session")


def other_by_body(keyturn: Keyturn) -> Grant:
    """Another session of the account."""
    return log_in(keyturn.services)


def test_cookie_stands_for_the_user(anywhere: Keyturn) -> None:
    """It tells what an access token would, and there is none; a cold container accepts it (CVE-2026-9802)."""
    anywhere = redeployed(anywhere, role_scopes={"user": ("profile", "orders"), "admin": ("all",)})
    grant = enter(anywhere)
    assert grant.access_token is None
    anywhere.clock.advance(30)
    principal = anywhere.enter(grant)
    assert (principal.sub, principal.sid) == (grant.account.sub, grant.session_id)
    assert (principal.roles, principal.scope) == (("user",), "profile orders")
    assert (principal.email_verified, principal.auth_time) == (False, START)
    bearer = anywhere.principal(other_by_body(anywhere).access_token)
    assert principal._replace(sid="", auth_time=0) == bearer._replace(sid="", auth_time=0)


def test_rights_are_those_of_the_account_now() -> None:
    """A role that is given or taken counts at the next request, with its scope: nothing is copied into the cookie."""
    store = FakeStore()
    keyturn = Keyturn(store, config=config(role_scopes={"admin": ("all",)}))
    grant = enter(keyturn)
    account = store.accounts[grant.account.sub]
    store.accounts[account.sub] = account._replace(roles=("admin",), email_verified=True)
    principal = keyturn.enter(grant)
    assert (principal.roles, principal.scope, principal.email_verified) == (("admin",), "all", True)


def test_disabled_account_is_refused_whatever_its_epoch() -> None:
    """A disabled account opens nothing, even were its epoch the session's."""
    store = FakeStore()
    keyturn = Keyturn(store)
    grant = enter(keyturn)
    store.accounts[grant.account.sub] = store.accounts[grant.account.sub]._replace(disabled=True)
    assert_dead(keyturn, grant)


def test_no_signing_key_is_needed(keyturn: Keyturn) -> None:
    """What signs nothing works while the private key cannot be read."""
    sign_up(keyturn.services)
    services = without_signing_key(keyturn)
    with pytest.raises(Unavailable):
        log_in(services)
    assert_works(keyturn, log_in(services, transport="session"))


def test_cookie_outlives_its_keys_successor(keyturn: Keyturn) -> None:
    """A cookie is never made anew by use: the root secret that it was made with is accepted as long as it lives."""
    grant = enter(keyturn)
    for _ in range(6):
        publish_keys(keyturn)
        keyturn.clock.advance(13 * DAY)
        assert_works(keyturn, grant)


def test_idle_limit_slides_and_the_absolute_one_does_not(anywhere: Keyturn) -> None:
    """Used every week it lives for ninety days, to the second; what the cookie is kept for is as long."""
    grant = enter(anywhere)
    assert grant.expires_in == long_lived(grant).expires_in == 90 * DAY
    for _ in range(12):
        anywhere.clock.advance(7 * DAY)
        assert_works(anywhere, grant)
    anywhere.clock.advance(6 * DAY - 1)
    assert_works(anywhere, grant)
    anywhere.clock.advance(1)
    assert_dead(anywhere, grant)


def test_unused_session_ends_at_its_idle_limit(anywhere: Keyturn) -> None:
    """A second before it, the session is alive, and then for another idle time; at the limit it is over."""
    grant = enter(anywhere)
    anywhere.clock.advance(14 * DAY - 1)
    assert_works(anywhere, grant)
    anywhere.clock.advance(14 * DAY)
    assert_dead(anywhere, grant)


def test_use_is_noted_once_a_minute() -> None:
    """Requests in between only read, with one verb; the note is what the user's list shows."""
    store = FaultyStore(FakeStore())
    keyturn = Keyturn(store)
    grant = enter(keyturn)
    del store.calls[:]
    for _ in range(8):
        keyturn.clock.advance(TOUCH_SECONDS // 2)
        keyturn.enter(grant, ELSEWHERE)
    assert store.verbs == (["find_session_and_account"] * 2 + ["touch_session"]) * 4
    ((session,), _) = keyturn.services.sessions.list(keyturn.enter(grant))
    assert (session.used_at, session.rotated_at, session.transport) == (keyturn.clock.now(), START, "session")
    assert (session.address, session.user_agent) == (CLIENT.address, CLIENT.user_agent)


@pytest.mark.parametrize("fail", [FaultyStore.fail_before, FaultyStore.fail_after])
def test_note_that_fails_changes_no_verdict(fail: Callable[[FaultyStore, str], None]) -> None:
    """A table that takes no writes still lets everybody in who may; nothing is written to the log."""
    store = FaultyStore(FakeStore())
    keyturn = Keyturn(store)
    grant = enter(keyturn)
    events = list(keyturn.audit.names())
    keyturn.clock.advance(TOUCH_SECONDS)
    fail(store, "touch_session")
    assert_works(keyturn, grant)
    assert keyturn.audit.names() == events


def test_table_that_is_away_is_no_verdict() -> None:
    """What cannot be looked up is neither let in nor called wrong."""
    store = FaultyStore(FakeStore())
    keyturn = Keyturn(store)
    grant = enter(keyturn)
    store.fail_before("find_session_and_account")
    with pytest.raises(Unavailable):
        keyturn.enter(grant)
    assert_works(keyturn, grant)


ENDINGS: dict[str, Callable[[Keyturn, Grant, Grant], object]] = {
    "logout": lambda keyturn, grant, _: log_out(keyturn.services, grant),
    "logout everywhere": lambda keyturn, _, other: keyturn.services.accounts.log_out_everywhere(
        keyturn.principal(other.access_token), CLIENT
    ),
    "disabling": lambda keyturn, grant, _: keyturn.services.accounts.disable(grant.account.sub, CLIENT),
    "password change elsewhere": lambda keyturn, _, other: change_password(keyturn.services, other),
    "end from the list": lambda keyturn, grant, other: keyturn.services.sessions.end_one(
        keyturn.principal(other.access_token), grant.session_id, CLIENT
    ),
    "login in the same browser": lambda keyturn, grant, _: log_in(
        keyturn.services, transport="cookie", carried=decoded(keyturn.services, grant)
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_ended_session_is_refused_at_once(anywhere: Keyturn, ending: str) -> None:
    """With the answer of what ended it, in every container, and for good; another user's session goes on."""
    grant, other = enter(anywhere), other_by_body(anywhere)
    stranger = sign_up(anywhere.services, email="bob@example.com", transport="session")
    ENDINGS[ending](anywhere, grant, other)
    assert_dead(anywhere, grant)
    anywhere.clock.advance(3 * 3600)
    assert_dead(redeployed(anywhere), grant)
    assert_works(anywhere, stranger)


def test_account_that_is_taken_over_ends_it(federated_anywhere: Federated) -> None:
    """The session of whoever signed up with an address that was not theirs is dead with its owner's arrival."""
    keyturn = federated_anywhere.keyturn
    squatter = sign_up(keyturn.services, email="person@example.com", transport="session")
    owner = exchange(
        keyturn.services, federated_anywhere.google, Person(email="person@example.com"), transport="session"
    )
    assert owner.account.sub == squatter.account.sub
    assert_dead(keyturn, squatter)
    assert_works(keyturn, owner)


@pytest.mark.parametrize("moment", ["find_session_and_account", "touch_session"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_ending_that_meets_a_use_wins(ending: str, moment: str) -> None:
    """Whatever ends the session while it is used: the note of its use brings nothing back."""
    inner = FakeStore()
    keyturn = Keyturn(inner)
    grant, other = enter(keyturn), other_by_body(keyturn)
    keyturn.clock.advance(TOUCH_SECONDS)
    once = iter([ENDINGS[ending]])

    def at_call(verb: str, _: int) -> None:
        if verb == moment:
            for end in once:
                end(keyturn, grant, other)

    watched = Keyturn(FaultyStore(inner, at_call=at_call), keyturn.clock, keyturn.parameters)
    if moment == "touch_session":
        watched.enter(grant)  # it was decided before
    else:
        assert_dead(watched, grant)
    assert next(once, None) is None
    assert_dead(keyturn, grant)


def test_replayed_cookie_is_no_theft(anywhere: Keyturn) -> None:
    """It is the same at every request: used from two places, and long after, it works without an alarm."""
    grant = enter(anywhere)
    events = list(anywhere.audit.names())
    for client in (CLIENT, ELSEWHERE, CLIENT):
        assert anywhere.enter(grant, client).sid == grant.session_id
        anywhere.clock.advance(3600)
    assert anywhere.audit.names() == events


@pytest.mark.parametrize(("generations", "secret"), [(0, bytes(32)), (1, bytes(32)), (1, None)])
def test_wrong_secret_under_a_good_mac_is_an_alarm_and_ends_nothing(
    anywhere: Keyturn, generations: int, secret: bytes | None
) -> None:
    """Somebody may know the MAC key: that alone opens no session and ends none."""
    grant = enter(anywhere)
    forged = tampered(anywhere, grant, generations=generations, secret=secret)
    with pytest.raises(InvalidToken):
        anywhere.authorization().authorize_session(forged, ELSEWHERE)
    name, facts = anywhere.audit.events[-1]
    assert (name, facts["sid"], facts["caller"]) == ("session_cookie_forged", grant.session_id, ELSEWHERE)
    assert_works(anywhere, grant)


def test_forgery_is_not_told_from_an_ended_session(anywhere: Keyturn) -> None:
    """For a session that is over there is nothing to compare, and no alarm."""
    grant = enter(anywhere)
    log_out(anywhere.services, grant)
    with pytest.raises(InvalidToken):
        anywhere.authorization().authorize_session(tampered(anywhere, grant, secret=bytes(32)), CLIENT)
    assert anywhere.audit.names()[-1] == "logged_out"


def test_password_change_renews_the_cookie(anywhere: Keyturn) -> None:
    """Same session, new secret in the same write: the cookie of before is dead at once, and no alarm (ASVS V7.2.4)."""
    grant, other = enter(anywhere), other_by_body(anywhere)
    anywhere.clock.advance(DAY)
    renewed = change_password(anywhere.services, grant)
    assert (renewed.access_token, renewed.session_id) == (None, grant.session_id)
    assert long_lived(renewed).csrf_token == long_lived(grant).csrf_token
    assert renewed.expires_in == 89 * DAY
    assert_dead(anywhere, grant, other)
    assert anywhere.audit.names()[-1] == "password_changed"
    assert_works(anywhere, renewed)
    assert anywhere.enter(renewed).auth_time == START + DAY
    assert_works(anywhere, log_in(anywhere.services, NEW_PASSWORD))


def test_renewed_cookie_is_renewed_again(anywhere: Keyturn) -> None:
    """Each change makes the one before it worthless."""
    first = enter(anywhere)
    second = change_password(anywhere.services, first)
    third = change_password(anywhere.services, second, NEW_PASSWORD, "newer horse battery")
    assert_dead(anywhere, first, second)
    assert_works(anywhere, third)
    with pytest.raises(InvalidGrant):
        change_password(anywhere.services, second, "newer horse battery", "newest horse battery")
    assert_works(anywhere, third)


def test_two_password_changes_at_once_leave_one_cookie() -> None:
    """The later write finds another password, and changes nothing: its cookie was never given out."""
    inner = FakeStore()
    keyturn = Keyturn(inner)
    grant = enter(keyturn)
    once = iter(["rival horse battery"])
    won: list[Grant] = []

    def at_call(verb: str, _: int) -> None:
        if verb == "change_password":
            won.extend(change_password(keyturn.services, grant, new=new) for new in once)

    late = Keyturn(FaultyStore(inner, at_call=at_call), keyturn.clock, keyturn.parameters)
    with pytest.raises(Unavailable):
        change_password(late.services, grant)
    assert_dead(keyturn, grant)
    assert_works(keyturn, *won)
    assert_works(keyturn, log_in(keyturn.services, "rival horse battery"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_ending_that_meets_a_password_change_wins(anywhere: Keyturn, ending: str) -> None:
    """The change is refused as a whole, and renews nothing: neither cookie opens anything."""
    grant, other = enter(anywhere), other_by_body(anywhere)
    once = iter([ENDINGS[ending]])

    def at_call(verb: str, _: int) -> None:
        if verb == "change_password":
            for end in once:
                end(anywhere, grant, other)

    late = Keyturn(FaultyStore(anywhere.store, at_call=at_call), anywhere.clock, anywhere.parameters)
    with pytest.raises((InvalidToken, Unavailable)):
        change_password(late.services, grant, new="late horse battery")
    assert_dead(anywhere, grant)
    with pytest.raises(InvalidCredentials):
        log_in(anywhere.services, "late horse battery")


def test_first_password_renews_the_cookie(federated: Federated) -> None:
    """An account that a provider has opened gets its first password in the same way."""
    keyturn = federated.keyturn
    grant = exchange(keyturn.services, federated.google, transport="session")
    renewed = change_password(keyturn.services, grant, None)
    assert_dead(keyturn, grant)
    assert_works(keyturn, renewed)


def test_browser_that_came_with_both_cookies_leaves_both_sessions(anywhere: Keyturn) -> None:
    """Every session that came is over when the new one begins; one that did not come goes on."""
    by_session, by_cookie = enter(anywhere), log_in(anywhere.services, transport="cookie")
    elsewhere = log_in(anywhere.services, transport="session")
    came = tuple(decoded(anywhere.services, grant) for grant in (by_session, by_cookie))
    anywhere.services.log_in(credentials()._replace(carried=came), CLIENT)
    assert_dead(anywhere, by_session, by_cookie)
    assert_works(anywhere, elsewhere)


def test_session_cookie_is_no_other_credential() -> None:
    """By no other way, and no other credential by its way: nobody asks the table."""
    store = FaultyStore(FakeStore())
    keyturn = Keyturn(store)
    grants = {
        "session": enter(keyturn),
        "cookie": log_in(keyturn.services, transport="cookie"),
        "body": log_in(keyturn.services),
    }
    calls = len(store.calls)
    codec = keyturn.services.refresh_tokens
    for transport, grant in grants.items():
        for way in ("session", "cookie", "body"):
            if way != transport:
                with pytest.raises(InvalidGrant):
                    codec.decode(long_lived(grant).refresh_token, way)
        with pytest.raises(InvalidToken):
            keyturn.authorize(long_lived(grant).refresh_token)
    assert len(store.calls) == calls
