"""The function `chronicle`: lines of our own log become events, each once, and nothing else does."""

from __future__ import annotations

import base64
import gzip
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import deadline
from chalicelib.audit import JsonAuditLog
from chalicelib.domain.callers import Caller
from chalicelib.domain.events import EVENTS, KEPT, RANKS
from chalicelib.errors import Unavailable
from chalicelib.functions import chronicle
from infra.local.events import delivery
from tests.world.clock import START, FrozenClock
from tests.world.constants import CLIENT
from tests.world.faults import FaultyStore
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.events import SecurityEvent

SUB = "s" * 22
LOG_ID = "3" * 56
FUNCTIONS = Path(__file__).resolve().parents[3] / ".chalice/config.json"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    """The table that `chronicle` writes to."""
    store = FakeStore()
    monkeypatch.setattr(chronicle, "table", lambda: store)
    return store


def line_of(event: str = "logged_in", client: Caller = CLIENT, **facts: str | int | bool) -> str:
    """What the log writes."""
    lines: list[str] = []
    JsonAuditLog(FrozenClock(), lines.append).record(event, client, **facts)
    (line,) = lines
    return line


def kept(store: FakeStore, *lines: str) -> list[SecurityEvent]:
    """What comes of a delivery of these lines."""
    chronicle.keep(delivery((f"{number:056d}", line) for number, line in enumerate(lines)), None)
    return list(store.events.values())


def packed(contents: bytes) -> dict[str, Any]:
    """A delivery of any content."""
    return {"awslogs": {"data": base64.b64encode(gzip.compress(contents)).decode()}}


def test_owner_gets_what_the_line_says(store: FakeStore) -> None:
    """Who, when, what, from where, by what and why; facts under the owner's names; ninety days."""
    line = line_of("session_ended", sub=SUB, sid="other", by="user", jti="not for owners", why="x")
    (event,) = kept(store, line)
    assert (event.sub, event.at, event.expires_at) == (SUB, START, START + KEPT)
    assert (event.event, event.outcome) == ("session_ended", "success")
    assert (event.request_id, event.address, event.user_agent) == ("request-1", "192.0.2.1", "tests")
    assert event.facts == {"session_id": "other", "by": "user", "why": "x"}


@pytest.mark.parametrize("name", EVENTS)
def test_every_kind_goes_where_the_catalogue_says(store: FakeStore, name: str) -> None:
    """Shown kinds are kept, also those with a metric; the others are not."""
    events = kept(store, line_of(name, sub=SUB))
    assert [event.event for event in events] == ([name] if EVENTS[name].shown else [])
    assert [event.outcome for event in events] == ([EVENTS[name].outcome] if EVENTS[name].shown else [])
    assert [event.at for event in events] == ([START] if EVENTS[name].shown else [])


@pytest.mark.parametrize("name", sorted(name for name, kind in EVENTS.items() if kind.shown))
def test_what_tells_of_a_refresh_is_shown_two_hours_later(store: FakeStore, name: str) -> None:
    """Otherwise a thief could come inside the window for ever. Theft, which ends the session, is shown at once."""
    late = name.startswith("refresh_") and name != "refresh_token_reused"
    kept(store, line_of(name, sub=SUB))
    for now, seen in ((START - 1, False), (START, not late), (START + 7199, not late), (START + 7200, True)):
        lists = [store.list_events(SUB, rank=rank, now=now, limit=50) for rank in RANKS]
        assert [len(found) for found in lists].count(1) == seen, now


@pytest.mark.parametrize("name", sorted(name for name, kind in EVENTS.items() if kind.shown))
def test_each_kind_is_kept_in_the_range_of_its_rank(store: FakeStore, name: str) -> None:
    """50 logouts leave every alarm in place, and 50 alarms every change of who may get in."""
    changes = {"password_changed", "account_disabled", "identity_linked", "identity_unlinked"}
    changes |= {"account_taken_over", "account_may_be_taken_over", "access_may_have_changed"}
    (event,) = kept(store, line_of(name, sub=SUB))
    assert event.rank == ("access" if name in changes else "alarm" if event.outcome == "alarm" else "other")
    others = {"access": "password_changed", "alarm": "refresh_from_elsewhere", "other": "logged_out"}
    del others[event.rank]
    kept(store, *(line_of(other, sub=SUB) for other in others.values() for _ in range(60)))
    assert store.list_events(SUB, rank=event.rank, now=START + 7200, limit=50) == (event,)


def test_event_that_names_nobody_is_nobodys(store: FakeStore) -> None:
    """A refused login at an unknown address leaves nothing in the table."""
    assert kept(store, line_of("login_refused", why="unknown_address")) == []


def test_delivery_that_comes_again_adds_nothing(store: FakeStore) -> None:
    """As Lambda and CloudWatch may do at any time."""
    lines = [line_of(sub=SUB), line_of("logged_out", sub=SUB)]
    first = kept(store, *lines)
    assert len(first) == 2
    assert kept(store, *lines) == first


def test_events_of_one_second_and_request_keep_their_order(store: FakeStore) -> None:
    """They are told apart by CloudWatch's ids, which grow."""
    kept(store, *(line_of("session_ended", sub=SUB, sid=str(number)) for number in range(12)))
    listed = store.list_events(SUB, rank="other", now=START, limit=50)
    assert [event.facts["session_id"] for event in listed] == [str(number) for number in reversed(range(12))]


def test_table_that_is_away_fails_the_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that Lambda asks again; then the events are there, once."""
    faulty = FaultyStore(FakeStore())
    faulty.fail_after("record_events")
    monkeypatch.setattr(chronicle, "table", lambda: faulty)
    event = delivery([(LOG_ID, line_of(sub=SUB))])
    with pytest.raises(Unavailable):
        chronicle.keep(event, None)
    chronicle.keep(event, None)
    assert len(faulty.list_events(SUB, rank="other", now=START, limit=50)) == 1


def test_waiting_for_the_table_ends_before_the_function_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery that the table does not take fails by itself, and says so, before Lambda stops the function."""
    left: list[float] = []

    class Timed(FakeStore):
        def record_events(self, events: Sequence[SecurityEvent]) -> None:
            left.append(deadline.remaining())
            super().record_events(events)

    store = Timed()
    monkeypatch.setattr(chronicle, "table", lambda: store)
    assert kept(store, line_of(sub=SUB))
    functions = json.loads(FUNCTIONS.read_text(encoding="utf-8"))["lambda_functions"]
    assert 0 < left[0] <= chronicle.SECONDS < functions["chronicle"]["lambda_timeout"]


LINE = json.loads(line_of(sub=SUB))
NOT_OURS: tuple[dict[str, Any], ...] = (
    {"sub": None},
    {"sub": ""},
    {"sub": "a#b"},
    {"sub": "s" * 65},
    {"sub": [SUB]},
    {"sub": SUB + "\n"},
    {"event": None},
    {"event": "nobody_knows"},
    {"event": ["logged_in"]},
    {"event": {}},
    {"time": None},
    {"time": START},
    {"time": "now"},
    {"time": "2027-01-15T08:00:00"},
)
NO_ENTRIES: tuple[Any, ...] = (
    *(None, {}, "text", [None], [[]], [{}]),
    *([{"id": 1, "message": "x"}], [{"id": "1"}]),
)
AGENTS = [
    '"}\n' + line_of(sub=SUB),
    "\r\n" + line_of(sub=SUB),
    "\u2028" + line_of(sub=SUB),
    '","event":"account_taken_over","sub":"' + SUB,
    '"}{"event":"logged_in","sub":"' + SUB + '"}',
    "\\",
    "\\u000a",
    "\x00\ud800",
]


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("event", ["login_refused", "token_refused"])
def test_callers_make_no_event(store: FakeStore, event: str, agent: str) -> None:
    """What a caller sends stays in its string: the line is one line, and names nobody that we did not name."""
    client = Caller(agent, agent, agent)
    assert line_of(event, client, why=agent).count("\n") == 1
    assert kept(store, *line_of(event, client, why=agent).splitlines()) == []
    (found,) = kept(store, line_of("login_refused", client, why=agent, sub=SUB))
    assert (found.sub, found.event) == (SUB, "login_refused")
    for text in (found.address, found.request_id, *found.facts.values()):
        assert len(text) <= 64
        assert text.encode()  # the table refuses a whole batch for one lone surrogate


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["{}", "[ERROR] {}", '{{"event":"logged_in","user_agent":"{}"}}']))
def test_text_beside_our_lines_is_no_event(text: str, form: str) -> None:
    """Whatever else comes to be printed: tracebacks, Lambda's own lines, other libraries'."""
    assert chronicle.event_of(LOG_ID, form.format(text)) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        '"text"',
        "{",
        "[" * 100_000,
        '{"a":' * 100_000,
        json.dumps(LINE),  # with blanks, as we do not write it
        " " + line_of(sub=SUB),
        line_of(sub=SUB) + "x",
        line_of(sub=SUB) * 2,
        line_of(sub=SUB).replace("{", '{"sub":"other",', 1),  # a member twice
        f"[ERROR] {line_of(sub=SUB)}",
        *(json.dumps({**LINE, **change}, separators=(",", ":")) for change in NOT_OURS),
    ],
    ids=range(27),
)
def test_line_that_we_did_not_write(line: str) -> None:
    """It is passed over, whatever is wrong with it."""
    assert chronicle.event_of(LOG_ID, line_of(sub=SUB)) is not None
    assert chronicle.event_of(LOG_ID, line) is None


@pytest.mark.parametrize("log_id", ["", "a#b", "x" * 65, "\n", "é"])
def test_id_that_is_none_of_cloudwatchs(log_id: str) -> None:
    """It becomes part of a key, and is passed over where it could be taken for more."""
    assert chronicle.event_of(log_id, line_of(sub=SUB)) is None


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-23:59", "1969-12-31T00:00:00+00:00"]
)
def test_any_time_makes_a_key(time: str) -> None:
    """Twelve digits, whatever a clock said."""
    event = chronicle.event_of(LOG_ID, json.dumps({**LINE, "time": time}, separators=(",", ":")))
    assert event
    assert 0 <= event.at < 10**12


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "text",
        {},
        {"awslogs": None},
        {"awslogs": {}},
        {"awslogs": {"data": None}},
        {"awslogs": {"data": ""}},
        {"awslogs": {"data": "no base64!"}},
        {"awslogs": {"data": "é"}},
        {"awslogs": {"data": base64.b64encode(b"no gzip").decode()}},
        {"awslogs": {"data": base64.b64encode(gzip.compress(b"{}")[:-9]).decode()}},
        {"awslogs": {"data": base64.b64encode(zlib.compress(b"{}")).decode()}},
        packed(b""),
        packed(b"\xff"),
        packed(b"[]"),
        packed(b"[" * 100_000),
        packed(b"{}"),
        packed(
            json.dumps(
                {"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": LOG_ID, "message": line_of(sub=SUB)}]}
            ).encode()
        ),
        *(packed(json.dumps({"messageType": "DATA_MESSAGE", "logEvents": entries}).encode()) for entries in NO_ENTRIES),
    ],
    ids=range(27),
)
def test_event_that_is_no_delivery(store: FakeStore, event: object) -> None:
    """Nothing is raised, because a second attempt would be no better, and nothing is written."""
    chronicle.keep(event, None)
    assert not store.events


def test_decompression_bomb_is_not_unpacked(store: FakeStore) -> None:
    """A line of ours before 64 MB of blanks: memory stays bounded and nothing is kept."""
    entries = json.dumps([{"id": LOG_ID, "message": line_of(sub=SUB)}])
    bomb = f'{{"messageType":"DATA_MESSAGE","logEvents":{entries}}}'.encode() + b" " * (64 * 1024 * 1024)
    chronicle.keep(packed(bomb), None)
    assert not store.events


def test_large_delivery_is_taken_whole(store: FakeStore) -> None:
    """As large as Lambda lets one be, of lines that hardly shrink."""
    lines = [line_of(client=Caller("192.0.2.1", os.urandom(80).hex(), str(number)), sub=SUB) for number in range(5000)]
    assert len(kept(store, *lines)) == 5000
