"""What deployment decides before it talks to AWS: stages, settings, gateway responses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from chalicelib.settings.config import Config
from chalicelib.web.boundary import FRAMEWORK, SECURITY_HEADERS
from infra import gateway
from infra.chalice_deployment import Swagger
from infra.deploy import require_client_secrets, verify
from infra.failure import Failure
from infra.role_policies import render
from infra.stage import Stage
from tests.unit.settings.test_config import documented
from tests.world.constants import ORIGIN

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient
    from types_boto3_ssm import SSMClient

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = json.loads((ROOT / ".chalice/config.json").read_text())
STAGES = sorted(DOCUMENT["stages"])

SEVERAL = frozenset({ORIGIN, "https://admin.example.com:8443"})

GATEWAY_TIMEOUT = 29  # seconds, after which API Gateway answers by itself

# What callers of a REST API can meet (API Gateway's list of response types), with the status that the contract wants.
EXPECTED = {
    "UNAUTHORIZED": (401, "invalid_token"),
    "ACCESS_DENIED": (403, "access_denied"),
    "MISSING_AUTHENTICATION_TOKEN": (404, "not_found"),
    "RESOURCE_NOT_FOUND": (404, "not_found"),
    "REQUEST_TOO_LARGE": (413, "payload_too_large"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "unsupported_media_type"),
    "THROTTLED": (429, "too_many_requests"),
    "AUTHORIZER_FAILURE": (503, "unavailable"),
    "AUTHORIZER_CONFIGURATION_ERROR": (503, "unavailable"),
    "INTEGRATION_FAILURE": (503, "unavailable"),
    "INTEGRATION_TIMEOUT": (503, "unavailable"),
    "DEFAULT_4XX": (400, "invalid_request"),
    "DEFAULT_5XX": (500, "internal_error"),
}


def headers(response: dict[str, Any], reader: str | None = "method.request.header.Origin") -> dict[str, str]:
    """The headers of a gateway response: one says who may read it, all others are constant."""
    prefix = "gatewayresponse.header."
    parameters = dict(response["responseParameters"])
    assert parameters.pop(f"{prefix}Access-Control-Allow-Origin", None) == reader
    assert all(name.startswith(prefix) and value[0] == value[-1] == "'" for name, value in parameters.items())
    return {name.removeprefix(prefix): value[1:-1] for name, value in parameters.items()}


@pytest.mark.parametrize(("kind", "expected"), EXPECTED.items())
def test_gateway_response(kind: str, expected: tuple[int, str]) -> None:
    """Each is a problem with a constant body, the security headers, and no other content type."""
    response = gateway.gateway_responses(SEVERAL)[kind]
    status, code = expected
    assert response["statusCode"] == str(status)
    (body,) = response["responseTemplates"].values()
    assert json.loads(body) == {"type": "about:blank", "title": FRAMEWORK[status][1], "status": status, "code": code}
    assert "$" not in body
    sent = headers(response)
    assert SECURITY_HEADERS.items() <= sent.items()
    assert (sent["Content-Type"], sent["Cache-Control"]) == ("application/problem+json", "no-store")
    assert (sent["Access-Control-Allow-Credentials"], sent["Vary"]) == ("true", "Origin")
    assert {"Retry-After", "WWW-Authenticate"} <= set(sent["Access-Control-Expose-Headers"].split(", "))
    assert ("Retry-After" in sent) == (status in {429, 503})
    assert sent.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)


def test_gateway_responses_have_codes_of_the_contract() -> None:
    """No type is given a status that the table of codes does not have."""
    assert set(gateway.STATUS.values()) <= set(FRAMEWORK)
    assert set(EXPECTED) <= set(gateway.STATUS)


def test_swagger_document_carries_the_gateway_responses() -> None:
    """They are part of the document that replaces the API."""
    from app import app  # noqa: PLC0415  # no other test here needs the routes

    for origins in (frozenset[str](), frozenset({ORIGIN}), SEVERAL):
        document = Swagger("keyturn-dev", origins).generate_swagger(app)
        assert document["info"]["title"] == "keyturn-dev"
        assert document[gateway.EXTENSION] == gateway.gateway_responses(origins)


def test_headers_of_a_gateway_response() -> None:
    """`make run` says what the document says: the Origin is repeated, and not made up where there is none."""
    response = gateway.gateway_responses(SEVERAL)["UNAUTHORIZED"]
    constant = headers(response)
    assert gateway.headers_for(response, None) == constant
    assert gateway.headers_for(response, "") == constant
    with_origin = {**constant, "Access-Control-Allow-Origin": ORIGIN}
    assert gateway.headers_for(response, ORIGIN) == with_origin


@pytest.mark.parametrize("kind", gateway.STATUS)
def test_one_allowed_origin_is_the_only_reader(kind: str) -> None:
    """No other page learns from a status whether the browser has a session; where nobody is allowed, no page does."""
    response = gateway.gateway_responses(frozenset({ORIGIN}))[kind]
    named = {**headers(response, f"'{ORIGIN}'"), "Access-Control-Allow-Origin": ORIGIN}
    for origin in (None, "", "null", ORIGIN, "https://evil.example"):
        assert gateway.headers_for(response, origin) == named
    nobodys = gateway.gateway_responses(frozenset())[kind]
    assert gateway.headers_for(nobodys, ORIGIN) == headers(nobodys, None)


def test_preflights_reach_the_function() -> None:
    """Every path takes OPTIONS, asks no authorizer for it and has the function answer, as it does everything else."""
    from app import app  # noqa: PLC0415  # no other test here needs the routes

    paths = Swagger("keyturn-dev", SEVERAL).generate_swagger(app)["paths"]
    assert paths
    for methods in paths.values():
        assert set(methods) > {"options"}
        assert "security" not in methods["options"]
        integrations = [method["x-amazon-apigateway-integration"] for method in methods.values()]
        assert {integration["type"] for integration in integrations} == {"aws_proxy"}
        assert len({integration["uri"].template for integration in integrations}) == 1


def test_swagger_document_names_the_guard() -> None:
    """Our routes ask the function `guard` each time, and nothing about the request is required before it is asked."""
    from app import app  # noqa: PLC0415  # no other test here needs the routes

    definition = Swagger("keyturn-dev", SEVERAL).generate_swagger(app)["securityDefinitions"]["guard"]
    authorizer = definition["x-amazon-apigateway-authorizer"]
    assert definition["x-amazon-apigateway-authtype"] == "custom"
    assert (authorizer["type"], authorizer["authorizerResultTtlInSeconds"]) == ("request", 0)
    assert "identitySource" not in authorizer
    # Chalice fills these in when it has deployed the function.
    parts = {"partition": "aws", "region_name": "eu-west-1", "guard_lambda_arn": "THE-ARN"}
    assert set(authorizer["authorizerUri"].variables) == set(parts)
    uri = authorizer["authorizerUri"].template.format(**parts)
    assert uri == "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/THE-ARN/invocations"


def test_config_names_every_function() -> None:
    """Memory and timeout are explicit for each function that the app has; none runs longer than the gateway waits."""
    from app import app  # noqa: PLC0415  # no other test here needs the routes

    authorizers = {function.name for function in app.builtin_auth_handlers}
    names = {"api_handler", *authorizers, *(function.name for function in app.pure_lambda_functions)}
    assert set(DOCUMENT["lambda_functions"]) == names
    for settings in DOCUMENT["lambda_functions"].values():
        assert settings["lambda_memory_size"] >= 512
        assert 3 < settings["lambda_timeout"] < GATEWAY_TIMEOUT


def test_stage_is_its_settings() -> None:
    """An entry of config.json holds the stage's settings alone, and repeats no name that follows from the stage's."""
    for stage in DOCUMENT["stages"].values():
        assert set(stage) == {"environment_variables"}
        assert not {"KEYTURN_TABLE", "KEYTURN_PARAMETERS", "KEYTURN_AUDIENCE"} & set(stage["environment_variables"])


@pytest.mark.parametrize("name", STAGES)
def test_stage_settings_are_valid(name: str) -> None:
    """What config.json gives the functions, with an issuer, is a whole configuration."""
    stage = Stage.load(ROOT, name)
    config = Config.from_env({"KEYTURN_ISSUER": "https://api.example.com/api", **stage.settings})
    assert (config.table, config.parameters) == (stage.table, stage.parameters)
    assert DOCUMENT["autogen_policy"] is False


@pytest.mark.parametrize("name", ["dev-eu", "Dev", "", "d" * 21])
def test_stage_name_that_could_be_taken_for_another(tmp_path: Path, name: str) -> None:
    """A stage's functions must not look like another stage's."""
    path = tmp_path / ".chalice/config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"stages": {name: {}}}))
    with pytest.raises(Failure, match="must be lower-case letters and digits"):
        Stage.load(tmp_path, name)


def load(tmp_path: Path, entry: dict[str, Any], **everywhere: Any) -> Stage:
    """A stage `extra` of this entry, as the commands read it from config.json."""
    path = tmp_path / ".chalice/config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**DOCUMENT, **everywhere, "stages": {**DOCUMENT["stages"], "extra": entry}}))
    return Stage.load(tmp_path, "extra")


@pytest.mark.parametrize("entry", [{}, {"environment_variables": {}}, DOCUMENT["stages"]["prod"]])
def test_stage_of_one_entry(tmp_path: Path, entry: dict[str, Any]) -> None:
    """An empty entry, or the copy of another stage's, is a whole stage: its names follow from its own name."""
    stage = load(tmp_path, entry)
    config = Config.from_env({"KEYTURN_ISSUER": "https://api.example.com/api", **stage.settings})
    assert (config.table, config.parameters, config.audience) == ("keyturn-extra", "/keyturn/extra", "keyturn-extra")
    (resource, *_) = {statement["Resource"] for statement in render(stage)["chronicle"]["Statement"][:1]}
    assert resource == "arn:aws:dynamodb:*:*:table/keyturn-extra"


def test_readme_states_the_names_of_a_stage(tmp_path: Path) -> None:
    """The names that a stage gets from its own name are those of the README's table, and there are no others."""
    stated = {name: text.strip("`") for name, text in documented().items() if "<stage>" in text}
    assert load(tmp_path, {}).settings == {name: text.replace("<stage>", "extra") for name, text in stated.items()}


def test_stage_with_names_of_its_own(tmp_path: Path) -> None:
    """What an entry says, or all entries together, is taken; the policies follow it."""
    stage = load(
        tmp_path,
        {"environment_variables": {"KEYTURN_TABLE": "accounts"}},
        environment_variables={"KEYTURN_TABLE": "shared", "KEYTURN_PARAMETERS": "/team/auth"},
    )
    assert (stage.table, stage.parameters) == ("accounts", "/team/auth")
    text = json.dumps(render(stage))
    assert "table/accounts" in text
    assert "parameter/team/auth/public" in text
    assert not re.search("shared|keyturn/extra", text)


@pytest.mark.parametrize("name", ["KEYTURN_TABLE", "KEYTURN_PARAMETERS"])
def test_stage_whose_names_are_empty(tmp_path: Path, name: str) -> None:
    """A name that is empty is refused, and not taken for the stage's own."""
    with pytest.raises(Failure, match=f"leaves {name} empty: name it, or remove the line"):
        load(tmp_path, {"environment_variables": {name: ""}})


def test_setting_that_is_no_text(tmp_path: Path) -> None:
    """A number in JSON is named: Lambda takes text alone."""
    with pytest.raises(Failure, match="the value of KEYTURN_ACCESS_TTL in the stage 'extra' must be text, not 900"):
        load(tmp_path, {"environment_variables": {"KEYTURN_ACCESS_TTL": 900}})


def test_setting_that_nothing_reads(tmp_path: Path) -> None:
    """A misspelt name is refused by every command that reads the stage, with the nearest name."""
    with pytest.raises(Failure, match=r"^KEYTURN_TABEL is no setting, the nearest is KEYTURN_TABLE$"):
        load(tmp_path, {"environment_variables": {"KEYTURN_TABEL": "accounts"}})


class Apis:
    """API Gateway with these APIs, and a parameter store that remembers the id `a1`."""

    class exceptions:  # noqa: N801  # boto3's
        """No parameter is absent."""

        class ParameterNotFound(Exception):
            """Never raised."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self._items = items

    def get_paginator(self, _name: str) -> Apis:
        """Of the only operation that has pages."""
        return self

    def paginate(self) -> list[dict[str, Any]]:
        """One page."""
        return [{"items": [*self._items]}]

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803  # boto3's
        """The recorded id."""
        assert Name == "/keyturn/dev/api-id"
        return {"Parameter": {"Value": "a1"}}


def test_parameters_of_another_stage() -> None:
    """An entry that was copied with its KEYTURN_PARAMETERS does not take the other stage's API over, nor delete it."""
    stage = Stage.load(ROOT, "dev")

    def find(*items: dict[str, Any]) -> str | None:
        aws: Any = Apis(*items)
        return stage.find_api(aws, aws)

    with pytest.raises(Failure, match="'dev' is /keyturn/dev, and the stage 'extra' has its keys there: remove it"):
        find({"id": "a1", "name": "keyturn-extra", "tags": {"keyturn": "extra"}})
    assert find({"id": "a1", "name": "keyturn-dev", "tags": {"keyturn": "dev"}}) == "a1"
    assert find({"id": "a1", "name": "keyturn-dev"}) == "a1"  # a tag that somebody has removed
    assert find({"id": "b2", "name": "keyturn-extra", "tags": {"keyturn": "extra"}}) is None


def test_config_that_is_not_there(tmp_path: Path) -> None:
    """The failure names the file."""
    with pytest.raises(Failure, match=r"config\.json cannot be read"):
        Stage.load(tmp_path, "dev")


def held(digest: str) -> LambdaClient:
    """Lambda, holding the same code for every function."""
    return cast(
        "LambdaClient",
        SimpleNamespace(get_function_configuration=lambda FunctionName: {"CodeSha256": digest}),  # noqa: ARG005, N803  # boto3's name
    )


def test_verify_compares_every_function() -> None:
    """Other code, or no function at all, fails with the remedy."""
    verify(held("same"), {"api_handler": "arn"}, "same")
    with pytest.raises(Failure, match=r"api_handler.*deploy again"):
        verify(held("other"), {"api_handler": "arn"}, "same")
    with pytest.raises(Failure, match="no function"):
        verify(held("same"), {}, "same")


class Parameters:
    """A parameter store that holds these names, and gives no value away."""

    def __init__(self, *held: str) -> None:
        self._held = held

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> dict[str, list[str]]:  # noqa: N803  # boto3's
        """Which of the names are not held."""
        assert not WithDecryption
        return {"InvalidParameters": [name for name in Names if name not in self._held]}


def test_client_secrets_have_to_be_there() -> None:
    """Each provider's secret is asked for; one that is missing fails with the command that puts it there."""
    names = {name: f"/keyturn/dev/provider/{name}" for name in ("google", "oidc")}
    variables = {f"KEYTURN_{name.upper()}_CLIENT_SECRET_PARAMETER": held for name, held in names.items()}
    variables |= {"KEYTURN_GOOGLE_CLIENT_ID": "id", "KEYTURN_OIDC_CLIENT_ID": "id"}
    stage = Stage.load(ROOT, "dev")
    config = Config.from_env({"KEYTURN_ISSUER": "https://api.example.com/api", **stage.settings, **variables})
    require_client_secrets(cast("SSMClient", Parameters(*names.values())), config)
    for name, other in (("google", "oidc"), ("oidc", "google")):
        remedy = f"aws ssm put-parameter --type SecureString --name {names[name]} "
        with pytest.raises(Failure, match=f"KEYTURN_{name.upper()}_CLIENT_SECRET_PARAMETER.*{remedy}"):
            require_client_secrets(cast("SSMClient", Parameters(names[other])), config)
