"""The log: one line an event, whatever its facts hold."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.audit import MAX_FACT, JsonAuditLog
from chalicelib.domain.callers import Caller
from chalicelib.domain.events import EVENTS
from chalicelib.errors import ConfigurationError, InvalidCredentials, InvalidGrant
from chalicelib.services.accounts.credentials import Credentials
from chalicelib.settings.config import Config
from tests.world.clock import START, FrozenClock
from tests.world.constants import CLIENT
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services.sessions.grants import Grant


def written(*events: tuple[str, Caller, dict[str, Any]]) -> list[str]:
    """The lines that these events come to."""
    out = io.StringIO()
    audit = JsonAuditLog(FrozenClock())
    with redirect_stdout(out):
        for name, client, facts in events:
            audit.record(name, client, **facts)
    return out.getvalue().splitlines()


def test_line_says_what_who_and_when() -> None:
    """Time in UTC, event, request, address, user agent, and the event's own facts."""
    (line,) = written(("logged_in", CLIENT, {"sub": "s", "attempts": 3, "known": True}))
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00+00:00",
        "event": "logged_in",
        "outcome": "success",
        "request_id": "request-1",
        "address": "192.0.2.1",
        "user_agent": "tests",
        "sub": "s",
        "attempts": 3,
        "known": True,
    }


def test_one_line_an_event() -> None:
    """Three events are three lines."""
    assert len(written(*[("login_refused", CLIENT, {})] * 3)) == 3


@pytest.mark.parametrize(
    "breaking", ["\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1b[2J", "\x00", "\ud800"]
)
def test_facts_forge_no_line(breaking: str) -> None:
    """Line breaks and control characters in what a caller sent stay inside their string (ASVS V16.4.1)."""
    forged = f'tests{breaking}{{"event":"logged_in"}}'
    (line,) = written(("login_refused", Caller("192.0.2.1", forged), {"why": forged}))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["why"] == forged
    assert json.loads(line)["event"] == "login_refused"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_one_line(user_agent: str, fact: str) -> None:
    """Whatever a fact holds, it is read back as it was."""
    (line,) = written(("event", Caller("a", user_agent), {"fact": fact}))
    assert json.loads(line)["fact"] == fact
    assert json.loads(line)["user_agent"] == user_agent


def test_what_an_alarm_sees_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is in CloudWatch's embedded metric format: what its specification asks of each member holds."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "keyturn-dev")
    with_metric = [name for name, kind in EVENTS.items() if kind.metric]
    for name, line in zip(with_metric, written(*[(name, CLIENT, {"sub": "s"}) for name in with_metric]), strict=True):
        members = json.loads(line)
        assert members["_aws"].keys() == {"Timestamp", "CloudWatchMetrics"}
        assert members["_aws"]["Timestamp"] == START * 1000  # milliseconds
        (directive,) = members["_aws"]["CloudWatchMetrics"]
        assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
        assert directive["Namespace"] == "Keyturn"
        assert directive["Dimensions"] == [["FunctionName"]]
        assert members["FunctionName"] == "keyturn-dev"  # each dimension's value is a string at the line's root
        assert directive["Metrics"] == [{"Name": EVENTS[name].metric, "Unit": "Count"}]
        assert members[str(EVENTS[name].metric)] == 1  # and each metric's a number
        assert (members["event"], members["sub"]) == (name, "s")


def test_what_no_alarm_sees_is_no_metric() -> None:
    """A login is counted by nobody: AWS bills each metric."""
    plain = [name for name, kind in EVENTS.items() if not kind.metric]
    for line in written(*[(name, CLIENT, {}) for name in plain]):
        assert "_aws" not in json.loads(line)


def test_lines_go_where_they_are_sent() -> None:
    """Whole, each with its line break, and not to standard output."""
    lines: list[str] = []
    audit = JsonAuditLog(FrozenClock(), lines.append)
    out = io.StringIO()
    with redirect_stdout(out):
        audit.record("logged_in", CLIENT)
    (line,) = lines
    assert line.endswith("}\n")
    assert not out.getvalue()


def test_facts_are_cut() -> None:
    """A fact cannot fill the log."""
    (line,) = written(("event", CLIENT, {"fact": "a" * (MAX_FACT + 1)}))
    assert json.loads(line)["fact"] == "a" * MAX_FACT


def test_every_wrong_setting_fits_into_a_line() -> None:
    """The operator sees all problems at once, in the log too."""
    wrong = {
        **dict.fromkeys(("KEYTURN_ACCESS_TTL", "KEYTURN_REFRESH_IDLE_TTL", "KEYTURN_REFRESH_ABSOLUTE_TTL"), "x" * 200),
        **dict.fromkeys(("KEYTURN_ROTATION_WINDOW", "KEYTURN_COOKIE_SAMESITE", "KEYTURN_ARGON2_PROFILE"), "x" * 200),
        **dict.fromkeys(("KEYTURN_SIGNING_ALGORITHM", "KEYTURN_PASSWORD_MIN_LENGTH", "KEYTURN_ISSUER"), "x" * 200),
        **dict.fromkeys(("KEYTURN_GUARDS", "KEYTURN_ROLE_SCOPES", "KEYTURN_ALLOWED_ORIGINS"), "x" * 200),
    }
    with pytest.raises(ConfigurationError) as raised:
        Config.from_env(wrong)
    (line,) = written(("request_refused", CLIENT, {"why": raised.value.debug}))
    assert json.loads(line)["why"] == raised.value.debug


def test_nothing_secret_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Through sign-up, login, refreshes of every kind, renewal and refusals, no secret reaches the log (V16.2.5)."""
    keyturn = Keyturn(FakeStore())
    keyturn.audit = JsonAuditLog(keyturn.clock)  # type: ignore[assignment]  # the real one
    services = keyturn.container()
    secret: list[str] = []

    def handed_out(grant: Grant) -> RefreshToken:
        assert grant.access_token is not None
        secret.extend([grant.access_token, grant.refresh.refresh_token, grant.refresh.csrf_token])
        secret.extend([grant.device_token] if grant.device_token else [])
        return services.refresh_tokens.decode(grant.refresh.refresh_token, "body")

    def credentials(password: str) -> Credentials:
        secret.append(password)
        return Credentials(email="ada@example.com", password=password, transport="body")

    handed_out(services.sign_up(credentials("canary right"), CLIENT))
    grant = services.log_in(credentials("canary right"), CLIENT)
    presented, device = handed_out(grant), grant.device_token
    with pytest.raises(InvalidCredentials):
        services.log_in(credentials("canary wrong"), CLIENT)
    handed_out(services.refresh(presented, CLIENT))
    handed_out(services.refresh(presented, CLIENT._replace(address="192.0.2.2")))
    handed_out(services.refresh(presented, Caller("192.0.2.3", "elsewhere")))
    with pytest.raises(InvalidGrant):
        services.refresh(replace(presented, secret=bytes(32)), CLIENT)
    keyturn.clock.advance(60)
    handed_out(services.refresh(presented, CLIENT, device))
    keyturn.clock.advance(3600)
    with pytest.raises(InvalidGrant):
        services.refresh(presented, CLIENT)
    again = services.log_in(credentials("canary right"), CLIENT)
    presented, principal = handed_out(again), keyturn.principal(again.access_token)
    new = "canary fresh"
    secret.append(new)
    handed_out(services.change_password(principal, "canary right", new, presented, CLIENT))
    with pytest.raises(InvalidGrant):
        services.refresh(presented, CLIENT)

    log = capsys.readouterr().out
    assert [json.loads(line)["event"] for line in log.splitlines()] == [
        *("signed_up", "logged_in", "login_refused", "refresh_from_changed_client", "refresh_from_elsewhere"),
        *("refresh_token_forged", "refresh_answered_late", "refresh_token_reused", "logged_in", "password_changed"),
    ]
    parts = {part for text in secret for part in text.split(".") if len(part) >= 12}
    assert [part for part in parts if part in log] == []
