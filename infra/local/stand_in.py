"""The stand-in for Google on this machine: oidc-provider-mock, as a process of its own that ends with its caller.

It asks for no password: whoever comes says who they are. As Google does, it gives one person the same `sub` every time
and vouches for their address. What oidc-provider-mock leaves out is added here: PKCE, public clients, and `state` with
a refusal.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import socket
import subprocess
import sys
import threading
import warnings
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import flask
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
END_SECONDS = 10
REGISTERED_CLIENTS = "--registered-clients"

# Whom its page offers; any other address can be typed. It has proven every one that does not begin with UNPROVEN.
UNPROVEN = "unproven"
PEOPLE = ("ada@example.com", "grace@example.com", f"{UNPROVEN}@example.com")

AUTHORIZE, TOKEN = "/oauth2/authorize", "/oauth2/token"
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@contextmanager
def serve(port: int = 0, *options: str) -> Iterator[str]:
    """Run it and yield its issuer URL; it ends with the block, or with this process. OSError where the port is taken.

    With REGISTERED_CLIENTS it knows only clients that have registered (RFC 7591), and checks their secret and redirect.
    """
    # Listening begins here: whoever comes before the process is ready waits, and a taken port is known at once.
    with socket.create_server(("127.0.0.1", port)) as listening:
        port = listening.getsockname()[1]
        # A session of its own: Ctrl-C reaches the caller, who ends it.
        process = subprocess.Popen(  # noqa: S603  # this module
            [sys.executable, "-m", "infra.local.stand_in", str(listening.fileno()), *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
    try:
        yield f"http://localhost:{port}"
    finally:
        process.terminate()  # at once: in its first moments it does not notice yet that the pipe closes
        process.communicate(timeout=END_SECONDS)


def application(*, registered_clients: bool) -> flask.Flask:
    """The provider, with what is added."""
    with warnings.catch_warnings(record=True):  # that parts of Authlib are to move, which is not ours to act on
        from authlib.oauth2.rfc6749 import AuthorizationCodeGrant  # noqa: PLC0415  # costs a second, as the next does
        from oidc_provider_mock import User, app  # noqa: PLC0415  # that the caller's process need not pay

    # It registers public clients, and then refuses them (RFC 6749 section 2.1: they have no secret).
    AuthorizationCodeGrant.TOKEN_ENDPOINT_AUTH_METHODS.append("none")

    people = [User(sub=email, claims=_claims(email)) for email in PEOPLE]
    provider: flask.Flask = app(require_client_registration=registered_clients, require_nonce=True, user_claims=people)
    pkce = Pkce()

    def vouch() -> None:
        """Know whoever types an address."""
        email = flask.request.form.get("sub", "")
        if flask.request.path == AUTHORIZE and "@" in email:
            provider.test_client().put(flask.url_for("oidc-provider-mock.set_user", sub=email), json=_claims(email))

    def return_state(response: flask.Response) -> flask.Response:
        """RFC 6749 section 4.1.2.1: an error response holds the request's `state`."""
        sent = parse_qs(urlsplit(response.location or "").query)
        if response.location and "error" in sent and "state" not in sent and "state" in flask.request.args:
            response.location += "&" + urlencode({"state": flask.request.args["state"]})
        return response

    provider.before_request(pkce.refuse)
    provider.before_request(vouch)
    provider.after_request(return_state)
    provider.after_request(pkce.remember)
    return provider


class Pkce:
    """Proof Key for Code Exchange (RFC 7636), required, with S256 alone."""

    def __init__(self) -> None:
        self._challenges: dict[str, str] = {}

    def refuse(self) -> tuple[dict[str, str], int] | None:
        """The refusal of a request without a challenge, or with a verifier that is not the code's; None for others."""
        request = flask.request
        if request.path == AUTHORIZE:
            s256 = request.args.get("code_challenge_method") == "S256"
            if not (s256 and CHALLENGE.fullmatch(request.args.get("code_challenge", ""))):
                return {"error": "invalid_request", "error_description": "PKCE with S256 is required"}, 400
        if request.path == TOKEN and request.form.get("grant_type") == "authorization_code":
            challenge = self._challenges.pop(request.form.get("code", ""), "")
            digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
            if not hmac.compare_digest(urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge):
                return {"error": "invalid_grant", "error_description": "the code verifier is not the code's"}, 400
        return None

    def remember(self, response: flask.Response) -> flask.Response:
        """Keep the challenge of a code that is being issued."""
        if flask.request.path == AUTHORIZE and response.location:
            for code in parse_qs(urlsplit(response.location).query).get("code", []):
                self._challenges[code] = flask.request.args["code_challenge"]
        return response


class Silent(WSGIRequestHandler):
    """Logs no request: a query may hold a code."""

    def log_request(self, *_: object) -> None:
        """Nothing."""


def _claims(email: str) -> dict[str, object]:
    return {"email": email, "email_verified": not email.startswith(UNPROVEN)}


def main() -> None:
    """Serve on the listening socket that the caller hands over, until the caller's end of the pipe closes."""
    threading.Thread(target=_end_with_caller, daemon=True).start()
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http, which is this machine's alone
    descriptor, *options = sys.argv[1:]
    provider = application(registered_clients=REGISTERED_CLIENTS in options)
    make_server("127.0.0.1", 0, provider, threaded=True, request_handler=Silent, fd=int(descriptor)).serve_forever()


def _end_with_caller() -> None:
    """End this process when the caller's end of the pipe closes, whatever the main thread imports or answers then."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
