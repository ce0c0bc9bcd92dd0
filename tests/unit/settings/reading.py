"""Settings as the tests read them: what is needed, and the variables that a test is about."""

from __future__ import annotations

import pytest

from chalicelib.errors import ConfigurationError
from chalicelib.settings.config import Config

LEAST = {
    "KEYTURN_TABLE": "keyturn-prod",
    "KEYTURN_ISSUER": "https://auth.example.com/prod",
    "KEYTURN_AUDIENCE": "https://api.example.com",
    "KEYTURN_PARAMETERS": "/keyturn/prod",
}
GOOGLE = {
    "KEYTURN_GOOGLE_CLIENT_ID": "123.apps.googleusercontent.com",
    "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": "/keyturn/prod/provider/google",
}


def read(**variables: str) -> Config:
    """The settings with these variables beside the ones that are needed."""
    return Config.from_env({**LEAST, **variables})


def problems(**variables: str) -> list[str]:
    """What is wrong, one text for each problem."""
    with pytest.raises(ConfigurationError) as raised:
        read(**variables)
    return raised.value.debug.split("; ")
