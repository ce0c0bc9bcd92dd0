"""What schemathesis is told of this API, in its own process: who asks, and what no schema can say.

KEYTURN_VISITOR says who: `nobody` brings no credential beside those that are made up; `app` brings a bearer token, or
an AWS caller's signature; `browser` comes from an allowed page with genuine cookies and their CSRF token.
"""

from __future__ import annotations

import itertools
import json
import os
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import schemathesis

from chalicelib.web.request import MAX_BODY
from tests.world.client import Client
from tests.world.constants import ORIGIN, PAGE, PASSWORD

if TYPE_CHECKING:
    from schemathesis import AuthContext, Case, CheckContext, HookContext, Response

VISITOR = os.environ["KEYTURN_VISITOR"]
CLIENT = Client(os.environ["KEYTURN_URL"])
SIGNATURE = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20300101/eu-west-1/execute-api/aws4_request"
# What ends the session that asks, or renews its credential: each time another one.
RENEWING = {"/password/change", "/identities/{provider}", "/identities/{provider}/authorization"}
ENDING = {"/logout", "/logout/all", "/refresh", "/sessions/{session_id}"} | RENEWING
TRANSPORT = {"app": "body", "browser": "session"}

# Well-formed requests that are refused all the same, for reasons that are no schema's.
REFUSALS = {"credential_required", "invalid_email", "password_rejected", "login_expired"}
DETAILS = {
    "A password has at most 256 characters.",
    "Send the credential as a cookie or in the body, not both.",
    "current_password is missing.",
    "redirect_uri is not configured.",
    "return_to is not on the list of allowed pages.",
}
turns = itertools.count()


def sign_up(transport: str) -> dict[str, Any]:
    """The token response of a new account; `cookie` is what a browser keeps."""
    members = {"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD, "transport": transport}
    reply = CLIENT.call("POST", "/signup", members, headers={"Origin": ORIGIN})
    cookies = [cookie for cookie in reply.all("Set-Cookie") if "device" not in cookie]
    return {**reply.json, "cookie": cookies[0].partition(";")[0] if cookies else ""}


if VISITOR != "nobody":

    @schemathesis.auth(refresh_interval=None)
    class Credentials:
        """Genuine credentials, of an account that is signed up for it."""

        def __init__(self) -> None:
            self.shared: dict[str, dict[str, Any]] = {}

        def get(self, case: Case[Any], _context: AuthContext) -> dict[str, Any] | None:
            """A session that lives, of the kind that the route takes."""
            schemes = {scheme for choice in case.operation.definition.raw["security"] for scheme in choice}
            if not schemes or "iam" in schemes:
                return {"cookie": ""} if schemes and VISITOR == "app" else None
            transport = "cookie" if "refresh" in schemes and VISITOR == "browser" else TRANSPORT[VISITOR]
            if case.path in ENDING:
                return sign_up(transport)
            if transport not in self.shared:
                self.shared[transport] = sign_up(transport)
            return self.shared[transport]

        def set(self, case: Case[Any], data: dict[str, Any], _context: AuthContext) -> None:
            """Put them where the route looks for them; a session may end itself."""
            if "session_id" in case.path_parameters and well_formed(case) and next(turns) % 2:
                case.path_parameters["session_id"] = data["session_id"]
            if data["cookie"]:
                name, _, value = data["cookie"].partition("=")
                case.cookies[name] = value
                case.headers["X-CSRF-Token"] = data["csrf_token"]
            elif (
                "refresh_token" in data and case.path in RENEWING and well_formed(case) and isinstance(case.body, dict)
            ):
                case.body["refresh_token"] = data["refresh_token"]
            if "access_token" in data and not (data["cookie"] and case.path not in RENEWING):
                case.headers["Authorization"] = f"Bearer {data['access_token']}"
            elif not data["cookie"]:
                case.headers["Authorization"] = SIGNATURE


def well_formed(case: Case[Any]) -> bool:
    """Whether the request is one that the description allows."""
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Give well-formed requests, every other time, the values that this stage knows; follow no redirect."""
    kwargs["allow_redirects"] = False
    if VISITOR == "browser":
        case.headers["Origin"] = ORIGIN
    if not well_formed(case) or next(turns) % 2:
        return
    known = {"return_to": PAGE, "redirect_uri": PAGE, "current_password": PASSWORD, "new_password": PASSWORD[::-1]}
    if case.path in {"/signup", "/login"}:
        account = sign_up("body") if case.path == "/login" else {"user": {"email": f"{uuid.uuid4().hex}@example.com"}}
        known |= {"email": account["user"]["email"], "password": PASSWORD}
        known |= {} if VISITOR == "browser" else {"transport": "body"}
    for container in (case.query, case.body):
        if isinstance(container, dict):
            container.update({name: known[name] for name in known.keys() & container.keys()})


@schemathesis.check
def refused_for_a_reason(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    """What is well-formed is called neither malformed nor, unless it is, too large."""
    if not well_formed(case):
        return
    if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        assert int(response.request.headers["Content-Length"]) > MAX_BODY
    if response.status_code == HTTPStatus.BAD_REQUEST:
        problem = json.loads(response.content)
        assert problem.get("code") in REFUSALS or problem.get("detail") in DETAILS, problem


@schemathesis.check
def unsigned_callers_find_nothing(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    """What is for AWS callers alone is not there for others."""
    sent = response.request
    if case.path == "/token/introspect" and sent.method == "POST" and sent.headers.get("Authorization") != SIGNATURE:
        assert response.status_code == HTTPStatus.NOT_FOUND
