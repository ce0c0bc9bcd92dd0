"""Device tokens: that somebody has logged in to this account on this device before, and nothing else.

    kd1.<key_id>.<base64url(id 16 ‖ epoch 4 ‖ expires_at 4 ‖ mac 16)>

The form cannot change any more: tokens live for half a year. What changes gets another prefix than kd1.

One opens nothing: it says which counter a login attempt counts on. It is bound to the account by its address, which is
under the MAC and cannot be read from it, and to the account's epoch: a changed password makes every device unknown.
Nothing of it is in the table.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from chalicelib.crypto.encoding import b64url, from_b64url

if TYPE_CHECKING:
    from chalicelib.crypto.keyring import KeyRing
    from chalicelib.crypto.keys import RootSecret
    from chalicelib.ports import TokenSource

ID_BYTES = 16
NUMBER_BYTES = 4
MAC_BYTES = 16
FORM = re.compile(r"kd1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{54})", re.ASCII)

# Seconds. Sessions last for 90 days by default: who logs in again after one has ended is still known, and so is who was
# away for another three months. Each login gives a token of this life again.
LIFE = 180 * 86400


@dataclass(frozen=True, slots=True)
class Device:
    """A device that has logged in to the account while it was of this epoch. `id` is random (base64url)."""

    id: str
    epoch: int


class DeviceTokens:
    """Makes device tokens and verifies them."""

    def __init__(self, keys: KeyRing, source: TokenSource) -> None:
        self._keys = keys
        self._source = source

    def issue(self, email: str, epoch: int, now: int, known: Device | None = None) -> str:
        """The token of a device that has just logged in to the account of this canonical address.

        `known` is what it was known as, in whatever epoch: it keeps its id. Were each login a new device, whoever knows
        one password could have it hashed without end, each time as another one.
        """
        root = self._keys.root_secret()
        identifier = from_b64url(known.id) if known else self._source.token(ID_BYTES)
        body = identifier + epoch.to_bytes(NUMBER_BYTES, "big") + (now + LIFE).to_bytes(NUMBER_BYTES, "big")
        return f"kd1.{root.id}.{b64url(body + _mac(root, email, body))}"

    def verify(self, device_token: str | None, email: str, now: int) -> Device | None:
        """The device, where the token is one of ours for this canonical address and has not expired.

        None, never an error, for every other string. Whether the epoch is the account's is the caller's to see.
        """
        form = FORM.fullmatch(device_token or "")
        if form is None:
            return None
        key_id, payload = form.groups()
        # Among the secrets at hand, without another look into the parameter store: a token of a secret that a container
        # has not heard of is none, and the next login makes one.
        root = next((root for root in self._keys.root_secrets() if root.id == key_id), None)
        try:
            raw = from_b64url(payload)
        except ValueError:
            return None
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if root is None or not hmac.compare_digest(_mac(root, email, body), mac):
            return None
        numbers = body[ID_BYTES:]
        if now >= int.from_bytes(numbers[NUMBER_BYTES:], "big"):
            return None
        return Device(b64url(body[:ID_BYTES]), int.from_bytes(numbers[:NUMBER_BYTES], "big"))


def _mac(root: RootSecret, email: str, body: bytes) -> bytes:
    # The key id has no dot and the body's length is fixed, so that nothing reaches into what stands next to it.
    return hmac.digest(root.device_key, f"kd1.{root.id}.".encode() + body + email.encode(), sha256)[:MAC_BYTES]
