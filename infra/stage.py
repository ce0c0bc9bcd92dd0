"""A stage as .chalice/config.json describes it, and the names of what belongs to it in AWS."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_apigateway import APIGatewayClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_ssm import SSMClient

# No hyphen: the functions of a stage `dev-eu` would look like functions of the stage `dev`.
STAGE_NAME = re.compile(r"[a-z][a-z0-9]{0,19}")
API_HANDLER = "api_handler"  # chalice's name for the function behind every route


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage's configuration. `document` is the whole of config.json."""

    name: str
    document: Mapping[str, Any]

    @classmethod
    def load(cls, root: Path, name: str) -> Stage:
        """Read the stage from the project at `root`. Raises Failure where it is not there or lacks a setting."""
        path = root / ".chalice/config.json"
        try:
            document = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            message = f"{path} cannot be read: {error}"
            raise Failure(message) from error
        stages = sorted(document.get("stages", {}))
        if name not in stages:
            message = f"There is no stage {name!r} in {path}; there are: {', '.join(stages)}"
            raise Failure(message)
        if not STAGE_NAME.fullmatch(name):
            message = f"The stage's name {name!r} must be lower-case letters and digits, 20 at most"
            raise Failure(message)
        stage = cls(name, document)
        for variable in ("KEYTURN_TABLE", "KEYTURN_PARAMETERS"):
            if not stage.settings.get(variable):
                message = f"{path}: the stage {name!r} needs {variable} in environment_variables"
                raise Failure(message)
        for resource in stage.resources:
            # Without one of its own, chalice would give every function the policy of the API handler.
            policy = document["stages"][name].get("lambda_functions", {}).get(resource, {}).get("iam_policy_file")
            if not policy or not (path.parent / policy).is_file():
                message = f"{path}: the stage {name!r} needs an iam_policy_file for {resource}; copy another stage's"
                raise Failure(message)
            stage._require_withdrawn(path.parent / policy)
        return stage

    def _require_withdrawn(self, policy: Path) -> None:
        """Failure for a policy of before: a call that asks for a parameter too many is refused whole."""
        text = policy.read_text()
        if f'{self.parameters}/public"' in text and f'{self.parameters}/withdrawn"' not in text:
            message = (
                f"{policy} lets the function read {self.parameters}/public and not {self.parameters}/withdrawn: add it"
            )
            raise Failure(message)

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that config.json gives the stage's functions."""
        stage = self.document["stages"][self.name]
        return {**self.document.get("environment_variables", {}), **stage.get("environment_variables", {})}

    @property
    def table(self) -> str:
        """The table's name."""
        return self.settings["KEYTURN_TABLE"]

    @property
    def parameters(self) -> str:
        """The prefix of the stage's parameters."""
        return self.settings["KEYTURN_PARAMETERS"]

    @property
    def api_id_parameter(self) -> str:
        """The parameter that remembers which REST API is the stage's."""
        return f"{self.parameters}/api-id"

    @property
    def api_name(self) -> str:
        """The REST API's name; the API handler's function has the same one."""
        return f"{self.document['app_name']}-{self.name}"

    @property
    def api_stage(self) -> str:
        """The API Gateway stage: the last part of the URL."""
        stage = self.document["stages"][self.name]
        return str(stage.get("api_gateway_stage") or self.document["api_gateway_stage"])

    def served_by(self, api_id: str, region: str) -> str:
        """The ARN of the API's stage, by which other services know it."""
        return f"arn:aws:apigateway:{region}::/restapis/{api_id}/stages/{self.api_stage}"

    @property
    def api_tags(self) -> dict[str, str]:
        """What marks a REST API as this stage's, also where its name is taken by another."""
        return {"keyturn": self.name}

    @property
    def resources(self) -> list[str]:
        """Functions by chalice's names for them."""
        return sorted(self.document["lambda_functions"])

    def function_name(self, resource: str) -> str:
        """Lambda's name for the function."""
        return self.api_name if resource == API_HANDLER else f"{self.api_name}-{resource}"

    def role_name(self, resource: str) -> str:
        """IAM's name for the function's role."""
        return f"{self.api_name}-{resource}"

    def log_group(self, resource: str) -> str:
        """Where the function logs."""
        return f"/aws/lambda/{self.function_name(resource)}"

    def deployed_resources(self, functions: LambdaClient) -> list[str]:
        """Functions of this stage that are in AWS now: chalice's names for them.

        By name and by the tag that chalice gives, so that another application's function is never taken for one.
        """
        found = []
        tag = f":stage={self.name}:app={self.document['app_name']}"
        for page in functions.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                name = function["FunctionName"]
                if name != self.api_name and not name.startswith(f"{self.api_name}-"):
                    continue
                if functions.list_tags(Resource=function["FunctionArn"])["Tags"].get("aws-chalice", "").endswith(tag):
                    found.append(API_HANDLER if name == self.api_name else name.removeprefix(f"{self.api_name}-"))
        return found

    def find_api(self, apis: APIGatewayClient, parameters: SSMClient) -> str | None:
        """Id of the stage's REST API, or None. By the recorded id; where that is lost, by name and tag."""
        recorded = self._recorded_api(parameters)
        found = [
            api["id"]
            for page in apis.get_paginator("get_rest_apis").paginate()
            for api in page["items"]
            if api["id"] == recorded or (api["name"] == self.api_name and self._is_tagged(api.get("tags", {})))
        ]
        if recorded in found:
            return recorded
        if len(found) > 1:
            message = (
                f"Several REST APIs are the stage's: {', '.join(sorted(found))}. "
                f"Put the id of the right one into the parameter {self.api_id_parameter}"
            )
            raise Failure(message)
        return found[0] if found else None

    def _recorded_api(self, parameters: SSMClient) -> str | None:
        try:
            return parameters.get_parameter(Name=self.api_id_parameter)["Parameter"]["Value"]
        except parameters.exceptions.ParameterNotFound:
            return None

    def _is_tagged(self, tags: Mapping[str, str]) -> bool:
        return self.api_tags.items() <= tags.items()
