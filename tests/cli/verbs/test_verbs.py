"""Arguments of verbs that name files."""

from __future__ import annotations

import pytest

from jlrun.cli.main import main


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "run", "--input", "", "--output", "o.csv"],
        ["predict", "run", "--input", "x.csv", "--output", " "],
        ["predict", "", "--input", "x.csv", "--output", "o.csv"],
        ["evaluate", ""],
        ["resume", ""],
        ["export", "run", "--output", ""],
        ["init-config", ""],
    ],
)
def test_an_empty_name_is_not_the_folder_one_is_in(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "is empty; name a file or folder" in error
    assert error.count("\n") == 1
