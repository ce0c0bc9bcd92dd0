"""The deployed stage against its own description: schemathesis makes the requests, well-formed ones and others.

Each run is the same as the one before: cases are derived from the description alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from infra import table
from tests.http.described import DOCUMENT, assert_described
from tests.rehearsal import proxy
from tests.rehearsal.aws import ACCOUNT, REGION
from tests.rehearsal.gateway import Gateway
from tests.rehearsal.stack import ROOT, deployed
from tests.world import engines
from tests.world.client import Reply
from tests.world.constants import ORIGIN, PAGE
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.proxy import Answer, Request
    from tests.rehearsal.stack import RunningStack

STAGE = "prod"
VISITORS = ("nobody", "app", "browser")
# Nothing that is made up is a code that a provider has given, or the state of a login that was begun.
NEEDS_A_PROVIDER = {
    "GET /login/{provider}/callback",
    "POST /login/{provider}/exchange",
    "POST /identities/{provider}",
    "DELETE /identities/{provider}",
}
EXAMPLES = 60  # for each route and visitor, beside those that are derived one by one
LEAST = 200  # requests that each route has to have had which takes anything
SECONDS = 400  # a run that takes longer has gone wrong

# What is well-formed may be refused for reasons that are no schema's (400), or as too many bytes (413): schema_hooks.py
# knows all of them. API Gateway has a 404 for a request without a signature (schema_hooks.py sees to it) and for every
# method that it does not know (Witness does), where the checks look for a 401 and a 405.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "413", "429"]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "413", "415", "429"]
unsupported_method.enabled = false

[[operations]]
include-name = "POST /token/introspect"
checks.ignored_auth.enabled = false
checks.missing_required_header.enabled = false
"""


class Witness:
    """Sees every answer of a gateway: counts it by route and status, and keeps what is wrong with it."""

    def __init__(self, gateway: Gateway) -> None:
        self.answered: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self._answer, self._lock = gateway.answer, threading.Lock()
        gateway.answer = self._witnessed  # type: ignore[method-assign]  # for the test alone

    def _witnessed(self, request: Request) -> Answer:
        answer = self._answer(request)
        path = request.path.removeprefix("/api")
        route = proxy.find_route(DOCUMENT["paths"], path)
        operation = f"{request.method} {route.resource}" if route else "elsewhere"
        with self._lock:
            self.answered[operation, answer.status] += 1
        try:
            _assert_right(request.method, path, Reply(answer.status, answer.headers, answer.body))
        except AssertionError as error:
            with self._lock:
                self.wrong.append(str(error)[:2000])
        return answer


def _assert_right(method: str, path: str, reply: Reply) -> None:
    """As described; and to a method that is not described, API Gateway's 404, which knows no 405."""
    assert reply.status < HTTPStatus.INTERNAL_SERVER_ERROR, reply
    route = proxy.find_route(DOCUMENT["paths"], path)
    if route is not None and method.lower() in DOCUMENT["paths"][route.resource]:
        assert_described(method, path, reply)
    elif method == "OPTIONS" and route is not None:
        assert reply.status == HTTPStatus.NO_CONTENT, reply
    else:
        assert (reply.status, method == "HEAD" or reply.json["code"]) in {(404, True), (404, "not_found")}, reply


@pytest.fixture(scope="module")
def stack(aws: LocalAws) -> Iterator[RunningStack]:
    """A stage with a provider, whose limiters let thousands of requests of one address through.

    Its table is in dynoxide: moto copies all of a table at each transaction, and fails where two come at once.
    """
    tables = engines.start("dynoxide")
    table.ensure(engines.connect(tables), f"keyturn-{STAGE}")
    with StandIn() as provider:
        secret = f"/keyturn/{STAGE}/provider/google"
        settings = {
            "KEYTURN_ALLOWED_ORIGINS": ORIGIN,
            "KEYTURN_RETURN_TO": PAGE,
            "KEYTURN_GOOGLE_CLIENT_ID": provider.client_id,
            "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": secret,
            "KEYTURN_GOOGLE_ISSUER": provider.url,
            "KEYTURN_LOGIN_ATTEMPTS": "1000",
            "KEYTURN_ADDRESS_ATTEMPTS": "100000",
            "KEYTURN_SIGNUP_ATTEMPTS": "100000",
        }
        aws.client("ssm").put_parameter(Name=secret, Value=provider.client_secret, Type="SecureString")
        environment = {"AWS_ENDPOINT_URL_DYNAMODB": tables}
        with deployed(STAGE, aws=aws, settings=settings, environment=environment) as stack:
            yield stack
            stack.destroy(with_table=True)


@pytest.fixture(scope="module")
def witness_and_runs(
    stack: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Witness, dict[str, subprocess.CompletedProcess[str]]]:
    """What the gateway saw, and how it ended for each visitor. They come at once: one alone keeps one core busy."""
    with steady_gateway(stack) as gateway, ThreadPoolExecutor(len(VISITORS)) as pool:
        witness = Witness(gateway)
        works = [tmp_path_factory.mktemp(visitor) for visitor in VISITORS]
        ended = pool.map(run_schemathesis, [gateway.url] * len(VISITORS), VISITORS, works)
        return witness, dict(zip(VISITORS, ended, strict=True))


def steady_gateway(stack: RunningStack) -> Gateway:
    """The stage's gateway, which asks AWS once what it may invoke: thousands of times would be most of the run."""
    api_id = stack.api_id
    document = stack.aws.live_document(api_id, "api")
    return Gateway(
        api_id,
        "api",
        region=REGION,
        account=ACCOUNT,
        document=lambda: document,
        function=cache(stack.function_of),
        may_invoke=cache(stack.aws.may_invoke),
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("visitor", VISITORS)
def test_schemathesis_finds_nothing(
    witness_and_runs: tuple[Witness, dict[str, subprocess.CompletedProcess[str]]], visitor: str
) -> None:
    """What is well-formed is taken, what is not is refused, and no guard lets anybody else through."""
    result = witness_and_runs[1][visitor]
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2000:]


def test_answers_are_as_described(
    witness_and_runs: tuple[Witness, dict[str, subprocess.CompletedProcess[str]]],
) -> None:
    """No request gets a 5xx, or an answer that the description has not."""
    assert not witness_and_runs[0].wrong, "\n".join(witness_and_runs[0].wrong[:10])


def test_every_route_was_tried(
    witness_and_runs: tuple[Witness, dict[str, subprocess.CompletedProcess[str]]],
) -> None:
    """Hundreds of requests to each route that takes anything, and some that succeed to each one."""
    answered = witness_and_runs[0].answered
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            route = f"{method.upper()} {path}"
            counts = {status: count for (name, status), count in answered.items() if name == route}
            if {"requestBody", "parameters"} & set(operation):
                assert sum(counts.values()) >= LEAST, (route, counts)
            if route not in NEEDS_A_PROVIDER:
                assert any(status < HTTPStatus.BAD_REQUEST for status in counts), (route, counts)


def run_schemathesis(url: str, visitor: str, work: Path) -> subprocess.CompletedProcess[str]:
    """All phases, and all checks but what CONFIG says."""
    config = work / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json"]
    command += ["--url", url, "--mode", "all", "--max-examples", str(EXAMPLES), "--workers", "1", "--no-color"]
    command += ["--generation-deterministic", "--continue-on-failure", "--suppress-health-check", "all"]
    command += ["--warnings", "off", "--request-timeout", "30"]
    if visitor != "nobody":  # genuine credentials, then, and none that are made up
        command += ["--generation-with-security-parameters", "false"]
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.rehearsal.schema_hooks",
        "KEYTURN_URL": url,
        "KEYTURN_VISITOR": visitor,
    }
    return subprocess.run(  # noqa: S603  # ours
        command, cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
