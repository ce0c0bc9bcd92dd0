"""The parameter store in memory, and the key sets that lie in it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalicelib.crypto.keys import LOGINS, SESSIONS
from chalicelib.errors import Unavailable
from infra import keys
from tests.world.clock import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "/keyturn/test"
GROUPS = (SESSIONS, LOGINS)  # of root secrets: the API's function reads both


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
