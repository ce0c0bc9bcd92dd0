"""`make run`: the whole of it on this machine, and nothing left when it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.http.client import CheckedClient, assert_no_content, assert_problem, sign_up
from tests.http.make_run import ROOT, STAND_IN_OFFSET, copy, ended, free_port, make_run, said_before_serving
from tests.openid import forms
from tests.world.browser import Browser
from tests.world.client import Client
from tests.world.constants import ORIGIN
from tests.world.person import Person

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    Moment = Callable[[subprocess.Popen[str], int], bool]

PAGE_JS = ROOT / "infra" / "local" / "page" / "page.js"
ORIGINS = {"KEYTURN_ALLOWED_ORIGINS": ORIGIN}
GITHUB = {
    "KEYTURN_GITHUB_CLIENT_ID": "x",
    "KEYTURN_GITHUB_CLIENT_SECRET_PARAMETER": "/keyturn/local/provider/github",
    "KEYTURN_GITHUB_CLIENT_SECRET": "x",
}
ENDED = "\nKeyturn has ended.\n"
PROC = Path("/proc")
READS_PROC = pytest.mark.skipif(not PROC.exists(), reason="what a process does is read from /proc")


def assert_refused(port: int) -> None:
    """Nobody listens there."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10).close()


def assert_logs_in(port: int) -> None:
    """The page is there, and whoever comes back to it from the stand-in has a session."""
    browser, page = Browser(Client(f"http://localhost:{port}")), f"http://localhost:{port}/"
    shown = browser.get(f"{page}?error=access_denied")
    assert (shown.status, shown.header("Content-Type")) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in (shown.header("Content-Security-Policy") or "")
    assert {browser.get(f"{page}{part}").status for part in ("page.js", "page.css")} == {200}
    offered = {"providers": [{"name": "google", "title": "Google"}], "stand_in": True}
    assert browser.get(f"{page}page.json").json == offered
    at_provider = browser.get(f"{page}login/google?return_to={page}").header("Location") or ""
    assert at_provider.startswith(f"http://localhost:{port + STAND_IN_OFFSET}/")
    callback = forms.log_in(browser, at_provider, Person("ada", "ada@example.com"))
    assert browser.get(callback).header("Location") == page
    csrf_token = browser.fetch("GET", f"{page}csrf").json["csrf_token"]
    refreshed = browser.fetch("POST", f"{page}refresh", headers={"X-CSRF-Token": csrf_token}).json
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


def test_make_run() -> None:
    """It prints the curl session, serves it, refuses in our form what API Gateway would, and ends with Ctrl-C."""
    port = free_port()
    with make_run(port, ORIGINS) as process:
        printed = said_before_serving(process)
        assert f"API=http://localhost:{port}\n" in printed
        assert f"Open http://localhost:{port}/ " in printed
        client = CheckedClient(f"http://localhost:{port}")
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
        assert_guards_by_cookie(client)
        assert_is_read_across_origins(client)
        assert_tells_owner(client)
        assert_logs_in(port)
        assert ENDED in ended(process)
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


def assert_refuses(settings: dict[str, str], *said: str, project: Path = ROOT) -> None:
    """It ends with 1 after a line that says all of this, and before it serves anything."""
    with make_run(settings.get("PORT") or free_port(), settings, project) as process:
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1, printed
    assert printed.count("\n") == 1, printed
    assert [part for part in said if part not in printed] == [], printed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PORT": "abc"}, ("PORT must be a number from 1 to 64535, not 'abc'",)),
        ({"ENGINE": "sqlite"}, ("ENGINE must be one of moto, dynoxide, not 'sqlite'",)),
        (
            {"KEYTURN_ACCESS_TTL": "soon", "KEYTURN_SIGNING_ALGORITHM": "HS256"},
            ("KEYTURN_ACCESS_TTL", "KEYTURN_SIGNING_ALGORITHM"),
        ),
        ({"KEYTURN_TABEL": "mine"}, ("KEYTURN_TABEL is no setting, the nearest is KEYTURN_TABLE",)),
        ({"KEYTURN_NOWHERE_CLIENT_ID": "x"}, ("KEYTURN_NOWHERE_CLIENT_SECRET_PARAMETER",)),
        ({**GITHUB, "KEYTURN_GITHUB_CLIENT_SECRET": ""}, ("KEYTURN_GITHUB_CLIENT_SECRET must hold",)),
        ({"KEYTURN_GOOGLE_ISSUER": "https://accounts.google.com"}, ("KEYTURN_GOOGLE_CLIENT_SECRET must hold",)),
    ],
    ids=["port", "engine", "settings", "unknown", "provider", "secret", "real google"],
)
def test_wrong_setting_is_a_line(settings: dict[str, str], said: tuple[str, ...]) -> None:
    """Whatever is set wrong, a line names it."""
    assert_refuses(settings, *said)


@contextmanager
def untouched() -> Iterator[int]:
    """A port of this machine that listens, and to which nothing connects."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()


def misleading(port: int, folder: Path) -> dict[str, str]:
    """What a shell may hold for other work: each of these led AWS clients, or moto, elsewhere or into an error."""
    elsewhere = f"http://127.0.0.1:{port}"
    garbage = folder / "garbage"
    garbage.write_text("]\nendpoint_url = [")
    endpoints = ("URL", "URL_DYNAMODB", "URL_SSM", "URL_STS", "URL_LAMBDA")
    proxies = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    return {
        **{f"AWS_ENDPOINT_{name}": elsewhere for name in endpoints},
        **dict.fromkeys(proxies, elsewhere),
        "AWS_PROFILE": "nobody",
        "AWS_DEFAULT_PROFILE": "nobody",
        "AWS_CONFIG_FILE": str(garbage),
        "AWS_SHARED_CREDENTIALS_FILE": str(garbage),
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SESSION_TOKEN": "theirs",
        "AWS_DEFAULT_REGION": "no region!",
        "AWS_REGION": "no region!",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "perhaps",
        "AWS_CA_BUNDLE": "/nothing/here",
        "AWS_MAX_ATTEMPTS": "none",
        "AWS_RETRY_MODE": "none",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "much",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": elsewhere,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": elsewhere,
        "TEST_SERVER_MODE": "true",
        "TEST_SERVER_MODE_ENDPOINT": elsewhere,
        "INITIAL_NO_AUTH_ACTION_COUNT": "0",
        "MOTO_ACM_VALIDATION_WAIT": "abc",
        "MOTO_PORT": "abc",
        "BOTO_CONFIG": str(garbage),
    }


def test_nothing_of_the_shell_is_obeyed(tmp_path: Path) -> None:
    """Variables for AWS, moto and proxies change nothing, and no connection goes where they point."""
    port = free_port()
    with untouched() as elsewhere, make_run(port, misleading(elsewhere, tmp_path) | ORIGINS) as process:
        said_before_serving(process)
        assert sign_up(CheckedClient(f"http://localhost:{port}")).me().status == 200
        assert_logs_in(port)
        assert ENDED in ended(process)


def test_page_is_told_of_providers() -> None:
    """The page is told which providers are switched on; the app finds no client secret in its environment."""
    port = free_port()
    with make_run(
        port,
        {
            **GITHUB,
            "KEYTURN_GOOGLE_CLIENT_ID": "",
            "KEYTURN_GOOGLE_ISSUER": "",
            "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": "",
        },
    ) as process:
        assert f"Open http://localhost:{port}/ to log in.\n" in said_before_serving(process)
        reply = Browser(Client(f"http://localhost:{port}")).get("/page.json")
        assert (reply.header("Content-Type"), reply.header("Cache-Control")) == ("application/json", "no-store")
        assert reply.json == {"providers": [{"name": "github", "title": "GitHub"}], "stand_in": False}


def processes_of(project: Path) -> list[str]:
    """Command lines of all processes that name something under this folder."""
    found = []
    for listed in PROC.glob("[0-9]*/cmdline"):
        try:
            command = listed.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(project) in command:
            found.append(command)
    return found


def test_lasting_engine(tmp_path: Path) -> None:
    """Accounts and keys survive a restart."""
    project, port = copy(tmp_path / "project"), free_port()
    state, kept, lasting = project / ".local", project / ".local" / "parameters.json", {"ENGINE": "dynoxide"}
    client = CheckedClient(f"http://localhost:{port}")
    with untouched() as elsewhere, make_run(port, lasting | misleading(elsewhere, tmp_path), project) as process:
        said_before_serving(process)
        held = sign_up(client)
        assert ENDED in ended(process, signal.SIGTERM)
    assert processes_of(project) == []
    assert kept.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in state.iterdir() if "dynoxide.db" not in path.name} == {kept.name}
    with make_run(port, lasting, project) as process:
        said_before_serving(process)
        assert held.me().status == 200
        assert held.refreshed().me().status == 200
        assert ENDED in ended(process)
    assert processes_of(project) == []


@pytest.mark.slow
def test_lasting_engine_that_is_damaged(tmp_path: Path) -> None:
    """Keys that cannot be used are a line with the remedy, and so is a setting that AWS alone knows to be wrong."""
    project, port = copy(tmp_path / "project"), free_port()
    kept, lasting = project / ".local" / "parameters.json", {"ENGINE": "dynoxide"}
    with make_run(port, lasting, project) as process:
        said_before_serving(process)
        assert ENDED in ended(process)
    whole = kept.read_text()
    no_keys = whole.replace('"Value": "', '"Value": "x')
    for damaged in (whole[:-30], no_keys):
        kept.write_text(damaged)
        assert_refuses(lasting, f"Delete {kept}", project=project)
        assert kept.read_text() == damaged  # which is the operator's to delete
    kept.unlink()
    assert_refuses(lasting | {"KEYTURN_TABLE": "no table!"}, "KEYTURN_TABLE", "no table!", project=project)
    assert processes_of(project) == []


def hears_signals(process: subprocess.Popen[str], _port: int) -> bool:
    """It has said what is to happen at SIGTERM, which is the first thing that it does."""
    status = (PROC / str(process.pid) / "status").read_text()
    return bool(int(re.findall(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)[0], 16) >> signal.SIGTERM - 1 & 1)


def has_stand_in(_process: subprocess.Popen[str], port: int) -> bool:
    """The stand-in for Google listens: the slow imports are over, and the keys are being made."""
    listening = f" 0100007F:{port + STAND_IN_OFFSET:04X} 00000000:0000 0A "
    return listening in (PROC / "net" / "tcp").read_text()


def wait_for(moment: Moment, process: subprocess.Popen[str], port: int) -> None:
    """Look often, so that the moment has just come."""
    end = time.monotonic() + 30
    while not moment(process, port):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.002)


@READS_PROC
@pytest.mark.parametrize(
    "moment", [hears_signals, pytest.param(has_stand_in, marks=pytest.mark.slow)], ids=["at once", "half started"]
)
def test_start_is_interrupted(moment: Moment) -> None:
    """Ctrl-C and SIGTERM end it at any time, with the one line, and nothing is left."""
    ports = {by: free_port() for by in (signal.SIGINT, signal.SIGTERM)}
    with ExitStack() as stack:
        processes = {by: stack.enter_context(make_run(port)) for by, port in ports.items()}
        for by, process in processes.items():
            wait_for(moment, process, ports[by])
            assert ended(process, by) == ENDED
            assert_refused(ports[by])
            assert_refused(ports[by] + STAND_IN_OFFSET)


@READS_PROC
def test_second_signal_ends_it_at_once() -> None:
    """Who presses Ctrl-C many times sees no traceback either."""
    port = free_port()
    with make_run(port) as process:
        wait_for(has_stand_in, process, port)
        for _ in range(20):
            process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert process.returncode in {0, 130}
    assert said.strip() in {"", ENDED.strip()}
    assert_refused(port + STAND_IN_OFFSET)
