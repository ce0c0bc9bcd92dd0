"""The address that an account holds, as it was typed or proven. A look-alike opens no account and proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import EmailTaken, InvalidCredentials
from chalicelib.store.items.accounts import account_from, state_item
from tests.flows.contents import contents
from tests.flows.federated import Federated, code_for, exchange
from tests.flows.steps import EMAIL, account_of, assert_dead, assert_works, link, log_in, refresh, sign_up
from tests.world.person import Person

if TYPE_CHECKING:
    from chalicelib.domain.accounts import Account
    from tests.world.keyturn import Keyturn

FINAL, INNER = "ας@example.com", "ασ@example.com"  # noqa: RUF001  # one canonical form, and two mailboxes
PAIRS = [
    (FINAL, INNER),
    (INNER, FINAL),
    ("ΑΣ@example.com", FINAL),
    ("αδα@example.com", "ΑΔΑ@example.com"),
    ("ñ@example.com", "Ñ@example.com"),
    ("น\u0e4d\u0e32@example.com", "นำ@example.com"),
]
every_pair = pytest.mark.parametrize(("held", "other"), PAIRS)


@pytest.fixture
def world(federated_anywhere: Federated) -> Federated:
    """Over the fake and over a real table."""
    return federated_anywhere


def assert_holds(keyturn: Keyturn, account: Account, address: str) -> None:
    """Both items of the account hold the address, and so do the next session and the next tokens."""
    login = keyturn.store.find_login(account.email)
    assert login
    assert login.account == keyturn.store.find_account(account.sub)
    assert login.account.held_address == address


@pytest.mark.parametrize(
    ("typed", "held"),
    [
        ("Alice@Example.COM", "Alice@example.com"),
        ("alice@example.com", "alice@example.com"),
        ("ΟΔΟΣ@B\u00dcCHER.example", "ΟΔΟΣ@bücher.example"),
        ("a\u0301@xn--bcher-kva.example", "á@bücher.example"),
    ],
)
def test_account_holds_the_address_as_it_was_typed(anywhere: Keyturn, typed: str, held: str) -> None:
    """Each grant of the account says it, however the address is spelled at a later login."""
    grant = sign_up(anywhere.services, email=typed)
    assert grant.account.held_address == held
    assert_holds(anywhere, grant.account, held)
    again = log_in(anywhere.services, email=grant.account.email)
    assert again.account.held_address == held
    assert refresh(anywhere.services, again).account.held_address == held


@pytest.mark.parametrize("told", ["Alice@Example.com", FINAL, "ΑΣ@example.com"])
def test_account_holds_the_address_as_it_was_proven(world: Federated, told: str) -> None:
    """A later login of the same identity changes nothing, whatever address the provider tells by then."""
    local = told.partition("@")[0]
    grant = world.log_in(world.google, Person(email=told))
    assert grant.account.held_address == f"{local}@example.com"
    assert_holds(world.keyturn, grant.account, f"{local}@example.com")
    again = world.log_in(world.google, Person(email="another@example.com"))
    assert again.account == grant.account


@every_pair
@pytest.mark.parametrize("proven", [True, False])
def test_look_alike_opens_no_account(world: Federated, held: str, other: str, *, proven: bool) -> None:
    """Two mailboxes of one canonical form, each proven at a provider, never become one account, by either flow."""
    grant = world.log_in(world.google, Person(email=held)) if proven else sign_up(world.services, email=held)
    stranger = Person("stranger", email=other)
    before = contents(world.keyturn.store).logins
    assert world.browser().log_in(world.oidc, stranger).error == EmailTaken.code
    with pytest.raises(EmailTaken):
        exchange(world.services, world.oidc, stranger)
    assert contents(world.keyturn.store).logins == before
    assert_works(world.keyturn, grant)


@every_pair
def test_look_alike_proves_nothing(world: Federated, held: str, other: str) -> None:
    """It may be linked by the account's owner as any address may. The held address is as unproven as before."""
    grant = sign_up(world.services, email=held)
    grant = link(world.services, grant, "google", code_for(world.google, Person(email=other)))
    account = account_of(world.keyturn, grant)
    assert (account.email_verified, account.held_address) == (False, held)


def test_look_alike_has_no_account_of_its_own(anywhere: Keyturn) -> None:
    """A sign-up with the other spelling is refused, as with every spelling of the address."""
    sign_up(anywhere.services, email=FINAL)
    with pytest.raises(EmailTaken):
        sign_up(anywhere.services, email=INNER)


@pytest.mark.parametrize("spelled", ["alice@example.com", "ALICE@example.com"])
def test_proof_sets_the_spelling(world: Federated, spelled: str) -> None:
    """Upper and lower case of ASCII are one mailbox. The account holds what the provider has proven from then on."""
    grant = sign_up(world.services, email="Alice@example.com")
    grant = link(world.services, grant, "google", code_for(world.google, Person(email=spelled)))
    assert grant.account.held_address == spelled
    assert_holds(world.keyturn, grant.account, spelled)
    assert world.log_in(world.oidc, Person(email="aLICE@example.com")).account == grant.account  # linked by address
    assert_holds(world.keyturn, grant.account, spelled)


@pytest.mark.parametrize("spelled", ["alice@example.com", "ALICE@example.com"])
def test_account_that_is_taken_over_holds_the_proven_spelling(world: Federated, spelled: str) -> None:
    """The address is the one that its owner has proven, and nothing of the account's maker is left."""
    squatter = sign_up(world.services, email="Alice@example.com")
    owner = world.log_in(world.google, Person(email=spelled))
    assert owner.account.held_address == spelled
    assert_holds(world.keyturn, owner.account, spelled)
    assert_dead(world.keyturn, squatter)
    with pytest.raises(InvalidCredentials):
        log_in(world.services)


def test_account_of_a_version_before_holds_the_canonical_address(anywhere: Keyturn) -> None:
    """Its items have no `address`, and neither have those of an account whose address is canonical."""
    account = sign_up(anywhere.services).account
    assert "address" not in state_item(account)
    assert account_from(state_item(account)) == account
    assert_holds(anywhere, account, EMAIL)
    other = account._replace(address="Alice@example.com")
    assert account_from(state_item(other)) == other
