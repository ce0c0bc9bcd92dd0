"""Stand-ins for the world, and Keyturn over them: everything real but the clock, the log and the key store."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalicelib.crypto.keyring import KeyRing
from chalicelib.crypto.keys import LOGINS, SESSIONS
from chalicelib.domain.callers import Caller
from chalicelib.domain.moments import Moment
from chalicelib.errors import Unavailable
from chalicelib.functions import api
from chalicelib.services.sessions.authorization import Authorization, principal_of
from chalicelib.settings.config import Config
from chalicelib.settings.guards import GuardSettings
from chalicelib.settings.limits import LimitSettings
from chalicelib.settings.pages import PageSettings
from chalicelib.settings.passwords import PasswordSettings
from chalicelib.settings.sessions import SessionSettings
from infra import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.domain.access_tokens import AccessTokenClaims
    from chalicelib.domain.callers import Principal
    from chalicelib.ports import IdentityProvider, TokenSource
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store

START = 1_800_000_000  # a moment at which every test's clock stands
PREFIX = "/keyturn/test"
GROUPS = (SESSIONS, LOGINS)  # of root secrets: the API's function reads both
ORIGIN = "https://app.example.com"
PAGE = f"{ORIGIN}/welcome"
PASSWORD = "correct horse battery"
CLIENT = Caller(address="192.0.2.1", user_agent="tests", request_id="request-1")


class FrozenClock:
    """Clocks that move when told to: together, or the wall clock or the steady clock alone."""

    def __init__(self, now: int = START) -> None:
        self.time = now
        self.steady_ahead = 0.0

    def now(self) -> int:
        """The time it was set to."""
        return self.time

    def moment(self) -> Moment:
        """The time it was set to, by both clocks."""
        return Moment(self.now(), self.now() + self.steady_ahead)

    def advance(self, seconds: int) -> None:
        """Time passes."""
        self.time += seconds

    def step(self, seconds: int) -> None:
        """The wall clock is corrected by so many seconds, or back where they are negative. No time passes."""
        self.time += seconds
        self.steady_ahead -= seconds

    def sleep(self, seconds: int) -> None:
        """Time passes while the container is frozen, and its steady clock with it."""
        self.step(seconds)


class MemoryParameters:
    """A parameter store in memory: ports.ParameterSource, and of boto3's client what infra/keys.py calls."""

    class exceptions:  # noqa: N801  # boto3's name
        """boto3 keeps a client's exceptions here."""

        class ParameterNotFound(Exception):  # boto3's name
            """No such parameter."""

        class ParameterVersionNotFound(Exception):  # boto3's name
            """The parameter has no such version, or no longer."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._versions: dict[str, list[str]] = {}
        self.away = False
        self.fetches = 0

    def fetch(self, names: Iterable[str]) -> Mapping[str, str]:
        """Values by name."""
        self.fetches += 1
        if self.away:
            raise Unavailable(debug="parameter store: away")
        return {name: self.values[name] for name in names if name in self.values}

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803  # boto3's names
        """As boto3's SSM client."""
        assert WithDecryption
        name, _, version = Name.partition(":")
        if name not in self.values:
            raise self.exceptions.ParameterNotFound
        versions = self._versions_of(name)
        if not version:
            return {"Parameter": {"Value": self.values[name], "Version": len(versions)}}
        if int(version) > len(versions):
            raise self.exceptions.ParameterVersionNotFound
        return {"Parameter": {"Value": versions[int(version) - 1], "Version": int(version)}}

    def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool = False) -> dict[str, Any]:  # noqa: N803
        """As boto3's SSM client."""
        assert Overwrite or Name not in self.values
        assert Type in {"String", "SecureString"}
        assert len(Value) <= 4096, "a standard parameter holds 4 KiB"
        versions = self._versions_of(Name)
        versions.append(Value)
        self.values[Name] = Value
        return {"Version": len(versions)}

    def _versions_of(self, name: str) -> list[str]:
        """The values that the parameter has had; a value that a test put there by itself is a version too."""
        versions = self._versions.setdefault(name, [])
        if name not in self.values:
            versions.clear()
        elif not versions or versions[-1] != self.values[name]:
            versions.append(self.values[name])
        return versions

    def get_paginator(self, operation: str) -> MemoryParameters:
        """As boto3's SSM client, for the one operation that is called."""
        assert operation == "get_parameters_by_path"
        return self

    def paginate(self, *, Path: str) -> list[dict[str, Any]]:  # noqa: N803  # boto3's names
        """One page of everything under the path."""
        return [{"Parameters": [{"Name": name} for name in self.values if name.startswith(f"{Path}/")]}]

    def delete_parameter(self, *, Name: str) -> None:  # noqa: N803
        """As boto3's SSM client."""
        if Name not in self.values:
            raise self.exceptions.ParameterNotFound
        del self.values[Name]


@lru_cache
def key_documents(algorithm: str) -> dict[str, str]:
    """One set of keys for each algorithm and test process: an RSA key takes its time."""
    parameters = MemoryParameters()
    keys.ensure(parameters, PREFIX, algorithm, START - 3600)  # type: ignore[arg-type]  # the part of boto3's client it calls
    return parameters.values


def parameters_with_keys(algorithm: str = "ES256") -> MemoryParameters:
    """A parameter store with a key set of this algorithm. ES256 unless a test is about RSA: it signs faster."""
    parameters = MemoryParameters()
    parameters.values |= key_documents(algorithm)
    return parameters


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


def wall_clock() -> FrozenClock:
    """A clock that stands at the machine's time, for engines that look at expiry themselves."""
    return FrozenClock(int(time.time()))
