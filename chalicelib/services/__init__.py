"""What Keyturn does: one group of use cases a file.

Each group is put together once, and never compared, printed or changed: what a dataclass would generate for that is
left out, which is 0.4 ms of a cold start for each of a dozen (docs/performance.md).
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
    from chalicelib.services.federation.flow import Federation
    from chalicelib.services.federation.identities import Identities
    from chalicelib.services.security_events import SecurityEvents
    from chalicelib.services.sessions.introspection import Introspection
    from chalicelib.services.sessions.refresh import Tokens
    from chalicelib.services.sessions.renewals import Renewals
    from chalicelib.services.sessions.revocation import Revocation
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.settings.config import Config


@dataclass(slots=True, eq=False, repr=False)
class Services:
    """Everything that handlers call; functions/api.py puts it together."""

    config: Config
    clock: Clock
    keys: KeyRing
    accounts: Accounts
    sessions: Sessions
    tokens: Tokens
    renewals: Renewals
    access_tokens: AccessTokenCodec
    refresh_tokens: RefreshTokenCodec
    csrf_tokens: CsrfTokens
    federation: Federation
    identities: Identities
    introspection: Introspection
    revocation: Revocation
    security_events: SecurityEvents
