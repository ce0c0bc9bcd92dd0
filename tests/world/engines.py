"""The two engines that stand in for DynamoDB: moto inside this process, dynoxide beside it. Both on loopback.

Each is started once in a process, at its first use, and ends with the process. Tables get names of their own, so that
tests share an engine without meeting in it.
"""

from __future__ import annotations

import atexit
import os
import uuid
from contextlib import ExitStack
from functools import cache
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from unittest import mock

from chalicelib.aws.session import new_session
from chalicelib.store.calls import make_client
from infra import table
from infra.local import dynoxide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from types_boto3_dynamodb import DynamoDBClient


def connect(endpoint: str) -> DynamoDBClient:
    """Make a client as the product does, by environment variables, for the engine at `endpoint`."""
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    with mock.patch.dict(os.environ, environment):
        return make_client(new_session())


def connect_patiently(endpoint: str) -> DynamoDBClient:
    """As connect, for tests that are not about time: a busy machine's engine may take more than a second to answer."""
    client = connect(endpoint)
    client.meta.events.register_last("before-send.dynamodb", _wait_long)
    return client


def _wait_long(request: Any, **_: object) -> None:
    request.context["read_timeout"] = 20.0


def make_table(client: DynamoDBClient) -> str:
    """Make an empty table under a new name."""
    name = f"keyturn-{uuid.uuid4().hex}"
    table.ensure(client, name)
    return name


def start(engine: str) -> str:
    """Start the engine, unless this process has; return its endpoint."""
    return {"moto": _moto, "dynoxide": _dynoxide}[engine]()


@cache
def _moto() -> str:
    """Serve moto one request at a time: its transactions put back a copy of the table, and would undo each other."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - costs two seconds that dynoxide's tests need not pay
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415 - as above

    class Silent(MotoRequestHandler):
        def log_request(self, *_: object) -> None:
            """Say nothing: a test's output is its own."""

    application, turn = DomainDispatcherApplication(create_backend_app), Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with turn:
            return list(application(environ, start_response))

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=Silent)
    Thread(target=server.serve_forever, name="moto", daemon=True).start()
    return f"http://127.0.0.1:{server.port}"


@cache
def _dynoxide() -> str:
    """Run dynoxide with its tables in memory; FileNotFoundError, with the remedy, where it is not installed."""
    engine = ExitStack()
    atexit.register(engine.close)
    return engine.enter_context(dynoxide.serve())
