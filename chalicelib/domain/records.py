"""What Keyturn knows about people and their sessions. Pure, frozen; times are whole seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.events import Rank

Transport = Literal["cookie", "body", "session"]
TRANSPORTS: tuple[Transport, ...] = ("cookie", "body", "session")


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request came from, as the gateway saw it: never from a header that the caller can set."""

    address: str
    user_agent: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account. `epoch` counts revocations: tokens and sessions of an older epoch are dead.

    Accounts are unique by `email`, the canonical address. `address` is the address as it was typed or proven, where
    that is another spelling.
    """

    sub: str
    email: str
    epoch: int = 0
    disabled: bool = False
    roles: tuple[str, ...] = ()
    email_verified: bool = False
    address: str | None = None

    @property
    def held_address(self) -> str:
        """The address that the account holds: where its mail goes, and what its owner is shown."""
        return self.email if self.address is None else self.address

    def proven(self, address: str) -> Account:
        """The account with its address as it has been proven."""
        return replace(self, email_verified=True, address=None if address == self.email else address)


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """An identity that opens an account: the provider's, and `subject` at `issuer`, which is the configured issuer.

    `email` is what the provider told when it was linked: for the person to know it by, never to decide by.
    """

    provider: str
    issuer: str
    subject: str
    email: str
    linked_at: int


@dataclass(frozen=True, slots=True)
class Login:
    """An account with its ways in: the digest that a password is verified against, if any, and identities.

    `given_up` are the providers whose identity its owner has removed: no address links one again, the owner does.
    """

    account: Account
    password_digest: str | None
    identities: tuple[LinkedIdentity, ...] = ()
    given_up: tuple[str, ...] = ()

    def identity(self, provider: str) -> LinkedIdentity | None:
        """The identity of this provider; an account has one of each at most."""
        return next((identity for identity in self.identities if identity.provider == provider), None)


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A login that a browser has begun at an identity provider, and may finish once until `expires_at`.

    `linking` is (sub, sid, generation) of the credential that asked to link what comes of it; None where it is to begin
    a session. `max_age` is how many seconds ago the provider may have seen the person; None where any login will do.
    """

    provider: str
    return_to: str
    transport: Transport
    expires_at: int
    linking: tuple[str, str, int] | None = None
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """An authorization code with what has to fit it (RFC 6749 section 4.1.3, RFC 7636, OpenID Connect's nonce)."""

    code: str = field(repr=False)
    code_verifier: str = field(repr=False)
    redirect_uri: str
    nonce: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as an identity provider has just vouched for them.

    `issuer` is the configured one, whatever the token's spelling of it. `email` and `email_verified` are None where the
    provider has not told them yet; `access_token` is what it can be asked with. `auth_time` is when it saw the person.
    """

    provider: str
    issuer: str
    subject: str
    email: str | None = None
    email_verified: bool | None = None
    auth_time: int | None = None
    access_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """One login on one device, and the generation of refresh token that it holds. domain/rotation.py draws the line.

    `digest` is SHA-256 of the held generation's secret. `wrapped` is that secret, encrypted under its predecessor's:
    whoever presents the predecessor inside the rotation window is answered with the same successor. `key_id` names the
    root secret that authenticates the held token, so that the same successor is the same string across key rotation.
    Tokens of a generation under `floor` are dead: the session's credentials were renewed since.

    `device` is the id that the login's answer issued to its device (16 bytes; empty where the session has none). A late
    answer turns the key for that device: `late_base` is the generation that was answered late, `late_wrapped` the held
    secret, encrypted under that generation's, and `late_at` are the times of the last two late answers.

    `address` and `user_agent` are the login's. `answered` stands for those that the last turn was answered to
    (`answered_to` in crypto/refresh_tokens.py), so that nothing here tells its owner's list when the key was turned.

    With transport `session` there is no refresh token: the cookie's secret is of `generation`, which a renewal alone
    raises, nothing is wrapped, and `used_at` is the last use, to the minute.
    """

    sub: str
    sid: str
    generation: int
    digest: bytes
    wrapped: bytes
    key_id: str
    epoch: int
    created_at: int
    rotated_at: int
    idle_expires_at: int
    absolute_expires_at: int
    transport: Transport
    auth_time: int
    amr: tuple[str, ...]
    address: str
    user_agent: str
    answered: bytes = b""
    floor: int = 0
    device: bytes = b""
    late_base: int | None = None
    late_wrapped: bytes = b""
    late_at: tuple[int, ...] = ()
    used_at: int = 0

    @property
    def last_used_at(self) -> int:
        """The last use that is known: a turn, a renewal, or the note of a session cookie's use.

        Of a refresh token no use is noted: a note in its session has been written by somebody else.
        """
        return max(self.rotated_at, self.used_at) if self.transport == "session" else self.rotated_at

    def ends_at(self, now: int) -> int:
        """When the session ends if it is not used again: at the first of its limits.

        It ends as long after its last use as it was given at its last turn. A note of a use that is still to come
        counts as a use of now: its writer may move no limit further than a use does.
        """
        last_used_at = min(self.last_used_at, max(self.rotated_at, now))
        return min(last_used_at + self.idle_expires_at - self.rotated_at, self.absolute_expires_at)

    def lives(self, epoch: int, now: int) -> bool:
        """Whether the session is accepted: of this account's epoch, and within both limits (ASVS V7.3.1, V7.3.2)."""
        return self.epoch == epoch and now < self.ends_at(now)


@dataclass(frozen=True, slots=True)
class AccessTokenClaims:
    """The claims of an access token (RFC 9068 section 2.2) that Keyturn decides by."""

    sub: str
    sid: str
    jti: str
    ver: int
    iat: int
    exp: int
    auth_time: int
    amr: tuple[str, ...]
    roles: tuple[str, ...]
    scope: str
    email_verified: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a guarded handler acts for: what the authorizer found behind a credential that it accepted.

    `auth_time` is when the person was authenticated, in seconds since the epoch.
    """

    sub: str
    sid: str
    roles: tuple[str, ...]
    scope: str
    email_verified: bool
    auth_time: int


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One decision about an account, as its owner may read it until `expires_at`.

    `id` tells events of one second apart, the same for each delivery of one event. `event` and `outcome` are of
    domain/events.py, and so is `rank`, which says what displaces it from the list; `facts` say why and by what, and
    hold no secret. The list has it from `shown_at` on.
    """

    sub: str
    at: int
    id: str
    event: str
    outcome: str
    request_id: str
    address: str
    user_agent: str
    facts: Mapping[str, str]
    shown_at: int
    expires_at: int
    rank: Rank = "other"
