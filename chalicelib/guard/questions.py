"""What API Gateway asks an authorizer, in any of its forms, read as one record. What is malformed is absent.

    REST, TOKEN            type TOKEN                   methodArn    `authorizationToken` and nothing else
    REST, REQUEST          type REQUEST                 methodArn    `multiValueHeaders`, `headers`
    HTTP, payload 1.0      type REQUEST, version 1.0    methodArn    as REST
    HTTP, payload 2.0      type REQUEST, version 2.0    routeArn     `headers` joined by commas, `cookies`
    WebSocket, $connect    type REQUEST                 methodArn    as REST; no method

`identitySource` is what the calling API chose to name, and is not read: where a credential stands is not its choice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from chalicelib.domain.callers import Caller
from chalicelib.domain.sessions import USER_AGENT_BYTES
from chalicelib.web.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["token", "request", "http2", "websocket"]

MAX_TEXT = 160  # bytes kept of an address or a request id, which are far shorter

# Partition, region, account, API and stage; the method and path behind them are the caller's.
API_AND_STAGE = re.compile(
    r"(arn:aws[a-z-]{0,20}:execute-api:[a-z0-9-]{1,40}:[0-9]{12}:[A-Za-z0-9]{1,64}/(?:[\w-]{1,128}|\$default))/.*",
    re.ASCII | re.DOTALL,
)


class Question(NamedTuple):
    """What API Gateway asks: may this request pass.

    `asked` is False where the event names neither a type of question nor an API: it is no question at all. `kind` is
    None where it is of no type that we know. `api` is the ARN of the calling API and stage, empty where the event
    names none. The credential of the kind `token` stands in the request's Authorization header, as it does elsewhere.
    """

    kind: Kind | None
    api: str
    request: Request
    asked: bool = True


def read(event: object) -> Question:
    """The event as a question. Never fails: the answer to what cannot be read is the judge's business."""
    fields = _object(event)
    kind = _kind(fields)
    context = _object(fields.get("requestContext"))
    route = API_AND_STAGE.fullmatch(_text(fields.get("routeArn" if kind == "http2" else "methodArn")))
    headers = _headers(fields, kind)
    return Question(
        kind=kind,
        api=route[1] if route else "",
        request=Request(
            method=_method(fields, context, kind),
            headers=headers,
            query={},
            body=b"",
            caller=_client(context, headers, kind),
            principal_context=None,
        ),
        asked=kind is not None or "methodArn" in fields or "routeArn" in fields,
    )


def _kind(fields: Mapping[str, Any]) -> Kind | None:
    match fields.get("type"):
        case "TOKEN":
            return "token"
        case "REQUEST" if fields.get("version") == "2.0":
            return "http2"
        case "REQUEST" if _object(fields.get("requestContext")).get("eventType") == "CONNECT":
            return "websocket"
        case "REQUEST":
            return "request"
    return None


def _method(fields: Mapping[str, Any], context: Mapping[str, Any], kind: Kind | None) -> str:
    if kind == "http2":
        return _text(_object(context.get("http")).get("method"))
    return _text(fields.get("httpMethod"))


def _headers(fields: Mapping[str, Any], kind: Kind | None) -> dict[str, tuple[str, ...]]:
    if kind == "token":
        return {"authorization": (_text(fields.get("authorizationToken")),)}
    # `headers` holds the last value of each name alone.
    many = _object(fields.get("multiValueHeaders")) or {
        name: [value] for name, value in _object(fields.get("headers")).items()
    }
    headers: dict[str, tuple[str, ...]] = {}
    for name, values in many.items():
        texts = _texts(values)
        if texts:
            headers[name.lower()] = headers.get(name.lower(), ()) + texts
    if kind == "http2" and "cookies" in fields:
        # The gateway has split the Cookie header into these. Where it leaves the header too, each would come twice.
        headers["cookie"] = _texts(fields["cookies"])
    return headers


def _client(context: Mapping[str, Any], headers: Mapping[str, tuple[str, ...]], kind: Kind | None) -> Caller:
    identity = _object(context.get("http" if kind == "http2" else "identity"))
    return Caller(
        address=_short(_text(identity.get("sourceIp")), MAX_TEXT),
        user_agent=_short(" ".join(headers.get("user-agent", ())), USER_AGENT_BYTES),
        request_id=_short(_text(context.get("requestId")), MAX_TEXT),
    )


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        return {}
    return {name: member for name, member in value.items() if isinstance(name, str)}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return ()
    return tuple(value)


def _short(text: str, size: int) -> str:
    # Lone surrogates have no UTF-8, and the store keeps what it is given.
    return text.encode(errors="replace")[:size].decode(errors="ignore")
