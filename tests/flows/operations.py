"""Every use case as a race or a fault finds it: a world that is ready for it, the act, and what it must come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import (
    EmailTaken,
    InvalidCode,
    InvalidCredentials,
    InvalidGrant,
    InvalidToken,
    LoginExpired,
    SessionNotFound,
    Unavailable,
)
from chalicelib.services.federation.log_in import SessionRequest
from chalicelib.services.sessions.begin import MOST_SESSIONS
from tests.flows.contents import contents
from tests.flows.federated import BrowserFlow, Federated, code_for, exchange
from tests.flows.steps import (
    ELSEWHERE,
    EMAIL,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    Exhausted,
    assert_dead,
    assert_works,
    bearer,
    change_password,
    decoded,
    device_token,
    generation_of,
    link,
    log_in,
    log_out,
    long_lived,
    refresh,
    sign_up,
    tampered,
    unlink,
    with_dearer_hash,
    with_hasher,
)
from tests.flows.tables import fill_blacklist
from tests.store.samples import a_session, an_event
from tests.world.clock import START
from tests.world.constants import CLIENT
from tests.world.keyturn import ChosenSessions, choose_sessions
from tests.world.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.callers import Principal
    from chalicelib.domain.federation import AuthorizationCode
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store
    from tests.world.keyturn import Keyturn
    from tests.world.provider import FakeProvider

NEWCOMER = "carol@example.com"
CAROL = Person("carol", NEWCOMER)
OWNER = Person("owner", EMAIL)  # of the account's address, as a provider knows them that has verified it
UNPROVEN = Person("unproven", EMAIL, email_verified=False)
STRANGER = Person("stranger", "dave@example.com")  # an identity whose address says nothing of the account


@dataclass
class World:
    """One account with two sessions, two providers, and whatever an operation needs besides."""

    federated: Federated
    keyturn: Keyturn = field(init=False)
    here: Grant = field(init=False)
    there: Grant = field(init=False)
    principal: Principal = field(init=False)
    earlier: Grant = field(init=False)  # an older token of `here`, where there is one
    failing: Keyturn = field(init=False)  # over the same table, which may fail for it
    at_call: Callable[[str, int], None] | None = None  # what happens beside the operation, at each of its calls
    browser: BrowserFlow = field(init=False)  # one that has begun to log in
    query: dict[str, str] = field(init=False)  # with what its provider sends it back
    code: AuthorizationCode = field(init=False)  # a code that an app has got
    guest: Grant = field(init=False)  # a session of an account that `google` has opened
    visitor: Principal = field(init=False)  # and whom the authorizer let in with it

    @classmethod
    def over(cls, store: Store) -> World:
        """In this store."""
        return cls(Federated.over(store))

    def __post_init__(self) -> None:
        self.keyturn = self.federated.keyturn
        self.here = self.earlier = sign_up(self.keyturn.services)
        self.there = log_in(self.keyturn.services, transport="cookie")
        self.principal = self.keyturn.principal(self.here.access_token)

    def turn(self, later: int = 0) -> None:
        """Let `here` refresh, and time pass."""
        self.earlier, self.here = self.here, refresh(self.keyturn.services, self.here)
        self.keyturn.clock.advance(later)

    def link(self, provider: FakeProvider, person: Person) -> None:
        """Let the identity open the account."""
        code = code_for(provider, person)
        self.here = link(self.keyturn.services, self.here, provider.name, code)

    def fill_blacklist(self) -> None:
        """Let the user have logged out as often as the blacklist has room for."""
        fill_blacklist(self.keyturn.store, self.principal.sub)


def nothing(_: World) -> None:
    """Ready as it is, or content with anything."""


@dataclass(frozen=True)
class Operation:
    """`act` runs in a container whose store may fail. `refusal`: how it ends where nothing fails, if not well.

    `again`: how else it may end when it is sent again after a 503. `settled` is checked after that.
    """

    act: Callable[[World, Services], object]
    ready: Callable[[World], None] = nothing
    refusal: type[Exception] | None = None
    again: tuple[type[Exception], ...] = ()
    settled: Callable[[World], None] = nothing


def both_work(world: World) -> None:
    """Both sessions go on."""
    assert_works(world.keyturn, world.here)
    assert_works(world.keyturn, world.there)


def here_is_over(world: World) -> None:
    """The one session is dead, with every token it ever had; the other one works."""
    assert_dead(world.keyturn, world.here, world.earlier)
    assert_works(world.keyturn, world.there)


def there_is_over(world: World) -> None:
    """The other way round."""
    assert_dead(world.keyturn, world.there)
    assert_works(world.keyturn, world.here)


def turned_once(world: World) -> None:
    """However often the token was presented, its session is one generation further, and works."""
    assert generation_of(world.keyturn, world.here) == 1
    assert_works(world.keyturn, refresh(world.keyturn.services, world.earlier))


def newcomer_logs_in(world: World) -> None:
    """The account is there, once, and its password fits."""
    assert_works(world.keyturn, log_in(world.keyturn.services, email=NEWCOMER))


def nobody_came(world: World) -> None:
    """There is one account, as before."""
    with pytest.raises(InvalidCredentials):
        log_in(world.keyturn.services, WRONG_PASSWORD)
    both_work(world)


def password_is_old(world: World) -> None:
    """The password is the one of before, and so are the sessions."""
    assert_works(world.keyturn, log_in(world.keyturn.services))
    both_work(world)


def password_is_new(world: World) -> None:
    """The new password fits, the old one does not; every credential of before is dead, the asking session's too.

    Whoever never got the answer logs in.
    """
    assert_dead(world.keyturn, world.here, world.earlier, world.there)
    assert_works(world.keyturn, log_in(world.keyturn.services, NEW_PASSWORD, transport="session"))
    with pytest.raises(InvalidCredentials):
        log_in(world.keyturn.services)


def all_is_over(world: World) -> None:
    """No session of before is accepted; the next login is."""
    assert_dead(world.keyturn, world.here, world.earlier, world.there)
    assert_works(world.keyturn, log_in(world.keyturn.services))


def access_token_is_denied(world: World) -> None:
    """The access token opens nothing any more."""
    with pytest.raises(InvalidToken):
        world.keyturn.authorize(bearer(world.here))


def access_token_is_revoked(world: World) -> None:
    """It alone is: its session goes on, and so does the other one."""
    access_token_is_denied(world)
    assert_works(world.keyturn, refresh(world.keyturn.services, world.here))
    assert_works(world.keyturn, world.there)


def account_is_disabled(world: World) -> None:
    """No session of before is accepted, and no login."""
    assert_dead(world.keyturn, world.here, world.earlier, world.there)
    with pytest.raises(InvalidCredentials):
        log_in(world.keyturn.services)


def digest_is_new(world: World) -> None:
    """The digest is of today's parameters, and everybody stays logged in."""
    login = world.keyturn.store.find_login(EMAIL)
    assert login
    assert login.password_digest
    assert not with_dearer_hash(world.keyturn.services).log_in.hashing.hasher.needs_rehash(login.password_digest)
    both_work(world)


def comes_in(provider: str, person: Person) -> Callable[[World], None]:
    """The identity opens the account, from the next login on at the latest, and both sessions go on."""

    def settled(world: World) -> None:
        grant = exchange(world.keyturn.services, _provider(world, provider), person)
        assert grant.account.sub == world.here.account.sub
        assert_works(world.keyturn, grant)
        both_work(world)

    return settled


def newcomer_comes_in(world: World) -> None:
    """One account of the newcomer's, without a password; the one of before is as it was."""
    grant = exchange(world.keyturn.services, world.federated.google, CAROL)
    assert (grant.account.email, len(contents(world.keyturn.store).accounts)) == (NEWCOMER, 2)
    assert_works(world.keyturn, grant)
    password_is_old(world)


def account_is_its_owners(world: World) -> None:
    """From the owner's next login on at the latest, password and sessions of before are dead, and the owner is in."""
    grant = exchange(world.keyturn.services, world.federated.google, OWNER)
    assert (grant.account.sub, grant.account.email_verified) == (world.here.account.sub, True)
    assert_dead(world.keyturn, world.here, world.earlier, world.there)
    assert_works(world.keyturn, grant)
    with pytest.raises(InvalidCredentials):
        log_in(world.keyturn.services)


def linked_by_the_next_try(world: World) -> None:
    """Begun again by a new login, for the credential may have been renewed unheard, linking works, or has worked."""
    world.here = log_in(world.keyturn.services)
    world.link(world.federated.google, STRANGER)
    comes_in("google", STRANGER)(world)


def identity_is_gone(world: World) -> None:
    """The account has no identity; the identity makes an account of its own. The session that asked is renewed."""
    assert world.keyturn.services.identities.ways_in(world.principal).identities == ()
    grant = exchange(world.keyturn.services, world.federated.google, STRANGER)
    assert grant.account.sub != world.here.account.sub
    credential_was_renewed(world)


def credential_was_renewed(world: World) -> None:
    """What the session held is dead, and that is no theft; the other session goes on."""
    for grant in (world.here, world.earlier):
        with pytest.raises(InvalidGrant):
            refresh(world.keyturn.container(), grant)
    assert "refresh_token_reused" not in world.keyturn.audit.names()
    assert_works(world.keyturn, world.there)


def linked_again(world: World) -> None:
    """The identity opens the account as before, by a login of its own."""
    credential_was_renewed(world)
    assert exchange(world.keyturn.services, world.federated.google, STRANGER).account.sub == world.here.account.sub


def turned_late(world: World) -> None:
    """However often it was presented, one generation further than the answer that was lost, and it works."""
    assert generation_of(world.keyturn, world.here) == 2
    late = refresh(world.keyturn.services, world.earlier, device_token=device_token(world.earlier))
    assert_works(world.keyturn, late)
    assert "refresh_token_reused" not in world.keyturn.audit.names()


def sessions_are_bounded(world: World) -> None:
    """The next login that looks leaves a hundred at most, of which those in use are some."""
    _log_in_looking(world, world.keyturn.container())
    found, _ = world.keyturn.store.list_sessions(world.principal.sub, after=None, limit=200)
    assert len(found) <= MOST_SESSIONS
    both_work(world)


def guest_has_a_password(world: World) -> None:
    """It logs in; the credential of the session that set it was renewed."""
    assert_works(world.keyturn, log_in(world.keyturn.services, NEW_PASSWORD, email=NEWCOMER))
    assert_dead(world.keyturn, world.guest)
    both_work(world)


def there_ends_at_the_next_login(world: World) -> None:
    """The session that the browser came with ends with the login, or with the next one."""
    carried = decoded(world.keyturn.services, world.there)
    assert_works(world.keyturn, exchange(world.keyturn.services, world.federated.google, STRANGER, carried=carried))
    there_is_over(world)


def _provider(world: World, name: str) -> FakeProvider:
    return {"google": world.federated.google, "oidc": world.federated.oidc}[name]


def _begun(person: Person, linked: Person | None = None, proven: Person | None = None) -> Callable[[World], None]:
    """A browser that is on its way back from `google`; identities that open the account there, and at `oidc`."""

    def ready(world: World) -> None:
        _linked(linked, proven)(world)
        world.browser = world.federated.browser()
        world.query = world.federated.google.approve(world.browser.begin(), person)

    return ready


def _linked(linked: Person | None = None, proven: Person | None = None) -> Callable[[World], None]:
    def ready(world: World) -> None:
        if linked:
            world.link(world.federated.google, linked)
        if proven:
            world.link(world.federated.oidc, proven)

    return ready


def _has_code(person: Person, linked: Person | None = None) -> Callable[[World], None]:
    def ready(world: World) -> None:
        _linked(linked)(world)
        world.code = code_for(world.federated.google, person)

    return ready


def _begun_linking(world: World) -> None:
    world.browser = world.federated.browser()
    world.query = world.federated.google.approve(world.browser.begin_linking(world.here), STRANGER)


def _begun_elsewhere(world: World) -> None:
    _begun(OWNER)(world)
    world.browser = world.federated.browser(ELSEWHERE)
    world.browser.begin()


def _guest_is_in(world: World) -> None:
    world.guest = exchange(world.keyturn.services, world.federated.google, CAROL)
    world.visitor = world.keyturn.principal(world.guest.access_token)


def _come_back_with_cookie(world: World, services: Services) -> None:
    _come_back(world, services, decoded(world.keyturn.services, world.here))


def _come_back(world: World, services: Services, carried: RefreshToken | None = None) -> None:
    """The page is told a code; here it is the error that it stands for."""
    returned = world.browser.come_back(world.query, services=services, carried=carried)
    if returned.error:
        raise next(error for error in (Unavailable, LoginExpired, EmailTaken) if error.code == returned.error)


def _exchange(world: World, services: Services) -> Grant:
    return services.exchange_code("google", world.code, SessionRequest(transport="body", caller=CLIENT))


def _exchange_carrying(world: World, services: Services) -> Grant:
    carried = decoded(world.keyturn.services, world.there)
    visit = SessionRequest(transport="body", caller=CLIENT, carried=(carried,))
    return services.exchange_code("google", world.code, visit)


def _set_first_password(world: World, services: Services) -> Grant:
    return change_password(services, world.guest, None)


def _sign_up_carrying(world: World, services: Services) -> Grant:
    return sign_up(services, email=NEWCOMER, carried=decoded(world.keyturn.services, world.there))


def _log_in_looking(_: World, services: Services) -> Grant:
    choose_sessions(services, ChosenSessions(look=True))
    return log_in(services)


def _too_many_sessions(world: World) -> None:
    for _ in range(MOST_SESSIONS):
        unused = {"created_at": START - 3600, "rotated_at": START - 3600, "idle_expires_at": START + 3600}
        world.keyturn.store.create_session(a_session(world.principal.sub, **unused))


def _link_once_more(world: World, services: Services) -> Grant:
    return link(services, world.here, "google", code_for(world.federated.google, STRANGER))


def _log_in_carrying(world: World, services: Services) -> Grant:
    return log_in(services, carried=decoded(world.keyturn.services, world.there))


def _newcomer_carries(world: World) -> None:
    # A signup that is sent again is refused before it ends anything: the login that follows it does.
    log_in(world.keyturn.services, email=NEWCOMER, carried=decoded(world.keyturn.services, world.there))
    there_is_over(world)


def _forge(world: World, services: Services) -> Grant:
    return services.refresh(tampered(world.keyturn, world.here, secret=bytes(32)), ELSEWHERE)


def _authorize(world: World, _: Services) -> object:
    return world.failing.authorize(world.here.access_token)


def _revoke_access_token(world: World, services: Services) -> None:
    services.revocation.revoke(bearer(world.here), CLIENT)


def _enter_there(world: World, _: Services) -> object:
    return world.failing.enter(world.there)


def _event_is_kept_once(world: World) -> None:
    """However often it came."""
    now = world.keyturn.clock.now()
    listed = world.keyturn.store.list_events(world.principal.sub, rank="other", now=now, limit=50)
    assert [event.id for event in listed] == ["id"]


def _there_is_a_session(later: int = 0) -> Callable[[World], None]:
    """The other session is of the transport `session`, and was last used so many seconds ago."""

    def ready(world: World) -> None:
        log_out(world.keyturn.services, world.there)
        world.there = log_in(world.keyturn.services, transport="session")
        world.keyturn.clock.advance(later)

    return ready


def _there_is_over_by_now(world: World) -> None:
    _there_is_a_session()(world)
    log_out(world.keyturn.services, world.there)


def _turn_and_fill_blacklist(world: World) -> None:
    world.turn(later=21)
    world.fill_blacklist()


def _change_password_at_rotation(world: World) -> None:
    once = iter([change_password])

    def at_call(verb: str, _: int) -> None:
        if verb == "rotate_refresh_token":
            for change in once:
                change(world.keyturn.services, world.here)

    world.at_call = at_call


def _end_there(world: World, services: Services) -> None:
    services.sessions.end_one(world.principal, world.there.session_id, CLIENT)


OPERATIONS = {
    "signup": Operation(
        lambda _, services: sign_up(services, email=NEWCOMER), again=(EmailTaken,), settled=newcomer_logs_in
    ),
    "signup with a session": Operation(_sign_up_carrying, again=(EmailTaken,), settled=_newcomer_carries),
    "signup with a known address": Operation(
        lambda _, services: sign_up(services), refusal=EmailTaken, settled=both_work
    ),
    "login": Operation(lambda _, services: log_in(services), settled=both_work),
    "login with a session": Operation(_log_in_carrying, settled=there_is_over),
    "login from a known device": Operation(
        lambda world, services: log_in(services, device_token=device_token(world.earlier)), settled=both_work
    ),
    "login that removes sessions": Operation(_log_in_looking, ready=_too_many_sessions, settled=sessions_are_bounded),
    "login with a rehash": Operation(lambda _, services: log_in(with_dearer_hash(services)), settled=digest_is_new),
    "login without memory": Operation(
        lambda _, services: log_in(with_hasher(services, Exhausted())), refusal=Unavailable, settled=both_work
    ),
    "login with a wrong password": Operation(
        lambda _, services: log_in(services, WRONG_PASSWORD), refusal=InvalidCredentials, settled=nobody_came
    ),
    "refresh": Operation(lambda world, services: refresh(services, world.earlier), settled=turned_once),
    "refresh that loses a race": Operation(
        lambda world, services: refresh(services, world.earlier), ready=World.turn, settled=turned_once
    ),
    "refresh inside the window again": Operation(
        lambda world, services: refresh(services, world.here), ready=World.turn, settled=turned_once
    ),
    "refresh that is answered late": Operation(
        lambda world, services: refresh(services, world.earlier, device_token=device_token(world.earlier)),
        ready=lambda world: world.turn(later=21),
        settled=turned_late,
    ),
    "refresh by a thief": Operation(
        lambda world, services: refresh(services, world.earlier),
        ready=lambda world: world.turn(later=21),
        refusal=InvalidGrant,
        settled=here_is_over,
    ),
    "refresh by a thief, blacklist full": Operation(
        lambda world, services: refresh(services, world.earlier),
        ready=_turn_and_fill_blacklist,
        refusal=InvalidGrant,
        settled=lambda world: assert_dead(world.keyturn, world.here, world.earlier),
    ),
    "refresh that meets a password change": Operation(
        lambda world, services: refresh(services, world.earlier),
        ready=_change_password_at_rotation,
        refusal=InvalidGrant,
        settled=password_is_new,
    ),
    "refresh with a forged secret": Operation(_forge, refusal=InvalidGrant, settled=both_work),
    "logout": Operation(lambda world, services: log_out(services, world.here), settled=here_is_over),
    "logout, blacklist full": Operation(
        lambda world, services: log_out(services, world.here),
        ready=World.fill_blacklist,
        settled=lambda world: assert_dead(world.keyturn, world.here),
    ),
    "logout everywhere": Operation(
        lambda world, services: services.accounts.log_out_everywhere(world.principal, CLIENT), settled=all_is_over
    ),
    "password change": Operation(
        lambda world, services: change_password(services, world.here),
        again=(InvalidGrant,),
        settled=password_is_new,
    ),
    "password change with a wrong one": Operation(
        lambda world, services: change_password(services, world.here, WRONG_PASSWORD),
        refusal=InvalidCredentials,
        settled=password_is_old,
    ),
    "disabling": Operation(
        lambda world, services: services.accounts.disable(world.principal.sub, CLIENT), settled=account_is_disabled
    ),
    "list of sessions": Operation(lambda world, services: services.sessions.list(world.principal), settled=both_work),
    "end of one session": Operation(_end_there, again=(SessionNotFound,), settled=there_is_over),
    "end of an unknown session": Operation(
        lambda world, services: services.sessions.end_one(world.principal, "A" * 22, CLIENT),
        refusal=SessionNotFound,
        settled=both_work,
    ),
    "account": Operation(lambda world, services: services.accounts.account(world.principal), settled=both_work),
    "authorize": Operation(_authorize, settled=both_work),
    "authorize after a logout": Operation(
        _authorize,
        ready=lambda world: log_out(world.keyturn.services, world.here),
        refusal=InvalidToken,
        settled=here_is_over,
    ),
    "revocation of a refresh token": Operation(
        lambda world, services: services.revocation.revoke(long_lived(world.here).refresh_token, CLIENT),
        settled=here_is_over,
    ),
    "revocation of an access token": Operation(_revoke_access_token, settled=access_token_is_revoked),
    "revocation of an access token, blacklist full": Operation(
        _revoke_access_token, ready=World.fill_blacklist, settled=access_token_is_denied
    ),
    "introspection of an access token": Operation(
        lambda world, services: services.introspection.introspect(bearer(world.here)), settled=both_work
    ),
    "introspection of a refresh token": Operation(
        lambda world, services: services.introspection.introspect(long_lived(world.here).refresh_token),
        settled=both_work,
    ),
    "session cookie": Operation(_enter_there, ready=_there_is_a_session(), settled=both_work),
    "session cookie after a minute": Operation(_enter_there, ready=_there_is_a_session(60), settled=both_work),
    "session cookie after a logout": Operation(
        _enter_there, ready=_there_is_over_by_now, refusal=InvalidToken, settled=there_is_over
    ),
    "login for a session cookie": Operation(
        lambda _, services: log_in(services, transport="session"), settled=both_work
    ),
    "login with a session cookie": Operation(_log_in_carrying, ready=_there_is_a_session(), settled=there_is_over),
    "logout by session cookie": Operation(
        lambda world, services: log_out(services, world.there), ready=_there_is_a_session(), settled=there_is_over
    ),
    "password change by session cookie": Operation(
        lambda world, services: change_password(services, world.there),
        ready=_there_is_a_session(),
        again=(InvalidGrant,),
        settled=password_is_new,
    ),
    "begin": Operation(lambda _, services: BrowserFlow(services).begin(), settled=both_work),
    "begin linking": Operation(
        lambda world, services: BrowserFlow(services).begin_linking(world.here), settled=both_work
    ),
    "callback": Operation(
        _come_back,
        ready=_begun(STRANGER, linked=STRANGER),
        again=(LoginExpired,),
        settled=comes_in("google", STRANGER),
    ),
    "callback of a first arrival": Operation(
        _come_back, ready=_begun(CAROL), again=(LoginExpired,), settled=newcomer_comes_in
    ),
    "callback that links by address": Operation(
        _come_back, ready=_begun(OWNER, proven=OWNER), again=(LoginExpired,), settled=comes_in("google", OWNER)
    ),
    "callback that takes over": Operation(
        _come_back, ready=_begun(OWNER), again=(LoginExpired,), settled=account_is_its_owners
    ),
    "callback with an unverified address": Operation(
        _come_back, ready=_begun(UNPROVEN), refusal=EmailTaken, again=(LoginExpired,), settled=password_is_old
    ),
    "callback in another browser": Operation(
        _come_back, ready=_begun_elsewhere, refusal=LoginExpired, settled=password_is_old
    ),
    "callback that links": Operation(
        _come_back, ready=_begun_linking, again=(LoginExpired,), settled=linked_by_the_next_try
    ),
    "callback that links and renews": Operation(
        _come_back_with_cookie, ready=_begun_linking, again=(LoginExpired,), settled=linked_by_the_next_try
    ),
    "exchange": Operation(
        _exchange,
        ready=_has_code(STRANGER, linked=STRANGER),
        again=(InvalidCode,),
        settled=comes_in("google", STRANGER),
    ),
    "exchange with a session": Operation(
        _exchange_carrying,
        ready=_has_code(STRANGER, linked=STRANGER),
        again=(InvalidCode,),
        settled=there_ends_at_the_next_login,
    ),
    "exchange of a first arrival": Operation(
        _exchange, ready=_has_code(CAROL), again=(InvalidCode,), settled=newcomer_comes_in
    ),
    "exchange that takes over": Operation(
        _exchange, ready=_has_code(OWNER), again=(InvalidCode,), settled=account_is_its_owners
    ),
    "link by code": Operation(
        lambda world, services: link(services, world.here, "google", world.code),
        ready=_has_code(STRANGER),
        again=(InvalidCode, InvalidGrant),
        settled=linked_by_the_next_try,
    ),
    "list of security events": Operation(
        lambda world, services: services.security_events.list(world.principal), settled=both_work
    ),
    # As `chronicle` does it: of all verbs, the one that no service calls.
    "security events": Operation(
        lambda world, services: services.security_events.store.record_events([an_event(world.principal.sub, id="id")]),
        settled=_event_is_kept_once,
    ),
    "list of identities": Operation(
        lambda world, services: services.identities.ways_in(world.principal),
        ready=_linked(STRANGER),
        settled=comes_in("google", STRANGER),
    ),
    "unlinking": Operation(
        lambda world, services: unlink(services, world.here, "google"),
        ready=_linked(STRANGER),
        again=(InvalidGrant,),
        settled=identity_is_gone,
    ),
    "link by code again": Operation(
        _link_once_more, ready=_linked(STRANGER), again=(InvalidGrant,), settled=linked_again
    ),
    "first password": Operation(
        _set_first_password, ready=_guest_is_in, again=(InvalidGrant,), settled=guest_has_a_password
    ),
}
