"""The decorator for guarded functions (clients/keyturn-guard): who is served, and what refusals look like."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keyturn_guard
import pytest
from chalice.app import Chalice
from chalice.test import Client
from hypothesis import given
from hypothesis import strategies as st
from keyturn_guard import Principal, principal_of, require

NOW = 1_800_000_000
FOUND = {
    "sub": "user",
    "sid": "session",
    "roles": "user admin",
    "scope": "orders:read orders:write",
    "email_verified": "true",
    "auth_time": str(NOW - 100),
}
PRINCIPAL = Principal(
    sub="user",
    sid="session",
    roles=frozenset({"user", "admin"}),
    scopes=frozenset({"orders:read", "orders:write"}),
    email_verified=True,
    auth_time=NOW - 100,
)
CONTEXTS: dict[str, dict[str, Any]] = {
    "REST": {"authorizer": {**FOUND, "principalId": "user", "integrationLatency": 7}},
    "HTTP 1.0": {"authorizer": {**FOUND, "principalId": "user"}},
    "HTTP 2.0": {"authorizer": {"lambda": FOUND}, "http": {"method": "GET"}},
    "WebSocket": {"authorizer": {**FOUND, "principalId": "user"}, "eventType": "MESSAGE", "connectionId": "c"},
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FOUND, "lambda", "authorizer", "requestContext"]), inner, max_size=4)
    ),
    max_leaves=8,
)


def told(**asked: Any) -> Any:
    """A function that asks for this and returns whom it serves."""
    return require(clock=lambda: NOW, **asked)(lambda event, context, principal: (event, context, principal))


@pytest.mark.parametrize("kind", CONTEXTS)
def test_every_kind_of_api(kind: str) -> None:
    """The principal is found where each kind of API puts what its authorizer said."""
    event = {"requestContext": CONTEXTS[kind]}
    assert told()(event, "context") == (event, "context", PRINCIPAL)


@pytest.mark.parametrize(
    "context",
    [
        None,
        {},
        {"authorizer": None},
        {"authorizer": {}},
        {"authorizer": {"principalId": "user"}},
        {"authorizer": {**FOUND, "sub": ""}},
        {"authorizer": {**FOUND, "sub": None}},
        {"authorizer": {**FOUND, "sid": ["session"]}},
        {"authorizer": {"lambda": {**FOUND, "sub": ""}}},
        {"authorizer": {"claims": FOUND}},
        {"authorizer": {"jwt": {"claims": FOUND}}},
        {"identity": FOUND},
        FOUND,
    ],
    ids=repr,
)
def test_nobody(context: Any) -> None:
    """Without somebody whom the authorizer vouched for the function never runs (regressions 22)."""
    answer = told()({"requestContext": context}, None)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (401, "invalid_token")
    assert answer["headers"]["WWW-Authenticate"] == "Bearer"


@given(event=anything)
def test_whatever_comes(event: Any) -> None:
    """No event makes the decorator fail: it serves somebody or refuses."""
    answer = told()(event, None)
    assert isinstance(answer, tuple) or answer["statusCode"] == 401


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({}, None),
        ({"roles": ["admin"]}, None),
        ({"roles": ["admin", "user"], "scopes": ["orders:read"], "max_age": 100}, None),
        ({"roles": ["admin", "auditor"]}, (403, "insufficient_scope")),
        ({"roles": ["adm"]}, (403, "insufficient_scope")),
        ({"scopes": ["orders:delete"]}, (403, "insufficient_scope")),
        ({"scopes": ["orders"]}, (403, "insufficient_scope")),
        ({"max_age": 99}, (401, "insufficient_user_authentication")),
        ({"max_age": 0}, (401, "insufficient_user_authentication")),
        ({"roles": ["auditor"], "max_age": 0}, (403, "insufficient_scope")),
    ],
    ids=repr,
)
def test_requirements(asked: dict[str, Any], refused: tuple[int, str] | None) -> None:
    """All that is asked for must hold; what another login cannot mend is said first."""
    answer = told(**asked)({"requestContext": CONTEXTS["REST"]}, None)
    if refused is None:
        assert answer[2] == PRINCIPAL
        return
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["status"], body["code"]) == (refused[0], *refused)
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert answer["headers"]["Cache-Control"] == "no-store"
    assert f'error="{refused[1]}"' in answer["headers"]["WWW-Authenticate"]


def test_challenges_say_what_is_needed() -> None:
    """The scope (RFC 6750 section 3) and the age (RFC 9470 section 3) stand in the challenge."""
    event = {"requestContext": CONTEXTS["REST"]}
    assert 'scope="a b"' in told(scopes=["b", "a"])(event, None)["headers"]["WWW-Authenticate"]
    assert 'max_age="5"' in told(max_age=5)(event, None)["headers"]["WWW-Authenticate"]


def test_one_string_is_not_taken_for_its_letters() -> None:
    """A single string is refused where the function is decorated."""
    with pytest.raises(TypeError, match="collections"):
        require(roles="admin")
    with pytest.raises(TypeError, match="collections"):
        require(scopes="orders:read")


@pytest.mark.parametrize("value", ["True", "1", "yes", True, 1, None, ["true"]])
def test_email_is_verified_by_one_word_alone(value: Any) -> None:
    """Nothing but the string "true" means that the address is verified."""
    found = principal_of({"authorizer": {**FOUND, "email_verified": value}})
    assert found is not None
    assert found.email_verified is False


@pytest.mark.parametrize("value", ["", "-1", "1e9", "\u0663", None, 1, "now"])
def test_login_of_unknown_age_is_old(value: Any) -> None:
    """An auth_time that cannot be read counts as the epoch's beginning."""
    event = {"requestContext": {"authorizer": {**FOUND, "auth_time": value}}}
    assert told(max_age=NOW - 1)(event, None)["statusCode"] == 401


@pytest.mark.parametrize(("ahead", "status"), [(60, None), (61, 401), (86400, 401)])
def test_login_of_the_future_is_not_recent(ahead: int, status: int | None) -> None:
    """An auth_time that a wrong clock wrote is not recent until that time has come; a minute may lie between clocks."""
    event = {"requestContext": {"authorizer": {**FOUND, "auth_time": str(NOW + ahead)}}}
    answer = told(max_age=300)(event, None)
    assert (answer["statusCode"] if isinstance(answer, dict) else None) == status


def test_login_from_an_authorizer_that_says_no_roles() -> None:
    """Roles and scopes that are missing are none."""
    found = principal_of({"authorizer": {"sub": "user", "sid": "session"}})
    assert found == Principal("user", "session", frozenset(), frozenset(), email_verified=False, auth_time=0)


def test_chalice_view() -> None:
    """A view gets its path parameters and the principal; a refusal is an answer of chalice's."""
    app = Chalice("test")

    @app.route("/orders/{order_id}", methods=["GET"])
    @require(app=app, clock=lambda: NOW)
    def show(order_id: str, principal: Principal) -> dict[str, str]:
        return {"order": order_id, "sub": principal.sub}

    with Client(app) as client:
        refused = client.http.get("/orders/7")
        assert (refused.status_code, refused.json_body["code"]) == (401, "invalid_token")
        assert refused.headers["Content-Type"] == "application/problem+json"
    event = {
        "requestContext": {**CONTEXTS["REST"], "resourcePath": "/orders/{order_id}", "httpMethod": "GET"},
        "pathParameters": {"order_id": "7"},
        "headers": {},
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "isBase64Encoded": False,
        "body": None,
    }
    served = app(event, None)
    assert (served["statusCode"], json.loads(served["body"])) == (200, {"order": "7", "sub": "user"})


def test_decorated_function_keeps_its_name() -> None:
    """Logs and Chalice know functions by their names."""

    def named(event: Any, context: Any, principal: Principal) -> None:
        """Say nothing."""

    decorated = require()(named)
    assert (decorated.__name__, decorated.__doc__) == ("named", "Say nothing.")


def test_needs_nothing_but_python() -> None:
    """It runs from its one file, with no package installed."""
    path = Path(keyturn_guard.__file__)
    script = f"import sys; sys.path.insert(0, {str(path.parent)!r}); import keyturn_guard"
    subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True)  # noqa: S603  # our own script
