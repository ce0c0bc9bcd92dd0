"""`make bench`: what each operation costs, beside what it may cost, and what a cold start costs, beside a plain one.

Exit code 1 where the cost contract is exceeded, a login at a provider costs more than one with a password and two
writes, or a cold start's CPU is not under half of the plain package's.
How it measures, and what came of it: docs/performance.md.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NoReturn
from unittest import mock

import boto3

from chalicelib.services.sessions.begin import MOST_SESSIONS
from infra import keys, table
from infra.failure import Failure
from infra.local import dynoxide
from tests.bench import attacks, federated, guarded, report
from tests.bench.costs import MeteredStage
from tests.bench.deployed import HANDLERS, ColdStart, Runner, WarmStage, cold_start
from tests.bench.packages import build_ours, build_plain
from tests.bench.script import (
    LOGIN_ATTEMPTS,
    LOOKING,
    REMOVED,
    User,
    api_event,
    body_of,
    measure,
    play,
    refresh_event,
    sign_up,
    token_event,
)
from tests.rehearsal.aws import LocalAws
from tests.rehearsal.runtime import runtime_client
from tests.world.constants import ORIGIN, PAGE
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.bench.packages import Unpacked
    from tests.bench.script import Event, Operation, Stage
    from tests.bench.sessions import Table

    Script = Callable[[Stage, int], None]

ROUNDS = 7
PEOPLE = 10
COLD_STARTS = 15
LONGEST = 290  # seconds that all of it may take
TABLE = "keyturn-bench"
ALGORITHM = "RS256"
PARAMETERS = "/keyturn/bench"
CLIENT_SECRET = f"{PARAMETERS}/provider/{federated.NAME}"

# The issuer is on this machine because Config takes the hash that costs nothing there alone.
SETTINGS = {
    "KEYTURN_TABLE": TABLE,
    "KEYTURN_PARAMETERS": PARAMETERS,
    "KEYTURN_ISSUER": "http://localhost:8000",
    "KEYTURN_AUDIENCE": "keyturn-bench",
    "KEYTURN_ALLOWED_ORIGINS": ORIGIN,
    "KEYTURN_RETURN_TO": PAGE,
    "KEYTURN_LOGIN_ATTEMPTS": str(LOGIN_ATTEMPTS),
    "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": CLIENT_SECRET,
}
CHEAP_HASH = {"KEYTURN_ARGON2_PROFILE": "testing"}
DEFAULT_HASH = {"KEYTURN_ARGON2_PROFILE": "default"}


def main() -> int:
    """Measure, print, judge."""
    # Ended from outside or too slow, it takes down what it has started.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGALRM, _end)
    signal.alarm(LONGEST)
    with ExitStack() as exits:
        work = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="keyturn-bench-")))
        _say("building both packages")
        try:
            ours, plain = build_ours(work), build_plain(work)
        except Failure as error:
            sys.exit(f"bench: {error}")
        aws = exits.enter_context(LocalAws())
        variables = {**aws.environment, "AWS_ENDPOINT_URL_DYNAMODB": exits.enter_context(dynoxide.serve())}
        provider = exits.enter_context(StandIn(says_auth_time=False))
        settings = {
            **SETTINGS,
            "KEYTURN_GOOGLE_ISSUER": provider.url,
            "KEYTURN_GOOGLE_CLIENT_ID": provider.client_id,
        }
        with mock.patch.dict(os.environ, {**variables, **settings, **CHEAP_HASH}):
            _say("counting round trips and units")
            ssm = boto3.client("ssm")
            table.ensure(boto3.client("dynamodb"), TABLE)
            keys.ensure(ssm, PARAMETERS, ALGORITHM, int(time.time()))
            ssm.put_parameter(Name=CLIENT_SECRET, Value=provider.client_secret, Type="SecureString")
            metered = MeteredStage()
            _play(metered, 2, provider=provider)
            _look(metered)
            grant = sign_up(metered)
            cookie = guarded.sign_up(metered)
        (work / "client").mkdir()
        runner = Runner(runtime_client(work / "client"), variables, work / "functions.log")
        _say("measuring the CPU of calls")
        everything = partial(_play, provider=provider)
        # A login at a provider makes no hash.
        scripts: list[tuple[Mapping[str, str], Script]] = [(CHEAP_HASH, everything), (DEFAULT_HASH, play)]
        cpu, cpu_with_argon2 = (
            _cpu(runner, ours, {**settings, **profile}, script, metered.table) for profile, script in scripts
        )
        _say("measuring cold starts")
        starts = _cold_starts(runner, ours, plain, (grant, cookie), settings)
    _say("attacking")
    attacks.report(attacks.AS_FAST_AS_POSSIBLE, attacks.SHARED_AS_FAST_AS_POSSIBLE)
    contract_holds = report.operations(metered.costs, cpu, cpu_with_argon2)
    login_is_cheap = report.login_at_a_provider(metered.costs)
    starts_are_short = report.cold_starts(
        starts, {name: plain.size if name == report.PLAIN else ours.size for name in starts}
    )
    return 0 if contract_holds and login_is_cheap and starts_are_short else 1


def _play(stage: Stage, people: int, *, provider: StandIn) -> None:
    play(stage, people)
    guarded.play(stage, people)
    federated.play(stage, people, provider)


def _look(stage: MeteredStage) -> None:
    """One login in sixteen, of an account that has more sessions than it may."""
    person = User()
    grant = body_of(stage.call("api_handler", person.post("/signup", person.credentials)))
    stage.table.add_sessions(grant["user"]["sub"], MOST_SESSIONS - 2 + REMOVED)
    members = {**person.credentials, "device_token": grant["device_token"]}
    measure(stage, LOOKING, [person.post("/login", members)])


def _cpu(
    runner: Runner, ours: Unpacked, settings: Mapping[str, str], script: Script, sessions: Table
) -> dict[Operation, float]:
    """Milliseconds a call, by operation: the median of the rounds after one that warms up."""
    with closing(WarmStage(runner, ours.task_root, settings, sessions)) as stage:
        script(stage, PEOPLE)
        stage.cpu.clear()
        for _ in range(ROUNDS):
            script(stage, PEOPLE)
        return {operation: median(batches) for operation, batches in stage.cpu.items()}


def _cold_starts(
    runner: Runner, ours: Unpacked, plain: Unpacked, credentials: tuple[Event, str], settings: Mapping[str, str]
) -> dict[str, list[ColdStart]]:
    """Cold starts of each in turn, so that what else the machine does falls on all; the first of each only warms up."""
    starts: dict[str, list[ColdStart]] = {report.PLAIN: [], "api_handler": [], "authorize": [], "guard": []}
    grant, cookie = credentials
    refresh_token = grant["refresh_token"]
    for _ in range(1 + COLD_STARTS):
        process = runner.start(plain.task_root, "app.app", {"PLAIN_TABLE": TABLE})
        start, answer = cold_start(process, api_event("GET", "/"))
        assert answer["statusCode"] == 200, answer
        starts[report.PLAIN].append(start)

        process = runner.start(ours.task_root, HANDLERS["api_handler"], settings)
        start, answer = cold_start(process, refresh_event(refresh_token))
        assert answer["statusCode"] == 200, answer
        refresh_token = json.loads(answer["body"])["refresh_token"]
        starts["api_handler"].append(start)

        events = {"authorize": token_event(grant["access_token"]), "guard": guarded.cookie_event(cookie)}
        for name, event in events.items():
            process = runner.start(ours.task_root, f"chalicelib.authorizers.{name}", settings)
            start, answer = cold_start(process, event)
            assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow", answer
            starts[name].append(start)
    return {name: kept for name, (_, *kept) in starts.items()}


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(f"bench: ended by {signal.Signals(number).name}")


def _say(what: str) -> None:
    sys.stderr.write(f"{what} …\n")


if __name__ == "__main__":
    sys.exit(main())
