"""GET /openapi.json as callers get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from openapi_spec_validator import validate

from tests.http.client import OPENAPI
from tests.http.described import DOCUMENT, assert_described
from tests.world.client import Client, Reply

if TYPE_CHECKING:
    from tests.http.server import Server


def test_document_is_published(server: Server, client: Client) -> None:
    """Anybody may read it and keep it for a while; it says where the API is, and is what answers are checked by."""
    reply = client.call("GET", OPENAPI)
    assert reply.status == 200
    validate(reply.json)
    assert reply.json["servers"] == [{"url": server.url}]
    assert {**reply.json, "servers": None} == {**DOCUMENT, "servers": None}


PROBLEM = ("Content-Type", "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "status", "header", "body"),
    [
        ("GET", "/health", 201, ("Content-Type", "application/json"), b'{"status":"ok"}'),
        ("GET", "/health", 200, ("Content-Type", "text/html"), b'{"status":"ok"}'),
        ("GET", "/health", 200, ("Content-Type", "application/json"), b'{"status":"ok","host":"10.0.0.1"}'),
        ("GET", "/health", 200, ("Content-Type", "application/json"), b"{}"),
        ("GET", "/me", 401, PROBLEM, b'{"type":"about:blank","title":"t","status":401,"code":"invalid_grant"}'),
        ("GET", "/me", 401, PROBLEM, b'{"type":"about:blank","title":"t","status":403,"code":"invalid_token"}'),
        ("GET", "/me", 503, PROBLEM, b'{"type":"about:blank","title":"t","status":503,"code":"unavailable"}'),
        ("POST", "/logout", 204, ("X", "y"), b"{}"),
        ("GET", "/login/google", 303, ("X", "y"), b""),
    ],
)
def test_other_answers_are_found_out(method: str, path: str, status: int, header: tuple[str, str], body: bytes) -> None:
    """The check that all answers of these tests go through sees a wrong status, type, member, code and header."""
    with pytest.raises(AssertionError):
        assert_described(method, path, Reply(status, [header], body))


def test_right_answers_pass() -> None:
    """An answer as it is described is let pass."""
    assert_described("GET", "/health?x=y", Reply(200, [("Content-Type", "application/json")], b'{"status":"ok"}'))
    assert_described("POST", "/logout", Reply(204, [], b""))
