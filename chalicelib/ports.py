"""What services need from the world, as Protocols. functions/ chooses who answers; tests choose others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from chalicelib.domain.access_tokens import AccessTokenClaims
    from chalicelib.domain.callers import Caller
    from chalicelib.domain.federation import AuthorizationCode, Identity
    from chalicelib.domain.moments import Moment

    Jwk = Mapping[str, Any]


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> int:
        """Whole seconds since the epoch: for moments that are compared with what other processes wrote down."""

    def moment(self) -> Moment:
        """The time by both clocks: for the age of what the process keeps in memory."""


class TokenSource(Protocol):
    """The only source of randomness."""

    def token(self, size: int) -> bytes:
        """`size` bytes that nobody can guess (ASVS V11.5.1)."""


class PasswordHasher(Protocol):
    """Slow on purpose. Every call costs the same, whether there is an account or not."""

    def hash(self, password: str) -> str:
        """A digest of the password with a fresh salt, in the PHC string format."""

    def verify(self, password_digest: str | None, password: str) -> bool:
        """Whether the digest is this password's. None costs one hash and is never right (ASVS V6.3.8)."""

    def needs_rehash(self, password_digest: str) -> bool:
        """Whether the digest was made with other parameters than today's (ASVS V11.2.2)."""


class AccessTokenCodec(Protocol):
    """Signs access tokens and verifies them."""

    def prepare(self) -> None:
        """Make sure that `issue` will work. Unavailable where the key store is away: ask before writing anything."""

    def issue(self, claims: AccessTokenClaims) -> str:
        """A signed access token (RFC 9068)."""

    def require_issuable(self, claims: AccessTokenClaims) -> None:
        """ConfigurationError where a token with these claims would be refused: ask before a key is turned for it."""

    def verify(self, access_token: str, now: int, *, accept_expired: bool = False) -> AccessTokenClaims:
        """Claims of a genuine token of ours. InvalidToken for every other string, without telling why."""


class JwkSource(Protocol):
    """The keys that an identity provider publishes (RFC 7517)."""

    def jwks(self) -> Sequence[Jwk]:
        """The keys as they were read last. Unavailable or ProviderError where there are none to be had."""

    def newer_jwks(self) -> Sequence[Jwk]:
        """The keys read again, at most once a cooldown; else, and where the provider is away, the last good ones."""


class IdTokenVerifier(Protocol):
    """Verifies ID tokens (OpenID Connect Core section 3.1.3.7)."""

    def verify(
        self,
        id_token: str,
        keys: JwkSource,
        *,
        issuers: frozenset[str],
        client_id: str,
        nonce: str,
        access_token: str,
        now: int,
        trusted_audiences: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Claims of an ID token that one of `issuers` made for this client, this nonce and this access token.

        An issuer with `{tenantid}` stands for each of its tenants. `trusted_audiences` may stand beside the client.
        InvalidCode where the nonce is another one, ProviderError for everything else that is wrong with it. What the
        keys raise goes through.
        """


class ClientSecretIssuer(Protocol):
    """Signs client secrets for a provider that takes a JWT for each call."""

    def issue(self, private_key: str, *, key_id: str, team_id: str, client_id: str, audience: str, now: int) -> str:
        """A secret that is good for a few minutes from `now`. ConfigurationError where the key cannot sign."""


class IdentityProvider(Protocol):
    """An identity provider that speaks OpenID Connect, or OAuth 2 with an API for the person."""

    def knows_issuer(self, issuer: str) -> bool:
        """Whether identities of this issuer log in at the provider as it is configured."""

    def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, code_challenge: str, max_age: int | None
    ) -> str:
        """Where to send a browser to log in (RFC 6749 section 4.1.1). Unavailable, ProviderError."""

    def check_issuer(self, iss: str | None) -> None:
        """ProviderError unless an authorization response with this `iss` can be the provider's (RFC 9207)."""

    def knows_redirect(self, redirect_uri: str) -> bool:
        """Whether a native client is configured with this redirect."""

    def identify(self, code: AuthorizationCode) -> Identity:
        """Redeem the code: who logged in. InvalidCode, ProviderError, Unavailable."""

    def with_email(self, identity: Identity) -> Identity:
        """The identity with address and `email_verified`, for which userinfo is asked if one is missing."""


class BreachedPasswords(Protocol):
    """Passwords that breaches have made known, by the digits that their SHA-1 begins with."""

    def suffixes(self, prefix: str) -> frozenset[str]:
        """The other 35 capital hex digits of every one whose SHA-1 begins with these 5. Unavailable, ProviderError."""


class ParameterSource(Protocol):
    """Reads named configuration and key material from where the operator keeps it."""

    def fetch(self, names: Iterable[str]) -> Mapping[str, str]:
        """Values by name; names that do not exist are absent. Unavailable where the source does not answer."""


class AuditLog(Protocol):
    """Takes one event for each security decision."""

    def record(self, event: str, caller: Caller, **facts: str | int | bool) -> None:
        """Write the event down. `facts` never hold a token, a cookie, a password or a code (ASVS V16.2.5)."""
