"""A stage as .chalice/config.json describes it, and the names of what belongs to it in AWS."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.failure import Failure
from infra.known_settings import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_apigateway import APIGatewayClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_ssm import SSMClient

# No hyphen: the functions of a stage `dev-eu` would look like functions of the stage `dev`.
STAGE_NAME = re.compile(r"[a-z][a-z0-9]{0,19}")
TAG = "keyturn"  # of a REST API; its value is the stage's name
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
        for variable, value in stage.settings.items():
            if not isinstance(value, str):
                message = f"{path}: the value of {variable} in the stage {name!r} must be text, not {value!r}"
                raise Failure(message)
        for variable in ("KEYTURN_TABLE", "KEYTURN_PARAMETERS"):
            if not stage.settings[variable]:
                message = f"{path}: the stage {name!r} leaves {variable} empty: name it, or remove the line"
                raise Failure(message)
        refuse_unknown(stage.settings)
        return stage

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables of the stage's functions: its own names, where config.json gives it no others."""
        own = {
            "KEYTURN_TABLE": self.api_name,
            "KEYTURN_PARAMETERS": f"/{self.document['app_name']}/{self.name}",
            "KEYTURN_AUDIENCE": self.api_name,
        }
        stage = self.document["stages"][self.name]
        return {**own, **self.document.get("environment_variables", {}), **stage.get("environment_variables", {})}

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
        return {TAG: self.name}

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
        """Id of the stage's REST API, or None. By the recorded id; where that is lost, by name and tag.

        Failure where the recorded API is another stage's: an entry that was copied with its parameters.
        """
        recorded = self._recorded_api(parameters)
        listed = [api for page in apis.get_paginator("get_rest_apis").paginate() for api in page["items"]]
        tags = {api["id"]: api.get("tags", {}) for api in listed}
        owner = tags.get(recorded or "", {}).get(TAG, self.name)
        if owner != self.name:
            message = (
                f"KEYTURN_PARAMETERS of the stage {self.name!r} is {self.parameters}, and the stage {owner!r} has its "
                "keys there: remove it from the copied entry, or give it another value"
            )
            raise Failure(message)
        found = [
            api["id"]
            for api in listed
            if api["id"] == recorded or (api["name"] == self.api_name and self._is_tagged(tags[api["id"]]))
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
