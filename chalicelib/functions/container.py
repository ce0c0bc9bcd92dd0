"""What the functions of a container are made of: settings, keys, the table, the clock and the log, at the first need.

A failure is not remembered: the next request asks again.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.audit import JsonAuditLog
from chalicelib.aws.session import new_session
from chalicelib.clock import SystemClock
from chalicelib.settings.config import Config
from chalicelib.store.calls import make_client as make_dynamodb_client
from chalicelib.store.dynamodb import DynamoDBStore

if TYPE_CHECKING:
    from collections.abc import Collection

    from chalicelib.crypto.keyring import KeyRing
    from chalicelib.ports import AuditLog, Clock, ParameterSource
    from chalicelib.store.protocol import Store

clock: Clock = SystemClock()
audit: AuditLog = JsonAuditLog(clock)


class Parts(NamedTuple):
    """What a function that checks credentials is composed from."""

    config: Config
    parameters: ParameterSource
    keys: KeyRing
    store: Store


@lru_cache(maxsize=1)
def config() -> Config:
    """The settings. ConfigurationError where one is missing or wrong."""
    return Config.from_env(os.environ)


def parts(groups: Collection[str]) -> Parts:
    """The parts, with the root secrets of these groups and no other. ConfigurationError; nothing is asked yet."""
    # Here, because chronicle needs neither keys nor parameters, and would load cryptography for them.
    from chalicelib.aws.parameters import SystemsManagerParameters, make_client  # noqa: PLC0415
    from chalicelib.crypto.keyring import KeyRing  # noqa: PLC0415

    settings, session = config(), new_session()
    parameters = SystemsManagerParameters(make_client(session))
    keys = KeyRing(parameters, settings.parameters, clock, groups=groups)
    return Parts(settings, parameters, keys, DynamoDBStore(make_dynamodb_client(session), settings.table))


def table() -> Store:
    """The table alone. ConfigurationError; nothing is asked yet."""
    settings = config()
    return DynamoDBStore(make_dynamodb_client(new_session()), settings.table)
