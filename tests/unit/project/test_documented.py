"""What docs/asvs.md and the README say of routes, numbers, cryptography and data is what the code does."""

from __future__ import annotations

import ast
import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chalice.app import IAMAuthorizer

import app
from chalicelib import deadline
from chalicelib.crypto import keys as key_material
from chalicelib.crypto import refresh_tokens
from chalicelib.domain import access_tokens, accounts, limits, passwords
from chalicelib.errors import PasswordRejected
from chalicelib.settings import config
from chalicelib.settings.sessions import DAY
from chalicelib.web.endpoint import Credential
from infra import package
from tests.http.hostile import MEMBERS
from tests.unit.signing import CLAIMS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENT = (ROOT / "docs/asvs.md").read_text(encoding="utf-8")
CRYPTO = sorted((ROOT / "chalicelib/crypto").glob("*.py"))
LIBRARIES = {"jwt", "argon2", "cryptography", "secrets", "hashlib", "hmac"}
DEFAULTS = config.Config.from_env(
    {
        "KEYTURN_TABLE": "keyturn-prod",
        "KEYTURN_ISSUER": "https://auth.example.com",
        "KEYTURN_AUDIENCE": "keyturn-prod",
        "KEYTURN_PARAMETERS": "/keyturn/prod",
    }
)
WHO = {type(None): "anybody", IAMAuthorizer: "an AWS caller"}
ROUTES = {f"{route.method} {route.path}": route for route in app.ROUTES}

# All that the code takes from the libraries of cryptography, but for errors, with what the inventory calls it.
USED = {
    "jwt.PyJWK": "`jwt`",
    "jwt.PyJWS": "`jwt`",
    "jwt.algorithms.AllowedPrivateKeys": "`jwt`",
    "jwt.encode": "`jwt`",
    "jwt.algorithms.AllowedPublicKeys": "`jwt`",
    "argon2.PasswordHasher": "argon2id",
    "argon2.Type": "argon2id",
    "cryptography.hazmat.primitives.asymmetric.rsa": "RSA-3072",
    "cryptography.hazmat.primitives.asymmetric.ec": "P-256",
    "cryptography.hazmat.primitives.asymmetric.ed25519": "Ed25519",
    "cryptography.hazmat.primitives.hashes": "HKDF-SHA256",
    "cryptography.hazmat.primitives.kdf.hkdf.HKDF": "HKDF-SHA256",
    "cryptography.hazmat.primitives.serialization.Encoding": "SubjectPublicKeyInfo",
    "cryptography.hazmat.primitives.serialization.PublicFormat": "SubjectPublicKeyInfo",
    "cryptography.hazmat.primitives.serialization.load_pem_private_key": "PKCS8",
    "hashlib.sha1": "SHA-1",
    "hashlib.sha256": "SHA-256",
    "hashlib.sha384": "SHA-384",
    "hashlib.sha512": "SHA-512",
    "hmac.compare_digest": "HMAC-SHA256",
    "hmac.digest": "HMAC-SHA256",
    "secrets.token_bytes": "generator",
}


def section(title: str, page: str = DOCUMENT) -> str:
    """What stands under a heading, up to the next one."""
    (_, found) = re.split(rf"^#+ {re.escape(title)}\n", page, flags=re.MULTILINE)
    return re.split(r"^#+ ", found, maxsplit=1, flags=re.MULTILINE)[0]


def table(text: str, number: int = 0) -> list[list[str]]:
    """The rows of a section's table, without its head."""
    tables = re.findall(r"(?:^\|.*\|\n)+", text + "\n", flags=re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in tables[number].splitlines()[2:]]


def crypto_names() -> Iterator[str]:
    """What the room crypto/ takes of the libraries that do cryptography, each by its full name."""
    for path in CRYPTO:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        aliases = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        imported = {alias.name for alias in aliases} & LIBRARIES
        assert not [
            alias.name for alias in aliases if alias.name not in imported and alias.name.split(".")[0] in LIBRARIES
        ]
        for node in nodes:
            match node:
                case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] in LIBRARIES:
                    yield from (f"{module}.{alias.name}" for alias in names)
                case ast.Attribute(value=ast.Name(id=library), attr=name) if library in imported:
                    yield f"{library}.{name}"


def test_routes_are_those_of_the_page() -> None:
    """Each route is on the page, with who may use it as its authorizer has it; and no other (ASVS V8.1.1)."""
    rows = table(section("Who may do what"))
    assert [route.strip("`") for route, _, _ in rows] == list(dict.fromkeys(route.strip("`") for route, _, _ in rows))
    said = {route.strip("`"): who for route, who, _ in rows}
    assert said == {name: WHO.get(type(route.authorizer), "the user") for name, route in ROUTES.items()}


def test_readme_lists_every_route() -> None:
    """Whoever reads the README knows each way in: there is no other (ASVS V6.3.4)."""
    listed = re.findall(r"^\| `((?:GET|POST|DELETE|PUT|PATCH) /[^\s`?]*)", section("Call it", README), re.MULTILINE)
    assert set(listed) == set(ROUTES)
    assert len(listed) == len(ROUTES)


def test_ways_in_are_those_of_the_routes() -> None:
    """What gives a session or a token is among the ways in, each with what it rests on (ASVS V6.1.3)."""
    ways = {row[1].strip("`") for row in table(section("Ways in"))}
    assert ways <= set(ROUTES)
    giving = {
        name
        for name, route in ROUTES.items()
        if re.search(r"\b(token_response|credential_cookie|grant_cookies)\(", inspect.getsource(route.endpoint.handle))
    }
    # These renew the credentials of the session that asks, which has to bring its own.
    renewing = {"POST /password/change", "POST /identities/{provider}", "DELETE /identities/{provider}"}
    assert giving - ways == renewing
    for name in renewing:
        assert ROUTES[name].endpoint.credential is Credential.RENEWS
        (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}`")]
        assert "with the session's refresh token" in row
        assert "200 with the token response" in row
    assert ways - giving == set()


def test_nobody_sets_a_right() -> None:
    """The fields of an account are on the page, and no route takes one that Keyturn alone sets (ASVS V8.1.2)."""
    rows = table(section("Who may do what"), 1)
    fields = {name.strip("`"): (seen, by) for name, seen, by in rows}
    account = {"sub", "email", "email_verified", "roles"}
    assert account <= set(accounts.Account._fields)
    assert set(fields) == account | {"password"}
    assert {name for name, (seen, _) in fields.items() if seen == "yes"} == account
    ours = {name for name, (_, by) in fields.items() if by.startswith("Keyturn")}
    assert ours == {"sub", "email_verified", "roles"}
    assert ours & {member for members in MEMBERS.values() for member in members} == set()


def test_lifetimes_are_those_of_the_page() -> None:
    """The page's days are the defaults, and its way to NIST's 30 days is a setting that is taken (ASVS V7.1.1)."""
    text = section("Sessions")
    days = DEFAULTS.sessions.idle_ttl // DAY, DEFAULTS.sessions.absolute_ttl // DAY
    assert re.search(rf"after {days[0]} days without a refresh and {days[1]} days after the login", text)
    assert f"lives {DEFAULTS.sessions.access_ttl // 60} minutes" in text
    assert f"KEYTURN_REFRESH_ABSOLUTE_TTL={30 * DAY}" in text


def test_limits_are_those_of_the_page() -> None:
    """How many attempts are free and how the delays grow is what the code does by default (ASVS V2.1.3, V6.1.1)."""
    settings = {
        "account": (limits.login_by_account, "login_attempts"),
        "known device, logins": (limits.login_by_device, "login_attempts"),
        "known device, password changes": (limits.change_by_device, "login_attempts"),
        "client address, logins with a password": (limits.login_by_address, "address_attempts"),
        "client address, logins at providers": (limits.provider_by_address, "address_attempts"),
        "known browser, logins at providers": (limits.provider_by_device, "address_attempts"),
        "client address, sign-ups": (limits.signup_by_address, "signup_attempts"),
    }
    rows = {row[0]: row[1:] for row in table(section("Guessing"))}
    assert set(rows) == set(settings)
    for name, (policy_of, setting) in settings.items():
        policy = policy_of(getattr(DEFAULTS.limits, setting))
        assert policy.window == limits.HOUR
        ends = [attempts for attempts, _ in policy.tiers]
        delays = [
            f"{end - start}, {seconds} s apart" for (end, seconds), start in zip(policy.tiers[1:], ends, strict=False)
        ]
        shown = [cell for cell in rows[name][1:3] if cell != "\u2013"]
        assert (rows[name][0], shown) == (str(policy.quota), delays), name
        assert rows[name][3:] == [f"{policy.final_spacing} s apart", f"`KEYTURN_{setting.upper()}`"]


def test_words_that_count_for_nothing_are_written_down() -> None:
    """The examples of the decision are refused and taken as it says; the settings are named (ASVS V2.1.2, V6.1.2)."""
    page = (ROOT / "docs/decisions/0014-passwords.md").read_text(encoding="utf-8")
    words = section("Context words", page)
    (refused, taken) = re.search(r"`([^`]+)` is refused, and\s+`([^`]+)` is not", words).groups()  # type: ignore[union-attr]
    email, least = "ada.lovelace@example.com", DEFAULTS.passwords.min_length
    passwords.accept_new(taken.replace("\n", " "), email, min_length=least)
    with pytest.raises(PasswordRejected):
        passwords.accept_new(refused, email, min_length=least)
    for setting in ("KEYTURN_CONTEXT_WORDS", "KEYTURN_PASSWORD_MIN_LENGTH", "KEYTURN_BREACHED_PASSWORDS"):
        assert f"`{setting}`" in section("New passwords")
        assert f"`{setting}`" in section("Settings", README)


def test_cryptography_is_the_inventory() -> None:
    """Whatever the code takes from a library of cryptography is in the inventory; nothing else is (V11.1.2, V11.1.3).

    A cipher, another hash, or a library more fails here until somebody has written down what it is for.
    """
    assert {name for name in crypto_names() if not name.endswith("Error")} == set(USED)
    inventory = section("Cryptography")
    assert sorted(name for name in USED.values() if name not in inventory) == []
    libraries = {name for row in table(inventory) for name in re.findall(r"`(\w+)`", row[2])}
    assert libraries == {name.partition(".")[0] for name in USED}
    source = "".join(path.read_text(encoding="utf-8") for path in CRYPTO)
    assert re.search(r"ciphers|\bAES|\bECB\b|PKCS1v15|\bmd5\b|\bFernet\b", source) is None


def test_keys_are_those_of_the_page() -> None:
    """SECURITY.md says of each key what it is and how it is replaced (ASVS V11.1.1, V13.1.4)."""
    text = section("Keys", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert [row[0] for row in table(text)] == ["signing key", "root secret of `sessions`", "root secret of `logins`"]
    for fact in ("RSA-3072", "P-256", "Ed25519", "256 random bits", "HKDF-SHA256", "LEAKED=yes"):
        assert fact in text
    assert key_material.MINIMUM_RSA_BITS == 3072
    assert key_material.ROOT_SECRET_BYTES * 8 == refresh_tokens.SECRET_BYTES * 8 == 256
    assert "make rotate-keys" in section("Deploy it", README)
    assert "monthly" in section("Deploy it", README)
    assert "monthly" in section("Keys and secrets")


def test_connections_are_those_of_the_page() -> None:
    """Whatever is called is on the page, with how long it is waited for (ASVS V13.1.1, V13.1.2, V13.1.3)."""
    rows = {row[0]: row for row in table(section("Connections"))}
    assert set(rows) == {"DynamoDB", "Systems Manager", "identity provider", "breached passwords"}
    assert set(package.OPERATIONS) == {"dynamodb", "ssm"}
    assert f"{deadline.REQUEST_SECONDS} s for a request, {deadline.ATTEMPTS} attempts" in rows["DynamoDB"]
    assert f"{deadline.PROVIDER_SECONDS} s for a request" in rows["identity provider"]


def test_waits_are_those_of_the_decision() -> None:
    """The decision's table has the code's own seconds and attempts (ASVS V13.1.3)."""
    page = (ROOT / "docs/decisions/0006-retries-and-time.md").read_text(encoding="utf-8")
    said = {row[0]: row[1] for row in table(page)}
    assert said["connect"] == f"{deadline.CONNECT_SECONDS} s"
    assert said["read"] == f"{deadline.READ_SECONDS:g} s"
    assert said["attempts (botocore, standard mode)"] == str(deadline.ATTEMPTS)
    assert said["all attempts of one request"] == f"{deadline.REQUEST_SECONDS} s"


def test_data_is_classified() -> None:
    """Each claim of a token and each kind of data is on the page, with its protection (ASVS V14.1.1, V14.1.2)."""
    text = section("Data")
    claims = set(re.findall(r"`(\w+)`", text.partition("Claims of an access token")[2].partition(". None")[0]))
    assert claims == set(access_tokens.payload(CLAIMS, issuer="i", audience="a"))
    assert {row[0] for row in table(text)} == {"secret", "personal", "internal", "public"}
    assert all(len(row) == 5 and all(row) for row in table(text))


def test_costly_functions_are_written_down() -> None:
    """Every route that hashes or asks a provider is named with what bounds it (ASVS V15.1.3)."""
    text = section("What is costly")
    for path in ("/signup", "/login", "/password/change", "/login/{provider}", "/identities/{provider}"):
        assert f"`{path}" in text
    memory = json.loads((ROOT / ".chalice/config.json").read_text(encoding="utf-8"))["lambda_functions"]
    assert memory["api_handler"]["lambda_memory_size"] == 1769
    assert "19 MiB" in text


def test_risky_libraries_are_named() -> None:
    """Each library that runs in a function is named, with what a flaw of it would reach (ASVS V15.1.4)."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[\[><=~!;\s]", requirement)[0].lower() for requirement in asked} - {"boto3"}
    text = section("Libraries")
    assert sorted(name for name in names | {"cryptography", "botocore"} if f"`{name}`" not in text) == []


def test_browser_features_are_those_that_are_used() -> None:
    """What a browser has to know is on the page (ASVS V3.1.1)."""
    text = section("Browsers")
    for feature in ("`Secure`", "`HttpOnly`", "`SameSite`", "`__Host-`", "`Origin`", "`Sec-Fetch-Site`", "CORS"):
        assert feature in text


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)\s]+)\)", DOCUMENT))))
def test_links_lead_somewhere(link: str) -> None:
    """Each link of the page is to a file that is there, and to a heading that it has."""
    if link.startswith("https://"):
        return
    name, _, anchor = link.partition("#")
    target = (ROOT / "docs" / name).resolve() if name else ROOT / "docs/asvs.md"
    assert target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert not anchor or anchor in anchors
