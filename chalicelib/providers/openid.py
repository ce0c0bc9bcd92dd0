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

import re
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote_plus, urlencode

from chalicelib import deadline
from chalicelib.domain.records import Identity
from chalicelib.errors import ConfigurationError, InvalidCode, ProviderError, Unavailable
from chalicelib.providers import http
from chalicelib.providers.published import HOUR, Published
from chalicelib.providers.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.domain.records import AuthorizationCode
    from chalicelib.environment import ProviderSettings
    from chalicelib.ports import Clock, IdTokenVerifier, ParameterSource
    from chalicelib.providers.http import Answer
    from chalicelib.providers.profile import Profile
    from chalicelib.providers.published import Metadata

SECRET_FRESH = 60  # seconds: how long a secret that was taken away is still sent
SECRET_OUTLIVES = HOUR  # seconds that it goes on when the parameter store is away
MAX_EMAIL = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets
CLOCK_LEEWAY = 60  # seconds that the provider's clock may be ahead

REFUSALS = {400, 401, 403}  # statuses that come with an error code
CODE = re.compile(r"[ -~]{1,4096}")  # RFC 6749 appendix A.11
ERROR_CODE = re.compile(r"[a-z_]{1,64}")  # what RFC 6749 and its extensions register
# RFC 6749 appendix A.12, less the space, which no header value needs. No standard limits the length; the answer's does.
ACCESS_TOKEN = re.compile(r"[!-~]+")


class OpenIdProvider:
    """ports.IdentityProvider over a Profile. All methods together wait deadline.PROVIDER_SECONDS at most."""

    def __init__(
        self,
        profile: Profile,
        settings: ProviderSettings,
        parameters: ParameterSource,
        id_tokens: IdTokenVerifier,
        clock: Clock,
    ) -> None:
        self._profile = profile
        self._settings = settings
        self._parameters = parameters
        self._id_tokens = id_tokens
        self._clock = clock
        self._issuer = settings.issuer or profile.issuer
        # Issuer and keys come from configuration alone (CVE-2026-31813): the profile's spellings are its issuer's.
        self._issuers = profile.spellings if self._issuer == profile.issuer else frozenset({self._issuer})
        self._published = Published(self._issuer, clock)
        self._secret = Remembered(self._fetch_secret, clock, outlives=SECRET_OUTLIVES)

    @property
    def issuer(self) -> str:
        """The configured issuer, which identities are known by."""
        return self._issuer

    def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, code_challenge: str, max_age: int | None
    ) -> str:
        """Where to send a browser to log in. Unavailable, ProviderError."""
        with deadline.elsewhere():
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
        # RFC 6749 section 3.1: a query of the endpoint MUST be retained, and no parameter may come twice.
        _, question, query = endpoint.partition("?")
        if any(name in request for name, _ in parse_qsl(query, keep_blank_values=True)):
            raise ProviderError(debug="the authorization endpoint's query has a parameter of the request")
        return f"{endpoint}{'&' if query else '' if question else '?'}{urlencode(request)}"

    def check_issuer(self, iss: str | None) -> None:
        """ProviderError unless an authorization response with this `iss` can be the provider's. Unavailable."""
        with deadline.elsewhere():
            says_issuer = self._published.metadata().says_issuer
        # RFC 9207 section 2.4: compared with the issuer of the metadata, which is the configured one; where the
        # provider is known to say `iss`, a response without it MUST be rejected.
        if iss != self._issuer and (iss is not None or says_issuer):
            raise ProviderError(debug="the authorization response has another issuer, or none")

    def knows_redirect(self, redirect_uri: str) -> bool:
        """Whether a native client is configured with this redirect."""
        return redirect_uri in self._settings.native_clients

    def identify(self, code: AuthorizationCode) -> Identity:
        """Redeem the code and verify the ID token. InvalidCode, ProviderError, Unavailable."""
        if not all(CODE.fullmatch(value) for value in (code.code, code.code_verifier, code.redirect_uri)):
            raise InvalidCode(debug="no authorization code, code_verifier or redirect_uri has such characters")
        native_client = self._settings.native_clients.get(code.redirect_uri)
        with deadline.elsewhere():
            id_token, access_token = _tokens(self._redeem(code, native_client))
            claims = self._id_tokens.verify(
                id_token,
                self._published,
                issuers=self._issuers,
                client_id=native_client or self._settings.client_id,
                nonce=code.nonce,
                access_token=access_token,
                now=self._clock.now(),
            )
        return Identity(
            provider=self._profile.name,
            issuer=self._issuer,
            subject=claims["sub"],
            email=_email(claims),
            email_verified=_email_verified(claims),
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
            with deadline.elsewhere():
                endpoint = self._published.metadata().userinfo_endpoint
                claims = _userinfo(endpoint, identity) if endpoint and identity.access_token else {}
        except Unavailable:  # ProviderError is one
            if identity.email is None:
                raise
            claims = {}
        email = _email(claims)
        # `email_verified` is about the address beside it. An address of one answer is never proven by the other's word.
        verified = _email_verified(claims) is True and identity.email in {None, email}
        return replace(
            identity,
            email=identity.email or email,
            email_verified=email is not None and verified and identity.email_verified is not False,
        )

    def _redeem(self, code: AuthorizationCode, native_client: str | None) -> Answer:
        metadata = self._published.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code.code,
            "redirect_uri": code.redirect_uri,
            "code_verifier": code.code_verifier,
        }
        headers = {}
        if native_client is not None:
            # RFC 6749 section 4.1.3: a client that does not authenticate says who it is. It has no secret (RFC 8252).
            form["client_id"] = native_client
        else:
            headers = self._authenticate(metadata, form)
        return http.call(metadata.token_endpoint, form=form, headers=headers)

    def _authenticate(self, metadata: Metadata, form: dict[str, str]) -> dict[str, str]:
        client_id, secret = self._settings.client_id, self._secret.get()
        if metadata.secret_in_body:
            form |= {"client_id": client_id, "client_secret": secret}
            return {}
        # RFC 6749 section 2.3.1: id and secret are form-encoded first, so that a colon in them does not part them.
        credentials = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}

    def _fetch_secret(self) -> tuple[str, int]:
        name = self._settings.secret_parameter
        secret = self._parameters.fetch([name]).get(name, "").strip()
        if not secret:
            setting = f"KEYTURN_{self._profile.name.upper()}_CLIENT_SECRET_PARAMETER"
            message = f"{setting} names {name}, which the parameter store does not have"
            raise ConfigurationError(debug=message)
        return secret, SECRET_FRESH

    def _auth_time(self, claims: Mapping[str, Any]) -> int | None:
        auth_time, now = claims.get("auth_time"), self._clock.now()
        if auth_time is None:
            return None
        # What cannot be read is not taken for "just now": who asks for a recent login would be told of one.
        # A NumericDate may have a fraction (RFC 7519 section 2); a bool is an int to Python.
        if type(auth_time) not in {int, float} or not 0 <= auth_time <= now + CLOCK_LEEWAY:
            raise ProviderError(debug="ID token: auth_time is no time of the past")
        return min(int(auth_time), now)


def _tokens(answer: Answer) -> tuple[str, str]:
    """The ID token and the access token, which may be empty, of a token response (OpenID Connect Core 3.1.3.3)."""
    _refuse_failure(answer)
    body = answer.json()
    id_token, access_token = body.get("id_token"), body.get("access_token", "")
    if not isinstance(id_token, str) or not isinstance(access_token, str):
        raise ProviderError(debug="token endpoint: no ID token")
    if access_token and not (ACCESS_TOKEN.fullmatch(access_token) and str(body.get("token_type")).lower() == "bearer"):
        raise ProviderError(debug="token endpoint: the access token is no bearer token")
    return id_token, access_token


def _refuse_failure(answer: Answer) -> None:
    """Raise what a token response other than 200 means (RFC 6749 section 5.2)."""
    if answer.status not in REFUSALS:
        answer.require_ok("token endpoint")
        return
    error = answer.json().get("error")
    if error == "invalid_grant" and answer.status == http.BAD_REQUEST:
        raise InvalidCode(debug="token endpoint: invalid_grant")
    # Of what a provider writes the code alone is logged: the rest may repeat what was sent.
    known = error if isinstance(error, str) and ERROR_CODE.fullmatch(error) else "no error code"
    raise ProviderError(debug=f"token endpoint: HTTP {answer.status}, {known}")


def _userinfo(endpoint: str, identity: Identity) -> dict[str, Any]:
    answer = http.call(endpoint, headers={"Authorization": f"Bearer {identity.access_token}"})
    answer.require_ok("userinfo")
    claims = answer.json()
    # OpenID Connect Core section 5.3.2: if the `sub` values do not match, the answer MUST NOT be used.
    if claims.get("sub") != identity.subject:
        raise ProviderError(debug="userinfo: another subject")
    return claims


def _email(claims: Mapping[str, Any]) -> str | None:
    email = claims.get("email")
    return email if isinstance(email, str) and 0 < len(email) <= MAX_EMAIL and email.isprintable() else None


def _email_verified(claims: Mapping[str, Any]) -> bool | None:
    # A string "true" is not true: whoever sends one has not read the specification, and is not believed.
    verified = claims.get("email_verified")
    return None if verified is None else verified is True
