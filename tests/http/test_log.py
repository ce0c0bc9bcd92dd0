"""What the log holds: one JSON object a line, and never a password, token, cookie or code."""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.http.client import CheckedClient, Held, resumed
from tests.http.hostile import ROUTES, SIGNATURE, filled
from tests.http.test_failures import closed_port
from tests.world.browser import FROM_PAGE, REFRESH_COOKIE
from tests.world.client import FORM, JSON
from tests.world.own_request import own_code
from tests.world.person import new_email, person_of

if TYPE_CHECKING:
    from tests.http.server import Server
    from tests.world.client import Headers, Reply


GIVEN_OUT = ("access_token", "refresh_token", "csrf_token", "device_token")


class Witness(CheckedClient):
    """A client that remembers every secret that it sends or is given."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.secrets: set[str] = set()

    def canary(self, form: str = "{}") -> str:
        """A secret that nobody has seen yet."""
        secret = f"canary{uuid.uuid4().hex}"
        self.secrets.add(secret)
        return form.format(secret)

    def send(self, method: str, path: str, headers: Headers = (), body: bytes = b"") -> Reply:
        """As Client, keeping what the answer gives."""
        reply = super().send(method, path, headers, body)
        if reply.body and method != "HEAD":
            given = reply.json
            self.secrets |= {given[name] for name in GIVEN_OUT if given.get(name)}
        self.secrets |= {cookie.partition(";")[0].partition("=")[2] for cookie in reply.all("Set-Cookie")} - {""}
        return reply


def live(server: Server, witness: Witness) -> None:
    """Use every route well, then wrongly, with a canary in each place for a secret."""
    email, password = new_email(), witness.canary()
    body: dict[str, Any] = {"email": email, "password": password, "transport": "body"}
    app_user = Held(witness, email, witness.post("/signup", body))
    browser = Held(witness, email, witness.post("/login", {"email": email, "password": password}, [FROM_PAGE]))
    witness.post("/login", {**body, "password": witness.canary()})
    witness.post("/login", {**body, "email": new_email(), "password": witness.canary()})
    witness.post("/signup", {**body, "password": witness.canary()})
    witness.post("/signup", {**body, "email": "no address", "password": witness.canary()})
    witness.post("/signup", {**body, "email": new_email(), "password": witness.canary("{}" + "x" * 300)})
    third = app_user.refreshed()
    witness.call("GET", "/csrf", headers=[("Cookie", browser.cookie)])
    browser.refresh()
    witness.post("/refresh", headers=[FROM_PAGE, ("Cookie", browser.cookie), ("X-CSRF-Token", witness.canary())])
    witness.post("/refresh", {"refresh_token": browser.refresh_token})
    change = {"current_password": password, "new_password": witness.canary()}
    third.renew("POST", "/password/change", {**change, "current_password": witness.canary()})
    third = third.renewed("POST", "/password/change", change)
    with server.later(21):
        third.refreshed()
    with server.later(42):
        third.refresh()  # a replay
    fourth = Held(witness, email, witness.post("/login", {**body, "password": change["new_password"]}))
    for token in (fourth.reply.json["access_token"], fourth.refresh_token):
        for path in ("/token/introspect", "/token/revoke"):
            witness.send("POST", path, [FORM, SIGNATURE], f"token={token}".encode())
    body = {"email": email, "password": change["new_password"]}
    browser = Held(witness, email, witness.post("/login", body, [FROM_PAGE]))
    browser = Held(witness, email, witness.post("/login", body, [*browser.page]))
    witness.post("/logout", headers=browser.page)
    witness.post("/logout", headers=[third.bearer])
    for held in (app_user, third):
        held.me()


def federate(server: Server, witness: Witness) -> None:
    """Log in at a provider by each way, well and wrongly; link and unlink."""
    surfer, person = server.browser(witness), person_of(new_email())
    url = surfer.begin()
    query = dict(parse_qsl(urlsplit(url).query))
    witness.secrets |= {query["state"], query["nonce"]}
    callback = surfer.agree(url, person)
    witness.secrets.add(dict(parse_qsl(urlsplit(callback).query))["code"])
    server.browser(witness).come_back(callback)
    surfer.come_back(callback)
    surfer.come_back(callback)
    held = resumed(surfer)
    again = surfer.agree(surfer.begin(), person)
    surfer.come_back(f"{again.partition('&code=')[0]}&error={witness.canary()}&error_description={witness.canary()}")
    surfer.come_back(f"/login/google/callback?state={witness.canary()}&code={witness.canary()}")
    for change in (
        {},
        {"code": witness.canary()},
        {"nonce": witness.canary()},
        {"code_verifier": witness.canary() * 2},
    ):
        members = {**own_code(server.provider, person), "transport": "body", **change}
        witness.secrets |= {members["code"]}
        witness.post("/login/google/exchange", members, [FROM_PAGE])
        held = resumed(surfer)
        reply = held.renew("POST", "/identities/google", {**own_code(server.provider, person), **change})
        surfer.keep(reply)
    resumed(surfer).renew("DELETE", "/identities/google")


def spoil(witness: Witness) -> None:
    """Meet every route with secrets in the wrong places."""
    for route in ROUTES:
        path = filled(route.path, witness.canary())
        for authorization in ("Bearer {}", "Bearer {0}.{0}.{0}", "Basic {}", "{}", "Bearer\t{}"):
            witness.send(route.method, path, [("Authorization", witness.canary(authorization))])
        password = witness.canary()
        witness.secrets.add(base64.b64encode(password.encode()).decode())
        headers = [FROM_PAGE, ("Cookie", f"{REFRESH_COOKIE}={witness.canary()}; session={witness.canary()}")]
        headers += [("X-CSRF-Token", witness.canary()), ("X-Api-Key", witness.canary())]
        form = f"token={witness.canary()}&token_type_hint={witness.canary()}&{witness.canary()}=%zz"
        for contents in (form, form.rpartition("&")[0], form.partition("=")[2]):
            witness.send(route.method, path, [FORM, FROM_PAGE, SIGNATURE], contents.encode())
        for contents in (
            f'{{"email":"a@example.com","password":"{password}"',
            f'{{"email":"a@example.com","password":["{password}"]}}',
            f'{{"password":"{password}","password":"{password}"}}',
            f'{{"{password}":"x"}}',
            f'{{"refresh_token":"{password}"}}',
            f'{{"refresh_token":"kt1.{password}"}}',
            f'{{"email":"{password}","password":"{password}","transport":"{password}"}}',
            f'"{password}"',
        ):
            witness.send(route.method, path, [JSON, *headers], contents.encode())
            witness.send(route.method, path, [JSON], contents.encode())
        witness.send(route.method, f"{path}?code={witness.canary()}&access_token={witness.canary()}", headers)
        witness.send(route.method, path, [*headers, ("Content-Type", "text/plain")], password.encode())


@pytest.mark.parametrize("away", [False, True], ids=["well", "table-away"])
def test_log_holds_no_secret(server: Server, capfd: pytest.CaptureFixture[str], *, away: bool) -> None:
    """Whatever is sent and however it ends, no secret of it is logged, and every line is one JSON object."""
    witness = Witness(server.url)
    capfd.readouterr()
    if away:
        with closed_port() as endpoint, server.cold({"AWS_ENDPOINT_URL_DYNAMODB": endpoint}) as containers:
            containers.start()
            spoil(witness)
    else:
        live(server, witness)
        federate(server, witness)
        spoil(witness)
    output = capfd.readouterr()
    assert not output.err
    lines = [json.loads(line) for line in output.out.splitlines()]
    assert len(lines) > 50
    assert all({"time", "event", "request_id"} <= set(line) for line in lines)
    assert len(witness.secrets) > 150
    assert [secret for secret in witness.secrets if secret in output.out] == []


def test_events_of_a_session(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """What happens to an account is logged, with whom and when, and with the id that the gateway gave the request."""
    witness = Witness(server.url)
    capsys.readouterr()
    live(server, witness)
    federate(server, witness)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["event"] for line in lines} >= {
        "signed_up",
        "signup_refused",
        "logged_in",
        "login_refused",
        "logged_out",
        "password_changed",
        "password_change_refused",
        "refresh_token_reused",
        "session_ended",
        "token_refused",
        "token_revoked",
        "request_refused",
    }
    assert {line["address"] for line in lines if line["event"] != "token_refused"} == {witness.address}
    assert all(line["request_id"] for line in lines if line["event"] != "token_refused")


def test_no_line_can_be_forged(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks and quotes in what a client says stay inside their own line (ASVS V16.4.1)."""
    client = CheckedClient(server.url)
    capsys.readouterr()
    agent = '"}{"event":"logged_in"\u2028\u0085\x1b[31m\x7f'
    members = {"email": new_email(), "password": "x", "transport": 'x\r\n{"event":"logged_in"}'}
    client.post("/login", members, [("User-Agent", agent)])
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "request_refused"
    assert line.isascii()
    assert line.isprintable()
