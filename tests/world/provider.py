"""An identity provider in memory, for tests of what stands above it: ports.IdentityProvider without HTTP and tokens."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from chalicelib.crypto.encoding import b64url
from chalicelib.domain.federation import Identity
from chalicelib.errors import InvalidCode, ProviderError
from tests.world.person import Person

if TYPE_CHECKING:
    from chalicelib.domain.federation import AuthorizationCode

NATIVE_REDIRECT = "com.example.app:/callback"


@dataclass
class FakeProvider:
    """Codes are used once and fit one verifier, redirect and nonce. `failure` is raised in place of every answer."""

    name: str = "google"
    issuer: str = "https://accounts.example.com"
    failure: Exception | None = None
    calls: list[str] = field(default_factory=list)
    _codes: dict[str, tuple[Person, dict[str, str]]] = field(default_factory=dict)

    def approve(self, authorization_url: str, person: Person = Person()) -> dict[str, str]:  # noqa: B008  # frozen
        """What a browser is sent back with after the person has logged in and said yes."""
        request = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        return {"state": request["state"], "code": self.issue_code(person, **request)}

    def issue_code(self, person: Person, *, redirect_uri: str, nonce: str, code_challenge: str, **_: str) -> str:
        """A code for a request that a frontend has made."""
        code = uuid.uuid4().hex
        self._codes[code] = (person, {"redirect_uri": redirect_uri, "nonce": nonce, "challenge": code_challenge})
        return code

    def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, code_challenge: str, max_age: int | None
    ) -> str:
        """As IdentityProvider."""
        self._called("authorization_url")
        query = {"redirect_uri": redirect_uri, "state": state, "nonce": nonce, "code_challenge": code_challenge}
        if max_age is not None:
            query["max_age"] = str(max_age)
        return f"{self.issuer}/authorize?{urlencode(query)}"

    def knows_issuer(self, issuer: str) -> bool:
        """As IdentityProvider."""
        return issuer == self.issuer

    def check_issuer(self, iss: str | None) -> None:
        """As IdentityProvider."""
        if iss not in {None, self.issuer}:
            raise ProviderError(debug="iss of another provider")

    def knows_redirect(self, redirect_uri: str) -> bool:
        """As IdentityProvider."""
        return redirect_uri == NATIVE_REDIRECT

    def identify(self, code: AuthorizationCode) -> Identity:
        """As IdentityProvider. The address is told by `with_email` alone, as where userinfo has to be asked."""
        self._called("identify")
        person, bound = self._codes.pop(code.code, (None, {}))
        challenge = b64url(sha256(code.code_verifier.encode()).digest())
        if person is None or bound != {"redirect_uri": code.redirect_uri, "nonce": code.nonce, "challenge": challenge}:
            raise InvalidCode(debug="used, or of another request")
        token = f"{person.email or ''} {person.email_verified}"
        return Identity(self.name, self.issuer, person.name, auth_time=person.auth_time, access_token=token)

    def with_email(self, identity: Identity) -> Identity:
        """As IdentityProvider."""
        if identity.email_verified is not None:
            return identity
        self._called("with_email")
        email, _, verified = identity.access_token.rpartition(" ")
        return replace(identity, email=email or None, email_verified=verified == "True")

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if self.failure is not None:
            raise self.failure
