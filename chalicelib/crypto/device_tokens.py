"""Device tokens: that somebody has logged in to this account on this device before, and nothing else.

    kd2.<key_id>.<base64url(id 16 ‖ epoch 4 ‖ expires_at 4 ‖ account MAC 16 ‖ browser MAC 16)>
    kd1.<key_id>.<base64url(id 16 ‖ epoch 4 ‖ expires_at 4 ‖ account MAC 16)>

New tokens are kd2. Tokens live for half a year: a kd1 token keeps its use until it expires, and neither form can change
any more. A change gets a prefix of its own.

A token opens nothing: it says which counter an attempt counts on. The account MAC binds it to the account by its
address, which cannot be read from it; the epoch is the account's, so that a changed password makes every device
unknown. The browser MAC can be verified before the account is known, as at the beginning of a login at a provider: it
says that this browser has had a login, not whose. Nothing of a token is in the table.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.crypto.encoding import b64url, from_b64url
from chalicelib.domain.sessions import Device

if TYPE_CHECKING:
    from chalicelib.crypto.keyring import KeyRing
    from chalicelib.crypto.keys import LoginSecret
    from chalicelib.ports import TokenSource

ID_BYTES = 16
NUMBER_BYTES = 4
BODY_BYTES = ID_BYTES + 2 * NUMBER_BYTES
MAC_BYTES = 16
FORM = re.compile(r"(kd[12])\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{54,75})", re.ASCII)
PAYLOAD_BYTES = {"kd1": BODY_BYTES + MAC_BYTES, "kd2": BODY_BYTES + 2 * MAC_BYTES}

# Seconds. Sessions last for 90 days by default: who logs in again after one has ended is still known, and so is who was
# away for another three months. Each login gives a token of this life again.
LIFE = 180 * 86400


class _Parts(NamedTuple):
    """A token taken apart. `body` is id, epoch and expiry; `browser_mac` is empty in kd1. Nothing is verified yet."""

    version: str
    root: LoginSecret
    body: bytes
    account_mac: bytes
    browser_mac: bytes

    @property
    def id(self) -> str:
        """The device's id (base64url)."""
        return b64url(self.body[:ID_BYTES])

    @property
    def epoch(self) -> int:
        """The account's epoch when the token was made."""
        return int.from_bytes(self.body[ID_BYTES:-NUMBER_BYTES], "big")

    @property
    def expires_at(self) -> int:
        """The moment from which on the token is worth nothing, in seconds since the epoch."""
        return int.from_bytes(self.body[-NUMBER_BYTES:], "big")


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
        root = self._keys.login_secret()
        identifier = from_b64url(known.id) if known else self._source.token(ID_BYTES)
        body = identifier + epoch.to_bytes(NUMBER_BYTES, "big") + (now + LIFE).to_bytes(NUMBER_BYTES, "big")
        account_mac = _account_mac("kd2", root, email, body)
        return f"kd2.{root.id}.{b64url(body + account_mac + _browser_mac(root, body, account_mac))}"

    def verify(self, device_token: str | None, email: str, now: int) -> Device | None:
        """The device, where the token is one of ours for this canonical address and has not expired.

        None, never an error, for every other string. Whether the epoch is the account's is the caller's to see.
        """
        parts = self._read(device_token)
        if parts is None or (parts.version == "kd2" and not _is_a_browsers(parts)):
            return None
        expected = _account_mac(parts.version, parts.root, email, parts.body)
        if not hmac.compare_digest(expected, parts.account_mac) or now >= parts.expires_at:
            return None
        return Device(parts.id, parts.epoch)

    def known_browser(self, device_token: str | None, now: int) -> str | None:
        """The id of the device, where the token is genuine, for any account, and has not expired.

        For a request that does not say whose account it is about. The account's epoch is not asked: a token of before a
        password change still comes from a browser that has had a login. None, never an error, for every other string,
        kd1 tokens included.
        """
        parts = self._read(device_token)
        if parts is None or parts.version != "kd2" or not _is_a_browsers(parts) or now >= parts.expires_at:
            return None
        return parts.id

    def _read(self, device_token: str | None) -> _Parts | None:
        form = FORM.fullmatch(device_token or "")
        if form is None:
            return None
        version, key_id, payload = form.groups()
        # Among the secrets at hand, without another look into the parameter store: a token of a secret that a container
        # has not heard of is none, and the next login makes one.
        root = next((root for root in self._keys.login_secrets() if root.id == key_id), None)
        try:
            raw = from_b64url(payload)
        except ValueError:
            return None
        if root is None or len(raw) != PAYLOAD_BYTES[version]:
            return None
        body, macs = raw[:BODY_BYTES], raw[BODY_BYTES:]
        return _Parts(version, root, body, macs[:MAC_BYTES], macs[MAC_BYTES:])


# Under one key, no two of these ever see the same message: each begins with a label of its own. The key id has no dot
# and the body's length is fixed, so that no part reaches into the next.
ACCOUNT_LABEL = {"kd1": "", "kd2": "account."}


def _account_mac(version: str, root: LoginSecret, email: str, body: bytes) -> bytes:
    label = f"{version}.{root.id}.{ACCOUNT_LABEL[version]}".encode()
    return hmac.digest(root.device_key, label + body + email.encode(), sha256)[:MAC_BYTES]


def _browser_mac(root: LoginSecret, body: bytes, account_mac: bytes) -> bytes:
    # Over all that stands before it, so that no part of a token can be put into another token.
    return hmac.digest(root.device_key, f"kd2.{root.id}.browser.".encode() + body + account_mac, sha256)[:MAC_BYTES]


def _is_a_browsers(parts: _Parts) -> bool:
    return hmac.compare_digest(_browser_mac(parts.root, parts.body, parts.account_mac), parts.browser_mac)
