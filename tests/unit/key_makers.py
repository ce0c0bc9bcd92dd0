"""The operator's key commands over a parameter store that lists what is written, and can die before any write."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.crypto.keyring import KeyRing
from chalicelib.crypto.keys import SESSIONS
from chalicelib.errors import Unavailable
from infra import keys
from infra.key_parameters import Names
from tests.world.clock import START, FrozenClock
from tests.world.parameters import GROUPS, PREFIX, MemoryParameters

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

NAMES = Names(PREFIX)
SETS = [NAMES.group(group) for group in GROUPS]


class Cut(Exception):
    """The process died here."""


class Recorder(MemoryParameters):
    """A parameter store that lists what is written, and dies when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[str, str]] = []  # name and type, or name and "deleted"
        self.dies_at: int | None = None

    def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool = False) -> dict[str, Any]:  # noqa: N803  # boto3's
        """Write it, unless this is where the process dies."""
        self._step(Name, Type)
        return super().put_parameter(Name=Name, Value=Value, Type=Type, Overwrite=Overwrite)

    def delete_parameter(self, *, Name: str) -> None:  # noqa: N803  # boto3's
        """Delete it, unless this is where the process dies."""
        self._step(Name, "deleted")
        super().delete_parameter(Name=Name)

    def _step(self, name: str, what: str) -> None:
        if self.dies_at == len(self.writes):
            raise Cut
        self.writes.append((name, what))


def ensure(ssm: MemoryParameters, algorithm: str = "ES256", now: int = START) -> list[str]:
    """What `make deploy` does."""
    return keys.ensure(cast("SSMClient", ssm), PREFIX, algorithm, now)


def rotate(ssm: MemoryParameters, algorithm: str = "ES256", now: int = START, *, leaked: bool = False) -> list[str]:
    """What `make rotate-keys` does."""
    renew = keys.replace if leaked else keys.rotate
    return renew(cast("SSMClient", ssm), PREFIX, algorithm, now)


def entries(ssm: MemoryParameters) -> list[dict[str, Any]]:
    """The public set."""
    return cast("list[dict[str, Any]]", json.loads(ssm.values[NAMES.public])["keys"])


def secrets(ssm: MemoryParameters, group: str = SESSIONS) -> list[dict[str, Any]]:
    """The root-secret set of a group."""
    return cast("list[dict[str, Any]]", json.loads(ssm.values[NAMES.group(group)])["secrets"])


def works(ssm: MemoryParameters, now: int = START) -> bool:
    """Whether a container that starts now can sign, verify and authenticate."""
    ring = KeyRing(ssm, PREFIX, FrozenClock(now), groups=GROUPS)
    JwtAccessTokenCodec(ring, issuer="https://auth.example.com", audience="api").prepare()
    secrets = (ring.session_secret().refresh_key, ring.login_secret().device_key)
    return ring.verification_key(ring.signing_key().kid) is not None and all(secrets)


def works_or_refuses_all(ssm: MemoryParameters, now: int, leaked: set[str]) -> bool:
    """Whether a container that starts now works, or accepts no key at all. It never accepts one that has leaked."""
    ring = KeyRing(ssm, PREFIX, FrozenClock(now), groups=GROUPS)
    held = {key.kid for key in ring.public_keys()}
    held |= {secret.id for secret in ring.session_secrets()} | {secret.id for secret in ring.login_secrets()}
    if leaked and NAMES.withdrawn in ssm.values:
        assert not held & leaked
        with suppress(Unavailable):
            return works(ssm, now)
        return True
    return works(ssm, now)
