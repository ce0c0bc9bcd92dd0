"""Names of settings that nothing reads are refused where somebody can still mend them, with the nearest name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from chalicelib.providers import PROFILES
from chalicelib.settings import environment, providers
from chalicelib.settings.config import Config
from chalicelib.settings.environment import Environment
from infra.failure import Failure
from infra.known_settings import refuse_unknown
from infra.local import settings as local_settings
from tests.unit.settings.reading import LEAST
from tests.unit.settings.test_config import variables_read

SUFFIXES = {
    *("CLIENT_ID", "CLIENT_SECRET_PARAMETER", "ISSUER", "NATIVE_CLIENT_IDS", "TRUSTED_AUDIENCES", "SECONDS"),
    *("TEAM_ID", "KEY_ID"),
}
MISSPELT = {
    "KEYTURN_TABEL": "KEYTURN_TABLE",
    "KEYTURN_AUDIENC": "KEYTURN_AUDIENCE",
    "KEYTURN_ALLOWED_ORIGIN": "KEYTURN_ALLOWED_ORIGINS",
    "KEYTURN_ORIGINS": "KEYTURN_ALLOWED_ORIGINS",
    "KEYTURN_ACESS_TTL": "KEYTURN_ACCESS_TTL",
    "KEYTURN_ACCESS_TTL_SECONDS_": "KEYTURN_ACCESS_TTL",
    "KEYTURN_THROTTLE": "KEYTURN_THROTTLE_RATE",
    "KEYTURN_WAFRATE": "KEYTURN_WAF_RATE",
    "Keyturn_Table": "KEYTURN_TABLE",
    "keyturn_table": "KEYTURN_TABLE",
    "KEYTURN_TABLE ": "KEYTURN_TABLE",
    "KEYTURN_GOOGLE_CLIENTID": "KEYTURN_GOOGLE_CLIENT_ID",
    "KEYTURN_APPLE_TEAMID": "KEYTURN_APPLE_TEAM_ID",
    "KEYTURN_GITHUB_CLIENT_SECRET_PARAM": "KEYTURN_GITHUB_CLIENT_SECRET_PARAMETER",
}


@pytest.mark.parametrize("name", sorted({*variables_read()} | {f"KEYTURN_OIDC_OKTA_{end}" for end in SUFFIXES}))
def test_every_setting_is_known(name: str) -> None:
    """Each variable that is read is known: empty, with a wrong value, and whether it is the only one or not."""
    for value in ("", "?"):
        refuse_unknown({name: value})
        refuse_unknown({**LEAST, name: value}, secrets=True)


@pytest.mark.parametrize(("name", "nearest"), MISSPELT.items())
@pytest.mark.parametrize("value", ["", "x"])
def test_unknown_name(name: str, nearest: str, value: str) -> None:
    """A name that is not read is refused in a line with the nearest name, beside any other setting."""
    for beside in ({}, LEAST, {"KEYTURN_ACCESS_TTL": "wrong"}):
        with pytest.raises(Failure) as raised:
            refuse_unknown({**beside, name: value})
        assert str(raised.value) == f"{name} is no setting, the nearest is {nearest}"


def test_every_unknown_name_is_named() -> None:
    """All in one line, so that they are mended at once."""
    with pytest.raises(Failure) as raised:
        refuse_unknown(dict.fromkeys(("KEYTURN_TABEL", "KEYTURN_WHATEVER", "KEYTURN_"), "x"))
    told = str(raised.value).split("; ")
    assert [line.partition(" is no setting, the nearest is KEYTURN_")[0] for line in told] == [
        "KEYTURN_",
        "KEYTURN_TABEL",
        "KEYTURN_WHATEVER",
    ]


def test_settings_of_others_are_no_matter() -> None:
    """Variables that do not begin with KEYTURN_ are left alone."""
    refuse_unknown(dict.fromkeys(("PATH", "AWS_PROFILE", "KEYTURN", "MY_KEYTURN_TABEL", ""), "x"))


def test_names_of_a_provider_that_is_there() -> None:
    """The nearest name of a provider's misspelt variable is that provider's."""
    okta = {"KEYTURN_OIDC_OKTA_CLIENT_ID": "id", "KEYTURN_OIDC_OKTA_ISUER": "https://okta.example"}
    with pytest.raises(Failure, match=r"^KEYTURN_OIDC_OKTA_ISUER is .* nearest is KEYTURN_OIDC_OKTA_ISSUER$"):
        refuse_unknown(okta)


def test_client_secrets_are_of_make_run() -> None:
    """`make run` knows the client secret of each provider. A stage does not: its secrets are in the parameter store."""
    for name in (*(name.upper() for name in PROFILES), "OIDC_OKTA"):
        secret, client = f"KEYTURN_{name}_CLIENT_SECRET", f"KEYTURN_{name}_CLIENT_ID"
        refuse_unknown({secret: "x", client: "id"}, secrets=True)
        with pytest.raises(Failure, match=f"^{secret} is no setting, the nearest is {secret}_PARAMETER$"):
            refuse_unknown({secret: "x", client: "id"})
    with pytest.raises(Failure, match=r"^KEYTURN_GOOGEL_CLIENT_SECRET .* is KEYTURN_GOOGLE_CLIENT_SECRET$"):
        refuse_unknown({"KEYTURN_GOOGEL_CLIENT_SECRET": "x"}, secrets=True)


@pytest.mark.parametrize(("name", "nearest"), MISSPELT.items())
def test_make_run_refuses_an_unknown_name(name: str, nearest: str) -> None:
    """Before anything else is read of the environment."""
    with pytest.raises(Failure, match=f"^{name} is no setting, the nearest is {nearest}$"):
        local_settings.read({name: "x", "KEYTURN_ACCESS_TTL": "wrong"})


def test_functions_go_on_with_an_unknown_name() -> None:
    """A deployed function reads its settings beside variables that it does not know, as after going back a version."""
    unknown = dict.fromkeys((*MISSPELT, "KEYTURN_FROM_THE_FUTURE", "KEYTURN_GOOGLE_CLIENT_SECRET"), "x")
    assert Config.from_env({**LEAST, **unknown}) == Config.from_env(LEAST)


def test_environment_notes_what_it_is_asked_for() -> None:
    """Set or not, right or wrong; and every variable that a provider has, once it has any."""
    env = Environment({"KEYTURN_SECONDS": "wrong", "KEYTURN_GOOGLE_ISSUER": "", "KEYTURN_OIDC_OKTA_CLIENT_ID": "id"})
    env.seconds("KEYTURN_SECONDS", 1, 1, 2)
    env.text("KEYTURN_TEXT")
    providers.read(env)
    okta = {f"KEYTURN_OIDC_OKTA_{end}" for end in SUFFIXES}
    assert env.asked == {"KEYTURN_SECONDS", "KEYTURN_TEXT", "KEYTURN_GOOGLE_ISSUER", *okta}


def test_nothing_reads_past_the_notes() -> None:
    """In environment.py one method alone looks a variable up, so that no setting can be read and stay unknown."""
    tree = ast.parse(Path(environment.__file__).read_text(encoding="utf-8"))
    looked_up = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == "_environ"
    ]
    assert looked_up == ["__init__", "matching", "optional"]  # the last goes through the names
