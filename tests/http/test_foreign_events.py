"""Functions that are invoked with events that are not their own, and with pings: nothing is raised."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.functions import chronicle
from chalicelib.web.boundary import FRAMEWORK, SECURITY_HEADERS
from infra.local.events import delivery
from tests.http.hostile import Route
from tests.http.server import API, AUTHORIZE, GUARD, NO_PROVIDER, Server
from tests.http.test_hostile_events import an_event
from tests.unit.guarded import KINDS, sample
from tests.world.invocations import ALB, PAYLOAD_2, SCHEDULE, SNS, SQS, WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Callable

CHRONICLE = "chronicle"
HEALTH = Route("GET", "/health", guarded=False, signed=False)
OTHER_API = an_event(HEALTH, context={"resourcePath": "/{proxy+}"})
WITHOUT_METHOD = {**an_event(HEALTH), "requestContext": {"resourcePath": "/health"}}
WITHOUT_PARAMETER = {
    **an_event(Route("GET", "/login/{provider}", guarded=False, signed=False)),
    "pathParameters": None,
}
SPOILT = [
    {name: value for name, value in an_event(HEALTH).items() if name != missing}
    for missing in ("headers", "multiValueQueryStringParameters", "pathParameters", "stageVariables", "body")
]
MISTYPED = [{**an_event(HEALTH), name: [1]} for name in ("headers", "multiValueHeaders", "body", "requestContext")]
NOBODYS: list[tuple[str, Any]] = [
    ("an empty event", {}),
    ("a value of the type NoneType", None),
    ("a value of the type list", []),
    ("a value of the type str", "warmup"),
    ("an event of 'aws.events'", SCHEDULE),
    ("records of 'aws:sns'", SNS),
    ("records of 'aws:sqs'", SQS),
    ("a load balancer's", ALB),
    ("payload format 2.0", PAYLOAD_2),
    ("a WebSocket API's", WEBSOCKET),
    ("an event with the members 'key1', 'key2'", {"key1": "secret", "key2": "secret"}),
    ("an event with the members 'warmup'", {"warmup": "true"}),
    ("an event with the members 'warmup', 'x'", {"warmup": True, "x": 1}),
    ("'\\ud800\\n'", {"\ud800\n": 1}),
]
OF_AN_API: list[tuple[str, Any]] = [
    ("for the resource '/health'", an_event(HEALTH)),
    ("for the resource '/{proxy+}'", OTHER_API),
]
QUESTIONS: list[tuple[str, Any]] = [("an authorizer's question", sample(kind)) for kind in KINDS]
DELIVERY: list[tuple[str, Any]] = [("an event with the members 'awslogs'", delivery([]))]
OTHERS = {
    API: [
        *NOBODYS,
        *QUESTIONS,
        *DELIVERY,
        OF_AN_API[1],
        *(("for the resource", event) for event in (WITHOUT_METHOD, WITHOUT_PARAMETER, *SPOILT)),
        *(("", event) for event in MISTYPED),
    ],
    AUTHORIZE: [
        *NOBODYS,
        *QUESTIONS[1:],
        *DELIVERY,
        *OF_AN_API,
        ("of the type 'JWT'", {**QUESTIONS[0][1], "type": "JWT"}),
    ],
    GUARD: [*NOBODYS, *DELIVERY, *OF_AN_API],
    CHRONICLE: [*NOBODYS, *QUESTIONS, *OF_AN_API],
}
CASES = [(function, words, event) for function, others in OTHERS.items() for words, event in others]
PING = {"warmup": True}


def invoked(server: Server, name: str) -> Callable[[Any], Any]:
    """How to invoke the function, to its result: an error would fail the test."""
    if name == CHRONICLE:
        return lambda event: chronicle.keep(event, None)

    def invoke(event: Any) -> Any:
        outcome = server.function(name).invoke(event)
        assert outcome.error is None
        return outcome.result

    return invoke


@pytest.mark.parametrize(("name", "words", "event"), CASES, ids=[f"{name}: {words}" for name, words, _ in CASES])
def test_event_that_is_not_its_own(
    server: Server, capsys: pytest.CaptureFixture[str], name: str, words: str, event: Any
) -> None:
    """One clear error that names what came, in the answer and in one line of the log; no trace, and no verdict."""
    answer = invoked(server, name)(event)
    (line,) = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert (logged["event"], logged["outcome"]) == ("foreign_event", "error")
    assert words in logged["why"]
    assert "secret" not in logged["why"]
    if name == API:
        problem = json.loads(answer["body"])
        assert (answer["statusCode"], problem["code"], problem["detail"]) == (500, FRAMEWORK[500][0], logged["why"])
        assert answer["headers"].items() >= SECURITY_HEADERS.items()
    else:
        assert answer == {"errorType": "ForeignEvent", "errorMessage": logged["why"]}


@pytest.mark.parametrize("name", OTHERS)
def test_ping(server: Server, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A ping makes the container ready, is answered with nothing and writes nothing."""
    with server.cold() as containers:
        for _ in range(2):
            assert invoked(server, name)(PING) == {}
        made = {
            API: containers.services,
            AUTHORIZE: containers.authorization,
            GUARD: containers.guarding,
            CHRONICLE: containers.table,
        }
        ready = {function: made[function].cache_info().currsize for function in made}  # type: ignore[attr-defined]  # of lru_cache
    assert ready == {function: int(function == name) for function in made}
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(
    "environment",
    [
        {"KEYTURN_REFRESH_IDLE_TTL": "soon"},
        {"KEYTURN_PARAMETERS": "/keyturn/none", **NO_PROVIDER},
        {"AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9"},
    ],
    ids=["settings", "keys", "parameter store"],
)
def test_ping_of_a_broken_stage(
    server: Server, capsys: pytest.CaptureFixture[str], name: str, environment: dict[str, str]
) -> None:
    """Whatever cannot be read is for the next request to tell."""
    with server.cold(environment):
        assert invoked(server, name)(PING) == {}
    assert capsys.readouterr().out == ""


def test_no_question_of_an_api_is_foreign(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """A TOKEN question without a token, or of no API that there is, gets the one word that API Gateway knows."""
    arn = "arn:aws:execute-api:eu-west-1:123456789012:api/stage/GET/me"
    for event in (
        {"type": "TOKEN", "methodArn": arn},
        {"type": "TOKEN", "methodArn": arn, "authorizationToken": 1},
        {"type": "TOKEN", "methodArn": "x", "authorizationToken": "Bearer x"},
        {"type": "TOKEN"},
    ):
        error = server.function(AUTHORIZE).invoke(event).error
        assert error == {"errorType": "Exception", "errorMessage": "Unauthorized"}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["token_refused"] * 4
