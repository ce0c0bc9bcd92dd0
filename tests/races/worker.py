"""One container in a process of its own, doing one job many times at once when it is told to.

Reads a job as a line of JSON and answers `ready` when everything is in place; at the next line it starts, and answers
with one outcome for each time, as a line of JSON. It ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import TYPE_CHECKING, Any

from chalicelib import deadline
from chalicelib.crypto.login_states import parse_browser_secret
from chalicelib.domain.callers import Caller, Principal
from chalicelib.errors import AuthError, LoginExpired, Unavailable
from chalicelib.services.federation.log_in import SessionRequest
from chalicelib.store.dynamodb import DynamoDBStore
from tests.flows.federated import BrowserFlow, code_for, granted
from tests.flows.steps import NEW_PASSWORD, log_in, long_lived, sign_up
from tests.world import engines
from tests.world.clock import START, FrozenClock
from tests.world.keyturn import Keyturn
from tests.world.parameters import MemoryParameters
from tests.world.provider import FakeProvider

if TYPE_CHECKING:
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant

READ_SECONDS = 20  # what a busy machine takes for 50 requests is not what is tested
TRIES = 5  # of a client that is told 503, which a busy machine may say


@dataclass(frozen=True)
class Job:
    """What to do and where: `endpoint` and `table`, the keys of the stage, and the act with its arguments."""

    endpoint: str
    table: str
    parameters: dict[str, str]
    act: str
    arguments: dict[str, Any]
    times: int


def refresh(services: Services, number: int, refresh_token: str) -> Grant:
    """Present the token, each time from another address."""
    presented = services.refresh_tokens.decode(refresh_token, "body")
    return services.refresh(presented, _client(number))


def register(services: Services, number: int, email: str) -> Grant:
    """Sign up with the address."""
    return sign_up(services, email=email, client=_client(number))


def guess(services: Services, number: int, email: str, password: str, device_token: str | None = None) -> Grant:
    """Guess the password by logging in, as a stranger or from a known device."""
    return log_in(services, password, email=email, device_token=device_token, client=_client(number))


def guess_by_change(services: Services, number: int, refresh_token: str, password: str) -> Grant:
    """Guess the password by changing it, with everything that a client holds stolen."""
    presented = services.refresh_tokens.decode(refresh_token, "body")
    principal = Principal(presented.sub, presented.sid, ("user",), "", email_verified=False, auth_time=0)
    return services.change_password(principal, password, NEW_PASSWORD, presented, _client(number))


def change(services: Services, number: int, refresh_token: str, password: str) -> Grant:
    """Change the password, knowing it, each time to another one."""
    presented = services.refresh_tokens.decode(refresh_token, "body")
    principal = Principal(presented.sub, presented.sid, ("user",), "", email_verified=False, auth_time=0)
    new = f"{NEW_PASSWORD} of thread {number}"
    return services.change_password(principal, password, new, presented, _client(number))


def come_late(services: Services, number: int, refresh_token: str, device_token: str) -> Grant:
    """Present a token whose answer was lost an hour ago, as the session's own device does."""
    clock = services.clock
    assert isinstance(clock, FrozenClock)
    clock.time = START + 3600
    presented = services.refresh_tokens.decode(refresh_token, "body")
    return services.refresh(presented, _client(number), device_token)


def come_back(services: Services, number: int, url: str, secret: str) -> Grant:
    """Finish the login that a browser has begun, each time with a code of its own that would do."""
    provider = services.providers.connected["google"]
    assert isinstance(provider, FakeProvider)
    browser = BrowserFlow(services, _client(number), parse_browser_secret(secret))
    returned = browser.come_back(provider.approve(url))
    if returned.error == LoginExpired.code:
        raise LoginExpired
    return granted(returned)


def arrive(services: Services, number: int) -> Grant:
    """Log in with an identity that nobody knows yet."""
    provider = services.providers.connected["google"]
    assert isinstance(provider, FakeProvider)
    visit = SessionRequest(transport="body", caller=_client(number))
    return services.exchange_code("google", code_for(provider), visit)


ACTS = {act.__name__: act for act in (refresh, register, guess, guess_by_change, change, come_late, come_back, arrive)}


def run(job: Job) -> None:
    """Get ready, wait for the word, and report."""
    deadline.READ_SECONDS = READ_SECONDS
    parameters = MemoryParameters()
    parameters.values |= job.parameters
    store = DynamoDBStore(engines.connect(job.endpoint), job.table)
    services = Keyturn(store, parameters=parameters, providers={"google": FakeProvider()}).services
    services.keys.session_secret()
    services.keys.signing_key()
    start = Barrier(job.times)

    def once(number: int) -> list[str]:
        start.wait()
        return _outcome(job, services, number)

    with ThreadPoolExecutor(job.times) as threads:
        _say("ready")
        sys.stdin.readline()
        _say(list(threads.map(once, range(job.times))))


def _outcome(job: Job, services: Services, number: int) -> list[str]:
    for _ in range(TRIES):
        try:
            grant: Grant = ACTS[job.act](services, number, **job.arguments)
        except Unavailable as unavailable:
            time.sleep(unavailable.retry_after / 10)
        except AuthError as refusal:
            return [type(refusal).__name__, ""]
        else:
            return ["done", long_lived(grant).refresh_token]
    return [Unavailable.__name__, ""]


def _client(number: int) -> Caller:
    return Caller(f"198.51.100.{number}", f"worker, thread {number}")


def _say(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for line in sys.stdin:
        run(Job(**json.loads(line)))
