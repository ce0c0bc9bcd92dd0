"""Many clients at the same moment, through several processes, against one table."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.crypto.encoding import b64url
from tests.flows.contents import contents, rows
from tests.flows.federated import Federated
from tests.flows.steps import (
    EMAIL,
    WRONG_PASSWORD,
    assert_dead,
    assert_works,
    device_token,
    log_in,
    long_lived,
    refresh,
    sign_up,
)
from tests.flows.tables import a_table
from tests.races.worker import Job
from tests.world import engines
from tests.world.clock import START
from tests.world.constants import CLIENT, PASSWORD
from tests.world.keyturn import Keyturn
from tests.world.parameters import key_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.store.dynamodb import DynamoDBStore

PROCESSES = 5
TIMES = 10  # in each process
CLIENTS = PROCESSES * TIMES


class Workers:
    """Processes that wait for a job, do it at the same moment, and report."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def race(self, store: DynamoDBStore, engine: str, jobs: list[tuple[str, dict[str, Any]]]) -> list[list[str]]:
        """Give the jobs out in turn; every outcome of every process, once all have ended."""
        for number, process in enumerate(self._processes):
            act, arguments = jobs[number % len(jobs)]
            job = Job(engines.start(engine), store._table, key_documents("ES256"), act, arguments, TIMES)
            self._tell(process, json.dumps(asdict(job)))
        assert [self._hear(process) for process in self._processes] == ["ready"] * PROCESSES
        for process in self._processes:
            self._tell(process, "go")
        return [outcome for process in self._processes for outcome in self._hear(process)]

    def _tell(self, process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin
        process.stdin.write(line + "\n")
        process.stdin.flush()

    def _hear(self, process: subprocess.Popen[str]) -> Any:
        assert process.stdout
        return json.loads(process.stdout.readline())


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Started once: each has imported everything by the first race."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.races.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    yield Workers(processes)
    for process in processes:
        process.communicate()  # closes its input, and waits for its end


@pytest.fixture(params=["dynoxide", pytest.param("moto", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine."""
    name: str = request.param
    return name


def test_one_refresh_token_has_one_successor(workers: Workers, engine: str) -> None:
    """All of 50 succeed with the same successor, and the session is one generation further (CVE-2026-1035)."""
    store = a_table(engine)
    keyturn = Keyturn(store)
    first = sign_up(keyturn.services)
    job = {"refresh_token": long_lived(first).refresh_token}
    outcomes = workers.race(store, engine, [("refresh", job)])
    assert [how for how, _ in outcomes] == ["done"] * CLIENTS
    assert len({successor for _, successor in outcomes}) == 1
    session = store.find_session(first.account.sub, first.session_id)
    assert session
    assert session.generation == 1
    presented = keyturn.services.refresh_tokens.decode(outcomes[0][1], "body")
    grant = keyturn.services.refresh(presented, keyturn.audit.events[0][1]["caller"])
    assert_works(keyturn, grant)


def test_one_lost_answer_is_given_late_once(workers: Workers, engine: str) -> None:
    """50 requests of one device that wake at one moment all get one successor, which the key turned to once."""
    store = a_table(engine)
    keyturn = Keyturn(store)
    first = sign_up(keyturn.services)
    refresh(keyturn.services, first)  # this answer never arrived
    job = {"refresh_token": long_lived(first).refresh_token, "device_token": device_token(first)}
    outcomes = workers.race(store, engine, [("come_late", job)])
    assert [how for how, _ in outcomes] == ["done"] * CLIENTS
    assert len({successor for _, successor in outcomes}) == 1
    session = store.find_session(first.account.sub, first.session_id)
    assert session
    assert (session.generation, session.late_base, session.late_at) == (2, 0, (START + 3600,))
    keyturn.clock.advance(3600)
    presented = keyturn.services.refresh_tokens.decode(outcomes[0][1], "body")
    assert_works(keyturn, keyturn.services.refresh(presented, CLIENT))


def test_one_password_change_renews_one_session(workers: Workers, engine: str) -> None:
    """Of 50 changes at one moment, each with the right password, one happens; what it answers with is what works."""
    store = a_table(engine)
    keyturn = Keyturn(store)
    grant = sign_up(keyturn.services)
    job = {"refresh_token": long_lived(grant).refresh_token, "password": PASSWORD}
    outcomes = workers.race(store, engine, [("change", job)])
    hows = [how for how, _ in outcomes]
    assert hows.count("done") == 1
    assert set(hows) <= {"done", "Unavailable", "InvalidGrant", "InvalidCredentials", "InvalidToken", "TooManyRequests"}
    held = contents(store)
    held.assert_whole()
    session = held.sessions[grant.session_id]
    assert (session.generation, session.floor, session.epoch) == (1, 1, 1)
    (renewed,) = (text for how, text in outcomes if how == "done")
    presented = keyturn.services.refresh_tokens.decode(renewed, "body")
    assert_works(keyturn, keyturn.services.refresh(presented, CLIENT))
    assert_dead(keyturn, grant)


def test_one_address_has_one_account(workers: Workers, engine: str) -> None:
    """One of 50 signups makes the account; of the others nothing is left, and each can log in."""
    store = a_table(engine)
    keyturn = Keyturn(store)
    outcomes = workers.race(store, engine, [("register", {"email": EMAIL})])
    hows = [how for how, _ in outcomes]
    assert hows.count("done") == 1
    assert hows.count("EmailTaken") == CLIENTS - 1
    kinds = sorted(row["pk"]["S"].partition("#")[0] for row in rows(store))
    assert [kind for kind in kinds if kind != "limit"] == ["login", "user", "user"]
    held = contents(store)
    held.assert_whole()
    (text,) = (token for how, token in outcomes if how == "done")
    assert keyturn.services.refresh_tokens.decode(text, "body").sid in held.sessions
    assert_works(keyturn, log_in(keyturn.services))


def test_guesses_do_not_outrun_the_limiter(workers: Workers, engine: str) -> None:
    """Of 50 guesses at one moment, by login and by password change, as many reach the hash as the first tier has."""
    store = a_table(engine)
    grant = sign_up(Keyturn(store).services)
    by_change = {"refresh_token": long_lived(grant).refresh_token, "password": WRONG_PASSWORD}
    jobs = [("guess", {"email": EMAIL, "password": WRONG_PASSWORD}), ("guess_by_change", by_change)]
    outcomes = [how for how, _ in workers.race(store, engine, jobs)]
    free = Keyturn(store).services.log_in.attempts.by_account.quota
    assert 0 < outcomes.count("InvalidCredentials") <= free
    assert outcomes.count("TooManyRequests") == CLIENTS - outcomes.count("InvalidCredentials")
    assert PASSWORD not in str(outcomes)


def test_guesses_do_not_outrun_a_devices_limiter(workers: Workers, engine: str) -> None:
    """Of 50 guesses at one moment with one device token as many reach the hash, and strangers can still try."""
    store = a_table(engine)
    keyturn = Keyturn(store)
    token = device_token(sign_up(keyturn.services))
    outcomes = workers.race(
        store, engine, [("guess", {"email": EMAIL, "password": WRONG_PASSWORD, "device_token": token})]
    )
    hows = [how for how, _ in outcomes]
    assert 0 < hows.count("InvalidCredentials") <= keyturn.services.log_in.attempts.by_device.quota
    assert hows.count("TooManyRequests") == CLIENTS - hows.count("InvalidCredentials")
    assert_works(keyturn, log_in(keyturn.services))


def test_one_state_begins_one_session(workers: Workers, engine: str) -> None:
    """Of 50 callbacks with one state in one browser, each with a good code, one logs in (better-auth #8067)."""
    store = a_table(engine)
    federated = Federated.over(store)
    browser = federated.browser()
    url = browser.begin()
    assert browser.secret
    outcomes = workers.race(store, engine, [("come_back", {"url": url, "secret": b64url(browser.secret)})])
    hows = [how for how, _ in outcomes]
    assert hows.count("done") == 1
    assert hows.count("LoginExpired") == CLIENTS - 1
    held = contents(store)
    held.assert_whole()
    assert len(held.sessions) == len(held.accounts) == 1
    (session,) = held.sessions.values()
    assert session.user_agent in {f"worker, thread {number}" for number in range(TIMES)}


def test_first_arrivals_make_one_account(workers: Workers, engine: str) -> None:
    """50 at one moment, of one identity: one account, of which every one of them gets a session."""
    store = a_table(engine)
    keyturn = Keyturn(store)
    outcomes = workers.race(store, engine, [("arrive", {})])
    assert [how for how, _ in outcomes] == ["done"] * CLIENTS
    held = contents(store)
    held.assert_whole()
    (login,) = held.logins.values()
    assert len(login.identities) == 1
    sids = {keyturn.services.refresh_tokens.decode(text, "body").sid for _, text in outcomes}
    assert sids == set(held.sessions)
    assert len(sids) == CLIENTS
