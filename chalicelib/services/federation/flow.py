"""Federation: logging in at an identity provider with an authorization code (OpenID Connect Core section 3.1).

By the browser flow Keyturn makes the request and is called back; by the exchange flow a frontend or a native app has
made it and brings the code. What either means for accounts stands in arrivals.py and identities.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.login_states import BROWSER_SECRET_BYTES, IDENTIFIER_BYTES, Binding, bind, page_tag
from chalicelib.domain.records import AuthorizationCode, PendingLogin
from chalicelib.errors import (
    AccessDenied,
    AuthError,
    EmailTaken,
    InsufficientUserAuthentication,
    InvalidRequest,
    LoginExpired,
    ProviderError,
    ProviderNotFound,
    Unavailable,
)
from chalicelib.services.federation.log_in import SessionRequest
from chalicelib.services.federation.reloads import has_come_through
from chalicelib.services.federation.requests import AuthorizationRequest, Return

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.crypto.device_tokens import DeviceTokens
    from chalicelib.crypto.login_states import LoginState, LoginStates
    from chalicelib.crypto.refresh_tokens import RefreshToken
    from chalicelib.domain.records import Caller, Identity, Principal
    from chalicelib.ports import AuditLog, Clock, IdentityProvider, TokenSource
    from chalicelib.services.attempts import Attempts
    from chalicelib.services.federation.identities import Identities
    from chalicelib.services.federation.log_in import ProviderLogins
    from chalicelib.services.federation.requests import Callback, LoginRequest
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.services.sessions.renewals import Renewals
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.settings.config import Config
    from chalicelib.store.protocol import AccountsAndPendingLogins

LOGIN_SECONDS = 600
CLOCK_LEEWAY = 60  # seconds that the provider's clock may be behind

# The person gave up or said no. RFC 6749 has the first; Apple sends the second, LinkedIn the last two.
REFUSED_BY_PERSON = frozenset({"access_denied", "user_cancelled_authorize", "user_cancelled_login"})

# RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6. Any other text is the caller's, and not for the log.
AUTHORIZATION_ERRORS = frozenset(
    {
        "invalid_request",
        "unauthorized_client",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "interaction_required",
        "login_required",
        "account_selection_required",
        "consent_required",
    }
)


@dataclass(slots=True, eq=False, repr=False)
class Federation:
    """The use cases of logging in, and of linking, at an identity provider."""

    store: AccountsAndPendingLogins
    sessions: Sessions
    renewals: Renewals
    provider_logins: ProviderLogins
    identities: Identities
    providers: Mapping[str, IdentityProvider]
    states: LoginStates
    attempts: Attempts
    devices: DeviceTokens
    clock: Clock
    source: TokenSource
    audit: AuditLog
    config: Config

    def provider(self, name: str) -> IdentityProvider:
        """The provider. ProviderNotFound, with nothing looked up, where it is not switched on (CVE-2026-33538)."""
        if name not in self.providers:
            raise ProviderNotFound(debug="unknown, or not configured")
        return self.providers[name]

    def begin(
        self, name: str, request: LoginRequest, browser_secret: bytes | None, caller: Caller
    ) -> AuthorizationRequest:
        """Begin a login: keep it for ten minutes, for this browser.

        InvalidRequest for a page that is not on the allow-list, compared byte for byte; TooManyRequests; what the
        provider raises while its metadata cannot be read.
        """
        return self._request_authorization(name, request, browser_secret, caller, linking=None)

    def begin_linking(
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
        Renewals.asking; else as `begin`.
        """
        self.provider(name)
        self.sessions.require_recent_login(principal)
        session, _ = self.renewals.asking(principal.sub, principal.sid, presented, caller, self.clock.now())
        linking = (session.sub, session.sid, session.generation)
        return self._request_authorization(name, request, browser_secret, caller, linking=linking)

    def finish(self, name: str, callback: Callback, caller: Caller) -> Return:
        """Finish a login that this browser began, once.

        LoginExpired for a state that is not ours: it names no page. Every other refusal goes back to the page as its
        code. Unavailable where the pending login cannot be taken: the browser may load the same URL again. Loaded again
        after it has succeeded, it leads to the page, without an error and without a grant.
        """
        provider = self.provider(name)
        state = self.states.verify(callback.state, name)
        page = next((page for page in self.config.return_to if page_tag(page) == state.page), None)
        if page is None:
            raise LoginExpired(debug="its page is no longer allowed")
        if callback.browser_secret is None:
            return self._late(name, page, state, callback, "a browser that began no login", caller)
        if self.clock.now() >= state.expires_at:
            return self._late(name, page, state, callback, "expired", caller)
        binding = bind(state.identifier, callback.browser_secret)
        attempt = b64url(self.source.token(IDENTIFIER_BYTES))
        pending = self.store.take_login(binding.digest, attempt, self.clock.now())
        if pending is None or pending.provider != name:
            why = "finished already, or begun in another browser"
            return self._late(name, page, state, callback, why, caller)
        try:
            grant = self._conclude(name, provider, callback, binding, pending, caller)
        except AuthError as refusal:
            return self._refuse(name, pending.return_to, refusal, caller)
        return Return(pending.return_to, grant, linked=pending.linking is not None)

    def exchange(self, name: str, code: AuthorizationCode, wanted: SessionRequest) -> Grant:
        """Begin a session with a code that a frontend or an app has been given.

        InvalidRequest for a redirect URI that is not configured; InvalidCode; TooManyRequests before the provider is
        asked; what ProviderLogins.log_in raises.
        """
        provider = self.provider(name)
        identity = self._redeem(provider, code, wanted.caller, wanted.device_token)
        try:
            return self.provider_logins.log_in(identity, provider, wanted)
        except EmailTaken as refusal:
            self._record(name, refusal, wanted.caller)
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
        """Link the identity that the code stands for to the account; as `begin_linking` and `exchange`.

        The credential is looked at before the code is redeemed, which is good for once.
        """
        provider = self.provider(name)
        self.sessions.require_recent_login(principal)
        self.renewals.asking(principal.sub, principal.sid, presented, caller, self.clock.now())
        identity = self._redeem(provider, code, caller, device_token)
        grant = self.identities.link(principal.sub, principal.sid, identity, provider, presented, caller)
        if grant is None:
            raise Unavailable(debug="no grant of a link that renews")
        return grant

    def _request_authorization(
        self,
        name: str,
        request: LoginRequest,
        browser_secret: bytes | None,
        caller: Caller,
        *,
        linking: tuple[str, str, int] | None,
    ) -> AuthorizationRequest:
        provider = self.provider(name)
        if request.return_to not in self.config.return_to:
            detail = "return_to is not on the list of allowed pages."
            raise InvalidRequest(detail)
        now = self.clock.now()
        secret = browser_secret or self.source.token(BROWSER_SECRET_BYTES)
        identifier = self.source.token(IDENTIFIER_BYTES)
        binding = bind(identifier, secret)
        expires_at = now + LOGIN_SECONDS
        state = self.states.issue(name, identifier, request.return_to, expires_at)
        browser = self.devices.known_browser(request.device_token, now)
        try:
            url = provider.authorization_url(
                redirect_uri=self._callback_url(name),
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

    def _conclude(
        self,
        name: str,
        provider: IdentityProvider,
        callback: Callback,
        binding: Binding,
        pending: PendingLogin,
        caller: Caller,
    ) -> Grant | None:
        # RFC 9207 section 2.4: an error of another issuer is no answer to our request either.
        provider.check_issuer(callback.iss)
        if callback.error in REFUSED_BY_PERSON:
            raise AccessDenied(debug="the person or the provider refused")
        if callback.error is not None:
            known = callback.error if callback.error in AUTHORIZATION_ERRORS else "an unknown error"
            raise ProviderError(debug=f"authorization response: {known}")
        if callback.code is None:
            raise InvalidRequest(debug="neither a code nor an error")
        code = AuthorizationCode(callback.code, binding.code_verifier, self._callback_url(name), binding.nonce)
        identity = provider.identify(code)
        self._require_recent(identity, pending)
        if pending.linking is None:
            wanted = SessionRequest(
                transport=pending.transport,
                caller=caller,
                carried=callback.carried,
                device_token=callback.device_token,
            )
            return self.provider_logins.log_in(identity, provider, wanted)
        sub, sid, generation = pending.linking
        # The browser's cookie of that session, where it has one: then it is renewed, as by every link.
        own = next((held for held in callback.carried if (held.sub, held.sid) == (sub, sid)), None)
        return self.identities.link(sub, sid, identity, provider, own, caller, proven_by=generation)

    def _require_recent(self, identity: Identity, pending: PendingLogin) -> None:
        # OpenID Connect Core section 3.1.3.7: who asked for a recent login has to check auth_time. It counts from the
        # request on, because the person may take their time at the provider.
        if pending.max_age is None:
            return
        oldest = pending.expires_at - LOGIN_SECONDS - pending.max_age - CLOCK_LEEWAY
        if identity.auth_time is None or identity.auth_time < oldest:
            raise InsufficientUserAuthentication(pending.max_age, debug="the provider vouches for no recent login")

    def _redeem(
        self, provider: IdentityProvider, code: AuthorizationCode, caller: Caller, device_token: str | None
    ) -> Identity:
        # A code that was sent to Keyturn's own callback is not among these: nobody else can redeem it.
        if code.redirect_uri not in self.config.return_to and not provider.knows_redirect(code.redirect_uri):
            detail = "redirect_uri is not configured."
            raise InvalidRequest(detail)
        self.attempts.log_in_at_provider(caller, self.devices.known_browser(device_token, self.clock.now()))
        return provider.identify(code)

    def _callback_url(self, name: str) -> str:
        return f"{self.config.issuer}/login/{name}/callback"

    def _late(self, name: str, page: str, state: LoginState, callback: Callback, why: str, caller: Caller) -> Return:
        began = state.expires_at - LOGIN_SECONDS
        if has_come_through(self.store, self.sessions, name, began, callback.carried):
            return Return(page)
        return self._refuse(name, page, LoginExpired(debug=why), caller)

    def _refuse(self, name: str, page: str, refusal: AuthError, caller: Caller) -> Return:
        self._record(name, refusal, caller)
        return Return(page, error=refusal.code)

    def _record(self, name: str, refusal: AuthError, caller: Caller) -> None:
        self.audit.record("login_refused", caller, method=name, code=refusal.code, why=refusal.debug)
