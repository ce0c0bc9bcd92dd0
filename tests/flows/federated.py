"""What browsers and apps do to log in at a provider, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from chalicelib.crypto.login_states import parse_browser_secret
from chalicelib.domain.federation import AuthorizationCode
from chalicelib.services.federation.log_in import SessionRequest
from chalicelib.services.federation.requests import Callback, LoginRequest
from tests.flows.steps import decoded, holder
from tests.world.constants import CHALLENGE, CLIENT, NONCE, PAGE, VERIFIER
from tests.world.keyturn import Keyturn, config
from tests.world.person import Person
from tests.world.provider import FakeProvider

if TYPE_CHECKING:
    from chalicelib.domain.callers import Caller, Transport
    from chalicelib.domain.sessions import RefreshToken
    from chalicelib.services import Services
    from chalicelib.services.federation.requests import AuthorizationRequest, Return
    from chalicelib.services.sessions.grants import Grant
    from chalicelib.store.protocol import Store


def keyturn_with_providers(store: Store) -> tuple[Keyturn, FakeProvider, FakeProvider]:
    """Keyturn with two providers that are switched on."""
    google, oidc = FakeProvider(), FakeProvider("oidc", "https://login.example.org")
    return Keyturn(store, providers={"google": google, "oidc": oidc}), google, oidc


@dataclass
class Federated:
    """Keyturn with two providers that are switched on, and those."""

    keyturn: Keyturn
    google: FakeProvider
    oidc: FakeProvider

    @classmethod
    def over(cls, store: Store) -> Federated:
        """Over this store."""
        return cls(*keyturn_with_providers(store))

    @property
    def services(self) -> Services:
        """Of a container that runs."""
        return self.keyturn.services

    def browser(self, client: Caller = CLIENT) -> BrowserFlow:
        """A browser that has never been here."""
        return BrowserFlow(self.services, client)

    def log_in(self, provider: FakeProvider, person: Person = Person()) -> Grant:  # noqa: B008  # frozen
        """Begin a session in a new browser."""
        return granted(self.browser().log_in(provider, person))

    def with_providers(self, *names: str, store: Store | None = None, **settings: Any) -> Keyturn:
        """The same world after a deployment with these providers, over the same table or one that fails."""
        mine = self.keyturn
        switched_on = {name: provider for name, provider in mine.providers.items() if name in names}
        deployed = config(**settings) if settings else mine.config
        return Keyturn(store or mine.store, mine.clock, mine.parameters, mine.audit, deployed, switched_on)


@dataclass
class BrowserFlow:
    """The browser flow at the level of services, without HTTP: it keeps the cookie that binds logins to a browser."""

    services: Services
    client: Caller = CLIENT
    secret: bytes | None = None
    device_token: str | None = None

    def begin(
        self,
        name: str = "google",
        *,
        return_to: str = PAGE,
        transport: Transport = "cookie",
        max_age: int | None = None,
    ) -> str:
        """Follow the link; the provider's URL."""
        request = LoginRequest(
            return_to=return_to, transport=transport, max_age=max_age, device_token=self.device_token
        )
        return self._keep(self.services.begin_login(name, request, self.secret, self.client))

    def begin_linking(self, grant: Grant, name: str = "google") -> str:
        """Ask to link as the grant's holder; the provider's URL."""
        services = self.services
        request = LoginRequest(return_to=PAGE, transport="cookie", device_token=self.device_token)
        departure = services.begin_login.linking(
            holder(services, grant), name, request, self.secret, decoded(services, grant), self.client
        )
        return self._keep(departure)

    def come_back(
        self,
        query: dict[str, str],
        name: str = "google",
        *,
        carried: RefreshToken | None = None,
        services: Services | None = None,
    ) -> Return:
        """Load the callback's URL."""
        callback = Callback(
            state=query.get("state", ""),
            code=query.get("code"),
            error=query.get("error"),
            iss=query.get("iss"),
            browser_secret=self.secret,
            carried=(carried,) if carried else (),
        )
        return (services or self.services).finish_login(name, callback, self.client)

    def log_in(self, provider: FakeProvider, person: Person = Person()) -> Return:  # noqa: B008  # frozen
        """The whole way there and back."""
        return self.come_back(provider.approve(self.begin(provider.name), person), provider.name)

    def _keep(self, departure: AuthorizationRequest) -> str:
        self.secret = parse_browser_secret(departure.browser_secret)
        return departure.authorization_url


def code_for(provider: FakeProvider, person: Person = Person(), redirect_uri: str = PAGE) -> AuthorizationCode:  # noqa: B008
    """A code that a frontend has got for itself."""
    code = provider.issue_code(person, redirect_uri=redirect_uri, nonce=NONCE, code_challenge=CHALLENGE)
    return AuthorizationCode(code, VERIFIER, redirect_uri, NONCE)


def exchange(
    services: Services,
    provider: FakeProvider,
    person: Person = Person(),  # noqa: B008  # frozen
    *,
    transport: Transport = "body",
    carried: RefreshToken | None = None,
    device_token: str | None = None,
) -> Grant:
    """Log in with a code that a frontend has got for itself."""
    visit = SessionRequest(
        transport=transport, caller=CLIENT, carried=(carried,) if carried else (), device_token=device_token
    )
    return services.exchange_code(provider.name, code_for(provider, person), visit)


def granted(returned: Return) -> Grant:
    """The grant of a login that went well."""
    assert returned.error is None, returned.error
    assert returned.grant is not None
    return returned.grant


def parameters(url: str) -> dict[str, str]:
    """The query of a URL."""
    return {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
