"""The environment, read variable by variable: each kind of setting has one form, and what has not is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import ConfigurationError
from chalicelib.settings import urls

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping


class Environment:
    """Reads variables one by one and keeps what is wrong, so that the operator sees all of it at once.

    What is wrong reads as the setting's default, or as empty, until `finish` tells.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.asked: set[str] = set()  # the names of variables, set or not
        self._problems: list[str] = []

    def problem(self, name: str, what: str) -> None:
        """Remember what is wrong with a variable."""
        self._problems.append(f"{name} {what}")

    def finish(self) -> None:
        """ConfigurationError, which names every problem, if there is one."""
        if self._problems:
            raise ConfigurationError(debug="; ".join(self._problems))

    def matching(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        """The names of variables that have this form and a value."""
        matches = [match for match in map(pattern.fullmatch, self._environ) if match]
        return [match for match in matches if self.optional(match[0])]

    def optional(self, name: str) -> str:
        """Any text, or nothing."""
        self.asked.add(name)
        return self._environ.get(name, "").strip()

    def text(self, name: str) -> str:
        """Any text, which must be there."""
        value = self.optional(name)
        if not value:
            self.problem(name, "is not set")
        return value

    def number(self, name: str, default: int, least: int, most: int, unit: str = "") -> int:
        """A whole number between two bounds; `unit` is said to who gives another one."""
        text = self.optional(name)
        if not text:
            return default
        value = _whole(text)
        if not least <= value <= most:
            self.problem(name, f"must be a whole number{unit} from {least} to {most}, not {text!r}")
            return default
        return value

    def seconds(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number of seconds between two bounds."""
        return self.number(name, default, least, most, " of seconds")

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the choices; the first where nothing is said."""
        value = self.optional(name) or choices[0]
        if value not in choices:
            self.problem(name, f"must be one of {', '.join(choices)}, not {value!r}")
        return value

    def url(self, name: str) -> str:
        """An https URL without query, fragment or trailing slash, or nothing."""
        value = self.optional(name)
        if value and not urls.is_origin_with_path(value):
            self.problem(name, f"must be an https URL without query, fragment or trailing slash, not {value!r}")
        return value

    def prefix(self, name: str) -> str:
        """A parameter-store path, which must be there."""
        value = self.text(name)
        if value and (not value.startswith("/") or value.endswith("/")):
            self.problem(name, f"must be a parameter-store path such as /keyturn/prod, not {value!r}")
        return value

    def listed(self, name: str) -> list[str]:
        """What stands between commas, each once."""
        return sorted({value.strip() for value in self.optional(name).split(",") if value.strip()})

    def entries(self, name: str) -> list[str]:
        """What stands between semicolons."""
        return [entry.strip() for entry in self.optional(name).split(";") if entry.strip()]

    def grouped(self, name: str, form: str) -> dict[str, tuple[str, ...]]:
        """`key=member member; key=…`, each key with one member at least."""
        groups: dict[str, tuple[str, ...]] = {}
        for entry in self.entries(name):
            key, equals, members = entry.partition("=")
            if not equals or not key.strip() or not members.split():
                self.problem(name, f"holds {entry!r}, which is not {form}")
            if key.strip() in groups:
                self.problem(name, f"names {key.strip()!r} twice")
            groups[key.strip()] = tuple(members.split())
        return groups

    def bound_url(self, name: str, url: str) -> None:
        """Refuse a URL that is longer than any request may name: it would never be matched."""
        if len(url) > urls.MAX_URL:
            self.problem(name, f"holds a URL of {len(url)} characters, and at most {urls.MAX_URL} are accepted")


def _whole(text: str) -> int:
    """The number that plain digits are, -1 for anything else."""
    # isdecimal alone takes digits of every script; int() would read them.
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1  # noqa: PLR2004  # digits
