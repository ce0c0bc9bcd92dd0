"""What clients do, one line each, and what must be true of the tokens that they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chalicelib.crypto.passwords import Argon2PasswordHasher, Profile
from chalicelib.domain.callers import Caller, Principal
from chalicelib.errors import InvalidGrant, InvalidToken, Unavailable
from chalicelib.services.accounts.credentials import Credentials
from chalicelib.services.sessions.authorization import principal_of
from infra import keys
from tests.world.constants import CLIENT, PASSWORD
from tests.world.keyturn import Keyturn, config
from tests.world.parameters import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.domain.accounts import Account
    from chalicelib.domain.callers import Transport
    from chalicelib.domain.federation import AuthorizationCode
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.ports import PasswordHasher
    from chalicelib.services import Services
    from chalicelib.services.sessions.grants import Grant, RefreshGrant
    from chalicelib.store.protocol import Store

EMAIL = "alice@example.com"
WRONG_PASSWORD = "wrong horse battery"
NEW_PASSWORD = "fresh horse battery"
ELSEWHERE = Caller(address="198.51.100.9", user_agent="somebody else's browser", request_id="request-2")


class CountingHasher:
    """A password hasher that remembers what was asked of it."""

    def __init__(self, inner: PasswordHasher) -> None:
        self._inner = inner
        self.calls: list[str] = []

    def hash(self, password: str) -> str:
        """As PasswordHasher."""
        self.calls.append("hash")
        return self._inner.hash(password)

    def verify(self, password_digest: str | None, password: str) -> bool:
        """As PasswordHasher."""
        self.calls.append("verify")
        return self._inner.verify(password_digest, password)

    def needs_rehash(self, password_digest: str) -> bool:
        """As PasswordHasher; costs nothing, so it is not remembered."""
        return self._inner.needs_rehash(password_digest)


class Exhausted:
    """A password hasher on a machine without memory, for `inner` where it is not `failing` at that."""

    def __init__(self, inner: PasswordHasher | None = None, failing: tuple[str, ...] = ("hash", "verify")) -> None:
        self._inner = inner
        self._failing = failing

    def hash(self, password: str) -> str:
        """As PasswordHasher."""
        if "hash" in self._failing or self._inner is None:
            raise Unavailable(debug="no memory")
        return self._inner.hash(password)

    def verify(self, password_digest: str | None, password: str) -> bool:
        """As PasswordHasher."""
        if "verify" in self._failing or self._inner is None:
            raise Unavailable(debug="no memory")
        return self._inner.verify(password_digest, password)

    def needs_rehash(self, password_digest: str) -> bool:
        """As PasswordHasher."""
        return self._inner is not None and self._inner.needs_rehash(password_digest)


def with_hasher(services: Services, hasher: PasswordHasher) -> Services:
    """The same services with another password hasher."""
    hashing = replace(services.log_in.hashing, hasher=hasher)
    return replace(
        services,
        sign_up=replace(services.sign_up, hashing=hashing),
        log_in=replace(services.log_in, hashing=hashing),
        change_password=replace(services.change_password, hashing=hashing),
    )


def with_dearer_hash(services: Services) -> Services:
    """The same services after the operator has raised the hash's parameters: every digest is made again at login."""
    return with_hasher(services, Argon2PasswordHasher(Profile(memory_cost=16, time_cost=1, parallelism=1)))


def credentials(
    password: str = PASSWORD,
    *,
    email: str = EMAIL,
    transport: Transport = "body",
    carried: RefreshToken | None = None,
    device_token: str | None = None,
) -> Credentials:
    """What a client sends to sign up or log in."""
    return Credentials(
        email=email,
        password=password,
        transport=transport,
        carried=(carried,) if carried else (),
        device_token=device_token,
    )


def sign_up(
    services: Services,
    *,
    email: str = EMAIL,
    transport: Transport = "body",
    carried: RefreshToken | None = None,
    client: Caller = CLIENT,
) -> Grant:
    """Make the account."""
    return services.sign_up(credentials(email=email, transport=transport, carried=carried), client)


def log_in(
    services: Services,
    password: str = PASSWORD,
    *,
    email: str = EMAIL,
    transport: Transport = "body",
    carried: RefreshToken | None = None,
    device_token: str | None = None,
    client: Caller = CLIENT,
) -> Grant:
    """Begin a session."""
    sent = credentials(password, email=email, transport=transport, carried=carried, device_token=device_token)
    return services.log_in(sent, client)


def long_lived(grant: Grant) -> RefreshGrant:
    """The long-lived half of a grant."""
    return grant.refresh


def bearer(grant: Grant) -> str:
    """The access token of a grant that has one."""
    assert grant.access_token is not None
    return grant.access_token


def device_token(grant: Grant) -> str:
    """What the grant's device is known by from now on."""
    assert grant.device_token is not None
    return grant.device_token


def decoded(services: Services, grant: Grant) -> RefreshToken:
    """The grant's refresh token, taken apart."""
    refresh = long_lived(grant)
    return services.refresh_tokens.decode(refresh.refresh_token, refresh.transport)


def refresh(services: Services, grant: Grant, client: Caller = CLIENT, *, device_token: str | None = None) -> Grant:
    """Present the grant's refresh token."""
    return services.refresh(decoded(services, grant), client, device_token)


def log_out(services: Services, grant: Grant) -> None:
    """End the grant's session as its holder."""
    services.sessions.log_out([decoded(services, grant)], None, CLIENT)


def holder(services: Services, grant: Grant) -> Principal:
    """Whom the authorizer takes the grant's holder for."""
    if grant.access_token is None:
        account, now = grant.account, services.clock.now()
        return Principal(account.sub, grant.session_id, account.roles, "", account.email_verified, now)
    return principal_of(services.access_tokens.verify(grant.access_token, services.clock.now(), accept_expired=True))


def change_password(
    services: Services,
    grant: Grant,
    current: str | None = PASSWORD,
    new: str = NEW_PASSWORD,
    *,
    device_token: str | None = None,
) -> Grant:
    """Change the password as the grant's holder, who brings its long-lived credential along."""
    return services.change_password(
        holder(services, grant), current, new, decoded(services, grant), CLIENT, device_token=device_token
    )


def link(
    services: Services, grant: Grant, name: str, code: AuthorizationCode, *, device_token: str | None = None
) -> Grant:
    """Link the identity of the code as the grant's holder."""
    return services.exchange_code.link(
        holder(services, grant), name, code, decoded(services, grant), CLIENT, device_token
    )


def unlink(services: Services, grant: Grant, name: str) -> Grant:
    """Unlink the provider's identity as the grant's holder."""
    return services.identities.unlink(holder(services, grant), name, decoded(services, grant), CLIENT)


def deny_sessions(store: Store, sub: str, *sids: str, now: int) -> None:
    """Put sessions on the blacklist, which has room for them."""
    for sid in sids:
        assert store.deny_session(sub, sid, now=now) is None


def account_of(keyturn: Keyturn, grant: Grant) -> Account:
    """The grant's account as the table holds it."""
    account = keyturn.store.find_account(grant.account.sub)
    assert account is not None
    return account


def generation_of(keyturn: Keyturn, grant: Grant) -> int:
    """The generation that the grant's session holds."""
    session = keyturn.store.find_session(grant.account.sub, grant.session_id)
    assert session is not None
    return session.generation


def publish_keys(keyturn: Keyturn) -> None:
    """Rotate the keys as an operator does: the new ones are used ten minutes later."""
    keys.rotate(keyturn.parameters, PREFIX, "ES256", keyturn.clock.now())  # type: ignore[arg-type]  # what it calls of boto3's client


def assert_works(keyturn: Keyturn, grant: Grant) -> Grant:
    """The grant's tokens are accepted, by containers that have seen nothing yet; the successor that this takes.

    A session cookie has no successor.
    """
    if grant.access_token is None:
        assert keyturn.enter(grant).sid == grant.session_id
        return grant
    assert keyturn.authorize(grant.access_token).sid == grant.session_id
    successor = refresh(keyturn.container(), grant)
    assert successor.session_id == grant.session_id
    assert keyturn.authorize(successor.access_token).sid == grant.session_id
    return successor


def assert_dead(keyturn: Keyturn, *grants: Grant) -> None:
    """No token of these grants is accepted by any container. The newest grants come first: old tokens end sessions."""
    for grant in grants:
        if grant.access_token is None:
            assert _refuses(InvalidToken, keyturn.enter, grant), "a session cookie lives"
            continue
        assert _refuses(InvalidToken, keyturn.authorize, grant.access_token), "an access token lives"
        presented, cold = decoded(keyturn.services, grant), keyturn.container()
        assert _refuses(InvalidGrant, cold.refresh, presented, CLIENT), "a refresh token lives"


def without_signing_key(keyturn: Keyturn) -> Services:
    """A container that read the key sets just before the key store went away, but not the private key."""
    keyturn.parameters.away = False
    services = keyturn.container()
    services.keys.session_secret()
    keyturn.parameters.away = True
    return services


def redeployed(keyturn: Keyturn, **settings: Any) -> Keyturn:
    """The same world after a deployment with other settings."""
    return Keyturn(keyturn.store, keyturn.clock, keyturn.parameters, keyturn.audit, config(**settings))


def tampered(keyturn: Keyturn, grant: Grant, *, generations: int = 0, secret: bytes | None = None) -> RefreshToken:
    """A credential that only somebody with the MAC key can make: of another generation, with another secret."""
    genuine, transport = decoded(keyturn.services, grant), long_lived(grant).transport
    made = replace(genuine, generation=genuine.generation + generations, secret=secret or genuine.secret)
    text = keyturn.services.refresh_tokens.encode(made, keyturn.services.refresh_tokens.current_key_id(), transport)
    return keyturn.services.refresh_tokens.decode(text, transport)


def _refuses(refusal: type[Exception], act: Callable[..., object], *arguments: object) -> bool:
    try:
        act(*arguments)
    except refusal:
        return True
    return False
