"""The API's description: it is of every route, of what is read, and of every error; and costs no cold start."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from chalice.app import IAMAuthorizer
from openapi_spec_validator import validate

import app
from chalicelib import errors
from chalicelib.settings.config import Config
from chalicelib.web.boundary import STATUS
from chalicelib.web.endpoint import Credential
from chalicelib.web.fields import Fields
from chalicelib.web.openapi import VERSION, document
from tests.unit.declared import declared_fields

ROOT = Path(__file__).parents[3]
ISSUER = "https://auth.example.com/api"
DOCUMENT: dict[str, Any] = json.loads(
    json.dumps(document(Config(table="t", issuer=ISSUER, audience="a", parameters="/p"), app.ROUTES))
)
ROUTES = {f"{route.method} {route.path}": route for route in app.ROUTES}
DESCRIBED = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}

every_operation = pytest.mark.parametrize("key", DESCRIBED)


def schemes_of(key: str) -> set[str]:
    """Every credential that the operation names."""
    return {scheme for choice in DESCRIBED[key]["security"] for scheme in choice}


def test_document_is_valid() -> None:
    """It is OpenAPI 3.1 by that specification's own schema."""
    validate(DOCUMENT)
    assert DOCUMENT["servers"] == [{"url": ISSUER}]


def test_routes_are_described_and_no_others() -> None:
    """Route for route."""
    assert set(DESCRIBED) == set(ROUTES)


@every_operation
def test_summary_is_the_handlers_own(key: str) -> None:
    """What a newcomer reads is the first line of the handler's docstring, a sentence."""
    summary = DESCRIBED[key]["summary"]
    assert summary == str(ROUTES[key].endpoint.handle.__doc__).partition("\n")[0]
    assert summary.endswith(".")


@every_operation
def test_credentials_are_the_routes(key: str) -> None:
    """A guarded route takes what the guard takes, one for AWS callers a signature, and one without cookies none."""
    route, schemes = ROUTES[key], schemes_of(key)
    assert ("iam" in schemes) == isinstance(route.authorizer, IAMAuthorizer)
    if route.authorizer is not None and "iam" not in schemes:
        assert {"bearer", "session"} <= schemes
        assert all(DESCRIBED[key]["security"]), "a guarded route is not open to everybody"
        assert "401" in DESCRIBED[key]["responses"]
    if route.endpoint.credential in {Credential.NONE, Credential.AWS}:
        assert not {"session", "refresh", "csrf"} & schemes


@every_operation
def test_cookies_of_unsafe_routes_need_a_csrf_token(key: str) -> None:
    """Whatever changes something by a cookie says that it wants X-CSRF-Token beside it."""
    for choice in DESCRIBED[key]["security"]:
        if {"session", "refresh"} & set(choice):
            assert ("csrf" in choice) == (ROUTES[key].method != "GET")


@every_operation
def test_path_parameters_are_described(key: str) -> None:
    """Each one, with a bound: its pattern, or the values that it can have."""
    named = {one["name"]: one["schema"] for one in DESCRIBED[key].get("parameters", []) if one["in"] == "path"}
    assert set(named) == set(re.findall(r"{(\w+)}", key))
    assert all("enum" in schema or re.fullmatch(r"\^.*\$", schema["pattern"]) for schema in named.values())


def test_declared_fields_are_used() -> None:
    """Every body, form and query of the handlers' modules is of one route at least."""
    modules = [importlib.import_module(route.endpoint.handle.__module__) for route in app.ROUTES]
    written = {id(one): one.name for module in modules for one in vars(module).values() if isinstance(one, Fields)}
    assert written.keys() <= {id(one) for one in declared_fields()}


def test_declared_fields_have_names_of_their_own() -> None:
    """Two bodies of one name would be one schema."""
    names = {one.name: one for one in declared_fields()}
    assert all(names[one.name] is one for one in declared_fields())


@every_operation
def test_what_changes_state_declares_its_body(key: str) -> None:
    """A POST reads a body, if an empty one: what it takes is declared. Of a DELETE, where a refresh token may come."""
    renews = "credential_required" in json.dumps(DESCRIBED[key]["responses"])
    assert ("requestBody" in DESCRIBED[key]) == (key.startswith("POST ") or (key.startswith("DELETE ") and renews))


def test_what_renews_credentials_takes_them_in_every_transport() -> None:
    """The refresh token in the body, the refresh cookie beside a bearer, or the session cookie; the answer has them."""
    renewing = {key for key, route in ROUTES.items() if route.endpoint.credential is Credential.RENEWS}
    assert renewing == {
        *("POST /password/change", "POST /identities/{provider}", "DELETE /identities/{provider}"),
        "POST /identities/{provider}/authorization",
    }
    for key in renewing:
        one = ROUTES[key].endpoint
        assert one.body
        assert "refresh_token" in one.body.members
        assert not one.body.members["refresh_token"].required
        assert {frozenset(way) for way in DESCRIBED[key]["security"]} == {
            frozenset({"bearer"}),
            frozenset({"bearer", "refresh", "csrf"}),
            frozenset({"session", "csrf"}),
        }
        if not key.endswith("/authorization"):
            assert set(one.answers) == {200}
            assert one.answers[200] == ROUTES["POST /login"].endpoint.answers[200]


def test_bodies_are_closed() -> None:
    """Unknown members are refused, and the description says so; forms let them pass, as their RFCs say."""
    schemas = DOCUMENT["components"]["schemas"]
    for one in (route.endpoint for route in app.ROUTES):
        if one.body:
            assert schemas[one.body.name]["additionalProperties"] is False
            assert set(schemas[one.body.name]["properties"]) == set(one.body.members)
        if one.form:
            assert schemas[one.form.name]["additionalProperties"] == {"type": "string"}


def test_strings_that_come_in_are_bounded() -> None:
    """Each has a greatest length or a list of values (ASVS V2.2.1)."""
    strings = [
        schema
        for one in (route.endpoint for route in app.ROUTES)
        for declared in (one.body, one.form)
        if declared
        for schema in DOCUMENT["components"]["schemas"][declared.name]["properties"].values()
    ]
    strings += [one["schema"] for described in DESCRIBED.values() for one in described.get("parameters", [])]
    assert all({"maxLength", "enum", "pattern"} & set(schema) for schema in strings)


def test_secrets_are_not_read_back() -> None:
    """A member that is a secret is marked, so that tools do not show it."""
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["LogIn"]["properties"]["password"]["writeOnly"] is True
    assert schemas["LogIn"]["properties"]["password"]["format"] == "password"
    assert "writeOnly" not in schemas["LogIn"]["properties"]["email"]


def test_every_error_is_described() -> None:
    """Each error that Keyturn can make is the answer of one route at least, with the boundary's status."""
    described = {
        (int(name.partition(".")[0]), code.removeprefix("oauth_"))
        for name in DOCUMENT["components"]["responses"]
        for code in name.split(".")[1:]
    }
    assert {(status, error.code) for error, status in STATUS.items()} <= described
    assert (STATUS[errors.Unavailable], "unavailable") in described


def test_version_is_the_projects() -> None:
    """One version, in both places."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_no_cold_start_reads_it() -> None:
    """The description is made of modules that only its own route imports."""
    code = "import app, sys; assert not [name for name in sys.modules if '.openapi' in name]"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)  # noqa: S603  # ours
