"""The store's Protocol in memory, for tests of what stands above it. tests/store holds it to the same contract."""

from __future__ import annotations

from tests.fakes_store.accounts import FakeAccounts
from tests.fakes_store.denials import FakeDenials
from tests.fakes_store.events import FakeEvents
from tests.fakes_store.identities import FakeIdentities
from tests.fakes_store.limits import FakeLimits
from tests.fakes_store.once import FakePendingLogins
from tests.fakes_store.sessions import FakeSessions


class FakeStore(
    FakeAccounts,
    FakeIdentities,
    FakeSessions,
    FakeDenials,
    FakeEvents,
    FakeLimits,
    FakePendingLogins,
):
    """Each verb happens as a whole or not at all, under one lock. Repeated, it says that it is done."""
