"""The API's function: what handlers call is composed once a container, at the first request that needs it."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from chalicelib import deadline
from chalicelib.crypto.access_tokens import JwtAccessTokenCodec
from chalicelib.crypto.csrf_tokens import CsrfTokens
from chalicelib.crypto.device_tokens import DeviceTokens
from chalicelib.crypto.keys import LOGINS, SESSIONS
from chalicelib.crypto.login_states import LoginStates
from chalicelib.crypto.passwords import LOCAL_MEMORY, PROFILES, Argon2PasswordHasher
from chalicelib.crypto.random import SystemTokenSource
from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
from chalicelib.functions import container
from chalicelib.services import Services
from chalicelib.services.accounts.accounts import Accounts
from chalicelib.services.accounts.change_password import ChangePassword
from chalicelib.services.accounts.hashing import Hashing
from chalicelib.services.accounts.log_in import LogIn
from chalicelib.services.accounts.new_passwords import NewPasswords
from chalicelib.services.accounts.sign_up import SignUp
from chalicelib.services.attempts import Attempts
from chalicelib.services.federation.begin import BeginLogin
from chalicelib.services.federation.exchange import ExchangeCode
from chalicelib.services.federation.finish import FinishLogin
from chalicelib.services.federation.identities import Identities
from chalicelib.services.federation.log_in import ProviderLogins
from chalicelib.services.federation.providers import Providers
from chalicelib.services.security_events import SecurityEvents
from chalicelib.services.sessions.authorization import Authorization
from chalicelib.services.sessions.begin import NewSessions
from chalicelib.services.sessions.grants import Grants
from chalicelib.services.sessions.introspection import Introspection
from chalicelib.services.sessions.refresh import Refresh
from chalicelib.services.sessions.renewals import Renewals
from chalicelib.services.sessions.revocation import Revocation
from chalicelib.services.sessions.sessions import Sessions
from chalicelib.services.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.crypto.keyring import KeyRing
    from chalicelib.ports import AuditLog, BreachedPasswords, Clock, IdentityProvider, ParameterSource
    from chalicelib.settings.config import Config
    from chalicelib.store.protocol import Store


@lru_cache(maxsize=1)
def services() -> Services:
    """Everything that handlers call.

    ConfigurationError where a setting, a key or a secret is missing or a placeholder; Unavailable where the parameter
    store is away. Neither is remembered: the next request asks again.
    """
    parts = container.parts(groups=(SESSIONS, LOGINS))
    # Asked now, so that a container without keys refuses its first request whole, and not in the middle of a login.
    with deadline.start():
        parts.keys.signing_key()
        parts.keys.session_secret()
        parts.keys.login_secret()
    connected = _connected(parts.config, parts.parameters)
    return compose(parts.config, parts.keys, parts.store, connected, container.clock, container.audit)


class Product:
    """What answering takes, looked up at each request, because nothing is read before the first."""

    @property
    def audit(self) -> AuditLog:
        """The log."""
        return container.audit

    def config(self) -> Config:
        """The settings. ConfigurationError."""
        return container.config()

    def services(self) -> Services:
        """Everything that handlers call, as `services` above."""
        return services()


def _connected(config: Config, parameters: ParameterSource) -> Mapping[str, IdentityProvider]:
    """The providers that are switched on."""
    if not config.providers:
        return {}
    # 9 ms of a cold start, which a stage without providers need not pay.
    from chalicelib import providers  # noqa: PLC0415
    from chalicelib.crypto.client_secrets import SignedClientSecrets  # noqa: PLC0415
    from chalicelib.crypto.id_tokens import JwtIdTokenVerifier  # noqa: PLC0415

    return providers.connect(config.providers, parameters, JwtIdTokenVerifier(), SignedClientSecrets(), container.clock)


def _breached(config: Config) -> BreachedPasswords | None:
    """The list of breached passwords, where the operator names one."""
    if not config.passwords.breached_passwords:
        return None
    # 9 ms of a cold start: it brings the room of outside services, which a stage without a list need not pay.
    from chalicelib.providers.breached import BreachedPasswords  # noqa: PLC0415

    return BreachedPasswords(config.passwords.breached_passwords)


def _memory(environ: Mapping[str, str]) -> int:
    """MB that hashes may reckon with: Lambda tells its functions how much each has."""
    return int(environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or LOCAL_MEMORY)


def compose(
    config: Config,
    keys: KeyRing,
    store: Store,
    connected: Mapping[str, IdentityProvider],
    clock: Clock,
    audit: AuditLog,
) -> Services:
    """Services over a store, keys, providers, a clock and an audit log: here the real ones, in tests others."""
    around = Surroundings(clock, SystemTokenSource(), audit)
    access_tokens = JwtAccessTokenCodec(keys, issuer=config.issuer, audience=config.audience)
    refresh_tokens = RefreshTokenCodec(keys)
    csrf_tokens = CsrfTokens(keys)
    devices = DeviceTokens(keys, around.source)
    sessions = Sessions(store, clock, audit)
    grants = Grants(
        around.source,
        access_tokens,
        refresh_tokens,
        csrf_tokens,
        access_ttl=config.sessions.access_ttl,
        role_scopes=config.sessions.role_scopes,
    )
    new_sessions = NewSessions(
        store,
        sessions,
        grants,
        refresh_tokens,
        devices,
        around,
        idle_ttl=config.sessions.idle_ttl,
        absolute_ttl=config.sessions.absolute_ttl,
    )
    of_refreshing = {"rotation_window": config.sessions.rotation_window, "idle_ttl": config.sessions.idle_ttl}
    renewals = Renewals(sessions, grants, refresh_tokens, around, **of_refreshing)
    attempts = Attempts(
        store,
        clock,
        audit,
        login_attempts=config.limits.login_attempts,
        address_attempts=config.limits.address_attempts,
        signup_attempts=config.limits.signup_attempts,
    )
    hasher = Argon2PasswordHasher(PROFILES[config.passwords.argon2_profile], _memory(os.environ))
    hashing = Hashing(hasher, attempts)
    passwords = NewPasswords(
        _breached(config), audit, min_length=config.passwords.min_length, context_words=config.passwords.context_words
    )
    providers = Providers(connected, issuer=config.issuer, return_to=config.pages.return_to)
    provider_logins = ProviderLogins(store, sessions, new_sessions, devices, around)
    identities = Identities(store, renewals, providers, clock, audit)
    states = LoginStates(keys)
    authorization = Authorization(access_tokens, store, clock, audit, role_scopes=config.sessions.role_scopes)
    return Services(
        config=config,
        clock=clock,
        keys=keys,
        access_tokens=access_tokens,
        refresh_tokens=refresh_tokens,
        csrf_tokens=csrf_tokens,
        sign_up=SignUp(store, new_sessions, hashing, passwords, attempts, around),
        log_in=LogIn(store, new_sessions, hashing, attempts, devices, around),
        change_password=ChangePassword(store, renewals, hashing, passwords, attempts, devices, around),
        accounts=Accounts(store, clock, audit),
        sessions=sessions,
        refresh=Refresh(store, sessions, grants, refresh_tokens, devices, around, **of_refreshing),
        renewals=renewals,
        introspection=Introspection(authorization, refresh_tokens, sessions),
        revocation=Revocation(sessions, clock, access_tokens, refresh_tokens, audit),
        providers=providers,
        begin_login=BeginLogin(store, renewals, providers, states, attempts, devices, around),
        finish_login=FinishLogin(store, sessions, provider_logins, identities, providers, states, around),
        exchange_code=ExchangeCode(renewals, provider_logins, identities, providers, attempts, devices, around),
        identities=identities,
        security_events=SecurityEvents(store, clock),
    )
