"""GET /.well-known/jwks.json, /.well-known/openid-configuration, /csrf and /health."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt
import pytest

from infra import keys
from tests.http.client import JWKS, METADATA, NO_SESSION, CheckedClient, Held, assert_answer, sign_up
from tests.http.hostile import SIGNATURE
from tests.http.server import ALGORITHM, NO_PROVIDER
from tests.world.browser import FROM_PAGE, REFRESH_COOKIE
from tests.world.client import FORM

if TYPE_CHECKING:
    from tests.http.server import Server
    from tests.world.client import Client

PUBLIC_MEMBERS = {
    "RS256": {"kty", "use", "alg", "kid", "n", "e"},
    "ES256": {"kty", "use", "alg", "kid", "crv", "x", "y"},
    "EdDSA": {"kty", "use", "alg", "kid", "crv", "x"},
}


@pytest.mark.parametrize("algorithm", PUBLIC_MEMBERS)
def test_published_keys_verify_our_tokens(server: Server, algorithm: str) -> None:
    """Whoever has the document alone verifies our access tokens; it holds what is public of each key and no more."""
    prefix = f"{server.prefix}/{algorithm}"
    keys.ensure(server.parameters, prefix, algorithm, int(time.time()) - 60)
    with server.cold(
        {**NO_PROVIDER, "KEYTURN_PARAMETERS": prefix, "KEYTURN_SIGNING_ALGORITHM": algorithm}
    ) as containers:
        containers.start()
        client = CheckedClient(server.url)
        document = client.call("GET", JWKS)
        held = sign_up(client)
        key = jwt.PyJWKClient(server.url + JWKS).get_signing_key_from_jwt(held.reply.json["access_token"])
        assert held.me().status == 200
    assert_answer(document, 200, {"keys"})
    assert [set(entry) for entry in document.json["keys"]] == [PUBLIC_MEMBERS[algorithm]]
    assert key.algorithm_name == algorithm
    claims = jwt.decode(
        held.reply.json["access_token"],
        key.key,
        algorithms=[algorithm],
        audience="https://api.example.com",
        issuer=server.url,
        options={"require": ["exp", "iat", "sub", "jti"]},
    )
    assert claims["sid"] == held.session_id
    assert jwt.get_unverified_header(held.reply.json["access_token"])["typ"] == "at+jwt"


def test_keys_to_come_are_published(server: Server) -> None:
    """After a rotation both keys are there, and the one of before signs until the other is due."""
    prefix = f"{server.prefix}/rotated"
    now = int(time.time())
    keys.ensure(server.parameters, prefix, "ES256", now - 60)
    keys.rotate(server.parameters, prefix, "ES256", now)
    with server.cold({**NO_PROVIDER, "KEYTURN_PARAMETERS": prefix}) as containers:
        containers.start()
        client = CheckedClient(server.url)
        first, second = client.call("GET", JWKS).json["keys"]
        access_token = sign_up(client).reply.json["access_token"]
    assert first["kid"] != second["kid"]
    assert jwt.get_unverified_header(access_token)["kid"] == first["kid"]


def test_metadata(server: Server, client: Client) -> None:
    """What a verifier needs, and nothing that is not there: each endpoint that is named answers, no list is empty."""
    reply = client.call("GET", METADATA)
    assert_answer(
        reply,
        200,
        {
            "issuer",
            "jwks_uri",
            "introspection_endpoint",
            "revocation_endpoint",
            "revocation_endpoint_auth_methods_supported",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
            "claims_supported",
        },
    )
    told = reply.json
    assert told["issuer"] == server.url == server.environment["KEYTURN_ISSUER"]
    assert all(members for members in told.values())
    assert told["id_token_signing_alg_values_supported"] == [ALGORITHM]
    assert (told["subject_types_supported"], told["response_types_supported"]) == (["public"], ["id_token"])
    assert told["revocation_endpoint_auth_methods_supported"] == ["none"]
    assert client.call("GET", told["jwks_uri"].removeprefix(server.url)).json["keys"]
    token = b"token=x"
    for name, answer in (("revocation_endpoint", {}), ("introspection_endpoint", {"active": False})):
        reply = client.send("POST", told[name].removeprefix(server.url), [FORM, SIGNATURE], token)
        assert (reply.status, reply.json) == (200, answer)


def test_claims_of_the_metadata_are_those_of_the_tokens(app_user: Held) -> None:
    """No claim is published that tokens do not have, and none is left out."""
    payload = jwt.decode(app_user.reply.json["access_token"], options={"verify_signature": False})
    claims = app_user.client.call("GET", METADATA).json["claims_supported"]
    assert sorted(claims) == sorted(payload)


def test_metadata_of_other_settings(server: Server) -> None:
    """Scopes are those that roles bring; the algorithms are those of the keys, while they change of both."""
    prefix = f"{server.prefix}/changing"
    now = int(time.time())
    keys.ensure(server.parameters, prefix, "ES256", now - 60)
    keys.rotate(server.parameters, prefix, "EdDSA", now)
    changed = {
        **NO_PROVIDER,
        "KEYTURN_PARAMETERS": prefix,
        "KEYTURN_ROLE_SCOPES": "user=orders:read; admin=orders:write orders:read",
    }
    with server.cold(changed):
        told = CheckedClient(server.url).call("GET", METADATA).json
    assert told["scopes_supported"] == ["orders:read", "orders:write"]
    assert told["id_token_signing_alg_values_supported"] == ["ES256", "EdDSA"]


def test_csrf(browser: Held) -> None:
    """A page that was reloaded gets its session's CSRF token, the same as ever; nothing else comes with it."""
    for held in (browser, browser.refreshed()):
        reply = held.client.call("GET", "/csrf", headers=[("Cookie", held.cookie)])
        assert_answer(reply, 200, {"csrf_token", "session_id", "sub"})
        assert reply.json["csrf_token"] == browser.csrf_token
        assert reply.json["session_id"] == browser.session_id
        assert reply.json["sub"] == browser.reply.json["user"]["sub"]
        assert not reply.all("Set-Cookie")


def test_csrf_tells_of_another_tabs_login(browser: Held) -> None:
    """A page whose session was replaced by another person's in another tab notices by `session_id` and `sub`."""
    other = sign_up(browser.client, "cookie")
    told = browser.client.call("GET", "/csrf", headers=[("Cookie", other.cookie)]).json
    assert told["session_id"] == other.session_id != browser.session_id
    assert told["sub"] == other.reply.json["user"]["sub"] != browser.reply.json["user"]["sub"]


@pytest.mark.parametrize("cookie", [None, "", "x", "{0}x", "{0}; __Host-refresh=x", "{1}"])
def test_csrf_without_a_genuine_cookie(browser: Held, app_user: Held, cookie: str | None) -> None:
    """An anonymous page need not fail: without a cookie that is ours, 200 with nulls."""
    value = (cookie or "").format(browser.refresh_token, app_user.refresh_token)
    headers = [] if cookie is None else [("Cookie", f"{REFRESH_COOKIE}={value}")]
    for more in ([], [FROM_PAGE]):
        reply = browser.client.call("GET", "/csrf", headers=[*headers, *more])
        assert (reply.status, reply.json) == (200, NO_SESSION)
        assert not reply.all("Set-Cookie")


def test_health(client: Client) -> None:
    """It is well, and that is all that it says."""
    reply = client.call("GET", "/health")
    assert (reply.status, reply.json) == (200, {"status": "ok"})
