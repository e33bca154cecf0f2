"""``jlrun ls``."""

from __future__ import annotations

from pathlib import Path

import pytest

from jlrun.cli.verbs.help import ls


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_group_is_listed_with_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    assert ls(["optimizer"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "optimizer"
    assert "  adam   Adam (Kingma & Ba, 2015)" in lines


def test_parts_of_a_group_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert ls(["backbone"]) == 0
    shown = capsys.readouterr().out
    assert "backbone/image\n" in shown
    assert ls(["backbone/image/"]) == 0
    assert capsys.readouterr().out in shown


def test_own_options_are_listed_and_shadowed_ones_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "conf" / "optimizer"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# my own\n")
    (own / "adam.yaml").write_text("# my adam\n")
    assert ls([]) == 0
    told = capsys.readouterr()
    assert "mine   my own" in told.out
    assert "my adam" not in told.out
    assert f"{own / 'adam.yaml'} has no effect" in told.err
