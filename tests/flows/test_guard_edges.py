"""Edges of the guard, of session cookies and of revocation: rights, deadlines, dead tokens, keys of a minute ago."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from chalicelib import deadline
from chalicelib.domain.denials import DENIED_SESSIONS
from chalicelib.errors import InvalidToken
from chalicelib.handlers import accounts
from chalicelib.services.sessions.authorization import TOUCH_SECONDS
from chalicelib.web import cookies
from chalicelib.web.request import Request
from infra import keys
from tests.flows.steps import (
    NEW_PASSWORD,
    assert_dead,
    assert_works,
    change_password,
    log_in,
    log_out,
    long_lived,
    sign_up,
)
from tests.world.clock import START
from tests.world.constants import CLIENT, ORIGIN, PASSWORD
from tests.world.faults import FaultyStore
from tests.world.iam import STAGES, policy_of
from tests.world.keyturn import Keyturn
from tests.world.parameters import PREFIX
from tests.world.store import FakeStore

if TYPE_CHECKING:
    from chalicelib.domain.callers import Transport
    from tests.flows.federated import Federated

RIGHTS = {"roles", "disabled", "email_verified", "email"}  # of the account's state, beside its sessions


@pytest.mark.parametrize("stage", STAGES)
def test_guard_writes_no_rights(stage: str) -> None:
    """The function that faces every API may note a session's use, and give nobody a role."""
    for statement in policy_of(stage, "guard")["Statement"]:
        if "dynamodb:UpdateItem" in statement["Action"]:
            named = statement["Condition"].get("ForAllValues:StringEquals", {}).get("dynamodb:Attributes")
            assert named, "UpdateItem on user#* reaches the item `state` with every attribute"
            assert not RIGHTS & {*named}


def test_note_of_use_takes_no_more_than_an_attempt() -> None:
    """What the verdict can do without does not keep every guarded request waiting for the whole time it has."""
    left: list[float] = []

    def at_call(verb: str, _nth: int) -> None:
        if verb == "touch_session":
            left.append(deadline.remaining())

    keyturn = Keyturn(FaultyStore(FakeStore(), at_call=at_call))
    grant = sign_up(keyturn.services, transport="session")
    keyturn.clock.advance(TOUCH_SECONDS)
    with deadline.start():
        keyturn.enter(grant)
    (seconds,) = left
    assert seconds <= deadline.ONE_ATTEMPT_SECONDS


@pytest.mark.parametrize("transport", ["cookie", "session"])
def test_whoever_holds_a_cookies_credential_can_revoke_it(transport: Transport) -> None:
    """200 says that the token is good for nothing afterwards (RFC 7009 section 2.2): one from a log, say."""
    keyturn = Keyturn(FakeStore())
    grant = sign_up(keyturn.services, transport=transport)
    keyturn.container().revocation.revoke(long_lived(grant).refresh_token, CLIENT)
    assert_dead(keyturn, grant)


def test_session_that_came_by_cookie_gets_no_access_token() -> None:
    """Where the API cannot read the cookie that the guard could, a password change is refused: no bearer asked."""
    keyturn = Keyturn(FakeStore())
    grant = sign_up(keyturn.services, transport="session")
    principal = keyturn.enter(grant)  # the guard's keys are a minute old
    keys.replace(keyturn.parameters, PREFIX, "ES256", START)  # type: ignore[arg-type]  # what it calls of boto3's client
    body = json.dumps({"current_password": PASSWORD, "new_password": NEW_PASSWORD}).encode()
    request = Request(
        method="POST",
        headers={
            "content-type": ("application/json",),
            "origin": (ORIGIN,),
            "cookie": (f"{cookies.SESSION}={long_lived(grant).refresh_token}",),
        },
        query={},
        body=body,
        caller=CLIENT,
        principal_context={"sub": principal.sub, "sid": principal.sid, "auth_time": str(principal.auth_time)},
    )
    with pytest.raises(InvalidToken):
        accounts.change_password(request, keyturn.container())


def test_first_password_is_no_new_login(federated: Federated) -> None:
    """Who sets a first password has authenticated when the session began: max_age counts from then."""
    grant = federated.log_in(federated.google)
    before = federated.keyturn.principal(grant.access_token)
    federated.keyturn.clock.advance(500)
    changed = change_password(federated.services, grant, None)
    assert federated.keyturn.principal(changed.access_token).auth_time == before.auth_time


def test_dead_refresh_tokens_revoke_nothing() -> None:
    """Tokens of sessions that ended long ago leave the blacklist alone: enough of them would deny every session's."""
    keyturn = Keyturn(FakeStore())
    old = [sign_up(keyturn.services)]
    for _ in range(DENIED_SESSIONS):
        keyturn.clock.advance(3600)
        old.append(log_in(keyturn.services))
    for grant in old:
        log_out(keyturn.services, grant)
    keyturn.clock.advance(100 * 86400)
    living = log_in(keyturn.services)
    for grant in old:
        keyturn.container().revocation.revoke(long_lived(grant).refresh_token, CLIENT)
    assert_works(keyturn, living)
