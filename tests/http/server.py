"""Keyturn over real HTTP: API Gateway's stand-in before it, the app and the authorizers behind it in this process.

The gateway answers by the Swagger document that deployment generates from the app. Settings, keys and the table are
read as a container reads them: from environment variables, the parameter store (moto) and DynamoDB (dynoxide: moto
copies all tables at each transaction, which takes seconds after a few hundred accounts).
"""

from __future__ import annotations

import json
import os
import time
import uuid
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
from chalice.deploy.planner import StringFormat
from chalice.local import LocalChalice

import app
from chalicelib import deadline, providers
from chalicelib.audit import JsonAuditLog
from chalicelib.aws.parameters import SystemsManagerParameters
from chalicelib.clock import SystemClock
from chalicelib.crypto.client_secrets import SignedClientSecrets
from chalicelib.crypto.id_tokens import JwtIdTokenVerifier
from chalicelib.functions import api, authorizers, chronicle, container
from chalicelib.functions.rest_api import Api
from infra import keys
from infra.chalice_deployment import Swagger
from infra.local.events import LocalLog
from tests.http.client import CheckedClient
from tests.rehearsal.gateway import Gateway
from tests.rehearsal.runtime import Outcome
from tests.world import engines
from tests.world.browser import Browser
from tests.world.client import ADDRESS
from tests.world.constants import ORIGIN, PAGE, SECOND_ORIGIN, SECOND_PAGE
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chalicelib.guard.verdicts import Guard
    from chalicelib.services import Services
    from chalicelib.services.sessions.authorization import Authorization
    from chalicelib.settings.config import Config
    from chalicelib.store.protocol import Store
    from tests.world.client import Client

APP_REDIRECT = "com.example.app:/callback"
API, AUTHORIZE, GUARD = "keyturn-http", "keyturn-http-authorize", "keyturn-http-guard"
PATIENCE = 30.0  # seconds; a test that is not about time must not fail because the machine is busy
NOTHING: Mapping[str, str] = MappingProxyType({})
# Settings that switch the provider off: its secret lies under the stage's own parameters.
NO_PROVIDER = {
    f"KEYTURN_GOOGLE_{name}": "" for name in ("CLIENT_ID", "CLIENT_SECRET_PARAMETER", "ISSUER", "NATIVE_CLIENT_IDS")
}
ALGORITHM = "ES256"  # signs faster than RS256; the claims and the rest of the token are the same

_ARN_PARTS = {
    "partition": "aws",
    "region_name": "eu-west-1",
    "api_handler_lambda_arn": API,
    "authorize_lambda_arn": AUTHORIZE,
    "guard_lambda_arn": GUARD,
}


class InProcessFunction:
    """A Lambda function, called here: JSON goes in and out, and what is raised is Lambda's error document.

    `name` may end in `:alias`, as an ARN does that names one.
    """

    def __init__(self, handler: Callable[[Any, Any], Any], name: str) -> None:
        arn = f"arn:aws:lambda:{_ARN_PARTS['region_name']}:123456789012:function:{name}"
        self._handler, self._context = handler, SimpleNamespace(invoked_function_arn=arn)

    def invoke(self, event: Any) -> Outcome:
        """Run one event to its end."""
        try:
            result = self._handler(_from_its_address(_as_json(event)), self._context)
        except Exception as error:  # noqa: BLE001  # as Lambda does
            return Outcome(error={"errorType": type(error).__name__, "errorMessage": str(error)})
        return Outcome(result=_as_json(result))


class LocalApi(LocalChalice, Api):
    """The app, for several requests at a time: each thread's current request is its own."""


class Containers:
    """What the functions keep between requests: nothing before their first one. They find `environment` around them."""

    def __init__(self, environment: Mapping[str, str] = NOTHING) -> None:
        self.environment = environment
        self.config: Callable[[], Config] = lru_cache(maxsize=1)(container.config.__wrapped__)
        self.services: Callable[[], Services] = lru_cache(maxsize=1)(api.services.__wrapped__)
        self.authorization: Callable[[], Authorization] = lru_cache(maxsize=1)(authorizers.authorization.__wrapped__)
        self.guarding: Callable[[], Guard] = lru_cache(maxsize=1)(authorizers.guarding.__wrapped__)
        self.table: Callable[[], Store] = lru_cache(maxsize=1)(chronicle.table.__wrapped__)

    def start(self) -> None:
        """Have all read their settings and keys, before any request waits for it."""
        self.services()
        self.authorization()
        self.guarding()


class Server:
    """Keyturn at `url`, with a table and keys of its own."""

    def __init__(
        self, url: str, functions: Mapping[str, InProcessFunction], document: dict[str, Any], provider: StandIn
    ) -> None:
        tables = engines.start("dynoxide")
        self._tables = engines.connect_patiently(tables)
        self.url, self.document, self._functions, self.provider = url, document, functions, provider
        self.prefix = f"/keyturn/{uuid.uuid4().hex}"
        self.environment = {
            "AWS_ENDPOINT_URL_DYNAMODB": tables,
            "AWS_ENDPOINT_URL_SSM": engines.start("moto"),
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "KEYTURN_TABLE": engines.make_table(self._tables),
            "KEYTURN_ISSUER": url,
            "KEYTURN_AUDIENCE": "https://api.example.com",
            "KEYTURN_PARAMETERS": self.prefix,
            "KEYTURN_ALLOWED_ORIGINS": f"{ORIGIN},{SECOND_ORIGIN}",
            "KEYTURN_SIGNING_ALGORITHM": ALGORITHM,
            "KEYTURN_ARGON2_PROFILE": "testing",
            "KEYTURN_RETURN_TO": f"{PAGE},{SECOND_PAGE}",
            "KEYTURN_GOOGLE_ISSUER": provider.url,
            "KEYTURN_GOOGLE_CLIENT_ID": provider.client_id,
            "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": f"{self.prefix}/provider/google",
            "KEYTURN_GOOGLE_NATIVE_CLIENT_IDS": f"{min(provider.public_clients)}={APP_REDIRECT}",
        }
        with mock.patch.dict(os.environ, self.environment):
            self.parameters = boto3.client("ssm")
        keys.ensure(self.parameters, self.prefix, ALGORITHM, int(time.time()) - 60)
        secret = self.environment["KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER"]
        self.parameters.put_parameter(Name=secret, Value=provider.client_secret, Type="SecureString")
        self.log = LocalLog()
        self.warm = Containers()
        with self.running(self.warm):
            self.warm.start()

    @property
    def services(self) -> Services:
        """What the API's warm container has."""
        return self.warm.services()

    def browser(self, client: Client | None = None) -> Browser:
        """A browser that has never been here, at an address of its own or the client's."""
        return Browser(client or CheckedClient(self.url), self.provider)

    def apart(self) -> Containers:
        """Containers over a table of their own, for tests that look at all of a table."""
        containers = Containers({"KEYTURN_TABLE": engines.make_table(self._tables)})
        with self.running(containers):
            containers.start()
        return containers

    def rows(self) -> list[dict[str, Any]]:
        """Every item of the table that requests go to, in the order of the keys."""
        pages = self._tables.get_paginator("scan").paginate(TableName=os.environ["KEYTURN_TABLE"], ConsistentRead=True)
        rows: list[dict[str, Any]] = [dict(row) for page in pages for row in page["Items"]]
        return sorted(rows, key=lambda row: (row["pk"]["S"], row["sk"]["S"]))

    @contextmanager
    def running(
        self, containers: Containers, environment: Mapping[str, str] = NOTHING, seconds: float = PATIENCE
    ) -> Iterator[None]:
        """Requests go to these containers, which find these environment variables beside their own.

        A request has `seconds` for what it depends on.
        """
        with (
            mock.patch.dict(os.environ, {**self.environment, **containers.environment, **environment}),
            mock.patch.object(deadline.start.__wrapped__, "__defaults__", (seconds,)),  # type: ignore[attr-defined]  # of contextmanager
            mock.patch.object(container, "config", containers.config),
            mock.patch.object(api, "services", containers.services),
            mock.patch.object(authorizers, "authorization", containers.authorization),
            mock.patch.object(authorizers, "guarding", containers.guarding),
            mock.patch.object(chronicle, "table", containers.table),
            mock.patch.object(container, "audit", JsonAuditLog(container.clock, self.log.write)),
        ):
            yield

    @contextmanager
    def cold(self, environment: Mapping[str, str] = NOTHING, seconds: float = PATIENCE) -> Iterator[Containers]:
        """As `running`, in fresh containers."""
        containers = Containers()
        with self.running(containers, environment, seconds):
            yield containers

    @contextmanager
    def later(self, seconds: int) -> Iterator[None]:
        """Every container's clock is ahead by so many seconds."""
        now = SystemClock.now
        with mock.patch.object(SystemClock, "now", lambda clock: now(clock) + seconds):
            yield

    @contextmanager
    def forgetful(self) -> Iterator[None]:
        """The warm container has providers that it has not asked anything yet."""
        warm = self.services
        config = warm.config.providers
        fresh = providers.connect(
            config, SystemsManagerParameters(self.parameters), JwtIdTokenVerifier(), SignedClientSecrets(), warm.clock
        )
        with mock.patch.object(warm.providers, "connected", fresh):
            yield

    @contextmanager
    def deployed_as(self, document: Mapping[str, Any]) -> Iterator[str]:
        """The same functions behind another Swagger document; yields the URL."""
        with _gateway(self._functions, document) as gateway:
            yield gateway.url

    def function(self, name: str) -> InProcessFunction:
        """One of the functions, for events that no HTTP request can bring about."""
        return self._functions[name]

    def copy_of_document(self) -> dict[str, Any]:
        """The Swagger document, to be changed."""
        return deepcopy(self.document)


@contextmanager
def serve() -> Iterator[Server]:
    """Serve on loopback until the end of the block."""
    handlers = {API: app.app, AUTHORIZE: authorizers.authorize, GUARD: authorizers.guard}
    functions = {name: InProcessFunction(handler, name) for name, handler in handlers.items()}
    document = _resolved(Swagger("keyturn-http", frozenset({ORIGIN, SECOND_ORIGIN})).generate_swagger(app.app))
    kind, app.app.__class__ = app.app.__class__, LocalApi
    try:
        # On Lambda a container has one request at a time. Here threads stand for containers: each sees its own request.
        with StandIn(says_auth_time=False) as provider, _gateway(functions, document) as gateway:
            yield Server(gateway.url, functions, document, provider)
    finally:
        app.app.__class__ = kind


def _gateway(functions: Mapping[str, InProcessFunction], document: Mapping[str, Any]) -> Gateway:
    return Gateway(
        "testapi",
        "api",
        region="eu-west-1",
        account="123456789012",
        document=lambda: document,
        function=functions.__getitem__,
    )


def _resolved(value: Any) -> Any:
    """A part of the document, with the ARNs filled in that deployment fills in."""
    if isinstance(value, StringFormat):
        return value.template.format(**_ARN_PARTS)
    if isinstance(value, dict):
        return {name: _resolved(member) for name, member in value.items()}
    return [_resolved(member) for member in value] if isinstance(value, list) else value


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _from_its_address(event: Any) -> Any:
    headers = event.get("headers") if isinstance(event, dict) else None
    address = headers.pop(ADDRESS, None) if isinstance(headers, dict) else None
    if address is not None:
        del event["multiValueHeaders"][ADDRESS]
        event["requestContext"]["identity"]["sourceIp"] = address
    return event
