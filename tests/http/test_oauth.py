"""POST /token/revoke (RFC 7009) and POST /token/introspect (RFC 7662), to the letter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.client import CheckedClient, Held, assert_answer, assert_problem, log_in, sign_up
from tests.http.hostile import SIGNATURE, Route, assert_harmless, every_token_route
from tests.world.client import FORM, JSON, Client

if TYPE_CHECKING:
    from tests.http.client import Headers
    from tests.http.server import Server
    from tests.world.client import Reply

MEGABYTE = 1024 * 1024
OF_ACCESS_TOKEN = {
    "active",
    "client_id",
    "token_type",
    "exp",
    "iat",
    "sub",
    "aud",
    "iss",
    "jti",
    "sid",
    "auth_time",
    "amr",
    "roles",
    "email_verified",
}
OF_REFRESH_TOKEN = {"active", "client_id", "exp", "iat", "sub", "iss", "sid"}
INACTIVE = b'{"active":false}'


def access_token(held: Held) -> str:
    """The access token."""
    return str(held.reply.json["access_token"])


def post(client: Client, path: str, form: Any, headers: Headers = ()) -> Reply:
    """Send the form."""
    return client.send("POST", path, [FORM, *headers], urlencode(form).encode())


def revoke(client: Client, token: str, **form: str) -> Reply:
    """Revoke the token, which must be answered as if it had been one."""
    reply = post(client, "/token/revoke", {"token": token, **form})
    assert (reply.status, reply.json) == (200, {}), reply
    assert not reply.all("Set-Cookie")
    return reply


def introspect(client: Client, token: str, **form: str) -> Reply:
    """Ask about the token as an AWS caller."""
    reply = post(client, "/token/introspect", {"token": token, **form}, [SIGNATURE])
    assert reply.status == 200, reply
    return reply


def assert_oauth_error(reply: Reply, status: int, error: str) -> None:
    """The answer is this error in the form of RFC 6749 section 5.2."""
    assert (reply.status, reply.json.get("error")) == (status, error), reply


def test_refresh_token_is_revoked(app_user: Held) -> None:
    """The session and its access tokens are over at once; other sessions go on; a second time is no error."""
    other = log_in(app_user.client, app_user.email)
    revoke(app_user.client, app_user.refresh_token)
    revoke(app_user.client, app_user.refresh_token)
    app_user.assert_dead()
    other.assert_lives()


def test_access_token_is_revoked_alone(app_user: Held) -> None:
    """It is refused at once; its session goes on and gets another one."""
    revoke(app_user.client, access_token(app_user))
    revoke(app_user.client, access_token(app_user))
    assert_problem(app_user.me(), 401, "invalid_token")
    app_user.refreshed().assert_lives()


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "", "\u00e9"])
def test_hint_hides_no_token(app_user: Held, hint: str) -> None:
    """With a wrong hint the search goes on (section 2.1), with an unknown one too."""
    revoke(app_user.client, access_token(app_user), token_type_hint=hint)
    assert_problem(app_user.me(), 401, "invalid_token")
    assert introspect(app_user.client, app_user.refresh_token, token_type_hint=hint).json["active"] is True
    revoke(app_user.client, app_user.refresh_token, token_type_hint=hint)
    assert_problem(app_user.refresh(), 401, "invalid_grant")


def test_unknown_tokens_are_no_error(app_user: Held, browser: Held) -> None:
    """Nobody learns whether there was such a token (section 2.2): 200, and what is there goes on."""
    stranger = sign_up(app_user.client)
    for token in (
        "x",
        "a.b.c",
        "\x00",
        "\u00e9\u4e2d",
        "A" * 12_000,
        "kt1.x.y",
        f"{browser.refresh_token}x",
        f"{app_user.refresh_token}x",
        app_user.refresh_token[:-4] + "AAAA",
        f"{access_token(app_user)}x",
        f"{access_token(app_user).rpartition('.')[0]}.{access_token(stranger).rpartition('.')[2]}",
        app_user.bearer[1],
    ):
        revoke(app_user.client, token)
        assert introspect(app_user.client, f"{token}y").body == INACTIVE
    for held in (app_user, browser, stranger):
        held.assert_lives()


def test_active_access_token(server: Server, app_user: Held) -> None:
    """What the token says, for this API and from this issuer; no scope where there is none."""
    reply = introspect(app_user.client, access_token(app_user))
    assert_answer(reply, 200, OF_ACCESS_TOKEN)
    told, user = reply.json, app_user.reply.json["user"]
    assert (told["active"], told["token_type"]) == (True, "Bearer")
    assert (told["sub"], told["sid"]) == (user["sub"], app_user.session_id)
    assert (told["iss"], told["aud"], told["client_id"]) == (server.url, "https://api.example.com", told["aud"])
    assert (told["roles"], told["email_verified"], told["amr"]) == (["user"], False, ["pwd"])
    assert told["exp"] - told["iat"] == 900
    assert abs(told["auth_time"] - time.time()) < 60


def test_scope_is_told(server: Server) -> None:
    """Scopes that the roles bring stand in one string (RFC 6749 section 3.3)."""
    with server.cold({"KEYTURN_ROLE_SCOPES": "user=orders:read orders:write"}) as containers:
        containers.start()
        held = sign_up(CheckedClient(server.url))
        reply = introspect(held.client, access_token(held))
    assert_answer(reply, 200, {*OF_ACCESS_TOKEN, "scope"})
    assert reply.json["scope"] == "orders:read orders:write"


@pytest.mark.parametrize("transport", ["body", "cookie"])
def test_active_refresh_token(server: Server, client: Client, transport: str) -> None:
    """Whose it is and how long it may live unused; asking does not turn it, nor does it set a cookie."""
    held = sign_up(client, transport)
    for _ in range(3):
        reply = introspect(client, held.refresh_token)
        assert_answer(reply, 200, OF_REFRESH_TOKEN)
        assert not reply.all("Set-Cookie")
    told = reply.json
    assert (told["sub"], told["sid"]) == (held.reply.json["user"]["sub"], held.session_id)
    assert (told["iss"], told["active"]) == (server.url, True)
    assert told["exp"] - told["iat"] == server.services.config.sessions.idle_ttl
    successor = held.assert_lives()
    assert introspect(client, held.refresh_token).body == INACTIVE
    assert introspect(client, successor.refresh_token).json["active"] is True


def test_active_session_cookie(client: Client) -> None:
    """What a session's cookie holds is told as a refresh token is, from the login on, and revoked as one."""
    held = sign_up(client, "session")
    reply = introspect(client, held.refresh_token)
    assert_answer(reply, 200, OF_REFRESH_TOKEN)
    assert not reply.all("Set-Cookie")
    assert (reply.json["sid"], reply.json["sub"]) == (held.session_id, held.reply.json["user"]["sub"])
    assert abs(reply.json["iat"] - time.time()) < 60
    revoke(client, held.refresh_token)
    assert introspect(client, held.refresh_token).body == INACTIVE


def test_inactive_tokens_look_the_same(app_user: Held) -> None:
    """Revoked, ended or never issued: `active` false and nothing else (section 2.2)."""
    other = log_in(app_user.client, app_user.email)
    revoke(app_user.client, access_token(app_user))
    app_user.client.post("/logout", {"refresh_token": other.refresh_token})
    for token in (access_token(app_user), access_token(other), other.refresh_token, "x"):
        assert introspect(app_user.client, token).body == INACTIVE
    assert introspect(app_user.client, app_user.refresh_token).json["active"] is True


def test_introspection_is_for_aws_callers(server: Server, app_user: Held) -> None:
    """Unsigned requests do not get past the gateway; deployed without its authorizer the route serves nobody."""
    form = {"token": access_token(app_user)}
    for headers in ([], [app_user.bearer], [("Authorization", "Basic eDp5")]):
        assert_problem(post(app_user.client, "/token/introspect", form, headers), 404, "not_found")
    document = server.copy_of_document()
    document["paths"]["/token/introspect"]["post"].pop("security")
    with server.deployed_as(document) as url:
        for headers in ([], [app_user.bearer], [SIGNATURE]):
            reply = post(app_user.client.at(url), "/token/introspect", form, headers)
            assert_oauth_error(reply, 401, "invalid_client")
            assert reply.header("x-amzn-Remapped-WWW-Authenticate") == "AWS4-HMAC-SHA256"


def test_document_asks_for_a_signature(server: Server) -> None:
    """What is deployed has API Gateway verify the caller's signature and permission."""
    (requirement,) = server.document["paths"]["/token/introspect"]["post"]["security"]
    (name,) = requirement
    assert server.document["securityDefinitions"][name]["x-amazon-apigateway-authtype"] == "awsSigv4"


@pytest.mark.parametrize("origin", ["capacitor://localhost", "https://evil.example", "null"])
def test_revocation_asks_for_no_origin(app_user: Held, origin: str) -> None:
    """As for every route that takes a credential of the body: whoever has the token may give it up."""
    headers = [("Origin", origin), ("Sec-Fetch-Site", "cross-site")]
    assert post(app_user.client, "/token/revoke", {"token": app_user.refresh_token}, headers).status == 200
    app_user.assert_dead()


def test_cookies_are_not_looked_at(browser: Held, app_user: Held) -> None:
    """A cookie that comes along is neither revoked nor cleared."""
    headers = [("Cookie", browser.cookie)]
    reply = post(app_user.client, "/token/revoke", {"token": app_user.refresh_token}, headers)
    assert (reply.status, reply.all("Set-Cookie")) == (200, [])
    app_user.assert_dead()
    browser.assert_lives()


MALFORMED = {
    "nothing": b"",
    "no token": b"token_type_hint=access_token",
    "empty token": b"token=",
    "token without a value": b"token",
    "another case": b"Token={0}",
    "twice": b"token={0}&token={0}",
    "twice, one empty": b"token={0}&token=",
    "twice, one encoded": b"token={0}&%74oken=x",
    "hint twice": b"token={0}&token_type_hint=access_token&token_type_hint=refresh_token",
    "unknown parameter twice": b"token={0}&a=1&a=2",
    "percent": b"token={0}&a=%",
    "half an escape": b"token={0}&a=%4",
    "no escape": b"token={0}&a=%zz",
    "escape of Unicode": b"token={0}&a=%u0041",
    "escaped bytes that are no UTF-8": b"token=%ff%fe",
    "escaped surrogate": b"token=%ed%a0%80",
    "escaped overlong": b"token=%c0%af",
    "name that is no UTF-8": b"token={0}&%ff=x",
    "raw UTF-8": "token=\u00e9".encode(),
    "raw bytes": b"token=\xff",
    "NUL": b"token={0}\x00",
    "line break": b"token={0}\r\n",
    "blank": b"token={0}&a=b c",
    "UTF-16": "token=x".encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbftoken={0}",
    "semicolons": b"a=b;token={0}",
    "JSON": b'{"token":"{0}"}',
    "multipart": b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n{0}\r\n--x--',
}


@every_token_route
def test_malformed_form(app_user: Held, route: Route) -> None:
    """What is no form with one token is malformed, in OAuth's own words, and nothing happens."""
    for name, form in MALFORMED.items():
        body = form.replace(b"{0}", quote(app_user.refresh_token).encode())
        reply = app_user.client.send("POST", route.path, [*route.allowed(app_user), FORM], body)
        assert (reply.status, reply.json.get("error")) == (400, "invalid_request"), name
    app_user.assert_lives()


SPELLINGS = [
    "token={0}",
    "token={1}",
    "%74%6F%6b%65%6E={0}",
    "client_id=x&token={0}&client_secret=y",
    "&&token={0}&&",
    "a&b=&token={0}&scope=+%20+",
    "token={0}&token_type_hint=",
    "token={0}&email=a+b%40example.com",
]


@pytest.mark.parametrize("form", SPELLINGS)
def test_form_in_every_spelling(app_user: Held, form: str) -> None:
    """Parameters in any order and encoding; unknown and empty ones are ignored (RFC 6749 section 3.2)."""
    token = app_user.refresh_token
    body = form.format(token, "".join(f"%{byte:02x}" for byte in token.encode())).encode()
    reply = app_user.client.send("POST", "/token/introspect", [SIGNATURE, FORM], body)
    assert (reply.status, reply.json["active"]) == (200, True)
    assert app_user.client.send("POST", "/token/revoke", [FORM], body).status == 200
    app_user.assert_dead()


@every_token_route
def test_refused_content_type(app_user: Held, route: Route) -> None:
    """A body whose essence is not exactly the form's is not read, JSON included, whatever it holds."""
    form = urlencode({"token": app_user.refresh_token}).encode()
    refused: list[Headers] = [
        [],
        [JSON],
        [FORM, FORM],
        [FORM, JSON],
        [JSON, FORM],
        [("Content-Type", b"application/x-www-form-urlencoded\xff")],
        *(
            [("Content-Type", value)]
            for value in (
                "",
                "text/plain",
                "text/plain;application/x-www-form-urlencoded",
                "application/x-www-form-urlencoded, application/json",
                "multipart/form-data; boundary=x",
                "application/x-www-form-urlencoded2",
                "application/*",
                "*/*",
                "\u00a0application/x-www-form-urlencoded",
            )
        ),
    ]
    for headers in refused:
        reply = app_user.client.send("POST", route.path, [*route.allowed(app_user), *headers], form)
        assert (reply.status, reply.json.get("code")) == (415, "unsupported_media_type"), headers
    app_user.assert_lives()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "application/x-www-form-urlencoded; charset=utf-16",
        " application/x-www-form-urlencoded ; a=b",
    ],
)
def test_accepted_content_type(app_user: Held, content_type: str) -> None:
    """The essence counts; the type has no charset parameter, and the form is ASCII in any case."""
    form = urlencode({"token": app_user.refresh_token}).encode()
    reply = app_user.client.send("POST", "/token/introspect", [SIGNATURE, ("Content-Type", content_type)], form)
    assert (reply.status, reply.json["active"]) == (200, True)


@every_token_route
def test_large_form(app_user: Held, route: Route) -> None:
    """16 KB are read, whatever fills them; a byte more is not."""
    largest = b"token=".ljust(16 * 1024, b"x")
    assert route.send(app_user, [FORM], largest).status == 200
    for body in (largest + b"x", b"&" * (16 * 1024 + 1), b"a=b&" * MEGABYTE):
        assert_problem(route.send(app_user, [FORM], body), 413, "payload_too_large")
    for body in (b"&" * 16 * 1024, b"=" * 16 * 1024, b"%25" * 5000, b"a=b&" * 4096):
        assert_oauth_error(route.send(app_user, [FORM], body), 400, "invalid_request")


@every_token_route
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | st.binary(max_size=60).map(lambda value: b"token=" + value))
def test_any_form(app_user: Held, route: Route, body: bytes) -> None:
    """Whatever bytes come, the answer is in a form of ours."""
    assert_harmless(route.send(app_user, [FORM], body))


@every_token_route
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_any_token(app_user: Held, route: Route, token: str) -> None:
    """Whatever string a token is, it is answered as an unknown one."""
    reply = route.send(app_user, [FORM], urlencode({"token": token}).encode())
    assert (reply.status, reply.json) == (200, {"active": False} if route.signed else {})
