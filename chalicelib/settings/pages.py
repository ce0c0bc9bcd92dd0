"""Settings of the frontends' pages: which origins may call, where a login may lead, what cookies allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from chalicelib.domain import origins
from chalicelib.settings import urls

if TYPE_CHECKING:
    from chalicelib.settings.environment import Environment

SameSite = Literal["Strict", "Lax", "None"]
SAME_SITES: tuple[SameSite, ...] = ("Lax", "Strict", "None")  # the first is the default


class PageSettings(NamedTuple):
    """`allowed_origins` as browsers send them; `return_to`: the URLs of pages, compared byte for byte."""

    allowed_origins: frozenset[str] = frozenset()
    return_to: frozenset[str] = frozenset()
    cookie_samesite: SameSite = SAME_SITES[0]

    @classmethod
    def read(cls, env: Environment) -> PageSettings:
        """Read them. Whatever is wrong, `env` remembers."""
        return cls(
            allowed_origins=_origins(env, "KEYTURN_ALLOWED_ORIGINS"),
            return_to=_pages(env, "KEYTURN_RETURN_TO"),
            cookie_samesite=cast("SameSite", env.choice("KEYTURN_COOKIE_SAMESITE", SAME_SITES)),
        )


def _origins(env: Environment, name: str) -> frozenset[str]:
    """Origins between commas, as browsers send them."""
    values = env.listed(name)
    for value in values:
        # Compared byte for byte, each of them.
        if not (urls.is_web_origin(value) or origins.is_packaged(value) or origins.is_loopback(value)):
            example = "https://app.example.com or capacitor://localhost"
            env.problem(name, f"holds {value!r}, which is no origin such as {example}")
    return frozenset(values)


def _pages(env: Environment, name: str) -> frozenset[str]:
    """Pages between commas, each an https URL without query or fragment."""
    values = env.listed(name)
    for value in values:
        if not urls.is_page(value):
            env.problem(name, f"holds {value!r}, which is no page such as https://app.example.com/welcome")
        env.bound_url(name, value)
    return frozenset(values)
