"""Names that many tests share: the frontend's page, a password, and the parts of an authorization request."""

from __future__ import annotations

from hashlib import sha256

from chalicelib.crypto.encoding import b64url
from chalicelib.domain.callers import Caller

# The page of a frontend that the configuration allows, and a page of another origin that it allows too.
ORIGIN, SECOND_ORIGIN = "https://app.example.com", "https://admin.example.com:8443"
PAGE, SECOND_PAGE = f"{ORIGIN}/welcome", f"{SECOND_ORIGIN}/"
PASSWORD = "correct horse battery"
CLIENT = Caller(address="192.0.2.1", user_agent="tests", request_id="request-1")

# Of an authorization request that a frontend or an app makes itself.
VERIFIER = "a-frontends-own-verifier-" + "v" * 30
CHALLENGE = b64url(sha256(VERIFIER.encode()).digest())
NONCE = "a-frontends-own-nonce"
