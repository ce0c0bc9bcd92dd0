"""Beginning a login, or a link, at an identity provider (OpenID Connect Core section 3.1.2.1).

The request is Keyturn's own; what a frontend or an app has asked for by itself is in exchange.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.login_states import BROWSER_SECRET_BYTES, IDENTIFIER_BYTES, bind
from chalicelib.domain.federation import PendingLogin
from chalicelib.errors import InvalidRequest, Unavailable
from chalicelib.services.federation.requests import LOGIN_SECONDS, AuthorizationRequest

if TYPE_CHECKING:
    from chalicelib.crypto.device_tokens import DeviceTokens
    from chalicelib.crypto.login_states import LoginStates
    from chalicelib.domain.callers import Caller, Principal
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services.attempts import Attempts
    from chalicelib.services.federation.providers import Providers
    from chalicelib.services.federation.requests import LoginRequest
    from chalicelib.services.sessions.renewals import Renewals
    from chalicelib.services.surroundings import Surroundings
    from chalicelib.store.protocol import PendingLoginStore


@dataclass(slots=True, eq=False, repr=False)
class BeginLogin:
    """The use case, with a session that asks for a link and without."""

    store: PendingLoginStore
    renewals: Renewals
    providers: Providers
    states: LoginStates
    attempts: Attempts
    devices: DeviceTokens
    around: Surroundings

    def __call__(
        self, name: str, request: LoginRequest, browser_secret: bytes | None, caller: Caller
    ) -> AuthorizationRequest:
        """Begin a login: keep it for ten minutes, for this browser.

        InvalidRequest for a page that is not on the allow-list, compared byte for byte; TooManyRequests; what the
        provider raises while its metadata cannot be read.
        """
        return self._request_authorization(name, request, browser_secret, caller, linking=None)

    def linking(
        self,
        principal: Principal,
        name: str,
        request: LoginRequest,
        browser_secret: bytes | None,
        presented: RefreshToken | None,
        caller: Caller,
    ) -> AuthorizationRequest:
        """Begin a login whose identity is to be linked to the account, if the session that asks still lives then.

        InsufficientUserAuthentication where the presented login is too long ago; CredentialRequired and InvalidGrant as
        Renewals.asking; else as `__call__`.
        """
        self.providers.get(name)
        self.renewals.sessions.require_recent_login(principal)
        session, _ = self.renewals.asking(principal.sub, principal.sid, presented, caller, self.around.clock.now())
        linking = (session.sub, session.sid, session.generation)
        return self._request_authorization(name, request, browser_secret, caller, linking=linking)

    def _request_authorization(
        self,
        name: str,
        request: LoginRequest,
        browser_secret: bytes | None,
        caller: Caller,
        *,
        linking: tuple[str, str, int] | None,
    ) -> AuthorizationRequest:
        provider = self.providers.get(name)
        if request.return_to not in self.providers.return_to:
            detail = "return_to is not on the list of allowed pages."
            raise InvalidRequest(detail)
        now = self.around.clock.now()
        secret = browser_secret or self.around.source.token(BROWSER_SECRET_BYTES)
        identifier = self.around.source.token(IDENTIFIER_BYTES)
        binding = bind(identifier, secret)
        expires_at = now + LOGIN_SECONDS
        state = self.states.issue(name, identifier, request.return_to, expires_at)
        browser = self.devices.known_browser(request.device_token, now)
        try:
            url = provider.authorization_url(
                redirect_uri=self.providers.callback_url(name),
                state=state,
                nonce=binding.nonce,
                code_challenge=binding.code_challenge,
                max_age=request.max_age,
            )
        except Unavailable:
            # Whoever keeps asking while the provider is away keeps functions waiting for it.
            self.attempts.log_in_at_provider(caller, browser)
            raise
        pending = PendingLogin(name, request.return_to, request.transport, expires_at, linking, request.max_age)
        keep = partial(self.store.begin_login, binding.digest, pending)
        self.attempts.log_in_at_provider(caller, browser, keep)
        return AuthorizationRequest(url, state, b64url(secret))
