"""The parameter store's reader: decrypted values, absent names absent, every failure one failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.stub import Stubber

from chalicelib import deadline
from chalicelib.aws.parameters import SystemsManagerParameters, make_client
from chalicelib.aws.session import new_session
from chalicelib.errors import Unavailable

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

NAMES = ["/keyturn/test/public", "/keyturn/test/sessions"]
URL = "https://ssm.example.com"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> SSMClient:
    """The product's own client, with made-up credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return make_client(new_session())


def test_client_is_bounded(client: SSMClient) -> None:
    """Two attempts, half a second to connect, one to read; botocore's 60 s outlive API Gateway's 29 s."""
    config = client.meta.config
    assert config.connect_timeout == deadline.CONNECT_SECONDS  # type: ignore[attr-defined]  # botocore sets them by name
    assert config.read_timeout == deadline.READ_SECONDS  # type: ignore[attr-defined]  # the same
    assert config.retries["total_max_attempts"] == deadline.ATTEMPTS  # type: ignore[attr-defined]  # the same
    assert config.retries["mode"] == "standard"  # type: ignore[attr-defined]  # the same


def test_client_keeps_to_the_deadline(client: SSMClient) -> None:
    """Once a request's time is spent, nothing is sent any more."""
    with deadline.start(0), pytest.raises(Unavailable):
        SystemsManagerParameters(client).fetch(NAMES)


def test_values_come_decrypted_and_absent_names_are_absent(client: SSMClient) -> None:
    """One call for all names; what does not exist is simply not there."""
    with Stubber(client) as stub:
        answer = {"Parameters": [{"Name": NAMES[0], "Value": "{}"}], "InvalidParameters": [NAMES[1]]}
        stub.add_response("get_parameters", answer, {"Names": NAMES, "WithDecryption": True})
        assert SystemsManagerParameters(client).fetch(iter(NAMES)) == {NAMES[0]: "{}"}
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "InternalServerError", "AccessDeniedException", "InvalidKeyId"]
)
def test_refusals_are_unavailable(client: SSMClient, code: str) -> None:
    """Throttled, forbidden or broken: it is away, and the message is not passed on."""
    with Stubber(client) as stub:
        stub.add_client_error("get_parameters", code, "secret of the service")
        with pytest.raises(Unavailable) as raised:
            SystemsManagerParameters(client).fetch(NAMES)
    assert raised.value.debug.startswith("parameter store: ")
    assert "secret" not in raised.value.debug


@pytest.mark.parametrize(
    "error", [EndpointConnectionError(endpoint_url=URL), ReadTimeoutError(endpoint_url=URL), NoCredentialsError()]
)
def test_failures_to_ask_are_unavailable(client: SSMClient, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """No connection, no answer, no credentials: it is away."""

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(client, "get_parameters", fail)
    with pytest.raises(Unavailable) as raised:
        SystemsManagerParameters(client).fetch(NAMES)
    assert raised.value.debug == f"parameter store: {type(error).__name__}"
