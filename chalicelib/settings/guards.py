"""Settings of guards: what each asks for, and whose APIs may ask them."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.domain import requirements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.requirements import Requirement
    from chalicelib.settings.environment import Environment

# A guard's name is a Lambda alias. AWS takes a name of digits for a version.
GUARD = re.compile(r"(?![0-9]+$)[A-Za-z0-9_-]{1,128}", re.ASCII)
# The least that an invoke permission can name: one API, or every API of one account in one region.
GUARDED_API = re.compile(r"arn:aws[a-z-]*:execute-api:[a-z0-9-]+:[0-9]{12}:(?:[a-z0-9]+|\*)", re.ASCII)


class GuardSettings(NamedTuple):
    """`requirements` by the guard's name; `apis`: the ARNs of APIs of the team that may ask."""

    requirements: Mapping[str, Requirement] = MappingProxyType({})
    apis: frozenset[str] = frozenset()

    @classmethod
    def read(cls, env: Environment) -> GuardSettings:
        """Read them. Whatever is wrong, `env` remembers."""
        return cls(requirements=_guards(env, "KEYTURN_GUARDS"), apis=_apis(env, "KEYTURN_GUARDED_APIS"))


def _guards(env: Environment, name: str) -> dict[str, Requirement]:
    """Guards by name, each with what it asks for."""
    guards: dict[str, Requirement] = {}
    for entry in env.entries(name):
        guard, _, text = entry.partition(":")
        requirement = requirements.parse(text)
        if requirement is None or not GUARD.fullmatch(guard.strip()):
            form = "name: role=… scope=… max_age=seconds answer=policy|simple"
            env.problem(name, f"holds {entry!r}, which is not {form}")
            continue
        if guard.strip() in guards:
            env.problem(name, f"names {guard.strip()!r} twice")
        guards[guard.strip()] = requirement
    return guards


def _apis(env: Environment, name: str) -> frozenset[str]:
    """ARNs of APIs between commas."""
    values = env.listed(name)
    for value in values:
        if not GUARDED_API.fullmatch(value):
            example = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5"
            env.problem(name, f"holds {value!r}, which is no API's ARN such as {example}, or `*` for the API's id")
    return frozenset(values)
