"""What `make run ENGINE=dynoxide` keeps from one run to the next, in a folder that anybody may have changed."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from infra.failure import Failure
from infra.local import dynoxide, stage

if TYPE_CHECKING:
    from pathlib import Path

PARAMETER = {"Name": "/keyturn/local/public", "Value": "{}", "Type": "String"}


class Pages:
    """A parameter store that holds one parameter, as far as it is asked here."""

    def get_paginator(self, _: str) -> Pages:
        """Itself."""
        return self

    def paginate(self, **_: object) -> list[dict[str, object]]:
        """The one page, with more members than are kept."""
        return [{"Parameters": [{**PARAMETER, "Version": 3}]}]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of .local."""
    state = tmp_path / ".local"
    monkeypatch.setattr(stage, "STATE", state)
    monkeypatch.setattr(stage, "KEPT", state / "parameters.json")
    monkeypatch.setattr(stage, "DATABASE", state / "dynoxide.db")
    return state


def test_parameters_are_kept_whole(state: Path) -> None:
    """What is kept is read again; the file is the owner's alone, and nothing lies beside it."""
    assert stage._kept_parameters() == []
    for _ in range(2):
        stage._keep_parameters(Pages(), "/keyturn/local")  # type: ignore[arg-type]  # all that is called
        assert stage._kept_parameters() == [PARAMETER]
    (kept,) = state.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damaged",
    [
        *(b"", b"\xff", b"[", b"[]x", b"null", b"5", b"{}x", b'{"a": 1}', b'["Name"]', b'[["Name"]]', b"[null]"),
        *(b"[" * 100_000, b'[{"Name": "/x"}]', json.dumps([{**PARAMETER, "Value": 5}]).encode()),
        json.dumps([{**PARAMETER, "Overwrite": "true"}]).encode(),
    ],
)
def test_damaged_file_is_named_with_the_remedy(state: Path, damaged: bytes) -> None:
    """A file that was not written by this program is neither believed nor overwritten."""
    state.mkdir()
    kept = state / "parameters.json"
    kept.write_bytes(damaged)
    with pytest.raises(Failure, match=f"^{kept} is damaged. Delete [^\\n]*$"):
        stage._kept_parameters()
    assert kept.read_bytes() == damaged


def test_folder_in_place_of_a_file(state: Path) -> None:
    """It cannot be read, and not be replaced."""
    (state / "parameters.json").mkdir(parents=True)
    with pytest.raises(Failure, match="is damaged"):
        stage._kept_parameters()
    with pytest.raises(Failure, match="cannot be written"):
        stage._keep_parameters(Pages(), "/keyturn/local")  # type: ignore[arg-type]  # as above
    assert [path.name for path in state.iterdir()] == ["parameters.json"]


def test_file_in_place_of_the_folder(state: Path) -> None:
    """Nothing can be kept: that is said before anything is made."""
    state.write_text("a file")
    with pytest.raises(Failure, match=f"{state} cannot be written: File exists"):
        stage._kept_parameters()


def test_damaged_table_is_named_with_the_remedy(state: Path) -> None:
    """The engine that ends at once is not waited for."""
    state.mkdir()
    (state / "dynoxide.db").write_bytes(b"no database" * 1000)
    with (
        ExitStack() as children,
        pytest.raises(Failure, match=rf"^dynoxide did not start. .* {state}/dynoxide.db: end"),
    ):
        stage._start_engine(children)


def test_missing_engine_is_named_with_the_remedy(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is installed by a command of its own."""
    monkeypatch.setattr(dynoxide, "PACKAGES", state)
    with ExitStack() as children, pytest.raises(Failure, match=r"does not exist: run `make dynoxide`$"):
        stage._start_engine(children)
