"""What may be configured fits what is accepted, or the setting is refused at start by its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.crypto.device_tokens import DeviceTokens
from chalicelib.crypto.keyring import KeyRing
from chalicelib.crypto.random import SystemTokenSource
from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
from chalicelib.domain.access_tokens import LARGEST_NUMBER, MAX_KEY_ID, MAX_LENGTH, AccessTokenClaims
from chalicelib.domain.callers import Principal
from chalicelib.domain.requirements import parse, scope_of
from chalicelib.domain.sessions import RefreshToken
from chalicelib.errors import ConfigurationError
from chalicelib.guard.verdicts import context_of
from chalicelib.handlers.accounts import LOG_IN
from chalicelib.handlers.federation import EXCHANGE
from chalicelib.handlers.identities import BEGIN_LINKING
from chalicelib.settings.config import Config
from chalicelib.web.request import MAX_COOKIE, MAX_HEADER
from tests.unit.key_containers import PUBLIC, SESSIONS, Container, refusal
from tests.unit.settings.reading import LEAST, problems, read
from tests.world.clock import START, FrozenClock
from tests.world.parameters import PREFIX, parameters_with_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

often = settings(max_examples=150, deadline=None)
MANY_SCOPES = "user=" + " ".join(f"resource-{number:03}:readable" for number in range(110))  # of 21 characters each


def longest_token(config: Config) -> tuple[JwtAccessTokenCodec, AccessTokenClaims]:
    """The codec of these settings, and the longest claims that their roles and numbers can make."""
    ring = KeyRing(parameters_with_keys("RS256"), PREFIX, FrozenClock(), groups=())
    roles = ("user", *sorted(config.sessions.role_scopes.keys() - {"user"}))
    number = LARGEST_NUMBER
    return JwtAccessTokenCodec(ring, issuer=config.issuer, audience=config.audience), AccessTokenClaims(
        sub="A" * 22,
        sid="A" * 22,
        jti="A" * 22,
        ver=number,
        iat=START,
        exp=number,
        auth_time=number,
        amr=("longest-provider",),
        roles=roles,
        scope=scope_of(roles, config.sessions.role_scopes),
        email_verified=False,
    )


def test_scopes_that_no_token_can_hold_are_refused() -> None:
    """110 scopes of 21 characters made tokens that were refused for ever: the setting is named, with the remedy."""
    (problem,) = problems(KEYTURN_ROLE_SCOPES=MANY_SCOPES)
    assert problem.startswith("KEYTURN_ROLE_SCOPES makes access tokens of up to 4360 characters, and at most 4096")
    assert "fewer or shorter roles and scopes" in problem


def test_scopes_count_in_all_roles_together() -> None:
    """An account may have every role: what each role alone could do is not enough."""
    halves = ["user=" + " ".join(f"left-{number:03}:readable" for number in range(60))]
    halves.append("admin=" + " ".join(f"right-{number:03}:readable" for number in range(60)))
    for half in halves:
        read(KEYTURN_ROLE_SCOPES=half)
    (problem,) = problems(KEYTURN_ROLE_SCOPES="; ".join(halves))
    assert problem.startswith("KEYTURN_ROLE_SCOPES makes access tokens")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEYTURN_ISSUER", "https://" + "a" * 505),
        ("KEYTURN_AUDIENCE", "a" * 513),
        ("KEYTURN_AUDIENCE", "\u00e9" * 100),
        ("KEYTURN_AUDIENCE", "\U0001f511" * 50),
    ],
)
def test_parties_that_are_too_long_are_named(name: str, value: str) -> None:
    """Issuer and audience have bounds of their own, in characters of JSON, where ASCII alone is one of one."""
    (problem,) = problems(**{name: value}, KEYTURN_ROLE_SCOPES=MANY_SCOPES)
    assert problem.startswith(f"{name} has more than 512 characters")


def test_longest_parties_leave_room() -> None:
    """With the longest issuer and audience together, tokens without scopes still fit."""
    config = read(KEYTURN_ISSUER="https://" + "a" * 504, KEYTURN_AUDIENCE="a" * 512)
    codec, claims = longest_token(config)
    assert codec.verify(codec.issue(claims), START) == claims


@pytest.mark.parametrize("audience", ["a\x00b", "a\u2003b", "a\udcffb"])
def test_audience_is_printable(audience: str) -> None:
    """What no other service could be configured with, byte for byte, is no audience."""
    (problem,) = problems(KEYTURN_AUDIENCE=audience)
    assert problem.startswith("KEYTURN_AUDIENCE must be printable")


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@often
@given(
    st.dictionaries(names, st.lists(st.text('ab:./-\\"\u00e9', min_size=1, max_size=60), min_size=1, max_size=40)),
    st.integers(0, 500),
    st.text(min_size=1, max_size=130),
)
def test_accepted_settings_make_accepted_tokens(roles: Mapping[str, list[str]], path: int, audience: str) -> None:
    """Whatever the operator writes: settings are refused at start, or the longest token that they make is accepted."""
    environ = {
        **LEAST,
        "KEYTURN_ISSUER": "https://auth.example.com/" + "p" * path,
        "KEYTURN_AUDIENCE": audience,
        "KEYTURN_ROLE_SCOPES": ";".join(f"{role}={' '.join(scopes)}" for role, scopes in roles.items()),
    }
    try:
        config = Config.from_env(environ)
    except ConfigurationError:
        return
    codec, claims = longest_token(config)
    access_token = codec.issue(claims)
    assert len(access_token) <= MAX_LENGTH <= MAX_HEADER - len("Bearer ")
    assert codec.verify(access_token, START) == claims
    assert tuple(context_of(principal(claims.roles, claims.scope))["roles"].split()) == claims.roles


def principal(roles: tuple[str, ...], scope: str = "") -> Principal:
    """Somebody with these roles."""
    return Principal("sub", "sid", roles, scope, email_verified=True, auth_time=START)


@pytest.mark.parametrize("role", ["store manager", "a\tb", "\u00a0a", "a\u2003b", "a\x00"])
def test_role_with_a_blank_is_refused(role: str) -> None:
    """Guarded functions get roles between blanks: `not admin` would be read as two roles."""
    found = problems(KEYTURN_ROLE_SCOPES=f"x{role}y=a")
    assert [problem for problem in found if "no role's name" not in problem] == []


@pytest.mark.parametrize("scope", ['read"all', "read\\all", "l\u00e9s", "a\x00", "a\x7f"])
def test_scope_has_the_characters_of_a_scope(scope: str) -> None:
    """A scope's name is printable ASCII without `"` and a backslash (RFC 6749 section 3.3)."""
    (problem,) = problems(KEYTURN_ROLE_SCOPES=f"user=orders:read {scope}")
    assert problem.startswith(f"KEYTURN_ROLE_SCOPES holds {scope!r}, which is no scope")
    read(KEYTURN_ROLE_SCOPES="user=orders:read!#$%&'()*+,-./:<=>?@[]^_`{|}~")


def test_role_set_twice_is_refused() -> None:
    """Which of two lists of scopes is meant cannot be told."""
    assert problems(KEYTURN_ROLE_SCOPES="user=a; admin=b; user=c") == ["KEYTURN_ROLE_SCOPES names 'user' twice"]


@pytest.mark.parametrize(
    "condition", ['scope=read"all', "scope=read\\all", "scope=l\u00e9s", "role=a\x00", "scope=a\x7f"]
)
def test_guard_asks_for_what_can_be_had(condition: str) -> None:
    """A guard whose role or scope no token can hold would shut everybody out: it is refused by its setting's name."""
    assert parse(condition) is None
    (problem,) = problems(KEYTURN_GUARDS=f"admin: {condition}")
    assert problem.startswith("KEYTURN_GUARDS holds")


def test_roles_of_the_table_are_not_split() -> None:
    """A role with a blank, which only the table's owner can have written, reaches no guarded function as two roles."""
    assert context_of(principal(("user", "not admin", "clerk")))["roles"] == "user clerk"


@pytest.mark.parametrize(
    ("name", "form"),
    [("KEYTURN_RETURN_TO", "{}"), ("KEYTURN_GOOGLE_NATIVE_CLIENT_IDS", "ios={}")],
)
def test_page_that_no_request_may_name_is_refused(name: str, form: str) -> None:
    """A page or redirect of 2048 characters can be named in a request, and one of 2049 is refused at start."""
    page = "https://app.example.com/" + "a" * 2024
    assert BEGIN_LINKING.members["return_to"].problem(page) is None
    assert EXCHANGE.members["redirect_uri"].problem(page) is None
    google = {
        "KEYTURN_GOOGLE_CLIENT_ID": "id",
        "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": "/keyturn/prod/provider/google",
    }
    read(**google, **{name: form.format(page)})
    (problem,) = problems(**google, **{name: form.format(page + "a")})
    assert problem == f"{name} holds a URL of 2049 characters, and at most 2048 are accepted"


# Key ids --------------------------------------------------------------------------------------------------------------

UNFIT = ["", "a.b", "a b", "\u00e9", "a" * (MAX_KEY_ID + 1), "a\n", "a=", 5, None, ["a"], True]


@pytest.mark.parametrize("identifier", UNFIT)
def test_root_secret_that_no_token_can_name_refuses(identifier: object) -> None:
    """A root secret by whose id no refresh token would ever be read again makes no tokens."""
    container = Container()
    (secret,) = json.loads(container.parameters.values[SESSIONS])["secrets"]
    container.set_secrets({**secret, "id": identifier})
    assert "`sessions` holds an entry that is no root secret" in refusal(container.ring.session_secrets)


@pytest.mark.parametrize("identifier", UNFIT)
def test_signing_key_that_no_token_can_name_refuses(identifier: object) -> None:
    """The same of the id of a signing key, which the longest access token is reckoned with."""
    container = Container()
    container.publish([{**container.published()[0], "kid": identifier}])
    assert "public key set" in refusal(container.ring.public_keys)


def test_two_keys_of_one_id_refuse() -> None:
    """The newest would sign and the oldest verify, so that every new token were dead."""
    container = Container()
    (secret,) = json.loads(container.parameters.values[SESSIONS])["secrets"]
    container.publish(container.published() * 2)
    assert f"`{PUBLIC.rpartition('/')[2]}` holds two keys of one id" in refusal(container.ring.public_keys)
    container = Container()
    container.set_secrets(secret, {**secret, "activate_at": START})
    assert "`sessions` holds two keys of one id" in refusal(container.ring.session_secrets)


@pytest.mark.parametrize("identifier", ["a", "-", "_" * MAX_KEY_ID, "A0-_" * (MAX_KEY_ID // 4)])
def test_every_key_id_that_is_accepted_can_be_named(identifier: str) -> None:
    """Refresh tokens and device tokens under any accepted id are read again, and fit cookies and bodies."""
    container = Container()
    (secret,) = json.loads(container.parameters.values[SESSIONS])["secrets"]
    container.set_secrets({**secret, "id": identifier})
    codec, devices = RefreshTokenCodec(container.ring), DeviceTokens(container.ring, SystemTokenSource())
    presented = RefreshToken("A" * 22, "A" * 22, 2**32 - 1, bytes(32))
    text = codec.encode(presented, codec.current_key_id(), "cookie")
    device_token = devices.issue("ada@example.com", 2**32 - 1, START)
    assert codec.decode(text, "cookie") == presented
    assert devices.verify(device_token, "ada@example.com", START) is not None
    assert LOG_IN.members["device_token"].problem(device_token) is None
    assert max(len(text), len(device_token)) < MAX_COOKIE
