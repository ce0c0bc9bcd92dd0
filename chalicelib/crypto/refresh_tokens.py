"""Refresh tokens: opaque to clients, genuine or not before the table is asked.

    kt1.<key_id>.<base64url(sub 16 ‖ sid 16 ‖ generation 4 ‖ secret 32 ‖ mac 16)>

The form cannot change any more: tokens live for months. What changes gets another prefix than kt1.

The MAC makes forgeries cost nothing. It proves no right: that is the secret's part, of which the table holds the digest
alone. Whoever has stolen both the MAC key and the table can still not make a token that is accepted.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.domain.rotation import Place
from chalicelib.domain.sessions import RefreshToken
from chalicelib.errors import InvalidGrant

if TYPE_CHECKING:
    from chalicelib.crypto.keyring import KeyRing
    from chalicelib.domain.callers import Transport
    from chalicelib.domain.sessions import Session

ID_BYTES = 16  # 128 random bits for `sub` and `sid` (ASVS V7.2.3)
SECRET_BYTES = 32
MAC_BYTES = 16
Label = Literal["wrap", "late"]  # what a secret wraps: the successor of a turn, or of a late answer
FORM = re.compile(r"kt1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{112})")


def digest(secret: bytes) -> bytes:
    """What the table holds of a secret. SHA-256 is enough for 256 random bits: there is nothing to guess."""
    return sha256(secret).digest()


def same(left: bytes, right: bytes) -> bool:
    """Whether two digests are equal, in constant time (ASVS V11.2.4)."""
    return hmac.compare_digest(left, right)


def wrap(successor: bytes, secret: bytes, sid: str, generation: int, label: Label = "wrap") -> bytes:
    """The successor's secret, readable to the holder of `secret` alone, which is of `generation`.

    A secret that wraps two successors wraps each under a label of its own: one pad must not cover two secrets.
    """
    pad = hmac.digest(secret, label.encode() + sid.encode() + generation.to_bytes(4, "big"), sha256)
    return bytes(a ^ b for a, b in zip(successor, pad, strict=True))


def unwrap(wrapped: bytes, presented: RefreshToken, held: bytes, label: Label = "wrap") -> bytes | None:
    """The secret that `wrapped` holds for the presented token, if it is the one whose digest is `held`; else None.

    Nothing is wrapped (`wrapped` is empty) before a session's first turn, and after its credentials were renewed.
    """
    if len(wrapped) != SECRET_BYTES:
        return None
    secret = wrap(wrapped, presented.secret, presented.sid, presented.generation, label)
    return secret if same(digest(secret), held) else None


def held_secret(found: Place, held: Session, presented: RefreshToken) -> bytes | None:
    """The secret of the held generation, as far as the presented token's own secret tells it.

    None if the secret was never issued, or if this place holds no digest to compare.
    """
    match found:
        case Place.HELD:
            return presented.secret if same(digest(presented.secret), held.digest) else None
        case Place.PREDECESSOR:
            return unwrap(held.wrapped, presented, held.digest)
        case Place.LATE_BASE:
            return unwrap(held.late_wrapped, presented, held.digest, "late")
    return None


def answered_to(sid: str, address: str, user_agent: str) -> bytes:
    """What a session keeps of the client that it answered: 8 bytes for the address, 8 for the user agent.

    They tell whether the next client is the same, and are of no use outside the session.
    """
    parts = (("address", address), ("user agent", user_agent))
    return b"".join(sha256(f"{sid} {name} {part}".encode("utf-8", "replace")).digest()[:8] for name, part in parts)


class RefreshTokenCodec:
    """Makes the string of a refresh token, and takes it apart again."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def current_key_id(self) -> str:
        """The id of the root secret that a new token is authenticated with."""
        return self._keys.session_secret().id

    def encode(self, refresh_token: RefreshToken, key_id: str, transport: Transport) -> str:
        """The token's string under this root secret. InvalidGrant where the secret is no longer held."""
        body = (
            from_b64url(refresh_token.sub)
            + from_b64url(refresh_token.sid)
            + refresh_token.generation.to_bytes(4, "big")
            + refresh_token.secret
        )
        mac = self._mac(key_id, transport, body)
        if mac is None:
            raise InvalidGrant(debug="root secret gone")
        return f"kt1.{key_id}.{b64url(body + mac)}"

    def decode(self, text: str, transport: Transport) -> RefreshToken:
        """What a token says that we made for this transport. InvalidGrant for every other string; no table is asked.

        The transport is authenticated, not spelled out: a cookie's token that comes in a body fails as a forgery does.
        """
        form = FORM.fullmatch(text)
        if form is None:
            raise InvalidGrant(debug="malformed")
        key_id, payload = form.groups()
        raw = from_b64url(payload)
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        expected = self._mac(key_id, transport, body)
        if expected is None or not hmac.compare_digest(mac, expected):
            raise InvalidGrant(debug="forged, or of another transport")
        return RefreshToken(
            sub=b64url(body[:16]),
            sid=b64url(body[16:32]),
            generation=int.from_bytes(body[32:36], "big"),
            secret=body[36:],
        )

    def _mac(self, key_id: str, transport: Transport, body: bytes) -> bytes | None:
        root = self._keys.find_session_secret(key_id)
        if root is None:
            return None
        message = f"kt1.{key_id}.{transport}.".encode() + body
        return hmac.digest(root.refresh_key, message, sha256)[:MAC_BYTES]
