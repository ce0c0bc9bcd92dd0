"""Apple, Microsoft and GitHub as the npm package emulate plays them: one process, with people that it knows."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.openid import forms
from tests.openid.providers import RealProvider, running
from tests.world.person import Person

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.openid.keyturn import Keyturn
    from tests.world.browser import Browser

EMULATE = Path(__file__).with_name("emulate.mjs")
NAMES = ("apple", "microsoft", "github")
TEAM, KEY_ID = "TEAM123456", "KEY1234567"
CLIENT = "com.example.web"
SECRET = "a%secret+/&="  # pragma: allowlist secret

# The tenant of personal Microsoft accounts, and two organisations.
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
FIRST, SECOND = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-aaaaaaaaaaaa"

# How many people there are of the kind "public", and of each other kind. emulate has no sign-up, so that each test
# takes people whom no other test of the process has. Its page lists all of them: more people make logins slower.
PUBLIC, OTHERS = 24, 6
# Members of a user in emulate's seed, beside the address, by provider and kind.
KINDS: dict[str, dict[str, dict[str, Any]]] = {
    "apple": {"public": {}, "relayed": {"is_private_email": True}},
    "microsoft": {"public": {}, "first": {"tenant_id": FIRST}, "second": {"tenant_id": SECOND}},
    # The address of a profile may be private, and then it is null. emulate.mjs says which addresses are proven.
    "github": {"public": {}, "private": {"email": None}, "unproven": {}},
}


class Emulated:
    """The three providers at their URLs, each as Keyturn's client knows it, and the people who have accounts there."""

    def __init__(self, urls: Mapping[str, str], apple_key: str, crowds: Mapping[tuple[str, str], list[Person]]) -> None:
        issuers = dict(urls)
        issuers["microsoft"] += "/common/v2.0"
        secrets = dict.fromkeys(NAMES, SECRET) | {"apple": apple_key}
        self.providers = {name: RealProvider(issuers[name], CLIENT, secrets[name], "") for name in NAMES}
        self.urls = urls
        self._crowds = {kind: iter(people) for kind, people in crowds.items()}

    def settings(self, secrets: str) -> dict[str, str]:
        """Settings of Keyturn that switch the three on; `secrets`: where the parameter store has their secrets."""
        settings = {"KEYTURN_APPLE_TEAM_ID": TEAM, "KEYTURN_APPLE_KEY_ID": KEY_ID}
        for name, provider in self.providers.items():
            prefix = f"KEYTURN_{name.upper()}"
            settings[f"{prefix}_CLIENT_ID"] = provider.client_id
            settings[f"{prefix}_CLIENT_SECRET_PARAMETER"] = f"{secrets}/provider/{name}"
            settings[f"{prefix}_ISSUER"] = provider.issuer
        return settings

    def somebody(self, name: str, kind: str = "public") -> Person:
        """A person who has an account at the provider and whom no other test has."""
        person = next(self._crowds[name, kind], None)
        assert person is not None, f"too few people of the kind {kind} at {name}"
        return person


@dataclass(frozen=True)
class Key:
    """A P-256 key, as Apple's .p8 files hold the private half."""

    private: str
    public: str


def new_key() -> Key:
    """A key that no test has yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Key(private.decode(), public.decode())


@contextmanager
def emulate(redirects: Mapping[str, str], host: str = "localhost") -> Iterator[Emulated]:
    """Run the three until the end of the block, with a client each, called back at the redirect URI of its name.

    `host` is the name of this machine in their URLs.
    """
    crowds = {(name, kind): _crowd(name, kind) for name in NAMES for kind in KINDS[name]}
    clients = {name: [{"client_id": CLIENT, "name": "Keyturn", "redirect_uris": [redirects[name]]}] for name in NAMES}
    key = new_key()
    for members in (*clients["microsoft"], *clients["github"]):
        members["client_secret"] = SECRET
    clients["apple"][0] |= {"team_id": TEAM, "key_id": KEY_ID}
    seed = {
        name: {
            "users": [
                {"login": person.name, "name": person.name, "email": person.email, **more}
                for kind, more in KINDS[name].items()
                for person in crowds[name, kind]
            ],
            "oauth_apps" if name == "github" else "oauth_clients": clients[name],
        }
        for name in NAMES
    }
    with running(EMULATE, json.dumps(seed), key.public, host) as urls:
        yield Emulated(urls, key.private, crowds)


def arrive(keyturn: Keyturn, emulated: Emulated, kind: str = "public") -> tuple[Browser, Person, str]:
    """Log in at the provider as a person of this kind; the browser, the person, and the URL of the callback."""
    browser, person = keyturn.browser(), emulated.somebody(keyturn.name, kind)
    return browser, person, forms.log_in(browser, keyturn.begin(browser), person)


def _crowd(name: str, kind: str) -> list[Person]:
    logins = [f"{kind}{number}-{name}" for number in range(PUBLIC if kind == "public" else OTHERS)]
    return [Person(login, f"{login}@example.com") for login in logins]
