"""The former version is deployed and used, then this version is deployed over it: every living session goes on."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jwt
import pytest

from infra.role_policies import render
from infra.stage import Stage
from tests.rehearsal.asking import chronicle, verdict
from tests.rehearsal.aws import ACCOUNT, REGION
from tests.rehearsal.before import MORE_THAN_THE_LIST, NEW_PASSWORD, REFRESHED, WAYS_TO_END, WAYS_TO_LIVE, People
from tests.rehearsal.former import FORMER, HistoryMissing, former_project, project_of
from tests.rehearsal.rights import Rights, on_table, read
from tests.rehearsal.stack import ROOT, copy_project, deployed
from tests.rehearsal.test_flow import assert_problem
from tests.rehearsal.test_lifecycle import inventory
from tests.rehearsal.walk import NOBODYS, SIGNED
from tests.unit.guarded import KINDS, WITH_COOKIES
from tests.world.client import FORM, Client
from tests.world.constants import ORIGIN, PAGE
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.domain.callers import Transport
    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.holder import Holder
    from tests.rehearsal.stack import RunningStack

STAGE = "prod"
SECRET = f"/keyturn/{STAGE}/provider/google"
WINDOW = 60  # seconds: the longest rotation window, so that a slow machine's deployment ends inside it
NOTED = {"pk", "sk", "used_at"}  # all that the guard may name in a write
VARIANTS = {"guard": "Allow", "guard:admin": "Deny", "guard:elsewhere": "Deny"}
# How the functions' names go on after the stage's, by chalice's names.
FUNCTIONS = {"api_handler": "", "authorize": "-authorize", "chronicle": "-chronicle", "guard": "-guard"}

every_living = pytest.mark.parametrize(("name", "transport"), WAYS_TO_LIVE)
every_ended = pytest.mark.parametrize(("name", "transport"), WAYS_TO_END)
every_refreshed = pytest.mark.parametrize("transport", REFRESHED)


@dataclass(frozen=True)
class Held:
    """The state of the stage in AWS."""

    api_id: str
    table: tuple[str, Any]
    parameters: Mapping[str, str]
    handlers: Mapping[str, str]
    inventory: set[str]
    policies: Mapping[str, Any]
    key_ids: set[str]

    @classmethod
    def of(cls, stack: RunningStack) -> Held:
        """At this moment."""
        aws = stack.aws
        table = aws.client("dynamodb").describe_table(TableName=stack.table_name)["Table"]
        pages = aws.client("ssm").get_paginator("get_parameters_by_path")
        found = pages.paginate(Path=f"/keyturn/{stack.stage}", Recursive=True, WithDecryption=True)
        return cls(
            stack.api_id,
            (table["TableArn"], table["CreationDateTime"]),
            {item["Name"]: item["Value"] for page in found for item in page["Parameters"]},
            {name: function.config.handler for name, function in stack.functions.items()},
            inventory(aws),
            {name: Rights.of(aws, name).document for name in stack.functions},
            {key["kid"] for key in Client(stack.url).call("GET", "/.well-known/jwks.json").json["keys"]},
        )


@dataclass(frozen=True)
class World:
    """The upgraded stage, the project of its former version, and the accounts that were made on it."""

    stack: RunningStack
    provider: StandIn
    former: Path
    held: Held
    people: People
    lost: dict[Transport, Holder]  # clients that lost the answer of a former container

    @property
    def client(self) -> Client:
        """A client of the stage."""
        return Client(self.stack.url)


def former(to: Path) -> Path:
    """The former version's files. Without git or in a shallow clone the test fails with a single line."""
    try:
        return former_project(to)
    except HistoryMissing as error:
        missing = str(error)
    pytest.fail(missing, pytrace=False)


@pytest.fixture(scope="module")
def world(aws: LocalAws, refused: list[str]) -> Iterator[World]:
    """The stage, upgraded. As in AWS, containers of the former version still answer after the deployment."""
    settings = {
        "KEYTURN_ALLOWED_ORIGINS": ORIGIN,
        "KEYTURN_RETURN_TO": PAGE,
        "KEYTURN_LOGIN_ATTEMPTS": "5",
        "KEYTURN_ROTATION_WINDOW": str(WINDOW),
        "KEYTURN_GUARDS": "admin: role=admin; elsewhere: role=nobody",
        "KEYTURN_GUARDED_APIS": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:abc123",
    }
    with ExitStack() as exits:
        provider = exits.enter_context(StandIn())
        settings |= {
            "KEYTURN_GOOGLE_CLIENT_ID": provider.client_id,
            "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": SECRET,
            "KEYTURN_GOOGLE_ISSUER": provider.url,
        }
        new = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="new-", ignore_cleanup_errors=True)))
        aws.client("ssm").put_parameter(Name=SECRET, Value=provider.client_secret, Type="SecureString")
        stack = exits.enter_context(deployed(STAGE, aws=aws, settings=settings, layout=former))
        exits.callback(stack.destroy, with_table=True)
        people = People.of(stack, provider)
        chronicle(stack)
        held, deployed_from = Held.of(stack), stack.project
        assert refused == []
        stack.move_to(copy_project(new))
        stack.configure(settings)
        stack.make("deploy", f"STAGE={STAGE}")
        lost = {way: holder.copy() for way, holder in people.turning.items()}
        for holder in people.turning.values():
            assert holder.refresh().status == 200, stack.tail()
        refused.clear()  # the former code under the new roles: it goes on with the keys that it has in memory
        stack.restart()
        yield World(stack, provider, deployed_from, held, people, lost)


def assert_lives(holder: Holder) -> None:
    """The client refreshes twice, and each time it is the same user and session."""
    for _ in range(2):
        reply = holder.refresh()
        assert reply.status == 200, (reply, holder.stack.tail())
        me = holder.call("GET", "/me")
        assert (me.status, me.json["sub"], me.json["session_id"]) == (200, holder.sub, holder.session_id)


def assert_ended(holder: Holder) -> None:
    """The long-lived credential and the access token are refused everywhere, and a logout by them is 204."""
    code = "invalid_token" if holder.transport == "session" else "invalid_grant"
    assert_problem(holder.refresh(), 401, code)
    assert_problem(holder.call("GET", "/me"), 401, "invalid_token")
    kinds = WITH_COOKIES if holder.transport == "session" else KINDS
    for kind in kinds:
        assert verdict(holder.stack, "guard", kind, holder.authorization) == "Unauthorized"
    if holder.transport != "session":
        assert verdict(holder.stack, "authorize", "rest-token", holder.authorization) == "Unauthorized"
        assert introspected(holder, holder.grant["access_token"]) == {"active": False}
    assert holder.log_out().status == 204


def introspected(holder: Holder, token: str) -> Any:
    """The answer of POST /token/introspect."""
    body = urlencode({"token": token}).encode()
    reply = Client(holder.stack.url).call("POST", "/token/introspect", headers=[FORM, *SIGNED.items()], body=body)
    assert reply.status == 200, reply
    return reply.json


@every_refreshed
def test_answer_that_was_lost_while_it_deployed(world: World, transport: Transport) -> None:
    """A refresh answered by a former container is repeated at the new version: it gives the same successor.

    It runs first, inside the rotation window.
    """
    lost, holder = world.lost[transport], world.people.turning[transport]
    assert lost.credential != holder.credential
    assert lost.refresh().status == 200
    assert lost.credential == holder.credential
    assert_lives(lost)


@every_living
def test_access_token_and_cookie_of_before_pass(world: World, name: str, transport: Transport) -> None:
    """Routes, authorizers and variants of guard accept access tokens and session cookies of the former version."""
    holder = world.people.living[name, transport]
    for path in ("/me", "/sessions", "/security-events", "/identities"):
        reply = holder.call("GET", path)
        assert reply.status == 200, (path, reply, world.stack.tail())
    (current,) = [session for session in holder.call("GET", "/sessions").json["sessions"] if session["current"]]
    assert (current["session_id"], current["transport"]) == (holder.session_id, transport)
    for kind in WITH_COOKIES if transport == "session" else KINDS:
        for variant, expected in VARIANTS.items():
            assert verdict(world.stack, variant, kind, holder.authorization) == expected, (variant, kind)
    if transport != "session":
        assert verdict(world.stack, "authorize", "rest-token", holder.authorization) == "Allow"
        token = holder.grant["access_token"]
        assert jwt.get_unverified_header(token)["alg"] == "RS256"
        assert introspected(holder, token)["sid"] == holder.session_id


@every_living
def test_living_session_goes_on(world: World, name: str, transport: Transport) -> None:
    """It refreshes, also after another session of the account was ended by this version."""
    holder = world.people.living[name, transport]
    assert_lives(holder)
    ending = holder.log_in(transport)
    assert ending.log_out().status == 204
    assert_ended(ending)
    assert_lives(holder)


@every_ended
def test_ended_session_stays_dead(world: World, name: str, transport: Transport) -> None:
    """Sessions that the former version ended stay dead, and their credentials end no other session."""
    holder = world.people.ended[name, transport]
    if name == "of the old password":
        assert holder.try_to_log_in(holder.password).status == 401
        holder.password = NEW_PASSWORD
    beside = holder.log_in("body")
    assert_ended(holder)
    assert_lives(beside)


@every_refreshed
def test_thief_who_copied_a_token_of_before(world: World, transport: Transport) -> None:
    """A refresh token two turns old ends the session, also if the former version turned it."""
    holder, thief = world.people.copied[transport]
    assert_problem(thief.refresh(), 401, "invalid_grant")
    assert_ended(holder)


def test_access_token_that_was_revoked_alone(world: World) -> None:
    """The access token stays dead, and its session goes on."""
    holder = world.people.token_revoked
    assert_problem(holder.call("GET", "/me"), 401, "invalid_token")
    assert verdict(world.stack, "authorize", "rest-token", holder.authorization) == "Unauthorized"
    assert introspected(holder, holder.grant["access_token"]) == {"active": False}
    assert_lives(holder)


def test_blacklist_that_overflowed(world: World) -> None:
    """Access tokens from before the blacklist's moment stay dead; a token issued after it stays valid."""
    holder, revoked = world.people.overflowed
    assert len(set(revoked)) == MORE_THAN_THE_LIST
    assert holder.call("GET", "/me").status == 200
    for token in revoked:
        assert_problem(world.client.call("GET", "/me", bearer=token), 401, "invalid_token")
    assert_lives(holder)


@pytest.mark.parametrize("transport", ["cookie", "session"])
def test_csrf_token_of_before(world: World, transport: Transport) -> None:
    """It verifies at routes and at guard. The token of another session is refused, and a missing token."""
    other = world.people.living["beside a logout", transport]
    held = world.people.living["signed up", transport]
    path = "/refresh" if transport == "cookie" else f"/sessions/{NOBODYS}"
    method, expected = ("POST", 200) if transport == "cookie" else ("DELETE", 404)
    foreign = {**held.by_cookie, "X-CSRF-Token": other.grant["csrf_token"]}
    missing = {name: value for name, value in held.by_cookie.items() if name != "X-CSRF-Token"}
    for headers in (foreign, missing):
        assert world.client.call(method, path, headers=headers).status == 403
    told = world.client.call("GET", "/csrf", headers={"Cookie": held.by_cookie["Cookie"], "Origin": ORIGIN})
    assert told.status == 200, told
    for csrf_token in (held.grant["csrf_token"], told.json["csrf_token"]):
        reply = world.client.call(method, path, headers={**held.by_cookie, "X-CSRF-Token": csrf_token})
        assert reply.status == expected, reply


@pytest.mark.parametrize("transport", ["body", "cookie"])
def test_device_of_before_is_known(world: World, transport: Transport) -> None:
    """A device token of the former version is recognised: attempts by strangers do not limit that device."""
    holder = world.people.living["turned", transport]
    credentials = {"email": holder.email, "password": holder.password, "transport": transport}
    headers = {"Origin": ORIGIN}
    for _ in range(10):
        refusal = holder.try_to_log_in("a stranger's guess")
        if refusal.status == 429:
            break
    assert refusal.status == 429
    assert world.client.call("POST", "/login", credentials, headers=headers).status == 429
    if transport == "body":
        credentials["device_token"] = holder.grant["device_token"]
    else:
        headers["Cookie"] = f"__Host-device={holder.browser.cookies['__Host-device']}"
    assert world.client.call("POST", "/login", credentials, headers=headers).status == 200


def test_login_at_the_provider(world: World) -> None:
    """A provider session goes on, its next login is the same user, and a login under way is finished."""
    somebody = world.people.logged_in
    before = somebody.resume().json["user"]["sub"]
    assert somebody.log_in().header("Location") == PAGE
    assert somebody.resume().json["user"]["sub"] == before
    traveller, callback = world.people.on_the_way
    assert traveller.come_back(callback).header("Location") == PAGE
    assert traveller.resume().json["user"]["email"] == traveller.person.email


def test_events_of_before_are_shown(world: World) -> None:
    """The list shows events of the former version below newer events."""
    holder = world.people.token_revoked
    again = holder.log_in("body")
    chronicle(world.stack)
    events = again.call("GET", "/security-events").json["events"]
    names = [event["event"] for event in events]
    assert (names[0], names[-1]) == ("logged_in", "signed_up")


def test_stage_keeps_its_identity(world: World) -> None:
    """API id, table, keys and handlers are unchanged."""
    before, now = world.held, Held.of(world.stack)
    assert (now.api_id, now.table) == (before.api_id, before.table)
    assert before.handlers.items() <= now.handlers.items()
    assert before.key_ids <= now.key_ids
    kept = {name: value for name, value in before.parameters.items() if not name.endswith("/root")}  # may have moved
    assert kept.items() <= now.parameters.items()
    roots = {secret["key"] for secret in json.loads(before.parameters[f"/keyturn/{STAGE}/root"])["secrets"]}
    for root in roots:
        assert any(root in value for value in now.parameters.values())
    assert {name for name in before.inventory if not name.endswith("/root")} <= now.inventory


def test_every_function_and_alias_answers(world: World) -> None:
    """Every deployed function and alias is called. A function or alias that is added must be called here too."""
    stack, functions = world.stack, world.stack.aws.client("lambda")
    assert {name.removeprefix(f"keyturn-{STAGE}") for name in stack.functions} == {*FUNCTIONS.values()}
    aliases = {
        f"{name}:{alias['Name']}"
        for name in stack.functions
        for alias in functions.list_aliases(FunctionName=name)["Aliases"]
    }
    assert aliases == {f"keyturn-{STAGE}-guard:admin", f"keyturn-{STAGE}-guard:elsewhere"}
    assert world.client.call("GET", "/health").status == 200
    chronicle(stack)
    bearer = world.people.living["signed up", "body"].log_in("body")
    assert verdict(stack, "authorize", "rest-token", bearer.authorization) == "Allow"
    session = world.people.living["signed up", "session"]
    for holder, kinds in ((bearer, KINDS), (session, WITH_COOKIES)):
        for kind in kinds:
            for variant, expected in VARIANTS.items():
                assert verdict(stack, variant, kind, holder.authorization) == expected, (variant, kind)


def test_deployed_policies_are_the_documents(world: World) -> None:
    """Each role had exactly the former version's file, and has exactly this version's policy, made for the stage."""
    config = json.loads((world.former / ".chalice/config.json").read_text())["stages"][STAGE]["lambda_functions"]
    files = {
        f"keyturn-{STAGE}{FUNCTIONS[resource]}": json.loads(
            (world.former / ".chalice" / settings["iam_policy_file"]).read_text()
        )
        for resource, settings in config.items()
    }
    assert world.held.policies == files
    rendered = render(Stage.load(world.stack.project, STAGE))
    now = {resource: held.document for resource, held in rights(world).items()}
    assert now == rendered


def rights(world: World) -> dict[str, Rights]:
    """The deployed rights by chalice's names of the functions."""
    return {resource: Rights.of(world.stack.aws, f"keyturn-{STAGE}{suffix}") for resource, suffix in FUNCTIONS.items()}


def test_no_action_has_a_wildcard(world: World) -> None:
    """No role has a wildcard action; authorize may not write, guard may only update, chronicle only write batches."""
    for resource, held in rights(world).items():
        assert all("*" not in action and "?" not in action for action in held.actions()), resource
    writes = {"BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem"}
    for resource, expected in (("authorize", set()), ("guard", {"UpdateItem"}), ("chronicle", {"BatchWriteItem"})):
        actions = {action.partition(":")[2] for action in rights(world)[resource].actions()}
        assert actions & writes == expected, resource


def test_who_may_read_which_parameter(world: World) -> None:
    """Guard may read the public keys and the session root; authorize the public keys; chronicle no parameter.

    Both may read which keys are withdrawn.
    """
    prefix = f"/keyturn/{STAGE}"
    names = {*Held.of(world.stack).parameters, f"{prefix}/root", f"{prefix}/withdrawn"}
    readable = {
        resource: {name.removeprefix(f"{prefix}/") for name in names if held.allow(read(name))}
        for resource, held in rights(world).items()
    }
    assert readable["guard"] == {"public", "sessions", "withdrawn"}
    assert readable["authorize"] == {"public", "withdrawn"}
    assert readable["chronicle"] == set()


def test_guard_may_note_the_use_of_a_session_and_write_nothing_else(world: World) -> None:
    """Guard may update `used_at` under `user#`; naming any other attribute of the table's items is refused."""
    aws, table, guard = world.stack.aws, world.stack.table_name, rights(world)["guard"]
    items = aws.client("dynamodb").scan(TableName=table)["Items"]
    partitions = {item["pk"]["S"] for item in items}
    attributes = {name for item in items for name in item} | NOTED
    assert attributes > {"digest", "epoch", "expires_at"}
    user = next(pk for pk in partitions if pk.startswith("user#"))
    assert guard.allow(on_table("UpdateItem", table, [user], NOTED))
    writable = {name for name in attributes if guard.allow(on_table("UpdateItem", table, [user], {*NOTED, name}))}
    assert writable == NOTED
    assert not guard.allow(on_table("UpdateItem", table, [user]))
    assert not guard.allow(on_table("UpdateItem", table, [], NOTED))
    others = {pk for pk in partitions if guard.allow(on_table("UpdateItem", table, [pk], NOTED))}
    assert all(pk.startswith("user#") for pk in others)


def test_history_that_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the commit or without git, a single line names the remedy."""
    with pytest.raises(HistoryMissing, match=r"^[^\n]*git fetch --unshallow[^\n]*$"):
        project_of("0" * 40, ROOT, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HistoryMissing, match=r"^[^\n]*install git$"):
        project_of(FORMER, ROOT, tmp_path)
