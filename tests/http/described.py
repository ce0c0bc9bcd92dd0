"""Whether answers are as the API's own description says: status, media type, headers and body."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from jsonschema_rs import Draft202012Validator, ValidationError

import app
from chalicelib.settings.config import Config
from chalicelib.web.openapi import document
from tests.rehearsal import proxy

if TYPE_CHECKING:
    from tests.world.client import Reply

DOCUMENT = document(Config(table="t", issuer="https://auth.example.com", audience="a", parameters="/p"), app.ROUTES)


def assert_described(method: str, target: str, reply: Reply) -> None:
    """The answer is one that the description has for this route; nothing is asked of a route that it has not."""
    path = target.partition("?")[0]
    route = proxy.find_route(DOCUMENT["paths"], path)
    operation = DOCUMENT["paths"][route.resource].get(method.lower()) if route and method.isupper() else None
    if route is None or operation is None:
        return
    response = operation["responses"].get(str(reply.status))
    assert response is not None, f"{method} {route.resource} has no {reply.status}: {reply}"
    response = _resolved(response)
    for name, header in response.get("headers", {}).items():
        assert reply.all(name) or not _resolved(header).get("required"), f"{name} is missing: {reply}"
    if "content" not in response:
        assert reply.body == b"", reply
        return
    media_type = (reply.header("Content-Type") or "").partition(";")[0]
    assert media_type in response["content"], f"{method} {route.resource} has no {media_type}: {reply}"
    try:
        _validator(method.lower(), route.resource, reply.status, media_type).validate(reply.json)
    except ValidationError as error:
        message = f"{method} {route.resource} {reply.status}: {error}\n{reply}"
        raise AssertionError(message) from None


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    """The component that a reference names; what is none as it is."""
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    return cast("dict[str, Any]", DOCUMENT["components"][kind][name])


@cache
def _validator(method: str, resource: str, status: int, media_type: str) -> Draft202012Validator:
    response = _resolved(DOCUMENT["paths"][resource][method]["responses"][str(status)])
    # References are looked up from the schema's own root.
    schema = {**response["content"][media_type]["schema"], "components": DOCUMENT["components"]}
    return Draft202012Validator(schema, validate_formats=True)
