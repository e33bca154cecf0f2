"""Every example of ``docs/extending`` runs as its page says: as a command, and in a notebook."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jlrun.cli.main import main
from jlrun.config.trust import VARIABLE

PAGES = Path(__file__).parents[2] / "docs" / "extending"
EXAMPLES = sorted(page.stem for page in PAGES.glob("*.md") if page.stem != "README")
FILE = re.compile(r"^`(\S+)`:\n\n```(?:python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = re.compile(r"jlrun\.run\(\[[^]]*\]")
QUICK = ["epochs=1", "dataset.limit=60", "baselines=false", "missing.evaluate=false"]
QUICK += ["recorder.tensorboard=false", "recorder.figures=false", "engine.threads=1"]


def text_of(page: str) -> str:
    return (PAGES / f"{page}.md").read_text(encoding="utf-8")


def command_and_output(page: str) -> list[str]:
    """Return the blocks of the page that are in no language."""
    return [content for language, content in BLOCK.findall(text_of(page)) if not language]


def arguments_of(example: str) -> list[str]:
    """Return the arguments of the page's command, with those that make it quick."""
    command, *arguments = shlex.split(command_and_output(example)[0])
    assert command == "jlrun"
    keys = {argument.split("=")[0] for argument in QUICK}  # none may be given twice
    return [*(a for a in arguments if a.split("=")[0] not in keys), *QUICK]


@pytest.fixture(autouse=True)
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The files of all pages, in the working directory."""
    for page in EXAMPLES:
        for path, content in FILE.findall(text_of(page)):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[name]


def test_there_is_a_page_for_each_kind() -> None:
    assert EXAMPLES == ["dataset", "encoder", "fusion", "term", "weighting"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_class_is_one_screen(example: str) -> None:
    (code,) = [content for path, content in FILE.findall(text_of(example)) if path[-3:] == ".py"]
    assert len(code.splitlines()) <= 32
    assert len(text_of(example).splitlines()) <= 80


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_command_trains_and_prints_what_the_page_shows(
    example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments_of(example)) == 0
    printed = capsys.readouterr().out
    shown = command_and_output(example)[1]
    labels = re.findall(r"^(?:test|\w+ (?=accuracy)).*?(?=  )", shown, re.MULTILINE)
    assert len(labels) > 1
    for label in labels:
        assert re.search(rf"^{label}", printed, re.MULTILINE), printed


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_notebook_trains_it_too(
    example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ((path, script),) = FILE.findall(text_of("README"))
    trust, package, *overrides = arguments_of(example)
    assert (trust, package) == ("--trust", "my_package")
    monkeypatch.delenv(VARIABLE, raising=False)
    script, count = RUN.subn(f"jlrun.run({[*overrides, 'recorder.progress=none']!r}", script)
    assert count == 1
    (tmp_path / path).write_text(script, encoding="utf-8")
    run = runpy.run_path(path)["run"]
    assert run.status == "completed"
    assert all(0 <= score["accuracy"] <= 1 for score in run.test.values())


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("weighting._target_=my_package.maximum.Maximum", "is not a weighting"),
        ("fusion._target_=my_package.row_reader.RowReader", "is not a fusion"),
        ("+terms.mine._target_=my_package.row_reader.RowReader", "is not a term"),
        ("backbone.image._target_=my_package.wine.load_wine", "is not an encoder"),
        ("dataset._target_=my_package.maximum.Maximum", "is not a data set"),
    ],
)
def test_a_class_of_another_kind_is_refused_in_one_line(
    override: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--trust", "my_package", "mode=multimodal", override]) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if said in line]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
