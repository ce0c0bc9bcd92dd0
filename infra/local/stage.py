"""The stage that `make run` serves: the stand-in for Google, the table, the keys and the server."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from chalice.cli.factory import CLIFactory
from chalice.local import LocalDevServer
from moto import mock_aws

from chalicelib.audit import JsonAuditLog
from chalicelib.errors import AuthError
from infra import gateway, keys, table
from infra.failure import Failure, one_line
from infra.local import dynoxide, stand_in
from infra.local.http import Handler
from infra.local.settings import STAND_IN_OFFSET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from types_boto3_ssm import SSMClient

    from infra.local.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".local"
KEPT = STATE / "parameters.json"
DATABASE = STATE / "dynoxide.db"
MEMBERS = {"Name", "Value", "Type"}  # of a parameter that is kept
# As the providers write their own names
TITLES = {"apple": "Apple", "github": "GitHub", "google": "Google", "microsoft": "Microsoft"}
WITHOUT_KEYS = f"Delete {KEPT}: new keys are made at the next start, accounts stay, and everybody logs in again"


def serve(settings: Settings, children: ExitStack) -> None:
    """Serve until the process ends; `children` ends the processes beside it. Failure where it cannot begin."""
    lasting = settings.engine == "dynoxide"
    kept = _kept_parameters() if lasting else []
    _start_stand_in(settings.port, children)
    if lasting:
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = _start_engine(children)
    # moto lets through what another engine answers.
    passing = ["dynamodb"] if lasting else []
    with mock_aws(config={"core": {"mock_credentials": False, "passthrough": {"services": passing}}}):
        ssm = boto3.client("ssm")
        _restore_parameters(ssm, kept)
        with _failing(f"The table {settings.config.table!r} (KEYTURN_TABLE) cannot be made"):
            table.ensure(boto3.client("dynamodb"), settings.config.table)
        with _failing("The keys cannot be made", WITHOUT_KEYS if kept else ""):
            _ensure_parameters(ssm, settings)
            server = _server(settings)
        if lasting:
            _keep_parameters(ssm, settings.config.parameters)
        sys.stdout.write(_greeting(settings))
        sys.stdout.flush()
        server.server.serve_forever()


@contextmanager
def _failing(what: str, remedy: str = "") -> Iterator[None]:
    """Failure for what AWS, or the app, says against a setting or a key."""
    try:
        yield
    except (AuthError, BotoCoreError, ClientError, Failure) as error:
        message = f"{what}: {one_line(error)}" + (f". {remedy}" if remedy else "")
        raise Failure(message) from error


def _start_stand_in(port: int, children: ExitStack) -> None:
    try:
        children.enter_context(stand_in.serve(port + STAND_IN_OFFSET))
    except OSError as error:
        message = (
            f"Cannot serve the stand-in for Google on port {port + STAND_IN_OFFSET}, {STAND_IN_OFFSET} above PORT: "
            f"{error.strerror or error}. Choose another PORT: make run PORT={port + 1}"
        )
        raise Failure(message) from error


def _start_engine(children: ExitStack) -> str:
    try:
        # Two steps, so that a signal between them ends the engine too.
        engine = children.enter_context(dynoxide.running(DATABASE))
        return engine.wait()
    except OSError as error:
        raise Failure(one_line(error)) from error
    except RuntimeError as error:
        message = (
            f"{error}. Another `make run ENGINE=dynoxide` may hold {DATABASE}: end it. Or the file is damaged or not "
            "yours: move it away, and its accounts with it"
        )
        raise Failure(message) from error


def _ensure_parameters(ssm: SSMClient, settings: Settings) -> None:
    """Make the keys, unless an earlier run kept them, and put in the client secrets of the identity providers."""
    config = settings.config
    keys.ensure(ssm, config.parameters, config.sessions.signing_algorithm, int(time.time()))
    for parameter, secret in settings.secrets.items():
        ssm.put_parameter(Name=parameter, Value=secret, Type="SecureString", Overwrite=True)


def _server(settings: Settings) -> LocalDevServer:
    sys.path.insert(0, str(ROOT))
    factory = CLIFactory(str(ROOT))
    config = factory.create_config_obj(chalice_stage_name="dev")
    app = config.chalice_app
    # Refuses to start with the remedy, as a container would refuse its first request.
    from chalicelib.functions import api, container  # noqa: PLC0415  # after moto stands in for AWS

    container.audit = JsonAuditLog(container.clock, Handler.audit.write)
    api.services()
    Handler.gateway_responses = gateway.gateway_responses(container.config().pages.allowed_origins)
    Handler.log_ins = _log_ins(settings)
    try:
        return LocalDevServer(app, config, "127.0.0.1", settings.port, handler_cls=Handler)
    except OSError as error:
        message = (
            f"Cannot serve on port {settings.port}: {error.strerror or error}. Choose another one: make run PORT=8001"
        )
        raise Failure(message) from error


def _log_ins(settings: Settings) -> dict[str, Any]:
    """What the page asks for: the providers that are switched on, and whether the stand-in is one of them."""
    names = [*settings.config.providers]
    return {
        "providers": [{"name": name, "title": TITLES.get(name, name)} for name in names],
        "stand_in": settings.plays_google,
    }


def _greeting(settings: Settings) -> str:
    page = f"Open {settings.url}/ to log in."
    if settings.plays_google:
        page = f"Open {settings.url}/ to log in with Google, which {settings.stand_in} plays."
    return (
        f"Keyturn: {settings.url} ({settings.engine}; Ctrl-C ends it).\n"
        f"{page}\nOr paste into another terminal:\n\n{_curl_session(settings.url)}\n"
    )


def _curl_session(url: str) -> str:
    """The README's curl session: one text, so that what is printed is what is documented."""
    readme = (ROOT / "README.md").read_text()
    session = readme.partition("<!-- curl session -->")[2].partition("```sh\n")[2].partition("```")[0]
    return session.replace("http://localhost:8000", url)


def _kept_parameters() -> list[dict[str, Any]]:
    """Read what an earlier run kept. Failure where it is damaged, and where nothing can be kept."""
    try:
        STATE.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=STATE):
            pass
    except OSError as error:
        message = f"{STATE} cannot be written: {error.strerror or error}. Make it a directory of your own, or delete it"
        raise Failure(message) from error
    try:
        kept = json.loads(KEPT.read_bytes()) if KEPT.exists() else []
        damaged = not isinstance(kept, list) or not all(
            p.keys() == MEMBERS and all(isinstance(part, str) for part in p.values()) for p in kept
        )
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        damaged = True
    if damaged:
        message = f"{KEPT} is damaged. {WITHOUT_KEYS}"
        raise Failure(message)
    return list(kept)


def _restore_parameters(ssm: SSMClient, kept: list[dict[str, Any]]) -> None:
    """Put back what an earlier run kept: refresh tokens of before are worth nothing under other keys."""
    with _failing(f"{KEPT} is damaged", WITHOUT_KEYS):
        for parameter in kept:
            ssm.put_parameter(**parameter)


def _keep_parameters(ssm: SSMClient, prefix: str) -> None:
    """Keep the parameters, which are this machine's own keys and nobody else's to read.

    The file is replaced as a whole: an interrupted run leaves the former one.
    """
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=prefix, Recursive=True, WithDecryption=True)
    found = [parameter for page in pages for parameter in page["Parameters"]]
    content = json.dumps([{name: p[name] for name in ("Name", "Value", "Type")} for p in found])
    try:
        with tempfile.TemporaryDirectory(dir=STATE) as folder:
            partial = Path(folder) / KEPT.name
            partial.touch(mode=0o600)
            partial.write_text(content)
            partial.replace(KEPT)
    except OSError as error:
        message = f"{KEPT} cannot be written: {error.strerror or error}"
        raise Failure(message) from error
