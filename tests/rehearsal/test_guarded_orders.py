"""An API of another team, guarded by ARN: who is served, and how soon a revoked credential is not.

Its routes, its data and its deployment are its own (examples/guarded-orders).
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from chalicelib.aws.parameters import SystemsManagerParameters
from chalicelib.clock import SystemClock
from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.crypto.keyring import KeyRing
from chalicelib.store.dynamodb import DynamoDBStore
from tests.rehearsal.orders import OrdersApp
from tests.rehearsal.stack import copy_project, deployed
from tests.world.ageing import age
from tests.world.client import Client
from tests.world.constants import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.stack import RunningStack
    from tests.world.client import Reply

STAGE = "prod"
ORIGIN = "https://shop.example.com"
NEW_PASSWORD = "fresh horse battery staple"
KEPT = 60  # seconds for which the second stage's API keeps answers
ACCESS_TTL = 900  # seconds, by default
GUARDS = "admin: role=admin; elsewhere: role=nobody"


@dataclass
class World:
    """Keyturn, the example that asks at every request, and the example whose answers are kept by the clock `now`."""

    keyturn: RunningStack
    fresh: Client
    keeping: Client
    now: list[float]

    @property
    def client(self) -> Client:
        """A client of Keyturn."""
        return Client(self.keyturn.url)

    def store(self) -> DynamoDBStore:
        """Keyturn's table, for what no route does."""
        return DynamoDBStore(self.keyturn.aws.client("dynamodb"), self.keyturn.table_name)

    def codec(self, issuer: str | None = None) -> JwtAccessTokenCodec:
        """Whatever signs Keyturn's access tokens."""
        parameters = SystemsManagerParameters(self.keyturn.aws.client("ssm"))
        keys = KeyRing(parameters, f"/keyturn/{STAGE}", SystemClock(), groups=())
        return JwtAccessTokenCodec(keys, issuer=issuer or self.keyturn.issuer, audience=f"keyturn-{STAGE}")


@dataclass
class Customer:
    """Somebody with an account, and with the session that the token response `grant` began."""

    world: World
    email: str
    grant: dict[str, Any]
    cookie: str = ""

    @property
    def access_token(self) -> str:
        """The bearer token; a session by cookie has none."""
        return str(self.grant["access_token"])

    @property
    def sub(self) -> str:
        """Whose account it is."""
        return str(self.grant["user"]["sub"])

    def page(self, *, origin: str = ORIGIN, csrf_token: str | None = None) -> dict[str, str]:
        """What a browser sends from the page, where the session is a cookie."""
        headers = {"Cookie": self.cookie, "Origin": origin, "X-CSRF-Token": csrf_token or self.grant["csrf_token"]}
        return {name: value for name, value in headers.items() if value}

    def log_in(self, transport: str = "body") -> Customer:
        """Another session of the same account."""
        members = {"email": self.email, "password": PASSWORD, "transport": transport}
        reply = self.world.client.call("POST", "/login", members, headers={"Origin": ORIGIN})
        assert reply.status == 200, reply
        cookie = (reply.all("Set-Cookie") or [""])[0].partition(";")[0]
        return replace(self, grant=reply.json, cookie=cookie)

    def make_admin(self) -> None:
        """Give the account the role, as an operator does."""
        dynamodb = self.world.keyturn.aws.client("dynamodb")
        for key in (f"login#{self.email}/login", f"user#{self.sub}/state"):
            pk, _, sk = key.rpartition("/")
            dynamodb.update_item(
                TableName=self.world.keyturn.table_name,
                Key={"pk": {"S": pk}, "sk": {"S": sk}},
                UpdateExpression="SET #roles = :roles",
                ExpressionAttributeNames={"#roles": "roles"},
                ExpressionAttributeValues={":roles": {"L": [{"S": "admin"}]}},
            )


@pytest.fixture(scope="module")
def world(aws: LocalAws) -> Iterator[World]:
    """Both apps, deployed each by its own command: the example first, because Keyturn has to list its API."""
    now = [0.0]
    with ExitStack() as exits:
        work = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="orders-", ignore_cleanup_errors=True)))
        (work / "project").mkdir()
        project = copy_project(work / "project")
        apps = [
            OrdersApp(aws, project, work, stage, keyturn=STAGE, cache_seconds=seconds)
            for stage, seconds in (("dev", 0), ("keeping", KEPT))
        ]
        for app in apps:
            exits.callback(app.close)
        settings = {
            "KEYTURN_ALLOWED_ORIGINS": ORIGIN,
            "KEYTURN_GUARDS": GUARDS,
            "KEYTURN_GUARDED_APIS": ",".join([app.deploy() for app in apps]),
        }
        keyturn = exits.enter_context(deployed(STAGE, aws=aws, settings=settings))
        exits.callback(keyturn.destroy, with_table=True)
        gateways = [app.gateway(keyturn.function_of, lambda: now[0]) for app in apps]
        fresh, keeping = (Client(exits.enter_context(gateway).url) for gateway in gateways)
        yield World(keyturn, fresh, keeping, now)


@pytest.fixture
def customer(world: World) -> Customer:
    """Somebody new, with a session of the transport `body`."""
    email = f"{uuid.uuid4().hex}@example.com"
    reply = world.client.call("POST", "/signup", {"email": email, "password": PASSWORD, "transport": "body"})
    assert reply.status == 201, reply
    return Customer(world, email, reply.json)


def assert_refused(reply: Reply, status: int) -> None:
    """The gateway answered by itself, with its own default: the function behind was not asked."""
    assert reply.status == status, reply
    assert reply.header("x-amzn-ErrorType")


def test_open_to_everybody(world: World) -> None:
    """The public route asks for nobody."""
    assert "soup" in world.fresh.call("GET", "/menu").json["menu"]


def test_own_orders(world: World, customer: Customer) -> None:
    """A user orders and sees their own orders alone, whichever API asks; the data is the example's."""
    other = Customer(world, customer.email, customer.grant)
    for api in (world.fresh, world.keeping):
        ordered = api.call("POST", "/orders/soup", bearer=customer.access_token)
        assert (ordered.status, ordered.json["ordered"]["sub"]) == (200, customer.sub)
    stranger = world.client.call(
        "POST", "/signup", {"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD, "transport": "body"}
    ).json
    assert len(world.fresh.call("GET", "/orders", bearer=other.access_token).json["orders"]) == 2
    assert world.fresh.call("GET", "/orders", bearer=stranger["access_token"]).json == {"orders": []}


def bad_tokens(world: World, customer: Customer) -> dict[str, str]:
    """Tokens that were never good, or are no more, by what is wrong with each."""
    codec = world.codec()
    claims = codec.verify(customer.access_token, int(time.time()))
    past = claims._replace(iat=claims.iat - 2000, exp=claims.iat - 1000)
    foreign_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    payload = jwt.decode(customer.access_token, options={"verify_signature": False})
    header = jwt.get_unverified_header(customer.access_token)
    revoked = customer.log_in()
    ended = world.client.call("POST", "/logout", {"refresh_token": revoked.grant["refresh_token"]})
    assert ended.status == 204
    return {
        "garbage": "x.y.z",
        "altered": customer.access_token[:-6] + "AAAAAA",
        "expired": codec.issue(past),
        "revoked": revoked.access_token,
        "of another issuer": world.codec("https://issuer.example.com/api").issue(claims),
        "of another's key": jwt.encode(payload, foreign_key, "RS256", headers=header),
        "refresh token": customer.grant["refresh_token"],
    }


def test_no_good_token(world: World, customer: Customer) -> None:
    """Without a token, and with each that is not good, both APIs answer 401 on both guarded routes."""
    bad = bad_tokens(world, customer)
    assert world.codec().issue(world.codec().verify(customer.access_token, int(time.time())))  # what made them works
    for api in (world.fresh, world.keeping):
        for path in ("/orders", "/admin/orders"):
            assert_refused(api.call("GET", path), 401)
            for what, token in bad.items():
                reply = api.call("GET", path, bearer=token)
                assert reply.status == 401, (what, reply)
    assert world.fresh.call("GET", "/orders", bearer=customer.access_token).status == 200


def test_wrong_role(world: World, customer: Customer) -> None:
    """The variant lets nobody in without its role: 403, not 401; with the role it does, and says who it is."""
    for api in (world.fresh, world.keeping):
        assert_refused(api.call("GET", "/admin/orders", bearer=customer.access_token), 403)
    customer.make_admin()
    admin = customer.log_in()
    for api in (world.fresh, world.keeping):
        reply = api.call("GET", "/admin/orders", bearer=admin.access_token)
        assert (reply.status, reply.json["seen_by"]) == (200, customer.sub)
        assert_refused(api.call("GET", "/admin/orders", bearer=customer.access_token), 403)  # the role is the token's


@pytest.mark.parametrize("first", ["GET", "POST"])
def test_two_routes_with_one_token(world: World, customer: Customer, first: str) -> None:
    """A kept answer for one route serves the other, in either order (regressions: serverless #6176)."""
    routes = {"GET": "/orders", "POST": "/orders/cake"}
    for method in sorted(routes, reverse=first == "POST"):
        for api in (world.fresh, world.keeping):
            assert api.call(method, routes[method], bearer=customer.access_token).status == 200


@pytest.mark.parametrize("first", ["/orders", "/admin/orders"])
def test_two_variants_with_one_token(world: World, customer: Customer, first: str) -> None:
    """What one variant allowed does not open another, and what one denied does not shut it, in either order."""
    paths = ["/orders", "/admin/orders"]
    for _ in range(2):
        for path in sorted(paths, reverse=first == "/orders"):
            for api in (world.fresh, world.keeping):
                status = 200 if path == "/orders" else 403
                assert api.call("GET", path, bearer=customer.access_token).status == status


def test_session_cookie(world: World, customer: Customer) -> None:
    """A session cookie that is relayed is a credential where answers are not kept; a page needs to be allowed."""
    held = customer.log_in("session")
    assert held.cookie.startswith("__Host-session=")
    assert world.fresh.call("GET", "/orders", headers={"Cookie": held.cookie}).json == {"orders": []}
    assert world.fresh.call("POST", "/orders/cake", headers=held.page()).json["ordered"]["sub"] == customer.sub
    for headers in (
        {"Cookie": held.cookie},
        held.page(origin="https://evil.example"),
        held.page(csrf_token="A" * 43),
        {name: value for name, value in held.page().items() if name != "X-CSRF-Token"},
    ):
        assert_refused(world.fresh.call("POST", "/orders/cake", headers=headers), 403)
    twice = {"Cookie": f"{held.cookie}; {held.cookie}"}
    assert_refused(world.fresh.call("GET", "/orders", headers=twice), 401)
    assert_refused(world.fresh.call("GET", "/admin/orders", headers={"Cookie": held.cookie}), 403)
    assert_refused(world.keeping.call("GET", "/orders", headers={"Cookie": held.cookie}), 401)
    assert world.client.call("GET", "/me", headers={"Cookie": held.cookie}).json["sub"] == customer.sub
    assert world.client.call("POST", "/logout", headers=held.page()).status == 204
    assert_refused(world.fresh.call("GET", "/orders", headers={"Cookie": held.cookie}), 401)
    assert world.client.call("GET", "/me", headers={"Cookie": held.cookie}).status == 401


@pytest.mark.parametrize("name", ["authorize", "guard", "guard:elsewhere"])
def test_token_authorizers(world: World, customer: Customer, name: str) -> None:
    """Where a TOKEN authorizer asks: the bearer passes, or is denied by the variant; after logout it is nobody's."""
    guard = world.keyturn.functions["keyturn-prod-guard"].config.arn
    function = world.keyturn.function_of(guard.replace("keyturn-prod-guard", f"keyturn-prod-{name}"))
    arn = "arn:aws:execute-api:eu-central-1:123456789012:abc123/api/GET/orders"
    event = {"type": "TOKEN", "authorizationToken": f"Bearer {customer.access_token}", "methodArn": arn}
    answer = function.invoke(event).result
    effect = "Deny" if name == "guard:elsewhere" else "Allow"
    assert {statement["Effect"] for statement in answer["policyDocument"]["Statement"]} == {effect}
    log_out(customer)
    error = function.invoke(event).error
    assert error is not None
    assert (error["errorType"], error["errorMessage"]) == ("Exception", "Unauthorized")


def log_out(held: Customer) -> None:
    """The user ends the session."""
    if held.cookie:
        reply = held.world.client.call("POST", "/logout", headers=held.page())
    else:
        reply = held.world.client.call("POST", "/logout", {"refresh_token": held.grant["refresh_token"]})
    assert reply.status == 204, reply


def be_robbed(held: Customer) -> None:
    """Somebody presents a refresh token after the window of its turn."""
    keyturn, stolen = held.world.keyturn, {"refresh_token": held.grant["refresh_token"]}
    assert held.world.client.call("POST", "/refresh", stolen).status == 200
    age(keyturn.aws.client("dynamodb"), keyturn.table_name, held.grant, 60)
    assert held.world.client.call("POST", "/refresh", stolen).status == 401


def change_password(held: Customer) -> None:
    """The user changes the password in another session."""
    passwords = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    other = held.log_in()
    passwords["refresh_token"] = other.grant["refresh_token"]
    reply = held.world.client.call("POST", "/password/change", passwords, bearer=other.access_token)
    assert reply.status == 200, reply


def be_disabled(held: Customer) -> None:
    """An operator disables the account."""
    store = held.world.store()
    account = store.find_account(held.sub)
    assert account is not None
    assert store.raise_epoch(account, deny_until=int(time.time()) + 2000, disable=True)


EVENTS = {"logout": log_out, "theft": be_robbed, "password change": change_password, "disabled": be_disabled}


def seconds_by_the_guard(held: Customer) -> int:
    """Asked at every request."""
    return seconds_until_refused(held, held.world.fresh, {"Authorization": f"Bearer {held.access_token}"})


def seconds_by_a_kept_answer(held: Customer) -> int:
    """Asked once in a while."""
    return seconds_until_refused(held, held.world.keeping, {"Authorization": f"Bearer {held.access_token}"})


def seconds_by_the_cookie(held: Customer) -> int:
    """Asked at every request, with a session cookie."""
    return seconds_until_refused(held, held.world.fresh, {"Cookie": held.cookie})


def seconds_by_the_published_keys(held: Customer) -> int:
    """Nobody is asked: the token says how long it is good for."""
    keys = held.world.client.call("GET", "/.well-known/jwks.json").json["keys"]
    kid = jwt.get_unverified_header(held.access_token)["kid"]
    (key,) = [jwt.PyJWK(key) for key in keys if key["kid"] == kid]
    claims = jwt.decode(held.access_token, key, audience=f"keyturn-{STAGE}", issuer=held.world.keyturn.issuer)
    return int(claims["exp"]) - int(claims["iat"])


def seconds_until_refused(held: Customer, api: Client, headers: dict[str, str]) -> int:
    """By the clock of the gateway: when the API refuses, asked at once and around the time that answers are kept."""
    began = held.world.now[0]
    for passed in (0, 1, KEPT - 1, KEPT, KEPT + 1):
        held.world.now[0] = began + passed
        reply = api.call("GET", "/orders", headers=headers)
        if reply.status != 200:
            assert_refused(reply, 401)
            return passed
    message = "not refused"
    raise AssertionError(message)


# Not among them: theft of a session cookie. It is not rotated, so that no old one is there to tell.
LATENCIES = [
    (way, transport, bound, event)
    for way, transport, bound in (
        (seconds_by_the_guard, "body", 0),
        (seconds_by_a_kept_answer, "body", KEPT),
        (seconds_by_the_cookie, "session", 0),
        (seconds_by_the_published_keys, "body", ACCESS_TTL),
    )
    for event in EVENTS
    if (transport, event) != ("session", "theft")
]


@pytest.mark.parametrize(
    ("way", "transport", "bound", "event"),
    LATENCIES,
    ids=[f"{way.__name__}-{event}" for way, _, _, event in LATENCIES],
)
def test_seconds_until_a_revoked_credential_is_refused(
    customer: Customer, way: Callable[[Customer], int], transport: str, bound: int, event: str
) -> None:
    """What docs/guarding.md states: at once, or as long as an answer is kept, or as long as the token lives."""
    held = customer.log_in(transport)
    credential = {"Cookie": held.cookie} if held.cookie else {"Authorization": f"Bearer {held.access_token}"}
    apis = [customer.world.fresh] if held.cookie else [customer.world.fresh, customer.world.keeping]
    for api in apis:  # from now on an answer is kept, where one is
        assert api.call("GET", "/orders", headers=credential).status == 200
    EVENTS[event](held)
    assert way(held) == bound


def test_aliases_and_permissions(aws: LocalAws, world: World) -> None:
    """Each variant is an alias; the listed APIs may invoke each, our own may invoke guard; again changes nothing."""
    functions = aws.client("lambda")

    def held() -> tuple[set[str], list[Any]]:
        aliases = functions.list_aliases(FunctionName="keyturn-prod-guard")["Aliases"]
        policy = json.loads(functions.get_policy(FunctionName="keyturn-prod-guard")["Policy"])
        return {f"{alias['Name']} {alias['FunctionVersion']}" for alias in aliases}, policy["Statement"]

    aliases, statements = held()
    assert aliases == {"admin $LATEST", "elsewhere $LATEST"}
    listed = world.keyturn.functions["keyturn-prod-guard"].config.environment["KEYTURN_GUARDED_APIS"].split(",")
    own = f"{listed[0].rpartition(':')[0]}:{world.keyturn.api_id}"
    guard = world.keyturn.functions["keyturn-prod-guard"].config.arn
    assert {(s["Resource"], s["Condition"]["ArnLike"]["AWS:SourceArn"]) for s in statements} == {
        (guard, f"{own}/authorizers/*"),
        *(
            (target, f"{api}/authorizers/*")
            for api in listed
            for target in (guard, f"{guard}:admin", f"{guard}:elsewhere")
        ),
    }
    authorize = json.loads(functions.get_policy(FunctionName="keyturn-prod-authorize")["Policy"])["Statement"]
    assert {f"{api}/authorizers/*" for api in listed} < {s["Condition"]["ArnLike"]["AWS:SourceArn"] for s in authorize}
    world.keyturn.deploy()
    assert held() == (aliases, statements)


def test_what_is_no_longer_listed_goes(aws: LocalAws, world: World, customer: Customer) -> None:
    """An API that is listed no more may not ask, a variant that is named no more is gone; concurrency is reserved."""
    functions = aws.client("lambda")
    path = world.keyturn.project / ".chalice/config.json"
    original = path.read_text()
    document = json.loads(original)
    settings = document["stages"][STAGE]["environment_variables"]
    settings |= {"KEYTURN_GUARDS": "elsewhere: role=nobody", "KEYTURN_GUARDED_APIS": ""}
    document["stages"][STAGE]["lambda_functions"] = {"guard": {"reserved_concurrency": 5}}
    path.write_text(json.dumps(document))
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="keyturn-prod-guard")
    try:
        world.keyturn.deploy()
        (alias,) = functions.list_aliases(FunctionName="keyturn-prod-guard")["Aliases"]
        assert alias["Name"] == "elsewhere"
        policy = json.loads(functions.get_policy(FunctionName="keyturn-prod-guard")["Policy"])
        (statement,) = policy["Statement"]
        assert f":{world.keyturn.api_id}/" in statement["Condition"]["ArnLike"]["AWS:SourceArn"]
        reserved = functions.get_function_concurrency(FunctionName="keyturn-prod-guard")
        assert reserved["ReservedConcurrentExecutions"] == 5
        assert_refused(world.fresh.call("GET", "/orders", bearer=customer.access_token), 500)
        assert world.client.call("GET", "/me", bearer=customer.access_token).status == 200
    finally:
        path.write_text(original)
        world.keyturn.deploy()
    assert world.fresh.call("GET", "/orders", bearer=customer.access_token).status == 200
