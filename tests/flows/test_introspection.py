"""What other services are told of a token (RFC 7662): never more than the authorizer or `/refresh` would grant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.domain.sessions import Session
from chalicelib.errors import Unavailable
from tests.flows.contents import contents
from tests.flows.steps import bearer, change_password, log_in, log_out, long_lived, refresh, sign_up, tampered
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.access_tokens import AccessTokenClaims
    from chalicelib.domain.callers import Transport
    from chalicelib.services.sessions.grants import Grant


def introspect(keyturn: Keyturn, token: str | None) -> AccessTokenClaims | Session | None:
    """What a container says that has seen nothing yet."""
    assert token
    return keyturn.container().introspection.introspect(token)


def refresh_token(grant: Grant) -> str:
    """The grant's refresh token, or what its session cookie holds."""
    return long_lived(grant).refresh_token


def test_access_token_that_is_accepted(anywhere: Keyturn) -> None:
    """Its claims are those that the authorizer finds."""
    grant = sign_up(anywhere.services)
    assert introspect(anywhere, grant.access_token) == anywhere.authorize(bearer(grant))


@pytest.mark.parametrize("transport", ["body", "cookie", "session"])
def test_refresh_token_that_is_live(anywhere: Keyturn, transport: Transport) -> None:
    """Its session is told, whichever way the token travels; asking changes nothing."""
    sign_up(anywhere.services)
    grant = log_in(anywhere.services, transport=transport)
    before = contents(anywhere.store)
    found = introspect(anywhere, refresh_token(grant))
    assert isinstance(found, Session)
    assert (found.sid, found.transport) == (grant.session_id, transport)
    assert contents(anywhere.store) == before


def _logged_out(keyturn: Keyturn, grant: Grant) -> None:
    log_out(keyturn.services, grant)


def _logged_out_everywhere(keyturn: Keyturn, grant: Grant) -> None:
    keyturn.services.accounts.log_out_everywhere(keyturn.principal(bearer(grant)), CLIENT)


def _disabled(keyturn: Keyturn, grant: Grant) -> None:
    keyturn.services.accounts.disable(grant.account.sub, CLIENT)


def _password_changed(keyturn: Keyturn, _: Grant) -> None:
    change_password(keyturn.services, log_in(keyturn.services))


def _stolen(keyturn: Keyturn, grant: Grant) -> None:
    turned = refresh(keyturn.services, grant)
    keyturn.clock.advance(21)
    refresh(keyturn.services, turned)
    with pytest.raises(Exception, match="replayed"):
        refresh(keyturn.services, grant)


def _expired(keyturn: Keyturn, _: Grant) -> None:
    keyturn.clock.advance(keyturn.config.sessions.idle_ttl)


@pytest.mark.parametrize("end", [_logged_out, _logged_out_everywhere, _disabled, _password_changed, _stolen, _expired])
def test_what_has_ended_is_inactive(anywhere: Keyturn, end: Callable[[Keyturn, Grant], None]) -> None:
    """However a session ends, neither of its tokens is active from the same second on."""
    grant = sign_up(anywhere.services)
    end(anywhere, grant)
    assert introspect(anywhere, grant.access_token) is None
    assert introspect(anywhere, refresh_token(grant)) is None


def test_session_that_a_password_change_takes_along_is_active(anywhere: Keyturn) -> None:
    """What the change has answered is active; every credential of before is not, the session's own included."""
    grant = sign_up(anywhere.services)
    changed = change_password(anywhere.services, grant)
    assert introspect(anywhere, refresh_token(changed))
    assert introspect(anywhere, changed.access_token)
    assert introspect(anywhere, refresh_token(grant)) is None
    assert introspect(anywhere, grant.access_token) is None


def test_session_of_a_disabled_account_is_inactive(keyturn: Keyturn) -> None:
    """Also where its epoch is the account's: whoever is disabled has no live session, however it came to be."""
    grant = sign_up(keyturn.services)
    assert isinstance(keyturn.store, FakeStore)
    account = keyturn.store.accounts[grant.account.sub]
    keyturn.store.accounts[account.sub] = account._replace(disabled=True)
    assert introspect(keyturn, refresh_token(grant)) is None


def test_predecessor_is_inactive(keyturn: Keyturn) -> None:
    """A refresh token that was turned is not live any more, also where `/refresh` would still answer it."""
    grant = sign_up(keyturn.services)
    successor = refresh(keyturn.services, grant)
    assert introspect(keyturn, refresh_token(grant)) is None
    assert introspect(keyturn, refresh_token(successor))
    refresh(keyturn.services, grant)  # which it does


def test_wrong_secret_under_a_good_mac_is_inactive(keyturn: Keyturn) -> None:
    """The table's digest decides: whoever knows the MAC key makes nothing that is active."""
    grant = sign_up(keyturn.services)
    codec = keyturn.services.refresh_tokens
    for forged in (tampered(keyturn, grant, secret=bytes(32)), tampered(keyturn, grant, generations=1)):
        assert introspect(keyturn, codec.encode(forged, codec.current_key_id(), "body")) is None
    assert introspect(keyturn, refresh_token(grant))


def test_access_token_ends_to_the_second(keyturn: Keyturn) -> None:
    """Active until `exp`, and not in its second (RFC 7519 section 4.1.4)."""
    grant = sign_up(keyturn.services)
    keyturn.clock.advance(keyturn.config.sessions.access_ttl - 1)
    assert introspect(keyturn, grant.access_token)
    keyturn.clock.advance(1)
    assert introspect(keyturn, grant.access_token) is None


def test_tokens_that_are_not_ours_cost_no_look_at_the_table(keyturn: Keyturn) -> None:
    """Garbage, forgeries, another issuer's and another audience's are inactive, and no store is asked."""
    grant = sign_up(keyturn.services)
    claims = keyturn.authorize(bearer(grant))
    settings, keys = keyturn.config, keyturn.services.keys
    elsewhere = JwtAccessTokenCodec(keys, issuer="https://evil.example", audience=settings.audience)
    other_api = JwtAccessTokenCodec(keys, issuer=settings.issuer, audience="https://other.example.com")
    others = Keyturn(FakeStore(), config=config(audience="https://other.example.com"))
    store = FaultyStore(keyturn.store)
    asked = Keyturn(store, keyturn.clock, keyturn.parameters)
    for token in (
        "",
        "x",
        "a.b.c",
        "\x00",
        "\ud800",
        "kt1.x.y",
        "a" * 100_000,
        elsewhere.issue(claims),
        other_api.issue(claims),
        f"{grant.access_token}x",
        f"{bearer(grant).rpartition('.')[0]}.AAAA",
        f"{refresh_token(grant)[:-4]}AAAA",
        bearer(sign_up(others.services)),
    ):
        assert asked.services.introspection.introspect(token) is None, token[:40]
    assert store.calls == []


def test_password_change_between_two_reads_is_looked_at_again(keyturn: Keyturn) -> None:
    """A session that is newer than the account beside it is not called dead for that: both are read again."""
    grant = sign_up(keyturn.services)
    sub, sid = grant.account.sub, grant.session_id
    before = keyturn.store.find_account(sub)
    changed = change_password(keyturn.services, grant)
    after = keyturn.store.find_session_and_account(sub, sid)
    readings = iter([(after[0], before), after])
    store = FaultyStore(keyturn.store)
    store.find_session_and_account = lambda *_: next(readings)  # type: ignore[attr-defined]  # one reading in between
    assert Keyturn(store, keyturn.clock, keyturn.parameters).services.introspection.introspect(refresh_token(changed))


@pytest.mark.parametrize("verb", ["find_denials", "find_session_and_account"])
def test_table_that_is_away_is_no_verdict(keyturn: Keyturn, verb: str) -> None:
    """What cannot be looked up is not called inactive."""
    grant = sign_up(keyturn.services)
    faulty = FaultyStore(keyturn.store)
    faulty.fail_before(verb)
    away = Keyturn(faulty, keyturn.clock, keyturn.parameters).services.introspection
    token = grant.access_token if verb == "find_denials" else refresh_token(grant)
    with pytest.raises(Unavailable):
        away.introspect(str(token))
