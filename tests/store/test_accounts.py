"""The contract of the verbs on accounts and logins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.records import Account, Login
from chalicelib.store.protocol import PasswordChanged
from tests.store.samples import NOW, a_login, a_session, an_arrival, an_identity, digest_of

if TYPE_CHECKING:
    from chalicelib.domain.records import Session
    from chalicelib.store.protocol import Store

DENY_UNTIL = NOW + 1020


def signed_up(store: Store) -> tuple[Login, Session]:
    """An account of the store and its first session."""
    login = a_login()
    session = a_session(login.account.sub)
    assert store.create_account(login, session)
    return login, session


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
    assert store.list_sessions(second.account.sub) == (None, ())


def test_verbs_that_are_repeated_say_that_they_are_done(store: Store) -> None:
    """The repetition of a write whose answer was lost finds its own work, and neither refuses nor repeats it."""
    login, session = signed_up(store)
    assert store.create_account(login, session) is True
    email, rehashed = login.account.email, replace(login, password_digest="$argon2id$rehashed")
    for _ in range(2):
        assert store.replace_password_digest(email, digest_of(login), digest_of(rehashed)) is True
    for _ in range(2):
        outcome = store.change_password(rehashed, "$argon2id$new", session.sid, now=NOW, deny_until=DENY_UNTIL)
        assert outcome is PasswordChanged.CHANGED
    assert store.find_account(login.account.sub) == replace(login.account, epoch=1)


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
    assert store.find_login(login.account.email) == replace(login, password_digest="$argon2id$new")


def test_rehash_never_undoes_a_password_change(store: Store) -> None:
    """A digest that is no longer the one that was verified stays."""
    login, _ = signed_up(store)
    assert store.replace_password_digest(login.account.email, "$argon2id$other", "$argon2id$new") is False
    assert store.find_login(login.account.email) == login


def test_rehash_of_an_unknown_email_makes_no_login(store: Store) -> None:
    """A login that is gone is not made again."""
    assert store.replace_password_digest("nobody@example.com", "$old", "$new") is False
    assert store.find_login("nobody@example.com") is None


def test_password_change_spares_the_asking_session_alone(store: Store) -> None:
    """Digest and epoch move together everywhere; other sessions stay behind in the old epoch."""
    login, session = signed_up(store)
    other = a_session(login.account.sub)
    store.create_session(other)

    outcome = store.change_password(login, "$argon2id$new", session.sid, now=NOW, deny_until=DENY_UNTIL)

    assert outcome is PasswordChanged.CHANGED
    account = replace(login.account, epoch=1)
    assert store.find_login(account.email) == Login(account, "$argon2id$new")
    assert store.find_account(account.sub) == account
    assert store.find_session(account.sub, session.sid) == replace(session, epoch=1)
    assert store.find_session(account.sub, other.sid) == other
    assert store.find_denials(account.sub) == Denials(before_epoch=1)


def test_password_change_renews_a_secret(store: Store) -> None:
    """With a digest, the asking session has it from the same write on, as its next generation; no other session has."""
    login, session = signed_up(store)
    other = a_session(session.sub)
    store.create_session(other)
    for _ in range(2):  # the repetition of a write whose answer was lost is told that it was done, and renews nothing
        outcome = store.change_password(
            login, "$argon2id$new", session.sid, now=NOW + 9, deny_until=DENY_UNTIL, session_digest=b"\x07" * 32
        )
        assert outcome is PasswordChanged.CHANGED
    renewed = replace(session, digest=b"\x07" * 32, generation=session.generation + 1, epoch=1, auth_time=NOW + 9)
    assert store.find_session(session.sub, session.sid) == renewed
    assert store.find_session(session.sub, other.sid) == other


def test_password_change_that_is_refused_renews_no_secret(store: Store) -> None:
    """The secret is the one of before where the password is."""
    login, session = signed_up(store)
    outcome = store.change_password(
        replace(login, password_digest="$argon2id$other"),
        "$argon2id$new",
        session.sid,
        now=NOW,
        deny_until=DENY_UNTIL,
        session_digest=b"\x07" * 32,
    )
    assert outcome is PasswordChanged.LOGIN_MOVED
    assert_untouched(store, login, session)


def test_password_change_needs_the_digest_that_was_read(store: Store) -> None:
    """Of two changes that verified one password, the second one changes nothing."""
    login, session = signed_up(store)
    moved = replace(login, password_digest="$argon2id$verified-earlier")
    outcome = store.change_password(moved, "$argon2id$new", session.sid, now=NOW, deny_until=DENY_UNTIL)
    assert outcome is PasswordChanged.LOGIN_MOVED
    assert_untouched(store, login, session)


def test_password_change_needs_the_epoch_that_was_read(store: Store) -> None:
    """A logout everywhere in between is not overtaken, even though the password is still the same."""
    login, session = signed_up(store)
    store.raise_epoch(login.account, deny_until=DENY_UNTIL)
    outcome = store.change_password(login, "$argon2id$new", session.sid, now=NOW, deny_until=DENY_UNTIL)
    assert outcome is PasswordChanged.LOGIN_MOVED
    raised = replace(login.account, epoch=1)
    assert store.find_login(raised.email) == Login(raised, login.password_digest)
    assert store.find_account(raised.sub) == raised


def test_password_change_needs_a_living_session(store: Store) -> None:
    """A session that is gone, past a limit or of an older epoch changes no password."""
    login, session = signed_up(store)
    idle = a_session(session.sub, idle_expires_at=NOW)
    old = a_session(session.sub, absolute_expires_at=NOW)
    revoked = a_session(session.sub, epoch=-1)
    for dead in (idle, old, revoked):
        store.create_session(dead)
    for sid in ("gone", idle.sid, old.sid, revoked.sid):
        outcome = store.change_password(login, "$argon2id$new", sid, now=NOW, deny_until=DENY_UNTIL)
        assert outcome is PasswordChanged.SESSION_GONE
    assert store.find_session(session.sub, "gone") is None
    assert_untouched(store, login, session)


def test_first_password_is_set_beside_the_identities(store: Store) -> None:
    """An account without a password gets one as another changes its own; the repetition is told that it was done."""
    login = an_arrival(an_identity())
    session = a_session(login.account.sub)
    store.create_account(login, session)
    for _ in range(2):
        outcome = store.change_password(login, "$argon2id$first", session.sid, now=NOW, deny_until=DENY_UNTIL)
        assert outcome is PasswordChanged.CHANGED
    account = replace(login.account, epoch=1)
    assert store.find_login(account.email) == Login(account, "$argon2id$first", login.identities)
    assert store.find_account(account.sub) == account
    assert store.find_session(account.sub, session.sid) == replace(session, epoch=1)
    assert store.find_denials(account.sub) == Denials(before_epoch=1)


def test_first_password_is_set_over_no_other(store: Store) -> None:
    """Who read that there was no password does not change the one that is there."""
    login, session = signed_up(store)
    without = replace(login, password_digest=None)
    outcome = store.change_password(without, "$argon2id$first", session.sid, now=NOW, deny_until=DENY_UNTIL)
    assert outcome is PasswordChanged.LOGIN_MOVED
    assert_untouched(store, login, session)


def test_password_that_is_gone_is_not_changed(store: Store) -> None:
    """Who read a password where there is none sets none, and a rehash does not either."""
    login = an_arrival(an_identity())
    session = a_session(login.account.sub)
    store.create_account(login, session)
    before = replace(login, password_digest="$argon2id$gone")
    outcome = store.change_password(before, "$argon2id$new", session.sid, now=NOW, deny_until=DENY_UNTIL)
    assert outcome is PasswordChanged.LOGIN_MOVED
    assert store.replace_password_digest(login.account.email, "$argon2id$gone", "$argon2id$new") is False
    assert_untouched(store, login, session)


def test_password_change_of_an_unknown_account_makes_nothing(store: Store) -> None:
    """No item is made for an account that is not there."""
    login = a_login()
    outcome = store.change_password(login, "$argon2id$new", "sid", now=NOW, deny_until=DENY_UNTIL)
    assert outcome is PasswordChanged.LOGIN_MOVED
    assert store.find_login(login.account.email) is None
    assert store.list_sessions(login.account.sub) == (None, ())
    assert store.find_denials(login.account.sub) == Denials()


def test_raising_the_epoch_raises_it_everywhere(store: Store) -> None:
    """Login, state and blacklist move together; the account stays enabled."""
    login, session = signed_up(store)
    assert store.raise_epoch(login.account, deny_until=DENY_UNTIL) is True
    raised = replace(login.account, epoch=1)
    assert store.find_login(raised.email) == Login(raised, login.password_digest)
    assert store.list_sessions(raised.sub) == (raised, (session,))
    assert store.find_denials(raised.sub) == Denials(before_epoch=1)


def test_disabling_raises_the_epoch_and_stays(store: Store) -> None:
    """A disabled account is disabled in both items, also after the next raise."""
    login, _ = signed_up(store)
    assert store.raise_epoch(login.account, deny_until=DENY_UNTIL, disable=True) is True
    disabled = replace(login.account, epoch=1, disabled=True)
    assert store.find_login(disabled.email) == Login(disabled, login.password_digest)
    assert store.find_account(disabled.sub) == disabled
    assert store.raise_epoch(disabled, deny_until=DENY_UNTIL) is True
    assert store.find_account(disabled.sub) == replace(disabled, epoch=2)


def test_raising_an_epoch_that_moved_changes_nothing(store: Store) -> None:
    """An old reading raises nothing: a password change may have spared a session in the epoch that it would claim."""
    login, session = signed_up(store)
    store.change_password(login, "$argon2id$new", session.sid, now=NOW, deny_until=DENY_UNTIL)
    assert store.raise_epoch(login.account, deny_until=DENY_UNTIL, disable=True) is False
    assert store.find_account(login.account.sub) == replace(login.account, epoch=1)


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
    mixed = replace(login.account, email=other.account.email)
    assert store.raise_epoch(mixed, deny_until=DENY_UNTIL, disable=True) is False
    assert store.find_login(other.account.email) == other
    assert store.find_account(login.account.sub) == login.account


def assert_untouched(store: Store, login: Login, session: Session) -> None:
    """Nothing of the account has changed."""
    assert store.find_login(login.account.email) == login
    assert store.find_account(login.account.sub) == login.account
    assert store.find_session(session.sub, session.sid) == session
    assert store.find_denials(login.account.sub) == Denials()
