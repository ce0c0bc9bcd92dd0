"""Sessions as time and many logins leave them, written into the bench's table directly."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.store.items.sessions import session_item
from tests.store.samples import a_session
from tests.world import engines
from tests.world.ageing import age

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from tests.bench.script import Event


@dataclass(frozen=True)
class Table:
    """The table of the functions that are measured."""

    client: DynamoDBClient
    name: str

    @classmethod
    def of_environment(cls) -> Table:
        """The table that the environment names, as it does for a function."""
        return cls(engines.connect_patiently(os.environ["AWS_ENDPOINT_URL_DYNAMODB"]), os.environ["KEYTURN_TABLE"])

    def age(self, grant: Event, seconds: int) -> None:
        """Have the last turn of the grant's session lie that much further back."""
        age(self.client, self.name, grant, seconds)

    def add_sessions(self, sub: str, count: int) -> None:
        """Give the account so many living sessions, the size of a browser's, of an hour ago."""
        then = int(time.time()) - 3600
        agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        for _ in range(count):
            session = a_session(sub, user_agent=agent, wrapped=bytes(32), generation=1, rotated_at=then)
            moments = {"created_at": then, "idle_expires_at": then + 86400, "absolute_expires_at": then + 864000}
            item = session_item(session) | {name: {"N": str(moment)} for name, moment in moments.items()}
            self.client.put_item(TableName=self.name, Item=item)
