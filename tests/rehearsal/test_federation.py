"""Logging in at a provider, through the gateway, against the zips that were deployed with its settings."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from chalicelib.web.boundary import SECURITY_HEADERS
from tests.rehearsal.stack import deployed
from tests.rehearsal.test_flow import assert_problem
from tests.world.constants import NONCE, ORIGIN, PAGE, VERIFIER
from tests.world.misdeeds import METADATA, TOKEN, Fault
from tests.world.own_request import own_code
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.stack import RunningStack
    from tests.world.browser import Browser
    from tests.world.client import Client, Reply

STAGE = "prod"
SECRET = f"/keyturn/{STAGE}/provider/google"
CLOSE_TO = 5.0  # seconds: what a provider that hangs may cost a caller at most

# Every way to name another place, or the same one in other words (CVE-2022-31093, next-auth and others).
ELSEWHERE = [
    "",
    "/",
    "//evil.example",
    "///evil.example/welcome",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https://evil.example/welcome",
    "https://app.example.com@evil.example/welcome",
    "https://app.example.com:x@evil.example/welcome",
    "https://app.example.com.evil.example/welcome",
    "https://evil.example#https://app.example.com/welcome",
    "https://app.example.com\\@evil.example/welcome",
    "https://app.example.com%2f@evil.example/welcome",
    "https://app.example.com/welcome/../../evil",
    "https://app.example.com/%77elcome",
    "https://app.example.com/welcome/",
    "https://app.example.com/welcome?next=//evil.example",
    "https://app.example.com/welcome#",
    "https://app.example.com/welcome\n",
    "https://app.example.com/welcome\r\nSet-Cookie: a=b",
    "https://app.example.com/welcome\x00",
    " https://app.example.com/welcome",
    "https://app.example.com:443/welcome",
    "https://APP.example.com/welcome",
    "HTTPS://app.example.com/welcome",
    "http://app.example.com/welcome",
    "https://app。example。com/welcome",
    "https://app.example.com./welcome",
    "https%3A%2F%2Fapp.example.com%2Fwelcome",
    "%2f%2fevil.example",
    "javascript:alert(1)//https://app.example.com/welcome",
    "data:text/html,https://app.example.com/welcome",
    f"{PAGE},https://evil.example",
    f"{PAGE} https://evil.example",
]


@pytest.fixture(scope="module")
def provider() -> Iterator[StandIn]:
    """Google, played on loopback."""
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def stack(aws: LocalAws, provider: StandIn) -> Iterator[RunningStack]:
    """A stage with Google switched on. Deployed as its owner would: first the secret, then the settings."""
    aws.client("ssm").put_parameter(Name=SECRET, Value=provider.client_secret, Type="SecureString")
    settings = {
        "KEYTURN_ALLOWED_ORIGINS": ORIGIN,
        "KEYTURN_RETURN_TO": PAGE,
        "KEYTURN_GOOGLE_CLIENT_ID": provider.client_id,
        "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": SECRET,
        "KEYTURN_GOOGLE_ISSUER": provider.url,
    }
    with deployed(STAGE, aws=aws, settings=settings) as stack:
        yield stack
        stack.destroy(with_table=True)


@pytest.fixture
def visitor(stack: RunningStack, provider: StandIn) -> Iterator[Browser]:
    """A new browser, and somebody whom nobody has seen before."""
    yield stack.browser(provider)
    provider.recover()
    provider.refuses = False


def assert_sends_to(reply: Reply, location: str) -> None:
    """303 there and nowhere else, with every security header once, and stored by nobody."""
    assert (reply.status, reply.header("Location")) == (303, location), reply
    assert reply.header("Cache-Control") == "no-store"
    for name, value in SECURITY_HEADERS.items():
        assert reply.header(name) == value
    assert reply.body == b""


def attributes(reply: Reply) -> tuple[str, set[str]]:
    """Name and attributes of the answer's first cookie; its lifetime is another test's."""
    first, *others = reply.all("Set-Cookie")[0].split("; ")
    return first.partition("=")[0], {other for other in others if not other.startswith("Max-Age=")}


def assert_removes_the_logins_own_cookie(reply: Reply) -> None:
    """The answer sets no other cookie."""
    (removed,) = reply.all("Set-Cookie")
    assert removed.startswith("__Host-login-")
    assert "Max-Age=0" in removed


def test_there_and_back(visitor: Browser, provider: StandIn) -> None:
    """The query and both cookies pass the gateway; the page's cookie is a session's, of who the provider says it is."""
    begun = visitor.press()
    location = begun.header("Location") or ""
    assert_sends_to(begun, location)
    assert location.startswith(f"{provider.url}/authorize?")
    assert attributes(begun) == ("__Host-login", {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"})

    returned = visitor.come_back(visitor.agree(location))
    assert_sends_to(returned, PAGE)
    assert attributes(returned) == ("__Host-refresh", {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"})
    session = visitor.resume().json
    assert (session["user"]["email"], session["user"]["email_verified"]) == (visitor.person.email, True)
    me = visitor.request("GET", "/me", bearer=session["access_token"])
    assert (me.status, me.json["sub"]) == (200, session["user"]["sub"])


def test_second_login(visitor: Browser, stack: RunningStack, provider: StandIn) -> None:
    """Another browser, and a container that starts cold, find the same account."""
    visitor.log_in()
    stack.restart()
    elsewhere = stack.browser(provider, visitor.person)
    assert_sends_to(elsewhere.log_in(), PAGE)
    assert elsewhere.resume().json["user"]["sub"] == visitor.resume().json["user"]["sub"]


def test_callback_is_good_once_and_in_its_own_browser(visitor: Browser, stack: RunningStack, provider: StandIn) -> None:
    """Another browser that loads the URL gets nothing and spoils nothing; loaded again by its own, it sets nothing."""
    callback = visitor.agree(visitor.begin())
    others = stack.browser(provider, visitor.person)
    others.press()
    for thief in (others, stack.browser(provider, visitor.person)):
        refused = thief.come_back(callback)
        assert_sends_to(refused, f"{PAGE}?error=login_expired")
        assert refused.all("Set-Cookie") == []
    assert_sends_to(visitor.come_back(callback), PAGE)
    again = visitor.come_back(callback)
    assert_sends_to(again, PAGE)
    assert again.all("Set-Cookie") == []


def test_person_refuses(visitor: Browser, provider: StandIn) -> None:
    """The page learns so by a code, and there is no session."""
    provider.refuses = True
    refused = visitor.log_in()
    assert_sends_to(refused, f"{PAGE}?error=access_denied")
    assert_removes_the_logins_own_cookie(refused)


def test_exchange(visitor: Browser, provider: StandIn) -> None:
    """A code that the frontend brings opens the same account as the redirect; it is good once."""
    visitor.log_in()
    sub = visitor.resume().json["user"]["sub"]
    visitor.cookies.clear()
    members = {**own_code(provider, visitor.person), "transport": "body"}
    exchanged = visitor.request("POST", "/login/google/exchange", members)
    assert (exchanged.status, exchanged.json["user"]["sub"]) == (200, sub)
    assert (exchanged.header("Cache-Control"), exchanged.all("Set-Cookie")) == ("no-store", [])
    assert visitor.request("POST", "/refresh", {"refresh_token": exchanged.json["refresh_token"]}).status == 200
    assert_problem(visitor.request("POST", "/login/google/exchange", members), 401, "invalid_code")


def test_link_and_unlink(visitor: Browser, provider: StandIn, credentials: dict[str, Any]) -> None:
    """An account with a password takes the identity in by code or by redirect, opens by it, and lets it go."""
    account = visitor.request("POST", "/signup", credentials).json

    def renewed(method: str, path: str, **members: str) -> Any:
        reply = visitor.request(
            method,
            path,
            {**members, "refresh_token": account["refresh_token"]},
            headers={"Origin": ORIGIN},
            bearer=account["access_token"],
        )
        assert reply.status == 200, reply
        return reply.json

    first = account
    account = renewed("POST", "/identities/google", **own_code(provider, visitor.person))
    assert linked(visitor, account["access_token"]) == [("google", visitor.person.name)]
    assert exchange(visitor, provider).json["user"]["sub"] == account["user"]["sub"]
    account = renewed("DELETE", "/identities/google")
    bearer = account["access_token"]
    assert linked(visitor, bearer) == []
    dead = visitor.request("POST", "/refresh", {"refresh_token": first["refresh_token"]})
    assert_problem(dead, 401, "invalid_grant")

    asked = renewed("POST", "/identities/google/authorization", return_to=PAGE)
    returned = visitor.come_back(visitor.agree(asked["authorization_url"]))
    assert_sends_to(returned, PAGE)
    assert_removes_the_logins_own_cookie(returned)  # the session that asked goes on
    assert linked(visitor, bearer) == [("google", visitor.person.name)]


def exchange(visitor: Browser, provider: StandIn) -> Reply:
    """Log in with a code that the page has asked for itself, over the transport `body`."""
    members = {**own_code(provider, visitor.person), "transport": "body"}
    return visitor.request("POST", "/login/google/exchange", members)


def linked(visitor: Browser, bearer: str) -> list[tuple[str, str]]:
    """The account's identities: provider and subject."""
    listed = visitor.request("GET", "/identities", bearer=bearer)
    assert listed.status == 200, listed
    return [(identity["provider"], identity["subject"]) for identity in listed.json["identities"]]


def test_last_way_in(visitor: Browser, provider: StandIn) -> None:
    """An account that nothing else opens keeps its identity."""
    grant = exchange(visitor, provider).json
    members = {"refresh_token": grant["refresh_token"]}
    reply = visitor.request("DELETE", "/identities/google", members, bearer=grant["access_token"])
    assert_problem(reply, 409, "last_way_in")


@pytest.mark.parametrize("path", ["/login/google", "/login/google/callback"])
def test_provider_that_is_off(client: Client, path: str) -> None:
    """A stage without the settings has no such routes to browsers."""
    query = urlencode({"return_to": PAGE, "state": "s", "code": "c"})
    assert_problem(client.call("GET", f"{path}?{query}"), 404, "provider_not_found")


def test_exchange_at_a_provider_that_is_off(client: Client, visitor: Browser, provider: StandIn) -> None:
    """Nor to frontends; and a stage with one provider has no other."""
    members = own_code(provider, visitor.person)
    assert_problem(client.call("POST", "/login/google/exchange", members), 404, "provider_not_found")
    members = own_code(provider, visitor.person)
    assert_problem(visitor.request("POST", "/login/oidc/exchange", members), 404, "provider_not_found")


@pytest.mark.parametrize("return_to", ELSEWHERE)
def test_open_redirect(visitor: Browser, return_to: str) -> None:
    """A page that is not on the list to the byte is refused before anything begins."""
    assert_refused(visitor.press(return_to))


def test_open_redirect_by_the_query_itself(visitor: Browser) -> None:
    """Two pages are none; nor does a name that is spelled otherwise smuggle one in."""
    page, evil = quote(PAGE, safe=""), quote("https://evil.example", safe="")
    for query in (
        f"return_to={page}&return_to={evil}",
        f"return_to={evil}&return_to={page}",
        f"return_to[]={page}",
        f"RETURN_TO={page}",
        f"return_to={quote(page)}",
        "return_to",
        "",
    ):
        assert_refused(visitor.request("GET", f"/login/google?{query}"))


def assert_refused(reply: Reply) -> None:
    """A problem that leads nowhere and leaves nothing in the browser."""
    assert_problem(reply, 400, "invalid_request")
    assert (reply.all("Location"), reply.all("Set-Cookie")) == ([], [])


def test_forged_callbacks_name_no_page(visitor: Browser) -> None:
    """A callback whose state is not ours is answered by the API itself: nothing says where to go."""
    callback = visitor.agree(visitor.begin())
    state = parse_qs(urlsplit(callback).query)["state"][0]
    for forged in ("", "A" * 54, state[:-1], ("B" if state[0] == "A" else "A") + state[1:]):
        reply = visitor.come_back(callback.replace(quote(state), forged))
        assert_problem(reply, 400, "login_expired")
        assert (reply.all("Location"), reply.all("Set-Cookie")) == ([], [])
    assert_sends_to(visitor.come_back(callback), PAGE)


def test_provider_hangs(visitor: Browser, stack: RunningStack, provider: StandIn) -> None:
    """Both ways answer long before Lambda's time is over, by an error that says so; the next login works."""
    callback = visitor.agree(visitor.begin())
    provider.faults[TOKEN] = Fault.HANG
    began = time.monotonic()
    assert_sends_to(visitor.come_back(callback), f"{PAGE}?error=unavailable")
    assert time.monotonic() - began < CLOSE_TO
    provider.recover()
    assert_sends_to(visitor.log_in(), PAGE)

    stack.restart()  # a container that remembers no metadata
    provider.faults[METADATA] = Fault.HANG
    began = time.monotonic()
    reply = visitor.press()
    assert time.monotonic() - began < CLOSE_TO
    assert_problem(reply, 503, "unavailable")
    assert reply.header("Retry-After")
    provider.recover()
    stack.restart()  # the one that met the failure answers by it for two seconds
    assert_sends_to(visitor.log_in(), PAGE)


def test_functions_hold_no_secret(aws: LocalAws, stack: RunningStack, provider: StandIn) -> None:
    """The client secret is in the parameter store alone: functions are told its name, and one may read it."""
    configured = aws.client("lambda").list_functions()["Functions"]
    variables = [function["Environment"]["Variables"] for function in configured if STAGE in function["FunctionName"]]
    assert [named["KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER"] for named in variables] == [SECRET] * 4
    assert provider.client_secret not in json.dumps(variables, ensure_ascii=False)
    iam = aws.client("iam")
    readers = [
        resource
        for resource in ("api_handler", "authorize", "chronicle", "guard")
        if "/provider/" in json.dumps(policy_of(iam, f"keyturn-{stack.stage}-{resource}"))
    ]
    assert readers == ["api_handler"]


def policy_of(iam: Any, role: str) -> Any:
    """The role's policy document."""
    return iam.get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"]


def test_log_holds_no_secret(visitor: Browser, stack: RunningStack, provider: StandIn) -> None:
    """Logins that went well, were refused, replayed, stolen or forged leave lines, and nothing secret in them."""
    before = len(stack.log.read_text())
    location = visitor.press().header("Location") or ""
    callback = visitor.agree(location)
    stack.browser(provider, visitor.person).come_back(callback)
    visitor.come_back(callback)
    visitor.come_back(callback)
    visitor.come_back(callback.replace("state=", "state=x"))
    session = visitor.resume().json
    members = own_code(provider, visitor.person)
    visitor.request("POST", "/login/oidc/exchange", members)
    exchanged = visitor.request(
        "POST", "/login/google/exchange", members, {"Origin": ORIGIN, "X-CSRF-Token": session["csrf_token"]}
    )
    assert exchanged.status == 200, exchanged
    provider.refuses = True
    visitor.log_in()

    lines = stack.log.read_text()[before:]
    events = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    assert {"signed_up", "logged_in", "login_refused", "request_refused"} <= {event["event"] for event in events}
    asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    forms = [form for path, _, form in provider.requests if path == TOKEN]
    secrets = {
        "state": asked["state"],
        "nonce": asked["nonce"],
        "challenge": asked["code_challenge"],
        "code": parse_qs(urlsplit(callback).query)["code"][0],
        "verifier": forms[-2]["code_verifier"],
        "frontend's code": members["code"],
        "frontend's verifier": VERIFIER,
        "frontend's nonce": NONCE,
        "access token": session["access_token"],
        "CSRF token": session["csrf_token"],
        "client secret": provider.client_secret,
        **visitor.cookies,
    }
    assert {"__Host-login", "__Host-refresh"} <= secrets.keys()
    assert forms[-1]["code"] == members["code"]
    assert [name for name, secret in secrets.items() if secret in lines] == []
