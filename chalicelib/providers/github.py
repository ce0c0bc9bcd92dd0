"""GitHub, which speaks OAuth 2 without OpenID Connect. Source: docs.github.com/apps/oauth-apps.

There is no discovery, no ID token and no nonce: the person is who the access token's API says, and PKCE alone binds a
code to its login. The issuer is the web address, and a GitHub Enterprise Server has its API under `/api/v3`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chalicelib import deadline
from chalicelib.domain.federation import Identity
from chalicelib.errors import ProviderError, Unavailable
from chalicelib.providers import code_grant, http
from chalicelib.providers.profile import Profile, Use

if TYPE_CHECKING:
    from chalicelib.domain.federation import AuthorizationCode
    from chalicelib.providers.code_grant import ClientSecret
    from chalicelib.settings.providers import ProviderSettings

PROFILE = Profile(
    name="github",
    issuer="https://github.com",
    scope="user:email",
    # GitHub's codes are redeemed with the client's secret alone, which no app can keep.
    native_clients=False,
    openid=False,
    # Members of the API's answers in place of claims: GET /user and GET /user/emails.
    claims={"id": Use.USED, "email": Use.USED, "primary": Use.CHECKED, "verified": Use.USED},
)
API = "https://api.github.com"
ACCEPT = {"Accept": "application/vnd.github+json, application/json"}
LARGEST_ID = 2**63


class GitHub:
    """ports.IdentityProvider for GitHub."""

    def __init__(self, settings: ProviderSettings, secret: ClientSecret) -> None:
        self._settings = settings
        self._secret = secret
        self._issuer = (settings.issuer or PROFILE.issuer).removesuffix("/")
        self._api = API if self._issuer == PROFILE.issuer else f"{self._issuer}/api/v3"

    def knows_issuer(self, issuer: str) -> bool:
        """As ports.IdentityProvider."""
        return issuer == self._issuer

    def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, code_challenge: str, max_age: int | None
    ) -> str:
        """As ports.IdentityProvider. GitHub knows neither `nonce` nor `max_age`."""
        del nonce, max_age
        request = {
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": PROFILE.scope,
            "state": state,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        return code_grant.authorization_url(f"{self._issuer}/login/oauth/authorize", request)

    def check_issuer(self, iss: str | None) -> None:
        """As ports.IdentityProvider. GitHub publishes no metadata, so that `iss` may be its address or the flow's."""
        if iss not in {None, self._issuer, f"{self._issuer}/login/oauth"}:
            raise ProviderError(debug="the authorization response has another issuer")

    def knows_redirect(self, redirect_uri: str) -> bool:
        """As ports.IdentityProvider: GitHub has no native clients."""
        del redirect_uri
        return False

    def identify(self, code: AuthorizationCode) -> Identity:
        """As ports.IdentityProvider."""
        code_grant.require_readable(code)
        with deadline.outside(self._settings.seconds):
            endpoint = f"{self._issuer}/login/oauth/access_token"
            token = code_grant.access_token(
                code_grant.redeem(endpoint, code, self._settings, self._secret, secret_in_body=True)
            )
            if not token:
                raise ProviderError(debug="token endpoint: no access token")
            person = self._ask("/user", token)
        subject = person.get("id") if isinstance(person, dict) else None
        # The number stays with the account. A login name can be given up, and taken by somebody else.
        if type(subject) is not int or not 0 < subject < LARGEST_ID:
            raise ProviderError(debug="GET /user: no id")
        return Identity(provider=PROFILE.name, issuer=self._issuer, subject=str(subject), access_token=token)

    def with_email(self, identity: Identity) -> Identity:
        """As ports.IdentityProvider: the primary address of /user/emails; `email` of /user is a public profile's."""
        if identity.email is not None and identity.email_verified is not None:
            return identity
        with deadline.outside(self._settings.seconds):
            addresses = self._ask("/user/emails", identity.access_token)
        for address in addresses if isinstance(addresses, list) else []:
            if isinstance(address, dict) and address.get("primary") is True and isinstance(address.get("email"), str):
                return replace(identity, email=address["email"], email_verified=address.get("verified") is True)
        return replace(identity, email_verified=False)

    def _ask(self, path: str, token: str) -> Any:  # noqa: ANN401  # whatever JSON holds
        headers = {**ACCEPT, "Authorization": f"Bearer {token}"}
        answer = http.call(f"{self._api}{path}", headers=headers, patience=self._settings.seconds)
        # GitHub answers 403 with this header where the client has asked too often.
        if answer.headers.get("X-RateLimit-Remaining") == "0" and answer.status != http.OK:
            raise Unavailable(debug=f"GET {path}: the rate limit")
        answer.require_ok(f"GET {path}")
        return answer.parsed()
