"""A client's secret at its provider: read from the parameter store, or signed for each call with a key from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import ConfigurationError
from chalicelib.providers.remembered import Remembered

if TYPE_CHECKING:
    from chalicelib.ports import ClientSecretIssuer, Clock, ParameterSource
    from chalicelib.settings.providers import ProviderSettings

SECRET_FRESH = 60  # seconds: how long a secret that was taken away is still sent
SECRET_OUTLIVES = 3600  # seconds that it goes on when the parameter store is away


class Secret:
    """The secret parameter of one provider, remembered for a minute."""

    def __init__(self, name: str, settings: ProviderSettings, parameters: ParameterSource, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._parameters = parameters
        self._remembered = Remembered(self._fetch, clock, outlives=SECRET_OUTLIVES)

    def get(self, client_id: str) -> str:
        """The secret of this client. ConfigurationError where the parameter does not exist; Unavailable."""
        del client_id  # the same for every client: a provider has one that authenticates
        return self._remembered.get()

    def _fetch(self) -> tuple[str, int]:
        parameter = self._settings.secret_parameter
        secret = self._parameters.fetch([parameter]).get(parameter, "").strip()
        if not secret:
            setting = self._settings.variable(self._name, "CLIENT_SECRET_PARAMETER")
            message = f"{setting} names {parameter}, which the parameter store does not have"
            raise ConfigurationError(debug=message)
        return secret, SECRET_FRESH


class SignedSecret:
    """A secret that is signed anew for each call, with the private key that the secret parameter holds."""

    def __init__(
        self, key: Secret, settings: ProviderSettings, issuer: str, signer: ClientSecretIssuer, clock: Clock
    ) -> None:
        self._key = key
        self._settings = settings
        self._issuer = issuer
        self._signer = signer
        self._clock = clock

    def get(self, client_id: str) -> str:
        """The secret of this client. ConfigurationError where the parameter holds no fitting key; Unavailable."""
        return self._signer.issue(
            self._key.get(client_id),
            key_id=self._settings.key_id,
            team_id=self._settings.team_id,
            client_id=client_id,
            audience=self._issuer,
            now=self._clock.now(),
        )
