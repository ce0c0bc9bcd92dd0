"""Microsoft: one issuer for many tenants, and addresses that a tenant's administrator writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import ProviderError
from tests.providers.party import Party
from tests.world.clock import START
from tests.world.forgery import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator

TENANT = "5f3d2c1b-0a9e-4b7c-8d6f-1e2d3c4b5a69"
OTHER = "00000000-1111-2222-3333-444444444444"


@pytest.fixture
def microsoft() -> Iterator[Party]:
    """Microsoft with the issuer `common`, as its documentation has metadata, keys and tokens."""
    party = Party(name="microsoft", path="/common/v2.0")
    party.stand_in.says_issuer = False
    party.stand_in.metadata = {"issuer": f"{party.stand_in.url}/{{tenantid}}/v2.0"}
    party.stand_in.forgery.claims = {"iss": issuer(party), "tid": TENANT}
    with party.stand_in:
        yield party


def issuer(party: Party, tenant: str = TENANT) -> str:
    """A tenant's own issuer."""
    return f"{party.stand_in.url}/{tenant}/v2.0"


def test_identity_is_of_its_tenant(microsoft: Party) -> None:
    """The identity is known by the issuer of its own tenant, and the provider knows such an identity again."""
    identity = microsoft.log_in()
    assert (identity.provider, identity.issuer, identity.subject) == ("microsoft", issuer(microsoft), "person-1")
    assert microsoft.provider.knows_issuer(identity.issuer)
    assert not microsoft.provider.knows_issuer("https://login.example.com/x/v2.0")


def test_tenant_is_that_of_the_issuer(microsoft: Party) -> None:
    """Entra ID tells no `tid` without the scope `profile`: the token's `iss` names the tenant."""
    microsoft.stand_in.forgery.claims["tid"] = ABSENT
    key = {**microsoft.stand_in.jwk(0), "issuer": f"{microsoft.stand_in.url}/{{tenantid}}/v2.0"}
    microsoft.stand_in.key_set = {"keys": [key]}
    assert microsoft.log_in().issuer == issuer(microsoft)


@pytest.mark.parametrize(
    "claims",
    [
        {"tid": OTHER},
        {"tid": ""},
        {"iss": "{}/" + TENANT + "/v1.0", "tid": None},
        {"iss": "{}/" + TENANT.upper() + "/v2.0", "tid": None},
        {"iss": "{}/common/v2.0", "tid": None},
        {"iss": "{}/" + TENANT + "/../" + OTHER + "/v2.0", "tid": None},
        {"iss": [], "tid": None},
        {"tid": TENANT.upper()},
        {"tid": "common"},
        {"tid": [TENANT]},
        {"iss": "{}/common/v2.0"},
        {"iss": "{}/{{tenantid}}/v2.0"},
        {"iss": "{}//v2.0", "tid": ""},
        {"iss": "https://login.evil.example.com/" + TENANT + "/v2.0"},
        {"iss": "{}/" + TENANT + "/v2.0/"},
    ],
    ids=str,
)
def test_issuer_is_that_of_the_tenant(microsoft: Party, claims: dict[str, Any]) -> None:
    """`iss` must be the issuer with this `tid` in it, and `tid` a tenant's id."""
    written = {
        name: value.format(microsoft.stand_in.url) if isinstance(value, str) else value
        for name, value in claims.items()
    }
    microsoft.stand_in.forgery.claims |= written
    with pytest.raises(ProviderError, match="another issuer"):
        microsoft.log_in()


@pytest.mark.parametrize(
    ("named", "taken"),
    [("{tenantid}", True), (TENANT, True), (OTHER, False), (None, True)],
)
def test_key_signs_for_the_issuer_that_it_names(microsoft: Party, named: str | None, taken: bool) -> None:  # noqa: FBT001  # a table's column
    """A key of one tenant verifies no token of another tenant."""
    key = microsoft.stand_in.jwk(0)
    if named is not None:
        key["issuer"] = f"{microsoft.stand_in.url}/{named}/v2.0"
    microsoft.stand_in.key_set = {"keys": [key]}
    if taken:
        assert microsoft.log_in().subject == "person-1"
    else:
        with pytest.raises(ProviderError, match="none of the provider's keys"):
            microsoft.log_in()


def test_metadata_of_one_tenant_are_not_those_of_many(microsoft: Party) -> None:
    """The metadata of `common` must name the issuer of many tenants."""
    microsoft.stand_in.metadata = {"issuer": issuer(microsoft)}
    with pytest.raises(ProviderError, match="another issuer's"):
        microsoft.log_in()


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({"xms_edov": True}, True),
        ({"xms_edov": "1"}, True),
        ({"xms_edov": 1}, True),
        ({"xms_edov": False}, False),
        ({"xms_edov": "0"}, False),
        ({"xms_edov": 0}, False),
        ({"xms_edov": [True]}, False),
        ({}, False),
        ({"email_verified": True}, False),
    ],
    ids=str,
)
def test_address_is_proven_by_its_domains_owner(microsoft: Party, claims: dict[str, Any], verified: bool) -> None:  # noqa: FBT001  # a table's column
    """An administrator can write any address into `email` (nOAuth): `xms_edov` alone proves it."""
    microsoft.stand_in.claims = {"email": "ceo@victim.example", "auth_time": START, **claims}
    identity = microsoft.log_in()
    assert (identity.email, identity.email_verified) == ("ceo@victim.example", verified)


def test_answer_of_another_issuer(microsoft: Party) -> None:
    """An authorization response may say the issuer of a tenant, and no other."""
    microsoft.provider.check_issuer(None)
    microsoft.provider.check_issuer(issuer(microsoft))
    with pytest.raises(ProviderError):
        microsoft.provider.check_issuer("https://login.evil.example.com/x/v2.0")
