"""The contract of the verbs on logins that have begun at a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.samples import NOW, a_transaction, identifier

if TYPE_CHECKING:
    from chalicelib.domain.records import LoginTransaction
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
def test_transaction_is_taken_as_it_was_kept(store: Store, transaction: LoginTransaction) -> None:
    """Every field comes back."""
    store.create_transaction(DIGEST, transaction)
    assert store.consume_transaction(DIGEST, "attempt", NOW) == transaction


def test_transaction_is_taken_once(store: Store) -> None:
    """The second call gets nothing, nor does any later one; another transaction is still there."""
    store.create_transaction(DIGEST, a_transaction())
    store.create_transaction(bytes(32), a_transaction(provider="oidc"))
    assert store.consume_transaction(DIGEST, "first", NOW) == a_transaction()
    assert store.consume_transaction(DIGEST, "second", NOW) is None
    assert store.consume_transaction(DIGEST, "third", NOW) is None
    assert store.consume_transaction(bytes(32), "second", NOW) == a_transaction(provider="oidc")


def test_call_whose_answer_was_lost_gets_its_transaction(store: Store) -> None:
    """The repetition of one attempt finds its own write, be it a second after the end; another attempt does not."""
    store.create_transaction(DIGEST, a_transaction())
    assert store.consume_transaction(DIGEST, "first", NOW + 599) == a_transaction()
    assert store.consume_transaction(DIGEST, "first", NOW + 601) == a_transaction()
    assert store.consume_transaction(DIGEST, "second", NOW + 599) is None


def test_expired_transaction_is_not_taken(store: Store) -> None:
    """It lives up to the second in which it expires; who comes too late takes nothing."""
    store.create_transaction(DIGEST, a_transaction(expires_at=NOW + 600))
    assert store.consume_transaction(DIGEST, "late", NOW + 600) is None
    assert store.consume_transaction(DIGEST, "late", NOW + 601) is None
    assert store.consume_transaction(DIGEST, "in time", NOW + 599) == a_transaction()


def test_unknown_transaction_is_none_and_is_not_made(store: Store) -> None:
    """Asking for what is not there leaves nothing that a later login would meet."""
    assert store.consume_transaction(DIGEST, "attempt", NOW) is None
    store.create_transaction(DIGEST, a_transaction())
    assert store.consume_transaction(DIGEST, "another", NOW) == a_transaction()


def test_keeping_a_transaction_again_does_not_give_it_back(store: Store) -> None:
    """A late repetition of the first write finds the transaction and leaves it taken."""
    store.create_transaction(DIGEST, a_transaction())
    store.consume_transaction(DIGEST, "first", NOW)
    store.create_transaction(DIGEST, a_transaction())
    assert store.consume_transaction(DIGEST, "second", NOW) is None
