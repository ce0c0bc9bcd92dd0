"""Email addresses and links, before there are any by mail: what can be shown of them now.

Nothing that Keyturn says names a host that a request has named; no route changes or takes away an address; to open a
link, as mail scanners do with every one that they find, uses nothing up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.http.client import METADATA, NO_SESSION, CheckedClient, Held, assert_problem, log_in, resumed, sign_up
from tests.http.hostile import MEMBERS, ROUTES, Route, filled, members_for
from tests.world.browser import FROM_PAGE
from tests.world.constants import PAGE, PASSWORD
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from tests.http.client import Headers
    from tests.http.server import Containers, Server
    from tests.world.client import Client

EVIL = "evil.example"
FORGED: Headers = [
    ("Host", EVIL),
    ("X-Forwarded-Host", EVIL),
    ("X-Forwarded-Server", EVIL),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Prefix", f"/{EVIL}"),
    ("X-Original-Host", EVIL),
    ("X-Original-URL", f"https://{EVIL}/"),
    ("Forwarded", f"host={EVIL};proto=http"),
    ("Referer", f"https://{EVIL}/"),
]
TAKING_MEMBERS = [route for route in ROUTES if route.path in MEMBERS and route.method == "POST"]
GETS = [route for route in ROUTES if route.method == "GET"]


@pytest.fixture(scope="module")
def containers(one_server: Server) -> Containers:
    """Containers over a table of this module's own: to read one that all tests fill takes longer than the tests."""
    return one_server.apart()


def items(server: Server) -> dict[str, str]:
    """All that the table holds, but for what the limiter counts."""
    return {
        f"{item['pk']} {item['sk']}": json.dumps(item, sort_keys=True, default=repr)
        for item in server.rows()
        if "limit#" not in str(item["pk"])
    }


def test_links_are_of_configuration(server: Server, client: Client) -> None:
    """Every URL that is made is of the issuer or of an allowed page, whatever a request's headers name as its host.

    What a mailed link will be made from (GHSA-3529-5m8x-rpv3): the same settings, and nothing that came along.
    """
    surfer = server.browser(client)
    begun = surfer.get("/login/google", {"return_to": PAGE}, FORGED)
    location = str(begun.header("Location"))
    (redirect_uri,) = parse_qs(urlsplit(location).query)["redirect_uri"]
    assert redirect_uri == f"{server.url}/login/google/callback"
    assert EVIL not in location
    callback = surfer.agree(location, person_of(new_email()))
    assert surfer.come_back(callback, FORGED).header("Location") == PAGE
    held = resumed(surfer)
    csrf_token = ("X-CSRF-Token", held.csrf_token)
    linking = surfer.fetch(
        "POST", "/identities/google/authorization", {"return_to": PAGE}, [held.bearer, csrf_token, *FORGED]
    )
    (redirect_uri,) = parse_qs(urlsplit(linking.json["authorization_url"]).query)["redirect_uri"]
    assert redirect_uri == f"{server.url}/login/google/callback"
    metadata = client.call("GET", METADATA, headers=FORGED).json
    urls = [value for value in metadata.values() if isinstance(value, str) and "://" in value]
    assert urls
    assert [url for url in urls if not url.startswith(server.url)] == []


def test_two_routes_take_an_address() -> None:
    """Signing up and logging in, which change none: an account's address changes nowhere (amplify-js #987).

    A route that changes one has to bring what the faults of others ask for: what was mailed before stops working
    (regressions 8), and the old address goes when the new one is proven, not before.
    """
    assert {path for path, members in MEMBERS.items() if "email" in members} == {"/signup", "/login"}
    assert not [path for path in MEMBERS if "email" in path]


@pytest.mark.parametrize("route", [route for route in TAKING_MEMBERS if route.guarded], ids=str)
@pytest.mark.parametrize("name", ["email", "new_email", "email_verified", "user"])
def test_no_route_changes_an_address(app_user: Held, route: Route, name: str) -> None:
    """Whoever is logged in and sends another address along changes nothing: 400, and the account is as it was."""
    members = {**(members_for(route, app_user) or {}), name: new_email()}
    reply = route.send(app_user, [("Content-Type", "application/json")], json.dumps(members).encode())
    assert_problem(reply, 400, "invalid_request")
    assert app_user.me().json["email"] == app_user.email
    log_in(app_user.client, app_user.email)


def test_address_of_a_provider_replaces_none(server: Server, client: Client) -> None:
    """Who links an identity with another address, and logs in by it, has the address of before (amplify-js #987)."""
    held, surfer = sign_up(client), server.browser(client)
    other = new_email()
    members = {"return_to": PAGE, "refresh_token": held.refresh_token}
    asked = surfer.fetch("POST", "/identities/google/authorization", members, [held.bearer])
    surfer.come_back(surfer.agree(asked.json["authorization_url"], person_of(other)))
    assert surfer.log_in(person_of(other)).header("Location") == PAGE
    assert resumed(surfer).me().json["email"] == held.email
    log_in(client, held.email)
    refused = client.post("/login", {"email": other, "password": PASSWORD, "transport": "body"}, [FROM_PAGE])
    assert_problem(refused, 401, "invalid_credentials")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_opening_a_link_uses_nothing_up(server: Server, client: Client, method: str) -> None:
    """A scanner that opens every link it finds changes nothing of any account (better-auth #9690).

    It has the whole callback URL of a login that has begun, and no cookie: afterwards the browser finishes the login.
    """
    held, surfer = sign_up(client, "cookie"), server.browser(client)
    callback = surfer.agree(surfer.begin(), person_of(new_email()))
    before = items(server)
    scanner = CheckedClient(server.url)
    for _ in range(2):
        for route in GETS:
            scanner.send(method, filled(route.path, held.session_id))
        opened = scanner.send(method, callback)
        assert opened.status in {204, 404} or opened.header("Location") == f"{PAGE}?error=login_expired"
    after = items(server)
    assert {key: after.get(key) for key in before} == before
    assert surfer.come_back(callback).header("Location") == PAGE
    assert surfer.logged_in()
    held.assert_lives()


def test_opening_a_link_logs_nobody_in(server: Server, client: Client) -> None:
    """What a GET without a cookie leaves in a browser is no session, and no part of one (ASVS V7.6.2)."""
    scanner = server.browser(client)
    for route in GETS:
        scanner.get(filled(route.path), {"return_to": PAGE})
    assert {name for name in scanner.cookies if not name.startswith("__Host-login-")} == {"__Host-login"}
    assert scanner.get("/csrf").json == NO_SESSION
