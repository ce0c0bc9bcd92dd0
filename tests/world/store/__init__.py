"""The store's Protocol in memory, for tests of what stands above it. tests/store holds it to the same contract."""

from __future__ import annotations

from tests.world.store.accounts import FakeAccounts
from tests.world.store.denials import FakeDenials
from tests.world.store.events import FakeEvents
from tests.world.store.identities import FakeIdentities
from tests.world.store.limits import FakeLimits
from tests.world.store.once import FakePendingLogins
from tests.world.store.sessions import FakeSessions


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
