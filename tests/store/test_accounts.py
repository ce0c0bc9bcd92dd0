"""The contract of the verbs on accounts and logins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.accounts import Account, Login
from chalicelib.domain.denials import Denials
from chalicelib.store.outcomes import AccessChanged
from tests.store.samples import NOW, a_login, a_renewal, a_session, an_arrival, an_identity, digest_of
from tests.store.test_renewals import renewed

if TYPE_CHECKING:
    from typing import Any

    from chalicelib.domain.sessions import Session
    from chalicelib.store.outcomes import Renewal
    from chalicelib.store.protocol import Store

DENY_UNTIL = NOW + 1020


def signed_up(store: Store) -> tuple[Login, Session]:
    """An account of the store and its first session."""
    login = a_login()
    session = a_session(login.account.sub)
    assert store.create_account(login, session)
    return login, session


def asking(login: Login, session: Session, **changes: Any) -> Renewal:
    """The renewal that goes with a password change: into the account's next epoch."""
    return a_renewal(session, **{"epoch": login.account.epoch + 1, **changes})


def change(store: Store, login: Login, renewal: Renewal, new: str = "$argon2id$new") -> AccessChanged:
    """Change the password as the renewed session."""
    return store.change_password(login, new, renewal, deny_until=DENY_UNTIL)


def test_account_is_found_by_email_and_by_sub_with_its_session(store: Store) -> None:
    """What create_account makes is what the reads return, field by field."""
    login = a_login(epoch=3, disabled=True, roles=("admin", "user"), email_verified=True)
    session = a_session(login.account.sub, epoch=3)
    assert store.create_account(login, session) is True
    assert store.find_login(login.account.email) == login
    assert store.find_account(login.account.sub) == login.account
    assert store.find_session(session.sub, session.sid) == session


def test_taken_email_makes_nothing(store: Store) -> None:
    """A second account with the address leaves no state and no session behind, and the first untouched."""
    first, _ = signed_up(store)
    second = a_login(email=first.account.email)
    session = a_session(second.account.sub)
    assert store.create_account(second, session) is False
    assert store.find_login(first.account.email) == first
    assert store.find_account(second.account.sub) is None
    assert store.list_sessions(second.account.sub, after=None, limit=50) == ((), None)


def test_verbs_that_are_repeated_say_that_they_are_done(store: Store) -> None:
    """The repetition of a write whose answer was lost finds its own work, and neither refuses nor repeats it."""
    login, session = signed_up(store)
    assert store.create_account(login, session) is True
    email, rehashed = login.account.email, login._replace(password_digest="$argon2id$rehashed")
    for _ in range(2):
        assert store.replace_password_digest(email, digest_of(login), digest_of(rehashed)) is True
    renewal = asking(login, session)
    for _ in range(2):
        assert change(store, rehashed, renewal) is AccessChanged.CHANGED
        assert store.find_session(session.sub, session.sid) == renewed(renewal)
    assert store.find_account(login.account.sub) == login.account._replace(epoch=1)


def test_what_is_not_there_is_none(store: Store) -> None:
    """Reads of unknown keys say None."""
    assert store.find_login("nobody@example.com") is None
    assert store.find_account("nobody") is None


def test_accounts_without_roles_are_kept(store: Store) -> None:
    """No roles come back as no roles."""
    login = a_login(roles=())
    store.create_account(login, a_session(login.account.sub))
    assert store.find_account(login.account.sub) == login.account


def test_rehash_replaces_the_digest_alone(store: Store) -> None:
    """The new digest is held, and nothing else of the login changes."""
    login, _ = signed_up(store)
    assert store.replace_password_digest(login.account.email, digest_of(login), "$argon2id$new") is True
    assert store.find_login(login.account.email) == login._replace(password_digest="$argon2id$new")


def test_rehash_never_undoes_a_password_change(store: Store) -> None:
    """A digest that is no longer the one that was verified stays."""
    login, _ = signed_up(store)
    assert store.replace_password_digest(login.account.email, "$argon2id$other", "$argon2id$new") is False
    assert store.find_login(login.account.email) == login


def test_rehash_of_an_unknown_email_makes_no_login(store: Store) -> None:
    """A login that is gone is not made again."""
    assert store.replace_password_digest("nobody@example.com", "$old", "$new") is False
    assert store.find_login("nobody@example.com") is None


@pytest.mark.parametrize("transport", ["cookie", "body", "session"])
def test_password_change_renews_the_asking_session_alone(store: Store, transport: str) -> None:
    """Digest and epoch move together everywhere; the session gets new credentials, others stay in the old epoch."""
    login = a_login()
    session = a_session(login.account.sub, transport=transport)
    other = a_session(login.account.sub)
    store.create_account(login, session)
    store.create_session(other)
    renewal = asking(login, session, auth_time=NOW + 60)

    assert change(store, login, renewal) is AccessChanged.CHANGED

    account = login.account._replace(epoch=1)
    assert store.find_login(account.email) == Login(account, "$argon2id$new")
    assert store.find_account(account.sub) == account
    assert store.find_session(account.sub, session.sid) == renewed(renewal)
    assert store.find_session(account.sub, other.sid) == other
    assert store.find_denials(account.sub) == Denials(before_epoch=1)


def test_retry_with_another_digest_is_no_retry(store: Store) -> None:
    """A second change that read what the first one read is refused, also by the session that has asked before."""
    login, session = signed_up(store)
    renewal = asking(login, session)
    assert change(store, login, renewal, "$argon2id$first") is AccessChanged.CHANGED
    assert change(store, login, asking(login, session), "$argon2id$second") is AccessChanged.LOGIN_MOVED
    assert store.find_session(session.sub, session.sid) == renewed(renewal)
    held = store.find_login(login.account.email)
    assert held == Login(login.account._replace(epoch=1), "$argon2id$first")


def test_password_change_needs_the_digest_that_was_read(store: Store) -> None:
    """Of two changes that verified one password, the second one changes nothing and renews nothing."""
    login, session = signed_up(store)
    moved = login._replace(password_digest="$argon2id$verified-earlier")
    assert change(store, moved, asking(login, session)) is AccessChanged.LOGIN_MOVED
    assert_untouched(store, login, session)


def test_password_change_needs_the_epoch_that_was_read(store: Store) -> None:
    """A logout everywhere in between is not overtaken, even though the password is still the same."""
    login, session = signed_up(store)
    store.raise_epoch(login.account, deny_until=DENY_UNTIL)
    assert change(store, login, asking(login, session)) is AccessChanged.LOGIN_MOVED
    raised = login.account._replace(epoch=1)
    assert store.find_login(raised.email) == Login(raised, login.password_digest)
    assert store.find_account(raised.sub) == raised
    assert store.find_session(session.sub, session.sid) == session


@pytest.mark.parametrize(
    "moved",
    [{"generation": 3}, {"generation": 5}, {"digest": b"\x01" * 32}, {"epoch": -1}, {"epoch": 1}],
    ids=lambda change: "-".join(f"{name}-{value!r:.8}" for name, value in change.items()),
)
def test_password_change_needs_the_session_that_was_read(store: Store, moved: dict[str, Any]) -> None:
    """A session that was turned, renewed or moved since, or is of another epoch, changes no password by itself."""
    login = a_login()
    read = a_session(login.account.sub, generation=4)
    held = read._replace(**moved)
    store.create_account(login, held)
    assert change(store, login, asking(login, read)) is AccessChanged.SESSION_MOVED
    assert_untouched(store, login, held)


def test_password_change_needs_a_session_that_is_there(store: Store) -> None:
    """Nor does one that is gone, another account's, or over its absolute limit; none is made."""
    login, session = signed_up(store)
    _, foreign = signed_up(store)
    old = a_session(session.sub, absolute_expires_at=NOW + 60)
    store.create_session(old)
    for dead in (a_session(session.sub), foreign._replace(sub=session.sub), old):
        assert change(store, login, asking(login, dead)) is AccessChanged.SESSION_MOVED
    assert store.find_session(session.sub, foreign.sid) is None
    assert_untouched(store, login, session)
    assert store.find_session(old.sub, old.sid) == old
    assert change(store, login, asking(login, old, now=NOW + 59)) is AccessChanged.CHANGED


def test_login_that_moved_beside_its_session_is_told(store: Store) -> None:
    """Where both have moved the login is to be read again, as after a change by the same session."""
    login, session = signed_up(store)
    assert change(store, login, asking(login, session)) is AccessChanged.CHANGED
    stale = login._replace(password_digest="$argon2id$verified-earlier")
    for read in (login, stale):
        assert change(store, read, asking(login, session), "$argon2id$other") is AccessChanged.LOGIN_MOVED


def test_first_password_is_set_beside_the_identities(store: Store) -> None:
    """An account without a password gets one as another changes its own; the repetition is told that it was done."""
    login = an_arrival(an_identity())
    session = a_session(login.account.sub)
    store.create_account(login, session)
    renewal = asking(login, session)
    for _ in range(2):
        assert change(store, login, renewal, "$argon2id$first") is AccessChanged.CHANGED
    account = login.account._replace(epoch=1)
    assert store.find_login(account.email) == Login(account, "$argon2id$first", login.identities)
    assert store.find_account(account.sub) == account
    assert store.find_session(account.sub, session.sid) == renewed(renewal)
    assert store.find_denials(account.sub) == Denials(before_epoch=1)


def test_first_password_is_set_over_no_other(store: Store) -> None:
    """Who read that there was no password does not change the one that is there."""
    login, session = signed_up(store)
    without = login._replace(password_digest=None)
    assert change(store, without, asking(login, session)) is AccessChanged.LOGIN_MOVED
    assert_untouched(store, login, session)


def test_password_that_is_gone_is_not_changed(store: Store) -> None:
    """Who read a password where there is none sets none, and a rehash does not either."""
    login = an_arrival(an_identity())
    session = a_session(login.account.sub)
    store.create_account(login, session)
    before = login._replace(password_digest="$argon2id$gone")
    assert change(store, before, asking(login, session)) is AccessChanged.LOGIN_MOVED
    assert store.replace_password_digest(login.account.email, "$argon2id$gone", "$argon2id$new") is False
    assert_untouched(store, login, session)


def test_password_change_of_an_unknown_account_makes_nothing(store: Store) -> None:
    """No item is made for an account that is not there."""
    login = a_login()
    session = a_session(login.account.sub)
    assert change(store, login, asking(login, session)) is AccessChanged.LOGIN_MOVED
    assert store.find_login(login.account.email) is None
    assert store.find_account(login.account.sub) is None
    assert store.list_sessions(login.account.sub, after=None, limit=50) == ((), None)
    assert store.find_denials(login.account.sub) == Denials()


def test_raising_the_epoch_raises_it_everywhere(store: Store) -> None:
    """Login, state and blacklist move together; the account stays enabled."""
    login, session = signed_up(store)
    assert store.raise_epoch(login.account, deny_until=DENY_UNTIL) is True
    raised = login.account._replace(epoch=1)
    assert store.find_login(raised.email) == Login(raised, login.password_digest)
    assert store.find_session_and_account(raised.sub, session.sid) == (session, raised)
    assert store.find_denials(raised.sub) == Denials(before_epoch=1)


def test_disabling_raises_the_epoch_and_stays(store: Store) -> None:
    """A disabled account is disabled in both items, also after the next raise."""
    login, _ = signed_up(store)
    assert store.raise_epoch(login.account, deny_until=DENY_UNTIL, disable=True) is True
    disabled = login.account._replace(epoch=1, disabled=True)
    assert store.find_login(disabled.email) == Login(disabled, login.password_digest)
    assert store.find_account(disabled.sub) == disabled
    assert store.raise_epoch(disabled, deny_until=DENY_UNTIL) is True
    assert store.find_account(disabled.sub) == disabled._replace(epoch=2)


def test_raising_an_epoch_that_moved_changes_nothing(store: Store) -> None:
    """An old reading raises nothing: a password change may have spared a session in the epoch that it would claim."""
    login, session = signed_up(store)
    change(store, login, asking(login, session))
    assert store.raise_epoch(login.account, deny_until=DENY_UNTIL, disable=True) is False
    assert store.find_account(login.account.sub) == login.account._replace(epoch=1)


def test_raising_the_epoch_of_an_unknown_account_makes_nothing(store: Store) -> None:
    """No item is made for an account that is not there."""
    account = Account(sub="nobody", email="nobody@example.com")
    assert store.raise_epoch(account, deny_until=DENY_UNTIL) is False
    assert store.find_account("nobody") is None
    assert store.find_denials("nobody") == Denials()


def test_raising_the_epoch_needs_the_email_to_be_this_accounts(store: Store) -> None:
    """A login that belongs to another account by now is left alone."""
    login, _ = signed_up(store)
    other, _ = signed_up(store)
    mixed = login.account._replace(email=other.account.email)
    assert store.raise_epoch(mixed, deny_until=DENY_UNTIL, disable=True) is False
    assert store.find_login(other.account.email) == other
    assert store.find_account(login.account.sub) == login.account


def assert_untouched(store: Store, login: Login, session: Session) -> None:
    """Nothing of the account has changed."""
    assert store.find_login(login.account.email) == login
    assert store.find_account(login.account.sub) == login.account
    assert store.find_session(session.sub, session.sid) == session
    assert store.find_denials(login.account.sub) == Denials()
