"""One call to DynamoDB: bounded in time, repeated where two writers met, and each way to fail given its name."""

from __future__ import annotations

import random
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from chalicelib import deadline
from chalicelib.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from botocore.session import Session
    from types_boto3_dynamodb import DynamoDBClient

    from chalicelib.store.items.values import Item

Response = TypeVar("Response")

# Waits before asking again where two writers met: growing, and random so that the same two do not meet once more.
_WAITS = (0.02, 0.04, 0.08, 0.16)
_MET = frozenset({"TransactionConflictException", "TransactionInProgressException"})
_MET_IN_TRANSACTION = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})

# The request itself is wrong, which is a fault of this package: it is not hidden, because no retry ever mends it.
_FAULTS = frozenset({"ValidationException", "SerializationException"})


class ConditionFailed(Exception):
    """The item is not as the write requires. `held` is the item as the write found it; empty if there was none."""

    def __init__(self, held: Item) -> None:
        super().__init__("the condition of the write does not hold")
        self.held = held


class TransactionRefused(Exception):
    """Conditions of the transaction do not hold. `held`: by position of each such write, the item that it found."""

    def __init__(self, held: Mapping[int, Item]) -> None:
        super().__init__("a condition of the transaction does not hold")
        self.held = held


class _AskAgain(Unavailable):
    """No answer yet, so that the same call may be sent again: another write was under way, or a read was left out."""


def make_client(session: Session) -> DynamoDBClient:
    """Make a client whose attempts are bounded. Its endpoint comes from botocore's own variables."""
    config = Config(
        connect_timeout=deadline.CONNECT_SECONDS,
        read_timeout=deadline.READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": deadline.ATTEMPTS},
        parameter_validation=False,  # every request is made in this package, and DynamoDB validates it again
        user_agent="keyturn",  # botocore's own is put together anew for each call, twice: 0.1 ms of 0.8
    )
    client = session.create_client("dynamodb", config=config)
    deadline.bound(client.meta.events, "dynamodb")
    return cast("DynamoDBClient", client)


def send(operation: Callable[..., Response], request: Mapping[str, Any]) -> Response:
    """Send one call, and again while it meets another writer or is left without an answer.

    Raises ConditionFailed, TransactionRefused, and Unavailable where DynamoDB did not answer or asked to come later.
    """
    for wait in _WAITS:
        try:
            return _attempt(operation, request)
        except _AskAgain:
            if not deadline.attempt_allowed():
                raise
        time.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - spreads load; nothing secret depends on it
    return _attempt(operation, request)


def send_batch(client: DynamoDBClient, request: Mapping[str, Any]) -> list[Item]:
    """Read several items at once; raises what `send` raises. The items come in any order.

    An item that DynamoDB was too busy to read is no item that is missing: then all of them are asked for again.
    """

    def read_all(**request: Any) -> Mapping[str, Any]:  # noqa: ANN401  # as botocore's
        response = client.batch_get_item(**request)
        if response.get("UnprocessedKeys"):
            raise _AskAgain(debug="BatchGetItem: unprocessed keys")
        return response

    return [item for found in send(read_all, request)["Responses"].values() for item in found]


def write_batch(client: DynamoDBClient, request: Mapping[str, Any]) -> None:
    """Write several items, each by itself; raises what `send` raises. Some may be written then.

    What DynamoDB was too busy to write is sent again, and only that.
    """
    left = dict(request["RequestItems"])

    def write_what_is_left() -> None:
        response = client.batch_write_item(RequestItems=left)
        if response.get("UnprocessedItems"):
            left.clear()
            left.update(response["UnprocessedItems"])
            raise _AskAgain(debug="BatchWriteItem: unprocessed items")

    send(write_what_is_left, {})


def transact(client: DynamoDBClient, writes: Sequence[Mapping[str, Any]]) -> None:
    """Do all of the writes or none; raises what `send` raises.

    Every attempt carries the same bytes and one ClientRequestToken, by which DynamoDB knows the repetition of a
    transaction whose answer was lost: it is done once, and answered as the first one was.
    """
    send(client.transact_write_items, {"TransactItems": writes, "ClientRequestToken": str(uuid.uuid4())})


def _attempt(operation: Callable[..., Response], request: Mapping[str, Any]) -> Response:
    try:
        return operation(**request)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _FAULTS:
            raise
        raise _named(error, code) from error
    except ParamValidationError:
        raise
    except BotoCoreError as error:  # no connection, no answer in time, no credentials, an answer that is none
        raise Unavailable(debug=f"DynamoDB: {type(error).__name__}") from error


def _named(error: ClientError, code: str) -> Exception:
    response = cast("dict[str, Any]", error.response)
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(response.get("Item", {}))
    if code == "TransactionCanceledException":
        return _cancelled(response.get("CancellationReasons", ()), error)
    failure = _AskAgain if code in _MET else Unavailable
    return failure(debug=f"{error.operation_name}: {code}")


def _cancelled(reasons: Sequence[Mapping[str, Any]], error: ClientError) -> Exception:
    """What the reasons come to; there is one for each write, in their order.

    A condition that does not hold decides, whatever else happened: it was evaluated on what the table held.
    """
    codes = {reason["Code"] for reason in reasons} - {"None"}
    if "ConditionalCheckFailed" in codes:
        return TransactionRefused(
            {
                position: reason.get("Item", {})
                for position, reason in enumerate(reasons)
                if reason["Code"] == "ConditionalCheckFailed"
            }
        )
    if "ValidationError" in codes:
        return error
    failure = _AskAgain if codes and codes <= _MET_IN_TRANSACTION else Unavailable
    return failure(debug=f"TransactWriteItems: {' '.join(sorted(codes))}")
