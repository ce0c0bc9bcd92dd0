"""Containers as far as their keys go: a key ring over a parameter store and a clock."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.crypto.keyring import KeyRing
from chalicelib.errors import ConfigurationError
from infra import keys as infra_keys
from tests.world.clock import FrozenClock
from tests.world.parameters import GROUPS, PREFIX, MemoryParameters, parameters_with_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

PUBLIC = f"{PREFIX}/public"
SESSIONS = f"{PREFIX}/sessions"
LOGINS = f"{PREFIX}/logins"
WITHDRAWN = f"{PREFIX}/withdrawn"


class AskedParameters(MemoryParameters):
    """A parameter store that remembers which parameters each call asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[set[str]] = []

    def fetch(self, names: Iterable[str]) -> Mapping[str, str]:
        """Values by name."""
        self.asked.append({*names})
        return super().fetch(names)


class Container:
    """A key ring over a parameter store and a clock."""

    def __init__(self, groups: Collection[str] = GROUPS) -> None:
        self.clock = FrozenClock()
        self.parameters = AskedParameters()
        self.parameters.values |= parameters_with_keys().values
        self.ring = KeyRing(self.parameters, PREFIX, self.clock, groups=groups)

    @property
    def kid(self) -> str:
        """The id of the key that `parameters_with_keys` holds."""
        return self.published()[0]["kid"]  # type: ignore[no-any-return]  # JSON

    def published(self) -> list[dict[str, Any]]:
        """The public set's entries."""
        return json.loads(self.parameters.values[PUBLIC])["keys"]  # type: ignore[no-any-return]  # JSON

    def publish(self, entries: list[dict[str, Any]]) -> None:
        """Replace the public set."""
        self.parameters.values[PUBLIC] = json.dumps({"keys": entries})

    def rotate(self, *, leaked: bool = False) -> None:
        """What `make rotate-keys` does."""
        renew = infra_keys.replace if leaked else infra_keys.rotate
        renew(self.parameters, PREFIX, "ES256", self.clock.now())  # type: ignore[arg-type]  # what it calls of boto3's client

    def set_secrets(self, *secrets: object, name: str = SESSIONS) -> None:
        """Replace the root-secret set of one group."""
        self.parameters.values[name] = json.dumps({"secrets": list(secrets)})


def refusal(read: Callable[[], object]) -> str:
    """The message of the ConfigurationError that reading raises; it names the remedy."""
    with pytest.raises(ConfigurationError) as raised:
        read()
    assert re.search("make deploy|make rotate-keys", raised.value.debug)
    return raised.value.debug
