"""Signing up."""

from __future__ import annotations

import pytest

from chalicelib.domain.callers import Caller
from chalicelib.errors import (
    ConfigurationError,
    EmailTaken,
    InvalidEmail,
    InvalidRequest,
    PasswordRejected,
    TooManyRequests,
    Unavailable,
)
from tests.flows.contents import Contents, contents
from tests.flows.steps import (
    EMAIL,
    CountingHasher,
    assert_dead,
    assert_works,
    change_password,
    credentials,
    decoded,
    log_in,
    long_lived,
    refresh,
    sign_up,
    with_hasher,
    without_signing_key,
)
from tests.world.constants import CLIENT, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore


def test_account_and_first_session_work_at_once(anywhere: Keyturn) -> None:
    """The grant of a signup is accepted everywhere, and the password logs in from now on."""
    grant = sign_up(anywhere.services)
    assert grant.account.email == EMAIL
    assert_works(anywhere, grant)
    assert_works(anywhere, log_in(anywhere.container()))
    assert anywhere.audit.names()[0] == "signed_up"


def test_new_account_has_no_rights_beyond_a_users() -> None:
    """Role, scope and verification come from us, never from the request (regressions: CVE-2026-27946)."""
    keyturn = Keyturn(FakeStore(), config=config(role_scopes={"user": ("notes:read",), "admin": ("everything",)}))
    claims = keyturn.authorize(sign_up(keyturn.services).access_token)
    assert (claims.roles, claims.scope, claims.email_verified) == (("user",), "notes:read", False)
    assert (claims.amr, claims.auth_time) == (("pwd",), keyturn.clock.now())


@pytest.mark.parametrize("email", [EMAIL, "Alice@EXAMPLE.com"])
def test_known_address_is_refused_after_the_same_hash(anywhere: Keyturn, email: str) -> None:
    """EmailTaken in every spelling of the address, at the cost of one hash, and nothing of the account changes."""
    grant = sign_up(anywhere.services)
    hasher = CountingHasher(anywhere.services.log_in.hashing.hasher)
    with pytest.raises(EmailTaken):
        sign_up(with_hasher(anywhere.services, hasher), email=email)
    assert hasher.calls == ["hash"]
    assert anywhere.audit.events[-1] == ("signup_refused", {"caller": CLIENT, "why": "email_taken"})
    assert_works(anywhere, grant)


@pytest.mark.parametrize(
    ("email", "password", "refusal"),
    [
        ("not an address", PASSWORD, InvalidEmail),
        ("alice@example.com,eve@example.com", PASSWORD, InvalidEmail),
        (EMAIL, "short", PasswordRejected),
        (EMAIL, "x" * 257, InvalidRequest),
        (EMAIL, "ALICE@example.com", PasswordRejected),
    ],
)
def test_what_the_policy_refuses_reaches_no_table(email: str, password: str, refusal: type[Exception]) -> None:
    """A request that can never succeed costs no call and counts for nobody."""
    store = FaultyStore(FakeStore())
    with pytest.raises(refusal):
        Keyturn(store).services.sign_up(credentials(password, email=email), CLIENT)
    assert store.calls == []


def test_session_that_the_browser_came_with_ends(anywhere: Keyturn) -> None:
    """A new login ends the one before it, other people's accounts included (ASVS V7.2.4)."""
    former = sign_up(anywhere.services, email="bob@example.com", transport="cookie")
    grant = sign_up(anywhere.services, transport="cookie", carried=decoded(anywhere.services, former))
    assert grant.session_id != former.session_id
    assert_dead(anywhere, former)
    assert_works(anywhere, grant)


def test_refused_signup_ends_no_session(keyturn: Keyturn) -> None:
    """Who fails to sign up keeps the session of before."""
    former = sign_up(keyturn.services, transport="cookie")
    with pytest.raises(EmailTaken):
        sign_up(keyturn.services, transport="cookie", carried=decoded(keyturn.services, former))
    assert_works(keyturn, former)


def test_nothing_is_written_while_the_key_store_is_away() -> None:
    """An account whose first grant could not be signed is never made."""
    store = FakeStore()
    keyturn = Keyturn(store)
    keyturn.parameters.away = True
    for container in (keyturn.container(), without_signing_key(keyturn)):
        with pytest.raises(Unavailable):
            sign_up(container)
        assert contents(store) == Contents()
    keyturn.parameters.away = False
    assert_works(keyturn, sign_up(keyturn.container()))


def test_repeated_signup_converges_to_a_login() -> None:
    """After a lost answer the same signup is EmailTaken, and logging in works."""
    store = FaultyStore(FakeStore())
    keyturn = Keyturn(store)
    store.fail_after("create_account")
    with pytest.raises(Unavailable):
        sign_up(keyturn.services)
    with pytest.raises(EmailTaken):
        sign_up(keyturn.services)
    assert_works(keyturn, log_in(keyturn.services))


def test_signups_from_one_address_are_limited() -> None:
    """A hundred an hour, whatever the emails; an IPv6 /64 is one address (regressions: CVE-2026-45364)."""
    store = FakeStore()
    keyturn = Keyturn(store)
    for number in range(100):
        sign_up(keyturn.services, email=f"n{number}@example.com", client=Caller(f"2001:db8::{number:x}", "tests"))
    hasher = CountingHasher(keyturn.services.log_in.hashing.hasher)
    with pytest.raises(TooManyRequests) as refused:
        sign_up(with_hasher(keyturn.services, hasher), client=Caller("2001:db8::ffff", "tests"))
    assert refused.value.retry_after == 10
    assert hasher.calls == []
    assert len(store.accounts) == 100
    sign_up(keyturn.services, client=Caller("2001:db8:0:1::", "tests"))


def test_refresh_token_lives_as_long_as_the_idle_limit(keyturn: Keyturn) -> None:
    """The cookie's Max-Age is what is left of the session: the idle limit, or the absolute one where that is nearer."""
    grant = sign_up(keyturn.services)
    assert long_lived(grant).expires_in == keyturn.config.sessions.idle_ttl
    assert grant.expires_in == keyturn.config.sessions.access_ttl


def test_token_that_cannot_be_signed_leaves_nothing_behind() -> None:
    """An access token that would be refused for its length is not signed, and no account, session or event is left."""
    store = FakeStore()
    many = {"user": tuple(f"resource-{number:03}:readable" for number in range(150))}  # settings refuse it at start
    keyturn = Keyturn(store, config=config(role_scopes=many))
    with pytest.raises(ConfigurationError, match="at most 4096 are accepted"):
        sign_up(keyturn.services)
    assert (store.logins, store.accounts, store.sessions, keyturn.audit.events) == ({}, {}, {}, [])


def test_account_with_too_many_roles_begins_no_session() -> None:
    """Roles that the table's owner has given to an account are too many for a token: its login writes no session."""
    store = FakeStore()
    keyturn = Keyturn(store)
    grant = sign_up(keyturn.services)
    roles = tuple(f"role-{number}" for number in range(1000))
    login = store.logins[EMAIL]
    store.logins[EMAIL] = login._replace(account=login.account._replace(roles=roles))
    sessions, events = dict(store.sessions), list(keyturn.audit.events)
    with pytest.raises(ConfigurationError, match=f"account {grant.account.sub} .* fewer roles"):
        log_in(keyturn.services)
    with pytest.raises(ConfigurationError):
        change_password(keyturn.services, grant)
    assert (store.sessions, keyturn.audit.events) == (sessions, events)


@pytest.mark.parametrize("roles", [tuple(f"role-{number}" for number in range(1000)), ("store manager",)])
def test_roles_that_no_token_can_hold_cost_no_session(roles: tuple[str, ...]) -> None:
    """A refresh is refused before the key is turned, however often: the session goes on when the roles are mended."""
    store = FakeStore()
    keyturn = Keyturn(store)
    grant = sign_up(keyturn.services)
    account = store.accounts[grant.account.sub]
    store.accounts[account.sub] = account._replace(roles=roles)
    sessions, events = dict(store.sessions), list(keyturn.audit.events)
    for later in (0, 5, 20):
        keyturn.clock.advance(later)
        with pytest.raises(ConfigurationError, match=f"account {account.sub} "):
            refresh(keyturn.services, grant)
    assert (store.sessions, keyturn.audit.events) == (sessions, events)
    store.accounts[account.sub] = account
    assert_works(keyturn, refresh(keyturn.services, grant))
