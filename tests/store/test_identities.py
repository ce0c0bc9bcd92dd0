"""The contract of the verbs on identities: which ones open an account, and what it takes to change that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.denials import Denials
from chalicelib.store import keys
from chalicelib.store.outcomes import AccessChanged, Renewal
from tests.flows.contents import contents
from tests.store.samples import NOW, PROVEN, a_login, a_renewal, a_session, an_arrival, an_identity, elsewhere
from tests.store.test_renewals import renewed

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from chalicelib.domain.accounts import LinkedIdentity, Login
    from chalicelib.domain.sessions import Session
    from chalicelib.store.protocol import Store
    from tests.store.conftest import Table

    Stale = Callable[[Store, Login], Login]

DENY_UNTIL = NOW + 1020


def held_by(store: Store, login: Login, **changes: Any) -> Session:
    """Make the account with one session, and return the session."""
    session = a_session(login.account.sub, **{"epoch": login.account.epoch, **changes})
    assert store.create_account(login, session)
    return session


def session_of(store: Store, login: Login) -> Session:
    """The account's one session as it is now."""
    (session,), _ = store.list_sessions(login.account.sub, after=None, limit=50)
    return session


def owner(store: Store, identity: LinkedIdentity) -> str | None:
    """The sub of the account that the identity opens."""
    return store.find_identity(identity.issuer, identity.subject)


def link(
    store: Store,
    login: Login,
    identity: LinkedIdentity,
    *,
    proves: str | None = None,
    session: Renewal | Session | None = None,
) -> AccessChanged:
    """Link the identity."""
    return store.link_identity(login, identity, proves=proves, session=session)


def unlink(store: Store, login: Login, provider: str) -> AccessChanged:
    """Unlink the identity, as the account's one session."""
    return store.unlink_identity(login, provider, a_renewal(session_of(store, login)))


# How a login can differ from what was read: each makes one clause of the condition fail, and no other.


def epoch_was_raised(store: Store, login: Login) -> Login:
    """Somebody has logged out everywhere meanwhile."""
    assert store.raise_epoch(login.account, deny_until=DENY_UNTIL)
    return login


def address_was_proven_then(_: Store, login: Login) -> Login:
    """The address counted as verified when the login was read, and does not now."""
    return login._replace(account=login.account._replace(email_verified=True))


def identity_came(store: Store, login: Login) -> Login:
    """Another identity was linked meanwhile."""
    assert link(store, login, an_identity(provider="third")) is AccessChanged.CHANGED
    return login


def identity_went(store: Store, login: Login) -> Login:
    """An identity that was read is gone, with its marker."""
    third = an_identity(provider="third")
    assert link(store, login, third) is AccessChanged.CHANGED
    read = login._replace(identities=(*login.identities, third))
    assert unlink(store, read, "third") is AccessChanged.CHANGED
    return read


def address_is_anothers(store: Store, login: Login) -> Login:
    """The address is that of another account by now, which is otherwise alike."""
    other = a_login()._replace(identities=())
    assert store.create_account(other, a_session(other.account.sub))
    while login.identities:
        assert unlink(store, login, login.identities[0].provider) is AccessChanged.CHANGED
        login = login._replace(identities=login.identities[1:])
    return login._replace(account=login.account._replace(email=other.account.email))


def account_is_gone(_: Store, login: Login) -> Login:
    """Nobody has the address."""
    return login._replace(account=login.account._replace(email="nobody@example.com"))


STALE = [epoch_was_raised, address_was_proven_then, identity_came, identity_went, address_is_anothers, account_is_gone]
EVERY_STALE = pytest.mark.parametrize("stale", STALE, ids=lambda stale: stale.__name__)
EVERY_LOGIN = pytest.mark.parametrize(
    "make", [a_login, lambda: an_arrival(elsewhere())], ids=["password", "another identity"]
)


def test_account_is_found_by_each_of_its_identities(store: Store) -> None:
    """An account without a password is made with its identities, and each of them opens it."""
    google, other = an_identity(email=""), elsewhere()
    login = an_arrival(google, other, email_verified=True)
    held_by(store, login)
    assert store.find_login(login.account.email) == login
    assert store.find_account(login.account.sub) == login.account
    assert owner(store, google) == owner(store, other) == login.account.sub
    contents(store).assert_whole()


def test_making_an_account_again_says_that_it_is_made(store: Store) -> None:
    """The repetition of a write whose answer was lost finds its own work, markers included."""
    login = an_arrival(an_identity())
    session = a_session(login.account.sub)
    assert store.create_account(login, session) is True
    assert store.create_account(login, session) is True


def test_taken_identity_makes_nothing(store: Store) -> None:
    """No account is made for an identity that opens one, and no marker of the other identities that it came with."""
    google, other = an_identity(), elsewhere()
    first, second = an_arrival(google), an_arrival(other, google)
    held_by(store, first)
    before = contents(store)
    assert store.create_account(second, a_session(second.account.sub)) is False
    assert contents(store) == before


def test_taken_address_makes_no_marker(store: Store) -> None:
    """An identity opens nothing where its account was not made."""
    first, identity = a_login(), an_identity()
    held_by(store, first)
    second = an_arrival(identity, email=first.account.email)
    assert store.create_account(second, a_session(second.account.sub)) is False
    assert owner(store, identity) is None
    assert store.find_login(first.account.email) == first


@pytest.mark.parametrize("subject", ["1", "a", "a#b", "b", "#", "A", "x" * 255])
def test_identity_is_issuer_and_subject_exactly(store: Store, subject: str) -> None:
    """No other issuer, spelling or part of a subject finds the account."""
    identity = an_identity(issuer="https://issuer.example/a", subject=subject)
    login = an_arrival(identity)
    held_by(store, login)
    assert owner(store, identity) == login.account.sub
    for issuer, other in (
        ("https://issuer.example/a", f"{subject}#"),
        ("https://issuer.example/a", f"#{subject}"),
        ("https://issuer.example/a", subject.swapcase() + subject),
        ("https://issuer.example", subject),
        ("https://issuer.example/a/", subject),
        ("", subject),
    ):
        assert store.find_identity(issuer, other) is None


@EVERY_LOGIN
@pytest.mark.parametrize("asked", ["renewal", "session", None])
@pytest.mark.parametrize("proves", [PROVEN, None])
def test_linked_identity_opens_the_account(
    store: Store, make: Callable[[], Login], asked: str | None, *, proves: str | None
) -> None:
    """It stands last in the list; with proof the address is verified in both items; a renewal renews its session.

    Nothing else changes.
    """
    login, identity = make(), an_identity()
    session = held_by(store, login)
    other = a_session(session.sub)
    store.create_session(other)
    before = contents(store)
    renewal = a_renewal(session, auth_time=NOW + 50)
    asking = {"renewal": renewal, "session": session, None: None}[asked]
    assert link(store, login, identity, proves=proves, session=asking) is AccessChanged.CHANGED
    account = login.account if proves is None else login.account.proven(proves)
    assert owner(store, identity) == account.sub
    assert store.find_login(account.email) == login._replace(account=account, identities=(*login.identities, identity))
    assert store.find_account(account.sub) == account
    after = contents(store)
    after.assert_whole()
    assert after.denials == before.denials
    left = {**before.sessions, **({session.sid: renewed(renewal)} if asked == "renewal" else {})}
    assert after.sessions == left


def test_proven_address_stays_proven(store: Store) -> None:
    """An identity with another address, which proves nothing, takes no proof away."""
    login = a_login(email_verified=True)
    held_by(store, login)
    assert link(store, login, an_identity()) is AccessChanged.CHANGED
    assert store.find_account(login.account.sub) == login.account


@EVERY_LOGIN
@EVERY_STALE
def test_link_needs_the_login_that_was_read(store: Store, make: Callable[[], Login], stale: Stale) -> None:
    """Where anything about it has changed, nothing is linked."""
    login, identity = make(), an_identity()
    held_by(store, login)
    read = stale(store, login)
    before = contents(store)
    assert link(store, read, identity) is AccessChanged.LOGIN_MOVED
    assert contents(store) == before
    before.assert_whole()


def test_link_needs_an_identity_that_opens_nothing(store: Store) -> None:
    """Neither another account's identity nor one's own is linked, whatever else does not hold."""
    taken, own = an_identity(), elsewhere()
    held_by(store, an_arrival(taken))
    login = a_login(own)
    session = held_by(store, login)
    moved = epoch_was_raised(store, login)
    before = contents(store)
    for identity in (taken, own):
        for read in (moved, login._replace(account=login.account._replace(epoch=1))):
            for asking in (session, session._replace(sid="gone"), a_renewal(session), None):
                assert link(store, read, identity, session=asking) is AccessChanged.IDENTITY_TAKEN
    assert contents(store) == before


def test_taken_over_account_is_the_identitys_alone(store: Store) -> None:
    """Password and other identities are gone, the epoch is raised everywhere and the address is proven."""
    identity = an_identity()
    # Neither the subject alone nor the issuer alone is the identity.
    old = (elsewhere(subject=identity.subject), an_identity(provider="third"))
    login, neighbour = a_login(*old), a_login(elsewhere())
    sid = held_by(store, login).sid
    held_by(store, neighbour)
    assert store.take_over_account(login, identity, proves=PROVEN, deny_until=DENY_UNTIL) is True
    account = login.account.proven(PROVEN)._replace(epoch=1)
    assert store.find_login(account.email) == login._replace(
        account=account, password_digest=None, identities=(identity,)
    )
    assert store.find_account(account.sub) == account
    assert store.find_denials(account.sub) == Denials(before_epoch=1)
    session = store.find_session(account.sub, sid)
    assert session
    assert not session.lives(account.epoch, NOW)
    assert owner(store, identity) == account.sub
    assert [owner(store, gone) for gone in old] == [None, None]
    assert store.find_login(neighbour.account.email) == neighbour
    contents(store).assert_whole()


def test_account_is_taken_over_by_an_identity_that_it_has(store: Store) -> None:
    """What it was linked with before goes; its own marker is kept, and says when it was linked last."""
    identity, other = an_identity(), elsewhere()
    login = a_login(identity, other)
    held_by(store, login)
    again = identity._replace(email="now-proven@example.com", linked_at=NOW)
    assert store.take_over_account(login, again, proves=PROVEN, deny_until=DENY_UNTIL) is True
    held = store.find_login(login.account.email)
    assert held
    assert (held.password_digest, held.identities) == (None, (again,))
    assert (owner(store, identity), owner(store, other)) == (login.account.sub, None)
    contents(store).assert_whole()


@EVERY_LOGIN
@EVERY_STALE
def test_take_over_needs_the_login_that_was_read(store: Store, make: Callable[[], Login], stale: Stale) -> None:
    """Where anything about it has changed, nothing is taken."""
    login = make()
    held_by(store, login)
    read = stale(store, login)
    before = contents(store)
    assert store.take_over_account(read, an_identity(), proves=PROVEN, deny_until=DENY_UNTIL) is False
    assert contents(store) == before


@pytest.mark.parametrize("read", [True, False])
def test_proven_account_is_not_taken_over(store: Store, *, read: bool) -> None:
    """An account whose address its owner has proven keeps its password, whatever the caller has read."""
    login = a_login(email_verified=True)
    held_by(store, login)
    before = contents(store)
    stale = login._replace(account=login.account._replace(email_verified=read))
    assert store.take_over_account(stale, an_identity(), proves=PROVEN, deny_until=DENY_UNTIL) is False
    assert contents(store) == before


def test_take_over_needs_an_identity_that_opens_no_other_account(store: Store) -> None:
    """Another account's identity takes nothing, and stays where it is."""
    identity, login = an_identity(), a_login()
    held_by(store, an_arrival(identity))
    held_by(store, login)
    before = contents(store)
    assert store.take_over_account(login, identity, proves=PROVEN, deny_until=DENY_UNTIL) is False
    assert contents(store) == before


@pytest.mark.parametrize("provider", ["google", "oidc"])
def test_unlinked_identity_opens_nothing(store: Store, provider: str) -> None:
    """It is gone from the list and free for another account, and the session that asked has new credentials.

    The other identity, other sessions and the account stay as they are.
    """
    login, neighbour = a_login(an_identity(), elsewhere()), a_login()
    session = held_by(store, login)
    other = a_session(session.sub)
    store.create_session(other)
    held_by(store, neighbour)
    gone = login.identity(provider)
    assert gone
    renewal = a_renewal(session)
    assert store.unlink_identity(login, provider, renewal) is AccessChanged.CHANGED
    assert store.find_session(session.sub, session.sid) == renewed(renewal)
    assert store.find_session(other.sub, other.sid) == other
    left = tuple(identity for identity in login.identities if identity != gone)
    assert store.find_login(login.account.email) == login._replace(identities=left, given_up=(provider,))
    assert store.find_account(login.account.sub) == login.account
    assert [owner(store, identity) for identity in (gone, *left)] == [None, login.account.sub]
    assert link(store, neighbour, gone) is AccessChanged.CHANGED
    contents(store).assert_whole()


def test_unlinking_what_is_not_linked_changes_nothing(store: Store) -> None:
    """An account without the identity is as it should be; the session's credentials are renewed all the same."""
    login = a_login(elsewhere())
    renewal = a_renewal(held_by(store, login))
    before = contents(store)
    assert store.unlink_identity(login, "google", renewal) is AccessChanged.CHANGED
    assert contents(store) == replace(before, sessions={renewal.session.sid: renewed(renewal)})


@EVERY_STALE
def test_unlinking_needs_the_login_that_was_read(store: Store, stale: Stale) -> None:
    """Where anything about it has changed, nothing is taken away: it might be the last way in by now."""
    login = an_arrival(an_identity(), elsewhere())
    held_by(store, login)
    read = stale(store, login)
    session = session_of(store, login)
    before = contents(store)
    assert store.unlink_identity(read, "google", a_renewal(session)) is AccessChanged.LOGIN_MOVED
    assert contents(store) == before


def test_verbs_that_are_repeated_change_nothing_more(store: Store) -> None:
    """Who repeats a write whose answer was lost is sent to read again, and finds it done."""
    login, identity = a_login(elsewhere()), an_identity()
    held_by(store, login)
    assert link(store, login, identity) is AccessChanged.CHANGED
    assert link(store, login, identity) is AccessChanged.IDENTITY_TAKEN
    both = login._replace(identities=(*login.identities, identity))
    assert store.find_login(login.account.email) == both
    renewal = a_renewal(session_of(store, login))
    assert store.unlink_identity(both, "google", renewal) is AccessChanged.CHANGED
    assert store.unlink_identity(both, "google", renewal) is AccessChanged.LOGIN_MOVED
    assert session_of(store, login) == renewed(renewal)
    assert store.find_login(login.account.email) == login._replace(given_up=("google",))
    assert store.take_over_account(login, identity, proves=PROVEN, deny_until=DENY_UNTIL) is True
    assert store.take_over_account(login, identity, proves=PROVEN, deny_until=DENY_UNTIL) is False
    assert store.find_account(login.account.sub) == login.account.proven(PROVEN)._replace(epoch=1)


@pytest.mark.parametrize("provider", ["google", "oidc"])
def test_given_up_until_it_is_linked_again(store: Store, provider: str) -> None:
    """Each provider is given up by unlinking and taken back by linking, and one does not touch the other."""
    login = a_login(an_identity(), elsewhere())
    held_by(store, login)
    gone = login.identity(provider)
    assert gone
    for read in (login, login._replace(identities=login.identities[1:], given_up=("google",))):
        assert unlink(store, read, read.identities[0].provider) is AccessChanged.CHANGED
    given_up = store.find_login(login.account.email)
    assert given_up == login._replace(identities=(), given_up=("google", "oidc"))
    assert link(store, given_up, gone) is AccessChanged.CHANGED
    other = tuple(name for name in ("google", "oidc") if name != provider)
    linked = login._replace(identities=(gone,), given_up=other)
    assert store.find_login(login.account.email) == linked
    assert store.take_over_account(linked, gone, proves=PROVEN, deny_until=DENY_UNTIL) is True
    taken = store.find_login(login.account.email)
    assert taken
    assert taken.given_up == ()


@pytest.mark.parametrize("taken_over", [False, True])
def test_login_from_before_there_were_identities(table: Table, *, taken_over: bool) -> None:
    """Without the list it reads as one without identities, and identities come to it as to any other."""
    store, login, identity = table.store, a_login(), an_identity()
    held_by(store, login)
    set_attribute(table, keys.login(login.account.email), "identities", None)
    assert store.find_login(login.account.email) == login
    if taken_over:
        assert store.take_over_account(login, identity, proves=PROVEN, deny_until=DENY_UNTIL) is True
    else:
        assert link(store, login, identity) is AccessChanged.CHANGED
    held = store.find_login(login.account.email)
    assert held
    assert held.identities == (identity,)
    contents(store).assert_whole()


def test_list_that_is_gone_is_not_the_one_that_was_read(table: Table) -> None:
    """Only a login that was read without identities may have no list."""
    store, login = table.store, a_login(elsewhere())
    held_by(store, login)
    set_attribute(table, keys.login(login.account.email), "identities", None)
    assert link(store, login, an_identity()) is AccessChanged.LOGIN_MOVED
    assert store.take_over_account(login, an_identity(), proves=PROVEN, deny_until=DENY_UNTIL) is False
    assert unlink(store, login, "oidc") is AccessChanged.LOGIN_MOVED


def test_state_of_another_epoch_than_its_login_is_left_alone(table: Table) -> None:
    """A state that does not fit is never changed along, and no session is called gone for it."""
    store, login, identity = table.store, a_login(), an_identity()
    session = held_by(store, login)
    set_attribute(table, keys.state(login.account.sub), "epoch", {"N": "1"})
    before = contents(store)
    for asking in (session, a_renewal(session), None):
        assert link(store, login, identity, proves=PROVEN, session=asking) is AccessChanged.LOGIN_MOVED
    assert store.take_over_account(login, identity, proves=PROVEN, deny_until=DENY_UNTIL) is False
    assert contents(store) == before


@pytest.mark.parametrize("provider", ["google", "oidc"])
def test_marker_of_another_account_is_left_alone(table: Table, provider: str) -> None:
    """A login that lists an identity whose marker is another account's neither deletes nor renews that marker."""
    store, google = table.store, an_identity()
    login = a_login(google, elsewhere())
    held_by(store, login)
    foreign = login.identity(provider)
    assert foreign
    set_attribute(table, keys.identity(foreign.issuer, foreign.subject), "sub", {"S": "another"})
    before = contents(store)
    assert unlink(store, login, provider) is AccessChanged.LOGIN_MOVED
    assert store.take_over_account(login, google, proves=PROVEN, deny_until=DENY_UNTIL) is False
    assert contents(store) == before


def set_attribute(table: Table, key: keys.Key, name: str, value: dict[str, str] | None) -> None:
    """Set an attribute of an item as no verb does; None removes it."""
    item: dict[str, Any] = dict(table.client.get_item(TableName=table.name, Key=key, ConsistentRead=True)["Item"])
    item.pop(name)
    table.client.put_item(TableName=table.name, Item=item if value is None else {**item, name: value})
