"""One token, revoked by whoever holds it (RFC 7009)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.domain.denials import DENIED_TOKENS, LONGEST_ACCESS_TTL
from chalicelib.errors import InvalidToken, Unavailable
from tests.flows.steps import (
    assert_dead,
    assert_works,
    bearer,
    change_password,
    log_in,
    long_lived,
    refresh,
    sign_up,
)
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore


def revoke(keyturn: Keyturn, token: str | None) -> None:
    """Present the token to a container that has seen nothing yet."""
    assert token
    keyturn.container().revocation.revoke(token, CLIENT)


def assert_denied(keyturn: Keyturn, access_token: str | None) -> None:
    """No container accepts the access token."""
    with pytest.raises(InvalidToken):
        keyturn.authorize(str(access_token))


def test_refresh_token_ends_its_session(anywhere: Keyturn) -> None:
    """Its session is over, and so is every access token of it (RFC 7009 section 2.1); other sessions go on."""
    here = sign_up(anywhere.services)
    there = log_in(anywhere.services)
    later = refresh(anywhere.services, here)
    revoke(anywhere, long_lived(later).refresh_token)
    revoke(anywhere, long_lived(later).refresh_token)
    assert_dead(anywhere, later, here)
    assert_works(anywhere, there)


def test_session_that_moves_along_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password change between the readings of account and session hides no living session: 200 means revoked."""
    store = FakeStore()
    keyturn = Keyturn(store)
    grant = sign_up(keyturn.services)
    _, account = store.find_session_and_account(grant.account.sub, grant.session_id)
    changed = change_password(keyturn.services, grant)
    after, _ = store.find_session_and_account(grant.account.sub, grant.session_id)
    torn = iter([(after, account)])
    whole = store.find_session_and_account
    monkeypatch.setattr(store, "find_session_and_account", lambda sub, sid: next(torn, None) or whole(sub, sid))
    keyturn.services.revocation.revoke(long_lived(changed).refresh_token, CLIENT)
    assert_dead(keyturn, changed, grant)


def test_access_token_alone_is_revoked(anywhere: Keyturn) -> None:
    """The session goes on, and so does another access token of it."""
    grant = sign_up(anywhere.services)
    other = refresh(anywhere.services, grant)
    revoke(anywhere, grant.access_token)
    revoke(anywhere, grant.access_token)
    assert_denied(anywhere, grant.access_token)
    assert anywhere.authorize(bearer(other)).sid == grant.session_id
    assert_works(anywhere, other)


def test_every_one_of_many_revocations_holds(anywhere: Keyturn) -> None:
    """Beyond the list's room the tokens of before are denied by a moment; a refresh brings a new one right after."""
    long = Keyturn(anywhere.store, anywhere.clock, anywhere.parameters, config=config(access_ttl=3600))
    grant = sign_up(long.services)
    revoked = []
    for _ in range(2 * DENIED_TOKENS + 3):
        revoked.append(grant.access_token)
        revoke(long, grant.access_token)
        long.clock.advance(30)
        grant = refresh(long.services, grant)
    for access_token in revoked:
        assert_denied(long, access_token)
    assert_works(long, grant)


def test_parallel_revocations_hold(keyturn: Keyturn) -> None:
    """Of more revocations at once than there is room for each holds, or says that it was not done."""
    grants = [sign_up(keyturn.services)]
    grants += [log_in(keyturn.services) for _ in range(DENIED_TOKENS + 5)]

    def revoked(access_token: str | None) -> bool:
        try:
            revoke(keyturn, access_token)
        except Unavailable:
            return False
        return True

    with ThreadPoolExecutor(len(grants)) as pool:
        outcomes = list(pool.map(lambda grant: revoked(grant.access_token), grants))
    assert any(outcomes)
    for grant, done in zip(grants, outcomes, strict=True):
        if done:
            assert_denied(keyturn, grant.access_token)


def test_expired_access_token_of_a_living_session_ends_it(keyturn: Keyturn) -> None:
    """Nothing is left of the token itself: whoever sends it wants the session to be over, as at a logout."""
    grant = sign_up(keyturn.services)
    other = log_in(keyturn.services)
    keyturn.clock.advance(keyturn.config.sessions.access_ttl)
    revoke(keyturn, grant.access_token)
    assert_dead(keyturn, grant)
    assert_works(keyturn, refresh(keyturn.services, other))


@pytest.mark.parametrize("transport", ["cookie", "session"])
def test_credential_of_a_cookie_is_taken(keyturn: Keyturn, transport: str) -> None:
    """Whoever has found one may end its session; the user's other one goes on."""
    other = sign_up(keyturn.services)
    grant = log_in(keyturn.services, transport=transport)  # type: ignore[arg-type]  # a Transport
    revoke(keyturn, long_lived(grant).refresh_token)
    assert_dead(keyturn, grant)
    assert_works(keyturn, other)


def test_tokens_that_are_not_ours_cost_nothing(keyturn: Keyturn) -> None:
    """Garbage and forgeries are no error, and no store is asked."""
    grant = sign_up(keyturn.services)
    others = Keyturn(FakeStore(), config=config(audience="https://other.example.com"))
    store = FaultyStore(keyturn.store)
    asked = Keyturn(store, keyturn.clock, keyturn.parameters)
    for token in (
        "",
        "x",
        "\ud800",
        "a" * 100_000,
        f"{long_lived(grant).refresh_token[:-4]}AAAA",
        f"{bearer(grant).rpartition('.')[0]}.AAAA",
        bearer(sign_up(others.services)),
    ):
        asked.services.revocation.revoke(token, CLIENT)
    assert store.calls == []
    assert "token_revoked" not in asked.audit.names()


def test_revocation_is_logged_without_the_token(keyturn: Keyturn) -> None:
    """Who, which session and which kind; for an access token its `jti`, which opens nothing."""
    grant = sign_up(keyturn.services)
    claims = keyturn.authorize(bearer(grant))
    keyturn.services.revocation.revoke(bearer(grant), CLIENT)
    keyturn.services.revocation.revoke(long_lived(grant).refresh_token, CLIENT)
    whose = {"caller": CLIENT, "sub": claims.sub, "sid": claims.sid}
    assert [facts for name, facts in keyturn.audit.events if name == "token_revoked"] == [
        {**whose, "jti": claims.jti, "kind": "access_token"},
        {**whose, "kind": "refresh_token"},
    ]


def test_denial_outlives_the_token(keyturn: Keyturn) -> None:
    """The blacklist's item may go after every token of before has expired, by the longest setting there is."""
    store = keyturn.store
    assert isinstance(store, FakeStore)
    grant = sign_up(keyturn.services)
    revoke(keyturn, grant.access_token)
    assert store.denials[grant.account.sub].expires_at >= keyturn.clock.now() + LONGEST_ACCESS_TTL
