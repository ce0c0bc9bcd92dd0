"""Ending sessions: one, all, all but one; what is revoked stays revoked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.errors import (
    InvalidCredentials,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    PasswordRejected,
    Unavailable,
)
from tests.flows.steps import (
    EMAIL,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    account_of,
    assert_dead,
    assert_works,
    change_password,
    decoded,
    log_in,
    log_out,
    redeployed,
    refresh,
    sign_up,
)
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore


def test_logout_ends_the_session_at_once(anywhere: Keyturn) -> None:
    """Refresh and access token are dead with the answer; the user's other session is not."""
    grant, other = sign_up(anywhere.services), log_in(anywhere.services)
    log_out(anywhere.services, grant)
    assert_dead(anywhere, grant)
    assert_works(anywhere, other)
    assert anywhere.audit.events[-1][0] == "logged_out"


def test_logout_with_an_old_token_ends_the_session(anywhere: Keyturn) -> None:
    """Any genuine token of a living session names it: one that lost a race, or is weeks old, logs out as well."""
    first = sign_up(anywhere.services)
    second = refresh(anywhere.services, first)
    anywhere.clock.advance(7 * 86400)
    grant = refresh(anywhere.services, second)
    log_out(anywhere.services, first)
    assert_dead(anywhere, grant, first)
    assert anywhere.audit.names()[-1] == "logged_out"


def test_logout_can_be_repeated(anywhere: Keyturn) -> None:
    """A session that is over, or never was, ends again without a complaint, and without an event."""
    grant = sign_up(anywhere.services)
    for _ in range(2):
        log_out(anywhere.services, grant)
    unknown = replace(decoded(anywhere.services, grant), sid="A" * 22)
    anywhere.services.sessions.log_out([unknown], None, CLIENT)
    assert_dead(anywhere, grant)
    assert anywhere.audit.names().count("logged_out") == 1


def test_cold_container_denies_what_the_last_one_revoked(anywhere: Keyturn) -> None:
    """Revocation lives in the table alone (regressions: CVE-2026-9802)."""
    grant = sign_up(anywhere.services)
    log_out(anywhere.services, grant)
    restarted = redeployed(anywhere)
    assert_dead(restarted, grant)
    restarted.clock.advance(restarted.config.sessions.access_ttl - 1)
    assert_dead(restarted, grant)


def test_logout_everywhere_ends_every_session_at_once(anywhere: Keyturn) -> None:
    """All of them, the asking one included; the next login works (ASVS V7.4.5)."""
    grants = [sign_up(anywhere.services), log_in(anywhere.services, transport="cookie"), log_in(anywhere.services)]
    grants.append(refresh(anywhere.services, grants[-1]))
    anywhere.services.accounts.log_out_everywhere(anywhere.principal(grants[0].access_token), CLIENT)
    assert_dead(anywhere, *reversed(grants))
    assert_works(anywhere, log_in(anywhere.services))
    assert "refresh_token_reused" not in anywhere.audit.names()


def test_logout_everywhere_reaches_one_user(anywhere: Keyturn) -> None:
    """Somebody else's sessions go on."""
    grant, other = sign_up(anywhere.services), sign_up(anywhere.services, email="bob@example.com")
    anywhere.services.accounts.log_out_everywhere(anywhere.principal(grant.access_token), CLIENT)
    assert_works(anywhere, other)


def test_password_change_ends_every_other_session(anywhere: Keyturn) -> None:
    """The session that asked goes on with new credentials; all others die (CVE-2026-22706; ASVS V7.4.3)."""
    grant = sign_up(anywhere.services)
    others = [log_in(anywhere.services), log_in(anywhere.services, transport="cookie")]
    anywhere.clock.advance(60)
    changed = change_password(anywhere.services, grant)
    claims = anywhere.authorize(changed.access_token)
    assert (claims.sid, claims.auth_time) == (grant.session_id, anywhere.clock.now())
    assert_dead(anywhere, grant, *others)
    anywhere.clock.advance(60)
    successor = refresh(anywhere.container(), changed)
    assert anywhere.authorize(successor.access_token).auth_time == anywhere.clock.now() - 60
    assert_works(anywhere, successor)


def test_password_change_changes_the_password(anywhere: Keyturn) -> None:
    """The old one is refused from now on, the new one accepted."""
    grant = sign_up(anywhere.services)
    change_password(anywhere.services, grant)
    with pytest.raises(InvalidCredentials):
        log_in(anywhere.services)
    assert_works(anywhere, log_in(anywhere.services, NEW_PASSWORD))


@pytest.mark.parametrize(
    ("current", "new", "refusal"),
    [
        (WRONG_PASSWORD, NEW_PASSWORD, InvalidCredentials),
        ("", NEW_PASSWORD, InvalidCredentials),
        ("correct horse battery", "short", PasswordRejected),
        ("correct horse battery", EMAIL, PasswordRejected),
        ("correct horse battery", "x" * 257, InvalidRequest),
    ],
)
def test_refused_password_change_changes_nothing(
    anywhere: Keyturn, current: str, new: str, refusal: type[Exception]
) -> None:
    """Sessions and password are what they were (regressions: CVE-2026-34574, an empty value is no pass)."""
    grant, other = sign_up(anywhere.services), log_in(anywhere.services)
    before = anywhere.store.find_login(EMAIL)
    with pytest.raises(refusal):
        change_password(anywhere.services, grant, current, new)
    assert anywhere.store.find_login(EMAIL) == before
    assert_works(anywhere, grant)
    assert_works(anywhere, other)


def test_password_change_of_an_ended_session_is_refused(anywhere: Keyturn) -> None:
    """A principal that a cached answer still lets in changes nothing once its session is over."""
    grant = sign_up(anywhere.services)
    log_out(anywhere.services, grant)
    with pytest.raises(InvalidToken):
        change_password(anywhere.services, grant)
    assert_works(anywhere, log_in(anywhere.services))


def test_disabling_ends_everything(anywhere: Keyturn) -> None:
    """No token of before is accepted, no login succeeds; repeating it is nothing new (ASVS V7.4.2)."""
    grants = [sign_up(anywhere.services), log_in(anywhere.services)]
    for _ in range(2):
        anywhere.services.accounts.disable(grants[0].account.sub, CLIENT)
    assert_dead(anywhere, *grants)
    assert account_of(anywhere, grants[0]).disabled
    with pytest.raises(InvalidCredentials):
        log_in(anywhere.services)


def test_account_that_is_not_there_ends_nothing(keyturn: Keyturn) -> None:
    """A sub that nobody has is InvalidToken, not a new item."""
    with pytest.raises(InvalidToken):
        keyturn.services.accounts.disable("A" * 22, CLIENT)


def test_contended_account_is_unavailable() -> None:
    """Whoever loses against others again and again is told to come later, not that it is done."""
    keyturn = Keyturn(FakeStore())
    grant = sign_up(keyturn.services)

    def raise_first(verb: str, _: int) -> None:
        if verb == "raise_epoch":
            keyturn.store.raise_epoch(account_of(keyturn, grant), deny_until=0)

    contended = Keyturn(FaultyStore(keyturn.store, at_call=raise_first), keyturn.clock, keyturn.parameters)
    with pytest.raises(Unavailable):
        contended.services.accounts.disable(grant.account.sub, CLIENT)


def test_refresh_after_disabling_is_refused_before_the_write(keyturn: Keyturn) -> None:
    """A disabled account's session does not even turn."""
    grant = sign_up(keyturn.services)
    keyturn.services.accounts.disable(grant.account.sub, CLIENT)
    presented = decoded(keyturn.services, grant)
    with pytest.raises(InvalidGrant):
        keyturn.services.refresh(presented, CLIENT)
    session = keyturn.store.find_session(presented.sub, presented.sid)
    assert session
    assert session.generation == 0
