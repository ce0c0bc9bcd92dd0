"""What an attacker sends to the universal authorizer: refused, never an unexpected exception, never a look-up."""

from __future__ import annotations

import hmac
import json
from copy import deepcopy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from chalicelib.crypto.encoding import b64url, from_b64url
from tests.flows.steps import log_out
from tests.unit.guarded import FUNCTION, KINDS, WITH_COOKIES, Guarded, allowed, is_foreign, put, sample
from tests.unit.signing import CLAIMS, Party
from tests.world.constants import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.guarded import Event


@pytest.fixture
def guarded() -> Guarded:
    """The function, ready to be asked."""
    return Guarded()


@lru_cache
def shared() -> Guarded:
    """One for all examples of a property: none of them changes it."""
    return Guarded()


# Access tokens --------------------------------------------------------------------------------------------------------


def with_header(**members: Any) -> Callable[[Party], str]:
    """Signed with our own key, under a header with these members besides."""
    return lambda party: party.signed({**party.header, **members}, party.payload())


def with_claims(**claims: Any) -> Callable[[Party], str]:
    """Signed with our own key, with these claims instead."""
    return lambda party: party.signed(party.header, party.payload(**claims))


def without_claim(name: str) -> Callable[[Party], str]:
    """Signed with our own key, with a claim left out."""
    return lambda party: party.signed(
        party.header, {claim: value for claim, value in party.payload().items() if claim != name}
    )


def unsigned(party: Party, algorithm: str, signature: bytes = b"") -> str:
    """Claims that nobody has signed."""
    parts = ({**party.header, "alg": algorithm}, party.payload())
    return ".".join([*(b64url(json.dumps(part).encode()) for part in parts), b64url(signature)])


def keyed_with_public_key(party: Party) -> str:
    """An HMAC under what everybody can know (CVE-2022-29217)."""
    token = unsigned(party, "HS256").rstrip(".")
    return f"{token}.{b64url(hmac.digest(party.public_pem, token.encode(), 'sha256'))}"


def brings_its_key(member: str) -> Callable[[Party], str]:
    """Signed by a stranger who says where the key is (CVE-2026-27962)."""

    def forge(party: Party) -> str:
        stranger = ec.generate_private_key(ec.SECP256R1())
        jwk = ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
        brought = jwk if member == "jwk" else f"http://127.0.0.1:9/{member}"
        return party.signed({**party.header, member: brought}, party.payload(), key=stranger)

    return forge


def genuine(party: Party) -> str:
    """A token that Keyturn has issued."""
    return party.codec.issue(CLAIMS)


FORGERIES: dict[str, Callable[[Party], str]] = {
    "alg none": lambda party: unsigned(party, "none"),
    "alg None": lambda party: unsigned(party, "None"),
    "alg none, signed": lambda party: unsigned(party, "none", b"x"),
    "HMAC of the public key": keyed_with_public_key,
    "alg of another key": with_header(alg="RS256"),
    "alg list": with_header(alg=["ES256"]),
    "stranger": lambda party: party.signed(party.header, party.payload(), key=ec.generate_private_key(ec.SECP256R1())),
    "jwk": brings_its_key("jwk"),
    "jku": brings_its_key("jku"),
    "x5u": brings_its_key("x5u"),
    "x5c of ours": with_header(x5c=["AAAA"]),
    "crit": with_header(crit=["exp"]),
    "crit b64": with_header(crit=["b64"], b64=False),
    "unknown kid": with_header(kid="unknown"),
    "kid path": with_header(kid="../../dev/null"),
    "kid null": with_header(kid=None),
    "kid list": with_header(kid=[]),
    "typ JWT": with_header(typ="JWT"),
    "partial iss": with_claims(iss="https://auth.example.com"),
    "longer iss": with_claims(iss="https://auth.example.com/prod/"),
    "iss list": with_claims(iss=["https://auth.example.com/prod"]),
    "another aud": with_claims(aud="https://api.example.org"),
    "aud list": with_claims(aud=["https://api.example.com"]),
    "expired": with_claims(exp=CLAIMS.iat),
    "exp text": with_claims(exp="tomorrow"),
    "exp infinite": with_claims(exp=float("inf")),
    "of the future": with_claims(iat=CLAIMS.iat + 3600, exp=CLAIMS.iat + 7200),
    "nbf": with_claims(nbf=CLAIMS.iat + 3600),
    "roles null": with_claims(roles=None),
    **{f"no {claim}": without_claim(claim) for claim in ("exp", "iat", "iss", "aud", "sub", "jti", "sid", "ver")},
    "payload list": lambda party: party.signed(party.header, []),
    "payload brackets": lambda party: party.signed(party.header, b"[" * 2500),
    "header brackets": lambda party: party.signed(b"[" * 2500, party.payload()),
    "empty": lambda _: "",
    "dots": lambda _: "..",
    "no signature": lambda party: genuine(party).rpartition(".")[0] + ".",
    "four parts": lambda party: genuine(party) + ".AAAA",
    "10 kB": lambda party: genuine(party) + "A" * 10_000,
    "10 kB of dots": lambda _: "." * 10_000,
    "100 kB": lambda _: "A" * 100_000,
    "line after": lambda party: genuine(party) + "\n",
    "header injected": lambda party: genuine(party) + "\r\nX-Role: admin",
    "NUL": lambda party: genuine(party) + "\x00",
    "lone surrogate": lambda party: genuine(party) + "\ud800",
    "another scheme after": lambda party: genuine(party) + ", Basic YTpi",
    "twice": lambda party: genuine(party) + f",Bearer {genuine(party)}",
    "quoted": lambda party: f'"{genuine(party)}"',
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("kind", KINDS)
def test_forged_tokens_are_refused(guarded: Guarded, kind: str, forgery: str) -> None:
    """No forgery passes in any kind of event, and none costs a look-up (regressions 20 and 21)."""
    assert guarded.refuses(put(kind, {"Authorization": f"Bearer {FORGERIES[forgery](Party())}"}))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_forged_is_near_the_truth(guarded: Guarded, kind: str) -> None:
    """The same token without a fault is let through: the forgeries above fail for their fault alone."""
    assert allowed(guarded.ask(put(kind, {"Authorization": f"bearer  {genuine(Party())}"})))


@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_doubled_headers_are_refused(guarded: Guarded, kind: str) -> None:
    """Two Authorization headers say nothing for certain."""
    assert guarded.refuses(put(kind, {"Authorization": [guarded.bearer, guarded.bearer]}))


def test_random_kids_cause_no_storm(guarded: Guarded) -> None:
    """Unknown `kid`s read the key set once a cooldown and the table never (CVE-2026-48524)."""
    party, ready = Party(), guarded.guard()
    guarded.guard = lambda: ready  # type: ignore[method-assign]  # one container, as it stays warm
    assert allowed(guarded.ask(put("rest-token", {"Authorization": guarded.bearer})))
    guarded.keyturn.clock.advance(30)
    before = guarded.keyturn.parameters.fetches
    for number in range(100):
        token = with_header(kid=f"random-{number}")(party)
        assert guarded.refuses(put("rest-token", {"Authorization": f"Bearer {token}"}))
    assert guarded.keyturn.parameters.fetches == before + 1


# Session cookies ------------------------------------------------------------------------------------------------------


def flipped(session: str, place: int) -> str:
    """The cookie with one bit of its payload changed."""
    prefix, payload = session.rpartition(".")[::2]
    raw = bytearray(from_b64url(payload))
    raw[place] ^= 1
    return f"{prefix}.{b64url(bytes(raw))}"


BAD_COOKIES: dict[str, Callable[[Guarded], list[str]]] = {
    "none": lambda _: [],
    "empty header": lambda _: [""],
    "empty": lambda _: ["__Host-session="],
    "name alone": lambda _: ["__Host-session"],
    "word": lambda _: ["__Host-session=deleted"],
    "another's sub": lambda guarded: [f"__Host-session={flipped(guarded.session, 0)}"],
    "another's sid": lambda guarded: [f"__Host-session={flipped(guarded.session, 16)}"],
    "another generation": lambda guarded: [f"__Host-session={flipped(guarded.session, 35)}"],
    "another secret": lambda guarded: [f"__Host-session={flipped(guarded.session, 40)}"],
    "another MAC": lambda guarded: [f"__Host-session={flipped(guarded.session, 83)}"],
    "unknown key": lambda guarded: [f"__Host-session=kt1.other.{guarded.session.rpartition('.')[2]}"],
    "refresh token": lambda guarded: [f"__Host-session={refresh_token(guarded)}"],
    "access token": lambda guarded: [f"__Host-session={guarded.program.access_token}"],
    "quoted": lambda guarded: [f'__Host-session="{guarded.session}"'],
    "padded": lambda guarded: [f"__Host-session={guarded.session}="],
    "percent": lambda guarded: [f"__Host-session={guarded.session.replace('.', '%2E')}"],
    "another name": lambda guarded: [f"__host-session={guarded.session}"],
    "longer name": lambda guarded: [f"X__Host-session={guarded.session}"],
    "blank of Unicode in the name": lambda guarded: [f"\u2000__Host-session={guarded.session}"],
    "refresh cookie's name": lambda guarded: [f"__Host-refresh={guarded.session}"],
    "two": lambda guarded: [f"{guarded.cookie}; {guarded.cookie}"],
    "two headers": lambda guarded: [guarded.cookie, guarded.cookie],
    "one empty besides": lambda guarded: [f"{guarded.cookie}; __Host-session="],
    "one forged besides": lambda guarded: [f"__Host-session=x; {guarded.cookie}"],
    "comma": lambda guarded: [f"{guarded.cookie},{guarded.cookie}"],
    "line": lambda guarded: [f"{guarded.cookie}\r\nOrigin: {ORIGIN}"],
    "NUL": lambda guarded: [f"{guarded.cookie}\x00"],
    "lone surrogate": lambda guarded: [f"{guarded.cookie}\ud800"],
    "10 kB": lambda guarded: [guarded.cookie + "A" * 10_000],
    "10 kB of names": lambda _: ["__Host-session=x; " * 600],
    "10 kB of semicolons": lambda _: [";" * 10_000],
}


def refresh_token(guarded: Guarded) -> str:
    """A genuine refresh token of the same user, which travels in bodies."""
    assert guarded.program.refresh is not None
    return guarded.program.refresh.refresh_token


@pytest.mark.parametrize("cookie", BAD_COOKIES)
@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_bad_cookies_are_refused(guarded: Guarded, kind: str, cookie: str) -> None:
    """A cookie that is malformed, forged, doubled or of another transport is none, and costs no look-up."""
    csrf = {"X-CSRF-Token": guarded.csrf_token, "Origin": ORIGIN}
    assert guarded.refuses(put(kind, {"Cookie": BAD_COOKIES[cookie](guarded), **csrf}))


def test_cookie_is_no_token(guarded: Guarded) -> None:
    """A TOKEN authorizer sees one header and no method: a cookie is not taken there, however it is dressed up."""
    for text in (guarded.cookie, guarded.session, f"Bearer {guarded.session}", f"Bearer {guarded.cookie}"):
        assert guarded.refuses(put("rest-token", {"Authorization": text}))


@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_token_is_no_cookie(guarded: Guarded, kind: str) -> None:
    """Nor is a session cookie's value taken as a bearer's token where the header is seen."""
    assert guarded.refuses(put(kind, {"Authorization": f"Bearer {guarded.session}"}))


@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_nothing_else_carries_a_credential(guarded: Guarded, kind: str) -> None:
    """Query, identity source, stage variables and other headers are not looked at."""
    token = str(guarded.program.access_token)
    event = put(kind, {"X-Authorization": guarded.bearer, "X-Forwarded-Authorization": guarded.bearer})
    event |= {
        "authorizationToken": guarded.bearer,
        "identitySource": [guarded.bearer],
        "queryStringParameters": {"access_token": token, "Authorization": guarded.bearer},
        "rawQueryString": f"access_token={token}",
        "stageVariables": {"Authorization": guarded.bearer},
        "principalId": guarded.sub,
    }
    event["requestContext"]["authorizer"] = {"principalId": guarded.sub, "sub": guarded.sub, "lambda": {"sub": "x"}}
    assert guarded.refuses(event)


def test_session_that_is_over(guarded: Guarded) -> None:
    """What only the table can tell is asked of it, once."""
    log_out(guarded.keyturn.services, guarded.browser)
    guarded.forget()
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        guarded.ask(put("rest-request", {"Cookie": guarded.cookie}))
    assert guarded.store.verbs == ["find_session_and_account"]


# Events ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [None, [], "", "TOKEN", 0, 1.5, True, {}, {"type": "TOKEN"}, {"type": "REQUEST"}, {"type": ["TOKEN"]}, {1: 2}],
    ids=range(12),
)
def test_other_events_are_refused(guarded: Guarded, event: object) -> None:
    """What is no question of API Gateway's is refused, and what asks nothing at all is named in the log."""
    assert guarded.refuses(event)
    asked = isinstance(event, dict) and event.get("type") in ("TOKEN", "REQUEST")
    assert guarded.audit.names() == ["token_refused" if asked else "foreign_event"]


@pytest.mark.parametrize("of_type", [None, "", "token", "JWT", "SIMPLE", ["REQUEST"]], ids=range(6))
@pytest.mark.parametrize("kind", KINDS)
def test_other_types_are_refused(guarded: Guarded, kind: str, of_type: object) -> None:
    """A good credential in an event of no type that we know is not looked at: where it stands is not known."""
    assert guarded.refuses({**put(kind, {"Authorization": guarded.bearer}), "type": of_type})


@pytest.mark.parametrize("kind", WITH_COOKIES)
def test_client_that_has_no_utf8(guarded: Guarded, kind: str) -> None:
    """Lone surrogates where the caller may write, and an address of them, change no verdict, and nothing keeps them."""
    before = guarded.store.find_session(guarded.sub, guarded.browser.session_id)
    guarded.keyturn.clock.advance(60)
    event = put(kind, {"Cookie": guarded.cookie, "Origin": ORIGIN, "User-Agent": "\ud800" * 200})
    for context in (event["requestContext"].get("http", {}), event["requestContext"].get("identity", {})):
        context["sourceIp"] = "\ud800" * 200
    assert allowed(guarded.ask(event))
    session = guarded.store.find_session(guarded.sub, guarded.browser.session_id)
    assert session == before._replace(used_at=guarded.keyturn.clock.now())


def test_names_that_are_no_text(guarded: Guarded) -> None:
    """Neither does a header whose name is none."""
    event = put("http-2.0", {"Authorization": guarded.bearer})
    event["headers"] = {**event["headers"], 7: "seven", None: "none"}
    assert allowed(guarded.ask(event))


@pytest.mark.parametrize(
    "route",
    [
        *(None, "", 7, [], "*", "arn:aws:execute-api:eu-central-1:123456789012:qr7st2uv9w/prod", FUNCTION),
        *("arn:aws:execute-api:*:123456789012:qr7st2uv9w/prod/GET/", "arn:aws:execute-api:eu-central-1:*:a1/prod/GET/"),
        *("arn:aws:execute-api:eu-central-1:123456789012:*/prod/GET/", "arn:aws:s3:eu-central-1:123456789012:a/b/c"),
        *("arn:aws:execute-api:eu-central-1:123456789012:qr7st2uv9w/*/GET/", "\ud800", "a" * 100_000),
        "arn:aws:execute-api:eu-central-1:123456789012:qr7st2uv9w/pr*d/GET/",
    ],
    ids=range(15),
)
@pytest.mark.parametrize("kind", KINDS)
def test_api_without_a_name_is_refused(guarded: Guarded, kind: str, route: object) -> None:
    """Where the event names no API and stage, nobody is let in anywhere: no policy ever covers a wildcard."""
    event = put(kind, {"Authorization": guarded.bearer})
    event["routeArn" if kind == "http-2.0" else "methodArn"] = route
    assert guarded.refuses(event)


@pytest.mark.parametrize("value", [None, 7, [], {}, [None], "", ["x"], {"a": None}], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_no_member_breaks_the_reading(guarded: Guarded, kind: str, value: object) -> None:
    """Whatever stands in the place of any one member, without a credential the answer is 401."""
    for name in sample(kind):
        assert guarded.refuses({**sample(kind), name: value})
    for name in sample(kind).get("requestContext", {}):
        event = sample(kind)
        event["requestContext"][name] = value
        assert guarded.refuses(event)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["\ud800", "REQUEST", "TOKEN", "2.0", "CONNECT", "GET", "x" * 10_000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["type", "version", "methodArn", "routeArn", "headers", "multiValueHeaders", "cookies", "requestContext", "x"]


def places(node: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every member and element."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for name, child in children for place in places(child, (*path, name)))]


def replaced(event: Event, path: tuple[Any, ...], value: object) -> object:
    """The event with another value at the path."""
    if not path:
        return value
    changed = deepcopy(event)
    node: Any = changed
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    return changed


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), st.booleans(), st.data())
def test_no_value_breaks_an_event(kind: str, with_cookie: bool, data: st.DataObject) -> None:  # noqa: FBT001  # drawn
    """A genuine question with anything at any place is answered in a documented form, or with the one word."""
    guarded = shared()
    cookie = {"Cookie": guarded.cookie, "Origin": ORIGIN, "X-CSRF-Token": guarded.csrf_token}
    headers = cookie if with_cookie and kind != "rest-token" else {"Authorization": guarded.bearer}
    event = put(kind, headers, "POST")
    changed = replaced(event, data.draw(st.sampled_from(places(event))), data.draw(JSON))
    try:
        answer = guarded.ask(changed)
        assert is_foreign(answer) or isinstance(allowed(answer), bool)
    except Exception as error:
        if str(error) != "Unauthorized":
            raise


@settings(max_examples=200, deadline=None)
@given(JSON | st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6))
def test_no_event_breaks_the_function(event: object) -> None:
    """Whatever comes without a credential is refused, without a look-up."""
    assert shared().refuses(event)
