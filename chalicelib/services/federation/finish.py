"""Finishing a login, or a link, that a browser began at an identity provider (OpenID Connect Core section 3.1.2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.crypto.encoding import b64url
from chalicelib.crypto.login_states import IDENTIFIER_BYTES, bind, page_tag
from chalicelib.domain.federation import AuthorizationCode
from chalicelib.errors import (
    AccessDenied,
    AuthError,
    InsufficientUserAuthentication,
    InvalidRequest,
    LoginExpired,
    ProviderError,
)
from chalicelib.services.federation.log_in import SessionRequest
from chalicelib.services.federation.providers import record_refusal
from chalicelib.services.federation.reloads import has_come_through
from chalicelib.services.federation.requests import LOGIN_SECONDS, Return

if TYPE_CHECKING:
    from chalicelib.crypto.login_states import Binding, LoginState, LoginStates
    from chalicelib.domain.callers import Caller
    from chalicelib.domain.federation import Identity, PendingLogin
    from chalicelib.ports import IdentityProvider
    from chalicelib.services.federation.identities import Identities
    from chalicelib.services.federation.log_in import ProviderLogins
    from chalicelib.services.federation.providers import Providers
    from chalicelib.services.federation.requests import Callback
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.services.sessions.sessions import Sessions
    from chalicelib.services.surroundings import Surroundings
    from chalicelib.store.protocol import AccountsAndPendingLogins

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
class FinishLogin:
    """The use case."""

    store: AccountsAndPendingLogins
    sessions: Sessions
    provider_logins: ProviderLogins
    identities: Identities
    providers: Providers
    states: LoginStates
    around: Surroundings

    def __call__(self, name: str, callback: Callback, caller: Caller) -> Return:
        """Finish a login that this browser began, once.

        LoginExpired for a state that is not ours: it names no page. Every other refusal goes back to the page as its
        code. Unavailable where the pending login cannot be taken: the browser may load the same URL again. Loaded again
        after it has succeeded, it leads to the page, without an error and without a grant.
        """
        provider = self.providers.get(name)
        state = self.states.verify(callback.state, name)
        page = next((page for page in self.providers.return_to if page_tag(page) == state.page), None)
        if page is None:
            raise LoginExpired(debug="its page is no longer allowed")
        if callback.browser_secret is None:
            return self._late(name, page, state, callback, "a browser that began no login", caller)
        if self.around.clock.now() >= state.expires_at:
            return self._late(name, page, state, callback, "expired", caller)
        binding = bind(state.identifier, callback.browser_secret)
        attempt = b64url(self.around.source.token(IDENTIFIER_BYTES))
        pending = self.store.take_login(binding.digest, attempt, self.around.clock.now())
        if pending is None or pending.provider != name:
            why = "finished already, or begun in another browser"
            return self._late(name, page, state, callback, why, caller)
        try:
            grant = self._conclude(name, provider, callback, binding, pending, caller)
        except AuthError as refusal:
            return self._refuse(name, pending.return_to, refusal, caller)
        return Return(pending.return_to, grant, linked=pending.linking is not None)

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
        code = AuthorizationCode(callback.code, binding.code_verifier, self.providers.callback_url(name), binding.nonce)
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

    def _late(self, name: str, page: str, state: LoginState, callback: Callback, why: str, caller: Caller) -> Return:
        began = state.expires_at - LOGIN_SECONDS
        if has_come_through(self.store, self.sessions, name, began, callback.carried):
            return Return(page)
        return self._refuse(name, page, LoginExpired(debug=why), caller)

    def _refuse(self, name: str, page: str, refusal: AuthError, caller: Caller) -> Return:
        record_refusal(self.around.audit, caller, name, refusal)
        return Return(page, error=refusal.code)
