"""`make run`: the whole of it on this machine, and nothing left when it ends."""

from __future__ import annotations

import os
import re
import signal
import socket

import pytest

from tests.http.client import Client, assert_no_content, assert_problem, sign_up
from tests.http.make_run import ROOT, STAND_IN_OFFSET, free_port, make_run, said_before_serving
from tests.http.server import ORIGIN
from tests.openid.browser import Browser, Person

PAGE_JS = ROOT / "infra" / "page" / "page.js"
ORIGINS = {"KEYTURN_ALLOWED_ORIGINS": ORIGIN}


def assert_refused(port: int) -> None:
    """Nobody listens there."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10).close()


def assert_logs_in(port: int) -> None:
    """The page is there, and whoever comes back to it from the stand-in has a session."""
    browser, page = Browser(), f"http://localhost:{port}/"
    shown = browser.get(f"{page}?error=access_denied")
    assert (shown.status, shown.header("Content-Type")) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in (shown.header("Content-Security-Policy") or "")
    assert {browser.get(f"{page}{part}").status for part in ("page.js", "page.css")} == {200}
    at_provider = browser.get(f"{page}login/google?return_to={page}").header("Location") or ""
    assert at_provider.startswith(f"http://localhost:{port + STAND_IN_OFFSET}/")
    callback = browser.log_in(at_provider, Person("ada", "ada@example.com"))
    assert browser.get(callback).header("Location") == page
    csrf_token = browser.call("GET", f"{page}csrf").json["csrf_token"]
    refreshed = browser.call("POST", f"{page}refresh", headers={"X-CSRF-Token": csrf_token}).json
    assert (refreshed["user"]["email"], refreshed["user"]["email_verified"]) == ("ada@example.com", True)


def assert_guards_by_cookie(client: Client) -> None:
    """A session cookie opens guarded routes, and changes something from an allowed page alone."""
    held = sign_up(client, "session")
    cookie = ("Cookie", held.cookie)
    assert client.call("GET", "/me", headers=[cookie]).json["email"] == held.email
    assert_problem(client.call("GET", "/me", headers=[("Cookie", f"{held.cookie[:-4]}AAAA")]), 401, "invalid_token")
    assert_problem(client.post("/logout/all", headers=[cookie]), 403, "access_denied")
    assert client.call("GET", "/me", headers=[cookie]).status == 200
    page = [cookie, ("Origin", ORIGIN), ("X-CSRF-Token", held.reply.json["csrf_token"])]
    assert_no_content(client.post("/logout/all", headers=page))
    assert_problem(client.call("GET", "/me", headers=[cookie]), 401, "invalid_token")


def assert_tells_owner(client: Client) -> None:
    """What happens is in the owner's list at the next request."""
    held = sign_up(client)
    client.post("/login", {"email": held.email, "password": "wrong", "transport": "body"})
    events = client.call("GET", "/security-events", headers=[held.bearer]).json["events"]
    assert [event["event"] for event in events] == ["login_refused", "signed_up"]


def assert_is_read_across_origins(client: Client) -> None:
    """An allowed page's preflight passes the guard, and it reads what the app says and what the gateway would say."""
    preflight = client.send("OPTIONS", "/me", [("Origin", ORIGIN), ("Access-Control-Request-Method", "GET")])
    assert_no_content(preflight)
    assert preflight.header("Access-Control-Allow-Methods") == "GET"
    for path in ("/health", "/csrf", "/me", "/nothing"):
        reply = client.send("GET", path, [("Origin", ORIGIN)])
        assert reply.header("Access-Control-Allow-Origin") == ORIGIN
        assert reply.header("Access-Control-Allow-Credentials") == "true"
    assert client.send("OPTIONS", "/nothing", [("Origin", ORIGIN)]).status == 404
    # The one allowed page is named to every other one, which so reads nothing.
    for path in ("/me", "/nothing"):
        reply = client.send("GET", path, [("Origin", "https://evil.example")])
        assert reply.all("Access-Control-Allow-Origin") == [ORIGIN]


def answers_to_head_and_get(port: int, path: str) -> bytes:
    """All that comes back where GET /health follows HEAD in the same connection."""
    requests = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"{requests}Connection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def answers_to_unreadable_length(port: int, length: str) -> list[bytes]:
    """Statuses of what comes back where a second request hides in a body that cannot be read: its own and no other."""
    hidden = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    request = f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{hidden}"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.encode())
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass  # closed with the hidden request unread, which is the point
    return re.findall(rb"^HTTP/1\.1 (\d+)", answer, re.MULTILINE)


def test_make_run() -> None:
    """It prints the curl session, serves it, refuses in our form what API Gateway would, and ends with Ctrl-C."""
    port = free_port()
    with make_run(port, ORIGINS) as process:
        printed = said_before_serving(process)
        assert f"API=http://localhost:{port}\n" in printed
        assert f"Open http://localhost:{port}/ " in printed
        client = Client(f"http://localhost:{port}")
        held = sign_up(client)
        assert held.me().status == 200
        held = held.refreshed()
        assert_no_content(client.post("/logout", {"refresh_token": held.refresh_token}))
        assert_problem(held.me(), 401, "invalid_token")
        assert_problem(client.call("GET", "/me"), 401, "invalid_token")
        assert_problem(client.call("GET", "/nothing"), 404, "not_found")
        assert_problem(client.call("DELETE", "/me"), 405, "method_not_allowed")
        for path in ("/me", "/nothing"):  # no answer to HEAD has a body (RFC 9110 section 9.3.2)
            first, _, second = answers_to_head_and_get(port, path).partition(b"\r\n\r\n")
            assert re.match(rb"HTTP/1\.1 40[45] ", first)
            assert second.startswith(b"HTTP/1.1 200 ")
        for path in ("/health", "/page.js", "/openapi.json"):
            first, _, second = answers_to_head_and_get(port, path).partition(b"\r\n\r\n")
            length = len(client.call("GET", path).body) if path != "/page.js" else len(PAGE_JS.read_bytes())
            assert first.startswith(b"HTTP/1.1 200 ")
            assert f"\r\nContent-Length: {length}".encode() in first
            assert second.startswith(b"HTTP/1.1 200 ")
        assert answers_to_unreadable_length(port, "abc") == [b"400"]
        assert answers_to_unreadable_length(port, "99999999999") == [b"413"]
        assert_guards_by_cookie(client)
        assert_is_read_across_origins(client)
        assert_tells_owner(client)
        assert_logs_in(port)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Keyturn has ended." in rest
    assert "Traceback" not in rest
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert_refused(port)
    assert_refused(port + STAND_IN_OFFSET)


def test_killed() -> None:
    """However it ends, the stand-in ends too."""
    port = free_port()
    with make_run(port) as process:
        said_before_serving(process)
        process.kill()
        assert process.stdout
        process.stdout.read()  # which the stand-in has, too: the end comes when both are gone
    assert_refused(port + STAND_IN_OFFSET)


def test_taken_port() -> None:
    """Where the stand-in cannot have its port, one line says which port that is and what to set."""
    port = free_port()
    taken = port + STAND_IN_OFFSET
    with socket.create_server(("127.0.0.1", taken)), make_run(port) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.count("\n") == 1
    assert f"port {taken}, 1000 above PORT: Address already in use" in said
    assert "make run PORT=" in said
