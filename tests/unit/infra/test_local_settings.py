"""What `make run` takes from its environment, and what it refuses before it makes anything."""

from __future__ import annotations

import os

import pytest

from infra.failure import Failure
from infra.local.settings import read

# Arabic and full-width digits; what int() reads and a port is not; what is out of range.
WRONG_PORTS = (
    *("abc", "8_000", "+8000", "-1", " 8000", "8000 ", "8000\n", "1e3", "0x1f40", "8000.0", "8,000"),
    *("\u0668\u0660\u0660\u0660", "\uff18\uff10\uff10\uff10", "8\u00b2", "0", "00", "64536", "65535", "99999"),
    *("123456", "9" * 5000),
)
OWN = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "*",
}


def test_defaults() -> None:
    """Without any setting there is everything that Keyturn needs."""
    for given in ({}, {"PORT": "", "ENGINE": ""}):
        environ = dict(given)
        settings = read(environ)
        assert (settings.engine, settings.port, settings.url) == ("moto", 8000, "http://localhost:8000")
        assert settings.config.providers["google"].issuer == "http://localhost:9000"


@pytest.mark.parametrize("port", WRONG_PORTS)
def test_port_is_plain_digits(port: str) -> None:
    """A PORT that is no port is named, in a line, with what it may be."""
    with pytest.raises(Failure, match=r"^PORT must be a number from 1 to 64535, not '[^\n]*: the stand-in .*$"):
        read({"PORT": port})


@pytest.mark.parametrize(("port", "number"), [("1", 1), ("8001", 8001), ("08001", 8001), ("64535", 64535)])
def test_port_is_read(port: str, number: int) -> None:
    """Every port with another one 1000 above it."""
    assert read({"PORT": port}).port == number


@pytest.mark.parametrize("engine", ["Moto", "sqlite", "moto\n", " moto"])
def test_engine_is_known(engine: str) -> None:
    """An ENGINE that does not exist is named with those that do."""
    with pytest.raises(Failure, match="ENGINE must be one of moto, dynoxide, not"):
        read({"ENGINE": engine})


def test_every_wrong_setting_is_named() -> None:
    """Each wrong variable is in the one line."""
    wrong = {
        "KEYTURN_ACCESS_TTL": "soon",
        "KEYTURN_SIGNING_ALGORITHM": "HS256",
        "KEYTURN_ISSUER": "ftp://x",
        "KEYTURN_TABLE": " ",
        "KEYTURN_ARGON2_PROFILE": "a\nb",
    }
    with pytest.raises(Failure) as raised:
        read(dict(wrong))
    assert [name for name in wrong if name not in str(raised.value)] == []
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("provider", "issuer"),
    [("NOWHERE", "https://issuer.example"), ("OIDC_TWO", ""), ("OIDC_TWO", "http://there.example")],
)
def test_providers_are_checked_too(provider: str, issuer: str) -> None:
    """A provider that does not exist, or that lacks a setting, is refused before anything is made."""
    named = f"KEYTURN_{provider}"
    secret = "/keyturn/local/provider/x"
    with pytest.raises(Failure, match=named):
        read({f"{named}_CLIENT_ID": "x", f"{named}_CLIENT_SECRET_PARAMETER": secret, f"{named}_ISSUER": issuer})


@pytest.mark.parametrize(
    "name",
    [
        *(
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_DYNAMODB",
            "AWS_ENDPOINT_URL_SSM",
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
        ),
        *("AWS_REGION", "AWS_SESSION_TOKEN", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_CA_BUNDLE"),
        *("AWS_DATA_PATH", "AWS_MAX_ATTEMPTS", "AWS_ROLE_ARN", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_SOMETHING_NEW"),
        *("BOTO_CONFIG", "MOTO_PORT", "MOTO_S3_CUSTOM_ENDPOINTS", "TEST_SERVER_MODE", "INITIAL_NO_AUTH_ACTION_COUNT"),
        *("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "no_proxy"),
    ],
)
def test_shell_leads_nowhere(name: str) -> None:
    """A variable that leads AWS clients elsewhere is gone, and what clients need is invented."""
    environ = {name: "x", "PATH": "/bin", "KEYTURN_TABLE": "mine", **dict.fromkeys(OWN, "x")}
    read(environ)
    assert name not in environ
    assert (environ["PATH"], environ["KEYTURN_TABLE"]) == ("/bin", "mine")
    assert {key: value for key, value in environ.items() if key in OWN} == OWN
