"""What `make run` takes from its environment: PORT, ENGINE and KEYTURN_… alone. AWS is played here, and nowhere else.

A deployed stage has each provider's client secret in the parameter store, put there by the operator. Here the store
begins empty, so that the secret comes from a variable of this command alone: KEYTURN_APPLE_CLIENT_SECRET and its like.

Imports neither boto3 nor moto: moto reads variables when it is imported, and by then they must be gone.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import providers
from chalicelib.errors import ConfigurationError
from chalicelib.settings.config import Config
from infra.failure import Failure, one_line
from infra.known_settings import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import MutableMapping

ENGINES = ("moto", "dynoxide")
STAND_IN_OFFSET = 1000  # from Keyturn's port to that of the stand-in for Google
LAST_PORT = 65535 - STAND_IN_OFFSET
NAME = "keyturn-local"
PREFIX = "/keyturn/local"

# Variables by which boto3, botocore and moto are led elsewhere: endpoints, profiles, regions, certificates, a server.
_MISLEADING = re.compile(r"(AWS|MOTO)_|BOTO|TEST_(SERVER|PROXY)_MODE$|INITIAL_NO_AUTH_ACTION_COUNT$")


class Settings(NamedTuple):
    """What is served, and where."""

    engine: str
    port: int
    config: Config
    secrets: dict[str, str]  # of clients at identity providers, by the name of the parameter

    @property
    def url(self) -> str:
        """Where Keyturn is served."""
        return f"http://localhost:{self.port}"

    @property
    def stand_in(self) -> str:
        """Where the stand-in for Google is served."""
        return f"http://localhost:{self.port + STAND_IN_OFFSET}"

    @property
    def plays_google(self) -> bool:
        """Whether the stand-in is what Keyturn logs in at as Google."""
        google = self.config.providers.get("google")
        return google is not None and google.issuer == self.stand_in


def read(environ: MutableMapping[str, str]) -> Settings:
    """Take the settings from the environment, fill in defaults, and put what AWS clients need in place of the shell's.

    Failure names every setting that is wrong. Nothing has been made by then.
    """
    engine, port = environ.get("ENGINE") or ENGINES[0], environ.get("PORT") or "8000"
    if engine not in ENGINES:
        message = f"ENGINE must be one of {', '.join(ENGINES)}, not {engine!r}"
        raise Failure(message)
    # int() would read signs, blanks, underscores and digits of every script.
    number = int(port) if re.fullmatch(r"[0-9]{1,5}", port) else 0
    if not 0 < number <= LAST_PORT:
        message = (
            f"PORT must be a number from 1 to {LAST_PORT}, not {port!r}: "
            f"the stand-in for Google is {STAND_IN_OFFSET} above it"
        )
        raise Failure(message)
    refuse_unknown(environ, secrets=True)
    forget_shell(environ)
    _fill_in(environ, number)
    try:
        config = Config.from_env(environ)
        providers.require_known(config.providers)
    except ConfigurationError as error:
        raise Failure(one_line(error)) from error
    return Settings(engine, number, config, _take_secrets(environ, config))


def _take_secrets(environ: MutableMapping[str, str], config: Config) -> dict[str, str]:
    """Take the client secrets out of the environment, where the app is not to find them."""
    variables = {
        given.secret_parameter: given.variable(name, "CLIENT_SECRET") for name, given in config.providers.items()
    }
    secrets = {parameter: environ.pop(variable, "") for parameter, variable in variables.items()}
    if missing := [variables[parameter] for parameter, secret in secrets.items() if not secret]:
        message = f"{' and '.join(missing)} must hold what the provider gave: a client secret, for Apple a private key"
        raise Failure(message)
    return secrets


def forget_shell(environ: MutableMapping[str, str]) -> None:
    """Remove what the shell says of AWS and of proxies; clients get invented credentials, and read no file."""
    for name in [*environ]:
        # A proxy of any protocol, in either case, as urllib reads them.
        if _MISLEADING.match(name) or name.lower().endswith("_proxy"):
            del environ[name]
    invented = {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",  # pragma: allowlist secret
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "*",
    }
    environ.update(invented)


def _fill_in(environ: MutableMapping[str, str], port: int) -> None:
    """Set what the operator has left out."""
    issuer, prefix = f"http://localhost:{port}", environ.get("KEYTURN_PARAMETERS") or PREFIX
    defaults = {
        "KEYTURN_TABLE": NAME,
        "KEYTURN_ISSUER": issuer,
        "KEYTURN_AUDIENCE": NAME,
        "KEYTURN_PARAMETERS": prefix,
        "KEYTURN_ALLOWED_ORIGINS": f"{issuer},http://localhost:3000,http://localhost:5173",
        "KEYTURN_RETURN_TO": f"{issuer}/,http://localhost:3000/,http://localhost:5173/",
        "KEYTURN_GOOGLE_ISSUER": f"http://localhost:{port + STAND_IN_OFFSET}",
        "KEYTURN_GOOGLE_CLIENT_ID": NAME,
        "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER": f"{prefix}/provider/google",
    }
    for name, value in defaults.items():
        environ.setdefault(name, value)
    if environ["KEYTURN_GOOGLE_ISSUER"] == defaults["KEYTURN_GOOGLE_ISSUER"]:
        # The stand-in takes any secret. The real Google does not, and its operator has to be told what is missing.
        environ.setdefault("KEYTURN_GOOGLE_CLIENT_SECRET", "local")
