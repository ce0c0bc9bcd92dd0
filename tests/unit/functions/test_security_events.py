"""The catalogue of events: every one that code records, no other, and what docs/events.md says of each."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from chalicelib.domain.events import EVENTS, KEPT, RANKS, SHOWN_FACTS, Kind, Rank
from chalicelib.services.security_events import SHOWN, SecurityEvents
from infra.deploy import LOGS_KEPT
from tests.flows.steps import sign_up
from tests.store.samples import an_event
from tests.world.clock import START, FrozenClock
from tests.world.keyturn import Keyturn
from tests.world.store import FakeStore

ROOT = Path(__file__).resolve().parents[3]
RESERVED = {"time", "event", "outcome", "request_id", "address", "user_agent", "client", "_aws", "FunctionName"}


def records() -> list[ast.Call]:
    """Every call of AuditLog.record in the product."""
    calls = [
        node
        for path in sorted((ROOT / "chalicelib").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record"
    ]
    assert len(calls) > 20
    return calls


def test_catalogue_is_what_is_recorded() -> None:
    """Each call names its event itself, and the two lists are one."""
    names = [call.args[0].value if isinstance(call.args[0], ast.Constant) else ast.unparse(call) for call in records()]
    assert set(names) == set(EVENTS)


def test_no_fact_takes_the_place_of_what_every_line_says() -> None:
    """Who, when and what of a line are not a caller's to overwrite, nor a metric."""
    facts = {keyword.arg for call in records() for keyword in call.keywords if keyword.arg}
    assert not facts & (RESERVED | {kind.metric for kind in EVENTS.values()})
    assert not set(SHOWN_FACTS.values()) & RESERVED


def test_owner_sees_what_is_about_the_account() -> None:
    """What takes no account, or a leaked key, is not shown; a change of a way in always is (ASVS V6.3.7)."""
    shown = {name for name, kind in EVENTS.items() if kind.shown}
    assert shown >= {
        *("logged_in", "login_refused", "password_changed", "password_change_refused", "logged_out_everywhere"),
        *("refresh_token_reused", "identity_linked", "identity_unlinked", "account_taken_over", "account_disabled"),
    }
    assert not shown & {"refresh_token_forged", "session_cookie_forged", "guard_refused", "unexpected_error"}


def test_alarms_and_our_own_faults_are_metrics() -> None:
    """What an attack looks like can be alarmed on, without exception."""
    assert [name for name, kind in EVENTS.items() if kind.outcome == "alarm" and not kind.metric] == []
    metrics = {kind.metric for kind in EVENTS.values()} - {None}
    assert metrics >= {"RefreshTokenReused", "TooManyAttempts", "PasswordChanged", "UnexpectedError"}
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", str(metric)) for metric in metrics)


def test_document_lists_them() -> None:
    """docs/events.md has one line for each, with outcome, owner and metric as the catalogue has them."""
    text = (ROOT / "docs/events.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| (`\w+`|\S) \| \S.* \|$", text, re.MULTILINE)
    listed = {name: (outcome, owner, metric[1:-1] or None) for name, outcome, owner, metric in rows}
    assert len(listed) == len(rows)
    assert listed == {name: (kind.outcome, seen_by_owner(kind), kind.metric) for name, kind in EVENTS.items()}


def seen_by_owner(kind: Kind) -> str:
    """How the page says whether and when the owner sees it, and that it is a change of access."""
    if not kind.shown:
        return "\u2013"
    late = f", {kind.shown_after // 3600} h late" if kind.shown_after else ""
    return f"yes{late}{', access' if kind.changes_access else ''}"


def test_events_of_refreshing_are_shown_two_hours_late() -> None:
    """Each that tells when the key was turned, and no other: theft ends the session, and is told at once."""
    late = {name for name, kind in EVENTS.items() if kind.shown_after}
    refreshing = {name for name in EVENTS if name.startswith("refresh_") and EVENTS[name].shown}
    assert late == refreshing - {"refresh_token_reused"}
    assert {EVENTS[name].shown_after for name in late} == {7200}


def test_ranks() -> None:
    """Changes of who may get in, also where they are alarms; then alarms, and a login, which anybody can repeat."""
    ranked = {rank: {name for name, kind in EVENTS.items() if kind.rank == rank} for rank in RANKS}
    alarms = {name for name, kind in EVENTS.items() if kind.outcome == "alarm"}
    assert ranked["access"] == {
        *("password_changed", "account_disabled", "identity_linked", "identity_unlinked"),
        *("account_taken_over", "account_may_be_taken_over", "access_may_have_changed"),
    }
    assert ranked["alarm"] == alarms - ranked["access"]
    assert set().union(*ranked.values()) == set(EVENTS)


def test_events_are_kept_as_long_as_the_log() -> None:
    """The table shows nothing that the log does not have any more."""
    assert KEPT == LOGS_KEPT * 86400


def test_owner_reads_the_last_fifty_that_have_not_expired() -> None:
    """The newest first; the table's TTL may lag behind."""
    keyturn = Keyturn(FakeStore())
    principal = keyturn.principal(sign_up(keyturn.services).access_token)
    events = [an_event(principal.sub, at=START - 60 + second) for second in range(60)]
    keyturn.store.record_events(events)
    listed = SecurityEvents(keyturn.store, keyturn.clock).list(principal)
    assert listed == events[: -SHOWN - 1 : -1]
    assert len(listed) == SHOWN == 50


def test_owner_reads_all_ranks_in_the_order_of_time() -> None:
    """An old one is on the list beside the last of the others, and stands where its time belongs."""
    keyturn = Keyturn(FakeStore())
    principal = keyturn.principal(sign_up(keyturn.services).access_token)
    keyturn.clock.advance(60)
    change = an_event(principal.sub, at=START, event="identity_linked", rank="access")
    others = [an_event(principal.sub, at=START + second) for second in range(1, 60)]
    between = an_event(principal.sub, at=START + 40, id="0", outcome="alarm", rank="alarm")
    keyturn.store.record_events([change, *others, between])
    listed = SecurityEvents(keyturn.store, keyturn.clock).list(principal)
    assert listed == [*others[:38:-1], between, *others[38:10:-1], change]
    assert len(listed) == SHOWN


@pytest.mark.parametrize("rank", ["alarm", "other"])
def test_neither_alarms_nor_others_displace_a_change_of_access(rank: Rank) -> None:
    """However many come after it: a thief can make both at will."""
    keyturn = Keyturn(FakeStore())
    principal = keyturn.principal(sign_up(keyturn.services).access_token)
    keyturn.clock.advance(600)
    change = an_event(principal.sub, at=START, event="identity_linked", rank="access")
    flood = [an_event(principal.sub, at=START + 1 + second, rank=rank) for second in range(SHOWN)]
    keyturn.store.record_events([change, *flood])
    assert SecurityEvents(keyturn.store, keyturn.clock).list(principal) == [*flood[:0:-1], change]


@pytest.mark.parametrize(("changes", "alarms", "others"), [(60, 60, 60), (50, 1, 1), (20, 60, 60), (20, 20, 60)])
def test_changes_of_access_displace_alarms_and_others(changes: int, alarms: int, others: int) -> None:
    """And alarms displace others, also newer ones; within a rank the last ones stay."""
    keyturn = Keyturn(FakeStore())
    principal = keyturn.principal(sign_up(keyturn.services).access_token)
    keyturn.clock.advance(600)
    access = [an_event(principal.sub, at=START + second, rank="access") for second in range(changes)]
    alarm = [an_event(principal.sub, at=START + 100 + second, rank="alarm") for second in range(alarms)]
    other = [an_event(principal.sub, at=START + 200 + second) for second in range(others)]
    keyturn.store.record_events([*access, *alarm, *other])
    chosen = [*reversed(access), *reversed(alarm), *reversed(other)][:SHOWN]
    listed = SecurityEvents(keyturn.store, keyturn.clock).list(principal)
    assert listed == sorted(chosen, key=lambda event: event.at, reverse=True)


def test_expired_event_takes_no_place() -> None:
    """The table's TTL lags by days: a change of access that is over displaces no alarm meanwhile."""
    keyturn = Keyturn(FakeStore())
    principal = keyturn.principal(sign_up(keyturn.services).access_token)
    keyturn.clock.advance(600)
    over = [an_event(principal.sub, at=START + second, rank="access", expires_at=START) for second in range(SHOWN)]
    alarm = an_event(principal.sub, at=START + 100, rank="alarm")
    keyturn.store.record_events([*over, alarm])
    assert SecurityEvents(keyturn.store, keyturn.clock).list(principal) == [alarm]


@pytest.mark.parametrize("rank", RANKS)
def test_event_that_is_not_shown_yet_changes_nothing(*, rank: Rank) -> None:
    """It is neither listed nor displaces anything until its time; then it stands at the time at which it happened."""
    keyturn = Keyturn(FakeStore())
    principal = keyturn.principal(sign_up(keyturn.services).access_token)
    services = SecurityEvents(keyturn.store, keyturn.clock)
    before = [an_event(principal.sub, at=START - second, rank=rank) for second in range(SHOWN)]
    keyturn.store.record_events(before)
    late = [an_event(principal.sub, at=START, id=f"~{number}", shown_at=START + 7200, rank=rank) for number in range(9)]
    after = an_event(principal.sub, at=START + 10, rank=rank)
    keyturn.store.record_events(late)
    for seconds in (0, 1, 3599, 3599):
        keyturn.clock.advance(seconds)
        assert services.list(principal) == before
    keyturn.clock.advance(1)
    keyturn.store.record_events([after])
    assert services.list(principal) == [after, *reversed(late), *before[: SHOWN - 10]]


@pytest.mark.parametrize(("later", "seen"), [(-1, True), (0, False), (1, False)])
def test_expired_events_are_not_shown(later: int, *, seen: bool) -> None:
    """From the second on at which they expire."""
    keyturn = Keyturn(FakeStore())
    principal = keyturn.principal(sign_up(keyturn.services).access_token)
    event = an_event(principal.sub)
    keyturn.store.record_events([event])
    services = SecurityEvents(keyturn.store, FrozenClock(event.expires_at + later))
    assert services.list(principal) == ([event] if seen else [])
