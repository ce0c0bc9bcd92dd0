"""Settings of sessions and of the tokens that they are given."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.domain.denials import LONGEST_ACCESS_TTL
from chalicelib.domain.requirements import is_role, is_scope_token
from chalicelib.domain.sessions import LONGEST_SESSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.settings.environment import Environment

SIGNING_ALGORITHMS = ("RS256", "ES256", "EdDSA")  # the first is the default

DAY = 86400
LEAST_ROTATION_WINDOW = 10  # seconds: a shorter window logs out tabs that a slow network or two clocks keep apart


class SessionSettings(NamedTuple):
    """How long sessions and tokens live, in seconds, how tokens are signed, and which scopes a role gives."""

    access_ttl: int = 900
    idle_ttl: int = 14 * DAY
    absolute_ttl: int = 90 * DAY
    rotation_window: int = 20
    signing_algorithm: str = SIGNING_ALGORITHMS[0]
    role_scopes: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    @classmethod
    def read(cls, env: Environment) -> SessionSettings:
        """Read them. Whatever is wrong, `env` remembers."""
        default = cls()
        settings = cls(
            access_ttl=env.seconds("KEYTURN_ACCESS_TTL", default.access_ttl, 60, LONGEST_ACCESS_TTL),
            idle_ttl=env.seconds("KEYTURN_REFRESH_IDLE_TTL", default.idle_ttl, 300, LONGEST_SESSION),
            absolute_ttl=env.seconds("KEYTURN_REFRESH_ABSOLUTE_TTL", default.absolute_ttl, 300, LONGEST_SESSION),
            rotation_window=env.seconds("KEYTURN_ROTATION_WINDOW", default.rotation_window, 0, 60),
            signing_algorithm=env.choice("KEYTURN_SIGNING_ALGORITHM", SIGNING_ALGORITHMS),
            role_scopes=_role_scopes(env, "KEYTURN_ROLE_SCOPES"),
        )
        if settings.idle_ttl > settings.absolute_ttl:
            env.problem("KEYTURN_REFRESH_IDLE_TTL", "must not be longer than KEYTURN_REFRESH_ABSOLUTE_TTL")
        if 0 < settings.rotation_window < LEAST_ROTATION_WINDOW:
            what = f"must be 0, which tolerates nothing, or from {LEAST_ROTATION_WINDOW} to 60 seconds"
            env.problem("KEYTURN_ROTATION_WINDOW", what)
        return settings


def _role_scopes(env: Environment, name: str) -> dict[str, tuple[str, ...]]:
    """Scopes by the role that gives them: `role=scope scope; role=…`."""
    groups = env.grouped(name, "role=scope scope")
    for role, scopes in groups.items():
        if role and not is_role(role):
            env.problem(name, f"holds {role!r}, which is no role's name: it must be printable and without blanks")
        for scope in sorted({scope for scope in scopes if not is_scope_token(scope)}):
            what = 'must be printable ASCII without " and \\ (RFC 6749 section 3.3)'
            env.problem(name, f"holds {scope!r}, which is no scope: it {what}")
    return groups
