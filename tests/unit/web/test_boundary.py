"""The boundary: every error is an answer of one form, and no answer gives anything away."""

from __future__ import annotations

import io
import json
import math
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from chalice.app import Response

from chalicelib import deadline, errors
from chalicelib.audit import JsonAuditLog
from chalicelib.errors import AuthError, InsufficientUserAuthentication, TooManyRequests, Unavailable
from chalicelib.web import boundary
from chalicelib.web.boundary import FRAMEWORK, SECURITY_HEADERS, STATUS
from chalicelib.web.endpoint import endpoint
from tests.unit.events import chalice_request
from tests.world.clock import FrozenClock
from tests.world.keyturn import RecordingAudit

if TYPE_CHECKING:
    from chalicelib.services import Services
    from chalicelib.web.endpoint import Call

CANARY = "canary-5f3b"


def no_services() -> Services:
    """A composition that nobody needs."""
    return None  # type: ignore[return-value]  # these handlers do not look


def answer(raised: BaseException, audit: RecordingAudit | None = None) -> Response:
    """The answer to a request whose handler raises this."""

    @endpoint({200: ()})
    def handle(_call: Call) -> NoReturn:
        raise raised

    return boundary.finish(boundary.respond(handle, chalice_request(), no_services, audit or RecordingAudit()))


def make(error: type[AuthError], **texts: str) -> AuthError:
    """An error of this type."""
    if error is InsufficientUserAuthentication:
        return InsufficientUserAuthentication(30, **texts)
    if error is TooManyRequests:
        return TooManyRequests(30, policy="login-account", quota=20, window=3600, **texts)
    return error(**texts)


def test_handler_gets_request_services_and_path() -> None:
    """What a handler returns is the answer; what it gets is the request, the services and the path's parts."""
    seen: list[Any] = []

    @endpoint({200: ()})
    def handle(call: Call) -> Response:
        seen.extend([call.request.caller.address, call.services, call.path])
        return Response(body={"a": 1}, status_code=200)

    response = boundary.respond(handle, chalice_request(), no_services, RecordingAudit(), session_id="s")
    assert response.body == {"a": 1}
    assert seen == ["192.0.2.1", None, {"session_id": "s"}]


def test_request_has_a_deadline() -> None:
    """What the handler waits for is bounded, and the bound ends with the request; composition bounds its own."""
    ends: list[float] = []

    def services() -> Services:
        ends.append(deadline._end.get())
        return no_services()

    @endpoint({200: ()})
    def handle(_call: Call) -> Response:
        ends.append(deadline._end.get())
        return Response(body="")

    boundary.respond(handle, chalice_request(), services, RecordingAudit())
    assert ends[1] < ends[0] == math.inf
    assert deadline._end.get() == math.inf


@pytest.mark.parametrize("error", STATUS)
def test_errors_become_problems(error: type[AuthError]) -> None:
    """Each error has its status and its body, in the form of RFC 9457."""
    response = answer(make(error, debug="for the log"))
    assert response.status_code == STATUS[error]
    assert response.headers["Content-Type"] == "application/problem+json"
    body = dict(response.body)
    body.pop("detail", None)
    assert body == {"type": "about:blank", "title": error.title, "status": STATUS[error], "code": error.code}
    assert "for the log" not in json.dumps(response.body)


def test_detail_is_told() -> None:
    """What is meant for the caller stands in `detail`; where there is nothing, there is no such member."""
    assert answer(errors.PasswordRejected("Longer.")).body["detail"] == "Longer."
    assert "detail" not in answer(errors.InvalidGrant()).body


def test_limiter_tells_its_policy() -> None:
    """A 429 of ours names what refused, how much it lets through, and when it does again, and nothing else does."""
    headers = answer(make(TooManyRequests)).headers
    assert headers["RateLimit-Policy"] == '"login-account";q=20;w=3600'
    assert headers["RateLimit"] == '"login-account";r=0;t=30'
    assert not [name for name in answer(Unavailable()).headers if name.startswith("RateLimit")]


def test_waits_stand_in_the_header() -> None:
    """429 and 503 say when to come again (RFC 9110 section 10.2.3), and nothing else does."""
    assert answer(make(TooManyRequests)).headers["Retry-After"] == "30"
    assert answer(Unavailable()).headers["Retry-After"] == "1"
    for error in STATUS:
        if error is not TooManyRequests and not issubclass(error, Unavailable):
            assert "Retry-After" not in answer(make(error)).headers


def test_bearer_challenge() -> None:
    """A refused access token is answered with RFC 6750's challenge, and nothing else is."""
    assert answer(errors.InvalidToken()).headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert "WWW-Authenticate" not in answer(errors.InvalidCredentials()).headers


def test_step_up_challenge() -> None:
    """Where the login is too long ago, the challenge says how recent it must be (RFC 9470 section 3)."""
    challenge = answer(InsufficientUserAuthentication(600)).headers["WWW-Authenticate"]
    assert challenge == 'Bearer error="insufficient_user_authentication", max_age=600'


def test_refusals_are_audited_with_their_reason() -> None:
    """The log says why, and who asked; the caller learns neither."""
    audit = RecordingAudit()
    answer(errors.InvalidGrant(debug="malformed"), audit)
    ((name, facts),) = audit.events
    assert name == "request_refused"
    assert facts["code"] == "invalid_grant"
    assert facts["why"] == "malformed"
    assert facts["caller"].address == "192.0.2.1"


@pytest.mark.parametrize("error", [errors.InvalidCredentials, errors.EmailTaken, TooManyRequests])
def test_one_event_is_one_line(error: type[AuthError]) -> None:
    """What a service has written down, with more than is known here, is not written a second time."""
    audit = RecordingAudit()
    answer(make(error), audit)
    assert audit.events == []


class Strange(Exception):
    """An error that nobody expected, with a secret in its message."""


@pytest.mark.parametrize("raised", [Strange(CANARY), KeyError(CANARY), RecursionError(CANARY), OSError(5, CANARY)])
def test_unexpected_errors_give_nothing_away(raised: Exception) -> None:
    """An error that nobody expected is 500, and its message is neither in the answer nor in the log (ASVS V16.5.1)."""
    out = io.StringIO()

    @endpoint({200: ()})
    def handle(_call: Call) -> NoReturn:
        raise raised from ValueError(CANARY)

    with redirect_stdout(out):
        response = boundary.finish(
            boundary.respond(handle, chalice_request(), no_services, JsonAuditLog(FrozenClock()))
        )
    assert response.status_code == 500
    assert response.body == {"type": "about:blank", "title": FRAMEWORK[500][1], "status": 500, "code": "internal_error"}
    (line,) = out.getvalue().splitlines()
    logged = json.loads(line)
    assert logged["event"] == "unexpected_error"
    assert logged["error"].startswith(f"{type(raised).__name__} at test_boundary.py:")
    assert CANARY not in line
    assert CANARY not in json.dumps([response.body, dict(response.headers)])


def test_unexpected_error_without_a_trace_has_a_place_too() -> None:
    """An error that was never raised has no line, and that is no second failure."""
    assert boundary._where(Strange(CANARY)) == "Strange at ?"


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(1)])
def test_end_of_the_process_is_no_answer(raised: BaseException) -> None:
    """The runtime's own signals pass."""
    with pytest.raises(type(raised)):
        answer(raised)


def test_composition_failures_are_answers() -> None:
    """A missing key set is 500 and a store that is away 503, and the caller is not told which parameter it is."""
    for error, status in ((errors.ConfigurationError(debug=CANARY), 500), (Unavailable(debug=CANARY), 503)):

        def services(raised: AuthError = error) -> Services:
            raise raised

        audit = RecordingAudit()
        response = boundary.respond(
            endpoint({200: ()})(lambda _: Response(body="")), chalice_request(), services, audit
        )
        assert response.status_code == status
        assert CANARY not in json.dumps(response.body)
        assert audit.events[0][1]["why"] == CANARY


# What Chalice makes by itself -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 429, 500, 503])
def test_chalices_bodies_are_rewritten(status: int) -> None:
    """What Chalice answers by itself has our form, and nothing of its message."""
    response = boundary.finish(Response(body={"Code": "Some", "Message": CANARY}, status_code=status))
    code, title = FRAMEWORK[status]
    assert response.status_code == status
    assert response.body == {"type": "about:blank", "title": title, "status": status, "code": code}
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("status", [408, 409, 418, 422, 502, 504])
def test_other_statuses_keep_their_number(status: int) -> None:
    """A status that nobody listed is kept, with the body of an internal error."""
    response = boundary.finish(Response(body={"Code": "Some", "Message": CANARY}, status_code=status))
    assert (response.status_code, response.body["status"], response.body["code"]) == (status, status, "internal_error")


def test_allowed_methods_are_kept() -> None:
    """A 405 says which methods there are (RFC 9110 section 15.5.6), and no other header of Chalice's is kept."""
    body = {"Code": "MethodNotAllowedError", "Message": "Unsupported method: PUT"}
    response = boundary.finish(Response(body=body, status_code=405, headers={"Allow": "GET, POST", "X-Other": "a"}))
    assert response.headers["Allow"] == "GET, POST"
    assert "X-Other" not in response.headers


@pytest.mark.parametrize("body", ["", "text", b"bytes", None, [], {"code": "invalid_grant"}, {"Code": "of a handler"}])
def test_answers_of_handlers_are_left_alone(body: Any) -> None:
    """What is no error of Chalice's keeps its body."""
    status = 200 if isinstance(body, dict) and "Code" in body else 404
    assert boundary.finish(Response(body=body, status_code=status)).body == body


@pytest.mark.parametrize("status", [200, 201, 204, 303, 400, 404, 500])
def test_security_headers_are_everywhere(status: int) -> None:
    """Every answer has them, and is not stored unless it says otherwise (ASVS V3.4, V14.3.2)."""
    for body in ("", {"Code": "Some", "Message": ""}, {"code": "x"}):
        headers = boundary.finish(Response(body=body, status_code=status)).headers
        assert headers["Cache-Control"] == "no-store"
        assert SECURITY_HEADERS.items() <= headers.items()
    assert SECURITY_HEADERS["X-Content-Type-Options"] == "nosniff"
    assert SECURITY_HEADERS["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
    assert SECURITY_HEADERS["X-Frame-Options"] == "DENY"
    assert SECURITY_HEADERS["Referrer-Policy"] == "no-referrer"
    assert SECURITY_HEADERS["Strict-Transport-Security"].startswith("max-age=63072000")


def test_handlers_own_headers_win() -> None:
    """Public keys may be cached: what a handler says of caching holds."""
    response = Response(body={}, status_code=200, headers={"Cache-Control": "public, max-age=300"})
    assert boundary.finish(response).headers["Cache-Control"] == "public, max-age=300"
