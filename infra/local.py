"""`make run`: the whole of Keyturn on this machine, in one process, with moto inside it as AWS. Ctrl-C ends everything.

Beside it, 1000 ports above, runs a stand-in for Google; a small page at / logs in there. With ENGINE=dynoxide the table
and the keys are kept under .local/, so that accounts and sessions survive a restart.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
from chalice.cli.factory import CLIFactory
from chalice.local import ChaliceRequestHandler, LocalDevServer, LocalGatewayException
from moto import mock_aws

from chalicelib.audit import JsonAuditLog
from infra import dynoxide, gateway, keys, stand_in, table
from infra.local_events import LocalLog
from infra.local_guard import LocalGuard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from types_boto3_ssm import SSMClient

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local"
ENGINES = ("moto", "dynoxide")
MAX_BODY = 10 * 1024 * 1024  # bytes; API Gateway's own limit
STAND_IN_OFFSET = 1000  # from Keyturn's port to the stand-in's
LAST_PORT = 65535

# What a deployment does not have: the page to see a login on. Scripts and styles come from here, nothing is inline.
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class StandInUnavailable(Exception):
    """The stand-in for Google cannot have its port."""


class Handler(ChaliceRequestHandler):
    """chalice's request handler with API Gateway's manners where chalice drops the connection or answers otherwise."""

    # One request at a time: the app holds the request that it answers, and moto's transactions put back a copy of the
    # table, so that two at once would undo each other.
    turn = Lock()
    audit = LocalLog()
    responses: ClassVar[Mapping[str, Any]]

    def setup(self) -> None:
        """Put our guard where chalice's own would let everybody through."""
        self.local_gateway._authorizer = LocalGuard(self.local_gateway._app_object)  # noqa: SLF001  # chalice has no other way
        super().setup()

    def _generic_handle(self) -> None:
        try:
            with self.turn:
                try:
                    super()._generic_handle()
                finally:
                    self.audit.deliver()  # before the next request, so that its events are in the table for it
        except LocalGatewayException as error:
            self._send_error_response(error)
        except Exception as error:  # noqa: BLE001  # what an authorizer raises, as API Gateway reads it
            unauthorized = str(error) == "Unauthorized"
            self._answer("UNAUTHORIZED" if unauthorized else "AUTHORIZER_FAILURE")

    # The base class binds each method to its own _generic_handle.
    do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = _generic_handle  # noqa: N815  # http.server's names

    def do_GET(self) -> None:  # noqa: N802  # as above
        """Serve a part of the page, or what the app has."""
        part = PAGE.get(self.path.partition("?")[0])
        if part is None:
            self._generic_handle()
            return
        name, content_type = part
        content = (ROOT / "infra" / "page" / name).read_bytes()
        self._send_http_response(200, {"Content-Type": content_type, **PAGE_HEADERS}, content)

    do_HEAD = do_GET  # noqa: N815  # as above

    def _parse_payload(self) -> tuple[Any, bytes | None]:
        length = self.headers.get("content-length", "0")
        # A body that is not read would be taken for the connection's next request: the connection ends with the answer.
        if not (length.isascii() and length.isdecimal()):
            self.close_connection = True
            raise LocalGatewayException({"x-amzn-ErrorType": "BAD_REQUEST_BODY"})
        if int(length) > MAX_BODY:
            self.close_connection = True
            raise LocalGatewayException({"x-amzn-ErrorType": "REQUEST_TOO_LARGE"})
        payload: tuple[Any, bytes | None] = super()._parse_payload()
        return payload

    def _send_error_response(self, error: LocalGatewayException) -> None:
        kind = str(error.headers.get("x-amzn-ErrorType", ""))
        # chalice says UnauthorizedException of an unknown path too, with another status.
        kinds = {
            (401, "UnauthorizedException"): "UNAUTHORIZED",
            (403, "AccessDeniedException"): "ACCESS_DENIED",
            (403, "UnauthorizedException"): "MISSING_AUTHENTICATION_TOKEN",
        }
        self._answer(kinds.get((error.CODE, kind), kind))

    def _answer(self, kind: str) -> None:
        response = self.responses.get(kind, self.responses["DEFAULT_4XX"])
        headers = gateway.headers_for(response, self.headers.get("Origin"))
        body = response["responseTemplates"]["application/json"]
        self._send_http_response(int(response["statusCode"]), headers, body)

    def _send_http_response(self, code: int, headers: Any, body: str | bytes | None) -> None:  # noqa: ANN401  # chalice's types
        if self.command != "HEAD":
            super()._send_http_response(code, headers, body)
            return
        # No content may come, or the connection's next answer would begin with it, and Content-Length is that of GET
        # (RFC 9110 sections 8.6 and 9.3.2).
        content = body.encode() if isinstance(body, str) else body or b""
        self.send_response(code)
        self._send_headers({"Content-Type": "application/json", **headers, "Content-Length": str(len(content))})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  # the base class's names
        """Nothing: every request that matters has its line in the audit log, and a query may hold a code."""


def serve(engine: str, port: int) -> None:
    """Serve http://localhost:{port} until the process is told to end."""
    with ExitStack() as stack:
        issuer = f"http://localhost:{port}"
        prefix, name = os.environ.get("KEYTURN_PARAMETERS") or "/keyturn/local", "keyturn-local"
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",  # pragma: allowlist secret
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        defaults = {
            "KEYTURN_TABLE": name,
            "KEYTURN_ISSUER": issuer,
            "KEYTURN_AUDIENCE": "keyturn-local",
            "KEYTURN_PARAMETERS": prefix,
            "KEYTURN_ALLOWED_ORIGINS": f"{issuer},http://localhost:3000,http://localhost:5173",
            "KEYTURN_RETURN_TO": f"{issuer}/,http://localhost:3000/,http://localhost:5173/",
            "KEYTURN_GOOGLE_ISSUER": stack.enter_context(_stand_in(port + STAND_IN_OFFSET)),
            "KEYTURN_GOOGLE_CLIENT_ID": name,
            "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": f"{prefix}/provider/google",
        }
        for variable, value in defaults.items():
            os.environ.setdefault(variable, value)
        if engine == "dynoxide":
            os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = stack.enter_context(dynoxide.serve(STATE / "dynoxide.db"))
        # moto lets through what another engine answers.
        passing = ["dynamodb"] if engine == "dynoxide" else []
        stack.enter_context(
            mock_aws(config={"core": {"mock_credentials": False, "passthrough": {"services": passing}}})
        )
        ssm = boto3.client("ssm")
        kept = STATE / "parameters.json"
        if engine == "dynoxide":
            _restore_parameters(ssm, kept)
        table.ensure(boto3.client("dynamodb"), os.environ["KEYTURN_TABLE"])
        algorithm = os.environ.get("KEYTURN_SIGNING_ALGORITHM") or "RS256"
        keys.ensure(ssm, os.environ["KEYTURN_PARAMETERS"], algorithm, int(time.time()))
        _ensure_client_secret(ssm, os.environ["KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER"])
        if engine == "dynoxide":
            _keep_parameters(ssm, kept)

        server = _server(port)
        sys.stdout.write(
            f"Keyturn: {issuer} ({engine}; Ctrl-C ends it).\n"
            f"Open {issuer}/ to log in with Google, which {os.environ['KEYTURN_GOOGLE_ISSUER']} plays.\n"
            f"Or paste into another terminal:\n\n{_curl_session(issuer)}\n"
        )
        sys.stdout.flush()
        server.server.serve_forever()


@contextmanager
def _stand_in(port: int) -> Iterator[str]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(stand_in.serve(port))
        except OSError as error:
            raise StandInUnavailable(error.strerror or str(error)) from error
        yield url


def _ensure_client_secret(ssm: SSMClient, name: str) -> None:
    """Give the client a secret, unless an earlier run kept one. The stand-in takes any."""
    with suppress(ssm.exceptions.ParameterAlreadyExists):
        ssm.put_parameter(Name=name, Value="local", Type="SecureString")


def _server(port: int) -> LocalDevServer:
    sys.path.insert(0, str(ROOT))
    factory = CLIFactory(str(ROOT))
    config = factory.create_config_obj(chalice_stage_name="dev")
    app = config.chalice_app
    # Refuses to start with the remedy, as a container would refuse its first request.
    from chalicelib import authorizers, bootstrap  # noqa: PLC0415  # after moto stands in for AWS

    bootstrap.audit = authorizers.audit = JsonAuditLog(bootstrap.clock, Handler.audit.write)
    bootstrap.services()
    Handler.responses = gateway.gateway_responses(bootstrap.config().allowed_origins)
    return LocalDevServer(app, config, "127.0.0.1", port, handler_cls=Handler)


def _curl_session(url: str) -> str:
    """The README's curl session: one text, so that what is printed is what is documented."""
    readme = (ROOT / "README.md").read_text()
    session = readme.partition("<!-- curl session -->")[2].partition("```sh\n")[2].partition("```")[0]
    return session.replace("http://localhost:8000", url)


def _restore_parameters(ssm: SSMClient, path: Path) -> None:
    """Put back what an earlier run kept: refresh tokens of before are worth nothing under other keys."""
    if path.exists():
        for parameter in json.loads(path.read_text()):
            ssm.put_parameter(**parameter)


def _keep_parameters(ssm: SSMClient, path: Path) -> None:
    """Keep the parameters, which are this machine's own keys and nobody else's to read."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(
        Path=os.environ["KEYTURN_PARAMETERS"], Recursive=True, WithDecryption=True
    )
    found = [parameter for page in pages for parameter in page["Parameters"]]
    path.touch(mode=0o600)
    path.write_text(json.dumps([{name: p[name] for name in ("Name", "Value", "Type")} for p in found]))


def main() -> None:
    """Entry point. ENGINE is moto or dynoxide; PORT is where to serve."""
    engine = os.environ.get("ENGINE") or "moto"
    port = int(os.environ.get("PORT") or 8000)
    if engine not in ENGINES:
        sys.exit(f"ENGINE must be one of {', '.join(ENGINES)}, not {engine!r}")
    last = LAST_PORT - STAND_IN_OFFSET
    if not 0 < port <= last:
        sys.exit(f"PORT must be from 1 to {last}: the stand-in for Google is {STAND_IN_OFFSET} above it")
    # Said here, because a shell starts what runs in its background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve(engine, port)
    except KeyboardInterrupt:
        sys.stdout.write("\nKeyturn has ended.\n")
    except StandInUnavailable as error:
        where = f"on port {port + STAND_IN_OFFSET}, {STAND_IN_OFFSET} above PORT"
        sys.exit(
            f"Cannot serve the stand-in for Google {where}: {error}. Choose another PORT: make run PORT={port + 1}"
        )
    except OSError as error:
        sys.exit(f"Cannot serve on port {port}: {error.strerror or error}. Choose another one: make run PORT=8001")


if __name__ == "__main__":
    main()
