"""The environment, read variable by variable: each kind of setting has one form, and what has not is remembered."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.domain import origins, requirements
from chalicelib.domain.requirements import is_role, is_scope_token
from chalicelib.errors import ConfigurationError
from chalicelib.settings import urls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.requirements import Requirement

# Each identity provider has these, with its name in capitals, after OIDC_ where the operator has named it. Which names
# there are, chalicelib/providers knows.
PROVIDER_VARIABLE = re.compile(
    r"KEYTURN_(OIDC_)?([A-Z][A-Z0-9]*)_"
    r"(?:CLIENT_ID|CLIENT_SECRET_PARAMETER|ISSUER|NATIVE_CLIENT_IDS|TRUSTED_AUDIENCES|SECONDS|TEAM_ID|KEY_ID)"
)
# Where an app is called back (RFC 8252 section 7): a web address, or a scheme of its own, which holds a dot (7.1).
APP_REDIRECT = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:/[\w./~-]*", re.ASCII)

# A guard's name is a Lambda alias. AWS takes a name of digits for a version.
GUARD = re.compile(r"(?![0-9]+$)[A-Za-z0-9_-]{1,128}", re.ASCII)
# The least that an invoke permission can name: one API, or every API of one account in one region.
GUARDED_API = re.compile(r"arn:aws[a-z-]*:execute-api:[a-z0-9-]+:[0-9]{12}:(?:[a-z0-9]+|\*)", re.ASCII)

LEAST_WORD = 3  # characters
# With Keyturn's own 2.5 s it ends within the function's 10 s, and the person is still there.
MOST_PROVIDER_SECONDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One identity provider's settings. `issuer` is empty where the provider's own is meant.

    `profile`: the provider whose constants hold, empty where the provider's own name says it. `native_clients`: the
    public client's id by the redirect URI that it is registered with (RFC 8252 section 8.4). `trusted_audiences`: who
    may stand beside Keyturn's client in an ID token. `seconds`: for all calls in a request, without it the default.
    `team_id` and `key_id`: of a key that signs client secrets.
    """

    client_id: str
    secret_parameter: str
    profile: str = ""
    issuer: str = ""
    native_clients: Mapping[str, str] = field(default_factory=dict)
    trusted_audiences: frozenset[str] = frozenset()
    seconds: int | None = None
    team_id: str = ""
    key_id: str = ""


def provider_variable(name: str, settings: ProviderSettings, suffix: str) -> str:
    """The name of the variable that sets this of the provider."""
    named = settings.profile == "oidc" != name
    return f"KEYTURN_{'OIDC_' if named else ''}{name.upper()}_{suffix}"


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

    def _read(self, name: str) -> str:
        self.asked.add(name)
        return self._environ.get(name, "").strip()

    def text(self, name: str) -> str:
        """Any text, which must be there."""
        value = self._read(name)
        if not value:
            self.problem(name, "is not set")
        return value

    def number(self, name: str, default: int, least: int, most: int, unit: str = "") -> int:
        """A whole number between two bounds; `unit` is said to who gives another one."""
        text = self._read(name)
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
        value = self._read(name) or choices[0]
        if value not in choices:
            self.problem(name, f"must be one of {', '.join(choices)}, not {value!r}")
        return value

    def issuer(self, name: str) -> str:
        """An https URL without query, fragment or trailing slash, which must be there."""
        self.text(name)
        return self.url(name)

    def prefix(self, name: str) -> str:
        """A parameter-store path, which must be there."""
        value = self.text(name)
        if value and (not value.startswith("/") or value.endswith("/")):
            self.problem(name, f"must be a parameter-store path such as /keyturn/prod, not {value!r}")
        return value

    def origins(self, name: str) -> frozenset[str]:
        """Origins between commas, as browsers send them."""
        values = {value.strip() for value in self._read(name).split(",") if value.strip()}
        for value in sorted(values):
            # Compared byte for byte, each of them.
            if not (urls.is_web_origin(value) or origins.is_packaged(value) or origins.is_loopback(value)):
                example = "https://app.example.com or capacitor://localhost"
                self.problem(name, f"holds {value!r}, which is no origin such as {example}")
        return frozenset(values)

    def words(self, name: str) -> frozenset[str]:
        """Words between commas, in lower case, each long enough that a password holds it on purpose."""
        words = frozenset(word.strip().lower() for word in self._read(name).split(",") if word.strip())
        for word in sorted(words):
            if len(word) < LEAST_WORD:
                self.problem(name, f"holds {word!r}, which is no word: it has fewer than {LEAST_WORD} characters")
        return words

    def url(self, name: str) -> str:
        """An https URL without query, fragment or trailing slash, or nothing."""
        value = self._read(name)
        if value and not urls.is_origin_with_path(value):
            self.problem(name, f"must be an https URL without query, fragment or trailing slash, not {value!r}")
        return value

    def pages(self, name: str) -> frozenset[str]:
        """Pages between commas, each an https URL without query or fragment."""
        values = {value.strip() for value in self._read(name).split(",") if value.strip()}
        for value in sorted(values):
            if not urls.is_page(value):
                self.problem(name, f"holds {value!r}, which is no page such as https://app.example.com/welcome")
            self._bound_url(name, value)
        return frozenset(values)

    def grouped(self, name: str, form: str) -> dict[str, tuple[str, ...]]:
        """`key=member member; key=…`, each key with one member at least."""
        groups: dict[str, tuple[str, ...]] = {}
        for entry in filter(None, (entry.strip() for entry in self._read(name).split(";"))):
            key, equals, members = entry.partition("=")
            if not equals or not key.strip() or not members.split():
                self.problem(name, f"holds {entry!r}, which is not {form}")
            if key.strip() in groups:
                self.problem(name, f"names {key.strip()!r} twice")
            groups[key.strip()] = tuple(members.split())
        return groups

    def role_scopes(self, name: str) -> dict[str, tuple[str, ...]]:
        """Scopes by the role that gives them: `role=scope scope; role=…`."""
        groups = self.grouped(name, "role=scope scope")
        for role, scopes in groups.items():
            if role and not is_role(role):
                self.problem(name, f"holds {role!r}, which is no role's name: it must be printable and without blanks")
            for scope in sorted({scope for scope in scopes if not is_scope_token(scope)}):
                what = 'must be printable ASCII without " and \\ (RFC 6749 section 3.3)'
                self.problem(name, f"holds {scope!r}, which is no scope: it {what}")
        return groups

    def apis(self, name: str) -> frozenset[str]:
        """ARNs of APIs between commas."""
        values = {value.strip() for value in self._read(name).split(",") if value.strip()}
        for value in sorted(values):
            if not GUARDED_API.fullmatch(value):
                example = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5"
                self.problem(name, f"holds {value!r}, which is no API's ARN such as {example}, or `*` for the API's id")
        return frozenset(values)

    def guards(self, name: str) -> dict[str, Requirement]:
        """Guards by name, each with what it asks for."""
        guards: dict[str, Requirement] = {}
        for entry in filter(None, (entry.strip() for entry in self._read(name).split(";"))):
            guard, _, text = entry.partition(":")
            requirement = requirements.parse(text)
            if requirement is None or not GUARD.fullmatch(guard.strip()):
                form = "name: role=… scope=… max_age=seconds answer=policy|simple"
                self.problem(name, f"holds {entry!r}, which is not {form}")
                continue
            if guard.strip() in guards:
                self.problem(name, f"names {guard.strip()!r} twice")
            guards[guard.strip()] = requirement
        return guards

    def providers(self) -> dict[str, ProviderSettings]:
        """The settings of each identity provider that any variable names."""
        matches = [match for match in map(PROVIDER_VARIABLE.fullmatch, self._environ) if match]
        found: dict[str, ProviderSettings] = {}
        for prefix, name in sorted({(match[1] or "", match[2]) for match in matches if self._read(match[0])}):
            if name.lower() in found:
                self.problem(f"KEYTURN_OIDC_{name}_CLIENT_ID", f"is beside KEYTURN_{name}_…, and a name is for one")
            profile = "oidc" if prefix else name.lower()
            found[name.lower()] = self._provider(f"KEYTURN_{prefix}{name}", profile)
        return found

    def _provider(self, prefix: str, profile: str) -> ProviderSettings:
        return ProviderSettings(
            client_id=self.text(f"{prefix}_CLIENT_ID"),
            secret_parameter=self.text(f"{prefix}_CLIENT_SECRET_PARAMETER"),
            profile=profile,
            issuer=self._providers_issuer(f"{prefix}_ISSUER"),
            native_clients=self._native_clients(f"{prefix}_NATIVE_CLIENT_IDS"),
            trusted_audiences=frozenset(self._read(f"{prefix}_TRUSTED_AUDIENCES").replace(",", " ").split()),
            seconds=self.seconds(f"{prefix}_SECONDS", 0, 1, MOST_PROVIDER_SECONDS) or None,
            team_id=self._read(f"{prefix}_TEAM_ID"),
            key_id=self._read(f"{prefix}_KEY_ID"),
        )

    def _providers_issuer(self, name: str) -> str:
        # To the letter as the provider says it, which may end with a slash.
        value = self._read(name)
        if value and not urls.is_page(value):
            self.problem(name, f"must be an https URL without query or fragment, not {value!r}")
        return value

    def _native_clients(self, name: str) -> dict[str, str]:
        clients: dict[str, str] = {}
        for client_id, redirects in self.grouped(name, "client_id=redirect_uri redirect_uri").items():
            for redirect in redirects:
                if not urls.is_page(redirect) and not APP_REDIRECT.fullmatch(redirect):
                    example = "com.example.app:/callback"
                    self.problem(name, f"holds {redirect!r}, which is no redirect URI such as {example}")
                self._bound_url(name, redirect)
                if redirect in clients:
                    self.problem(name, f"names {redirect!r} for two clients")
                clients[redirect] = client_id
        return clients

    def _bound_url(self, name: str, url: str) -> None:
        # No request may name a longer URL, so that it would never be matched.
        if len(url) > urls.MAX_URL:
            self.problem(name, f"holds a URL of {len(url)} characters, and at most {urls.MAX_URL} are accepted")


def _whole(text: str) -> int:
    """The number that plain digits are, -1 for anything else."""
    # isdecimal alone takes digits of every script; int() would read them.
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1  # noqa: PLR2004  # digits
