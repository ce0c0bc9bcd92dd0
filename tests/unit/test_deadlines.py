"""The request's time and a provider's: two budgets, neither at the other's cost."""

from __future__ import annotations

import math

import pytest

from chalicelib import deadline


class Stopwatch:
    """The machine's stopwatch, moved by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        """As time.monotonic."""
        return self.time


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    """A stopwatch that stands."""
    stopwatch = Stopwatch()
    monkeypatch.setattr("chalicelib.deadline.time.monotonic", stopwatch)
    return stopwatch


def test_time_at_a_provider_is_not_the_requests(stopwatch: Stopwatch) -> None:
    """What a provider takes is not missing afterwards for what the request itself depends on."""
    with deadline.request():
        stopwatch.time += 0.5
        with deadline.outside():
            assert deadline.remaining() == pytest.approx(deadline.PROVIDER_SECONDS)
            stopwatch.time += 2.0
        assert deadline.remaining() == pytest.approx(deadline.REQUEST_SECONDS - 0.5)
    assert deadline.remaining() == math.inf


def test_a_providers_time_is_one_for_the_request(stopwatch: Stopwatch) -> None:
    """A provider that is slow each time that it is asked gets no more time than one that is slow once."""
    for _ in range(2):  # requests
        with deadline.request():
            for left in (2.3, 1.3, 0.3):
                with deadline.outside():
                    assert deadline.remaining() == pytest.approx(left)
                    stopwatch.time += 1.0
            with deadline.outside():
                assert deadline.remaining() == pytest.approx(-0.7)
    with deadline.outside():  # outside of a request
        stopwatch.time += 1.0
    with deadline.outside():
        assert deadline.remaining() == pytest.approx(2.3)


def test_time_at_a_provider_is_given_back_after_an_error(stopwatch: Stopwatch) -> None:
    """A provider that hung leaves the request what it had."""

    def hang() -> None:
        with deadline.outside():
            stopwatch.time += 2.3
            raise TimeoutError

    with deadline.request():
        with pytest.raises(TimeoutError):
            hang()
        assert deadline.remaining() == pytest.approx(deadline.REQUEST_SECONDS)


def test_budgets_inside_a_providers(stopwatch: Stopwatch) -> None:
    """Inside a provider's time a shorter one can be set, and not a longer one."""
    with deadline.start(0.1), deadline.outside():
        with deadline.start(1.1):
            assert deadline.remaining() == pytest.approx(1.1)
        stopwatch.time += 2.0
        with deadline.start(1.1):
            assert deadline.remaining() == pytest.approx(0.3)


def test_together_they_stay_within_what_is_promised() -> None:
    """A request that waits for both as long as it may is answered within 5 s."""
    assert deadline.REQUEST_SECONDS + deadline.PROVIDER_SECONDS < 5
