"""Bodies and content types that no honest client sends: an answer in our form, never a 5xx, never an effect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.client import Held, assert_problem
from tests.http.hostile import (
    FORMS,
    MEMBERS,
    WITH_BODY,
    WITH_FORM,
    Route,
    assert_harmless,
    every_route,
    every_route_with_body,
    members_for,
)
from tests.world.client import JSON
from tests.world.constants import PASSWORD
from tests.world.person import new_email

if TYPE_CHECKING:
    from tests.http.client import Headers

MEGABYTE = 1024 * 1024
DEEP = 100_000

# Never a JSON object of strings: refused by every route that reads a body.
MALFORMED = {
    "array": b"[]",
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "float": b"1.5",
    "string": b'"x"',
    "array of objects": b"[{}]",
    "deep arrays": b"[" * 8000 + b"]" * 8000,
    "deep arrays, open": b"[" * 16_000,
    "deep objects": b'{"a":' * 2500 + b"1" + b"}" * 2500,
    "deep objects, open": b'{"a":' * 3000,
    "deep member": b'{"email":' + b"[" * 7000 + b"]" * 7000 + b"}",
    "duplicate member": b'{"email":"a@example.com","email":"b@example.com"}',
    "duplicate refresh token": b'{"refresh_token":"a","refresh_token":"b"}',
    "duplicate escaped member": b'{"email":"a@example.com","\\u0065mail":"b@example.com"}',
    "NaN": b"NaN",
    "member NaN": b'{"email":NaN}',
    "member Infinity": b'{"email":Infinity}',
    "member -Infinity": b'{"email":-Infinity}',
    "member 1e400": b'{"email":1e400}',
    "member -0": b'{"email":-0}',
    "huge integer": b'{"email":' + b"9" * 10_000 + b"}",
    "huge exponent": b'{"email":1e' + b"9" * 10_000 + b"}",
    "control character": b'{"email":"\x01"}',
    "raw NUL": b'{"email":"\x00"}',
    "nothing but NUL": b"\x00",
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"email":"a"}'.encode("utf-16"),
    "UTF-32": '{"email":"a"}'.encode("utf-32"),
    "invalid UTF-8": b'{"\xff":"\xfe"}',
    "overlong UTF-8": b'{"email":"\xc0\xaf"}',
    "encoded surrogate": b'{"email":"\xed\xa0\x80"}',
    "half an escape": b'{"email":"\\ud8"}',
    "trailing object": b"{}{}",
    "trailing comma": b"{},",
    "trailing garbage": b"{}x",
    "truncated": b'{"email":"a@exam',
    "open object": b"{",
    "single quotes": b"{'email':'a'}",
    "comment": b"{} // x",
    "form": b"email=a%40example.com&password=x",
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "nothing but blanks": b" \n",
    "roles": b'{"roles":["admin"]}',
    "email_verified": b'{"email_verified":true}',
    "__proto__": b'{"__proto__":{"admin":true}}',
    "empty name": b'{"":""}',
    "name of surrogates": b'{"\\ud800":"x"}',
    "long name": b'{"' + b"a" * 10_000 + b'":"x"}',
    "name in another case": b'{"Email":"a@example.com","Password":"correct horse"}',
}
TOO_LARGE = {
    "16 KB and 1": b"{}" + b" " * (16 * 1024 - 1),
    "100k deep arrays": b"[" * DEEP + b"]" * DEEP,
    "100k deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "5 MB member": b'{"refresh_token":"' + b"a" * (5 * MEGABYTE) + b'"}',
    "5 MB of nothing": b" " * (5 * MEGABYTE),
}
NO_STRINGS: list[Any] = [None, True, False, 0, 1, -1, 1.5, 10**400, [], ["x"], {}, {"$gt": ""}, {"length": 1}]
STRINGS = {
    "empty": "",
    "blank": " ",
    "NUL": "\x00",
    "controls": "\r\nSet-Cookie: a=b\r\n\r\n\x1b[0m",
    "U+FFFF": "\uffff",
    "right to left": "\u202eabc",
    "accents": "e" + "\u0301" * 4000,
    "ligatures": "\ufdfa" * 4000,
    "Turkish": "\u0130" * 200 + "@\u0130.de",
    "many dots": "a." * 2000,
    "many at signs": "@" * 4096,
    "address of dots": "a@" + "a." * 2000 + "de",
    "key of the table": "user#a",
    "expression": ":zero",
    "format": "{0.__class__} %s %n ${jndi:ldap://x}",
    "longest": "x" * 4096,
}
REFUSED_TYPES = [
    "text/plain",
    "text/plain;application/json",
    "text/plain; a=*/*",
    "text/plain, application/json",
    "application/json, text/plain",
    "application/json,application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "image/png",
    "application/*",
    "*/*",
    "json",
    "application/jsonp",
    "application/problem+json",
    "application/vnd.api+json",
    "application/json+x",
    "application/json\x0b",
    "\u00a0application/json",
    "application /json",
    '"application/json"',
    ";application/json",
    "\x00",
    "",
    "a" * 8192,
]
ACCEPTED_TYPES = [
    "application/json",
    "Application/JSON",
    "application/json;charset=utf-8",
    "application/json; charset=utf-16",
    "application/json ;a=b",
    "application/json;",
    "  application/json  ",
]


def test_members_are_those_of_the_routes() -> None:
    """A new route's members are added to the list here, so that each of them is tried with the wrong types."""
    assert set(MEMBERS) == {route.path for route in WITH_BODY}
    assert set(FORMS) == {route.path for route in WITH_FORM}


@every_route_with_body
def test_malformed_body(app_user: Held, route: Route) -> None:
    """What is no JSON object of the route's members is malformed, and nothing happens."""
    for name, body in MALFORMED.items():
        reply = route.send(app_user, [JSON], body)
        assert (reply.status, reply.json["code"]) == (400, "invalid_request"), name
    app_user.assert_lives()


@every_route_with_body
@pytest.mark.parametrize("name", TOO_LARGE)
def test_large_body(app_user: Held, route: Route, name: str) -> None:
    """A body over 16 KB is not even parsed."""
    assert_problem(route.send(app_user, [JSON], TOO_LARGE[name]), 413, "payload_too_large")


@every_route
def test_body_where_none_is_read(app_user: Held, route: Route) -> None:
    """No body harms any route, those included that read none."""
    for body in [*MALFORMED.values(), TOO_LARGE["100k deep arrays"]]:
        assert_harmless(route.send(app_user, [JSON], body))


@every_route_with_body
def test_member_of_a_wrong_type(app_user: Held, route: Route) -> None:
    """Each member is a string, and nothing is taken for one (CVE-2026-34574)."""
    right = {**(members_for(route, app_user) or {}), "email": new_email()}
    for name in MEMBERS[route.path]:
        for value in [*NO_STRINGS, "\ud800", "x\udfffx", "x" * 4097]:
            body = json.dumps({**{member: right[member] for member in MEMBERS[route.path]}, name: value})
            reply = route.send(app_user, [JSON], body.encode())
            assert (reply.status, reply.json["code"]) == (400, "invalid_request"), (name, value)
            assert name in reply.json["detail"]
    app_user.assert_lives()


@every_route_with_body
@pytest.mark.parametrize("name", STRINGS)
def test_strange_string(app_user: Held, route: Route, name: str) -> None:
    """Any string may come in any member, and in all of them."""
    for member in MEMBERS[route.path]:
        body = (
            {"email": new_email(), "password": PASSWORD, "transport": "body"} if "email" in MEMBERS[route.path] else {}
        )
        assert_harmless(route.send(app_user, [JSON], json.dumps({**body, member: STRINGS[name]}).encode()))
    body = dict.fromkeys(MEMBERS[route.path], STRINGS[name])
    assert_harmless(route.send(app_user, [JSON], json.dumps(body, ensure_ascii=False).encode()))


@every_route_with_body
def test_unknown_member(app_user: Held, route: Route) -> None:
    """Beside everything that is right, one member more is refused (CVE-2026-27946)."""
    right = members_for(route, app_user) or {}
    for name in (
        "roles",
        "email_verified",
        "verified",
        "__proto__",
        "sub",
        "sid",
        "scope",
        "Email",
        "email ",
        "\ud800",
    ):
        reply = route.send(app_user, [JSON], json.dumps({**right, name: "admin"}).encode())
        assert (reply.status, reply.json["code"]) == (400, "invalid_request"), name
    app_user.assert_lives()


@every_route_with_body
def test_refused_content_type(app_user: Held, route: Route) -> None:
    """A body whose essence is not exactly application/json is not read, whatever it holds."""
    body = json.dumps(members_for(route, app_user)).encode()
    refused: list[Headers] = [
        [],
        [JSON, JSON],
        [JSON, ("Content-Type", "text/plain")],
        [("Content-Type", "text/plain"), JSON],
        [("X-Content-Type", "application/json")],
        [("Content-Type", b"application/json\xff")],
        *([("Content-Type", value)] for value in REFUSED_TYPES),
    ]
    for headers in refused:
        reply = route.send(app_user, headers, body)
        assert (reply.status, reply.json["code"]) == (415, "unsupported_media_type"), headers
    app_user.assert_lives()


@pytest.mark.parametrize("content_type", ACCEPTED_TYPES)
def test_accepted_content_type(app_user: Held, content_type: str) -> None:
    """The essence counts, in any case and with any parameter; the body is UTF-8 in any case."""
    body = json.dumps({"email": app_user.email, "password": PASSWORD, "transport": "body"}).encode()
    assert app_user.client.send("POST", "/login", [("Content-Type", content_type)], body).status == 200


def test_largest_body(app_user: Held) -> None:
    """16 KB are not too many."""
    body = json.dumps({"email": app_user.email, "password": PASSWORD, "transport": "body"}).encode()
    assert app_user.client.send("POST", "/login", [JSON], body.ljust(16 * 1024)).status == 200


any_text = st.text(st.characters(exclude_categories=()))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
any_members = st.dictionaries(st.sampled_from([*{name for names in MEMBERS.values() for name in names}, "x"]), any_json)


@every_route_with_body
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=any_members | any_json)
def test_any_json(app_user: Held, route: Route, value: object) -> None:
    """Whatever JSON comes, the answer is in our form."""
    assert_harmless(route.send(app_user, [JSON], json.dumps(value).encode()))


@every_route_with_body
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
def test_any_bytes(app_user: Held, route: Route, body: bytes) -> None:
    """Whatever bytes come, the answer is in our form."""
    assert_harmless(route.send(app_user, [JSON], body))
