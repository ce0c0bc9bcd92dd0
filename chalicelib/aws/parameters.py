"""The parameter store: where keys live."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import deadline
from chalicelib.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from botocore.session import Session
    from types_boto3_ssm import SSMClient


def make_client(session: Session) -> SSMClient:
    """A client whose attempts are bounded; its endpoint comes from botocore's own variables."""
    config = Config(
        connect_timeout=deadline.CONNECT_SECONDS,
        read_timeout=deadline.READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": deadline.ATTEMPTS},
    )
    client = session.create_client("ssm", config=config)
    deadline.bound(client.meta.events, "ssm")
    return cast("SSMClient", client)


class SystemsManagerParameters:
    """ports.ParameterSource over AWS Systems Manager."""

    def __init__(self, client: SSMClient) -> None:
        self._client = client

    def fetch(self, names: Iterable[str]) -> Mapping[str, str]:
        """Values by name, decrypted; names that do not exist are absent. Unavailable for every failure."""
        try:
            answer = self._client.get_parameters(Names=list(names), WithDecryption=True)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(debug=f"parameter store: {type(error).__name__}") from error
        return {parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]}
