"""Names that files, figures and terminals can take."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jlrun.cli.main import main
from jlrun.files.names import name_problems, printable

BAD = ["a\0b", "a\nb", "a\tb", "\x1b[31mred", "a\x7f", "\ud800", "\u202eevil", "a\u2028b", "\x9b1m"]
GOOD = ["$x", "[red]a[/red]", "_a", "a b", "日本", "é", "שלום\u200f", "a/b", "x" * 5000, "😀"]


@pytest.mark.parametrize("name", BAD)
def test_what_would_steer_a_terminal_is_refused_and_escaped(name: str) -> None:
    (problem,) = name_problems("dataset.tasks.t", "class", [name], on_disk=False)
    assert str(problem).isascii()
    assert "can't be written or shown" in problem.message
    shown = printable(name.replace("\n", "").replace("\t", ""))
    assert shown.isprintable()


@pytest.mark.parametrize("name", GOOD)
def test_other_names_are_left_alone(name: str) -> None:
    assert not name_problems("dataset.tasks.t", "class", [name], on_disk=False)
    assert printable(name) == name


def test_line_breaks_of_messages_stay() -> None:
    assert printable("a\n\tb\x1b[0m\r") == "a\n\tb\\x1b[0m\\r"


@pytest.mark.parametrize("name", ["a/b", ".", "..", "é" * 100])
def test_names_of_files(name: str) -> None:
    assert len(name_problems("dataset.tasks", "task", [name], on_disk=True)) == 1


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", b"a\xff".decode(errors="surrogateescape")])
def test_a_class_folder_of_such_a_name_ends_a_run_before_it_begins(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for label in (name, "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(8):
            pixels = np.full((8, 8), i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / label / f"{i}.png")
    named = ["mode=multitask", "dataset=imagefolder", "dataset.root=data", "hydra.run.dir=run"]
    assert main(named) == 2
    told = capsys.readouterr().err
    assert "dataset.tasks.label: the class" in told
    assert told.strip().isprintable()
    assert not Path("run").exists()


def test_an_argument_that_no_config_can_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset.root=\udcff"]) == 2
    assert "is not valid UTF-8" in capsys.readouterr().err
