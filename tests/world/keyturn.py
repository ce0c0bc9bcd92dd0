"""Keyturn over stand-ins for the world: everything is real but the clock, the log and the parameter store."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.crypto.keyring import KeyRing
from chalicelib.functions import api
from chalicelib.services.sessions.authorization import Authorization, principal_of
from chalicelib.settings.config import Config
from chalicelib.settings.guards import GuardSettings
from chalicelib.settings.limits import LimitSettings
from chalicelib.settings.pages import PageSettings
from chalicelib.settings.passwords import PasswordSettings
from chalicelib.settings.sessions import SessionSettings
from tests.world.clock import FrozenClock
from tests.world.constants import CLIENT, ORIGIN, PAGE
from tests.world.parameters import GROUPS, PREFIX, MemoryParameters, parameters_with_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.access_tokens import AccessTokenClaims
    from chalicelib.domain.callers import Caller, Principal
    from chalicelib.ports import IdentityProvider, TokenSource
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store


class ChosenSessions:
    """ports.TokenSource for new sessions: random, but whether a login looks for sessions beyond the bound is chosen.

    One login in sixteen looks, by the first byte of the session's id: a test of anything else must not depend on that.
    """

    def __init__(self, *, look: bool = False) -> None:
        self._first = 0 if look else 1

    def token(self, size: int) -> bytes:
        """Random bytes, of which the lowest four bits of the first one are chosen."""
        drawn = os.urandom(size)
        return bytes([drawn[0] & 0xF0 | self._first]) + drawn[1:]


@dataclass
class RecordingAudit:
    """Keeps what was recorded."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def record(self, event: str, caller: Caller, **facts: str | int | bool) -> None:
        """Keep the event."""
        self.events.append((event, {"caller": caller, **facts}))

    def names(self) -> list[str]:
        """The events' names, in order."""
        return [name for name, _ in self.events]


GROUPS_OF_SETTINGS: dict[str, Any] = {
    "sessions": SessionSettings,
    "pages": PageSettings,
    "passwords": PasswordSettings,
    "limits": LimitSettings,
    "guards": GuardSettings,
}


def config(**settings: Any) -> Config:
    """Settings for tests, each by its own name, whatever its group: the cheap password hash, else as deployed."""
    given: dict[str, Any] = {
        "table": "keyturn-test",
        "issuer": "https://auth.example.com",
        "audience": "https://api.example.com",
        "parameters": PREFIX,
        "allowed_origins": frozenset({ORIGIN}),
        "argon2_profile": "testing",
        "return_to": frozenset({PAGE}),
        **settings,
    }
    groups = {
        name: group(**{field: given.pop(field) for field in group._fields if field in given})
        for name, group in GROUPS_OF_SETTINGS.items()
    }
    return Config(**given, **groups)


@dataclass
class Keyturn:
    """Everything put together, as a container has it, over one store."""

    store: Store
    clock: FrozenClock = field(default_factory=FrozenClock)
    parameters: MemoryParameters = field(default_factory=parameters_with_keys)
    audit: RecordingAudit = field(default_factory=RecordingAudit)
    config: Config = field(default_factory=config)
    providers: Mapping[str, IdentityProvider] = field(default_factory=dict)
    source: TokenSource = field(default_factory=ChosenSessions)

    def __post_init__(self) -> None:
        self.services: Services = self.container()

    def container(self) -> Services:
        """A cold container's services over the same world: it knows nothing that is not in the table."""
        keyring = KeyRing(self.parameters, PREFIX, self.clock, groups=GROUPS)
        services = api.compose(self.config, keyring, self.store, self.providers, self.clock, self.audit)
        choose_sessions(services, self.source)
        return services

    def authorization(self) -> Authorization:
        """A cold authorizer container."""
        return Authorization(
            self.services.access_tokens,
            self.store,
            self.clock,
            self.audit,
            role_scopes=self.config.sessions.role_scopes,
        )

    def authorize(self, access_token: str | None) -> AccessTokenClaims:
        """What the authorizer says to this token now, or to none."""
        return self.authorization().authorize(access_token or "")

    def principal(self, access_token: str | None) -> Principal:
        """Whom a guarded handler would be given for this token."""
        return principal_of(self.authorize(access_token))

    def enter(self, grant: Grant, client: Caller = CLIENT) -> Principal:
        """Whom a guarded handler would be given for this grant's session cookie."""
        assert grant.refresh is not None
        presented = self.services.refresh_tokens.decode(grant.refresh.refresh_token, "session")
        return self.authorization().authorize_session(presented, client)


def choose_sessions(services: Services, source: TokenSource) -> None:
    """Have the source name the sessions that begin."""
    new_sessions = services.log_in.new_sessions
    new_sessions.around = new_sessions.around._replace(source=source)
