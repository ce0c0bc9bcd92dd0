"""Nothing tells when the key was turned: whoever polls what a bearer may read does not learn when to come.

Otherwise a thief with the predecessor would come inside the window for ever, without an event.
"""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.audit import JsonAuditLog
from chalicelib.domain.events import EVENTS, LATE
from chalicelib.errors import InvalidGrant
from chalicelib.functions.chronicle import event_of
from chalicelib.handlers import accounts, identities, security_events, sessions
from chalicelib.services.security_events import SHOWN
from chalicelib.web.request import Request
from tests.flows.steps import (
    ELSEWHERE,
    NEW_PASSWORD,
    change_password,
    device_token,
    log_in,
    log_out,
    refresh,
    sign_up,
)
from tests.flows.tables import a_table
from tests.world.clock import START
from tests.world.constants import CLIENT
from tests.world.keyturn import Keyturn, RecordingAudit
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Response

    from chalicelib.domain.callers import Caller
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store

GETS: dict[str, Callable[[Request, Services], Response]] = {
    "/sessions": sessions.list_sessions,
    "/me": accounts.me,
    "/identities": identities.list_identities,
    "/security-events": security_events.list_events,
}
REFRESHING = [name for name, kind in EVENTS.items() if kind.shown_after]
BOTH = pytest.mark.parametrize("make_store", [FakeStore, a_table], ids=["fake", "dynoxide"])


class ChronicledAudit(RecordingAudit):
    """Everything that is recorded is written as a line, and each line comes to the table as `chronicle` keeps it."""

    def __init__(self, keyturn: Keyturn) -> None:
        super().__init__()
        self._keyturn = keyturn
        self._log = JsonAuditLog(keyturn.clock, self._deliver)

    def record(self, event: str, caller: Caller, **facts: str | int | bool) -> None:
        """Keep the event, here and in the table."""
        super().record(event, caller, **facts)
        self._log.record(event, caller, **facts)

    def _deliver(self, line: str) -> None:
        found = event_of(f"{len(self.events):020}", line)
        if found is not None:
            self._keyturn.store.record_events([found])


def chronicled(store: Store) -> Keyturn:
    """Keyturn whose log is delivered at once."""
    keyturn = Keyturn(store)
    return Keyturn(store, keyturn.clock, keyturn.parameters, ChronicledAudit(keyturn))


def answers(keyturn: Keyturn, grant: Grant) -> dict[str, Any]:
    """What each GET answers to the grant's bearer, who polls with whatever access token there is by now."""
    asked = Request("GET", {}, {}, b"", CLIENT, {"sub": grant.account.sub, "sid": grant.session_id})
    return {path: json.loads(json.dumps(handle(asked, keyturn.services).body)) for path, handle in GETS.items()}


def told(keyturn: Keyturn, grant: Grant) -> list[tuple[str, int]]:
    """The events on the owner's list, with their times, the newest first."""
    return [(event["event"], event["time"]) for event in answers(keyturn, grant)["/security-events"]["events"]]


@BOTH
@pytest.mark.parametrize("client", [CLIENT, ELSEWHERE])
def test_no_turn_changes_an_answer(make_store: Callable[[], Store], client: Caller) -> None:
    """Turns, repetitions, lost races, late answers, from the same client or from elsewhere: every GET is as before."""
    keyturn = chronicled(make_store())
    grant = sign_up(keyturn.services)
    device = device_token(grant)
    log_in(keyturn.services, transport="cookie")
    before = answers(keyturn, grant)
    assert len(before["/sessions"]["sessions"]) == 2
    for _ in range(6):
        former, grant = grant, refresh(keyturn.services, grant, client)
        refresh(keyturn.services, former)
        refresh(keyturn.services, grant)
        assert answers(keyturn, grant) == before
        keyturn.clock.advance(21)
        grant = refresh(keyturn.services, former, client, device_token=device)
        assert answers(keyturn, grant) == before
        keyturn.clock.advance(21)
        grant = refresh(keyturn.services, grant, client)
        keyturn.clock.advance(21)
    assert {"refresh_answered_late", "refresh_answered_late_often"} <= {*keyturn.audit.names()}
    if client is ELSEWHERE:
        assert "refresh_from_elsewhere" in keyturn.audit.names()
    assert answers(keyturn, grant) == before


@pytest.mark.parametrize("seed", range(20))
def test_no_turn_changes_an_answer_whatever_the_order(seed: int) -> None:
    """The same for arbitrary tokens, clients and pauses, as long as nothing else happens and for two hours."""
    random, keyturn = Random(seed), chronicled(FakeStore())  # noqa: S311 - a test's order
    first = sign_up(keyturn.services)
    device, held = device_token(first), [first]
    before = answers(keyturn, first)
    while keyturn.clock.now() < START + LATE:
        try:
            presented = random.choice(held[-3:])
            client = random.choice([CLIENT, ELSEWHERE])
            held.append(refresh(keyturn.services, presented, client, device_token=device))
        except InvalidGrant:
            break  # a theft, which is told at once: the session is over
        assert answers(keyturn, first) == before
        keyturn.clock.advance(random.choice([0, 1, 19, 21, 600]))


@BOTH
def test_use_of_a_session_cookie_changes_no_answer(make_store: Callable[[], Store]) -> None:
    """The note of its use is for the idle limit alone."""
    keyturn = chronicled(make_store())
    grant = sign_up(keyturn.services, transport="session")
    before = answers(keyturn, grant)
    for client in (CLIENT, ELSEWHERE):
        keyturn.clock.advance(3600)
        keyturn.enter(grant, client)
        assert answers(keyturn, grant) == before


@BOTH
def test_events_of_refreshing_show_two_hours_later(make_store: Callable[[], Store]) -> None:
    """To the second, each with its own time; what happened since stands above them."""
    keyturn = chronicled(make_store())
    grant = sign_up(keyturn.services)
    refresh(keyturn.services, refresh(keyturn.services, grant), ELSEWHERE)
    keyturn.clock.advance(21)
    late = refresh(keyturn.services, grant, device_token=device_token(grant))
    keyturn.clock.advance(60)
    log_in(keyturn.services)
    now = [("logged_in", START + 81), ("signed_up", START)]
    assert told(keyturn, late) == now
    keyturn.clock.time = START + LATE - 1
    assert told(keyturn, late) == now
    keyturn.clock.advance(1)
    assert told(keyturn, late) == [now[0], ("refresh_from_elsewhere", START), now[1]]
    keyturn.clock.advance(21)
    assert told(keyturn, late) == [
        now[0],
        ("refresh_answered_late", START + 21),
        ("refresh_from_elsewhere", START),
        now[1],
    ]


def test_every_event_of_refreshing_is_held_back() -> None:
    """What says that a key turned is late; what is no refresh, and a theft, shows at once: the session is over then."""
    assert {name for name in EVENTS if name.startswith("refresh_") and EVENTS[name].shown} == {
        *REFRESHING,
        "refresh_token_reused",
    }
    assert {EVENTS[name].shown_after for name in REFRESHING} == {LATE} == {7200}


@pytest.mark.parametrize(
    "make_store", [pytest.param(FakeStore, id="fake"), pytest.param(a_table, id="dynoxide", marks=pytest.mark.slow)]
)
def test_flood_of_held_back_events_displaces_nothing(make_store: Callable[[], Store]) -> None:
    """Whoever makes hundreds of them inside two hours pushes nothing off the list, alarms and changes included."""
    keyturn = chronicled(make_store())
    grant = change_password(keyturn.services, sign_up(keyturn.services))
    for _ in range(3):
        keyturn.clock.advance(60)
        log_in(keyturn.services, NEW_PASSWORD)
    before = told(keyturn, grant)
    assert {"signed_up", "password_changed", "logged_in"} == {name for name, _ in before}
    for _ in range(2 * SHOWN):
        former, grant = grant, refresh(keyturn.services, grant)
        refresh(keyturn.services, former, ELSEWHERE)
        assert told(keyturn, grant) == before
        keyturn.clock.advance(60)
    assert keyturn.audit.names().count("refresh_from_elsewhere") == 2 * SHOWN
    assert keyturn.clock.now() < START + LATE


@BOTH
@pytest.mark.parametrize("event", ["password_changed", "identity_linked", "identity_unlinked", "account_disabled"])
def test_event_that_changes_who_may_get_in_stays_on_the_list(make_store: Callable[[], Store], event: str) -> None:
    """A hundred logins and logouts after it push others off, and not this one: only its like displace it."""
    keyturn = chronicled(make_store())
    grant = sign_up(keyturn.services)
    keyturn.audit.record(event, CLIENT, sub=grant.account.sub)
    for _ in range(SHOWN):
        keyturn.clock.advance(300)
        log_out(keyturn.services, log_in(keyturn.services))
    listed = told(keyturn, grant)
    assert len(listed) == SHOWN
    assert listed[-1] == (event, START)


@BOTH
@pytest.mark.parametrize("event", sorted(name for name, kind in EVENTS.items() if kind.changes_access))
def test_alarms_of_a_thief_hide_no_change_of_who_may_get_in(make_store: Callable[[], Store], event: str) -> None:
    """One living refresh token makes an alarm with each request: fifty of them leave a linked identity on the list."""
    keyturn = chronicled(make_store())
    grant = sign_up(keyturn.services)
    keyturn.audit.record(event, CLIENT, sub=grant.account.sub)
    keyturn.clock.advance(30)
    grant = refresh(keyturn.services, grant)
    for _ in range(SHOWN):
        refresh(keyturn.services, grant, ELSEWHERE)
    assert keyturn.audit.names().count("refresh_from_elsewhere") == SHOWN
    keyturn.clock.advance(LATE)
    listed = told(keyturn, log_in(keyturn.services))
    assert [name for name, _ in listed].count("refresh_from_elsewhere") == SHOWN - 1
    assert len(listed) == SHOWN
    assert listed[-1] == (event, START)
