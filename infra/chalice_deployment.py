"""`chalice deploy`, run in this process, with four of its parts replaced.

Chalice's own packager builds a zip of its own whenever a file changed under its feet, and ships that silently: here the
zip is given. It reads a stage's policies from files of that stage: here the policies are given. Its Swagger document
lacks the gateway responses. And it knows what is deployed by a file that gets lost, whereupon it makes a second API
with another URL: here that file is written from what AWS holds, each time.
"""

from __future__ import annotations

import importlib
import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

from chalice.awsclient import TypedAWSClient
from chalice.config import Config
from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
from chalice.deploy.deployer import (
    BaseDeployStep,
    BuildStage,
    Deployer,
    InjectDefaults,
    PolicyGenerator,
    ResultsRecorder,
    SwaggerBuilder,
)
from chalice.deploy.executor import Executor
from chalice.deploy.planner import PlanStage, RemoteState
from chalice.deploy.swagger import TemplatedSwaggerGenerator
from chalice.deploy.sweeper import ResourceSweeper
from chalice.policy import AppPolicyGenerator
from chalice.utils import UI, OSUtils

from chalicelib.functions.request_authorizer import RequestAuthorizer
from chalicelib.settings.config import Config as Settings
from infra import gateway
from infra.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from botocore.session import Session
    from chalice.app import Authorizer, Chalice, ChaliceAuthorizer
    from chalice.deploy.models import DeploymentPackage, FileBasedIAMPolicy, RestAPI

    from infra.package import Package
    from infra.stage import Stage


class GivenPackage(BaseDeployStep):
    """Every function runs this zip."""

    def __init__(self, package: Package) -> None:
        self._package = package

    def handle_deploymentpackage(self, config: Config, resource: DeploymentPackage) -> None:  # noqa: ARG002  # chalice's signature
        """Fill in the file that chalice uploads."""
        resource.filename = str(self._package.path)


class GivenPolicies(PolicyGenerator):
    """Each function's role gets the policy that is given for the function."""

    def __init__(self, policies: Mapping[str, Any], osutils: OSUtils) -> None:
        super().__init__(policy_gen=AppPolicyGenerator(osutils), osutils=osutils)
        self._policies = policies

    def handle_filebasediampolicy(self, config: Config, resource: FileBasedIAMPolicy) -> None:  # noqa: ARG002  # chalice's signature
        """Fill in the document, where chalice would read a file. Failure for a function that config.json lacks."""
        function = PurePath(resource.filename).name
        if function not in self._policies:
            message = "lambda_functions in .chalice/config.json must list every function that the app has"
            raise Failure(message)
        resource.document = self._policies[function]


class Swagger(TemplatedSwaggerGenerator):
    """Chalice's Swagger document, with the stage's name, the gateway responses and our own kind of authorizer."""

    def __init__(self, title: str, allowed_origins: frozenset[str]) -> None:
        super().__init__()
        self._title, self._allowed_origins = title, allowed_origins

    def generate_swagger(self, app: Chalice, rest_api: RestAPI | None = None) -> dict[str, Any]:
        """Generate the document that replaces the whole API."""
        document: dict[str, Any] = super().generate_swagger(app, rest_api)
        document["info"]["title"] = self._title
        document[gateway.EXTENSION] = gateway.gateway_responses(self._allowed_origins)
        return document

    def _generate_security_from_auth_obj(self, api_config: dict[str, Any], authorizer: Authorizer) -> None:
        """Chalice writes the definition; into one of ours goes the ARN of the function that has its name."""
        super()._generate_security_from_auth_obj(api_config, authorizer)
        if isinstance(authorizer, RequestAuthorizer):
            definition = api_config["securityDefinitions"][authorizer.name]
            definition["x-amazon-apigateway-authorizer"]["authorizerUri"] = self._auth_uri(
                cast("ChaliceAuthorizer", authorizer)  # of which it reads the name
            )


def deploy(
    root: Path,
    stage: Stage,
    environment: Mapping[str, str],
    policies: Mapping[str, Any],
    package: Package,
    session: Session,
) -> dict[str, str]:
    """Create or update roles, functions and the REST API. Returns the deployed functions' ARNs by chalice's name.

    `policies` are the documents by chalice's name of the function.

    Raises what chalice and botocore raise, and ConfigurationError for an environment that the functions would refuse.
    """
    allowed_origins = Settings.from_env(environment).pages.allowed_origins
    document = json.loads(json.dumps(stage.document))
    configured = document["stages"][stage.name]
    configured["environment_variables"] = dict(environment)
    for function in policies:
        # No file has this name: chalice carries it to GivenPolicies, which takes it for the function's.
        own = configured.setdefault("lambda_functions", {}).setdefault(function, {})
        own |= {"autogen_policy": False, "iam_policy_file": function}
    config = Config(
        chalice_stage=stage.name,
        config_from_disk=document,
        user_provided_params={"chalice_app": importlib.import_module("app").app, "project_dir": str(root)},
    )
    client, osutils, ui = TypedAWSClient(session), OSUtils(), UI()
    deployer = Deployer(
        application_builder=ApplicationGraphBuilder(),
        deps_builder=DependencyBuilder(),
        build_stage=BuildStage(
            [
                InjectDefaults(),
                GivenPackage(package),
                GivenPolicies(policies, osutils),
                SwaggerBuilder(Swagger(stage.api_name, allowed_origins)),
            ]
        ),
        plan_stage=PlanStage(osutils=osutils, remote_state=RemoteState(client, config.deployed_resources(stage.name))),
        sweeper=ResourceSweeper(),
        executor=Executor(client, ui),
        recorder=ResultsRecorder(osutils),
    )
    deployed = deployer.deploy(config, stage.name)["resources"]
    return {item["name"]: item["lambda_arn"] for item in deployed if item["resource_type"] == "lambda_function"}


def record_state(root: Path, stage: Stage, api_id: str) -> None:
    """Write chalice's record of what is deployed: the API to update. Functions and roles it finds by their names."""
    resources = [{"name": "rest_api", "resource_type": "rest_api", "rest_api_id": api_id}]
    path = root / ".chalice/deployed" / f"{stage.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"resources": resources, "schema_version": "2.0", "backend": "api"}, indent=2))
