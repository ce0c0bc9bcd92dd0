"""Whether each KEYTURN_… variable is a setting. A misspelt one would have no effect, and nobody would notice.

Known is what the functions' own code asks for when it reads its settings: there is no list to keep. A deployed function
never refuses an unknown variable: it may be older or newer than its settings.
"""

from __future__ import annotations

import difflib
from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.errors import ConfigurationError
from chalicelib.providers import PROFILES
from chalicelib.settings.config import Config
from chalicelib.settings.environment import Environment
from infra.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "KEYTURN_"


def refuse_unknown(environ: Mapping[str, str], *, secrets: bool = False) -> None:
    """Failure names each variable that no code reads, with the nearest name that is read.

    With `secrets` each identity provider's client secret is known too, as `make run` reads it: KEYTURN_…_CLIENT_SECRET.
    """
    known = _asked({**dict.fromkeys((f"{PREFIX}{name.upper()}_CLIENT_ID" for name in PROFILES), "-"), **environ})
    if secrets:
        known |= {name.removesuffix("_PARAMETER") for name in known if name.endswith("_CLIENT_SECRET_PARAMETER")}
    unknown = sorted(name for name in environ if name.upper().startswith(PREFIX) and name not in known)
    if unknown:
        raise Failure("; ".join(f"{name} is no setting, the nearest is {_nearest(name, known)}" for name in unknown))


def _asked(environ: Mapping[str, str]) -> set[str]:
    """The names that reading the settings asks for, whatever their values are."""
    env = Environment(environ)
    with suppress(ConfigurationError):
        Config.read(env)
    return env.asked


def _nearest(name: str, known: set[str]) -> str:
    # All names begin alike: compared by their ends alone, or any name would be near.
    ends = sorted(other.removeprefix(PREFIX) for other in known)
    (nearest,) = difflib.get_close_matches(name.upper().removeprefix(PREFIX), ends, n=1, cutoff=0)
    return PREFIX + nearest
