"""What a change of identities asks of the session that asks for it, and what it leaves of its credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.store.outcomes import AccessChanged
from tests.flows.contents import contents
from tests.store.samples import NOW, PROVEN, a_login, a_renewal, a_session, an_arrival, an_identity, elsewhere
from tests.store.test_identities import DENY_UNTIL, held_by, link

if TYPE_CHECKING:
    from chalicelib.store.protocol import Store


@pytest.mark.parametrize("proves", [PROVEN, None])
def test_link_needs_a_session_of_its_epoch(store: Store, *, proves: str | None) -> None:
    """A session that is gone, of another epoch or of another account links nothing, with a renewal or without."""
    login, identity = a_login(epoch=3), an_identity()
    living = held_by(store, login)
    dead = [a_session(living.sub, epoch=2), a_session(living.sub, epoch=4), a_session("another", epoch=3)]
    for session in dead:
        store.create_session(session)
    before = contents(store)
    foreign = dead[-1]._replace(sub=living.sub)
    for session in (living._replace(sid="gone"), foreign, *dead[:2]):
        for asking in (session, a_renewal(session, epoch=3)):
            outcome = link(store, login, identity, proves=proves, session=asking)
            assert outcome is AccessChanged.SESSION_MOVED
    assert contents(store) == before
    assert link(store, login, identity, proves=proves, session=living) is AccessChanged.CHANGED


EVERY_MOVE = pytest.mark.parametrize(
    "moved",
    [{"generation": 3}, {"generation": 5}, {"digest": b"\x01" * 32}, {"epoch": -1}, {"absolute_expires_at": NOW + 60}],
    ids=lambda change: "-".join(f"{name}-{value!r:.8}" for name, value in change.items()),
)


@EVERY_MOVE
@pytest.mark.parametrize("proves", [PROVEN, None])
def test_link_needs_the_renewed_session_that_was_read(
    store: Store, moved: dict[str, Any], *, proves: str | None
) -> None:
    """Where its key was turned, or its credentials were renewed, it is to be read again; nothing is linked."""
    login, identity = a_login(), an_identity()
    read = held_by(store, login, **{"generation": 4, **moved})._replace(generation=4, digest=bytes(32), epoch=0)
    before = contents(store)
    outcome = link(store, login, identity, proves=proves, session=a_renewal(read))
    assert outcome is AccessChanged.SESSION_MOVED
    assert contents(store) == before


@EVERY_MOVE
def test_unlinking_needs_the_renewed_session_that_was_read(store: Store, moved: dict[str, Any]) -> None:
    """The same where an identity is to go: it stays, with its marker."""
    login = an_arrival(an_identity(), elsewhere())
    read = held_by(store, login, **{"generation": 4, **moved})._replace(generation=4, digest=bytes(32), epoch=0)
    before = contents(store)
    for provider in ("google", "oidc", "not linked"):
        assert store.unlink_identity(login, provider, a_renewal(read)) is AccessChanged.SESSION_MOVED
    assert contents(store) == before


def test_session_that_moved_with_its_account_is_not_gone(store: Store) -> None:
    """After a password change by the session that asks, the login is to be read again."""
    login = a_login(elsewhere())
    session = held_by(store, login)
    outcome = store.change_password(login, "$argon2id$new", a_renewal(session, epoch=1), deny_until=DENY_UNTIL)
    assert outcome is AccessChanged.CHANGED
    for asking in (session, a_renewal(session)):
        assert link(store, login, an_identity(), session=asking) is AccessChanged.LOGIN_MOVED
    assert store.unlink_identity(login, "oidc", a_renewal(session)) is AccessChanged.LOGIN_MOVED
