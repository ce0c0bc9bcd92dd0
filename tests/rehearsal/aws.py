"""AWS on loopback: moto as a server, and what the rehearsal needs to know of it beyond its API."""

from __future__ import annotations

import copy
import io
import json
import re
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import boto3
from moto.apigateway.models import APIGatewayBackend
from moto.awslambda.models import lambda_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tests.rehearsal.authorizers import covers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

REGION = "eu-central-1"  # not boto3's usual default, so that one written into the code is seen
ACCOUNT = DEFAULT_ACCOUNT_ID

# The access key and service in a signature: a function's access key is its name (functions.py).
SIGNED_BY = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/[^/]+/[^/]+/(?:dynamodb|ssm)/")

# Swagger documents as uploaded, by API; and as deployed, by API and stage. Uploading alone changes no answer in AWS.
_uploaded: dict[str, dict[str, Any]] = {}
_live: dict[tuple[str, str], dict[str, Any]] = {}

_put_rest_api = APIGatewayBackend.put_rest_api
_import_rest_api = APIGatewayBackend.import_rest_api
_create_deployment = APIGatewayBackend.create_deployment


def _put(self: APIGatewayBackend, function_id: str, api_doc: dict[str, Any], **options: Any) -> Any:
    """Keep the document; give moto, which refuses Swagger 2.0, one that it takes."""
    _uploaded[function_id] = copy.deepcopy(api_doc)
    accepted = {name: value for name, value in api_doc.items() if name != "swagger"} | {"openapi": "3.0.1"}
    accepted["info"] = {"description": "", **api_doc["info"]}
    api = _put_rest_api(self, function_id, accepted, **options)
    api.name = api_doc["info"]["title"]  # as AWS does
    return api


def _import(self: APIGatewayBackend, api_doc: dict[str, Any], *options: Any) -> Any:
    """Give moto a description, which it wants; the document itself goes the way of `_put`."""
    api_doc["info"].setdefault("description", "")
    return _import_rest_api(self, api_doc, *options)


def _deploy(self: APIGatewayBackend, function_id: str, name: str, *options: Any, **more: Any) -> Any:
    """Make the uploaded document the one that the stage answers by."""
    deployment = _create_deployment(self, function_id, name, *options, **more)
    _live[function_id, name] = _uploaded[function_id]
    return deployment


class LocalAws:
    """A moto server. Its state is the process's, so a process has one at a time."""

    def __init__(self) -> None:
        self._dispatch = DomainDispatcherApplication(create_backend_app)
        self._away: set[str] = set()
        self._back = threading.Event()
        self._exits = ExitStack()
        self._clients: dict[str, Any] = {}
        # Asked at every call to DynamoDB and Systems Manager: the reason for refusing it (rights.py), or None.
        self.admit: Callable[[str, str, dict[str, Any]], str | None] | None = None

    def __enter__(self) -> Self:
        self._exits.enter_context(patch.object(APIGatewayBackend, "put_rest_api", _put))
        self._exits.enter_context(patch.object(APIGatewayBackend, "import_rest_api", _import))
        self._exits.enter_context(patch.object(APIGatewayBackend, "create_deployment", _deploy))
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._exits.close()

    @property
    def endpoint(self) -> str:
        """The URL for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What an AWS client needs to know."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
        }

    def client(self, service: str) -> Any:
        """A boto3 client, made once for each service: it takes 0.1 s, and the gateway asks at each guarded request."""
        if service not in self._clients:
            self._clients[service] = boto3.session.Session().client(
                service,  # type: ignore[call-overload]  # any of them
                endpoint_url=self.endpoint,
                region_name=REGION,
                aws_access_key_id="rehearsal",
                aws_secret_access_key="rehearsal",
            )
        return self._clients[service]

    def code(self, function: str) -> bytes:
        """The zip that a function runs."""
        return bytes(lambda_backends[ACCOUNT][REGION].get_function(function).code_bytes)

    @staticmethod
    def live_document(api_id: str, stage: str) -> dict[str, Any]:
        """The Swagger document that a stage of an API answers by."""
        return _live[api_id, stage]

    def may_invoke(self, function: str, source: str) -> bool:
        """Whether the policy of a function, or of its alias, lets API Gateway invoke it for this source ARN."""
        functions = self.client("lambda")
        try:
            name = function.split(":")[6]  # moto keeps the statements of all aliases together
            policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
        except functions.exceptions.ResourceNotFoundException:
            return False
        return any(
            statement["Resource"] == function
            and statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
            and covers(statement["Condition"]["ArnLike"]["AWS:SourceArn"], source)
            for statement in policy["Statement"]
        )

    @contextmanager
    def without_policies(self) -> Iterator[None]:
        """Every function may call everything, as moto has it: for faults that a policy would hide."""
        admit, self.admit = self.admit, None
        try:
            yield
        finally:
            self.admit = admit

    @contextmanager
    def away(self, service: str) -> Iterator[None]:
        """Nothing answers for a service (as X-Amz-Target names it, `DynamoDB` or `AmazonSSM`): calls hang."""
        self._back.clear()
        self._away.add(service)
        try:
            yield
        finally:
            self._away.discard(service)
            self._back.set()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if any(target.startswith(service) for service in self._away):
            self._back.wait(timeout=20)
        refusal = self._refusal(environ, target)
        if refusal is not None:
            body = json.dumps({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": refusal})
            start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.0")])
            return [body.encode()]
        answer: Iterable[bytes] = self._dispatch(environ, start_response)
        return answer

    def _refusal(self, environ: dict[str, Any], target: str) -> str | None:
        signed = SIGNED_BY.match(environ.get("HTTP_AUTHORIZATION", ""))
        if self.admit is None or signed is None:
            return None
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        return self.admit(signed[1], target, json.loads(body))


class _Quiet(MotoRequestHandler):
    """One line a request would bury what failed."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""
