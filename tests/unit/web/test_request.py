"""Requests as handlers read them: strict JSON, exact types, cookies that are ours, clients that the gateway names."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from chalice.app import Request as ChaliceRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.sessions import USER_AGENT_BYTES
from chalicelib.errors import AuthError, InvalidRequest, InvalidToken, PayloadTooLarge, UnsupportedMediaType
from chalicelib.handlers import accounts, federation, identities, tokens
from chalicelib.web.cookies import REFRESH
from chalicelib.web.fields import MAX_PASSWORD, MAX_TEXT, NOTHING, Fields, Member
from chalicelib.web.request import MAX_BODY, MAX_COOKIE, MAX_HEADER, Request, read
from tests.unit.declared import declared_fields
from tests.unit.events import JSON, chalice_request, event, request

bounded = settings(max_examples=150, deadline=None)
LOGIN = '{"email":"ada@example.com","password":"correct horse battery"}'


def fields(body: str, **parts: Any) -> dict[str, str]:
    """What a route with two required members and an optional one reads of the body."""
    return request(body=body, **{"headers": JSON, **parts}).fields(accounts.SIGN_UP)


def detail(body: str) -> str:
    """What the caller is told of a body that is refused."""
    with pytest.raises(InvalidRequest) as raised:
        fields(body)
    return str(raised.value.detail)


# Bodies ---------------------------------------------------------------------------------------------------------------


def test_members_are_read() -> None:
    """Required members and optional ones, in any order, blanks between them."""
    assert fields(LOGIN) == {"email": "ada@example.com", "password": "correct horse battery"}
    assert fields(' {"transport" : "body", "password":"p", "email":"e"}\n')["transport"] == "body"
    assert fields('{"email":"\\u00e9","password":"\U0001f511"}') == {"email": "é", "password": "🔑"}


def test_no_body_has_no_members() -> None:
    """A route without required members takes a request without a body, and without a type."""
    assert request().fields(NOTHING) == {}
    assert request(body="").fields(tokens.REFRESH) == {}
    assert request(body="{}", headers=JSON).fields(NOTHING) == {}


@pytest.mark.parametrize(
    "body",
    [
        *(
            "[]",
            "null",
            "true",
            "1",
            '"text"',
            "NaN",
            "{",
            "}",
            "{}{}",
            "nul",
            "'a'",
            "{email: 1}",
            "{'email':'e'}",
            " ",
        ),
        *('{"email":"e","password":"p",}', '{"email":"e" "password":"p"}', '{"email":"e","password":"p"}x', "\x00"),
        *(
            "\ufeff" + LOGIN,
            "[" * 10_000,
            "[" * 10_000 + "]" * 10_000,
            '{"email":' * 1_700,
            '{"a":' * 900 + "1" + "}" * 900,
        ),
        *('{"email":"e\n","password":"p"}', '{"email":"\\x41","password":"p"}', "9" * 10_000, "/* */" + LOGIN),
    ],
)
def test_other_json_is_refused(body: str) -> None:
    """What is no JSON object is a malformed request, however deep or long it is."""
    with pytest.raises(InvalidRequest):
        fields(body)


@pytest.mark.parametrize("value", ["null", "1", "true", "[]", "{}", '["e"]', "1e999", "NaN", "Infinity", "-Infinity"])
def test_members_are_strings(value: str) -> None:
    """`null`, numbers, lists and objects are no strings: none passes for one (CVE-2026-34574)."""
    with pytest.raises(InvalidRequest):
        fields(f'{{"email":{value},"password":"p"}}')


@pytest.mark.parametrize("name", ["roles", "email_verified", "sub", "admin", "__proto__", "Email", "email ", "", "é"])
def test_unknown_members_are_refused(name: str) -> None:
    """What is not documented is refused, privileges included, and the name is told (CVE-2026-27946, ASVS V15.3.3)."""
    told = detail(json.dumps({"email": "e", "password": "p", name: "admin"}))
    assert told.startswith("Unknown member ")
    assert told.isascii()


def test_long_unknown_member_is_cut() -> None:
    """An answer does not repeat all that a caller sent."""
    assert len(detail(json.dumps({"n" * 4000: "x"}))) < 100


@pytest.mark.parametrize(
    ("body", "name"), [("{}", "email"), ('{"email":"e"}', "password"), ('{"password":"p"}', "email")]
)
def test_missing_members_are_named(body: str, name: str) -> None:
    """The member that is missing is told."""
    assert detail(body) == f"{name} is missing."


def test_doubled_members_are_refused() -> None:
    """Of two members of one name nobody can tell which is meant (RFC 8259 section 4)."""
    assert detail('{"email":"a","password":"p","email":"b"}') == "A member is given twice."
    assert detail('{"email":"a","password":"p","\\u0065mail":"b"}') == "A member is given twice."


@pytest.mark.parametrize("escape", ["\\ud800", "\\udfff", "\\ud800x", "\\udc00\\ud800", "a\\ud83d"])
def test_lone_surrogates_are_refused(escape: str) -> None:
    """Half a character can neither be stored nor hashed."""
    assert "surrogate" in detail(f'{{"email":"e","password":"{escape}"}}')


def test_pairs_of_surrogates_are_characters() -> None:
    """An escaped pair is one character."""
    assert fields('{"email":"e","password":"\\ud83d\\udd11"}')["password"] == "🔑"


def test_members_have_a_bound() -> None:
    """A string of the greatest length is taken, and one character more is not."""
    assert fields(json.dumps({"email": "e", "password": "p" * MAX_PASSWORD}))["password"] == "p" * MAX_PASSWORD
    assert str(MAX_PASSWORD) in detail(json.dumps({"email": "e", "password": "p" * (MAX_PASSWORD + 1)}))


DECLARED = sorted(
    {(one.name, name): (one, name) for one in declared_fields() for name in one.members}.values(),
    key=lambda declared: (declared[0].name, declared[1]),
)


@pytest.mark.parametrize(("member_of", "name"), DECLARED, ids=[f"{fields.name}.{name}" for fields, name in DECLARED])
def test_every_member_has_a_bound(member_of: Fields, name: str) -> None:
    """Whatever is declared says how long it may be, and one character more is refused (ASVS V2.2.1)."""
    member = member_of.members[name]
    assert 0 < member.max_length <= MAX_BODY
    assert member.problem("1" * (member.max_length + 1)) is not None
    longest = member.choices[0] if member.choices else "1" * member.max_length
    assert member.problem(longest) is None


EXCHANGE = {"code": "c", "code_verifier": "v" * 43, "redirect_uri": "https://app.example.com/", "nonce": "n"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"code": ""}, "code is empty."),
        ({"nonce": ""}, "nonce is empty."),
        ({"redirect_uri": ""}, "redirect_uri is empty."),
        ({"code_verifier": ""}, "code_verifier is empty."),
        *(
            ({"code_verifier": text}, "code_verifier must have 43 to 128 characters of A-Z a-z 0-9 - . _ ~.")
            for text in ("v" * 42, "v" * 42 + "!", "v" * 43 + "\n", "\uff56" * 43)
        ),
        ({"code_verifier": "v" * 129}, "code_verifier must be a string of at most 128 characters."),
        ({"transport": "sessions"}, "transport must be one of cookie, body, session."),
        ({"transport": ""}, "transport must be one of cookie, body, session."),
        ({"redirect_uri": "x" * 2049}, "redirect_uri must be a string of at most 2048 characters."),
    ],
    ids=repr,
)
def test_forms_of_members(change: dict[str, str], told: str) -> None:
    """What has not its declared form is refused, in words that say which one it is."""
    with pytest.raises(InvalidRequest) as raised:
        request(body=json.dumps(EXCHANGE | change), headers=JSON).fields(federation.EXCHANGE)
    assert raised.value.detail == told


def test_right_forms_are_taken() -> None:
    """A verifier of either length, and each transport (RFC 7636 section 4.1)."""
    for change in ({"code_verifier": "-._~" * 32}, {"transport": "body"}, {"transport": "session"}, {}):
        assert (
            request(body=json.dumps(EXCHANGE | change), headers=JSON).fields(federation.EXCHANGE) == EXCHANGE | change
        )


@pytest.mark.parametrize("size", [MAX_BODY + 1, 5_000_000])
def test_bodies_have_a_bound(size: int) -> None:
    """A body beyond 16 KiB is refused before it is parsed."""
    with pytest.raises(PayloadTooLarge):
        fields("[" * size)
    with pytest.raises(InvalidRequest):
        fields(" " * (MAX_BODY - 2) + "[]")


def test_encoded_bodies_are_decoded() -> None:
    """What the gateway sends as base64 is the body that was sent."""
    encoded = base64.b64encode(LOGIN.encode()).decode()
    assert fields(encoded, base64=True) == fields(LOGIN)
    with pytest.raises(InvalidRequest):
        fields(encoded)


@pytest.mark.parametrize("body", ["A", "é", "\ud800", base64.b64encode(b"\xff\xfe").decode()])
def test_bodies_that_are_no_text_are_refused(body: str) -> None:
    """Bad base64 and bad UTF-8 are malformed requests."""
    with pytest.raises(InvalidRequest):
        fields(body, base64=True)


def test_lone_surrogate_in_the_body_itself_is_refused() -> None:
    """An event with half a character in it is a malformed request."""
    with pytest.raises(InvalidRequest):
        fields('{"email":"\ud800","password":"p"}')


@pytest.mark.parametrize("charset", ["utf-16", "utf-32", "latin-1"])
def test_json_is_utf_8(charset: str) -> None:
    """JSON between systems is UTF-8 (RFC 8259 section 8.1); json.loads would guess others."""
    encoded = base64.b64encode('{"email":"é","password":"p"}'.encode(charset)).decode()
    with pytest.raises(InvalidRequest):
        fields(encoded, base64=True, headers={"Content-Type": f"application/json; charset={charset}"})


@bounded
@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_no_body_breaks_the_reading(body: str | bytes) -> None:
    """Whatever comes is fields or a refusal."""
    encoded = isinstance(body, bytes)
    text = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    with pytest.raises(AuthError):
        fields(text, base64=encoded)


# Content types --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=UTF-8"),
        *(" application/json ", "application/json\t; x", "application/json;"),
    ],
)
def test_json_types(content_type: str) -> None:
    """The MIME essence decides, whatever its case and parameters."""
    assert fields(LOGIN, headers={"Content-Type": content_type})
    assert fields(LOGIN, headers={"content-TYPE": content_type})


@pytest.mark.parametrize(
    "content_type",
    [
        # What Chalice's own check lets through, and what a form on a foreign page can send.
        *("text/plain;application/json", "text/plain; a=*/*", "text/plain", "multipart/form-data; application/json"),
        *("application/x-www-form-urlencoded", "*/*", "", " ", ";application/json", ",application/json"),
        *("application/json, text/plain", "text/plain, application/json", "application/jsonp", "application/json5"),
        *("application/ld+json", "application/problem+json", "json", "application", "application/json\u00a0"),
        *("application/json\x0b", "application\\json", "appl\u0131cation/json", "application/json\x00"),
    ],
)
def test_other_types_are_refused(content_type: str) -> None:
    """A body of every other type is 415. Where there is no body, its type says nothing (axios #861)."""
    with pytest.raises(UnsupportedMediaType):
        request(body=LOGIN, headers={"Content-Type": content_type}).fields(accounts.LOG_IN)
    for body in (None, ""):
        assert request(body=body, headers={"Content-Type": content_type}).fields(tokens.LOG_OUT) == {}


def test_body_needs_a_type() -> None:
    """A body without a type is refused; Chalice would take it for JSON."""
    with pytest.raises(UnsupportedMediaType):
        fields(LOGIN, headers={})


@pytest.mark.parametrize("values", [["application/json", "application/json"], ["text/plain", "application/json"], []])
def test_type_comes_once(values: list[str]) -> None:
    """Of two types nobody can tell which is meant."""
    with pytest.raises(UnsupportedMediaType):
        fields(LOGIN, headers={"Content-Type": values})
    assert request(body=None, headers={"Content-Type": values}).fields(tokens.LOG_OUT) == {}


# Headers and cookies --------------------------------------------------------------------------------------------------


def test_headers_are_found_by_any_case() -> None:
    """Names are compared without case; a name in two cases came twice."""
    assert request(headers={"X-CSRF-Token": "a"}).header("x-csrf-token") == "a"
    assert request(headers={"X-CSRF-TOKEN": "a", "x-csrf-token": "b"}).header("x-csrf-token") is None
    assert request(headers={"X-CSRF-Token": ["a", "a"]}).header("x-csrf-token") is None
    assert request().header("x-csrf-token") is None


def test_local_mode_has_single_headers() -> None:
    """Where there are no multi-value headers, the single ones count."""
    single = event(headers={"X-CSRF-Token": "a"})
    single["multiValueHeaders"] = None
    assert read(ChaliceRequest(single)).header("x-csrf-token") == "a"
    del single["multiValueHeaders"]
    single["headers"] = None
    assert read(ChaliceRequest({**single, "headers": {}})).headers == {}


@pytest.mark.parametrize(
    "header",
    [
        *(f"{REFRESH}=v", f"a=b; {REFRESH}=v", f"{REFRESH}=v; a=b", f"a=b;{REFRESH}=v;c=d", f"a=b;\t{REFRESH} = v ; c"),
        *(
            f"; {REFRESH}=v;;",
            f"{REFRESH}; {REFRESH}=v",
            f"x{REFRESH}=w; {REFRESH}=v",
            f"{REFRESH.lower()}=w; {REFRESH}=v",
        ),
    ],
)
def test_cookie_is_found(header: str) -> None:
    """The cookie is found among others, by its exact name."""
    assert request(headers={"Cookie": header}).cookie(REFRESH) == "v"


def test_cookie_value_is_verbatim() -> None:
    """A value may hold what a pair is split at; quotes are its own."""
    assert request(headers={"Cookie": f"{REFRESH}=a=b=="}).cookie(REFRESH) == "a=b=="
    assert request(headers={"Cookie": f'{REFRESH}="v"'}).cookie(REFRESH) == '"v"'
    assert request(headers={"Cookie": f"{REFRESH}="}).cookie(REFRESH) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": f"{REFRESH}=v; {REFRESH}=w"},
        {"Cookie": f"{REFRESH}=v; {REFRESH}=v"},
        {"Cookie": [f"{REFRESH}=v", f"{REFRESH}=w"]},
        {"Cookie": f"{REFRESH}=v", "cookie": f"{REFRESH}=w"},
        {"Cookie": f"{REFRESH}=v;{REFRESH} =w"},
    ],
)
def test_two_cookies_are_none(headers: dict[str, str | list[str]]) -> None:
    """Two cookies of one name count as none: a neighbour host may have set one (supertokens-node #826)."""
    asked = request(headers=headers)
    assert asked.cookie(REFRESH) is None
    assert asked.names_cookie(REFRESH)


@pytest.mark.parametrize(
    "blank", ["\u00a0", "\u0085", "\u2000", "\u2028", "\u3000", "\ufeff", "\x0b", "\x0c", "\x1c", "\x1f", "\u200b", "_"]
)
def test_prefix_is_not_forged_by_blanks(blank: str) -> None:
    """A name with a strange blank has no `__Host-` prefix to browsers, so any host of the site could have set it."""
    assert request(headers={"Cookie": f"{blank}{REFRESH}=v"}).cookie(REFRESH) is None
    assert request(headers={"Cookie": f"{REFRESH}{blank}=v"}).cookie(REFRESH) is None
    assert request(headers={"Cookie": f"{blank}{REFRESH}=w; {REFRESH}=v"}).cookie(REFRESH) == "v"


@pytest.mark.parametrize("header", ["", ";", "=", "=v", REFRESH, f"={REFRESH}=v", "\x00", "\ud800", "é=è"])
def test_malformed_cookies_are_absent(header: str) -> None:
    """What cannot be read is no cookie, never a pass (CVE-2026-25748)."""
    assert request(headers={"Cookie": header}).cookie(REFRESH) is None


@bounded
@given(st.text(max_size=100))
def test_no_header_breaks_the_reading(text: str) -> None:
    """Whatever a header holds, it is a value or none."""
    asked = request(headers={"Cookie": text, "User-Agent": text, "X-CSRF-Token": text, text: text})
    assert asked.cookie(REFRESH) is None or REFRESH in text
    assert len(asked.caller.user_agent.encode()) <= USER_AGENT_BYTES


# Who asks -------------------------------------------------------------------------------------------------------------


def test_client_is_the_gateways_word() -> None:
    """Address and request id come from the gateway, and no header changes them (CVE-2023-36456)."""
    forged = {"X-Forwarded-For": "198.51.100.7", "Forwarded": "for=198.51.100.7", "X-Real-IP": "198.51.100.7"}
    client = request(headers={**forged, "X-Amzn-RequestId": "forged", "User-Agent": "Browser/1"}).caller
    assert client.address == "192.0.2.1"
    assert client.request_id == "request-1"
    assert client.user_agent == "Browser/1"


@pytest.mark.parametrize("identity", [None, {}, {"sourceIp": None}])
def test_client_may_be_unknown(identity: object) -> None:
    """Without the gateway's word there is no address, and no failure."""
    anonymous = event()
    anonymous["requestContext"] |= {"identity": identity, "requestId": None}
    client = read(ChaliceRequest(anonymous)).caller
    assert (client.address, client.request_id, client.user_agent) == ("", "", "")


def test_user_agent_is_cut_between_characters() -> None:
    """160 bytes of it are kept, and no half character."""
    assert request(headers={"User-Agent": "a" * 500}).caller.user_agent == "a" * USER_AGENT_BYTES
    cut = request(headers={"User-Agent": "a" + "🔑" * 100}).caller.user_agent
    assert cut == "a" + "🔑" * 39
    assert request(headers={"User-Agent": "a\ud800b"}).caller.user_agent == "a?b"


def test_method_is_the_gateways() -> None:
    """A header does not override the method."""
    assert request(method="GET", headers={"X-HTTP-Method-Override": "DELETE"}).method == "GET"


CONTEXT = {"sub": "S" * 22, "sid": "D" * 22, "roles": "user admin", "scope": "a b", "email_verified": "true"}


def test_principal_is_what_the_authorizer_says() -> None:
    """Strings of the authorizer's context become the principal."""
    principal = request(authorizer={**CONTEXT, "principalId": "S" * 22}).principal()
    assert principal.sub == "S" * 22
    assert principal.sid == "D" * 22
    assert principal.roles == ("user", "admin")
    assert principal.scope == "a b"
    assert principal.email_verified is True


@pytest.mark.parametrize(
    "context",
    [
        *(None, {}, [], "sub", 1, {"principalId": "S" * 22}, {"claims": CONTEXT}, {"sub": "S"}, {"sid": "D"}),
        *({**CONTEXT, "sub": ""}, {**CONTEXT, "sid": ""}, {**CONTEXT, "sub": None}, {**CONTEXT, "sid": 5}),
        *({**CONTEXT, "sub": ["S"]}, {**CONTEXT, "sub": True}),
    ],
)
def test_absent_principal_is_refused(context: object) -> None:
    """A route that nobody guards serves nobody (regressions: serverless #6176)."""
    with pytest.raises(InvalidToken):
        request(authorizer=context).principal()


@pytest.mark.parametrize("value", ["false", "True", "TRUE", "1", "", None, True, 1])
def test_verified_is_the_string_true(value: object) -> None:
    """API Gateway makes strings of everything: `"false"` must not be read as true."""
    assert request(authorizer={**CONTEXT, "email_verified": value}).principal().email_verified is False


def test_absent_roles_are_none() -> None:
    """A context without roles and scope gives none."""
    principal = request(authorizer={"sub": "S", "sid": "D"}).principal()
    assert (principal.roles, principal.scope) == ((), "")


@pytest.mark.parametrize(
    ("told", "auth_time"),
    [
        ("1800000000", 1_800_000_000),
        ("0", 0),
        *((malformed, 0) for malformed in (None, 1_800_000_000, True, ["1"], {"1": "1"})),
        *((malformed, 0) for malformed in ("", "-1", " 1", "1.5", "1e9", "\u0661", "9" * 13, "soon", "1800000000\n")),
    ],
    ids=str,
)
def test_login_of_unknown_time_is_no_recent_one(told: object, auth_time: int) -> None:
    """Digits are the moment; what is missing or malformed is as long ago as can be."""
    assert request(authorizer={**CONTEXT, "auth_time": told}).principal().auth_time == auth_time


def test_login_without_a_time_is_no_recent_one() -> None:
    """An authorizer of before, which tells none, lets nobody do what needs a recent login."""
    assert request(authorizer={"sub": "S", "sid": "D"}).principal().auth_time == 0


def test_harness_is_a_gateways_event() -> None:
    """The events of these tests carry what Chalice reads."""
    assert chalice_request(body=LOGIN).raw_body == LOGIN.encode()


# Queries --------------------------------------------------------------------------------------------------------------


def queried(query: dict[str, list[str]] | None) -> Request:
    """A request with this query."""
    return read(ChaliceRequest(event(method="GET") | {"multiValueQueryStringParameters": query}))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (None, None),
        ([], None),
        ([""], None),
        (["x"], "x"),
        ([" x "], " x "),
        (["x", "x"], None),
        (["x", ""], None),
        (["\ud800"], None),
        (["x" * MAX_TEXT], "x" * MAX_TEXT),
        (["x" * (MAX_TEXT + 1)], None),
    ],
    ids=[*("none", "no value", "empty", "one", "blanks", "twice", "and empty", "surrogate", "longest", "too long")],
)
def test_readable_parameter(values: list[str] | None, expected: str | None) -> None:
    """A callback's parameter says something where it came once (RFC 6749 section 3.1) and is no longer than any."""
    query = None if values is None else {"state": values, "other": ["y"]}
    found = queried(query).readable_parameters(federation.FINISH_LOGIN)
    assert found == ({} if expected is None else {"state": expected})


PAGE = "https://app.example.com/"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({}, "return_to is missing."),
        ({"return_to": [""]}, "return_to is missing."),
        ({"return_to": [PAGE, PAGE]}, "return_to is given twice."),
        ({"return_to": [PAGE, ""]}, "return_to is given twice."),
        ({"return_to": ["x" * 2049]}, "return_to must be a string of at most 2048 characters."),
        ({"return_to": ["\ud800"]}, "return_to holds an unpaired surrogate."),
        ({"return_to": [PAGE], "transport": ["body"]}, "transport must be one of cookie, session."),
        ({"return_to": [PAGE], "max_age": ["0", "300"]}, "max_age is given twice."),
        *(
            ({"return_to": [PAGE], "max_age": [text]}, "max_age must be a number of seconds.")
            for text in ("-1", "1e3", "\u0661", " 1", "1\n")
        ),
        ({"return_to": [PAGE], "max_age": ["1" * 10]}, "max_age must be a string of at most 9 characters."),
    ],
    ids=repr,
)
def test_malformed_queries_are_refused(query: dict[str, list[str]], told: str) -> None:
    """A link that asks for something else than there is, or for two things at once, begins nothing."""
    with pytest.raises(InvalidRequest) as raised:
        queried(query).parameters(federation.BEGIN_LOGIN)
    assert raised.value.detail == told


def test_queries_are_read() -> None:
    """What is declared is read; a parameter without a value, and one of somebody else's, is let pass."""
    query = {"return_to": [PAGE], "transport": [""], "max_age": ["0"], "utm_source": ["a", "b"]}
    assert queried(query).parameters(federation.BEGIN_LOGIN) == {"return_to": PAGE, "max_age": "0"}


# Bounds of what is not declared ---------------------------------------------------------------------------------------


def test_headers_have_a_bound() -> None:
    """A header as long as API Gateway's limit for all of them is read; a longer one, from elsewhere, is absent."""
    assert request(headers={"Authorization": "a" * MAX_HEADER}).header("authorization") is not None
    assert request(headers={"Authorization": "a" * (MAX_HEADER + 1)}).header("authorization") is None


def test_cookies_have_a_bound() -> None:
    """A cookie that no browser would keep, 4096 bytes and its name (RFC 6265 section 6.1), is an absent one."""
    assert request(headers={"Cookie": f"{REFRESH}={'a' * MAX_COOKIE}"}).cookie(REFRESH) == "a" * MAX_COOKIE
    longer = request(headers={"Cookie": f"{REFRESH}={'a' * (MAX_COOKIE + 1)}"})
    assert longer.cookie(REFRESH) is None
    assert longer.names_cookie(REFRESH)


def test_members_that_are_no_text_are_told_their_bound() -> None:
    """The words for a wrong type name the type and the bound."""
    assert Member("m", max_length=5).problem(1) == "must be a string of at most 5 characters."
    assert identities.LINK.members["code"].problem(None) == f"must be a string of at most {MAX_TEXT} characters."
