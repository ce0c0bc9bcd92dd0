"""The contract of the verbs on logins that have begun at a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.samples import NOW, a_transaction, identifier

if TYPE_CHECKING:
    from chalicelib.domain.federation import PendingLogin
    from chalicelib.store.protocol import Store

DIGEST = bytes(range(32))


@pytest.mark.parametrize(
    "transaction",
    [
        a_transaction(),
        a_transaction(provider="oidc", transport="body", return_to="https://app.example.com/?a=b#ü"),
        a_transaction(linking=(identifier(), identifier(), 7)),
    ],
    ids=["cookie", "body", "linking"],
)
def test_transaction_is_taken_as_it_was_kept(store: Store, transaction: PendingLogin) -> None:
    """Every field comes back."""
    store.begin_login(DIGEST, transaction)
    assert store.take_login(DIGEST, "attempt", NOW) == transaction


def test_transaction_is_taken_once(store: Store) -> None:
    """The second call gets nothing, nor does any later one; another transaction is still there."""
    store.begin_login(DIGEST, a_transaction())
    store.begin_login(bytes(32), a_transaction(provider="oidc"))
    assert store.take_login(DIGEST, "first", NOW) == a_transaction()
    assert store.take_login(DIGEST, "second", NOW) is None
    assert store.take_login(DIGEST, "third", NOW) is None
    assert store.take_login(bytes(32), "second", NOW) == a_transaction(provider="oidc")


def test_call_whose_answer_was_lost_gets_its_transaction(store: Store) -> None:
    """The repetition of one attempt finds its own write, be it a second after the end; another attempt does not."""
    store.begin_login(DIGEST, a_transaction())
    assert store.take_login(DIGEST, "first", NOW + 599) == a_transaction()
    assert store.take_login(DIGEST, "first", NOW + 601) == a_transaction()
    assert store.take_login(DIGEST, "second", NOW + 599) is None


def test_expired_transaction_is_not_taken(store: Store) -> None:
    """It lives up to the second in which it expires; who comes too late takes nothing."""
    store.begin_login(DIGEST, a_transaction(expires_at=NOW + 600))
    assert store.take_login(DIGEST, "late", NOW + 600) is None
    assert store.take_login(DIGEST, "late", NOW + 601) is None
    assert store.take_login(DIGEST, "in time", NOW + 599) == a_transaction()


def test_unknown_transaction_is_none_and_is_not_made(store: Store) -> None:
    """Asking for what is not there leaves nothing that a later login would meet."""
    assert store.take_login(DIGEST, "attempt", NOW) is None
    store.begin_login(DIGEST, a_transaction())
    assert store.take_login(DIGEST, "another", NOW) == a_transaction()


def test_keeping_a_transaction_again_does_not_give_it_back(store: Store) -> None:
    """A late repetition of the first write finds the transaction and leaves it taken."""
    store.begin_login(DIGEST, a_transaction())
    store.take_login(DIGEST, "first", NOW)
    store.begin_login(DIGEST, a_transaction())
    assert store.take_login(DIGEST, "second", NOW) is None
