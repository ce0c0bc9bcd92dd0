"""What a provider publishes about itself: its metadata (OpenID Connect Discovery) and its keys (RFC 7517)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.errors import ProviderError
from chalicelib.providers import http
from chalicelib.providers.remembered import FAILING, Remembered
from chalicelib.settings.urls import HOSTS_OF_THIS_MACHINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.ports import Clock, Jwk
    from chalicelib.providers.http import Answer

HOUR = 3600
DAY = 24 * HOUR
METADATA_FRESH = (300, DAY)  # seconds, whatever Cache-Control says
KEYS_FRESH = (60, DAY)
FRESH_BY_DEFAULT = HOUR
OUTLIVES = DAY  # seconds that what was read last goes on while the provider is away
# Seconds between two reads of keys that do not verify a token. ID tokens come from the provider alone, so that only the
# provider can cause a storm of them; and a provider that has mended its key set must not be out for longer.
KEYS_COOLDOWN = FAILING

# The types that a key set may have (RFC 7517 section 8.5). A server that negotiates may know one of them alone.
KEY_SET = ("application/jwk-set+json", "application/json")

MAX_AGE = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?([0-9]{1,9})", re.ASCII | re.IGNORECASE)
NOT_KEPT = re.compile(r"(?:^|,)\s*no-(?:cache|store)\s*(?:,|$)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of a provider's metadata that is acted on (OpenID Connect Discovery section 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    secret_in_body: bool  # the token endpoint takes client_secret_post and not client_secret_basic
    says_issuer: bool  # authorization_response_iss_parameter_supported (RFC 9207 section 3)


class Published:
    """One provider's metadata and keys, remembered. ports.JwkSource."""

    def __init__(self, issuer: str, clock: Clock, *, named: str = "", patience: float | None = None) -> None:
        self._issuer = issuer
        self._named = named or issuer  # the issuer that the metadata name: Microsoft's `common` names another
        self._patience = patience
        self._metadata = Remembered(self._fetch_metadata, clock, outlives=OUTLIVES)
        self._jwks = Remembered(self._fetch_jwks, clock, outlives=OUTLIVES, cooldown=KEYS_COOLDOWN)

    def metadata(self) -> Metadata:
        """The metadata as it was read last. Unavailable, ProviderError where there is none to be had."""
        return self._metadata.get()

    def jwks(self) -> Sequence[Jwk]:
        """The keys as they were read last. Unavailable, ProviderError where there are none to be had."""
        return self._jwks.get()

    def newer_jwks(self) -> Sequence[Jwk]:
        """The keys read again, at most once a cooldown; else, and where the provider is away, the last good ones."""
        return self._jwks.newer()

    def _fetch_metadata(self) -> tuple[Metadata, int]:
        # Section 4.1: a terminating "/" of the issuer is removed first.
        url = self._issuer.removesuffix("/") + "/.well-known/openid-configuration"
        answer = http.call(url, patience=self._patience)
        answer.require_ok("metadata")
        return _parse(answer.json(), self._named), _lifetime(answer, *METADATA_FRESH)

    def _fetch_jwks(self) -> tuple[Sequence[Jwk], int]:
        accept = {"Accept": f"{', '.join(KEY_SET)}, */*;q=0.1"}
        answer = http.call(self.metadata().jwks_uri, headers=accept, patience=self._patience)
        answer.require_ok("keys")
        keys = answer.json().get("keys")
        if not isinstance(keys, list):
            raise ProviderError(debug="the key set holds no keys")
        # RFC 7517 section 5: what is not understood SHOULD be ignored. Which keys can verify is the verifier's matter.
        return [key for key in keys if isinstance(key, dict)], _lifetime(answer, *KEYS_FRESH)


def _parse(metadata: dict[str, Any], issuer: str) -> Metadata:
    # Section 4.3: the issuer MUST be identical to the one that was asked for, or anybody could speak for anybody.
    if metadata.get("issuer") != issuer:
        raise ProviderError(debug="the metadata are another issuer's")
    methods = metadata.get("token_endpoint_auth_methods_supported")
    secret_in_body = (
        isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods
    )
    userinfo = metadata.get("userinfo_endpoint")
    return Metadata(
        authorization_endpoint=_endpoint(metadata, "authorization_endpoint", issuer),
        token_endpoint=_endpoint(metadata, "token_endpoint", issuer),
        jwks_uri=_endpoint(metadata, "jwks_uri", issuer),
        userinfo_endpoint=None if userinfo is None else _endpoint(metadata, "userinfo_endpoint", issuer),
        secret_in_body=secret_in_body,
        says_issuer=metadata.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(metadata: dict[str, Any], name: str, issuer: str) -> str:
    """The URL of this name. https, but for a provider that is served on this machine and says http itself."""
    url = metadata.get(name)
    match = http.URL.fullmatch(url) if isinstance(url, str) and len(url) <= http.MAX_URL else None
    if match is None or int(match["port"] or 0) >= 2**16:
        raise ProviderError(debug=f"the metadata's {name} is no URL that is called")
    local = issuer.startswith("http://") and match["host"] in HOSTS_OF_THIS_MACHINE
    if match["scheme"] != "https" and not local:
        raise ProviderError(debug=f"the metadata's {name} is not https")
    return match[0]


def _lifetime(answer: Answer, least: int, most: int) -> int:
    """Seconds that an answer stays fresh (RFC 9111 section 4.2): max-age less its Age, within bounds of our own."""
    directives = answer.headers.get("Cache-Control", "")
    if NOT_KEPT.search(directives):
        return least
    match = MAX_AGE.search(directives)
    if match is None:
        return FRESH_BY_DEFAULT
    age = answer.headers.get("Age", "")
    spent = int(age) if age.isascii() and age.isdecimal() and len(age) < len("1000000000") else 0
    return min(max(int(match[1]) - spent, least), most)
