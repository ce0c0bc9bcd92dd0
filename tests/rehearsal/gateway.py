"""API Gateway on loopback, as much as a REST API of chalice's needs: it answers by the deployed Swagger document.

Routes, authorizers with their result cache, policies, proxy integrations, gateway responses.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from tests.rehearsal import proxy
from tests.rehearsal.authorizers import Authorizers, function_arn
from tests.rehearsal.gateway_responses import GatewayError, Kind, gateway_response
from tests.rehearsal.proxy import Answer, Request
from tests.rehearsal.runtime import FunctionDied, LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.rehearsal.runtime import Invocable

LARGEST_BODY = 10 * 1024 * 1024
LARGEST_EVENT = 6 * 1024 * 1024  # Lambda's own limit, which a body can reach first


class Gateway:
    """One stage of one API. `document` gives the Swagger document of the moment, `function` the function of an ARN.

    `may_invoke(function, source)` tells whether the policy of a function lets this authorizer's ARN invoke it.
    """

    def __init__(
        self,
        api_id: str,
        stage: str,
        *,
        region: str,
        account: str,
        document: Callable[[], Mapping[str, Any]],
        function: Callable[[str], Invocable],
        may_invoke: Callable[[str, str], bool] = lambda _function, _source: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_id, self._stage, self._account = api_id, stage, account
        self._domain = f"{api_id}.execute-api.{region}.amazonaws.com"
        arn = f"arn:aws:execute-api:{region}:{account}:{api_id}/{stage}"
        self._document, self._function = document, function
        self._authorizers = Authorizers(arn, function=function, may_invoke=may_invoke, clock=clock)
        self._refusal: Kind | None = None

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The stage's URL."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._stage}"

    @contextmanager
    def refusing(self, kind: Kind) -> Iterator[None]:
        """Every request is refused so before it reaches anything: what throttling, quotas and a web ACL do."""
        self._refusal = kind
        try:
            yield
        finally:
            self._refusal = None

    def answer(self, request: Request) -> Answer:
        """Answer a request whose path begins with the stage."""
        document = self._document()
        prefix, stage, path = request.path.partition(f"/{self._stage}")
        if prefix or not stage or (path and not path.startswith("/")):
            return Answer(403, [("Content-Type", "application/json")], b'{"message":"Forbidden"}')
        request = Request(
            request.method, path or "/", request.query, request.headers, request.body, request.source_ip, request.id
        )
        try:
            answer = self._integrate(document, request)
        except GatewayError as error:
            answer = gateway_response(document, error.kind, request)
        answer.headers.append(("x-amzn-RequestId", request.id))
        return answer

    def _integrate(self, document: Mapping[str, Any], request: Request) -> Answer:
        if self._refusal is not None:
            raise GatewayError(self._refusal)
        if len(request.body) > LARGEST_BODY:
            raise GatewayError(Kind.REQUEST_TOO_LARGE)
        route = proxy.find_route(document["paths"], request.path)
        method = document["paths"][route.resource].get(request.method.lower()) if route else None
        if route is None or method is None:
            raise GatewayError(Kind.MISSING_AUTHENTICATION_TOKEN)
        binary_types = document.get("x-amazon-apigateway-binary-media-types", [])
        event = proxy.event(
            request,
            route,
            api_id=self._api_id,
            stage=self._stage,
            account=self._account,
            domain=self._domain,
            binary_types=binary_types,
            authorizer=None,
        )
        self._authorizers.admit(document, method, event)
        if len(json.dumps(event)) > LARGEST_EVENT:
            raise GatewayError(Kind.REQUEST_TOO_LARGE)
        integration = method["x-amazon-apigateway-integration"]
        try:
            outcome = self._function(function_arn(integration["uri"])).invoke(event)
        except FunctionDied as error:
            raise GatewayError(Kind.INTEGRATION_FAILURE) from error
        if outcome.error:
            raise GatewayError(Kind.INTEGRATION_FAILURE)
        try:
            return proxy.answer(outcome.result, request.header("Accept"), binary_types)
        except proxy.Malformed as error:
            raise GatewayError(Kind.DEFAULT_5XX) from error


class _Server(LocalServer):
    """The HTTP side of a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(_Handler)
        self.gateway = gateway


class _Handler(BaseHTTPRequestHandler):
    """Every method goes to the gateway."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the second of two waits 40 ms for the first one's receipt
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        # To the end, however much it is: who still sends while the connection is closed never sees the answer.
        body = self.rfile.read(length)
        address = str(self.client_address[0])
        request = Request(self.command, url.path, url.query, list(self.headers.items()), body, address)
        answer = self.server.gateway.answer(request)
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Say nothing."""
