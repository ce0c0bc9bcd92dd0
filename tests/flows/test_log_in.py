"""Logging in, and how often somebody may try."""

from __future__ import annotations

import pytest

from chalicelib.domain.callers import Caller
from chalicelib.domain.limits import HOUR
from chalicelib.errors import InvalidCredentials, InvalidToken, TooManyRequests, Unavailable
from tests.flows.steps import (
    EMAIL,
    WRONG_PASSWORD,
    CountingHasher,
    assert_dead,
    assert_works,
    change_password,
    decoded,
    log_in,
    sign_up,
    with_dearer_hash,
    with_hasher,
    without_signing_key,
)
from tests.world.constants import PASSWORD
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore

FREE_ATTEMPTS = 20


def fail_to_log_in(keyturn: Keyturn, times: int) -> None:
    """Guess wrong, each time from another address."""
    for number in range(times):
        with pytest.raises(InvalidCredentials):
            log_in(keyturn.services, WRONG_PASSWORD, client=Caller(f"203.0.113.{number}", "tests"))


def test_each_login_is_a_session_of_its_own(anywhere: Keyturn) -> None:
    """Two devices hold two sessions, and both work. Letter case of the address makes no difference."""
    sign_up(anywhere.services)
    phone, laptop = log_in(anywhere.services), log_in(anywhere.services, email="ALICE@Example.com")
    assert phone.session_id != laptop.session_id
    assert_works(anywhere, phone)
    assert_works(anywhere, laptop)
    assert anywhere.audit.names().count("logged_in") == 2


def test_session_that_the_browser_came_with_ends(anywhere: Keyturn) -> None:
    """The new session has a new id and the carried one is over: nobody can fix a session beforehand (ASVS V7.2.4)."""
    fixed = sign_up(anywhere.services, transport="cookie")
    grant = log_in(anywhere.services, transport="cookie", carried=decoded(anywhere.services, fixed))
    assert grant.session_id != fixed.session_id
    assert_dead(anywhere, fixed)
    assert_works(anywhere, grant)


def test_refused_login_ends_no_session(anywhere: Keyturn) -> None:
    """A wrong password costs the browser nothing that it has."""
    held = sign_up(anywhere.services, transport="cookie")
    with pytest.raises(InvalidCredentials):
        log_in(anywhere.services, WRONG_PASSWORD, carried=decoded(anywhere.services, held))
    assert_works(anywhere, held)


def test_old_digests_are_replaced_at_login(anywhere: Keyturn) -> None:
    """After the operator raised the hash's parameters, one login makes the digest anew; the password stays."""
    sign_up(anywhere.services)
    before = anywhere.store.find_login(EMAIL)
    raised = with_dearer_hash(anywhere.container())
    assert_works(anywhere, log_in(raised))
    after = anywhere.store.find_login(EMAIL)
    assert before
    assert after
    assert after.password_digest
    assert before.password_digest != after.password_digest
    assert not raised.log_in.hashing.hasher.needs_rehash(after.password_digest)
    assert after.account == before.account
    assert_works(anywhere, log_in(raised))
    assert anywhere.store.find_login(EMAIL) == after


def test_wrong_password_replaces_no_digest(keyturn: Keyturn) -> None:
    """Only a password that fits is hashed anew."""
    sign_up(keyturn.services)
    before = keyturn.store.find_login(EMAIL)
    with pytest.raises(InvalidCredentials):
        log_in(with_dearer_hash(keyturn.services), WRONG_PASSWORD)
    assert keyturn.store.find_login(EMAIL) == before


def test_nothing_is_written_while_the_key_store_is_away() -> None:
    """A session that nobody could be told of is never made, and the carried one lives on."""
    store = FakeStore()
    keyturn = Keyturn(store)
    held = sign_up(keyturn.services)
    carried = decoded(keyturn.services, held)
    keyturn.parameters.away = True
    for container in (keyturn.container(), without_signing_key(keyturn)):
        with pytest.raises(Unavailable):
            log_in(container, carried=carried)
        assert [sid for _, sid in store.sessions] == [held.session_id]
    keyturn.parameters.away = False
    assert_works(keyturn, held)


def test_guesses_are_held_back_before_the_hash(anywhere: Keyturn) -> None:
    """After 20 attempts in an hour the account makes everybody wait, from whatever address, the right password too."""
    sign_up(anywhere.services)
    fail_to_log_in(anywhere, FREE_ATTEMPTS)
    hasher = CountingHasher(anywhere.services.log_in.hashing.hasher)
    with pytest.raises(TooManyRequests) as refused:
        log_in(with_hasher(anywhere.services, hasher), PASSWORD, client=Caller("203.0.113.99", "tests"))
    assert refused.value.retry_after == 30
    assert hasher.calls == []
    assert anywhere.audit.events[-1][1]["what"] == "login-account"


def test_nobody_is_locked_out_for_good(keyturn: Keyturn) -> None:
    """Whoever waits as told is let in; refused attempts do not prolong the wait, and the hour ends it (ASVS V6.1.1)."""
    keyturn.clock.time -= keyturn.clock.time % HOUR
    sign_up(keyturn.services)
    fail_to_log_in(keyturn, FREE_ATTEMPTS)
    for _ in range(30):
        with pytest.raises(TooManyRequests):
            log_in(keyturn.services)
        keyturn.clock.advance(1)
    log_in(keyturn.services)
    keyturn.clock.time += HOUR - keyturn.clock.time % HOUR
    fail_to_log_in(keyturn, FREE_ATTEMPTS)


def test_every_way_to_try_a_password_counts_on_one_limiter(anywhere: Keyturn) -> None:
    """Guesses at the password change hold back logins, and the other way round (regressions: CVE-2026-9798)."""
    grant = sign_up(anywhere.services)
    for _ in range(FREE_ATTEMPTS // 2):
        with pytest.raises(InvalidCredentials):
            change_password(anywhere.services, grant, WRONG_PASSWORD)
    fail_to_log_in(anywhere, FREE_ATTEMPTS // 2)
    hasher = CountingHasher(anywhere.services.log_in.hashing.hasher)
    counted = with_hasher(anywhere.services, hasher)
    with pytest.raises(TooManyRequests):
        log_in(counted)
    with pytest.raises(TooManyRequests):
        change_password(counted, grant)
    assert hasher.calls == []


def test_guesses_at_many_accounts_from_one_address_are_held_back(keyturn: Keyturn) -> None:
    """Three hundred an hour from one address, however many accounts they are spread over."""
    client = Caller("203.0.113.1", "tests")
    for number in range(300):
        with pytest.raises(InvalidCredentials):
            log_in(keyturn.services, email=f"n{number}@example.com", client=client)
    with pytest.raises(TooManyRequests) as refused:
        log_in(keyturn.services, email="fresh@example.com", client=client)
    assert refused.value.retry_after == 2


def test_disabled_account_cannot_log_in(anywhere: Keyturn) -> None:
    """The right password of a disabled account is refused as a wrong one is; its sessions are over (ASVS V7.4.2)."""
    held = sign_up(anywhere.services)
    principal = anywhere.principal(held.access_token)
    anywhere.services.accounts.disable(held.account.sub, Caller("", ""))
    with pytest.raises(InvalidCredentials):
        log_in(anywhere.services)
    with pytest.raises(InvalidToken):
        anywhere.services.accounts.account(principal)
    assert_dead(anywhere, held)
