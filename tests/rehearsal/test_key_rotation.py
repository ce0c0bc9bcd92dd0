"""Keys that are replaced while containers run whose clocks differ, over the parameter store of AWS."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.rehearsal.stack import RunningStack
from tests.world.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PREFIX = "/keyturn/dev"
SETS = {f"{PREFIX}/public": "keys", f"{PREFIX}/sessions": "secrets", f"{PREFIX}/logins": "secrets"}


@contextmanager
def other_container(dev: RunningStack, work: Path, clock: int) -> Iterator[RunningStack]:
    """Containers of the same stage whose wall clock is so many seconds ahead, or behind."""
    other = RunningStack(dev.aws, dev.project, dev.stage, work, {"REHEARSAL_CLOCK": str(clock)})
    other.restart()
    try:
        with other.gateway() as gateway:
            other.url = gateway.url
            yield other
    finally:
        for path in work.rglob("*"):
            path.chmod(0o755)
        other.close()


def held(dev: RunningStack) -> dict[str, list[dict[str, Any]]]:
    """The entries of each key set."""
    found = dev.aws.client("ssm").get_parameters(Names=[*SETS], WithDecryption=True)["Parameters"]
    return {item["Name"]: json.loads(item["Value"])[SETS[item["Name"]]] for item in found}


def write(dev: RunningStack, entries: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write the sets, as a command would that has read them long before."""
    for name, listed in entries.items():
        value = json.dumps({SETS[name]: listed})
        dev.aws.client("ssm").put_parameter(Name=name, Value=value, Overwrite=True)


def ids(entries: Mapping[str, list[dict[str, Any]]]) -> set[str]:
    """The ids in all sets."""
    return {str(entry.get("kid") or entry["id"]) for listed in entries.values() for entry in listed}


@pytest.mark.parametrize("clock", [-120, 90])
def test_emergency_keys_sign_by_any_clock(
    dev: RunningStack, tmp_path: Path, credentials: dict[str, Any], clock: int
) -> None:
    """After a leak rotation a container signs at once whose clock is behind, and the other container verifies."""
    dev.make("rotate-keys", f"STAGE={dev.stage}", "LEAKED=yes")
    dev.restart()
    with other_container(dev, tmp_path, clock) as other:
        signed_up = Client(other.url).call("POST", "/signup", credentials)
        assert signed_up.status == 201, (signed_up, other.tail())
        if clock < 0:  # a token of the future is refused, whatever its key
            assert Client(dev.url).call("GET", "/me", bearer=signed_up.json["access_token"]).status == 200
        logged_in = Client(dev.url).call("POST", "/login", credentials)
        assert logged_in.status == 200, (logged_in, dev.tail())
        refreshed = Client(other.url).call("POST", "/refresh", {"refresh_token": logged_in.json["refresh_token"]})
        assert refreshed.status == 200, (refreshed, other.tail())


def test_leaked_keys_that_are_written_back_are_refused(
    dev: RunningStack, tmp_path: Path, credentials: dict[str, Any]
) -> None:
    """Beside the new keys they open nothing, in either container; alone they are 503 with Retry-After, never 500."""
    session = Client(dev.url).call("POST", "/signup", credentials).json
    leaked = held(dev)
    dev.make("rotate-keys", f"STAGE={dev.stage}", "LEAKED=yes")
    new = held(dev)
    write(dev, {name: [*leaked[name], *new[name]] for name in SETS})
    dev.restart()
    with other_container(dev, tmp_path, -120) as other:
        for stack in (dev, other):
            client = Client(stack.url)
            assert client.call("GET", "/me", bearer=session["access_token"]).status == 401, stack.tail()
            assert client.call("POST", "/refresh", {"refresh_token": session["refresh_token"]}).status == 401
            assert client.call("POST", "/login", credentials).status == 200, stack.tail()

        dev.make("rotate-keys", f"STAGE={dev.stage}")
        assert not ids(held(dev)) & ids(leaked)
        assert ids(new) <= ids(held(dev))

        write(dev, leaked)
        for stack in (dev, other):
            stack.restart()
            refused = Client(stack.url).call("POST", "/login", credentials)
            assert (refused.status, refused.header("Retry-After") is not None) == (503, True), (refused, stack.tail())
        dev.make("rotate-keys", f"STAGE={dev.stage}", "LEAKED=yes")
        for stack in (dev, other):
            stack.restart()
            assert Client(stack.url).call("POST", "/login", credentials).status == 200, stack.tail()
