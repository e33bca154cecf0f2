"""YAML and JSON of a stranger's run cost no more than they hold."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from jlrun.cli.main import main
from jlrun.errors import UserError
from jlrun.files.bounded_text import check_expansion, parse_json, read_json, read_yaml
from jlrun.models import checkpoints
from jlrun.runs.saved_run import to_yaml
from tests.security.hostile import BOMB, JSON, YAML, Canary
from tests.security.verbs import BUILDING, READING, commands

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("name", YAML)
def test_wild_yaml_is_refused(name: str, tmp_path: Path) -> None:
    text, message = YAML[name]
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"config.yaml: can't be read \(.*") as raised:
        read_yaml(file)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", JSON)
def test_wild_json_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    file.write_text(JSON[name])
    with pytest.raises(UserError, match=r"model.json: can't be read \("):
        read_json(file)
    with pytest.raises(ValueError, match=r"."):
        parse_json(JSON[name])


def test_what_jlrun_writes_is_read() -> None:
    content = {
        "a": [1, 2.5, None, True, "no", "2020-01-01", "&a", "*a", "!tag", "<<", "1" * 5000, "ü\n"],
        "deep": {"b": [{"c": []}, {}]},
    }
    content["again"] = content["a"][:3]
    file = Path("content.yaml")
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    file = folder / f"content-{os.getpid()}.yaml"
    try:
        file.write_text(to_yaml(content), encoding="utf-8")
        assert read_yaml(file) == content
    finally:
        file.unlink(missing_ok=True)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.yaml")
    with pytest.raises(UserError, match="not a regular file"):
        read_yaml(tmp_path / "config.yaml")


def test_a_file_of_no_such_size(tmp_path: Path) -> None:
    with (tmp_path / "result.json").open("wb") as file:
        file.truncate(10**12)  # a sparse file
    with pytest.raises(UserError, match="at most 32"):
        read_json(tmp_path / "result.json")


@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize("file", ["config.yaml", "overrides.yaml"])
def test_every_verb_refuses_it(verb: str, file: str, run: Path, capsys: Capture) -> None:
    (run / file).write_text(BOMB)
    shutil.copytree(run, run.parent / "twin")
    assert main(commands(run)[verb]) == 2
    said = capsys.readouterr().err
    assert f"{file}: is damaged (it has an alias, line 1" in said


@pytest.mark.parametrize("verb", [*BUILDING, "source.run"])
def test_so_of_json(verb: str, run: Path, capsys: Capture) -> None:
    (run / "model.json").write_text(JSON["closed depth"])
    assert main(commands(run)[verb]) == 2
    assert "model.json: is damaged (it is nested too deeply)" in capsys.readouterr().err


def test_aliases_of_users_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    for good in (
        "a: &a {b: 1}\nc: [*a, *a]\n",
        "a: &a 1\nb: &a 2\nc: *a\n",
        "[1, 2",
        "a: 1\na: 2\n",
    ):
        file.write_text(good)
        check_expansion(file)  # what else is wrong is told by who reads it
    for bad, message in (
        (BOMB, "more than 100,000 values"),
        ("a: &a [*a]\n", "contains itself"),
        ("a: &a [*b]\n", "contains itself"),
        ("a: " + "[" * 100 + "]" * 100, "nested more than 64 deep"),
        (f"a: &a {'[' * 40}{']' * 40}\nb: {'[' * 40}*a{']' * 40}\n", "nested more than 64 deep"),
        ("a: " + "9" * 5000, "number of 5,000"),
    ):
        file.write_text(bad)
        with pytest.raises(UserError) as raised:
            check_expansion(file)
        assert message in str(raised.value)


@pytest.mark.parametrize("verb", [["check"], [], ["--multirun"]])
def test_so_in_runs_and_sweeps(
    verb: list[str], run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (run.parent / "conf" / "experiment").mkdir(parents=True)
    (run.parent / "conf" / "experiment" / "bomb.yaml").write_text("# @package _global_\n" + BOMB)
    assert main([*verb, "mode=multitask", "dataset=digits", "experiment=bomb"]) == 2
    assert "bomb.yaml: can't be read" in capsys.readouterr().err


def test_pickles_in_checkpoints_are_not_executed(run: Path, tmp_path: Path) -> None:
    for folder in ("best", "last"):
        if (run / "checkpoints" / folder).is_dir():
            torch.save(
                {"a": Canary(tmp_path / "canary")}, run / "checkpoints" / folder / "state.pt"
            )
            with pytest.raises(UserError, match="damaged"):
                checkpoints.load_state(run / "checkpoints" / folder)
    (run / "result.json").unlink()
    main(commands(run)["resume"])
