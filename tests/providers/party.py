"""A Keyturn's side of the flow: a provider that is configured with the stand-in, and a person who logs in at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from chalicelib import providers
from chalicelib.crypto.client_secrets import SignedClientSecrets
from chalicelib.crypto.id_tokens import JwtIdTokenVerifier
from chalicelib.domain.federation import AuthorizationCode
from chalicelib.settings.providers import ProviderSettings
from tests.world.clock import FrozenClock
from tests.world.constants import CHALLENGE, NONCE, VERIFIER
from tests.world.parameters import MemoryParameters
from tests.world.stand_in import StandIn

if TYPE_CHECKING:
    from chalicelib.domain.federation import Identity
    from chalicelib.ports import IdentityProvider

CALLBACK = "https://auth.example.com/prod/login/google/callback"
NATIVE_REDIRECT = "com.example.app:/callback"
SECRET_PARAMETER = "/keyturn/test/provider/google"


class Party:
    """One container's provider, the stand-in that it is configured with, and both their clock."""

    def __init__(
        self,
        stand_in: StandIn | None = None,
        name: str = "google",
        *,
        path: str = "",
        native: bool = True,
        **settings: str,
    ) -> None:
        self.name = name
        self.settings = settings
        self.native = native
        self.clock = FrozenClock()
        self.stand_in = stand_in or StandIn(self.clock.now)
        self.stand_in.issuer_path = path
        self.issuer = self.stand_in.url + path
        self.parameters = MemoryParameters()
        self.parameters.values[SECRET_PARAMETER] = self.stand_in.client_secret
        self.provider = self.container()

    def container(self, issuer: str | None = None) -> IdentityProvider:
        """A cold container's provider."""
        settings = ProviderSettings(
            client_id=self.stand_in.client_id,
            secret_parameter=SECRET_PARAMETER,
            issuer=self.issuer if issuer is None else issuer,
            native_clients={NATIVE_REDIRECT: "native-client"} if self.native else {},
            **self.settings,  # type: ignore[arg-type]  # texts alone
        )
        made = providers.connect(
            {self.name: settings}, self.parameters, JwtIdTokenVerifier(), SignedClientSecrets(), self.clock
        )
        return made[self.name]

    def authorization_url(self, **changes: Any) -> str:
        """Where the browser is sent."""
        asked = {
            "redirect_uri": CALLBACK,
            "state": "state-1",
            "nonce": NONCE,
            "code_challenge": CHALLENGE,
            "max_age": None,
            **changes,
        }
        return self.provider.authorization_url(**asked)

    def code(self, redirect_uri: str = CALLBACK, client_id: str | None = None, **claims: Any) -> AuthorizationCode:
        """A code that the provider has just given to a browser, with all that fits it."""
        code = self.stand_in.issue_code(
            nonce=NONCE, code_challenge=CHALLENGE, redirect_uri=redirect_uri, client_id=client_id, **claims
        )
        return AuthorizationCode(code, VERIFIER, redirect_uri, NONCE)

    def log_in(self) -> Identity:
        """The whole flow, as a browser goes through it."""
        back = dict(parse_qsl(urlsplit(self.stand_in.authorize(self.authorization_url())).query))
        self.provider.check_issuer(back.get("iss"))
        code = AuthorizationCode(back["code"], VERIFIER, CALLBACK, NONCE)
        return self.provider.with_email(self.provider.identify(code))
