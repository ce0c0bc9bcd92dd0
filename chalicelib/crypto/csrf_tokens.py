"""CSRF tokens: bound to the session, stateless, the same across rotation and reload."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from chalicelib.crypto.encoding import b64url

if TYPE_CHECKING:
    from chalicelib.crypto.keyring import KeyRing


class CsrfTokens:
    """Makes and verifies `X-CSRF-Token`: a page that can read it shares the API's trust; a foreign one cannot."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def issue(self, sid: str) -> str:
        """The session's token under the root secret of now."""
        return _token(self._keys.session_secret().csrf_key, sid)

    def verify(self, csrf_token: str, sid: str) -> bool:
        """Whether the token is the session's under any live root secret, compared in constant time."""
        # compare_digest takes ASCII strings alone; as bytes it takes anything.
        presented = csrf_token.encode(errors="replace")
        secrets = self._keys.session_secrets()
        matches = [hmac.compare_digest(_token(root.csrf_key, sid).encode(), presented) for root in secrets]
        return any(matches)


def _token(key: bytes, sid: str) -> str:
    return b64url(hmac.digest(key, sid.encode(), sha256))
