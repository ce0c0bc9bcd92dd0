"""An OpenID provider that lies, fails or hangs, behind Keyturn's own HTTP: a clear error within 5 s, and no session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.http.client import assert_problem, error_of
from tests.world.browser import FROM_PAGE, Browser
from tests.world.constants import PAGE
from tests.world.forgery import ABSENT, Forgery
from tests.world.misdeeds import KEYS, METADATA, TOKEN, USERINFO, Fault
from tests.world.own_request import own_code
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.http.server import Server
    from tests.world.client import Client, Reply
    from tests.world.person import Person
    from tests.world.stand_in import StandIn

SECONDS = 5.0

# What is wrong with the ID token, by what it would get away with.
FORGERIES: dict[str, Callable[[StandIn], Forgery]] = {
    "unsigned": lambda _: Forgery(algorithm="none", key=""),
    "signed with the public key as a secret": lambda provider: Forgery(algorithm="HS256", key=provider.public_pem()),
    "signed with a key of its own": lambda _: Forgery(key=rsa.generate_private_key(65537, 2048)),
    "another issuer": lambda _: Forgery(claims={"iss": "https://accounts.google.com"}),
    "the issuer with a slash": lambda provider: Forgery(claims={"iss": f"{provider.url}/"}),
    "another audience": lambda _: Forgery(claims={"aud": "another-client"}),
    "two audiences": lambda provider: Forgery(claims={"aud": [provider.client_id, "another-client"]}),
    "another authorized party": lambda _: Forgery(claims={"azp": "another-client"}),
    "another nonce": lambda _: Forgery(claims={"nonce": "x"}),
    "no nonce": lambda _: Forgery(claims={"nonce": ABSENT}),
    "another access token's hash": lambda _: Forgery(claims={"at_hash": "x" * 22}),
    "expired": lambda provider: Forgery(claims={"exp": provider.now() - 61, "iat": provider.now() - 400}),
    "of tomorrow": lambda provider: Forgery(claims={"iat": provider.now() + 3600, "exp": provider.now() + 7200}),
    "no expiry": lambda _: Forgery(claims={"exp": ABSENT}),
    "no subject": lambda _: Forgery(claims={"sub": ABSENT}),
    "empty subject": lambda _: Forgery(claims={"sub": ""}),
    "unknown key": lambda _: Forgery(header={"kid": "key-99"}),
    "a key of its own in the header": lambda provider: Forgery(
        header={"jwk": provider.jwk(5), "kid": ABSENT}, key=rsa.generate_private_key(65537, 2048)
    ),
    "a critical extension": lambda _: Forgery(header={"crit": ["x"], "x": 1}),
    "an access token": lambda _: Forgery(header={"typ": "at+jwt"}),
    "no token": lambda _: Forgery(token="x.y.z"),
    "nothing": lambda _: Forgery(token=""),
}
# tests/providers meets every fault at every endpoint; here is what one of each sort comes to.
SORTS = (Fault.ERROR_500, Fault.HANG, Fault.REDIRECT, Fault.HUGE, Fault.DRIP_BODY, Fault.PAGE, Fault.NOT_HTTP)
FAULTS = [(endpoint, fault) for endpoint in (METADATA, KEYS, TOKEN, USERINFO) for fault in SORTS]


@pytest.fixture
def provider(server: Server) -> Iterator[StandIn]:
    """The provider, which is honest again afterwards; containers have read nothing of it yet."""
    provider = server.provider
    kept = provider.key, provider.published
    with server.forgetful():
        yield provider
        provider.recover()
        provider.key, provider.published = kept


@pytest.fixture
def surfer(server: Server) -> Browser:
    """A browser of its own."""
    return server.browser()


def assert_refused(reply: Reply, *codes: str) -> None:
    """The browser comes back with one of these codes, or is told so where it is, and has no session."""
    code = error_of(reply) if reply.status == 303 else reply.json["code"]
    assert code in codes, reply
    assert not any(cookie.startswith("__Host-refresh=") for cookie in reply.all("Set-Cookie"))


def assert_nobody(server: Server, person: Person) -> None:
    """No account has come of it, and no identity."""
    store = server.services.identities.store
    assert store.find_login(person.email or "") is None
    assert store.find_identity(server.provider.url, person.name) is None


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_id_token(server: Server, provider: StandIn, surfer: Browser, name: str) -> None:
    """By either flow it is refused, and the next honest login is not."""
    person = person_of(new_email())
    callback = surfer.agree(surfer.begin(), person)
    members = {**own_code(server.provider, person), "transport": "body"}
    provider.forgery = FORGERIES[name](provider)
    nonce = "nonce" in provider.forgery.claims
    assert_refused(surfer.come_back(callback), "invalid_code" if nonce else "provider_error")
    reply = surfer.client.post("/login/google/exchange", members, [FROM_PAGE])
    assert (reply.status, reply.json["code"]) == ((401, "invalid_code") if nonce else (503, "provider_error"))
    assert_nobody(server, person)
    provider.recover()
    assert surfer.log_in(person).header("Location") == PAGE


def test_another_person_at_userinfo(server: Server, provider: StandIn, surfer: Browser) -> None:
    """An address that userinfo tells of somebody else is nobody's here."""
    person, victim = person_of(new_email()), new_email()
    provider.forgery = Forgery(claims={"email": ABSENT, "email_verified": ABSENT})
    for lie in ({"sub": "somebody else", "email": victim}, {"sub": ABSENT, "email": victim}):
        provider.userinfo = lie
        assert_refused(surfer.log_in(person), "provider_error")
        assert_nobody(server, person)
    provider.userinfo = {}
    assert surfer.log_in(person).header("Location") == PAGE


@pytest.mark.parametrize(("endpoint", "fault"), FAULTS, ids=lambda value: getattr(value, "name", value))
def test_endpoint_that_misbehaves(
    server: Server, provider: StandIn, surfer: Browser, monkeypatch: pytest.MonkeyPatch, endpoint: str, fault: Fault
) -> None:
    """Whatever an endpoint does instead of answering: an error in time, no session, and the next login is well."""
    if endpoint != TOKEN:  # one endpoint shows the time that a request really takes
        monkeypatch.setattr("chalicelib.providers.http.CALL_SECONDS", 0.5)
    person = person_of(new_email())
    provider.forgery = Forgery(claims={"email": ABSENT, "email_verified": ABSENT})  # so that userinfo is asked
    members = {**own_code(server.provider, person), "transport": "body"}
    provider.faults[endpoint] = fault
    began = time.monotonic()
    reply = surfer.client.post("/login/google/exchange", members, [FROM_PAGE])
    assert time.monotonic() - began < SECONDS
    assert (reply.status, reply.json["code"] in {"unavailable", "provider_error"}) == (503, True), reply
    assert reply.header("Retry-After")
    assert_nobody(server, person)
    provider.recover()
    provider.forgery = Forgery(claims={"email": ABSENT, "email_verified": ABSENT})
    monkeypatch.undo()
    with server.forgetful():  # as a moment later: what failed is not asked again at once
        assert surfer.log_in(person).header("Location") == PAGE


@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.HANG, Fault.REDIRECT], ids=lambda fault: fault.name)
def test_browser_comes_back_from_a_broken_provider(provider: StandIn, surfer: Browser, fault: Fault) -> None:
    """While metadata cannot be had, the link says so; where the code cannot be redeemed, the page is told."""
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    provider.faults[TOKEN] = fault
    began = time.monotonic()
    assert_refused(surfer.come_back(callback), "unavailable", "provider_error")
    assert time.monotonic() - began < SECONDS
    provider.recover()
    assert_refused(surfer.come_back(callback), "login_expired")


def test_link_to_a_provider_that_is_away(provider: StandIn, surfer: Browser) -> None:
    """503 with Retry-After, and nothing is written or set."""
    provider.faults[METADATA] = Fault.ERROR_503
    reply = surfer.client.call("GET", f"/login/google?return_to={PAGE}")
    assert_problem(reply, 503, "unavailable")
    assert reply.header("Retry-After")


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": ABSENT},
        {"token_endpoint": "https://user@evil.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": "http://169.254.169.254/latest/meta-data"},
        {"token_endpoint": 1},
    ],
    ids=["another issuer", "no issuer", "user", "script", "plain http", "file", "link-local", "number"],
)
def test_metadata_that_is_not_followed(provider: StandIn, surfer: Browser, metadata: dict[str, Any]) -> None:
    """Metadata of another issuer, or with an endpoint that is none, are not acted on."""
    provider.metadata = metadata
    reply = surfer.client.call("GET", f"/login/google?return_to={PAGE}")
    assert_problem(reply, 503, "provider_error")
    assert reply.header("Location") is None


def test_rotated_keys(provider: StandIn, surfer: Browser) -> None:
    """Keys that the provider changes between two logins are fetched when they are first met."""
    email = new_email()
    assert surfer.log_in(person_of(email)).header("Location") == PAGE
    provider.rotate()
    assert surfer.log_in(person_of(email)).header("Location") == PAGE


def test_storm_of_unknown_keys(server: Server, provider: StandIn, surfer: Browser) -> None:
    """However many tokens name keys that there are not, the keys are fetched twice (CVE-2026-48524)."""
    surfer.log_in(person_of(new_email()))
    before = provider.fetches[KEYS]
    for number in range(20):
        provider.forgery = Forgery(header={"kid": f"unknown-{number}"})
        members = {**own_code(server.provider, person_of(new_email())), "transport": "body"}
        reply = surfer.client.post("/login/google/exchange", members, [FROM_PAGE])
        assert_problem(reply, 503, "provider_error")
    assert provider.fetches[KEYS] - before <= 1
    provider.recover()
    assert surfer.log_in(person_of(new_email())).header("Location") == PAGE


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ((400, "invalid_grant"), 401, "invalid_code"),
        ((400, "invalid_request"), 503, "provider_error"),
        ((401, "invalid_client"), 503, "provider_error"),
        ((400, "unauthorized_client"), 503, "provider_error"),
        ((400, "<script>"), 503, "provider_error"),
        ((400, None), 503, "provider_error"),
        ((418, "x"), 503, "provider_error"),
        ((429, "slow_down"), 503, "unavailable"),
        ((503, "temporarily_unavailable"), 503, "unavailable"),
    ],
    ids=str,
)
def test_refusals_at_the_token_endpoint(
    server: Server, provider: StandIn, client: Client, refusal: tuple[int, Any], status: int, code: str
) -> None:
    """A dead code is the caller's matter; a refusal of Keyturn itself is the operator's, and says so in the log."""
    provider.refusal = refusal
    members = {**own_code(server.provider, person_of(new_email())), "transport": "body"}
    assert_problem(client.post("/login/google/exchange", members, [FROM_PAGE]), status, code)


def test_client_secret_that_is_not_there(server: Server, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The operator is told in the log which parameter is missing; the caller is not."""
    with server.cold({"KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": f"{server.prefix}/provider/missing"}) as containers:
        containers.start()
        members = {**own_code(server.provider, person_of(new_email())), "transport": "body"}
        reply = client.post("/login/google/exchange", members, [FROM_PAGE])
    assert_problem(reply, 500, "internal_error")
    assert "missing" not in str(reply.json)
    assert f"{server.prefix}/provider/missing" in capsys.readouterr().out
