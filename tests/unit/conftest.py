"""What several unit tests begin with."""

from __future__ import annotations

import pytest

from tests.unit.key_containers import Container


@pytest.fixture
def container() -> Container:
    """A cold container of the API's function."""
    return Container()
