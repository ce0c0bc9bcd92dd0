"""What Keyturn does: a folder for each capability, a file for each use case.

Each use case is put together once, and never compared, printed or changed: what a dataclass would generate for that is
left out, which is 0.4 ms of a cold start for each of a dozen (docs/performance.md). They take the settings that they
use, and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.crypto.csrf_tokens import CsrfTokens
    from chalicelib.crypto.keyring import KeyRing
    from chalicelib.crypto.refresh_tokens import RefreshTokenCodec
    from chalicelib.ports import AccessTokenCodec, Clock
    from chalicelib.services.accounts.accounts import Accounts
    from chalicelib.services.accounts.change_password import ChangePassword
    from chalicelib.services.accounts.log_in import LogIn
    from chalicelib.services.accounts.sign_up import SignUp
    from chalicelib.services.federation.begin import BeginLogin
    from chalicelib.services.federation.exchange import ExchangeCode
    from chalicelib.services.federation.finish import FinishLogin
    from chalicelib.services.federation.identities import Identities
    from chalicelib.services.federation.providers import Providers
    from chalicelib.services.security_events import SecurityEvents
    from chalicelib.services.sessions.introspection import Introspection
    from chalicelib.services.sessions.refresh import Refresh
    from chalicelib.services.sessions.renewals import Renewals
    from chalicelib.services.sessions.revocation import Revocation
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.settings.config import Config


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class Services:
    """Everything that handlers call; functions/api.py puts it together."""

    config: Config
    clock: Clock
    keys: KeyRing
    access_tokens: AccessTokenCodec
    refresh_tokens: RefreshTokenCodec
    csrf_tokens: CsrfTokens
    sign_up: SignUp
    log_in: LogIn
    change_password: ChangePassword
    accounts: Accounts
    sessions: Sessions
    refresh: Refresh
    renewals: Renewals
    introspection: Introspection
    revocation: Revocation
    providers: Providers
    begin_login: BeginLogin
    finish_login: FinishLogin
    exchange_code: ExchangeCode
    identities: Identities
    security_events: SecurityEvents
