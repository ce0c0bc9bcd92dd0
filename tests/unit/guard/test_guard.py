"""The universal authorizer: each kind of API is answered in its own form, for bearers and for session cookies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from chalicelib import deadline
from chalicelib.errors import ConfigurationError, Unavailable
from chalicelib.functions import authorizers, container
from tests.unit.guarded import FUNCTION, KINDS, SAMPLES, WITH_COOKIES, WITH_METHODS, Guarded, allowed, put, sample
from tests.world.clock import START
from tests.world.constants import CLIENT, ORIGIN

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY = 86400
APIS = {
    "rest-token": "arn:aws:execute-api:eu-central-1:123456789012:qr7st2uv9w/prod/*",
    "rest-request": "arn:aws:execute-api:eu-central-1:123456789012:qr7st2uv9w/prod/*",
    "http-1.0": "arn:aws:execute-api:eu-central-1:123456789012:f6g7h8i9j0/$default/*",
    "http-2.0": "arn:aws:execute-api:eu-central-1:123456789012:f6g7h8i9j0/$default/*",
    "websocket": "arn:aws:execute-api:eu-central-1:123456789012:k1l2m3n4o5/live/*",
}
OTHER_ORIGINS = [
    "https://evil.example",
    "null",
    "",
    "https://app.example.com.evil.example",
    "https://APP.example.com",
    "http://app.example.com",
    "https://app.example.com, https://evil.example",
]


@pytest.fixture
def guarded() -> Guarded:
    """The function, ready to be asked."""
    return Guarded()


def test_every_kind_has_a_sample() -> None:
    """What is documented is what is tested."""
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_bearer_passes(guarded: Guarded, kind: str) -> None:
    """A bearer is let through with one look at the blacklist, and the guarded function learns who it is."""
    answer = guarded.ask(put(kind, {"Authorization": guarded.bearer}))
    assert allowed(answer)
    assert answer["context"] == {
        "sub": guarded.sub,
        "sid": guarded.program.session_id,
        "roles": "user",
        "scope": "",
        "email_verified": "false",
        "auth_time": str(START),
    }
    assert guarded.store.verbs == ["find_denials"]
    assert guarded.audit.events == []


@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_session_cookie_passes(guarded: Guarded, kind: str) -> None:
    """So is a session cookie, with one look at its session; a handshake names its page."""
    origin = {"Origin": ORIGIN} if kind == "websocket" else {}
    answer = guarded.ask(put(kind, {"Cookie": f"theme=dark; {guarded.cookie}; lang=en", **origin}))
    assert allowed(answer)
    assert (answer["context"]["sub"], answer["context"]["sid"]) == (guarded.sub, guarded.browser.session_id)
    assert guarded.store.verbs == ["find_session_and_account"]


@pytest.mark.parametrize("kind", KINDS)
def test_answer_covers_the_calling_api(guarded: Guarded, kind: str) -> None:
    """A policy opens all of the calling API and stage, and nothing else (regressions: serverless #6176)."""
    answer = guarded.ask(put(kind, {"Authorization": guarded.bearer}), "policies")
    assert answer["policyDocument"]["Statement"][0]["Resource"] == APIS[kind]
    assert answer["principalId"] == guarded.sub


@pytest.mark.parametrize("alias", ["", "policies"])
@pytest.mark.parametrize("kind", KINDS)
def test_path_does_not_change_the_answer(guarded: Guarded, kind: str, alias: str) -> None:
    """Whatever route is asked for, one credential has one answer: a cached one breaks and opens nothing."""
    event = put(kind, {"Authorization": guarded.bearer})
    first = guarded.ask(event, alias)
    route = "routeArn" if kind == "http-2.0" else "methodArn"
    for path in ("POST/admin/users", "DELETE/", "GET/a/b/../*/c", "GET/line\nbreak", "PUT/" + "x" * 1500):
        moved = {**event, route: "/".join([*event[route].split("/")[:2], path]), "path": f"/{path}", "rawPath": path}
        assert guarded.ask(moved, alias) == first


def test_simple_answer_is_for_http_apis_alone(guarded: Guarded) -> None:
    """HTTP APIs of payload 2.0 get the simple response unless the variant says otherwise; no other kind reads it."""
    answers = {kind: guarded.ask(put(kind, {"Authorization": guarded.bearer})) for kind in KINDS}
    assert [kind for kind, answer in answers.items() if "isAuthorized" in answer] == ["http-2.0"]
    assert "policyDocument" in guarded.ask(put("http-2.0", {"Authorization": guarded.bearer}), "policies")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_role_is_denied(guarded: Guarded, kind: str) -> None:
    """Somebody known without the role is denied, not unauthorized: 403; the answer says why, and not who."""
    event = put(kind, {"Authorization": guarded.bearer})
    assert allowed(guarded.ask(event, "users"))
    answer = guarded.ask(event, "admin")
    assert not allowed(answer)
    assert answer["context"] == {"error": "insufficient_scope"}
    ((name, facts),) = guarded.audit.events
    assert (name, facts["code"], facts["sub"]) == ("guard_refused", "insufficient_scope", guarded.sub)


@pytest.mark.parametrize("kind", KINDS)
def test_recent_login(guarded: Guarded, kind: str) -> None:
    """A login that is too long ago for the variant is denied, though the token is good (RFC 9470)."""
    event = put(kind, {"Authorization": guarded.bearer})
    guarded.keyturn.clock.advance(300)
    assert allowed(guarded.ask(event, "recent"))
    guarded.keyturn.clock.advance(1)
    answer = guarded.ask(event, "recent")
    assert not allowed(answer)
    assert answer["context"] == {"error": "insufficient_user_authentication"}
    assert allowed(guarded.ask(event))


def test_role_of_a_session_is_todays(guarded: Guarded) -> None:
    """Requirements hold for session cookies too."""
    event = put("rest-request", {"Cookie": guarded.cookie})
    assert allowed(guarded.ask(event, "users"))
    assert guarded.ask(event, "admin")["context"] == {"error": "insufficient_scope"}


# Which function was invoked -------------------------------------------------------------------------------------------


def test_latest_version_is_the_function_itself(guarded: Guarded) -> None:
    """An ARN with $LATEST names no variant."""
    assert allowed(guarded.ask(put("rest-request", {"Authorization": guarded.bearer}), "$LATEST"))


@pytest.mark.parametrize(
    "alias",
    [
        "unknown",
        "Users",
        "users ",
        " users",
        "users:admin",
        "1",
        "..",
        "users/../admin",
        "é",
        "\ud800",
        "\n",
        "a" * 5000,
    ],
    ids=range(12),
)
def test_unknown_alias_refuses_everybody(guarded: Guarded, alias: str) -> None:
    """An alias that no setting names lets nobody pass, and is no verdict about the credential: AUTHORIZER_FAILURE."""
    with pytest.raises(ConfigurationError):
        guarded.ask(put("rest-request", {"Authorization": guarded.bearer}), alias)
    assert guarded.store.calls == []
    assert guarded.audit.names() == ["authorizer_failed"]


@pytest.mark.parametrize("arn", [None, "", 7, [], "guard", f"{FUNCTION}:", ":::::::", "a:b:c:d:e:f:g"])
def test_unknown_function_refuses_everybody(guarded: Guarded, arn: object) -> None:
    """Where it cannot be told which variant was invoked, nobody knows what it asks for."""
    event = put("rest-request", {"Authorization": guarded.bearer})
    with (
        mock.patch.object(container, "audit", guarded.audit),
        mock.patch.object(authorizers, "guarding", guarded.guard),
    ):
        for context in (SimpleNamespace(invoked_function_arn=arn), None):
            with pytest.raises(ConfigurationError):
                authorizers.guard(event, context)


# Pages and cookies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "", "$connect"])
@pytest.mark.parametrize("kind", WITH_METHODS)
def test_unsafe_method_needs_page_and_csrf_token(guarded: Guarded, kind: str, method: str) -> None:
    """With a cookie, what may change something needs an allowed page that has read the session's CSRF token."""
    csrf = {"X-CSRF-Token": guarded.csrf_token}
    cookie = {"Cookie": guarded.cookie}

    def error(headers: Mapping[str, str]) -> str | None:
        answer = guarded.ask(put(kind, {**cookie, **headers}, method))
        return None if allowed(answer) else answer["context"]["error"]

    assert error({}) == "origin_refused"
    assert error(csrf) == "origin_refused"
    assert [error({"Origin": origin, **csrf}) for origin in OTHER_ORIGINS] == ["origin_refused"] * len(OTHER_ORIGINS)
    assert error({"Sec-Fetch-Site": "cross-site", **csrf}) == "origin_refused"
    assert error({"Origin": ORIGIN}) == "csrf_token_invalid"
    assert error({"Origin": ORIGIN, "X-CSRF-Token": guarded.csrf_token[:-1]}) == "csrf_token_invalid"
    assert error({"Origin": ORIGIN, "X-CSRF-Token": "\ud800"}) == "csrf_token_invalid"
    assert guarded.store.calls == []
    assert error({"Origin": ORIGIN, **csrf}) is None
    assert error({"Sec-Fetch-Site": "same-origin", **csrf}) is None


@pytest.mark.parametrize("kind", WITH_METHODS)
def test_another_sessions_csrf_token(guarded: Guarded, kind: str) -> None:
    """The CSRF token is the session's own."""
    other = guarded.keyturn.services.csrf_tokens.issue(guarded.program.session_id)
    headers = {"Cookie": guarded.cookie, "Origin": ORIGIN, "X-CSRF-Token": other}
    assert guarded.ask(put(kind, headers, "POST"))["context"] == {"error": "csrf_token_invalid"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("kind", WITH_METHODS)
def test_safe_method_needs_neither(guarded: Guarded, kind: str, method: str) -> None:
    """A read is let through from anywhere; SameSite and CORS decide who sees its answer."""
    assert allowed(guarded.ask(put(kind, {"Cookie": guarded.cookie, "Origin": "https://evil.example"}, method)))


def test_handshake_needs_an_allowed_page(guarded: Guarded) -> None:
    """Browsers let every page open a WebSocket with our cookie: its Origin decides, and nothing else can stand in."""
    cookie = {"Cookie": guarded.cookie}
    others: list[dict[str, str | list[str]]] = [{"Origin": origin} for origin in OTHER_ORIGINS]
    several: list[dict[str, str | list[str]]] = [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"X-CSRF-Token": guarded.csrf_token},
        {"Origin": [ORIGIN, "https://evil.example"]},
        {"Origin": [ORIGIN, ORIGIN]},
    ]
    for headers in others + several:
        assert guarded.ask(put("websocket", {**cookie, **headers}))["context"] == {"error": "origin_refused"}
    assert guarded.store.calls == []
    assert allowed(guarded.ask(put("websocket", {**cookie, "Origin": ORIGIN})))


@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_bearer_needs_no_page(guarded: Guarded, kind: str) -> None:
    """No page can send a token by accident: Origin and CSRF token are not asked for, whatever cookie came along."""
    event = put(kind, {"Authorization": guarded.bearer, "Cookie": guarded.cookie}, "POST")
    assert allowed(guarded.ask(event))
    assert guarded.store.verbs == ["find_denials"]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic YTpi", "Bearer a.b.c", ["Bearer a.b.c", "Basic YTpi"]])
@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_cookie_does_not_help_a_bad_header(guarded: Guarded, kind: str, authorization: str | list[str]) -> None:
    """An Authorization header is what is looked at where there is one, a bad one too."""
    assert guarded.refuses(put(kind, {"Authorization": authorization, "Cookie": guarded.cookie, "Origin": ORIGIN}))


# When credentials die, and outages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_dead_credentials_are_unauthorized(guarded: Guarded, kind: str) -> None:
    """After logout everywhere the next question is answered with 401, for the token and for the cookie."""
    bearer = put(kind, {"Authorization": guarded.bearer})
    cookie = put(kind, {"Cookie": guarded.cookie, "Origin": ORIGIN})
    guarded.keyturn.services.accounts.log_out_everywhere(
        guarded.keyturn.principal(guarded.program.access_token), CLIENT
    )
    guarded.audit.events.clear()
    for event in (bearer, cookie):
        with pytest.raises(Exception, match=r"^Unauthorized$") as raised:
            guarded.ask(event)
        assert type(raised.value) is Exception
        assert raised.value.__suppress_context__
    assert guarded.audit.names() == ["token_refused"] * 2


@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_outage_is_no_verdict(guarded: Guarded, kind: str) -> None:
    """A table that is away raises anything but the one word; a moment later the same question is answered."""
    credentials = {
        "find_denials": {"Authorization": guarded.bearer},
        "find_session_and_account": {"Cookie": guarded.cookie, "Origin": ORIGIN},
    }
    for verb, headers in credentials.items():
        guarded.store.fail_before(verb)
        with pytest.raises(Unavailable):
            guarded.ask(put(kind, headers))
        assert allowed(guarded.ask(put(kind, headers)))
    assert guarded.audit.names() == ["authorizer_failed"] * 2


@pytest.mark.parametrize("error", [Unavailable(debug="away"), ConfigurationError(debug="KEYTURN_TABLE is not set")])
def test_function_that_cannot_start(guarded: Guarded, error: Exception) -> None:
    """Neither is a function without settings or keys a verdict."""
    with mock.patch.object(guarded, "guard", side_effect=error), pytest.raises(type(error)):
        guarded.ask(put("http-2.0", {"Authorization": guarded.bearer}))
    assert allowed(guarded.ask(put("http-2.0", {"Authorization": guarded.bearer})))


def test_real_composition_refuses_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings the function says which are missing, and does not remember it."""
    for name in ("KEYTURN_TABLE", "KEYTURN_ISSUER", "KEYTURN_AUDIENCE", "KEYTURN_PARAMETERS"):
        monkeypatch.delenv(name, raising=False)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="KEYTURN_TABLE is not set"):
            authorizers.guarding()


def test_function_has_a_deadline(guarded: Guarded) -> None:
    """What it waits for is bounded as a request's is."""
    ends: list[float] = []
    guarded.store.at_call = lambda *_: ends.append(deadline._end.get())
    guarded.ask(put("rest-request", {"Authorization": guarded.bearer}))
    guarded.ask(put("rest-request", {"Cookie": guarded.cookie}))
    assert len(ends) == 2
    assert all(end < deadline._end.get() for end in ends)


@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_log_tells_where_it_came_from(guarded: Guarded, kind: str) -> None:
    """A refusal is written down with request id and address, which the gateway tells, and never with the credential."""
    assert guarded.refuses(put(kind, {"Authorization": "Bearer a.secret.b", "X-Forwarded-For": "198.51.100.1"}))
    ((name, facts),) = guarded.audit.events
    client = facts["caller"]
    assert name == "token_refused"
    assert client.request_id == sample(kind)["requestContext"]["requestId"]
    assert (client.address, client.user_agent) == ("192.0.2.7", "orders-page/1.0")
    assert "secret" not in str(guarded.audit.events)


def test_used_cookie_outlives_its_first_idle_limit(guarded: Guarded) -> None:
    """Each noted use moves the idle limit; two weeks without a use, or the absolute limit, end the session."""
    event = put("http-2.0", {"Cookie": guarded.cookie})
    for _ in range(6):
        guarded.keyturn.clock.advance(13 * DAY)
        assert allowed(guarded.ask(event))
    guarded.keyturn.clock.advance(12 * DAY - 1)
    assert allowed(guarded.ask(event))
    guarded.keyturn.clock.advance(1)  # ninety days after the login
    assert guarded_refuses(guarded, event)


@pytest.mark.parametrize("used", [False, True])
def test_unused_cookie_ends_at_its_idle_limit(guarded: Guarded, *, used: bool) -> None:
    """To the second, after the login or after the last noted use."""
    event = put("http-2.0", {"Cookie": guarded.cookie})
    if used:
        guarded.keyturn.clock.advance(DAY)
        assert allowed(guarded.ask(event))
    guarded.keyturn.clock.advance(14 * DAY)
    assert guarded_refuses(guarded, event)
    guarded.keyturn.clock.advance(-1)
    assert allowed(guarded.ask(event))


def guarded_refuses(guarded: Guarded, event: Mapping[str, object]) -> bool:
    """Whether the answer is API Gateway's 401, after the table was asked."""
    guarded.forget()
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        guarded.ask(event)
    return guarded.store.verbs == ["find_session_and_account"]


def test_session_remembers_when_it_was_used_and_nothing_else(guarded: Guarded) -> None:
    """A use of the cookie is noted once a minute; address and user agent stay the login's."""
    before = guarded.store.find_session(guarded.sub, guarded.browser.session_id)
    for seconds, used_at in ((59, 0), (1, START + 60), (59, START + 60), (1, START + 120)):
        guarded.keyturn.clock.advance(seconds)
        guarded.ask(put("http-2.0", {"Cookie": guarded.cookie}))
        session = guarded.store.find_session(guarded.sub, guarded.browser.session_id)
        assert session == before._replace(used_at=used_at)
