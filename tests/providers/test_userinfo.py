"""Userinfo: when it is asked, what it completes, and what an address is worth where it fails."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import ProviderError, Unavailable
from tests.world.forgery import ABSENT
from tests.world.misdeeds import USERINFO, Fault

if TYPE_CHECKING:
    from tests.providers.party import Party


def test_complete_identity_asks_nothing(party: Party) -> None:
    """Userinfo is asked only for what is missing; an unproven address is not."""
    for verified in (True, False):
        identity = party.provider.identify(party.code(email="a@example.com", email_verified=verified))
        assert party.provider.with_email(identity) is identity
    assert party.stand_in.fetches[USERINFO] == 0


@pytest.mark.parametrize(
    ("id_token", "userinfo", "email", "verified"),
    [
        ({}, {"email": "a@example.com", "email_verified": True}, "a@example.com", True),
        ({}, {"email": "a@example.com", "email_verified": "true"}, "a@example.com", False),
        ({}, {"email": "a@example.com"}, "a@example.com", False),
        ({}, {"email_verified": True}, None, False),
        ({}, {}, None, False),
        ({"email": "a@example.com"}, {"email": "a@example.com", "email_verified": True}, "a@example.com", True),
        # The address of one answer with the other's word for another address.
        ({"email": "a@example.com"}, {"email": "b@example.com", "email_verified": True}, "a@example.com", False),
        ({"email": "a@example.com"}, {"email_verified": True}, "a@example.com", False),
        ({"email": None, "email_verified": None}, {"email": None, "email_verified": True}, None, False),
        ({"email_verified": True}, {"email": "b@example.com"}, "b@example.com", False),
        ({"email_verified": True}, {"email": "b@example.com", "email_verified": False}, "b@example.com", False),
        ({"email_verified": False}, {"email": "b@example.com", "email_verified": True}, "b@example.com", False),
    ],
)
def test_userinfo_completes(
    party: Party,
    id_token: dict[str, Any],
    userinfo: dict[str, Any],
    email: str | None,
    verified: bool,  # noqa: FBT001  # a table's column
) -> None:
    """What the ID token leaves out comes from userinfo; no word counts for an address that it did not come with."""
    identity = party.provider.identify(party.code(**id_token))
    party.stand_in.userinfo = {"email": ABSENT, "email_verified": ABSENT, **userinfo}
    completed = party.provider.with_email(identity)
    assert (completed.email, completed.email_verified) == (email, verified)
    assert party.stand_in.fetches[USERINFO] == 1
    assert completed.subject == identity.subject


@pytest.mark.parametrize("sub", ["person-2", "Person-1", "", None, 1, ["person-1"], ABSENT])
def test_userinfo_of_another_person(party: Party, sub: Any) -> None:
    """Another `sub`, or none, makes the whole answer void (OpenID Connect Core section 5.3.2)."""
    identity = party.provider.identify(party.code())
    party.stand_in.userinfo = {"sub": sub, "email": "b@example.com", "email_verified": True}
    with pytest.raises(ProviderError):
        party.provider.with_email(identity)


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
@pytest.mark.usefixtures("no_patience")
def test_userinfo_that_fails(party: Party, fault: Fault) -> None:
    """An address that came with the ID token is merely unproven then (coder #6922, camunda #58310)."""
    party.stand_in.claims = {"email": "a@example.com"}
    party.stand_in.faults[USERINFO] = fault
    completed = party.log_in()
    assert (completed.email, completed.email_verified) == ("a@example.com", False)
    assert party.stand_in.fetches[USERINFO] == 1


@pytest.mark.parametrize(
    "userinfo",
    [
        {"sub": "person-2", "email": "a@example.com", "email_verified": True},
        {"sub": ABSENT, "email": "a@example.com", "email_verified": True},
        {"sub": None, "email": "a@example.com", "email_verified": True},
    ],
    ids=str,
)
def test_void_userinfo_proves_nothing(party: Party, userinfo: dict[str, Any]) -> None:
    """What userinfo says of another person, or of nobody, makes no address of the ID token proven."""
    party.stand_in.claims = {"email": "a@example.com"}
    party.stand_in.userinfo = userinfo
    completed = party.log_in()
    assert (completed.email, completed.email_verified) == ("a@example.com", False)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_userinfo_that_refuses(party: Party, status: int) -> None:
    """Whatever the status, an address of the ID token is taken as unproven; without any the login ends."""
    party.stand_in.userinfo_status = status
    party.stand_in.claims = {"email": "a@example.com", "email_verified": None}
    completed = party.log_in()
    assert (completed.email, completed.email_verified) == ("a@example.com", False)
    party.stand_in.claims = {"email": None}
    with pytest.raises(Unavailable, match=f"userinfo: HTTP {status}"):
        party.log_in()


def test_provider_without_userinfo(party: Party) -> None:
    """Where there is nothing to ask, or nothing to ask with, an address that nobody vouches for is unproven."""
    identity = party.provider.identify(party.code(email="a@example.com"))
    unasked = party.provider.with_email(dataclasses.replace(identity, access_token=""))
    assert (unasked.email, unasked.email_verified) == ("a@example.com", False)
    party.stand_in.metadata["userinfo_endpoint"] = ABSENT
    completed = party.container().with_email(identity)
    assert (completed.email, completed.email_verified) == ("a@example.com", False)
    assert party.stand_in.fetches[USERINFO] == 0


def test_dead_access_token_at_userinfo(party: Party) -> None:
    """A provider that does not take its own access token is at fault."""
    identity = dataclasses.replace(party.provider.identify(party.code()), access_token="another")
    with pytest.raises(ProviderError, match="userinfo: HTTP 401"):
        party.provider.with_email(identity)
