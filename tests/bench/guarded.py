"""What is measured of the universal authorizer: bearer token and session cookie, in REQUEST events of a REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.script import (
    GUARD_BEARER,
    GUARD_COOKIE,
    GUARD_FORGED_COOKIE,
    User,
    answers,
    api_event,
    body_of,
    forged,
)
from tests.world.constants import ORIGIN

if TYPE_CHECKING:
    from tests.bench.script import Event, Stage

ARN = "arn:aws:execute-api:eu-central-1:123456789012:abc123/api/GET/me"
COOKIE = "__Host-session"


def play(stage: Stage, people: int) -> None:
    """Log everybody in with either credential, and measure what asking for each costs."""
    crowd = [User() for _ in range(people)]
    grants = [body_of(stage.call("api_handler", person.post("/signup", person.credentials))) for person in crowd]
    cookies = [session_cookie(stage, person) for person in crowd]
    answers(stage, GUARD_BEARER, [bearer_event(grant["access_token"]) for grant in grants])
    answers(stage, GUARD_COOKIE, [cookie_event(cookie) for cookie in cookies])
    answers(stage, GUARD_FORGED_COOKIE, [cookie_event(forged(cookie)) for cookie in cookies])


def sign_up(stage: Stage) -> str:
    """Make an account outside any measurement; return a session cookie of it."""
    person = User()
    assert stage.call("api_handler", person.post("/signup", person.credentials))["statusCode"] == 201
    return session_cookie(stage, person)


def session_cookie(stage: Stage, person: User) -> str:
    """Begin a session of the transport `session`, outside any measurement; return the cookie's value."""
    event = person.post("/login", {**person.credentials, "transport": "session"})
    answer = stage.call("api_handler", _with_header(event, "Origin", ORIGIN))
    assert answer["statusCode"] == 200, answer
    cookie = answer["multiValueHeaders"]["Set-Cookie"][0]  # beside it is the device's
    name, _, value = cookie.partition(";")[0].partition("=")
    assert name == COOKIE, name
    return str(value)


def bearer_event(access_token: str) -> Event:
    """The event of a REQUEST authorizer, of a request with a bearer token."""
    return _request_event(_with_header(api_event("GET", "/me"), "Authorization", f"Bearer {access_token}"))


def cookie_event(cookie: str) -> Event:
    """The event of a REQUEST authorizer, of a request with a session cookie."""
    return _request_event(api_event("GET", "/me", cookie=f"{COOKIE}={cookie}"))


def _request_event(event: Event) -> Event:
    """What an authorizer sees of a proxy event: all but the body."""
    seen = {name: value for name, value in event.items() if name not in {"body", "isBase64Encoded"}}
    return {"type": "REQUEST", "methodArn": ARN, **seen}


def _with_header(event: Event, name: str, value: str) -> Event:
    return {
        **event,
        "headers": {**event["headers"], name: value},
        "multiValueHeaders": {**event["multiValueHeaders"], name: [value]},
    }
