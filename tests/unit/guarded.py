"""The function `guard` over a world of fakes, and questions of API Gateway with credentials put in."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

from chalicelib.domain.requirements import Requirement
from chalicelib.functions import authorizers, container
from chalicelib.guard import verdicts
from chalicelib.services.accounts.credentials import Credentials
from chalicelib.web import cookies
from tests.unit.signing import ISSUER
from tests.world.constants import CLIENT, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, config
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.services.sessions.grants import Grant

    Event = dict[str, Any]

SAMPLES = Path(__file__).parents[1] / "fixtures" / "guard"
KINDS = ("rest-token", "rest-request", "http-1.0", "http-2.0", "websocket")
WITH_COOKIES = KINDS[1:]
WITH_METHODS = ("rest-request", "http-1.0", "http-2.0")
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:keyturn-prod-guard"
GUARDS = {
    "users": Requirement(roles=frozenset({"user"})),
    "admin": Requirement(roles=frozenset({"admin"})),
    "recent": Requirement(max_age=300),
    "policies": Requirement(answer="policy"),
}


def sample(kind: str) -> Event:
    """The documented event of this kind, without any credential."""
    event = cast("Event", json.loads((SAMPLES / f"{kind}.json").read_text(encoding="utf-8")))
    if kind == "rest-token":
        event["authorizationToken"] = ""
    return event


def put(kind: str, headers: Mapping[str, str | list[str]], method: str = "GET") -> Event:
    """An event of this kind with these headers, where the gateway puts them."""
    event = sample(kind)
    many = {name: [value] if isinstance(value, str) else value for name, value in headers.items() if value != []}
    if kind == "rest-token":
        event["authorizationToken"] = many["Authorization"][0]
    elif kind == "http-2.0":
        event["requestContext"]["http"]["method"] = method
        event["cookies"] = [pair for value in many.pop("Cookie", []) for pair in value.split("; ")]
        event["headers"] |= {name.lower(): ",".join(values) for name, values in many.items()}
    else:
        event["headers"] |= {name: values[-1] for name, values in many.items()}
        if "multiValueHeaders" in event or any(len(values) > 1 for values in many.values()):
            event["multiValueHeaders"] = {**event.get("multiValueHeaders", {}), **many}
        if kind in WITH_METHODS:
            event["httpMethod"] = event["requestContext"]["httpMethod"] = method
    return event


class Guarded:
    """The function with an account that has logged in twice: as a program, and as a browser with a session cookie."""

    def __init__(self) -> None:
        self.store = FaultyStore(FakeStore())
        self.keyturn = Keyturn(self.store, config=config(issuer=ISSUER, requirements=GUARDS))
        self.audit = self.keyturn.audit
        services = self.keyturn.services
        credentials = Credentials(email="ada@example.com", password=PASSWORD, transport="body")
        self.program: Grant = services.sign_up(credentials, CLIENT)
        credentials = Credentials(email="ada@example.com", password=PASSWORD, transport="session")
        self.browser: Grant = services.log_in(credentials, CLIENT)
        self.session = self.browser.refresh.refresh_token
        self.csrf_token = self.browser.refresh.csrf_token
        self.cookie = f"{cookies.SESSION}={self.session}"
        self.bearer = f"Bearer {self.program.access_token}"
        self.sub = self.program.account.sub
        self.forget()

    def forget(self) -> None:
        """Begin to count calls and lines anew."""
        self.store.calls.clear()
        self.audit.events.clear()

    def guard(self) -> verdicts.Guard:
        """What a cold container puts together."""
        services = self.keyturn.container()
        return verdicts.Guard(
            authorization=self.keyturn.authorization(),
            session_tokens=services.refresh_tokens,
            csrf_tokens=services.csrf_tokens,
            allowed_origins=self.keyturn.config.pages.allowed_origins,
            requirements=self.keyturn.config.guards.requirements,
        )

    def ask(self, event: object, alias: str = "") -> dict[str, Any]:
        """What API Gateway is answered, by the variant of this name."""
        context = SimpleNamespace(invoked_function_arn=f"{FUNCTION}:{alias}" if alias else FUNCTION)
        with mock.patch.object(container, "audit", self.audit), mock.patch.object(authorizers, "guarding", self.guard):
            return cast("dict[str, Any]", authorizers.guard(event, context))

    def refuses(self, event: object) -> bool:
        """Whether the answer is API Gateway's 401 or no verdict at all, and the table was not asked to know it."""
        calls = len(self.store.calls)
        try:
            return is_foreign(self.ask(event)) and len(self.store.calls) == calls
        except Exception as error:
            if type(error) is not Exception or str(error) != "Unauthorized":
                raise
            return len(self.store.calls) == calls


def is_foreign(answer: Mapping[str, Any]) -> bool:
    """Whether the answer is that to an event which asks nothing: no API Gateway takes it for a verdict."""
    return answer.keys() == {"errorType", "errorMessage"}


def allowed(answer: Mapping[str, Any]) -> bool:
    """Whether the answer lets the request pass, once it has been held against the documented shape.

    A simple response is `isAuthorized` and `context`. A policy has a principal, one statement about execute-api:Invoke,
    and a context of strings.
    """
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in answer["context"].items())
    json.dumps(answer)
    if "isAuthorized" in answer:
        assert answer.keys() == {"isAuthorized", "context"}
        assert isinstance(answer["isAuthorized"], bool)
        return answer["isAuthorized"]
    assert answer.keys() == {"principalId", "policyDocument", "context"}
    assert isinstance(answer["principalId"], str)
    assert answer["principalId"]
    assert answer["policyDocument"].keys() == {"Version", "Statement"}
    assert answer["policyDocument"]["Version"] == "2012-10-17"
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement.keys() == {"Action", "Effect", "Resource"}
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Effect"] in {"Allow", "Deny"}
    assert statement["Resource"].startswith("arn:aws:execute-api:eu-central-1:123456789012:")
    return cast("bool", statement["Effect"] == "Allow")
