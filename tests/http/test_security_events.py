"""GET /security-events over HTTP: what happened to an account, by way of the log and the function `chronicle`.

What the functions log is handed to `chronicle` by the test, as a subscription filter of CloudWatch Logs does it.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.audit import JsonAuditLog
from chalicelib.domain.callers import Caller as Visitor
from tests.http.client import CheckedClient, assert_no_content, assert_problem, log_in, resumed, sign_up
from tests.world.browser import FROM_PAGE
from tests.world.clock import FrozenClock
from tests.world.constants import PASSWORD
from tests.world.person import person_of

if TYPE_CHECKING:
    from tests.http.client import Held
    from tests.http.server import Server
    from tests.world.client import Client

MEMBERS = {"event", "outcome", "time", "address", "user_agent"}
NEW_PASSWORD = "another horse battery staple"


def events_of(server: Server, held: Held) -> list[dict[str, Any]]:
    """The owner's list, once everything that was logged has been handed over."""
    server.log.deliver()
    credential = ("Cookie", held.cookie) if held.by_session_cookie else held.bearer
    reply = held.client.call("GET", "/security-events", headers=[credential])
    assert reply.status == 200, reply
    assert set(reply.json) == {"events"}
    listed: list[dict[str, Any]] = reply.json["events"]
    assert all(set(event) >= MEMBERS for event in listed)
    return listed


def names(events: list[dict[str, Any]]) -> list[str]:
    """In the order of the list, the newest first."""
    return [event["event"] for event in events]


def test_owner_sees_what_happened(server: Server, client: Client) -> None:
    """A wrong password, a theft, a changed password, a logout: the newest first, each with its session and reason."""
    owner = sign_up(client)
    stranger = CheckedClient(server.url)
    body = {"email": owner.email, "password": "not it at all", "transport": "body"}
    assert stranger.post("/login", body, [("User-Agent", "curl/8")]).status == 401
    stolen = log_in(client, owner.email)
    stolen.refreshed()
    with server.later(21):
        assert_problem(stranger.post("/refresh", {"refresh_token": stolen.refresh_token}), 401, "invalid_grant")
    with server.later(30):
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        assert owner.renew("POST", "/password/change", {**change, "current_password": "x"}).status == 401
        owner.renewed("POST", "/password/change", change)
        other = log_in(client, owner.email, password=NEW_PASSWORD)
        assert_no_content(client.post("/logout", {"refresh_token": other.refresh_token}))

        last = log_in(client, owner.email, password=NEW_PASSWORD)
        events = events_of(server, last)
    assert names(events) == [
        *("logged_in", "logged_out", "logged_in", "password_changed", "password_change_refused"),
        *("refresh_token_reused", "logged_in", "login_refused", "signed_up"),
    ]
    by_name = {event["event"]: event for event in events}
    assert by_name["refresh_token_reused"]["outcome"] == "alarm"
    assert by_name["refresh_token_reused"]["session_id"] == stolen.session_id
    assert by_name["refresh_token_reused"]["address"] == stranger.address
    refused = by_name["login_refused"]
    assert (refused["outcome"], refused["why"], refused["user_agent"]) == ("failure", "wrong_password", "curl/8")
    assert refused["address"] == stranger.address
    assert by_name["signed_up"]["address"] == client.address
    assert all(abs(event["time"] - time.time()) < 120 for event in events)


def test_nobody_else_sees_it(server: Server, client: Client) -> None:
    """Another user's list holds that user's events alone; without a credential there is none."""
    owner, other = sign_up(client), sign_up(CheckedClient(server.url))
    client.post("/login", {"email": owner.email, "password": "wrong", "transport": "body"})
    assert names(events_of(server, other)) == ["signed_up"]
    assert "login_refused" in names(events_of(server, owner))
    assert_problem(client.call("GET", "/security-events"), 401, "invalid_token")


def test_no_secret_comes_back(server: Server, client: Client) -> None:
    """Neither passwords nor tokens nor cookies are in the list, nor an id that only operators need."""
    owner = sign_up(client, "session")
    guess = "canary-of-a-guess"
    client.post("/login", {"email": owner.email, "password": guess, "transport": "body"})
    app = log_in(client, owner.email)
    revoked = str(app.reply.json["access_token"])
    client.send(
        "POST", "/token/revoke", [("Content-Type", "application/x-www-form-urlencoded")], f"token={revoked}".encode()
    )
    text = json.dumps(events_of(server, owner))
    assert "token_revoked" in text
    assert '"jti"' not in text
    cookie = owner.cookie.partition("=")[2]
    for secret in (guess, PASSWORD, app.refresh_token, revoked, cookie, owner.csrf_token):
        assert secret not in text


def write(server: Server, owner: Held, *events: str, ago: int = 0, **facts: str) -> None:
    """Have the log written to as on earlier days: the limiter lets less happen in an hour."""
    clock = FrozenClock(int(time.time()) - ago - 60 * len(events))
    audit, who = JsonAuditLog(clock, server.log.write), Visitor("203.0.113.99", "a browser", "request")
    for event in events:
        clock.advance(60)
        audit.record(event, who, sub=owner.reply.json["user"]["sub"], sid=str(clock.now()), **facts)


def test_fifty_at_most(server: Server, client: Client) -> None:
    """The last ones."""
    owner = sign_up(client)
    write(server, owner, *["logged_out"] * 55, ago=10)
    events = events_of(server, owner)
    assert names(events) == ["signed_up", *["logged_out"] * 49]
    times = [event["time"] for event in events]
    assert times == sorted(times, reverse=True)
    assert abs(times[0] - times[-1] - 49 * 60) < 60


def test_alarm_is_not_pushed_off_the_list(server: Server, client: Client) -> None:
    """Nothing hides a theft, nor a change of who may get in: other events are fewer then, however many they are."""
    owner = sign_up(client)
    stolen = log_in(client, owner.email)
    stolen.refreshed()
    with server.later(21):
        assert_problem(client.post("/refresh", {"refresh_token": stolen.refresh_token}), 401, "invalid_grant")
    write(server, owner, "identity_linked", ago=86400, provider="google", by="user")
    server.log.deliver()
    write(server, owner, *["logged_out"] * 60)
    with server.later(30):  # the theft was that much later
        events = events_of(server, owner)
    assert {"refresh_token_reused", "identity_linked"} <= set(names(events))
    assert len(events) == 50
    assert [event["time"] for event in events] == sorted((event["time"] for event in events), reverse=True)


def test_dead_token_writes_nothing_down(server: Server, client: Client) -> None:
    """Whoever has an ended session's token logs it out again and again, and the owner's list stays as it is."""
    owner = sign_up(client)
    ended = log_in(client, owner.email)
    assert_no_content(client.post("/logout", {"refresh_token": ended.refresh_token}))
    before = events_of(server, owner)
    assert names(before) == ["logged_out", "logged_in", "signed_up"]
    for _ in range(30):
        assert_no_content(client.post("/logout", {"refresh_token": ended.refresh_token}))
        assert_no_content(client.post("/logout", headers=[ended.bearer]))
    assert events_of(server, owner) == before


def test_refreshing_is_told_two_hours_late(server: Server, client: Client) -> None:
    """A thief who watches the list does not learn when the key was turned; its owner sees the series later."""
    owner = sign_up(client)
    thief = CheckedClient(server.url)
    owner.refreshed()
    for _ in range(3):
        reply = thief.post("/refresh", {"refresh_token": owner.refresh_token}, [("User-Agent", "curl/8")])
        assert reply.status == 200
    thief.post("/refresh", {"refresh_token": owner.refresh_token})
    assert names(events_of(server, owner)) == ["signed_up"]
    with server.later(7300):
        later = log_in(client, owner.email)
        listed = events_of(server, later)
    told = [event for event in listed if event["event"].startswith("refresh")]
    assert names(told) == ["refresh_from_changed_client", *["refresh_from_elsewhere"] * 3]
    assert {event["session_id"] for event in told} == {owner.session_id}
    assert {event["address"] for event in told} == {thief.address}
    assert all(abs(event["time"] - time.time()) < 120 for event in told)


def test_lost_or_repeated_deliveries(server: Server, client: Client) -> None:
    """Without `chronicle` nothing else changes; a delivery that comes twice shows once."""
    owner = sign_up(client)
    server.log.deliver()
    assert names(events_of(server, owner)) == ["signed_up"]
    assert names(events_of(server, owner)) == ["signed_up"]


def test_first_arrival_by_a_provider(server: Server, client: Client) -> None:
    """It names the provider; so do linking and unlinking."""
    surfer = server.browser(client)
    surfer.come_back(surfer.agree(surfer.begin(), person_of(f"{client.address.replace(':', '')}@example.com")))
    (event,) = events_of(server, resumed(surfer))
    assert (event["event"], event["outcome"], event["method"]) == ("signed_up", "success", "google")


@pytest.mark.parametrize(
    "agent", ['"}\\n{"event":"account_taken_over"}', "\x85{}", "x" * 5000, "\\ud800", '","sub":"somebody'], ids=range(5)
)
def test_user_agent_is_the_owners_to_read_and_nothing_more(server: Server, client: Client, agent: str) -> None:
    """Whatever a caller calls itself, the list has one event for one attempt, cut where it is long."""
    owner = sign_up(client)
    body = {"email": owner.email, "password": "wrong", "transport": "body"}
    client.post("/login", body, [FROM_PAGE, ("User-Agent", agent.encode("latin-1", "replace"))])
    events = events_of(server, owner)
    assert names(events) == ["login_refused", "signed_up"]
    assert len(events[0]["user_agent"].encode()) <= 160


def test_log_names_nobody_by_email(server: Server, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """People are named by `sub`: not by their address, nor by whatever was typed into its field."""
    capsys.readouterr()
    owner = sign_up(client)
    body = {"email": owner.email, "password": "wrong", "transport": "body"}
    for email in (owner.email, f"nobody-{owner.email}", "my password!", "typed@wrong@example.com"):
        client.post("/login", {**body, "email": email})
        client.post("/signup", {**body, "email": email})
    surfer = server.browser(client)
    surfer.come_back(surfer.agree(surfer.begin(), person_of(owner.email)))
    surfer.come_back(surfer.agree(surfer.begin(), person_of(f"other-{owner.email}")))
    log = capsys.readouterr().out
    assert len(log.splitlines()) > 8
    assert "@" not in log
    assert "my password!" not in log
