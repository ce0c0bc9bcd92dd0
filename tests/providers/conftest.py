"""What the room's tests begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.providers.party import Party

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def party() -> Iterator[Party]:
    """Google as it is configured, with a stand-in for it."""
    party = Party()
    with party.stand_in:
        yield party


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider is waited for 0.5 s, so that a test of one that hangs is quick."""
    monkeypatch.setattr("chalicelib.deadline.PROVIDER_SECONDS", 0.5)
