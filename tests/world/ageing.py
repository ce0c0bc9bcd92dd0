"""What time does to a session, done to its item directly: engines and deployed functions have the machine's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_dynamodb import DynamoDBClient


def age(client: DynamoDBClient, table: str, grant: Mapping[str, Any], seconds: int) -> None:
    """Have the last turn of the session, of which `grant` is a token response, lie that much further back."""
    client.update_item(
        TableName=table,
        Key=keys.session(grant["user"]["sub"], grant["session_id"]),
        UpdateExpression="ADD rotated_at :back",
        ExpressionAttributeValues={":back": {"N": str(-seconds)}},
    )
