"""`state`, `nonce` and PKCE of logins at identity providers: what a browser holds, and what the table never does.

    browser      __Host-login = secret (32 bytes), shared by its parallel tabs
                 __Host-login-<the state's first 8 characters> = the secret that this login was bound to
    state        base64url(identifier 16 ‖ page 8 ‖ expires_at 4 ‖ mac 16), a fresh identifier for each login
    table        once#HMAC(secret, "transaction" ‖ identifier)
    provider     nonce         = HMAC(secret, "nonce" ‖ identifier)
                 code_verifier = HMAC(secret, "code verifier" ‖ identifier), as its S256 challenge until the code comes

Another browser cannot name the pending login that a callback URL belongs to, and neither the URL nor the table tells
the nonce or the verifier. The MAC makes forged and old states cost nothing, and says to which page an old state comes
back.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.errors import LoginExpired

if TYPE_CHECKING:
    from chalicelib.crypto.keyring import KeyRing

IDENTIFIER_BYTES = 16
BROWSER_SECRET_BYTES = 32
PAGE_BYTES = 8
EXPIRY_BYTES = 4
MAC_BYTES = 16
STATE = re.compile(r"[A-Za-z0-9_-]{59}")
BROWSER_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class LoginState(NamedTuple):
    """What a genuine `state` says: which login it is of, which page it comes back to (`page_tag`), and until when."""

    identifier: bytes
    page: bytes
    expires_at: int  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Binding:
    """What one login and one browser make together."""

    digest: bytes  # what the table knows the pending login by
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)

    @property
    def code_challenge(self) -> str:
        """The verifier's S256 challenge (RFC 7636 section 4.2)."""
        return b64url(sha256(self.code_verifier.encode()).digest())


def bind(identifier: bytes, browser_secret: bytes) -> Binding:
    """Derive the login's secrets from the browser's. 43 characters are a verifier's least (RFC 7636 section 4.1)."""
    return Binding(
        digest=_derive(browser_secret, b"transaction", identifier),
        nonce=b64url(_derive(browser_secret, b"nonce", identifier)),
        code_verifier=b64url(_derive(browser_secret, b"code verifier", identifier)),
    )


def parse_browser_secret(cookie: str | None) -> bytes | None:
    """The secret of a `__Host-login` cookie. One that is malformed is an absent one."""
    if cookie is None or not BROWSER_SECRET.fullmatch(cookie):
        return None
    try:
        return from_b64url(cookie)
    except ValueError:
        return None


def page_tag(return_to: str) -> bytes:
    """What stands for an allowed page in a state. It tells pages of the allow-list apart and decides nothing else."""
    return sha256(return_to.encode()).digest()[:PAGE_BYTES]


class LoginStates:
    """Makes the `state` of a login (RFC 6749 section 10.12), and takes it apart again."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def issue(self, provider: str, identifier: bytes, return_to: str, expires_at: int) -> str:
        """The state of a login at this provider, under the root secret of now."""
        body = identifier + page_tag(return_to) + expires_at.to_bytes(EXPIRY_BYTES, "big")
        return b64url(body + _mac(self._keys.login_secret().state_key, provider, body))

    def verify(self, state: str, provider: str) -> LoginState:
        """What the state says, also when it is too old. LoginExpired for all that was not issued for this provider."""
        if not STATE.fullmatch(state):
            raise LoginExpired(debug="not a state's form")
        try:
            raw = from_b64url(state)
        except ValueError:
            raise LoginExpired(debug="not a state's form") from None
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        secrets = self._keys.login_secrets()
        matches = [hmac.compare_digest(_mac(root.state_key, provider, body), mac) for root in secrets]
        if not any(matches):
            raise LoginExpired(debug="forged state, or of another provider")
        return LoginState(
            identifier=body[:IDENTIFIER_BYTES],
            page=body[IDENTIFIER_BYTES:-EXPIRY_BYTES],
            expires_at=int.from_bytes(body[-EXPIRY_BYTES:], "big"),
        )


def _mac(key: bytes, provider: str, body: bytes) -> bytes:
    # The body's length is fixed, so that no provider's name can reach into it.
    return hmac.digest(key, body + provider.encode(), sha256)[:MAC_BYTES]


def _derive(browser_secret: bytes, purpose: bytes, identifier: bytes) -> bytes:
    return hmac.digest(browser_secret, purpose + identifier, sha256)
