"""What containers talk to in AWS: at AWS's own names, over TLS that is verified, with credentials that last an hour."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.exceptions import ConnectionClosedError, SSLError

from chalicelib.aws import parameters
from chalicelib.aws.session import new_session
from chalicelib.store import calls
from tests.providers.test_http import authority, secure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world.stand_in import StandIn

REGIONS = ["eu-central-1", "us-gov-west-1", "cn-north-1"]
CALLS = {"dynamodb": ("list_tables", {}), "ssm": ("get_parameters", {"Names": ["x"]})}
__all__ = ["authority", "secure"]  # fixtures: a certificate that nobody trusts, and a server that shows it


@pytest.fixture(autouse=True)
def _lambdas_environment() -> Iterator[None]:
    """Credentials as Lambda gives them, and no other setting of AWS's or of certificates."""
    mine = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_") and "CA_BUNDLE" not in name
    }
    made_up = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_SESSION_TOKEN": "made-up"}
    with mock.patch.dict(os.environ, {**mine, **made_up, "AWS_DEFAULT_REGION": REGIONS[0]}, clear=True):
        yield


def make_client(service: str) -> Any:
    """The product's own client."""
    return {"dynamodb": calls.make_client, "ssm": parameters.make_client}[service](new_session())


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("service", CALLS)
def test_aws_is_called_over_tls(service: str, region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table and keys are reached by https, at AWS's own names, in every partition (ASVS V12.3.1)."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert make_client(service).meta.endpoint_url.startswith(f"https://{service}.{region}.amazonaws.com")


@pytest.mark.parametrize("service", CALLS)
def test_certificates_of_aws_are_checked(service: str, secure: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose certificate nobody vouches for is sent nothing (ASVS V12.3.2)."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", secure.url)
    operation, arguments = CALLS[service]
    with pytest.raises(SSLError):
        getattr(make_client(service), operation)(**arguments)
    assert not secure.requests


@pytest.mark.parametrize("service", CALLS)
def test_certificates_that_are_vouched_for_are_taken(
    service: str,
    secure: StandIn,
    authority: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The refusal above is for the certificate alone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", secure.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
    operation, arguments = CALLS[service]
    with pytest.raises(ConnectionClosedError):  # the stand-in is no AWS, and hangs up
        getattr(make_client(service), operation)(**arguments)


def test_credentials_are_the_functions_own() -> None:
    """Requests are signed with what Lambda has given for some hours, its session token included (ASVS V13.2.1)."""
    credentials = new_session().get_credentials()
    assert credentials is not None
    assert (credentials.method, credentials.token) == ("env", "made-up")
