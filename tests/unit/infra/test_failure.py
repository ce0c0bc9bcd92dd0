"""Operators' commands fail with a line on standard error, and without a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from chalicelib.errors import ConfigurationError
from infra import deploy, destroy, package, rotate
from infra.failure import Failure, command

if TYPE_CHECKING:
    from types import ModuleType

REFUSED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not\nyours"}}, "PutParameter")
COMMANDS = ((deploy, "deploy"), (destroy, "destroy"), (rotate, "rotate"), (package, "build"))
EVERY_COMMAND = pytest.mark.parametrize(
    ("module", "act"), COMMANDS, ids=["deploy", "destroy", "rotate-keys", "package"]
)


def raising(error: BaseException) -> object:
    """A function that raises this, whatever it is called with."""

    def act(*_: object, **__: object) -> NoReturn:
        raise error

    return act


@EVERY_COMMAND
@pytest.mark.parametrize(
    ("error", "status"), [(Failure("two\nlines"), 1), (KeyboardInterrupt(), 130)], ids=["failure", "ctrl-c"]
)
def test_command_says_a_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: ModuleType,
    act: str,
    error: BaseException,
    status: int,
) -> None:
    """Each command ends a failure with 1 and Ctrl-C with 130, and says a line that begins with the command's name."""
    monkeypatch.setattr("sys.argv", ["command", "--stage", "dev"])
    monkeypatch.setattr(module, act, raising(error))
    assert module.main() == status
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith(f"{module.__name__.rpartition('.')[2]}: ")


@pytest.mark.parametrize(
    ("module", "act", "error"),
    [
        (deploy, "deploy", ConfigurationError(debug="KEYTURN_TABLE is not set")),
        (deploy, "deploy", REFUSED),
        (destroy, "destroy", NoRegionError()),
        (rotate, "rotate", ConfigurationError(debug="KEYTURN_TABLE is not set")),
        (rotate, "rotate", BotoCoreError()),
    ],
)
def test_errors_of_settings_and_of_aws_are_failures(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: ModuleType,
    act: str,
    error: Exception,
) -> None:
    """A wrong setting and a refusal of AWS end a command as a failure does."""
    monkeypatch.setattr("sys.argv", ["command", "--stage", "dev"])
    monkeypatch.setattr(module, act, raising(error))
    assert module.main() == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert " ".join(str(error).split()) in said


def test_success_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that returns says nothing of its own."""
    assert command("package", lambda: None) == 0
    assert capsys.readouterr() == ("", "")


def test_fault_keeps_its_traceback() -> None:
    """An error that no operator can mend is not hidden."""
    with pytest.raises(ZeroDivisionError):
        command("package", lambda: 1 // 0, KeyError)
