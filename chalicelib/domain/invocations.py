"""What Lambda functions are invoked with beside the events that they are for: pings, and other functions' events.

Anybody who may invoke a function can hand it anything: a schedule that warms it up, a topic or a load balancer that was
tied to it by mistake, a person who presses "Test". Each function knows its own events and answers the others with one
error, in its log and to the caller. It raises nothing, because Lambda would write a traceback, and would repeat an
asynchronous invocation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NAME = 64  # characters of a name that is repeated
MAX_NAMES = 5


def is_ping(event: object) -> bool:
    """Whether it is `{"warmup": true}` and nothing else, which a schedule may send to keep a container warm.

    No caller of an API can bring it about: what API Gateway hands over has members of its own.
    """
    return isinstance(event, dict) and len(event) == 1 and event.get("warmup") is True


def error(event: object, takes: str) -> dict[str, str]:
    """The answer to an event that is not the function's own, in the form of Lambda's error document.

    `takes` says what the function is for. No API Gateway reads it as a verdict or as an answer.
    """
    return {"errorType": "ForeignEvent", "errorMessage": f"This function takes {takes}, not {describe(event)}."}


def describe(event: object) -> str:
    """What the event seems to be, in words for the operator: names of its source and members, and no other content."""
    if not isinstance(event, dict):
        return f"a value of the type {type(event).__name__}"
    match event:
        case {"Records": [{"eventSource": source} | {"EventSource": source}, *_]}:
            return f"records of {_name(source)}"
        case {"detail-type": _}:
            return f"an event of {_name(event.get('source'))}"
        case {"methodArn": _} | {"routeArn": _}:
            return f"an authorizer's question of the type {_name(event.get('type'))}"
        case {"requestContext": {}}:
            return f"a request: {_request(event)}"
    names = ", ".join(_name(name) for name in list(event)[:MAX_NAMES])
    return f"an event with the members {names}" if names else "an empty event"


def _request(event: Mapping[str, Any]) -> str:
    match event:
        case {"requestContext": {"elb": _}}:
            return "a load balancer's"
        case {"version": "2.0"}:
            return "in payload format 2.0, of an HTTP API or a function URL"
        case {"requestContext": {"connectionId": _}}:
            return "a WebSocket API's"
        case {"requestContext": {"resourcePath": path}}:
            return f"for the resource {_name(path)}"
    return "without a resource"


def _name(value: object) -> str:
    # !a: half a character has no UTF-8, and a line break must not end the line.
    return f"{value[:MAX_NAME]!a}" if isinstance(value, str) else "no name"
