"""What is measured: every operation of the cost contract, as the events that API Gateway sends.

Logins at a provider are in federated.py, the universal authorizer is in guarded.py.
"""

from __future__ import annotations

import ipaddress
import json
import random
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tests.rehearsal import proxy
from tests.world.constants import ORIGIN, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Sequence

Event = dict[str, Any]
Function = Literal["api_handler", "authorize", "guard"]

NEW_PASSWORD = "fresh horse battery staple"
LOGIN_ATTEMPTS = 5  # the least that the setting takes, so that the limiter is met soon
PAGE = ("Origin", ORIGIN)
REMOVED = 10  # sessions beyond the bound, of the account that LOOKING logs in to
BENCHMARK_NETWORK = ipaddress.ip_network("198.18.0.0/15")  # RFC 2544


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the cost contract: how many sequential waits and units it may cost, and what the function answers.

    `status` is the HTTP status; an authorizer's is 200 where it lets through and 401 where it does not.
    """

    name: str
    function: Function
    status: int
    round_trips: int
    read_units: int
    write_units: int
    hashes: int = 0
    looks: bool = False  # for sessions beyond the bound, as one login in sixteen does


SIGNUP = Operation("signup", "api_handler", 201, 2, 0, 7, hashes=1)
# A login of a stranger's device counts it beside the session's write.
LOGIN = Operation("login from a new device", "api_handler", 200, 3, 1, 4, hashes=1)
KNOWN_DEVICE = Operation("login from a known device", "api_handler", 200, 3, 1, 2, hashes=1)
CARRYING = Operation("login that carries a session", "api_handler", 200, 5, 3, 6, hashes=1)
LOOKING = Operation("login, one in sixteen", "api_handler", 200, 4, 13, 2 + REMOVED, hashes=1, looks=True)
LIMITED = Operation("login, refused by the limiter", "api_handler", 429, 1, 0, 2)
REMEMBERED = Operation("login, refused from memory", "api_handler", 429, 0, 0, 0)
REFRESH = Operation("refresh", "api_handler", 200, 2, 1, 1)
RACE = Operation("refresh that loses a race", "api_handler", 200, 2, 1, 1)
AGAIN = Operation("refresh again inside the window", "api_handler", 200, 2, 1, 1)
LATE = Operation("refresh, answered late", "api_handler", 200, 3, 1, 2)
THIEF = Operation("refresh by a thief", "api_handler", 401, 4, 1, 3)
FORGED_REFRESH = Operation("refresh with a forged token", "api_handler", 401, 0, 0, 0)
AUTHORIZE = Operation("authorize", "authorize", 200, 1, 1, 0)
FORGED_ACCESS = Operation("authorize a forged token", "authorize", 401, 0, 0, 0)
GUARD_BEARER = Operation("guard: bearer token", "guard", 200, 1, 1, 0)
GUARD_COOKIE = Operation("guard: session cookie", "guard", 200, 1, 2, 0)
GUARD_FORGED_COOKIE = Operation("guard: forged cookie", "guard", 401, 0, 0, 0)
LOGOUT = Operation("logout", "api_handler", 204, 3, 2, 2)
DEAD_LOGOUT = Operation("logout with a dead token", "api_handler", 204, 1, 2, 0)
EVERYWHERE = Operation("logout everywhere", "api_handler", 204, 2, 1, 6)
PASSWORD_CHANGE = Operation("password change", "api_handler", 200, 3, 3, 9, hashes=2)
SESSIONS = Operation("list of sessions, a page", "api_handler", 200, 1, 8, 0)

BEGIN = Operation("login at a provider: begin", "api_handler", 303, 1, 0, 2)
# One of the three reads is the identity once more, beside the write of the session:
# services/federation/log_in.py says why. The device is a stranger's, and counted there too.
CALLBACK = Operation("login at a provider: callback", "api_handler", 303, 4, 3, 3)
EXCHANGE = Operation("code exchange", "api_handler", 200, 4, 3, 3)
FORGED_STATE = Operation("callback with a forged state", "api_handler", 400, 0, 0, 0)

OPERATIONS = (
    SIGNUP,
    LOGIN,
    KNOWN_DEVICE,
    CARRYING,
    LOOKING,
    LIMITED,
    REMEMBERED,
    REFRESH,
    RACE,
    AGAIN,
    LATE,
    THIEF,
    FORGED_REFRESH,
    AUTHORIZE,
    FORGED_ACCESS,
    GUARD_BEARER,
    GUARD_COOKIE,
    GUARD_FORGED_COOKIE,
    LOGOUT,
    DEAD_LOGOUT,
    EVERYWHERE,
    PASSWORD_CHANGE,
    SESSIONS,
    BEGIN,
    CALLBACK,
    EXCHANGE,
    FORGED_STATE,
)


class Stage(Protocol):
    """All functions, running somewhere."""

    def call(self, function: Function, event: Event) -> Event:
        """Run one event outside any measurement: the result, or `{"errorMessage": …}`."""

    def measure(self, operation: Operation, events: Sequence[Event]) -> list[Event]:
        """Run the events one after another as calls of this operation, and keep what they cost."""

    def age(self, grant: Event, seconds: int) -> None:
        """Have the last turn of the grant's session lie that much further back."""


def play(stage: Stage, people: int) -> None:
    """Go through every operation, `people` times each. AssertionError where a function does not answer as it should."""
    crowd = [User() for _ in range(people)]
    signed_up = measure(stage, SIGNUP, [person.post("/signup", person.credentials) for person in crowd])
    logged_in = measure(stage, LOGIN, [person.post("/login", person.credentials) for person in crowd])

    devices = [grant["device_token"] for grant in signed_up]
    known = [
        person.post("/login", {**person.credentials, "device_token": token})
        for person, token in zip(crowd, devices, strict=True)
    ]
    measure(stage, KNOWN_DEVICE, known)

    measure(stage, AUTHORIZE, [token_event(grant["access_token"]) for grant in logged_in])
    measure(stage, FORGED_ACCESS, [token_event(forged(grant["access_token"])) for grant in logged_in])

    first = [refresh_event(grant["refresh_token"]) for grant in logged_in]
    refreshed = measure(stage, REFRESH, first)
    raced = measure(stage, RACE, first)
    again = measure(stage, AGAIN, [refresh_event(grant["refresh_token"]) for grant in refreshed])
    for grants in (raced, again):
        assert [grant["refresh_token"] for grant in grants] == [grant["refresh_token"] for grant in refreshed]
    # The answers to `first` were lost, as far as the clients know that come an hour later.
    for grant in logged_in:
        stage.age(grant, 3600)
    late = [
        refresh_event(grant["refresh_token"], device_token=grant["device_token"])
        for grant in logged_in
        if "device_token" in grant
    ]
    measure(stage, LATE, late)
    for grant in logged_in:
        stage.age(grant, 3600)
    # Whoever comes with the token between them has nobody's device.
    measure(stage, THIEF, [refresh_event(grant["refresh_token"]) for grant in refreshed])
    measure(stage, FORGED_REFRESH, [refresh_event(forged(grant["refresh_token"])) for grant in refreshed])

    tokens = [grant["refresh_token"] for grant in signed_up]
    log_outs = [api_event("POST", "/logout", {"refresh_token": token}) for token in tokens]
    measure(stage, LOGOUT, log_outs)
    measure(stage, DEAD_LOGOUT, log_outs)
    _measure_carrying(stage, crowd)

    grants = [body_of(stage.call("api_handler", person.post("/login", person.credentials))) for person in crowd]
    contexts = [stage.call("authorize", token_event(grant["access_token"]))["context"] for grant in grants]
    measure(stage, SESSIONS, [api_event("GET", "/sessions", principal=context) for context in contexts])
    passwords = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    changes = [
        api_event(
            "POST",
            "/password/change",
            {**passwords, "refresh_token": grant["refresh_token"]},
            principal=context,
            bearer=grant["access_token"],
        )
        for grant, context in zip(grants, contexts, strict=True)
    ]
    measure(stage, PASSWORD_CHANGE, changes)
    measure(stage, EVERYWHERE, [api_event("POST", "/logout/all", principal=context) for context in contexts])

    _measure_limiter(stage, people)


def _measure_carrying(stage: Stage, crowd: Sequence[User]) -> None:
    """Log in in a browser whose cookie is of a living session."""
    carrying = []
    for person in crowd:
        members = {"email": person.credentials["email"], "password": PASSWORD}
        login = partial(api_event, "POST", "/login", members, source_ip=person.source_ip)
        answer = stage.call("api_handler", login(more=[PAGE]))
        assert answer["statusCode"] == 200, answer
        cookie = answer["multiValueHeaders"]["Set-Cookie"][0].partition(";")[0]
        carrying.append(login(cookie=cookie, more=[PAGE, ("X-CSRF-Token", body_of(answer)["csrf_token"])]))
    measure(stage, CARRYING, carrying)


def sign_up(stage: Stage) -> Event:
    """Make an account outside any measurement; return its token response."""
    person = User()
    grant: Event = body_of(stage.call("api_handler", person.post("/signup", person.credentials)))
    return grant


def api_event(
    method: str,
    path: str,
    members: Event | None = None,
    *,
    principal: Event | None = None,
    source_ip: str = "198.18.0.1",
    query: str = "",
    cookie: str | None = None,
    bearer: str | None = None,
    provider: str | None = None,
    more: Sequence[tuple[str, str]] = (),
) -> Event:
    """The proxy event of a request with these members as JSON, and more headers than every request has.

    `provider` is the part of the path that names one.
    """
    body = b"" if members is None else json.dumps(members).encode()
    headers = [
        ("Accept", "*/*"),
        ("Content-Type", "application/json"),
        ("Host", "abc123.execute-api.eu-central-1.amazonaws.com"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("X-Amzn-Trace-Id", "Root=1-00000000-000000000000000000000000"),
        ("X-Forwarded-For", source_ip),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
        *([] if cookie is None else [("Cookie", cookie)]),
        *([] if bearer is None else [("Authorization", f"Bearer {bearer}")]),
        *more,
    ]
    route = proxy.Route(path, {})
    if provider is not None:
        route = proxy.Route(path.replace(f"/{provider}", "/{provider}"), {"provider": provider})
    return proxy.event(
        proxy.Request(method, path, query, headers, body, source_ip),
        route,
        api_id="abc123",
        stage="api",
        account="123456789012",
        domain="abc123.execute-api.eu-central-1.amazonaws.com",
        binary_types=(),
        authorizer=principal,
    )


def refresh_event(refresh_token: str, **members: str) -> Event:
    """The event of POST /refresh, transport `body`."""
    return api_event("POST", "/refresh", {"refresh_token": refresh_token, **members})


def token_event(access_token: str) -> Event:
    """The event of a token authorizer."""
    arn = "arn:aws:execute-api:eu-central-1:123456789012:abc123/api/GET/me"
    return {"type": "TOKEN", "authorizationToken": f"Bearer {access_token}", "methodArn": arn}


class User:
    """A user with an address of their own, so that no limiter sees a crowd."""

    def __init__(self) -> None:
        self.source_ip = str(BENCHMARK_NETWORK[random.randrange(BENCHMARK_NETWORK.num_addresses)])  # noqa: S311 - no secret
        self.credentials = {"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD, "transport": "body"}

    def post(self, path: str, members: Event) -> Event:
        """The event of a POST of theirs."""
        return api_event("POST", path, members, source_ip=self.source_ip)


def _measure_limiter(stage: Stage, times: int) -> None:
    """Guess at accounts until the limiter answers, then measure its answers: the table's, and those from memory."""
    crowd = [User() for _ in range(times)]
    guesses = [
        person.post("/login", {**person.credentials, "password": "wrong horse battery staple"}) for person in crowd
    ]
    for guess in guesses:
        for _ in range(LOGIN_ATTEMPTS):
            assert stage.call("api_handler", guess)["statusCode"] == 401
    measure(stage, LIMITED, guesses)
    measure(stage, REMEMBERED, guesses)


def measure(stage: Stage, operation: Operation, events: Sequence[Event]) -> list[Any]:
    """As `answers`, but of the API's answers the bodies alone."""
    found = answers(stage, operation, events)
    return [body_of(answer) for answer in found] if operation.function == "api_handler" else list(found)


def answers(stage: Stage, operation: Operation, events: Sequence[Event]) -> list[Event]:
    """Measure calls; return their answers. AssertionError where one is not as it should be."""
    found = stage.measure(operation, events)
    if operation.function != "api_handler":
        expected = "policyDocument" if operation.status == 200 else "errorMessage"
        assert all(expected in answer for answer in found), (operation.name, found)
    else:
        assert all(answer["statusCode"] == operation.status for answer in found), (operation.name, found)
    return found


def body_of(answer: Event) -> Any:
    """An answer's body, parsed; None where it has none."""
    return json.loads(answer["body"]) if answer["body"] else None


def forged(token: str) -> str:
    """The token with one character of its MAC or signature changed."""
    place = len(token) - 5
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
