"""Each way in which a call can fail gets its name, and only those that may pass are tried again."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
)

from chalicelib import deadline
from chalicelib.errors import Unavailable
from chalicelib.store.calls import ConditionFailed, TransactionRefused, send, send_batch, transact, write_batch

REQUEST = {"TableName": "table"}


class Scripted:
    """An operation that fails as told, in order, and then answers. Also a client that has no other operation."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.requests: list[dict[str, Any]] = []

    def __call__(self, **request: Any) -> str:
        """Note the request; fail or answer."""
        self.requests.append(request)
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    @property
    def transact_write_items(self) -> Scripted:
        """Itself, under the name that `transact` calls."""
        return self


def refused(code: str, **details: Any) -> ClientError:
    """DynamoDB's answer with this error code."""
    response: Any = {"Error": {"Code": code, "Message": "with values inside"}, **details}
    return ClientError(response, "UpdateItem")


def cancelled(*codes: str, found: dict[int, Any] | None = None) -> ClientError:
    """DynamoDB's answer to a cancelled transaction: a code for each write, and the items that some writes found."""
    reasons: list[dict[str, Any]] = [{"Code": code} for code in codes]
    for position, item in (found or {}).items():
        reasons[position]["Item"] = item
    return refused("TransactionCanceledException", CancellationReasons=reasons)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which are noted and not waited."""
    noted: list[float] = []
    monkeypatch.setattr("chalicelib.store.calls.time.sleep", noted.append)
    return noted


def test_answer_is_returned() -> None:
    """Nothing fails, nothing is repeated."""
    operation = Scripted()
    assert send(operation, REQUEST) == "done"
    assert operation.requests == [REQUEST]


def test_failed_condition_brings_the_item_that_was_found() -> None:
    """With the item, or empty where there was none."""
    item = {"pk": {"S": "x"}}
    with pytest.raises(ConditionFailed) as failed:
        send(Scripted(refused("ConditionalCheckFailedException", Item=item)), REQUEST)
    assert failed.value.held == item
    with pytest.raises(ConditionFailed) as failed:
        send(Scripted(refused("ConditionalCheckFailedException")), REQUEST)
    assert failed.value.held == {}


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "InternalServerError",
        "ServiceUnavailable",
        "ResourceNotFoundException",
        "AccessDeniedException",
        "UnrecognizedClientException",
        "IdempotentParameterMismatchException",
        "SomethingNewException",
    ],
)
def test_refusal_is_unavailable_at_once(code: str) -> None:
    """Botocore has tried again already where that helps. The log gets operation and code, and no value."""
    operation = Scripted(refused(code))
    with pytest.raises(Unavailable) as failed:
        send(operation, REQUEST)
    assert failed.value.debug == f"UpdateItem: {code}"
    assert len(operation.requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://dynamodb"),
        HTTPClientError(error="reset"),
        NoCredentialsError(),
        BotoCoreError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_silence_is_unavailable(error: Exception) -> None:
    """No connection, no answer, no credentials: Unavailable, with the error's name for the log."""
    with pytest.raises(Unavailable) as failed:
        send(Scripted(error), REQUEST)
    assert failed.value.debug == f"DynamoDB: {type(error).__name__}"


@pytest.mark.parametrize(
    "error",
    [refused("ValidationException"), refused("SerializationException"), ParamValidationError(report="wrong")],
    ids=["validation", "serialization", "parameters"],
)
def test_wrong_request_is_not_called_an_outage(error: Exception) -> None:
    """A fault of the code stays visible as one."""
    with pytest.raises(type(error)):
        send(Scripted(error), REQUEST)


@pytest.mark.parametrize("code", ["TransactionConflictException", "TransactionInProgressException"])
def test_meeting_another_writer_is_tried_again(code: str, waits: list[float]) -> None:
    """The same request goes out again, after waits that grow."""
    operation = Scripted(*[refused(code)] * 4)
    assert send(operation, REQUEST) == "done"
    assert operation.requests == [REQUEST] * 5
    assert len(waits) == 4
    assert waits == sorted(waits)
    assert sum(waits) < 0.5


def test_meeting_others_again_and_again_is_unavailable() -> None:
    """The tries are bounded."""
    operation = Scripted(*[refused("TransactionConflictException")] * 9)
    with pytest.raises(Unavailable, match="UpdateItem: TransactionConflictException"):
        send(operation, REQUEST)
    assert len(operation.requests) == 5


def test_no_time_left_is_no_second_try(waits: list[float]) -> None:
    """A request whose time is spent is not prolonged by waiting for others."""
    operation = Scripted(*[refused("TransactionConflictException")] * 9)
    with deadline.start(0.5), pytest.raises(Unavailable):
        send(operation, REQUEST)
    assert len(operation.requests) == 1
    assert waits == []


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_cancelled_transaction_is_sent_again_unchanged(code: str) -> None:
    """With the same ClientRequestToken, so that it is the same transaction."""
    client = Scripted(cancelled("None", code), cancelled(code, "TransactionConflict"))
    transact(client, [{"Put": {}}, {"Put": {}}])  # type: ignore[arg-type]  # one operation is all that is asked of it
    first, second, third = client.requests
    assert first == second == third
    assert first["ClientRequestToken"]


class Batches:
    """A client that leaves keys out of its first answers."""

    def __init__(self, incomplete: int) -> None:
        self.incomplete = incomplete
        self.requests: list[dict[str, Any]] = []

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Note the request, and answer some of it or all."""
        self.requests.append(request)
        if len(self.requests) <= self.incomplete:
            return {"Responses": {"table": [{"pk": {"S": "a"}}]}, "UnprocessedKeys": {"table": {"Keys": [{}]}}}
        return {"Responses": {"table": [{"pk": {"S": "b"}}, {"pk": {"S": "a"}}]}, "UnprocessedKeys": {}}


def test_item_that_was_left_out_is_not_missing(waits: list[float]) -> None:
    """A busy table answers some of a batch: then all of it is asked for again, a little later each time."""
    client = Batches(2)
    request = {"RequestItems": {"table": {"Keys": [{}, {}], "ConsistentRead": True}}}
    assert send_batch(client, request) == [{"pk": {"S": "b"}}, {"pk": {"S": "a"}}]  # type: ignore[arg-type]  # as above
    assert client.requests == [request] * 3
    assert len(waits) == 2


def test_batch_that_stays_incomplete_is_unavailable() -> None:
    """An account that could not be read is never taken for one that is gone."""
    client = Batches(9)
    with pytest.raises(Unavailable, match="unprocessed"):
        send_batch(client, {"RequestItems": {}})  # type: ignore[arg-type]  # as above
    assert len(client.requests) == 5


class Writes:
    """A client that writes one of the given items a time, and says that the others are not written."""

    def __init__(self, busy: int) -> None:
        self._busy = busy
        self.written: list[dict[str, Any]] = []
        self.requests: list[int] = []

    def batch_write_item(self, RequestItems: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:  # noqa: N803  # boto3's name
        """Write one, or all once it is busy no more."""
        self.requests.append(len(RequestItems["table"]))
        self._busy -= 1
        done = RequestItems["table"] if self._busy < 0 else RequestItems["table"][:1]
        self.written += done
        left = RequestItems["table"][len(done) :]
        return {"UnprocessedItems": {"table": left} if left else {}}


def test_what_was_not_written_is_sent_again(waits: list[float]) -> None:
    """Only that, a little later each time; the caller's request is left as it is."""
    items = [{"PutRequest": {"Item": {"pk": {"S": str(number)}}}} for number in range(4)]
    request = {"RequestItems": {"table": items}}
    client = Writes(busy=2)
    write_batch(client, request)  # type: ignore[arg-type]  # as above
    assert client.written == items
    assert client.requests == [4, 3, 2]
    assert len(waits) == 2
    assert request == {"RequestItems": {"table": items}}


def test_writes_that_stay_undone_are_unavailable() -> None:
    """The caller is told: what asked for them asks again."""
    items: list[dict[str, Any]] = [{"PutRequest": {"Item": {}}} for _ in range(9)]
    client = Writes(busy=9)
    with pytest.raises(Unavailable, match="unprocessed"):
        write_batch(client, {"RequestItems": {"table": items}})  # type: ignore[arg-type]  # as above
    assert len(client.requests) == 5


def test_each_transaction_has_its_own_token() -> None:
    """Two calls with one content are two transactions."""
    client = Scripted()
    for _ in range(2):
        transact(client, [{"Put": {}}])  # type: ignore[arg-type]  # one operation is all that is asked of it
    first, second = client.requests
    assert first["ClientRequestToken"] != second["ClientRequestToken"]


def test_refused_transaction_tells_which_conditions_failed() -> None:
    """By the position of the write, with the item that it found; a conflict beside them changes nothing."""
    codes = ("None", "ConditionalCheckFailed", "TransactionConflict", "ConditionalCheckFailed")
    operation = Scripted(cancelled(*codes, found={1: {"pk": {"S": "x"}}}))
    with pytest.raises(TransactionRefused) as failed:
        send(operation, REQUEST)
    assert failed.value.held == {1: {"pk": {"S": "x"}}, 3: {}}


@pytest.mark.parametrize("code", ["ItemCollectionSizeLimitExceeded", "SomethingNew"])
def test_other_cancellations_are_unavailable(code: str) -> None:
    """A reason that nobody foresaw is never taken for an answer."""
    operation = Scripted(cancelled("None", code, "TransactionConflict"))
    with pytest.raises(Unavailable) as failed:
        send(operation, REQUEST)
    assert failed.value.debug == f"TransactWriteItems: {' '.join(sorted((code, 'TransactionConflict')))}"
    assert len(operation.requests) == 1


def test_cancellation_without_reasons_is_unavailable() -> None:
    """An answer that leaves them out is no outcome."""
    with pytest.raises(Unavailable):
        send(Scripted(refused("TransactionCanceledException")), REQUEST)


def test_transaction_that_is_wrong_is_not_called_an_outage() -> None:
    """A fault of the code stays visible as one."""
    with pytest.raises(ClientError):
        send(Scripted(cancelled("ValidationError", "None")), REQUEST)
