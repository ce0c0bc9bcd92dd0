"""The authorization code flow with an OpenID provider: what Keyturn, as its client, sends and believes.

browser                     Keyturn                          provider
   |  <- authorization_url --- |  <---- metadata ------------- |
   |  -------------- logs in, agrees ------------------------> |
   |  -- code, state, iss ---> |  check_issuer                 |
   |                           |  ---- code, code_verifier --> |
   |                 identify  |  <--- ID token -------------- |
   |                           |  <--- keys ------------------ |
   |               with_email  |  <--- userinfo, if needed --- |
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chalicelib import deadline
from chalicelib.domain.federation import Identity
from chalicelib.errors import ProviderError, Unavailable
from chalicelib.providers import code_grant, http
from chalicelib.providers.metadata import Published
from chalicelib.providers.microsoft import tenants_issuer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.federation import AuthorizationCode
    from chalicelib.ports import Clock, IdTokenVerifier
    from chalicelib.providers.code_grant import ClientSecret
    from chalicelib.providers.profile import Profile
    from chalicelib.settings.providers import ProviderSettings

MAX_EMAIL = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets
CLOCK_LEEWAY = 60  # seconds that the provider's clock may be ahead


class OpenIdProvider:
    """ports.IdentityProvider over a Profile. All methods together wait deadline.PROVIDER_SECONDS at most."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        settings: ProviderSettings,
        secret: ClientSecret,
        id_tokens: IdTokenVerifier,
        clock: Clock,
    ) -> None:
        self._name = name
        self._profile = profile
        self._settings = settings
        self._secret = secret
        self._id_tokens = id_tokens
        self._clock = clock
        self._issuer = settings.issuer or profile.issuer
        # The issuer of each tenant, where `issuer` stands for many.
        self._named = tenants_issuer(self._issuer) if profile.many_tenants else self._issuer
        # Issuer and keys come from configuration alone (CVE-2026-31813): the profile's spellings are its issuer's.
        spelled = profile.spellings if self._issuer == profile.issuer else frozenset()
        self._issuers = spelled or frozenset({self._named})
        self._published = Published(self._issuer, clock, named=self._named, patience=settings.seconds)

    def knows_issuer(self, issuer: str) -> bool:
        """As ports.IdentityProvider. Identities of a provider with several spellings have the configured issuer."""
        prefix, tenant, suffix = self._named.partition("{tenantid}")
        return issuer == self._named if not tenant else issuer.startswith(prefix) and issuer.endswith(suffix)

    def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, code_challenge: str, max_age: int | None
    ) -> str:
        """Where to send a browser to log in. Unavailable, ProviderError."""
        with deadline.outside(self._settings.seconds):
            endpoint = self._published.metadata().authorization_endpoint
        request = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": self._profile.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        if max_age is not None:
            request["max_age"] = str(max_age)
        if self._profile.form_post:
            request["response_mode"] = "form_post"
        return code_grant.authorization_url(endpoint, request)

    def check_issuer(self, iss: str | None) -> None:
        """ProviderError unless an authorization response with this `iss` can be the provider's. Unavailable."""
        with deadline.outside(self._settings.seconds):
            says_issuer = self._published.metadata().says_issuer
        # RFC 9207 section 2.4: compared with the issuer of the metadata, which is the configured one; where the
        # provider is known to say `iss`, a response without it MUST be rejected.
        if (iss is not None or says_issuer) and not (iss is not None and self.knows_issuer(iss)):
            raise ProviderError(debug="the authorization response has another issuer, or none")

    def knows_redirect(self, redirect_uri: str) -> bool:
        """Whether a native client is configured with this redirect."""
        return redirect_uri in self._settings.native_clients

    def identify(self, code: AuthorizationCode) -> Identity:
        """Redeem the code and verify the ID token. InvalidCode, ProviderError, Unavailable."""
        code_grant.require_readable(code)
        native_client = self._settings.native_clients.get(code.redirect_uri)
        with deadline.outside(self._settings.seconds):
            metadata = self._published.metadata()
            members = code_grant.redeem(
                metadata.token_endpoint,
                code,
                self._settings,
                self._secret,
                secret_in_body=metadata.secret_in_body,
                native_secret=self._profile.key_secret,
            )
            id_token, access_token = members.get("id_token"), code_grant.access_token(members)
            if not isinstance(id_token, str):
                raise ProviderError(debug="token endpoint: no ID token")
            claims = self._id_tokens.verify(
                id_token,
                self._published,
                issuers=self._issuers,
                client_id=native_client or self._settings.client_id,
                trusted_audiences=self._settings.trusted_audiences,
                nonce=code.nonce,
                access_token=access_token,
                now=self._clock.now(),
            )
        return Identity(
            provider=self._name,
            issuer=self._issuer if self._named == self._issuer else claims["iss"],
            subject=claims["sub"],
            email=_email(claims),
            email_verified=self._email_verified(claims),
            auth_time=self._auth_time(claims),
            access_token=access_token,
        )

    def with_email(self, identity: Identity) -> Identity:
        """The identity with address and `email_verified`, for which userinfo is asked if one is missing.

        What the ID token said stands. An address that neither answer vouches for is unproven; so it is where userinfo
        fails. Where the ID token has no address, userinfo's failure goes through: Unavailable, ProviderError. The
        address stays None where neither tells any.
        """
        if identity.email is not None and identity.email_verified is not None:
            return identity
        try:
            with deadline.outside(self._settings.seconds):
                endpoint = self._published.metadata().userinfo_endpoint
                claims = self._userinfo(endpoint, identity) if endpoint and identity.access_token else {}
        except Unavailable:  # ProviderError is one
            if identity.email is None:
                raise
            claims = {}
        email = _email(claims)
        # `email_verified` is about the address beside it. An address of one answer is never proven by the other's word.
        verified = self._email_verified(claims) is True and identity.email in {None, email}
        return replace(
            identity,
            email=identity.email or email,
            email_verified=email is not None and verified and identity.email_verified is not False,
        )

    def _userinfo(self, endpoint: str, identity: Identity) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {identity.access_token}"}
        answer = http.call(endpoint, headers=headers, patience=self._settings.seconds)
        answer.require_ok("userinfo")
        claims = answer.json()
        # OpenID Connect Core section 5.3.2: if the `sub` values do not match, the answer MUST NOT be used.
        if claims.get("sub") != identity.subject:
            raise ProviderError(debug="userinfo: another subject")
        return claims

    def _email_verified(self, claims: Mapping[str, Any]) -> bool | None:
        # Where the profile does not say otherwise, a string "true" is not true: its sender has not read the
        # specification, and is not believed.
        value = claims.get(self._profile.proof)
        return (
            None if value is None else any(type(value) is type(word) and value == word for word in self._profile.proven)
        )

    def _auth_time(self, claims: Mapping[str, Any]) -> int | None:
        auth_time, now = claims.get("auth_time"), self._clock.now()
        if auth_time is None:
            return None
        # What cannot be read is not taken for "just now": who asks for a recent login would be told of one.
        # A NumericDate may have a fraction (RFC 7519 section 2); a bool is an int to Python.
        if type(auth_time) not in {int, float} or not 0 <= auth_time <= now + CLOCK_LEEWAY:
            raise ProviderError(debug="ID token: auth_time is no time of the past")
        return min(int(auth_time), now)


def _email(claims: Mapping[str, Any]) -> str | None:
    """The address, without the blanks that a directory may hold at its ends."""
    email = claims.get("email")
    email = email.strip(" ") if isinstance(email, str) else ""
    return email if 0 < len(email) <= MAX_EMAIL and email.isprintable() else None
