"""The authorizer function: what it answers API Gateway, and what it says when it cannot know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import deadline
from chalicelib.errors import ConfigurationError, Unavailable
from chalicelib.functions import authorizers, container
from chalicelib.services.accounts.credentials import Credentials
from tests.flows.steps import log_out
from tests.world.clock import START
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.keyturn import Keyturn, RecordingAudit
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from chalicelib.services.sessions.authorization import Authorization

ARN = "arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/prod/GET/me"


class Deployed:
    """The function over a world of fakes, with an account that has logged in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = FaultyStore(FakeStore())
        self.keyturn = Keyturn(self.store)
        self.audit = RecordingAudit()
        monkeypatch.setattr(container, "audit", self.audit)
        monkeypatch.setattr(authorizers, "authorization", self.keyturn.authorization)
        credentials = Credentials(email="ada@example.com", password="correct horse battery", transport="body")
        self.grant = self.keyturn.services.sign_up(credentials, CLIENT)

    def ask(self, header: str | None = None) -> dict[str, Any]:
        """What API Gateway is answered for this Authorization header."""
        text = f"Bearer {self.grant.access_token}" if header is None else header
        event = {"type": "TOKEN", "authorizationToken": text, "methodArn": ARN}
        return authorizers.authorize(event, None)


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """The function, ready to be asked."""
    return Deployed(monkeypatch)


def test_bearer_is_let_through(deployed: Deployed) -> None:
    """The answer allows the whole API, so that a cached one breaks no other route (regressions: serverless #6176)."""
    answer = deployed.ask()
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Resource"] == ["arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/prod/*/*"]
    assert answer["principalId"] == deployed.grant.account.sub


def test_context_is_strings(deployed: Deployed) -> None:
    """The guarded function learns who it is, in strings, which is all that API Gateway passes on."""
    assert deployed.ask()["context"] == {
        "sub": deployed.grant.account.sub,
        "sid": deployed.grant.session_id,
        "roles": "user",
        "scope": "",
        "email_verified": "false",
        "auth_time": str(START),
    }


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic YTpi", "Bearer a.b.c", "Bearer \ud800", "x" * 10_000, "Bearer " + "A" * 100_000]
)
def test_other_headers_are_unauthorized(deployed: Deployed, header: str) -> None:
    """What is no access token is refused with the one word that API Gateway answers with 401, before any read."""
    deployed.store.calls.clear()
    with pytest.raises(Exception, match=r"^Unauthorized$") as raised:
        deployed.ask(header)
    assert type(raised.value) is Exception
    assert raised.value.__suppress_context__
    assert deployed.store.calls == []
    ((name, facts),) = deployed.audit.events
    assert name == "token_refused"
    assert header == "" or header not in json.dumps(str(facts))


def test_expired_and_revoked_are_unauthorized(deployed: Deployed) -> None:
    """An expired token and a revoked one are answered alike."""
    log_out(deployed.keyturn.services, deployed.grant)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        deployed.ask()
    deployed.keyturn.clock.advance(900)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        deployed.ask()
    assert [facts["why"] for _, facts in deployed.audit.events] == ["revoked", "expired"]


def test_outage_is_no_verdict(deployed: Deployed) -> None:
    """A table that is away raises anything but the one word: API Gateway's AUTHORIZER_FAILURE, 503 (ASVS V16.5.3)."""
    deployed.store.fail_before("find_denials")
    with pytest.raises(Unavailable) as raised:
        deployed.ask()
    assert str(raised.value) != "Unauthorized"
    assert deployed.ask()["principalId"] == deployed.grant.account.sub


@pytest.mark.parametrize("error", [Unavailable(debug="away"), ConfigurationError(debug="KEYTURN_TABLE is not set")])
def test_missing_keys_are_no_verdict(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Neither is a function that cannot start; the next request asks again."""

    def fail() -> Authorization:
        raise error

    monkeypatch.setattr(authorizers, "authorization", fail)
    with pytest.raises(type(error)):
        deployed.ask()
    ((name, facts),) = deployed.audit.events
    assert (name, facts["why"]) == ("authorizer_failed", str(error))
    monkeypatch.setattr(authorizers, "authorization", deployed.keyturn.authorization)
    assert deployed.ask()["context"]["sub"]


def test_function_has_a_deadline(deployed: Deployed) -> None:
    """What it waits for is bounded as a request's is."""
    ends: list[float] = []
    deployed.store.at_call = lambda *_: ends.append(deadline._end.get())
    deployed.ask()
    assert len(ends) == 1
    assert ends[0] < deadline._end.get()


def test_real_composition_refuses_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings the function says which are missing, and does not remember it."""
    for name in ("KEYTURN_TABLE", "KEYTURN_ISSUER", "KEYTURN_AUDIENCE", "KEYTURN_PARAMETERS"):
        monkeypatch.delenv(name, raising=False)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="KEYTURN_TABLE is not set"):
            authorizers.authorization()
