"""The list of breached passwords: what is asked, what is believed, and that nothing it does keeps anybody waiting."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from chalicelib import deadline
from chalicelib.crypto.passwords import breach_digest
from chalicelib.errors import PasswordRejected, ProviderError, Unavailable
from chalicelib.providers import breached
from chalicelib.providers.breached import BreachedPasswords
from tests.flows.steps import sign_up
from tests.providers.ranges import PATH, Ranges, digest
from tests.world.constants import CLIENT, PASSWORD
from tests.world.keyturn import Keyturn, config
from tests.world.misdeeds import Fault
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX, SUFFIX = digest(PASSWORD)[:5], digest(PASSWORD)[5:]
SLACK = 0.9  # what a loaded machine may take on top

# Good lines are believed whatever the answer calls itself: their form says more.
HARMLESS = {Fault.HTML_TYPE, Fault.NO_TYPE}


@pytest.fixture
def ranges() -> Iterator[Ranges]:
    """A list that has the tests' password."""
    with Ranges(PASSWORD) as ranges:
        yield ranges


def look_up(ranges: Ranges) -> frozenset[str]:
    """What a container learns of the range of the tests' password."""
    return BreachedPasswords(ranges.url + PATH).suffixes(PREFIX)


def signing_up(ranges: Ranges) -> Keyturn:
    """Keyturn, composed as it is deployed with this list."""
    return Keyturn(FakeStore(), config=config(breached_passwords=ranges.url + PATH))


def test_digest_is_the_lists() -> None:
    """The published example of the form: SHA-1 in capital hex digits of the UTF-8 text."""
    assert breach_digest("password") == "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8"  # pragma: allowlist secret
    assert breach_digest("pässwort") == digest("pässwort")


def test_breached_password_is_in_its_range(ranges: Ranges) -> None:
    """What was seen is told; what was not, and the padding that drowns the length, is not."""
    ranges.pad_with("another horse battery")
    suffixes = look_up(ranges)
    assert SUFFIX in suffixes
    assert len(suffixes) == 301
    other = digest("another horse battery")
    assert other[5:] not in BreachedPasswords(ranges.url + PATH).suffixes(other[:5])


def test_five_digits_leave(ranges: Ranges) -> None:
    """Nothing of the request tells more of the password than five hex digits, nor who it is for."""
    with pytest.raises(PasswordRejected):
        sign_up(signing_up(ranges).services)
    ((path, headers, form),) = ranges.requests
    assert path == f"{PATH}/{PREFIX}"
    assert re.fullmatch(r"[0-9A-F]{5}", PREFIX)
    assert form == {}
    assert headers.pop("Host") == ranges.url.removeprefix("http://")
    assert headers == {
        "Accept": "text/plain",
        "Accept-Encoding": "identity",
        "Add-Padding": "true",
        "User-Agent": "keyturn",
    }


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_list_that_fails_delays_nobody(ranges: Ranges, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it does instead of answering, sign-up goes on in time, the log tells it, and no redirect is followed."""
    ranges.faults[f"{PATH}/{PREFIX}"] = fault
    monkeypatch.setattr(breached, "SECONDS", 0.3)
    keyturn = signing_up(ranges)
    began = time.monotonic()
    if fault in HARMLESS:
        with pytest.raises(PasswordRejected):
            sign_up(keyturn.services)
    else:
        with deadline.request():
            sign_up(keyturn.services)
            assert deadline.remaining() > deadline.REQUEST_SECONDS - SLACK, "it took the table's time"
        event, facts = keyturn.audit.events[0]
        assert (event, facts["caller"]) == ("breach_lookup_failed", CLIENT)
        assert facts["why"]
        assert not re.search(f"{PREFIX}|{SUFFIX}|{PASSWORD}", str(facts["why"]), re.IGNORECASE)
    assert time.monotonic() - began < 0.3 + SLACK
    assert not [path for path in ranges.fetches if path.startswith("/elsewhere")]


def test_second_is_all_it_gets() -> None:
    """The look-up's own bound, and with our own time it ends within the 5 s of every request that asks outside."""
    assert breached.SECONDS == 1.0
    assert breached.SECONDS + deadline.REQUEST_SECONDS < 5


def test_spent_time_is_not_asked_for(ranges: Ranges) -> None:
    """Where the request has no time left for others' machines, none is asked."""
    with deadline.request():
        deadline._spent.set(deadline.PROVIDER_SECONDS)
        with pytest.raises(Unavailable):
            look_up(ranges)
    assert not ranges.fetches


GOOD = f"{SUFFIX}:1".encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        GOOD + b"\r\n\r\n" + GOOD,
        GOOD + b"\r\n<!doctype html>",
        GOOD[:-1],
        GOOD[:-2],
        GOOD[1:],
        b"0" + GOOD,
        b" " + GOOD,
        GOOD.replace(b":", b";"),
        GOOD.replace(b":1", b":-1"),
        GOOD.replace(b":1", b":1.0"),
        GOOD.replace(b":1", b":" + b"9" * 13),
        b"G" + GOOD[1:],
        "\u0661".encode() + GOOD[1:],
        b"\xff" * 41,
        b"{}",
    ],
    ids=str,
)
def test_nonsense_is_not_believed(ranges: Ranges, body: bytes) -> None:
    """An answer with anything but lines of the form, or without one, is no answer: a part of it could hide the rest."""
    ranges.body = body
    with pytest.raises(ProviderError):
        look_up(ranges)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_copies_may_differ_in_form(ranges: Ranges, end: str) -> None:
    """One's own copy may write small letters and other line ends."""
    ranges.body = f"{'0' * 35}:0\n{SUFFIX.lower()}:3{end}".encode()
    assert look_up(ranges) == {SUFFIX}
