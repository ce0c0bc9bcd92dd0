"""Headers that no honest client sends: malformed is absent, and never a pass or a 5xx."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.client import JWKS, SESSION_COOKIE, Held, assert_problem, sign_up
from tests.http.hostile import ROUTES, Route, assert_harmless, every_route, filled
from tests.world.browser import FROM_PAGE, REFRESH_COOKIE
from tests.world.constants import ORIGIN, PASSWORD
from tests.world.person import new_email

if TYPE_CHECKING:
    from tests.http.server import Server
    from tests.world.client import Client

GUARDED = [route for route in ROUTES if route.guarded]
COOKIES: list[str | bytes] = [
    "",
    "=",
    ";",
    ";;;===;",
    REFRESH_COOKIE,
    f"{REFRESH_COOKIE}=",
    f"{REFRESH_COOKIE}={REFRESH_COOKIE}",
    f"{REFRESH_COOKIE}=a; {REFRESH_COOKIE}=b",
    f'{REFRESH_COOKIE}="quoted"',
    f"{REFRESH_COOKIE}=\u00e9\u4e2d",
    f"{REFRESH_COOKIE}=" + "a" * 8192,
    "a" * 8192,
    "; ".join(f"c{number}=x" for number in range(500)),
    f"{REFRESH_COOKIE}=kt1." + "a" * 32 + "." + "A" * 112,
    f"{REFRESH_COOKIE}=kt1.\x00.x",
    f"\u2000{REFRESH_COOKIE}=x",
    f"__Host-session=x; {REFRESH_COOKIE}=y",
    SESSION_COOKIE,
    f"{SESSION_COOKIE}=",
    f"{SESSION_COOKIE}=a; {SESSION_COOKIE}=b; {REFRESH_COOKIE}=c",
    f"{SESSION_COOKIE}=kt1." + "a" * 32 + "." + "A" * 112,
    f"{SESSION_COOKIE}=\u00e9\u4e2d",
    b"\xff\xfe=\xfd",
    b"__Host-refresh=\xff\xff",
]
AUTHORIZATIONS: list[str | bytes] = [
    "Basic eDp5",
    "Basic",
    "Bearer",
    "Bearer ",
    "Bearer\t{0}",
    "Bearer {0} ,",
    "Bearer {0}, Bearer {0}",
    "Bearer {0} {0}",
    "Bearer {0}x",
    "Bearer {0}=",
    "Bearer {0}.",
    "Bearer .{0}",
    "Bearer ..",
    "Bearer a.b.c",
    "Bearer " + "a" * 10_000,
    "Bearer " + "." * 4000,
    "Bearer " + "eyJ" * 3000 + "." + "e30" * 10 + ".x",
    "Bearer eyJhbGciOiJub25lIn0.e30.",  # pragma: allowlist secret
    "Bearer W10.W10.W10",
    "Bearer bnVsbA.bnVsbA.bnVsbA",
    "Bearer " + "W1tb" * 900 + ".e30.x",
    "Bearer \u00e9\u4e2d",
    "Bearer\u00a0{0}",
    "\u0412earer {0}",
    "{0}",
    "DPoP {0}",
    "Bearer: {0}",
    'Bearer token="{0}"',
    "null",
    b"Bearer \xff\xfe",
    b"\xff",
    "Bearer {0}\x00",
]


@every_route
def test_malformed_cookie(app_user: Held, route: Route) -> None:
    """A malformed cookie is no hindrance and no pass (CVE-2026-25748)."""
    for cookie in COOKIES:
        assert_harmless(route.send(app_user, [("Cookie", cookie)]))
        assert_harmless(route.send(app_user, [("Cookie", cookie), ("Cookie", cookie), ("X-CSRF-Token", "x")]))


@pytest.mark.parametrize("route", GUARDED, ids=str)
def test_malformed_authorization(app_user: Held, route: Route) -> None:
    """What is not exactly a bearer with our token is 401."""
    access_token = app_user.bearer[1].removeprefix("Bearer ")
    path = filled(route.path, app_user.session_id)
    for form in AUTHORIZATIONS:
        value = form.format(access_token) if isinstance(form, str) else form
        reply = app_user.client.send(route.method, path, [("Authorization", value)])
        assert (reply.status, reply.json["code"]) == (401, "invalid_token"), form
    app_user.assert_lives()


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.guarded and not route.signed], ids=str)
def test_authorization_where_none_is_asked_for(app_user: Held, route: Route) -> None:
    """A malformed access token is no hindrance where none is needed."""
    usual = route.send(app_user).status
    for value in AUTHORIZATIONS:
        assert route.send(app_user, [("Authorization", value)]).status == usual, value


@every_route
def test_other_hosts_name(app_user: Held, route: Route) -> None:
    """Neither Host nor what proxies add changes an answer (GHSA-3529-5m8x-rpv3)."""
    names = ("Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Original-URL", "X-Rewrite-URL")
    usual = route.send(sign_up(app_user.client))
    reply = route.send(app_user, [(name, "evil.example") for name in names])
    assert reply.status == usual.status
    assert "evil" not in f"{reply.headers} {reply.body!r}"


def test_issuer_comes_from_configuration(server: Server, client: Client) -> None:
    """A token's issuer and key are the configured ones, whatever the request says of its host (CVE-2026-31813)."""
    headers = [FROM_PAGE, ("Host", "evil.example"), ("X-Forwarded-Host", "evil.example")]
    members = {"email": new_email(), "password": PASSWORD, "transport": "body"}
    access_token = client.post("/signup", members, headers).json["access_token"]
    assert jwt.decode(access_token, options={"verify_signature": False})["iss"] == server.url
    assert client.call("GET", JWKS, headers=headers).json == client.call("GET", JWKS).json


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_method_comes_from_the_request_line(app_user: Held, name: str) -> None:
    """No header makes one method another."""
    for method in ("DELETE", "POST", "TRACE", "x"):
        override = (name, method)
        assert app_user.client.call("GET", "/me", headers=[app_user.bearer, override]).status == 200
        reply = app_user.client.call("GET", f"/sessions/{app_user.session_id}", headers=[app_user.bearer, override])
        assert_problem(reply, 404, "not_found")
    app_user.assert_lives()


@every_route
def test_accept_and_content_type(app_user: Held, route: Route) -> None:
    """Whatever a client says that it takes or sends without a body, the answer is JSON."""
    names = ("Accept", "Accept-Encoding", "Accept-Language", "Range", "If-None-Match", "Upgrade")
    for value in ("*/*", "image/png", "application/octet-stream", "text/html", "", "\u00e9", "a" * 4096, "bytes=0-1"):
        reply = route.send(app_user, [(name, value) for name in names])
        assert_harmless(reply)
        assert reply.status in {204, 303} or reply.json
    for value in ("text/plain", "image/png", "", "\u00e9"):
        assert_harmless(route.send(app_user, [("Content-Type", value)]))


@every_route
def test_principal_is_not_taken_from_headers(app_user: Held, route: Route) -> None:
    """What the authorizer hands over cannot be sent along."""
    headers = [
        ("sub", "x"),
        ("principalId", "x"),
        ("X-Amzn-Oidc-Identity", "x"),
        ("requestContext", '{"authorizer":{}}'),
    ]
    if route.guarded:
        reply = app_user.client.send(route.method, filled(route.path, app_user.session_id), headers)
        assert_problem(reply, 401, "invalid_token")
    else:
        assert_harmless(route.send(app_user, headers))


# What HTTP cannot carry is not our matter: line breaks and NUL end a header.
any_value = st.binary(max_size=60).filter(lambda value: not set(value) & set(b"\r\n\x00"))
any_header = st.tuples(
    st.sampled_from(
        ["Cookie", "Authorization", "Origin", "Sec-Fetch-Site", "X-CSRF-Token", "Content-Type", "User-Agent"]
    ),
    st.one_of(
        any_value,
        any_value.map(lambda value: b"__Host-refresh=" + value),
        any_value.map(lambda value: b"__Host-session=" + value),
        any_value.map(lambda value: b"Bearer " + value),
        any_value.map(lambda value: ORIGIN.encode() + value),
    ),
)


@every_route
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=st.lists(any_header, max_size=4))
def test_any_headers(app_user: Held, route: Route, headers: list[tuple[str, bytes]]) -> None:
    """Whatever headers come, the answer is in our form."""
    assert_harmless(app_user.client.send(route.method, route.path, headers))
