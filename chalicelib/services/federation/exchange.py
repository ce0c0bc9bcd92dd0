"""Authorization codes that a frontend or a native app was given, for a request that it made itself.

(RFC 6749 section 4.1.3, RFC 7636, RFC 8252.) What Keyturn asked for itself is in begin.py and finish.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.errors import EmailTaken, InvalidRequest, Unavailable
from chalicelib.services.federation.providers import record_refusal

if TYPE_CHECKING:
    from chalicelib.crypto.device_tokens import DeviceTokens
    from chalicelib.domain.callers import Caller, Principal
    from chalicelib.domain.federation import AuthorizationCode, Identity
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.ports import IdentityProvider
    from chalicelib.services.attempts import Attempts
    from chalicelib.services.federation.identities import Identities
    from chalicelib.services.federation.log_in import ProviderLogins, SessionRequest
    from chalicelib.services.federation.providers import Providers
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.services.sessions.renewals import Renewals
    from chalicelib.services.surroundings import Surroundings


@dataclass(slots=True, eq=False, repr=False)
class ExchangeCode:
    """The use case: for a session of its own, or for a link to the account of a session."""

    renewals: Renewals
    provider_logins: ProviderLogins
    identities: Identities
    providers: Providers
    attempts: Attempts
    devices: DeviceTokens
    around: Surroundings

    def __call__(self, name: str, code: AuthorizationCode, wanted: SessionRequest) -> Grant:
        """Begin a session with a code that a frontend or an app has been given.

        InvalidRequest for a redirect URI that is not configured; InvalidCode; TooManyRequests before the provider is
        asked; what ProviderLogins.log_in raises.
        """
        provider = self.providers.get(name)
        identity = self._redeem(provider, code, wanted.caller, wanted.device_token)
        try:
            return self.provider_logins.log_in(identity, provider, wanted)
        except EmailTaken as refusal:
            record_refusal(self.around.audit, wanted.caller, name, refusal)
            raise

    def link(
        self,
        principal: Principal,
        name: str,
        code: AuthorizationCode,
        presented: RefreshToken | None,
        caller: Caller,
        device_token: str | None = None,
    ) -> Grant:
        """Link the identity that the code stands for to the account; as BeginLogin.linking and as above.

        The credential is looked at before the code is redeemed, which is good for once.
        """
        provider = self.providers.get(name)
        self.renewals.sessions.require_recent_login(principal)
        self.renewals.asking(principal.sub, principal.sid, presented, caller, self.around.clock.now())
        identity = self._redeem(provider, code, caller, device_token)
        grant = self.identities.link(principal.sub, principal.sid, identity, provider, presented, caller)
        if grant is None:
            raise Unavailable(debug="no grant of a link that renews")
        return grant

    def _redeem(
        self, provider: IdentityProvider, code: AuthorizationCode, caller: Caller, device_token: str | None
    ) -> Identity:
        # A code that was sent to Keyturn's own callback is not among these: nobody else can redeem it.
        if code.redirect_uri not in self.providers.return_to and not provider.knows_redirect(code.redirect_uri):
            detail = "redirect_uri is not configured."
            raise InvalidRequest(detail)
        self.attempts.log_in_at_provider(caller, self.devices.known_browser(device_token, self.around.clock.now()))
        return provider.identify(code)
