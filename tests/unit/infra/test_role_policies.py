"""Policies are rendered from templates and the stage's settings: nothing in them is left to fill in, or widens them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from infra.failure import Failure
from infra.role_policies import TEMPLATES, render
from infra.stage import Stage
from tests.world.iam import DOCUMENT, KEYS, ROOT, STAGES, stage_of

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS = set(DOCUMENT["lambda_functions"])


def test_every_template_is_used() -> None:
    """Each function of the app has a template, and there is no other."""
    assert {path.name for path in TEMPLATES.iterdir()} == {f"{function}.json" for function in FUNCTIONS}
    for stage in STAGES:
        assert set(render(stage_of(stage))) == FUNCTIONS


def test_stages_have_the_names_that_they_have_always_had() -> None:
    """`dev` and `prod` were deployed with these names: another one would be an empty table, or new keys."""
    for name in ("dev", "prod"):
        settings = Stage.load(ROOT, name).settings
        names = [settings[f"KEYTURN_{variable}"] for variable in ("TABLE", "PARAMETERS", "AUDIENCE")]
        assert names == [f"keyturn-{name}", f"/keyturn/{name}", f"keyturn-{name}"]


def stage_with(**settings: str) -> Stage:
    """A stage `other`, with these variables in its entry."""
    variables = {f"KEYTURN_{name}": value for name, value in settings.items()}
    return Stage("other", {**DOCUMENT, "stages": {"other": {"environment_variables": variables}}})


ODD = ("*", "?", '"', ":", "$", "{", "}", "${table}", "<", ">", "%", ",", " ", "\n", "\\", "é", "\u0430", "\0", "//")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("where", ["{0}", "{0}name", "na{0}me", "name{0}"])
def test_value_that_could_widen_a_policy(odd: str, where: str) -> None:
    """A wildcard, a quotation mark or a colon in a name is refused by the setting's name, wherever it stands in it."""
    value = where.format(odd)
    with pytest.raises(Failure, match=r"^KEYTURN_TABLE must be a name such as keyturn-prod: .* could not stand"):
        render(stage_with(TABLE=value))
    with pytest.raises(Failure, match=r"^KEYTURN_PARAMETERS must be a name such as /keyturn/prod: .* could not stand"):
        render(stage_with(PARAMETERS=f"/{value}"))
    variables = {"KEYTURN_TABLE": "table", "KEYTURN_PARAMETERS": "/parameters"}
    with pytest.raises(Failure, match=r"^app_name must be a name such as keyturn: .* could not stand"):
        render(Stage("dev", {**DOCUMENT, "app_name": value, "environment_variables": variables}))


@pytest.mark.parametrize("table", ["keyturn-prod/index/a", "keyturn-prod/stream", "ab", "a" * 256])
def test_value_that_is_no_table(table: str) -> None:
    """A part of a table, and a name that no table can have."""
    with pytest.raises(Failure, match="KEYTURN_TABLE must be"):
        render(stage_with(TABLE=table))


@pytest.mark.parametrize("prefix", ["keyturn/prod", "/", "/keyturn/", "/keyturn//prod", "/key turn"])
def test_value_that_is_no_path(prefix: str) -> None:
    """A prefix that is no path of parameters."""
    with pytest.raises(Failure, match="KEYTURN_PARAMETERS must be"):
        render(stage_with(PARAMETERS=prefix))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("arn:aws:dynamodb:*:*:table/${tabel}", "'arn:[^']*tabel}', which is not filled in: the placeholders are"),
        ("arn:aws:dynamodb:*:*:table/${table", "not filled in"),
        ("arn:aws:dynamodb:*:*:table/$table", "not filled in"),
        ("arn:aws:dynamodb:*:*:table/{table}", "not filled in"),
        ("arn:aws:dynamodb:*:*:table/<table>", "not filled in"),
        ("arn:aws:dynamodb:*:*:table/${aws:username}", "not filled in"),
        ("arn:aws:dynamodb:*:*:table/%s", "not filled in"),
        ("arn:aws:dynamodb:*:*:table/${table}-$${table}", "not filled in"),
    ],
)
def test_template_that_is_not_filled_in(tmp_path: Path, text: str, complaint: str) -> None:
    """An unknown placeholder, or the rest of one, fails the deployment with the template's name."""
    for path in TEMPLATES.iterdir():
        shutil.copy(path, tmp_path)
    render(stage_of("dev"), tmp_path)
    template = json.loads((tmp_path / "guard.json").read_text())
    template["Statement"][0]["Condition"]["ForAllValues:StringLike"][KEYS] = [text]
    (tmp_path / "guard.json").write_text(json.dumps(template))
    with pytest.raises(Failure, match=rf"guard\.json holds .*{complaint}"):
        render(stage_of("dev"), tmp_path)


@pytest.mark.parametrize("contents", [None, "", "{", '{"Statement": }'])
def test_template_that_is_not_there(tmp_path: Path, contents: str | None) -> None:
    """A function whose template is absent or damaged gets no policy, and no other function's."""
    for path in TEMPLATES.iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "authorize.json").unlink()
    if contents is not None:
        (tmp_path / "authorize.json").write_text(contents)
    with pytest.raises(Failure, match=r"authorize\.json, the policy of the function authorize, cannot be read"):
        render(stage_of("dev"), tmp_path)


NAMED = {"iam_policy_file": "policy-dev.json"}
EACH = {"lambda_functions": {"guard": NAMED}}


@pytest.mark.parametrize("where", [{"stages": {"dev": EACH}}, {"stages": {"dev": NAMED}}, EACH, NAMED])
def test_policy_file_of_before_is_refused(where: dict[str, Any]) -> None:
    """A file that config.json still names could allow more than the template: it is not passed over in silence."""
    with pytest.raises(Failure, match=r"'dev' names an iam_policy_file.*add to the template"):
        render(Stage("dev", {**DOCUMENT, **where}))
    render(Stage("dev", {**DOCUMENT, "stages": {"dev": {}, "other": EACH}}))
