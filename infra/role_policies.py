"""The policies of a stage's functions, rendered from the templates in infra/policies and the stage's settings.

A template is named after its function. Its texts hold the placeholders ${table}, ${parameters} and ${log_group}.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.stage import Stage

TEMPLATES = Path(__file__).resolve().parent / "policies"
PLACEHOLDER = re.compile(r"\$\{(\w+)\}", re.ASCII)
# No action, ARN or condition of a policy needs these. IAM's own variables, which hold them, are refused too.
LEFT_OVER = re.compile(r"[${}<>%]")


class Rule(NamedTuple):
    """The values that a placeholder takes. `source` is where the operator sets the value."""

    source: str
    form: re.Pattern[str]
    example: str


# The names that AWS gives to such things. A wildcard, a colon or a further slash would name other resources.
RULES = {
    "table": Rule("KEYTURN_TABLE", re.compile(r"[A-Za-z0-9_.-]{3,255}"), "keyturn-prod"),
    "parameters": Rule("KEYTURN_PARAMETERS", re.compile(r"(?:/[A-Za-z0-9_.-]+)+"), "/keyturn/prod"),
    "log_group": Rule("app_name", re.compile(r"/aws/lambda/[A-Za-z0-9_-]{1,64}"), "keyturn"),
}


def render(stage: Stage, templates: Path = TEMPLATES) -> dict[str, Any]:
    """Render each function's policy document, by chalice's name of the function.

    Failure for a setting that could widen a policy, and for a template that is absent, damaged or not filled in whole.
    """
    _refuse_files_of_before(stage)
    return {resource: _render(stage, resource, templates / f"{resource}.json") for resource in stage.resources}


def _refuse_files_of_before(stage: Stage) -> None:
    """Failure where config.json still names a policy file: what the file allows beyond the template would be lost."""
    others = {name: part for name, part in stage.document.items() if name != "stages"}
    if '"iam_policy_file"' in json.dumps([others, stage.document["stages"][stage.name]]):
        message = (
            f"The stage {stage.name!r} names an iam_policy_file, and policies are made from infra/policies: remove "
            "iam_policy_file from .chalice/config.json. What your file allows beyond the template, add to the template"
        )
        raise Failure(message)


def _render(stage: Stage, resource: str, template: Path) -> Any:  # noqa: ANN401  # a JSON document
    values = {"table": stage.table, "parameters": stage.parameters, "log_group": stage.log_group(resource)}
    for name, value in values.items():
        rule = RULES[name]
        if not rule.form.fullmatch(value):
            message = f"{rule.source} must be a name such as {rule.example}: {value!r} could not stand in a policy"
            raise Failure(message)
    try:
        document = json.loads(template.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{template}, the policy of the function {resource}, cannot be read: {error}"
        raise Failure(message) from error
    return _filled_in(document, values, template)


def _filled_in(part: Any, values: Mapping[str, str], template: Path) -> Any:  # noqa: ANN401  # a part of a JSON document
    """Fill in the texts of a document that is parsed already, so that no value can end a text and begin a member."""
    if isinstance(part, dict):
        return {name: _filled_in(member, values, template) for name, member in part.items()}
    if isinstance(part, list):
        return [_filled_in(member, values, template) for member in part]
    if not isinstance(part, str):
        return part
    text = PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), part)
    if LEFT_OVER.search(text):
        known = ", ".join(f"${{{name}}}" for name in values)
        message = f"{template} holds {part!r}, which is not filled in: the placeholders are {known}"
        raise Failure(message)
    return text
