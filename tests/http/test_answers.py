"""What holds of every answer, whatever was asked: what it gives away, how large it is, what else could read it."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import jwt
import pytest

from tests.http.client import JWKS, METADATA, CheckedClient, Held, assert_problem, log_in, resumed, sign_up
from tests.http.hostile import ROUTES, Route, every_route, filled, form_for, members_for
from tests.world.browser import FROM_PAGE, LOGIN_COOKIE
from tests.world.constants import PAGE, PASSWORD
from tests.world.own_request import own_code
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.client import Headers
    from tests.http.server import Server
    from tests.world.client import Client, Reply

LARGEST_COOKIE = 4096  # bytes of name and value that every browser keeps (RFC 6265 section 6.1)
WHAT_ANSWERS = ("chalice", "botocore", "boto3", "urllib3", "pyjwt", "argon2", "dynamodb", "python", "lambda")


def answers(route: Route, client: Client) -> Iterator[Reply]:
    """What a route answers to a right request, to a wrong one, and to none that it knows."""
    held = sign_up(client)
    form, members = form_for(route, held), members_for(route, held)
    yield route.send(held)
    if form is not None:
        yield route.send(held, [("Content-Type", "application/x-www-form-urlencoded")], form)
    if members is not None:
        yield route.send(held, [("Content-Type", "application/json")], json.dumps(members).encode())
    yield held.client.send(route.method, filled(route.path))
    yield held.client.send("TRACE", filled(route.path))


@every_route
def test_nothing_says_what_answers(client: Client, route: Route) -> None:
    """No header and no body names a server, a library or its version (ASVS V13.4.6)."""
    versions = {version(name) for name in ("chalice", "botocore", "pyjwt", "argon2-cffi", "cryptography")}
    for reply in answers(route, client):
        assert not [name for name, _ in reply.headers if name.lower() in {"server", "via", "x-powered-by"}], reply
        if reply.status == 200:
            continue  # what a route is there to tell; the API's own description has a version
        said = f"{reply.headers} {reply.body!r}".lower()
        assert [name for name in WHAT_ANSWERS if name in said] == []
        assert [number for number in versions if number in said] == []


@pytest.mark.parametrize("transport", ["cookie", "session"])
def test_cookies_are_small(server: Server, transport: str) -> None:
    """With the longest address there is, no cookie comes near what browsers keep, and all of them fit (V3.3.5)."""
    client = CheckedClient(server.url)
    email = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{new_email()[:32]}.example"
    held = sign_up(client, transport, email)
    surfer = server.browser(client)
    surfer.begin()
    given = [cookie.partition(";")[0] for cookie in held.reply.all("Set-Cookie")]
    cookies = [*given, *(f"{name}={value}" for name, value in surfer.cookies.items())]
    assert held.cookie in given
    assert LOGIN_COOKIE in surfer.cookies
    assert sum(map(len, cookies)) < LARGEST_COOKIE / 4


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET"], ids=str)
def test_no_answer_is_a_script(app_user: Held, route: Route) -> None:
    """Whatever a page asks for, no answer is code that it could load from elsewhere (ASVS V3.5.6, V3.5.7)."""
    for query in ("?callback=steal", "?jsonp=steal&format=jsonp", "?cb=steal"):
        reply = route.send(app_user, [("Accept", "text/javascript")], query=query)
        assert "steal" not in f"{reply.headers} {reply.body!r}"
        assert "javascript" not in (reply.header("Content-Type") or "")
        assert reply.header("X-Content-Type-Options") == "nosniff"


def test_providers_tokens_stay_here(server: Server, client: Client) -> None:
    """Neither the provider's ID token nor its access token reaches a browser, an app or a page (ASVS V10.1.1)."""
    email, surfer = new_email(), server.browser(client)
    replies = [surfer.log_in(person_of(email))]
    held = resumed(surfer)
    exchanged = {**own_code(server.provider, person_of(email)), "transport": "body"}
    replies += [held.reply, client.post("/login/google/exchange", exchanged, [FROM_PAGE]), held.me()]
    replies += [client.call("GET", path, headers=[held.bearer]) for path in ("/identities", "/sessions")]
    assert [reply.status for reply in replies] == [303, 200, 200, 200, 200, 200]
    given = set(server.provider._subjects)
    assert given
    for reply in replies:
        said = f"{reply.headers} {reply.body!r}"
        assert not [token for token in given if token in said]
        assert "id_token" not in said
        for token in re.findall(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", said):
            assert jwt.decode(token, options={"verify_signature": False})["iss"] == server.url


@pytest.mark.parametrize(
    "spelled",
    [
        "{0}",
        quote("{0}", safe="{}"),
        quote(quote("{0}@", safe="{}"), safe="{}"),
        "&#64;{0}",
        "\\u0040{0}",
        "=?utf-8?q?{0}?=",
        "YUBleGFtcGxlLmNvbQ==",
    ],
)
def test_addresses_are_decoded_once(client: Client, spelled: str) -> None:
    """What is no address as JSON has it does not become one by being decoded again (ASVS V1.1.1)."""
    email = new_email()
    sign_up(client, email=email)
    encoded = spelled.format(email.replace("@", "%40"))
    for path in ("/signup", "/login"):
        reply = client.post(path, {"email": encoded, "password": PASSWORD, "transport": "body"})
        assert reply.status in {400, 401}, reply
    log_in(client, email)


def test_page_is_decoded_once(client: Client) -> None:
    """A page that is encoded twice is another text than the allowed one (ASVS V1.1.1)."""
    once, twice = urlencode({"return_to": PAGE}), urlencode({"return_to": quote(PAGE, safe="")})
    assert client.call("GET", f"/login/google?{once}").status == 303
    assert_problem(client.call("GET", f"/login/google?{twice}"), 400, "invalid_request")


@pytest.mark.parametrize("name", ["code", "state", "iss"])
def test_nothing_endless_is_sent_on(server: Server, client: Client, name: str) -> None:
    """A parameter of 60 kB is refused here, and no provider is asked with it (ASVS V4.2.5)."""
    surfer = server.browser(client)
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    asked = len(server.provider.requests)
    reply = surfer.come_back(f"{re.sub(f'(?<=[?&]){name}=[^&]*', '', callback)}&{name}={'a' * 60_000}")
    assert reply.status in {303, 400}
    assert not surfer.logged_in()
    assert len(server.provider.requests) == asked


def test_long_code_of_an_app_is_not_sent_on(server: Server, client: Client) -> None:
    """The same of a code that a page or an app brings."""
    members = {**own_code(server.provider, person_of(new_email())), "transport": "body"}
    asked = len(server.provider.requests)
    for length, refusals in ((5000, {400}), (100_000, {413})):
        for name in ("code", "nonce", "redirect_uri", "code_verifier"):
            reply = client.post("/login/google/exchange", {**members, name: "a" * length}, [FROM_PAGE])
            assert reply.status in refusals, (name, reply)
    assert len(server.provider.requests) == asked


@pytest.mark.parametrize("text", ['"}', "</script>", "\u2028\u2029", "\\", "\x00\x1f", "é🔑", "'--"])
def test_what_is_said_back_is_json(client: Client, text: str) -> None:
    """Whatever a caller's own text holds, the answer that repeats it is one JSON value that holds it (ASVS V1.2.3)."""
    agent: Headers = [("User-Agent", re.sub(r"[\x00-\x1f]", "", text).encode())]
    held = sign_up(client)
    reply = client.post("/login", {"email": held.email, "password": PASSWORD, "transport": "body"}, agent)
    assert reply.status == 200
    listed = client.call("GET", "/sessions", headers=[held.bearer]).json["sessions"]
    assert len(listed) == 2
    refused = client.post("/login", {"email": held.email, "password": PASSWORD, f"x{text}": "y"})
    assert_problem(refused, 400, "invalid_request")
    assert set(refused.json) == {"type", "title", "status", "code", "detail"}


@pytest.mark.parametrize("path", [JWKS, METADATA])
def test_published_documents_name_nobody(client: Client, path: str) -> None:
    """What anybody may read and keep is the same for everybody: no address, no account, no session is in it."""
    held = sign_up(client)
    anybody, somebody = client.call("GET", path), client.call("GET", path, headers=[held.bearer])
    assert anybody.body == somebody.body
    assert not anybody.all("Set-Cookie")
